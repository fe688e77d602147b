// The reference store of the Node example, filled and followed over HTTP from the real server, with kills in between.
import { afterAll, beforeAll, expect, it } from 'vitest';
// @ts-expect-error: JavaScript without declarations
import { openDatabase, startMirrors } from '../../examples/node-host/mirror.mjs';
import { sqliteStore } from '../../examples/node-host/mirror-store.ts';
import { catchUp, httpDirectory, reconcile } from '../../src/mirror/index.ts';
import { hostToken, type Server, startServer, type TestOrg } from '../support/server.ts';

let server: Server;
let org: TestOrg;
beforeAll(async () => {
  server = await startServer();
  org = await server.newOrg('mirrored');
});
afterAll(() => server.stop());

const people = (from: number, count: number) =>
  Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const answer = await fetch(`${org.baseUrl}/Users`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${org.token}`, 'Content-Type': 'application/scim+json' },
        body: JSON.stringify({ userName: `user-${from + i}` }),
      });
      expect(answer.status).toBe(201);
    }),
  );

it('SQLite on Node is filled and followed, poked by the stream, and a new mirror goes on where one was ended', async () => {
  await people(0, 30);
  const path = `/tmp/mirror-${crypto.randomUUID()}.sqlite`;
  const options = { scimUrl: server.url, hostToken, path, orgs: ['mirrored'] };
  const first = new AbortController();
  const [it] = startMirrors({ ...options, signal: first.signal });
  await it.ready;
  const source = httpDirectory({ url: server.url, token: hostToken, org: 'mirrored' });
  const store = sqliteStore(openDatabase(path), 'mirrored');
  expect(await reconcile({ source, store })).toEqual([]);
  first.abort();
  await it.done;
  await people(30, 5);
  const second = new AbortController();
  const [next] = startMirrors({ ...options, signal: second.signal });
  await next.ready;
  expect(await reconcile({ source, store })).toEqual([]);
  second.abort();
  await next.done;
  await catchUp({ source, store });
  const rows = [];
  for await (const row of store.users!()) rows.push(row);
  expect(rows).toHaveLength(35);
});
