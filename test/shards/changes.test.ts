/** What changes an org during its move without a request of its identity provider: nothing of it is lost, nothing removed comes back. */
import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import { warn } from '../../src/cron/credentials';
import { retain } from '../../src/cron/retention';
import { removeWaiting } from '../../src/provisioning/removal';
import type { Databases } from '../../src/store/d1/databases';
import { findMove } from '../../src/store/operations/moves';
import { Traffic } from '../../src/store/operations/traffic';
import { admin } from '../support/client';
import { newReceiver, POLL, removeReceivers } from '../support/ssf';
import { before, begin, databaseNamed, goOn, moveTo, type Name, newIdpIn, workUntilThere } from './databases';

vi.spyOn(console, 'error').mockImplementation(() => undefined);

const bound = env as unknown as Databases;
const DAY = 86_400_000;
const GROUP = 'urn:ietf:params:scim:schemas:core:2.0:Group';
const rows = async (name: Name, text: string, ...values: unknown[]) =>
  (
    await databaseNamed(name)
      .prepare(text)
      .bind(...values)
      .all<Record<string, unknown>>()
  ).results;

/** Once the whole journal is in the copy, and before writes are refused. */
const COPIED = /INSERT INTO frozen_orgs/;
/** Before the users of the copy are caught up. */
const goOnWith = (orgId: string, meant: RegExp, happens: () => Promise<unknown>) =>
  goOn(orgId, 0, before(meant, happens));
const attemptsOf = async (orgId: string) => (await findMove(bound.DB, orgId))?.place.attempts ?? 0;

describe('retention', () => {
  it('waits while an org moves, and goes on where it arrives: no event that was removed is in the new database', async () => {
    const idp = await newIdpIn('DB_1', 'retained');
    const { id } = await idp.user('ada@example.com');
    for (let i = 0; i < 5; i++) await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'title', value: `t${i}` }]);
    await admin('PATCH', '/orgs/retained', { body: { settings: { retainEvents: '1h' } } });
    const later = Date.now() + DAY;
    const detailed = (name: Name) =>
      rows(name, "SELECT seq FROM events WHERE org_id = ? AND details <> '{}' AND type LIKE 'user.%'", idp.orgId);
    await begin(idp.orgId, 'retained', 'DB_1', 'DB_2');
    let during: unknown[] = [];
    await goOnWith(idp.orgId, COPIED, async () => {
      await retain(bound, later);
      during = await detailed('DB_1');
      // A setting that is changed meanwhile does not wake it.
      await admin('PATCH', '/orgs/retained', { body: { settings: { retainEvents: '2h' } } });
      await retain(bound, later);
    });
    await workUntilThere(idp.orgId, 'DB_2');
    expect(during.length).toBeGreaterThan(5);
    expect(await rows('DB_2', 'SELECT retained_at FROM orgs WHERE id = ?', idp.orgId)).toEqual([{ retained_at: 0 }]);
    for (let i = 0; i < 3; i++) await retain(bound, later);
    expect(await detailed('DB_2')).toEqual([]);
  });

  it('that began before the move removes nothing after the copy has begun', async () => {
    const idp = await newIdpIn('DB_1', 'overtaken');
    await idp.user('ada@example.com');
    await admin('PATCH', '/orgs/overtaken', { body: { settings: { retainEvents: '1h' } } });
    const count = async (name: Name) => (await rows(name, 'SELECT seq FROM events WHERE org_id = ?', idp.orgId)).length;
    const had = await count('DB_1');
    const cron = before(/^DELETE FROM events INDEXED BY/, async () => {
      await begin(idp.orgId, 'overtaken', 'DB_1', 'DB_2');
      await goOnWith(idp.orgId, COPIED, () => Promise.reject(new Error('cut off')));
    });
    await retain({ ...bound, ...cron } as Databases, Date.now() + DAY);
    expect([await count('DB_1'), await count('DB_2')]).toEqual([had, had]);
    await workUntilThere(idp.orgId, 'DB_2');
    // The event of the move is one more. The next run removes what is old.
    expect(await count('DB_2')).toBe(had + 1);
    await retain(bound, Date.now() + 2 * DAY);
    expect(await count('DB_2')).toBeLessThan(had + 1);
  });

  it('goes through all again after an org was taken back, for its old copy has what was removed meanwhile', async () => {
    const idp = await newIdpIn('DB_1', 'back-again');
    const { id } = await idp.user('ada@example.com');
    await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'title', value: 'secret' }]);
    await admin('PATCH', '/orgs/back-again', { body: { settings: { retainEvents: '1h' } } });
    await moveTo('DB_2', 'back-again');
    const later = Date.now() + DAY;
    await retain(bound, later);
    expect((await admin('DELETE', '/orgs/back-again/move', { body: {} })).status).toBe(202);
    await workUntilThere(idp.orgId, 'DB_1');
    for (let i = 0; i < 3; i++) await retain(bound, later);
    const told = await rows('DB_1', "SELECT seq FROM events WHERE org_id = ? AND details LIKE '%secret%'", idp.orgId);
    expect(told).toEqual([]);
  });

  it('goes on at once where a move is cancelled', async () => {
    const idp = await newIdpIn('DB_1', 'kept-on');
    await begin(idp.orgId, 'kept-on', 'DB_1', 'DB_2');
    await goOnWith(idp.orgId, COPIED, () => admin('DELETE', '/orgs/kept-on/move', { body: {} }));
    await goOn(idp.orgId);
    expect(await findMove(bound.DB, idp.orgId)).toBeUndefined();
    expect(await rows('DB_1', 'SELECT retained_at FROM orgs WHERE id = ?', idp.orgId)).toEqual([{ retained_at: 0 }]);
    expect((await idp.user('bob@example.com')).id).toBeTruthy();
  });
});

