import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { bindingsOf, type Databases } from '../../src/store/d1/databases';
import { homes } from '../../src/store/d1/homes';
import { findMove, insertMove } from '../../src/store/operations/moves';
import { adopt } from '../../src/store/operations/shards';
import { exported, type Line, lasting } from '../support/archive';
import { admin, host, type Idp } from '../support/client';
import { count, databaseNamed, done, goOn, moveTo, NAMES, type Name, newIdpIn, statusOf, whereIs } from './databases';

/** The tables that move with an org. */
const TABLES = ['users', 'user_emails', 'deleted_emails', 'groups', 'memberships', 'events', 'credentials'] as const;

/** Users of every kind, nested groups, an app's token, a deleted user and some history. */
async function filled(shard: Name, slug: string): Promise<{ idp: Idp; users: string[]; groups: string[] }> {
  const idp = await newIdpIn(shard, slug);
  const users: string[] = [];
  for (let i = 0; i < 12; i++) {
    const name = `user-${i}@example.com`;
    users.push((await idp.user(name, { externalId: `e${i}`, emails: [{ value: name, primary: true }] })).id);
  }
  const groups: string[] = [];
  for (const displayName of ['all', 'some']) {
    const members = [...users.slice(0, displayName === 'all' ? 12 : 4), ...groups].map((value) => ({ value }));
    const schemas = ['urn:ietf:params:scim:schemas:core:2.0:Group'];
    groups.push((await idp.post('/Groups', { schemas, displayName, members })).body.id);
  }
  await idp.patch(`/Users/${users[1]}`, [{ op: 'replace', path: 'active', value: false }]);
  await idp.delete(`/Users/${users[2]}`);
  await admin('POST', `/orgs/${slug}/groups/${groups[0]}/permissions`, { body: { permissions: ['read'] } });
  return { idp, users, groups };
}

/** What an archive says, without what a move itself adds to the journal and the export's own event. */
const told = (lines: readonly Line[]) =>
  lasting(lines).filter(({ kind, type }) => kind !== 'end' && !/^org\.(?:move|exported)/.test(String(type)));

