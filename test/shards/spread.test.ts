import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Env } from '../../src/env';
import { writeKvProbe } from '../../src/sessions/kv-lag';
import { type Databases, databaseOf } from '../../src/store/d1/databases';
import { homes, Unbound } from '../../src/store/d1/homes';
import { readPublication } from '../../src/store/journal/outbox';
import { adopt } from '../../src/store/operations/shards';
import { type Answer, type Ask, admin, ask, BASE, host, idpOf } from '../support/client';
import { count, databaseNamed, databases, NAMES, newIdpIn, whereIs, without } from './databases';

interface Listed {
  name: string;
  orgs: number;
  state: string;
}

describe('a new org', () => {
  it('goes to the database with the fewest orgs, so that they stay even', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 12; i++) ids.push((await admin('POST', '/orgs', { body: { slug: `even-${i}` } })).body.id);
    const { body } = await admin('GET', '/shards');
    expect(body.map(({ name, orgs, state }: Listed) => [name, orgs, state])).toEqual(
      NAMES.map((name) => [name, 3, 'open']),
    );
    for (const id of ids) expect(await whereIs(id)).toHaveLength(1);
  });

  it('goes to the database that is asked for', async () => {
    const { orgId } = await newIdpIn('DB_2', 'asked');
    expect(await whereIs(orgId)).toEqual(['DB_2']);
  });

  it('is refused a slug that an org of another database has', async () => {
    await newIdpIn('DB_1', 'taken-1');
    await newIdpIn('DB', 'taken-0');
    for (const shard of NAMES) {
      for (const slug of ['taken-0', 'taken-1']) {
        const answer = await admin('POST', '/orgs', { body: { slug, shard } });
        expect([shard, slug, answer.status]).toEqual([shard, slug, 409]);
      }
    }
    for (const slug of ['taken-0', 'taken-1'])
      expect((await admin('POST', '/orgs', { body: { slug } })).status).toBe(409);
  });

  it('is created once when twenty ask for one slug at a time', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => admin('POST', '/orgs', { body: { slug: 'race', shard: NAMES[i % 4] } })),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(19);
    const { id } = answers.find(({ status }) => status === 201)!.body;
    expect(await whereIs(id)).toHaveLength(1);
    expect((await admin('GET', '/orgs/race')).body.id).toBe(id);
  });

  it.each([
    ['DB_9', 'is not bound'],
    ['db', 'db is not bound: one of DB'],
    ['DB_0', 'is not bound'],
    ['a b', 'the name of a database was expected'],
  ])('is refused the database %s', async (shard, detail) => {
    const answer = await admin('POST', '/orgs', { body: { slug: 'nowhere', shard } });
    expect(answer.status).toBe(400);
    expect(answer.body.detail).toContain(detail);
    expect((await admin('GET', '/orgs/nowhere')).status).toBe(404);
  });
});

describe('a database that is bound for the first time', () => {
  it('is taken into use once when several do so at a time', async () => {
    await databaseNamed('DB_3').prepare('DELETE FROM shards').run();
    const bound = env as unknown as Databases;
    await Promise.all(Array.from({ length: 5 }, () => adopt(bound, 'DB_3', 1)));
    const { results } = await databaseNamed('DB_3').prepare('SELECT binding FROM shards').all();
    expect(results).toEqual([{ binding: 'DB_3' }]);
  });
});