describe('a user', () => {
  it('who is erased during a move is erased in the new database, in the events before it too', async () => {
    const idp = await newIdpIn('DB_1', 'erased');
    const { id } = await idp.user('ada@example.com', { title: 'secret' });
    await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'title', value: 'secret too' }]);
    await begin(idp.orgId, 'erased', 'DB_1', 'DB_2');
    await goOnWith(idp.orgId, COPIED, () =>
      admin('POST', `/orgs/erased/users/${id}/erase?confirm=${id}`, { body: {} }),
    );
    await workUntilThere(idp.orgId, 'DB_2');
    expect(await attemptsOf(idp.orgId)).toBe(0);
    for (const table of ['users', 'events']) {
      const all = JSON.stringify(await rows('DB_2', `SELECT * FROM ${table} WHERE org_id = ?`, idp.orgId));
      expect([table, all.includes('secret'), all.includes('ada@')]).toEqual([table, false, false]);
    }
    const erased = await rows('DB_2', 'SELECT erased_at FROM users WHERE org_id = ? AND id = ?', idp.orgId, id);
    expect(erased[0]!['erased_at']).toEqual(expect.any(Number));
  });

  it('who comes or goes during a move takes the versions of groups along, and the copy is not begun again', async () => {
    const idp = await newIdpIn('DB_1', 'joining');
    const gone = await idp.user('gone@example.com');
    const body = { schemas: [GROUP], displayName: 'all', members: [{ value: gone.id }] };
    const group = (await idp.post('/Groups', body)).body.id;
    await admin('PATCH', '/orgs/joining', { body: { settings: { defaultGroup: group } } });
    await begin(idp.orgId, 'joining', 'DB_1', 'DB_2');
    // The order of events is that of the requests; the first look through the journal is before them.
    await goOnWith(idp.orgId, COPIED, async () => {
      await idp.user('new@example.com');
      await idp.delete(`/Users/${gone.id}`);
    });
    await workUntilThere(idp.orgId, 'DB_2');
    expect(await attemptsOf(idp.orgId)).toBe(0);
    const [there] = await rows('DB_2', 'SELECT version, member_count FROM groups WHERE id = ?', group);
    const [here] = await rows('DB_1', 'SELECT version, member_count FROM groups WHERE id = ?', group);
    expect(there).toEqual(here);
    expect(there!['member_count']).toBe(1);
  });
});

