/** The limits that only Cloudflare enforces: each one throws here as it does there, in every test of this project. */
import { createScheduledController } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import worker from '../src/index';
import { newIdp } from './support/client';
import { coordinatorOf, rebind } from './support/coordinator';
import { Invocation, MAX_KV_OPERATIONS, MAX_QUERIES, MAX_VALUE } from './support/platform';

const one = (text: string, ...values: unknown[]) => env.DB.batch([env.DB.prepare(text).bind(...values)]);
const rebound = (text: string, ...values: unknown[]) =>
  env.DB.prepare(text)
    .bind(...values)
    .all();

it('a value of more than 2,000,000 bytes cannot be bound, counted in bytes and not in characters', async () => {
  await one('SELECT length(?) AS n', 'x'.repeat(MAX_VALUE));
  for (const text of ['x'.repeat(MAX_VALUE + 1), 'é'.repeat(MAX_VALUE / 2 + 1)]) {
    await expect(one('SELECT length(?) AS n', text)).rejects.toThrow('SQLITE_TOOBIG');
    await expect(rebound('SELECT length(?) AS n', text)).rejects.toThrow('SQLITE_TOOBIG');
  }
});

it('a row of more than 2,000,000 bytes is neither answered nor stored', async () => {
  await expect(one(`SELECT hex(zeroblob(${MAX_VALUE / 2 + 1})) AS text`)).rejects.toThrow('SQLITE_TOOBIG');
  await expect(one('SELECT ?1 AS a, ?1 AS b', 'x'.repeat(MAX_VALUE / 2 + 1))).rejects.toThrow('SQLITE_TOOBIG');
  const insert = (length: number) =>
    one(
      `INSERT INTO schemas (org_id, urn_key, resource_type, definition, added_at) VALUES ('o', 'u', 'User', ?, 0)`,
      'x'.repeat(length),
    );
  await insert(MAX_VALUE);
  const halves = ['x'.repeat(MAX_VALUE / 2), 'x'.repeat(MAX_VALUE / 2 + 1)];
  await expect(one('UPDATE schemas SET urn_key = ?, definition = ?', ...halves)).rejects.toThrow('SQLITE_TOOBIG');
});

it('a statement has at most 100,000 bytes and 100 parameters', async () => {
  await expect(one(`SELECT '${'x'.repeat(100_000)}'`)).rejects.toThrow('statement too long');
  await expect(one(`SELECT ${Array(101).fill('?').join()}`, ...Array(101).fill(1))).rejects.toThrow('too many SQL');
});

it('one call to D1 answers at most 50 MB', async () => {
  const rows = (n: number) =>
    one(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${n})
    SELECT hex(zeroblob(450000)) AS text FROM n`);
  await rows(10);
  await expect(rows(56)).rejects.toThrow('too large');
});

it('one invocation makes at most 1,000 queries of D1, whoever is bound to it', async () => {
  const invocation = new Invocation();
  await invocation.run(async () => {
    invocation.queries = MAX_QUERIES - 1;
    await one('SELECT 1');
    await expect(one('SELECT 1')).rejects.toThrow('Too many API requests');
  });
  await one('SELECT 1');
});

it('where a test says so, each statement of a batch is one of the 1,000 queries', async () => {
  const strict = new Invocation({ statements: 1_000 });
  const batch = (n: number) => env.DB.batch(Array.from({ length: n }, () => env.DB.prepare('SELECT 1')));
  await strict.run(() => batch(1_000));
  await expect(strict.run(() => batch(1))).rejects.toThrow('Too many API requests');
  expect(strict).toMatchObject({ queries: 2, statements: 1_001 });
});

it('KV takes one write a second to a key from the service, and 1,000 operations an invocation', async () => {
  const invocation = new Invocation();
  await invocation.run(async () => {
    await env.REVOCATIONS.put('key', 'a');
    await expect(env.REVOCATIONS.put('key', 'b')).rejects.toThrow('KV PUT failed: 429 Too Many Requests');
    await env.REVOCATIONS.put('other', 'b');
    invocation.kvOperations = MAX_KV_OPERATIONS - 1;
    await env.REVOCATIONS.get('key');
    await expect(env.REVOCATIONS.get('key')).rejects.toThrow('Too many API requests');
  });
});

it('KV refuses a life of less than 60 seconds, a long key and a large value', async () => {
  const kv = env.REVOCATIONS;
  await expect(kv.put('key', 'a', { expirationTtl: 59 })).rejects.toThrow('400');
  await expect(kv.put('k'.repeat(513), 'a')).rejects.toThrow('414');
  await expect(kv.put('key', 'x'.repeat(26_214_401))).rejects.toThrow('413');
});

it('a request, the coordinator and the cron are each under these limits', async () => {
  const idp = await newIdp('limits');
  await idp.get('/Users'); // notes the use of the token
  const invocation = new Invocation();
  await idp.get('/Users', { invocation });
  expect(invocation).toMatchObject({ queries: 1, connections: 1 });
  const { id } = await idp.user('ada@limits.test');
  const used: Invocation[] = [];
  const watching = {
    ...env,
    DB: {
      prepare: (text: string) => env.DB.prepare(text),
      batch: (statements: D1PreparedStatement[]) => {
        used.push(Invocation.current!);
        return env.DB.batch(statements);
      },
    } as unknown as D1Database,
  };
  await rebind(idp.orgId, watching);
  await coordinatorOf(idp.orgId).publish(id);
  expect(used.at(-1)).toMatchObject({ queries: 1, kvOperations: 1 });
  await worker.scheduled(createScheduledController({ cron: '* * * * *', scheduledTime: new Date() }), watching);
  expect(used.at(-1)!.queries).toBeGreaterThan(3);
  await rebind(idp.orgId, {});
});

it('how many connections a request has open at once is counted, for the seventh waits', async () => {
  const invocation = new Invocation();
  await invocation.run(() => Promise.all(Array.from({ length: 7 }, () => env.REVOCATIONS.get('key'))));
  expect(invocation.connections).toBe(7);
  const idp = await newIdp('connections');
  const { id } = await idp.user('ada@connections.test');
  const deleting = new Invocation();
  await idp.delete(`/Users/${id}`, { invocation: deleting });
  expect(deleting.connections).toBeLessThanOrEqual(6);
});