describe('an org that is moved', () => {
  it('is the same afterwards: archive, versions, members, token, sessions and journal', async () => {
    const { idp, users, groups } = await filled('DB_1', 'same');
    const before = told(await exported('same'));
    const user = await idp.get(`/Users/${users[0]}`);
    const group = await idp.get(`/Groups/${groups[1]}`);
    const page = await idp.get('/Users?count=5&cursor=');
    const flag = await env.REVOCATIONS.get(`rev:v1:${idp.orgId}:${users[1]}`);
    await moveTo('DB_3', 'same');

    expect(await whereIs(idp.orgId)).toEqual(['DB_3']);
    expect(told(await exported('same'))).toEqual(before);
    const after = await idp.get(`/Users/${users[0]}`);
    expect([after.text, after.headers.get('ETag')]).toEqual([user.text, user.headers.get('ETag')]);
    expect((await idp.get(`/Groups/${groups[1]}`)).text).toBe(group.text);
    const rest = await idp.get(`/Users?count=5&cursor=${page.body.nextCursor}`);
    expect(rest.body.Resources).toHaveLength(5);
    expect(await env.REVOCATIONS.get(`rev:v1:${idp.orgId}:${users[1]}`)).toBe(flag);
    const issuedAt = new Date().toISOString();
    const check = (user: string) => host('POST', '/check', { body: { org: idp.orgId, user, issuedAt } });
    expect((await check(users[1]!)).body.valid).toBe(false);
    const { results } = await databaseNamed('DB_3')
      .prepare('SELECT seq, type FROM events WHERE org_id = ? ORDER BY seq')
      .bind(idp.orgId)
      .all<{ seq: number; type: string }>();
    expect(results.map(({ seq }) => seq)).toEqual(results.map((_, i) => i + 1));
    expect(results.map(({ type }) => type)).toEqual(expect.arrayContaining(['org.move_started', 'org.moved']));
  });

  it('goes on being written to: nothing that was changed during three moves is lost', async () => {
    const { idp, users, groups } = await filled('DB', 'busy');
    let isMoving = true;
    const active = new Map<string, boolean>();
    const load = async (mine: readonly string[], k: number) => {
      for (let round = 0; isMoving; round++) {
        for (const id of mine) {
          const is = (round + k) % 2 === 0;
          const patched = await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: is }]);
          if (patched.status === 200) active.set(id, is);
          else expect([503, patched.headers.get('Retry-After')]).toEqual([patched.status, expect.any(String)]);
          const change = [
            {
              op: is ? 'add' : 'remove',
              path: is ? 'members' : `members[value eq "${id}"]`,
              ...(is && { value: [{ value: id }] }),
            },
          ];
          const joined = await idp.patch(`/Groups/${groups[1]}`, change);
          expect([200, 204, 503]).toContain(joined.status);
        }
      }
    };
    const loads = [load(users.slice(4, 8), 0), load(users.slice(8, 12), 1)];
    try {
      for (const to of ['DB_1', 'DB_2', 'DB'] as const) await moveTo(to, 'busy');
    } finally {
      isMoving = false;
    }
    await Promise.all(loads);
    expect(await whereIs(idp.orgId)).toEqual(['DB']);
    expect(active.size).toBe(8);
    for (const [id, is] of active) {
      expect([id, (await idp.get(`/Users/${id}`)).body.active]).toEqual([id, is]);
      // Published before the answer, wherever the org was.
      const flag = await env.REVOCATIONS.get<{ active: boolean }>(`rev:v1:${idp.orgId}:${id}`, 'json');
      if (!is) expect(flag?.active).toBe(false);
    }
  });

  it('is read while it is frozen; writes get 503 with Retry-After', async () => {
    const { idp, users } = await filled('DB_2', 'frozen');
    const db = databaseNamed('DB_2');
    await db.prepare('INSERT INTO frozen_orgs (org_id, since) VALUES (?, 0)').bind(idp.orgId).run();
    expect((await idp.get(`/Users/${users[0]}`)).status).toBe(200);
    const refused = await idp.delete(`/Users/${users[0]}`);
    expect([refused.status, refused.headers.get('Retry-After')]).toEqual([503, expect.stringMatching(/^\d+$/)]);
    expect(refused.body.detail).toContain('moved');
    expect((await admin('PATCH', '/orgs/frozen', { body: { settings: { name: 'x' } } })).status).toBe(503);
    await db.prepare('DELETE FROM frozen_orgs').run();
    expect((await idp.delete(`/Users/${users[0]}`)).status).toBe(204);
  });

  it('is found by an isolate that still remembers where it was', async () => {
    const { idp, users } = await filled('DB_1', 'stale');
    await moveTo('DB_2', 'stale');
    homes.keep(`id:${idp.orgId}`, 'DB_1');
    expect((await idp.get(`/Users/${users[0]}`)).status).toBe(200);
    homes.keep(`id:${idp.orgId}`, 'DB_1');
    expect((await idp.patch(`/Users/${users[0]}`, [{ op: 'replace', path: 'active', value: false }])).status).toBe(200);
    homes.keep('name:stale', 'DB_1');
    expect((await admin('GET', '/orgs/stale')).status).toBe(200);
    expect((await idp.get(`/Users/${users[0]}`)).body.active).toBe(false);
  });

  it('leaves a copy for a day, without credentials, which nobody can ask', async () => {
    const { idp } = await filled('DB_1', 'copy');
    await moveTo('DB_2', 'copy');
    expect(await count('DB_1', 'users', idp.orgId)).toBe(12);
    expect(await count('DB_1', 'credentials', idp.orgId)).toBe(0);
    while (await goOn(idp.orgId, Date.now() + 1)) expect(true).toBe(true);
    for (const table of TABLES) expect([table, await count('DB_1', table, idp.orgId)]).toEqual([table, 0]);
    expect((await statusOf('copy')).move).toBeNull();
    expect(await count('DB_2', 'users', idp.orgId)).toBe(12);
  });
});

