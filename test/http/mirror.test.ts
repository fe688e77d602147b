// The reference stores of the Node example, filled and followed over HTTP from the real server, with kills in between.
import { PGlite } from '@electric-sql/pglite';
import { drizzle } from 'drizzle-orm/pglite';
import { afterAll, beforeAll, expect, it } from 'vitest';
// @ts-expect-error: JavaScript without declarations
import { openDatabase, startMirrors } from '../../examples/node-host/mirror.mjs';
import { sqliteStore } from '../../examples/node-host/mirror-store.ts';
import { postgresStore, TABLES } from '../../examples/node-host/mirror-store-postgres.ts';
import { catchUp, httpDirectory, reconcile } from '../../src/mirror/index.ts';
import { newFolder } from '../support/node.ts';
import { hostToken, type Server, startServer, type TestOrg } from '../support/server.ts';

let server: Server;
let org: TestOrg;
let postgres: PGlite;
const folder = newFolder('scim-worker-mirror-');
beforeAll(async () => {
  // First: it can block this process for seconds, and the server closes connections that stay unused.
  postgres = await PGlite.create();
  server = await startServer();
  org = await server.newOrg('mirrored');
});
afterAll(async () => {
  await postgres?.close();
  await server?.stop();
  folder.remove();
});

async function scim(to: TestOrg, method: string, path: string, body?: object) {
  const answer = await fetch(`${to.baseUrl}${path}`, {
    method,
    headers: { Authorization: `Bearer ${to.token}`, 'Content-Type': 'application/scim+json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${await answer.text()}`);
  return (answer.status === 204 ? {} : await answer.json()) as { id: string };
}
const people = (from: number, count: number, to = org) =>
  Promise.all(Array.from({ length: count }, (_, i) => scim(to, 'POST', '/Users', { userName: `user-${from + i}` })));

it('SQLite on Node is filled and followed, poked by the stream, and a new mirror goes on where one was ended', async () => {
  await people(0, 30);
  const path = `${folder.path}/mirror.sqlite`;
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

it('Postgres is filled, follows and holds rows that other tables can be joined with', async () => {
  const its = await server.newOrg('in-postgres');
  const texts = { displayName: 'Zoë “Ω” \\ \u0001 \' "', name: { familyName: '𝒳', givenName: 'Zoë' } };
  const users = await people(0, 30, its);
  const zoe = await scim(its, 'POST', '/Users', { userName: 'zoe', ...texts, emails: [{ value: 'zoe@example.com' }] });
  const group = await scim(its, 'POST', '/Groups', { displayName: 'Team', members: [{ value: zoe.id }] });
  for (const table of TABLES) await postgres.exec(table);
  const options = {
    source: httpDirectory({ url: server.url, token: hostToken, org: its.slug }),
    store: postgresStore(drizzle(postgres), its.slug),
  };
  await catchUp(options);
  expect(await reconcile(options)).toEqual([]);
  const rows = async (where: string) =>
    (await postgres.query<{ user: { id: string } }>(`SELECT id, user_name, active, "user" FROM people WHERE ${where}`))
      .rows;
  expect(await rows(`"user" -> 'groups' @> '[{"displayName": "Team"}]'`)).toEqual([
    { id: zoe.id, user_name: 'zoe', active: true, user: expect.objectContaining({ ...texts, id: zoe.id }) },
  ]);
  const set = (path: string, value: unknown) => ({ Operations: [{ op: 'replace', path, value }] });
  await scim(its, 'DELETE', `/Users/${users[0]!.id}`);
  await scim(its, 'PATCH', `/Users/${users[1]!.id}`, set('active', false));
  await scim(its, 'DELETE', `/Groups/${group.id}`);
  await catchUp(options);
  expect(await reconcile(options)).toEqual([]);
  expect(await rows('NOT active')).toEqual([expect.objectContaining({ id: users[1]!.id })]);
  // What was written by hand is found, and repaired.
  await postgres.exec(
    `DELETE FROM people WHERE id = '${zoe.id}'; UPDATE people SET "user" = '{"id": "x"}' WHERE NOT active`,
  );
  expect((await reconcile({ ...options, repair: true })).length).toBe(3);
  expect(await reconcile(options)).toEqual([]);
});
