import { env } from 'cloudflare:workers';
import { sql } from 'drizzle-orm';
import { describe, expect, it, vi } from 'vitest';
import { Busy, prepare, runBatch, Taken, Unmet } from '../../src/store/d1/batch';
import { admin, ask, newIdp } from '../support/client';

/** Notes what is prepared and bound; does nothing. */
function recorder() {
  const sent: { text: string; parameters: unknown[] }[] = [];
  const db = {
    prepare: (text: string) => ({ bind: (...parameters: unknown[]) => sent.push({ text, parameters }) }),
  } as unknown as D1Database;
  return { db, sent };
}

/** A database that answers every batch with this error. */
const failing = (message: string) =>
  ({
    prepare: (text: string) => env.DB.prepare(text),
    batch: () => Promise.reject(new Error(message)),
  }) as unknown as D1Database;

const SECRET = 'ada@secret.example';
const insertOrg = (id: string, slug: string) =>
  sql`INSERT INTO orgs (id, slug, name, created_at) VALUES (${id}, ${slug}, ${SECRET}, 1)`;
const slugs = async (like: string) =>
  (await env.DB.prepare('SELECT slug FROM orgs WHERE instr(slug, ?) = 1 ORDER BY slug').bind(like).all()).results;

describe('the parameters of a statement', () => {
  it('are bound once, however often they stand in it', () => {
    const { db, sent } = recorder();
    prepare(db, sql`SELECT ${'a'}, ${'b'}, ${'a'}, ${'c'}, ${'b'}`);
    expect(sent).toEqual([{ text: 'SELECT ?1, ?2, ?1, ?3, ?2', parameters: ['a', 'b', 'c'] }]);
  });

  it('are the same only when their types are, too', () => {
    const { db, sent } = recorder();
    prepare(db, sql`SELECT ${1}, ${'1'}, ${null}, ${'null'}, ${1}, ${null}`);
    expect(sent).toEqual([{ text: 'SELECT ?1, ?2, ?3, ?4, ?1, ?3', parameters: [1, '1', null, 'null'] }]);
  });

  it('stay few enough for D1 where one value stands in three hundred places', async () => {
    const many = sql.join(
      Array.from({ length: 300 }, () => sql`${'x'}`),
      sql`, `,
    );
    expect(await runBatch(env.DB, [sql`SELECT ${'x'} IN (${many}) AS found`])).toEqual([[{ found: 1 }]]);
  });

  it('arrive whole, whatever is in them', async () => {
    for (const text of ['?', "'; DROP TABLE users --", '?1 ?2', '"', '𝕏\n', '']) {
      const [rows] = await runBatch(env.DB, [sql`SELECT ${text} AS text, ${'other'} AS other`]);
      expect(rows).toEqual([{ text, other: 'other' }]);
    }
  });
});

describe('a batch', () => {
  it('answers the rows of each statement in order', async () => {
    expect(await runBatch(env.DB, [sql`SELECT 1 AS n`, sql`SELECT 2 AS n WHERE 0`, sql`SELECT 3 AS n`])).toEqual([
      [{ n: 1 }],
      [],
      [{ n: 3 }],
    ]);
  });

  it('that is aborted half-way changes nothing', async () => {
    const statements = [
      insertOrg('half-1', 'half-1'),
      sql`INSERT INTO expect (is_met, name) SELECT 0, 'version'`,
      insertOrg('half-2', 'half-2'),
    ];
    await expect(runBatch(env.DB, statements)).rejects.toThrow(Unmet);
    await expect(runBatch(env.DB, [insertOrg('half-1', 'half-1'), sql`SELECT * FROM nowhere`])).rejects.toThrow(
      'nowhere',
    );
    await expect(runBatch(env.DB, [insertOrg('half-1', 'half-1'), insertOrg('half-2', 'half-1')])).rejects.toThrow(
      Taken,
    );
    expect(await slugs('half-')).toEqual([]);
  });

  it('that hits a unique index says which columns, and never which value', async () => {
    await runBatch(env.DB, [insertOrg('taken-1', 'taken')]);
    const error = await runBatch(env.DB, [insertOrg('taken-2', 'taken')]).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(Taken);
    expect((error as Taken).columns).toBe('orgs.slug');
  });

  it('names every column of an index over several', async () => {
    const user = (id: string) =>
      sql`INSERT INTO users (org_id, id, user_name_key, active, version, created_at, modified_at, resource, folded)
        VALUES ('several', ${id}, ${SECRET}, 1, 1, 1, 1, '{}', '{}')`;
    const error = await runBatch(env.DB, [user('1'), user('2')]).catch((e: unknown) => e);
    expect((error as Taken).columns).toBe('users.org_id, users.user_name_key');
    expect(String(error)).not.toContain(SECRET);
  });

  it.each([
    ['a constraint', sql`INSERT INTO orgs (id, slug, name, created_at) VALUES (NULL, ${SECRET}, NULL, 1)`],
    ['a table that is not there', sql`SELECT ${SECRET} FROM nowhere`],
    ['a function that fails', sql`SELECT json_extract(${SECRET}, '$.a')`],
  ])('that fails on %s shows no bound value', async (_, statement) => {
    const error = await runBatch(env.DB, [statement]).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(Error);
    expect(`${error} ${JSON.stringify(error)}`).not.toContain(SECRET);
  });
});