describe('a group', () => {
  it('of more members than one page is caught up page by page, and goes page by page', async () => {
    const idp = await newIdpIn('DB_1', 'crowded');
    const { orgId } = idp;
    const db = databaseNamed('DB_1');
    const groups: string[] = [];
    for (const displayName of ['kept', 'deleted'])
      groups.push((await idp.post('/Groups', { schemas: [GROUP], displayName })).body.id);
    const names = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 11000)';
    await db.batch([
      db
        .prepare(`${names} INSERT INTO users (org_id, id, user_name_key, active, version, created_at, modified_at, resource, folded)
        SELECT ?1, ?1 || i, 'u' || i, 1, 1, 1, 1, json_object('userName', 'u' || i), json_object('userName', 'u' || i) FROM n`)
        .bind(orgId),
      db
        .prepare(`INSERT INTO memberships (org_id, group_seq, is_group, member_seq)
        SELECT ?1, g.seq, 0, u.seq FROM groups AS g, users AS u WHERE g.org_id = ?1 AND u.org_id = ?1`)
        .bind(orgId),
      db.prepare('UPDATE groups SET member_count = 11000 WHERE org_id = ?1').bind(orgId),
      db.prepare('UPDATE orgs SET user_count = 11000, active_user_count = 11000 WHERE id = ?1').bind(orgId),
    ]);
    await begin(orgId, 'crowded', 'DB_1', 'DB_2');
    let left = [0, 0];
    await goOnWith(orgId, COPIED, async () => {
      const gone = [`${orgId}7`, `${orgId}9000`].map((id) => ({ op: 'remove', path: `members[value eq "${id}"]` }));
      left = [
        (await idp.patch(`/Groups/${groups[0]}`, gone)).status,
        (await idp.delete(`/Groups/${groups[1]}`)).status,
      ];
    });
    expect(left).toEqual([expect.any(Number), 204]);
    // A deleted group's last memberships are removed by the cron.
    await removeWaiting(bound);
    await workUntilThere(orgId, 'DB_2');
    expect(await attemptsOf(orgId)).toBe(0);
    const [found] = await rows(
      'DB_2',
      'SELECT count(*) AS n, count(DISTINCT group_seq) AS groups FROM memberships WHERE org_id = ?',
      orgId,
    );
    expect(found).toEqual({ n: 10_998, groups: 1 });
  });
});

describe('what the cron and other isolates write', () => {
  it('lines of signals go on from their place, switched as their streams are there', async () => {
    const idp = await newIdpIn('DB_1', 'signalled');
    const receiver = await newReceiver();
    for (let i = 0; i < 2; i++) await receiver.api('POST', '/streams', { body: { delivery: { method: POLL } } });
    const linesIn = (name: Name) =>
      rows(name, 'SELECT stream_id, place, is_open FROM signal_lines WHERE org_id = ? ORDER BY stream_id', idp.orgId);
    const [one, other] = (await linesIn('DB_1')) as [Record<string, unknown>, Record<string, unknown>];
    await idp.user('ada@example.com');
    await begin(idp.orgId, 'signalled', 'DB_1', 'DB_2');
    // The copy of one stream is lost in the new database, and the other one is paused while the org is on its way.
    await databaseNamed('DB_2').prepare('DELETE FROM signal_streams WHERE id = ?').bind(one['stream_id']).run();
    await goOnWith(idp.orgId, /INSERT OR REPLACE INTO orgs/, async () => {
      const body = { stream_id: other['stream_id'], status: 'paused' };
      expect((await receiver.api('POST', '/status', { body })).status).toBe(200);
    });
    await workUntilThere(idp.orgId, 'DB_2');
    expect(await linesIn('DB_2')).toEqual([one, { ...other, is_open: 0 }]);
    await removeReceivers();
  });

  it('warnings before an expiry come once, and not from a copy that has no journal', async () => {
    const idp = await newIdpIn('DB_1', 'expiring');
    const soon = Date.now() + DAY / 2;
    await databaseNamed('DB_1')
      .prepare('UPDATE credentials SET valid_until = ? WHERE org_id = ?')
      .bind(soon, idp.orgId)
      .run();
    await begin(idp.orgId, 'expiring', 'DB_1', 'DB_2');
    await goOnWith(idp.orgId, /INSERT OR REPLACE INTO moved_orgs/, () => warn(bound));
    await workUntilThere(idp.orgId, 'DB_2');
    const told = () => rows('DB_2', "SELECT seq FROM events WHERE org_id = ? AND type = 'token.expiring'", idp.orgId);
    expect(await told()).toHaveLength(0);
    await warn(bound);
    await warn(bound);
    expect(await told()).toHaveLength(1);
  });

  it('counts wait until the org is there', async () => {
    const idp = await newIdpIn('DB_1', 'counted');
    const traffic = new Traffic();
    traffic.interval = 10;
    const one = { orgId: idp.orgId, day: 20_000, operation: 'GET /Users', count: 1, refused: 0, failed: 0 };
    await traffic.add(bound, one as never);
    await begin(idp.orgId, 'counted', 'DB_1', 'DB_2');
    await goOnWith(idp.orgId, /INSERT OR REPLACE INTO moved_orgs/, () =>
      traffic.add(bound, one as never).catch(() => undefined),
    );
    await workUntilThere(idp.orgId, 'DB_2');
    await traffic.add(bound, one as never);
    const counted = await rows(
      'DB_2',
      'SELECT sum(count) AS n FROM traffic WHERE org_id = ? AND day = 20000',
      idp.orgId,
    );
    expect(counted).toEqual([{ n: 3 }]);
  });
});