describe('an org in another database', () => {
  it('is found by its token, its slug and its id, and is listed', async () => {
    const idp = await newIdpIn('DB_3', 'found');
    const user = await idp.user('ada@example.com', { externalId: 'ada' });
    homes.clear();
    expect((await idp.get(`/Users/${user.id}`)).status).toBe(200);
    for (const org of ['found', idp.orgId]) {
      homes.clear();
      const answer = await host('POST', '/resolve', { body: { org, userName: 'ada@example.com' } });
      expect(answer.body).toMatchObject({ found: true, id: user.id });
    }
    const { body } = await admin('GET', '/orgs');
    expect(body.map(({ slug }: { slug: string }) => slug)).toContain('found');
    expect(await count('DB_3', 'users', idp.orgId)).toBe(1);
  });

  it('is not answered for by a token of another database', async () => {
    const [a, b] = [await newIdpIn('DB_1', 'apart-1'), await newIdpIn('DB_2', 'apart-2')];
    const user = await a.user('ada@example.com');
    expect((await b.get(`/Users/${user.id}`)).status).toBe(404);
    const forged = idpOf('apart-2', b.orgId, `${b.token.slice(0, 30)}${a.token.slice(30)}`);
    expect((await forged.get('/Users')).status).toBe(401);
  });

  it('is nobody after it is deleted, and its slug is free', async () => {
    const idp = await newIdpIn('DB_1', 'gone');
    await idp.user('ada@example.com');
    expect((await admin('DELETE', '/orgs/gone?confirm=gone')).status).toBe(200);
    expect((await idp.get('/Users')).status).toBe(401);
    expect((await admin('GET', '/orgs/gone')).status).toBe(404);
    expect(await env.REVOCATIONS.get(`rev:v1:${idp.orgId}`, 'json')).toMatchObject({ active: false });
    const again = await newIdpIn('DB_2', 'gone');
    expect(await whereIs(again.orgId)).toEqual(['DB_2']);
  });

  it('takes a slug whose creation was cut off a minute ago', async () => {
    await env.DB.prepare(
      "INSERT INTO catalogue (org_id, slug, binding, since) VALUES ('lost', 'half-made', 'DB_1', 0)",
    ).run();
    expect((await admin('POST', '/orgs', { body: { slug: 'half-made' } })).status).toBe(201);
  });

  it('has the answers of no org for one that never was', async () => {
    expect((await admin('GET', '/orgs/never')).status).toBe(404);
    const { body, status } = await host('POST', '/check', {
      body: { org: 'never', user: 'x', issuedAt: new Date().toISOString() },
    });
    expect([status, body.valid]).toEqual([200, false]);
  });
});

describe('tokens of applications', () => {
  it('are good for orgs of every database, and dead everywhere once removed', async () => {
    const [a, b] = [await newIdpIn('DB_1', 'app-1'), await newIdpIn('DB_2', 'app-2')];
    for (const { user } of [a, b]) await user('ada@example.com');
    const made = await admin('POST', '/hosts', {
      body: { name: 'crm', orgs: ['app-1', b.orgId], scopes: ['resolve'] },
    });
    expect(made.status).toBe(201);
    expect(made.body.orgs).toEqual(['app-1', 'app-2']);
    const headers = { Authorization: `Bearer ${made.body.token}` };
    const resolve = (org: string) => host('POST', '/resolve', { headers, body: { org, userName: 'ada@example.com' } });
    expect((await resolve('app-1')).body.found).toBe(true);
    expect((await resolve('app-2')).body.found).toBe(true);
    const rotated = await admin('POST', '/hosts/crm/rotate', { body: { grace: '0' } });
    expect((await resolve('app-2')).status).toBe(401);
    headers.Authorization = `Bearer ${rotated.body.token}`;
    expect((await resolve('app-2')).body.found).toBe(true);
    await admin('DELETE', '/hosts/crm');
    for (const org of ['app-1', 'app-2']) expect((await resolve(org)).status).toBe(401);
  });
});