describe('a move that is cut off', () => {
  /** Databases of which one throws at the nth batch of all, before it or after it. */
  function breaking(nth: number, isAfter: boolean): Databases {
    let batches = 0;
    const broken = NAMES.map((name) => {
      const real = databaseNamed(name);
      const batch = async (statements: D1PreparedStatement[]) => {
        const mine = ++batches;
        // Nothing of a killed Worker goes on.
        if (mine > nth || (mine === nth && !isAfter)) throw new Error('D1_ERROR: Network connection lost');
        const results = await real.batch(statements);
        if (mine === nth) throw new Error('D1_ERROR: Network connection lost');
        return results;
      };
      return [name, { prepare: real.prepare.bind(real), batch }];
    });
    return Object.fromEntries(broken) as Databases;
  }

  beforeEach(() => {
    vi.spyOn(console, 'error').mockImplementation(() => undefined); // each cut is logged
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it.each([false, true])(
    'at any batch is gone on with, and nothing is lost or doubled (after it: %s)',
    async (isAfter) => {
      const slug = `cut-${isAfter}`;
      const { idp, users } = await filled('DB', slug);
      const before = told(await exported(slug));
      let [from, to]: Name[] = ['DB', 'DB_1'] as Name[];
      let cuts = 0;
      // Each round cuts a move a few batches later, until one is done before its cut.
      for (let nth = isAfter ? 5 : 1, isDone = false; !isDone; nth += 9) {
        for (const name of NAMES) await adopt(env as unknown as Databases, name, Date.now());
        await insertMove(env.DB, { orgId: idp.orgId, slug, source: from!, target: to!, by: 'test' }, Date.now());
        await goOn(idp.orgId, 0, breaking(nth, isAfter)).catch(() => undefined);
        isDone = (await findMove(env.DB, idp.orgId))?.state === 'done';
        if (!isDone) cuts++;
        for (let i = 0; i < 50 && (await findMove(env.DB, idp.orgId))?.state !== 'done'; i++) await goOn(idp.orgId);
        expect([nth, await whereIs(idp.orgId)]).toEqual([nth, [to]]);
        expect((await idp.get(`/Users/${users[0]}`)).status).toBe(200);
        [from, to] = [to, from];
      }
      expect(cuts).toBeGreaterThan(10);
      expect(told(await exported(slug))).toEqual(before);
      expect((await idp.patch(`/Users/${users[0]}`, [{ op: 'replace', path: 'active', value: false }])).status).toBe(
        200,
      );
    },
  );
});

describe('a move is cancelled', () => {
  it('before its switch: the copy goes, the org stays', async () => {
    const { idp, users } = await filled('DB_1', 'stop');
    await adopt(env as unknown as Databases, 'DB_2', Date.now());
    await insertMove(
      env.DB,
      { orgId: idp.orgId, slug: 'stop', source: 'DB_1', target: 'DB_2', by: 'test' },
      Date.now(),
    );
    const cancelled = await admin('DELETE', '/orgs/stop/move', { body: {} });
    expect(cancelled.status).toBe(202);
    for (let i = 0; i < 50 && (await statusOf('stop')).move !== null; i++) await goOn(idp.orgId);
    expect(await whereIs(idp.orgId)).toEqual(['DB_1']);
    expect(await count('DB_2', 'users', idp.orgId)).toBe(0);
    expect((await idp.delete(`/Users/${users[0]}`)).status).toBe(204);
  });

  it('before its switch, after an earlier move: the old copy goes too', async () => {
    const { idp } = await filled('DB_1', 'stop-again');
    await moveTo('DB_2', 'stop-again');
    const again = { orgId: idp.orgId, slug: 'stop-again', source: 'DB_2', target: 'DB_3', by: 'test' };
    await adopt(env as unknown as Databases, 'DB_3', Date.now());
    await insertMove(env.DB, again, Date.now());
    expect((await admin('DELETE', '/orgs/stop-again/move', { body: {} })).status).toBe(202);
    for (let i = 0; i < 50 && (await statusOf('stop-again')).move !== null; i++) await goOn(idp.orgId);
    expect(await count('DB_1', 'users', idp.orgId)).toBe(0);
    expect(await whereIs(idp.orgId)).toEqual(['DB_2']);
  });

  it('while it is frozen: writes are allowed again at once', async () => {
    const { idp, users } = await filled('DB_1', 'stop-frozen');
    await insertMove(
      env.DB,
      { orgId: idp.orgId, slug: 'stop-frozen', source: 'DB_1', target: 'DB_2', by: 'test' },
      Date.now(),
    );
    await env.DB.prepare("UPDATE moves SET state = 'finishing' WHERE org_id = ?").bind(idp.orgId).run();
    await databaseNamed('DB_1').prepare('INSERT INTO frozen_orgs (org_id, since) VALUES (?, 0)').bind(idp.orgId).run();
    expect((await admin('DELETE', '/orgs/stop-frozen/move', { body: {} })).status).toBe(202);
    expect((await idp.delete(`/Users/${users[0]}`)).status).toBe(204);
  });

  it('after its switch: the org is taken back while nothing was written to it', async () => {
    const { idp, users } = await filled('DB_1', 'back');
    const before = told(await exported('back'));
    await moveTo('DB_2', 'back');
    expect((await admin('DELETE', '/orgs/back/move', { body: { by: 'olga' } })).status).toBe(202);
    await done('back', 'DB_1');
    const { body } = await admin('GET', '/orgs/back/events?type=org.move_cancelled');
    expect(body.events.map(({ details }: { details: object }) => details)).toEqual([
      { from: 'DB_1', to: 'DB_2', by: 'olga' },
    ]);
    expect(await whereIs(idp.orgId)).toEqual(['DB_1']);
    expect(told(await exported('back'))).toEqual(before);
    expect((await idp.delete(`/Users/${users[0]}`)).status).toBe(204);
  });

  it('not when something was written to the org since', async () => {
    const { idp, users } = await filled('DB_1', 'late');
    await moveTo('DB_2', 'late');
    await idp.delete(`/Users/${users[0]}`);
    const refused = await admin('DELETE', '/orgs/late/move', { body: {} });
    expect([refused.status, refused.body.detail]).toEqual([409, expect.stringContaining('written to')]);
    expect(await whereIs(idp.orgId)).toEqual(['DB_2']);
  });

  it('not where there is none', async () => {
    await newIdpIn('DB', 'still');
    expect((await admin('DELETE', '/orgs/still/move', { body: {} })).status).toBe(404);
  });
});

describe('a move is refused', () => {
  it.each([
    ['to where the org is', { to: 'DB_1' }, 400],
    ['to a database that is not bound', { to: 'DB_7' }, 400],
    ['to a database that cannot be', { to: 'D1' }, 400],
    ['without a database', {}, 400],
  ])('%s', async (_, body, status) => {
    if ((await admin('GET', '/orgs/refused')).status === 404) await newIdpIn('DB_1', 'refused');
    expect((await admin('POST', '/orgs/refused/move', { body })).status).toBe(status);
    expect((await statusOf('refused')).move).toBeNull();
  });

  it('while another one is under way', async () => {
    const { orgId } = await newIdpIn('DB_1', 'twice');
    await insertMove(env.DB, { orgId, slug: 'twice', source: 'DB_1', target: 'DB_2', by: 'test' }, Date.now());
    expect((await admin('POST', '/orgs/twice/move', { body: { to: 'DB_3' } })).status).toBe(409);
  });

  it('in a dry run it only says what would be moved', async () => {
    const { idp } = await filled('DB_1', 'dry');
    const { body, status } = await admin('POST', '/orgs/dry/move', { body: { to: 'DB_2', dryRun: true } });
    expect([status, body]).toEqual([200, expect.objectContaining({ from: 'DB_1', to: 'DB_2', users: 11, groups: 2 })]);
    expect((await statusOf('dry')).move).toBeNull();
    expect(await whereIs(idp.orgId)).toEqual(['DB_1']);
  });
});

it('the databases of the tests are four', () => expect(bindingsOf(env as unknown as Databases)).toEqual([...NAMES]));