describe('a database that is busy', () => {
  // Cloudflare, «Debug D1», list of D1 errors.
  const passing = [
    'D1_ERROR: D1 DB is overloaded. Requests queued for too long.',
    'D1_ERROR: D1 DB is overloaded. Too many requests queued.',
    'D1_ERROR: D1 DB reset because its code was updated.',
    'D1_ERROR: Network connection lost.',
    'D1_ERROR: Replica disconnected from primary.',
    'D1_ERROR: Cannot resolve D1 DB due to transient issue on remote node.',
    'D1_ERROR: Internal error in D1 DB storage caused object to be reset.',
    'D1_ERROR: Internal error while starting up D1 DB storage caused object to be reset.',
    'D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset.',
    'D1_ERROR: D1 DB exceeded its CPU time limit and was reset.',
    "D1_ERROR: D1 DB's isolate exceeded its memory limit and was reset.",
  ];
  it.each(passing)('is told from a mistake: %s', async (message) => {
    await expect(runBatch(failing(message), [sql`SELECT 1`])).rejects.toThrow(Busy);
  });

  it.each([
    'D1_ERROR: no such table: nowhere: SQLITE_ERROR',
    'D1_ERROR: Exceeded maximum DB size.',
    'D1_ERROR: near "x"',
  ])('is not what this is: %s', async (message) => {
    const error = await runBatch(failing(message), [sql`SELECT 1`]).catch((e: unknown) => e);
    expect(error).not.toBeInstanceOf(Busy);
    expect((error as Error).message).toBe(message);
  });

  it('answers 503 with a time to come back, at every door, and says nothing of the database', async () => {
    const idp = await newIdp('busy');
    const busy = { env: { DB: failing(passing[0]!) } };
    const answers = [
      await idp.get('/Users', busy),
      await idp.post('/Users', { userName: 'x' }, busy),
      await idp.delete('/Users/x', busy),
      await admin('GET', '/orgs/busy', busy),
    ];
    for (const { status, headers, text } of answers) {
      expect(status).toBe(503);
      expect(headers.get('Retry-After')).toMatch(/^\d+$/);
      expect(text).not.toMatch(/D1|overloaded/);
    }
  });

  it('with an error that nobody knows answers a 500 that says nothing of it', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const idp = await newIdp('odd');
    const { status, headers, text, body } = await idp.get('/Users', { env: { DB: failing('D1_ERROR: strange') } });
    expect(status).toBe(500);
    expect(JSON.parse(log.mock.calls[0]![0]).requestId).toBe(headers.get('X-Request-Id'));
    log.mockRestore();
    expect(body.schemas).toEqual(['urn:ietf:params:scim:api:messages:2.0:Error']);
    expect(text).not.toContain('strange');
    expect((await ask('GET', 'https://scim.test/health', { env: { DB: failing('down') } })).status).toBe(200);
  });
});