describe('a database that cannot be had', () => {
  beforeAll(async () => {
    await newIdpIn('DB_3', 'stranded');
  });

  it('makes its orgs 503, others go on, and the list of databases says it', async () => {
    const other = await newIdpIn('DB_1', 'afloat');
    homes.clear();
    expect((await admin('GET', '/orgs/stranded', { env: without('DB_3') })).status).toBe(503);
    expect((await other.get('/Users', { env: without('DB_3') })).status).toBe(200);
    const { body } = await admin('GET', '/shards', { env: without('DB_3') });
    expect(body.find(({ name }: Listed) => name === 'DB_3')).toMatchObject({ state: 'missing', bytes: null });
  });

  it('leaves its orgs 503, and never unknown, when no other database is bound any more', async () => {
    const [idp, other] = [await newIdpIn('DB_2', 'unbound'), await newIdpIn('DB', 'bound')];
    const { id } = await idp.user('ada@example.com');
    const gone = without('DB_1', 'DB_2', 'DB_3');
    for (const ask of [
      () => idp.get('/Users', { env: gone }),
      () => idp.get(`/Users/${id}`, { env: gone }),
      () => idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'displayName', value: 'Ada' }], { env: gone }),
      () => idp.delete(`/Users/${id}`, { env: gone }),
      () => admin('GET', '/orgs/unbound', { env: gone }),
      () =>
        host('POST', '/check', { env: gone, body: { org: 'unbound', user: id, issuedAt: new Date().toISOString() } }),
    ]) {
      homes.clear();
      const answer = await ask();
      expect([answer.status, answer.headers.get('Retry-After')]).toEqual([503, '60']);
      expect(answer.body.detail).toMatch(/^The database .*holds the organization.* is (not available|missing)/);
    }
    expect((await other.get('/Users', { env: gone })).status).toBe(200);
    const question = { email: 'ada@example.com' };
    expect((await host('POST', '/discover', { body: question, env: without('DB_2') })).body).toMatchObject({
      incomplete: true,
    });
    expect((await host('POST', '/discover', { body: question })).body).not.toHaveProperty('incomplete');
    for (const env of [gone, without('DB_2')]) {
      homes.clear();
      const status = await admin('GET', '/orgs/unbound/move', { env });
      expect(status.body).toEqual({ org: 'unbound', shard: 'DB_2', move: null });
    }
    const stranger = await newIdpIn('DB', 'stranger');
    await admin('DELETE', '/orgs/stranger?confirm=stranger');
    expect((await stranger.get('/Users', { env: gone })).status).toBe(401);
    const { body } = await admin('GET', '/shards', { env: gone });
    expect(body.find(({ name }: Listed) => name === 'DB_2')).toMatchObject({ state: 'missing' });
    expect((await admin('POST', '/orgs', { env: gone, body: { slug: 'unbound' } })).status).toBe(409);
    expect((await idp.get(`/Users/${id}`)).status).toBe(200);
  });

  it('is named by every list that lacks its orgs, whether it is missing, foreign or down', async () => {
    const [idp, other] = [await newIdpIn('DB_3', 'unlisted'), await newIdpIn('DB_1', 'listed')];
    await newIdpIn('DB_2', 'also-listed');
    const address = { url: 'https://hooks.example.com/unlisted' };
    const hook = (await admin('POST', '/webhooks', { body: { ...address, org: idp.slug } })).body.id;
    const ofAll = (await admin('POST', '/webhooks', { body: address })).body.id;
    await admin('POST', '/signals/receivers', { body: { name: 'some', orgs: [idp.slug, other.slug] } });
    const lists = ['/orgs', '/webhooks', `/webhooks/${ofAll}`, '/signals/receivers', '/signals/receivers/some'];
    const broken = () => Promise.reject(new Error('D1_ERROR: Network connection lost'));
    const down = { prepare: (text: string) => databaseNamed('DB_3').prepare(text), batch: broken };
    for (const [databases, env] of [
      [null, {}],
      ['DB_3', without('DB_3')],
      ['DB_3', { DB_3: down }],
      ['DB_3', { DB_3: databaseNamed('DB_1') }],
      ['DB_1, DB_2, DB_3', without('DB_1', 'DB_2', 'DB_3')],
    ] as [string | null, NonNullable<Ask['env']>][]) {
      for (const path of lists) {
        const answer = await admin('GET', path, { env });
        expect([path, answer.status, answer.headers.get('Incomplete-Databases')]).toEqual([path, 200, databases]);
      }
      const found = await admin('GET', `/webhooks/${hook}`, { env });
      expect(found.status).toBe(databases === null ? 200 : 503);
      const { body } = await admin('GET', '/orgs', { env });
      const slugs = body.map(({ slug }: { slug: string }) => slug);
      expect(slugs).toEqual([...new Set(slugs)]);
      expect(slugs.includes('unlisted')).toBe(databases === null);
    }
  });

  it('is counted in /health, without its name, and again when it is back', async () => {
    await newIdpIn('DB_3', 'counted');
    const noon = Date.parse('2026-11-29T12:00:00Z');
    const asked = async (minute: number, more: object = {}) => {
      await writeKvProbe({ ...env, ...more } as unknown as Env, noon + minute * 60_000);
      const { text, body } = await ask('GET', `${BASE}/health`);
      expect(text).not.toContain('DB');
      return body.databases;
    };
    await env.REVOCATIONS.delete('canary:v1');
    const down = { prepare: () => ({ first: () => Promise.reject(new Error('D1_ERROR: lost')) }) };
    const foreign = { DB_2: databaseNamed('DB_1') };
    expect(await asked(0)).toEqual({ open: 4 });
    expect(await asked(1, without('DB_3'))).toEqual({ open: 4 });
    expect(await asked(5, without('DB_3'))).toEqual({ missing: 1, open: 3 });
    expect(await asked(6, { DB_3: down, ...foreign })).toEqual({ failing: 1, foreign: 1, open: 2 });
    expect(await asked(7)).toEqual({ open: 4 });
  });

  it('is named when something is added to one of its orgs', async () => {
    await newIdpIn('DB_3', 'no-addition');
    const url = 'https://hooks.example.com/no-addition';
    for (const env of [without('DB_3'), without('DB_1', 'DB_2', 'DB_3')]) {
      for (const [path, body] of [
        ['/webhooks', { url, org: 'no-addition' }],
        ['/signals/receivers', { name: 'no-addition', orgs: ['no-addition'] }],
        ['/hosts', { name: 'no-addition', orgs: ['no-addition'] }],
      ] as const) {
        const answer = await admin('POST', path, { env, body });
        if (path === '/hosts' && answer.status === 201) continue; // `DB` alone has it
        expect([path, answer.status, answer.body.detail]).toEqual([
          path,
          503,
          expect.stringMatching(/^The database DB_3, which holds the .*org.*, is missing: bind it again/),
        ]);
      }
      await admin('DELETE', '/hosts/no-addition');
    }
    const typo = await admin('POST', '/signals/receivers', {
      env: without('DB_3'),
      body: { name: 'x', orgs: ['no-such'] },
    });
    expect([typo.status, typo.body.detail]).toEqual([400, 'orgs: there is no org no-such']);
  });

  it('does not make its users look deleted to the coordinator', async () => {
    const idp = await newIdpIn('DB_3', 'no-flag');
    const { id } = await idp.user('ada@example.com');
    const alone = databaseOf({ DB: env.DB }, idp.orgId);
    await expect(readPublication(alone, idp.orgId, id)).rejects.toThrow(Unbound);
  });

  it('lacks migrations: its orgs are 503, and no new org goes there', async () => {
    const idp = await newIdpIn('DB_2', 'old-schema');
    const db = databaseNamed('DB_2');
    const { results } = await db
      .prepare('SELECT name FROM d1_migrations ORDER BY name DESC LIMIT 1')
      .all<{ name: string }>();
    await db.prepare('DELETE FROM d1_migrations WHERE name = ?').bind(results[0]!.name).run();
    await db.prepare('ALTER TABLE users RENAME TO users_later').run();
    try {
      expect((await idp.get('/Users')).status).toBe(503);
      const { body } = await admin('GET', '/shards');
      expect(body.find(({ name }: Listed) => name === 'DB_2')).toMatchObject({ state: 'behind' });
      await db.prepare('ALTER TABLE users_later RENAME TO users').run();
      const { advice } = (await admin('GET', '/orgs/old-schema/health')).body;
      await db.prepare('ALTER TABLE users RENAME TO users_later').run();
      expect(advice[0]).toMatchObject({ says: expect.stringContaining('is behind'), command: 'shard list' });
      expect((await admin('POST', '/orgs', { body: { slug: 'too-early', shard: 'DB_2' } })).body.detail).toContain(
        'DB_2 is behind',
      );
    } finally {
      await db.prepare('ALTER TABLE users_later RENAME TO users').run();
      await db.prepare('INSERT INTO d1_migrations (name) VALUES (?)').bind(results[0]!.name).run();
    }
    expect((await idp.get('/Users')).status).toBe(200);
  });

  it('is not taken for a full one when every database lacks migrations', async () => {
    const last = 'SELECT name FROM d1_migrations ORDER BY name DESC LIMIT 1';
    const latest = (await env.DB.prepare(last).first<string>('name'))!;
    for (const db of databases) await db.prepare('DELETE FROM d1_migrations WHERE name = ?').bind(latest).run();
    try {
      const all = 'DB is behind, DB_1 is behind, DB_2 is behind, DB_3 is behind';
      for (const [shard, detail] of [
        [undefined, `shard: no database of the org's region takes new orgs: ${all} (shard list)`],
        ['DB_2', 'shard: DB_2 is behind: no other takes orgs (shard list)'],
      ])
        expect((await admin('POST', '/orgs', { body: { slug: 'nowhere', shard } })).body.detail).toBe(detail);
    } finally {
      for (const db of databases) await db.prepare('INSERT INTO d1_migrations (name) VALUES (?)').bind(latest).run();
    }
  });

  it('is bound under the name of another: its orgs are 503, and nobody is signed out', async () => {
    const idp = await newIdpIn('DB_1', 'swapped');
    const { id } = await idp.user('ada@example.com');
    for (const name of NAMES) await adopt(env as unknown as Databases, name, Date.now());
    const swapped = { DB_1: databaseNamed('DB_2'), DB_2: databaseNamed('DB_1') };
    const answer = await idp.get('/Users', { env: swapped });
    expect([answer.status, answer.headers.get('Retry-After')]).toEqual([503, '60']);
    expect(answer.body.detail).toBe('The database of the organization is bound to another one: try again in a minute');
    const shown = await admin('GET', '/orgs/swapped', { env: swapped });
    expect([shown.status, shown.body.detail]).toEqual([
      503,
      'What is bound as DB_1 is another database: bind it as it was (shard list)',
    ]);
    const body = { org: 'swapped', user: id, issuedAt: new Date().toISOString() };
    expect((await host('POST', '/check', { body, env: swapped })).status).toBe(503);
    expect((await idp.get('/Users')).status).toBe(200);
  });

  it('is bound as DB, alone: its orgs are 503', async () => {
    const idp = await newIdpIn('DB', 'misplaced');
    homes.clear();
    const wrong = { ...without('DB_1', 'DB_2', 'DB_3'), DB: databaseNamed('DB_1') };
    const answer = await idp.get('/Users', { env: wrong });
    expect([answer.status, answer.headers.get('Retry-After')]).toEqual([503, '60']);
    expect((await admin('GET', '/orgs/misplaced', { env: wrong })).body.detail).toContain(
      'bound as DB is the database DB_1',
    );
  });

  it('keeps known orgs served while the catalogue does not answer', async () => {
    const idp = await newIdpIn('DB_1', 'known');
    expect((await idp.get('/Users')).status).toBe(200);
    const dead = {
      prepare: env.DB.prepare.bind(env.DB),
      batch: () => Promise.reject(new Error('D1_ERROR: Network connection lost')),
    };
    expect((await idp.get('/Users', { env: { DB: dead as unknown as D1Database } })).status).toBe(200);
  });
});

describe('a request to an org of another database', () => {
  /** How often each database was asked. */
  async function trips(work: (env: NonNullable<Ask['env']>) => Promise<Answer>): Promise<Record<string, number>> {
    const asked: Record<string, number> = {};
    const counted = NAMES.map((name) => {
      const real = databaseNamed(name);
      const batch = (statements: D1PreparedStatement[]) => {
        asked[name] = (asked[name] ?? 0) + 1;
        return real.batch(statements);
      };
      return [name, { prepare: real.prepare.bind(real), batch }];
    });
    const answer = await work(Object.fromEntries(counted));
    expect(answer.status).toBeLessThan(300);
    return asked;
  }

  it('takes one round trip to read, create and delete, and two to change, as with one database', async () => {
    const idp = await newIdpIn('DB_2', 'trips');
    const { id } = await idp.user('ada@example.com');
    expect(await trips((env) => idp.get(`/Users/${id}`, { env }))).toEqual({ DB_2: 1 });
    expect(await trips((env) => idp.get('/Users?filter=userName eq "ada@example.com"', { env }))).toEqual({ DB_2: 1 });
    const body = { schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], userName: 'bob@example.com' };
    expect(await trips((env) => idp.post('/Users', body, { env }))).toEqual({ DB_2: 1 });
    const rename = [{ op: 'replace', path: 'displayName', value: 'Ada' }];
    expect(await trips((env) => idp.patch(`/Users/${id}`, rename, { env }))).toEqual({ DB_2: 2 });
    expect(await trips((env) => idp.delete(`/Users/${id}`, { env }))).toEqual({ DB_2: 1 });
  });

  it('asks the catalogue once in an isolate that does not know the org', async () => {
    const idp = await newIdpIn('DB_3', 'first-trip');
    await idp.get('/Users'); // the first use of a token is noted
    homes.clear();
    expect(await trips((env) => idp.get('/Users', { env }))).toEqual({ DB: 1, DB_3: 1 });
    expect(await trips((env) => idp.get('/Users', { env }))).toEqual({ DB_3: 1 });
  });
});
