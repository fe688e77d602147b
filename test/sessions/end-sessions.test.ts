/** Whatever ends sessions raises the same not-before: never lowered, never too early, and never without being told. */
import { env } from 'cloudflare:workers';
import { sql } from 'drizzle-orm';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { decide, instant } from '../../src/sessions/check';
import { runBatch } from '../../src/store/d1/batch';
import { signOutUser } from '../../src/store/directory/user-changes';
import { CLOCK } from '../../src/store/journal/end-sessions';
import { signOutOrg } from '../../src/store/operations/orgs';
import { OrgStore } from '../../src/store/org/open';
import { type Answer, admin, type Idp, newIdp } from '../support/client';
import { flagOf, settled, userRow, writtenFlag } from '../support/coordinator';
import { journal, rows } from '../support/database';
import { fillGroup, fillUsers, userId } from '../support/fill';
import { forbidLowering, publications, unreachable } from '../support/outbox';
import { Random } from '../support/random';

beforeAll(async () => {
  await forbidLowering();
  const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  return () => log.mockRestore();
});

const active = (value: boolean) => [{ op: 'replace', path: 'active', value }];
const actor = { name: 'admin:test', requestId: 'test' };
const orgRow = async ({ orgId }: Idp) =>
  (await rows('SELECT not_before, disabled_at, event_seq FROM orgs WHERE id = ?', orgId))[0]!;
const notBefore = async ({ orgId }: Idp, id: string) => (await userRow(orgId, id)).not_before;
const signOut = ({ slug }: Idp, user: string, ask = {}) =>
  admin('POST', `/orgs/${slug}/users/${user}/sign-out`, { body: {}, ...ask });
const ofOrg = ({ slug }: Idp, verb: string, ask = {}) => admin('POST', `/orgs/${slug}/${verb}`, { body: {}, ...ask });
const set = ({ slug }: Idp, settings: Record<string, string>) =>
  admin('PATCH', `/orgs/${slug}`, { body: { settings } });

describe('the clock', () => {
  it('of D1 is read to the very millisecond', async () => {
    // The same instant, put together from text, so that nothing is lost on the way.
    const exact = sql`CAST(strftime('%s', 'now') AS INTEGER) * 1000 + CAST(substr(strftime('%f', 'now'), 4) AS INTEGER)`;
    for (let i = 0; i < 20; i++) {
      const read = await runBatch(
        env.DB,
        Array.from({ length: 50 }, () => sql`SELECT ${CLOCK} AS clock, ${exact} AS exact`),
      );
      for (const [row] of read) expect(row!['clock']).toBe(row!['exact']);
      await scheduler.wait(3);
    }
  });

  it('of the Worker counts where it is ahead of D1’s, and D1’s where the Worker’s is behind', async () => {
    const idp = await newIdp('clocks');
    const { id } = await idp.user('ada');
    const storeAt = (now: number) => new OrgStore(env.DB, { kind: 'id', id: idp.orgId }, now);
    const started = Date.now();
    await signOutUser(storeAt(started - 3_600_000), id, actor, {});
    await signOutOrg(storeAt(started - 3_600_000), actor, {});
    expect(await notBefore(idp, id)).toBeGreaterThanOrEqual(started);
    expect((await orgRow(idp))['not_before']).toBeGreaterThanOrEqual(started);
    const ahead = Date.now() + 3_600_000;
    await signOutUser(storeAt(ahead), id, actor, {});
    await signOutOrg(storeAt(ahead), actor, {});
    expect(await notBefore(idp, id)).toBe(ahead);
    expect((await orgRow(idp))['not_before']).toBe(ahead);
    // And now by a clock that is right: there is no way back.
    expect((await signOut(idp, id, { env: unreachable })).status).toBe(200);
    expect((await ofOrg(idp, 'sign-out', { env: unreachable })).status).toBe(200);
    expect((await idp.patch(`/Users/${id}`, active(false), { env: unreachable })).status).toBe(200);
    expect(await notBefore(idp, id)).toBe(ahead);
    expect((await orgRow(idp))['not_before']).toBe(ahead);
  });

  it('of the commit counts, not that of a request that waited', async () => {
    const idp = await newIdp('waited');
    const { id } = await idp.user('ada');
    let meanwhile = 0;
    const slow = {
      prepare: (text: string) => env.DB.prepare(text),
      batch: async (statements: D1PreparedStatement[]) => {
        await scheduler.wait(40);
        meanwhile = Date.now();
        return env.DB.batch(statements);
      },
    } as unknown as D1Database;
    for (const end of [
      () => signOut(idp, id, { env: { DB: slow, ...unreachable } }),
      () => idp.patch(`/Users/${id}`, active(false), { env: { DB: slow, ...unreachable } }),
      () => idp.delete(`/Users/${id}`, { env: { DB: slow, ...unreachable } }),
    ]) {
      expect((await end()).status).toBeLessThan(300);
      expect(await notBefore(idp, id)).toBeGreaterThanOrEqual(meanwhile);
    }
    for (const verb of ['sign-out', 'disable']) {
      expect((await ofOrg(idp, verb, { env: { DB: slow, ...unreachable } })).status).toBe(200);
      expect((await orgRow(idp))['not_before']).toBeGreaterThanOrEqual(meanwhile);
    }
  });

  it('of the host is taken at its word, and one that may be ahead by S is safe when it passes S less', () => {
    const end = Date.parse('2026-03-01T12:00:00.000Z');
    const states = [{ active: true, validAfter: end }];
    const ahead = 300_000;
    // Issued one second before the end, by a clock five minutes ahead: the rule asks no other clock.
    const stamp = end - 1_000 + ahead;
    expect(decide(states, stamp)).toEqual({ valid: true, reason: 'good' });
    expect(decide(states, stamp - ahead)).toEqual({ valid: false, reason: 'revoked' });
    // However much ahead it is up to that, nothing from before the end lives; what was issued S after it does.
    for (const skew of [0, 1, 1_000, ahead]) {
      for (const age of [0, 1, 60_000]) expect(decide(states, end - age + skew - ahead).valid).toBe(false);
      expect(decide(states, end + ahead + 1 + skew - ahead).valid).toBe(true);
    }
    // It ends with the next revocation that overtakes it, and at once where the user is inactive.
    expect(decide([{ active: true, validAfter: stamp }], stamp).valid).toBe(false);
    expect(decide([{ active: false, validAfter: end }], stamp)).toEqual({ valid: false, reason: 'inactive' });
    // A host behind, or one that keeps whole seconds, errs on the safe side.
    expect(decide(states, Math.floor((end + 999) / 1_000) * 1_000).valid).toBe(false);
  });
});

it('an instant in microseconds is refused: no revocation would ever reach the session', () => {
  const now = Date.now();
  expect(instant(now)).toBe(now);
  expect(() => instant(now * 1_000)).toThrow('looks like microseconds');
  expect(() => instant(now * 1_000_000)).toThrow('looks like microseconds');
});

describe('not-before', () => {
  it('is raised by each end of sessions, and lowered by nothing that follows', async () => {
    const idp = await newIdp('life');
    const { id } = await idp.user('ada', { externalId: 'ada' });
    const path = `/Users/${id}`;
    const ask = { env: unreachable }; // published at the end, once
    const raises: [string, () => Promise<Answer>][] = [
      ['a sign-out', () => signOut(idp, id, ask)],
      ['a second sign-out', () => signOut(idp, id, ask)],
      ['a deactivation', () => idp.patch(path, active(false), ask)],
      ['a sign-out of who is deactivated', () => signOut(idp, id, ask)],
      ['a reactivation: keeps', () => idp.patch(path, active(true), ask)],
      ['a second deactivation', () => idp.patch(path, active(false), ask)],
      ['a repeated deactivation: keeps', () => idp.patch(path, active(false), ask)],
      ['a reactivation by POST: keeps', () => idp.post('/Users', { userName: 'ada', externalId: 'ada' }, ask)],
      ['a deletion', () => idp.delete(path, ask)],
      ['a restoration: keeps', () => idp.post('/Users', { userName: 'ada' }, ask)],
      ['a second deletion', () => idp.delete(path, ask)],
      ['a restoration of someone inactive', () => idp.post('/Users', { userName: 'ada', active: false }, ask)],
      ['an ordinary change: keeps', () => idp.patch(path, [{ op: 'add', path: 'title', value: 'Head' }], ask)],
      ['a new userName, unless the org wants it: keeps', () => idp.put(path, { userName: 'countess' }, ask)],
    ];
    let before = 0;
    for (const [name, act] of raises) {
      const started = Date.now();
      expect((await act()).status, name).toBeLessThan(300);
      const now = (await notBefore(idp, id))!;
      if (name.endsWith('keeps')) expect(now, name).toBe(before);
      else expect(now, name).toBeGreaterThanOrEqual(Math.max(started, before));
      before = now;
      await scheduler.wait(2);
    }
    await env.ORG_COORDINATOR.getByName(idp.orgId).drain();
    expect(await flagOf(idp.orgId, id)).toEqual(writtenFlag(false, before));
    await settled(idp.orgId);
  });

  it('of the org is raised by its sign-out and its disabling, and kept by its enabling', async () => {
    const idp = await newIdp('org-life');
    let before = 0;
    for (const verb of ['sign-out', 'sign-out', 'disable', 'disable: keeps', 'sign-out', 'enable: keeps', 'disable']) {
      const started = Date.now();
      expect((await ofOrg(idp, verb.replace(': keeps', ''), { env: unreachable })).status).toBe(200);
      const now = (await orgRow(idp))['not_before'] as number;
      if (verb.endsWith('keeps')) expect(now, verb).toBe(before);
      else expect(now, verb).toBeGreaterThanOrEqual(Math.max(started, before));
      before = now;
      await scheduler.wait(2);
    }
    await env.ORG_COORDINATOR.getByName(idp.orgId).drain();
    expect(await flagOf(idp.orgId)).toEqual(writtenFlag(false, before));
  });
});

describe('what changes whether someone may be signed in', () => {
  it('is told, and asked to be published, one for one and in the same order; nothing else is', async () => {
    const idp = await newIdp('told');
    const ask = { env: unreachable };
    const ada = await idp.user('ada');
    const grace = await idp.user('grace');
    const group = (await idp.post('/Groups', { displayName: 'Sales', members: [{ value: ada.id }] })).body.id;
    expect(await publications(idp.orgId)).toEqual({ asked: [], told: [] });
    const expected: string[] = [];
    const step = async (act: Promise<Answer>, ...subjects: string[]) => {
      const answer = await act;
      expect(answer.status, answer.text).toBeLessThan(300);
      expected.push(...subjects);
      expect((await publications(idp.orgId)).told).toEqual(expected);
    };
    const path = `/Users/${ada.id}`;
    await step(idp.post('/Users', { userName: 'alan' }, ask));
    const off = await idp.post('/Users', { userName: 'off', active: false }, ask);
    expected.push(off.body.id);
    await step(idp.patch(path, [{ op: 'add', path: 'title', value: 'Head' }], ask));
    await step(idp.patch(path, active(false), ask), ada.id);
    await step(idp.patch(path, active(false), ask));
    await step(signOut(idp, ada.id, ask), ada.id);
    await step(idp.patch(path, active(true), ask), ada.id);
    await step(idp.put(path, { userName: 'countess' }, ask));
    await step(idp.patch(`/Groups/${group}`, [{ op: 'remove', path: 'members' }], ask));
    await step(idp.put(`/Groups/${group}`, { displayName: 'Sales', members: [{ value: ada.id }] }, ask));
    await set(idp, { signOutOnRename: 'true', signOutGroups: group });
    await step(idp.put(path, { userName: 'ada' }, ask), ada.id);
    await step(idp.put(path, { userName: 'ada2', active: false }, ask), ada.id);
    await step(idp.put(path, { userName: 'ada', active: true }, ask), ada.id, ada.id);
    const two = { displayName: 'Sales', members: [{ value: ada.id }, { value: grace.id }] };
    await step(idp.put(`/Groups/${group}`, two, ask));
    await step(idp.patch(`/Groups/${group}`, [{ op: 'remove', path: `members[value eq "${ada.id}"]` }], ask), ada.id);
    await step(idp.delete(`/Groups/${group}`, ask), grace.id);
    await step(idp.delete(path, ask), ada.id);
    await step(idp.post('/Users', { userName: 'ada' }, ask), ada.id);
    await step(ofOrg(idp, 'sign-out', ask), '');
    await step(ofOrg(idp, 'disable', ask), '');
    await step(ofOrg(idp, 'disable', ask));
    await step(ofOrg(idp, 'enable', ask), '');
    await step(admin('POST', `/orgs/${idp.slug}/scim`, { body: { enabled: false }, ...ask }));
    await step(admin('DELETE', `/orgs/${idp.slug}/tokens`));
    const { asked, told } = await publications(idp.orgId);
    expect(asked).toEqual(told);
    expect((await journal(idp.orgId)).map(({ seq }) => seq)).toEqual(
      Array.from({ length: (await orgRow(idp))['event_seq'] as number }, (_, i) => i + 1),
    );
  });

  it.each([1, 2, 3])('is told one for one after any history, here the one of seed %i', async (seed) => {
    const random = new Random(seed);
    const idp = await newIdp(`history-${seed}`);
    const ask = { env: unreachable };
    const people = await Promise.all(['a', 'b', 'c', 'd'].map((name) => idp.user(name)));
    const groups = await Promise.all(
      ['X', 'Y'].map(async (displayName) => (await idp.post('/Groups', { displayName })).body.id as string),
    );
    await set(idp, { signOutOnRename: 'true', signOutGroups: 'X,Y' });
    const one = () => `/Users/${random.pick(people).id}`;
    const group = () => `/Groups/${random.pick(groups)}`;
    const members = () => people.filter(() => random.chance(0.5)).map(({ id }) => ({ value: id }));
    const steps: (() => Promise<Answer>)[] = [
      () => idp.patch(one(), active(random.chance(0.5)), ask),
      () => idp.patch(one(), [{ op: 'replace', path: 'userName', value: `n${random.below(1e6)}` }], ask),
      () => idp.delete(one(), ask),
      () => idp.post('/Users', { userName: random.pick(people).userName, active: random.chance(0.5) }, ask),
      () => idp.patch(group(), [{ op: 'replace', path: 'members', value: members() }], ask),
      () => idp.patch(group(), [{ op: random.pick(['add', 'remove']), path: 'members', value: members() }], ask),
      () => (random.chance(0.2) ? idp.delete(group(), ask) : signOut(idp, random.pick(people).id, ask)),
      () => ofOrg(idp, random.pick(['disable', 'enable', 'enable', 'sign-out']), ask),
    ];
    for (let i = 0; i < 60; i++) {
      const answer = await random.pick(steps)();
      expect(answer.status, answer.text).toBeLessThan(500);
    }
    const { asked, told } = await publications(idp.orgId);
    expect(told.length).toBeGreaterThan(10);
    expect(asked).toEqual(told);
    const events = await journal(idp.orgId);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
    expect((await orgRow(idp))['event_seq']).toBe(events.length);
  });
});

describe('at once with other changes of the same person', () => {
  it('sign-outs lose nothing: each is told and asked for, and the flag ends as the row', async () => {
    const idp = await newIdp('at-once');
    const { id } = await idp.user('ada');
    const started = Date.now();
    const answers = await Promise.all(
      Array.from({ length: 24 }, (_, i) => {
        const ask = { env: unreachable };
        if (i % 4 === 0) return signOut(idp, id, ask);
        if (i % 4 === 1) return idp.patch(`/Users/${id}`, active(i % 8 === 1), ask);
        if (i % 4 === 2) return idp.patch(`/Users/${id}`, [{ op: 'add', path: 'title', value: `Head ${i}` }], ask);
        return ofOrg(idp, 'sign-out', ask);
      }),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const { asked, told } = await publications(idp.orgId);
    expect(asked).toEqual(told);
    const events = await journal(idp.orgId);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
    const count = (type: string) => events.filter((event) => event.type === type).length;
    expect([count('user.signed_out'), count('org.signed_out')]).toEqual([6, 6]);
    const row = await userRow(idp.orgId, id);
    expect(row.not_before).toBeGreaterThanOrEqual(started);
    await env.ORG_COORDINATOR.getByName(idp.orgId).drain();
    expect(await flagOf(idp.orgId, id)).toEqual(writtenFlag(row.active === 1, row.not_before));
    await settled(idp.orgId);
  });
});

describe('between orgs', () => {
  it('nothing is ended, not even where ids, names and groups are the same', async () => {
    const [one, two] = [await newIdp('same-one'), await newIdp('same-two')];
    for (const idp of [one, two]) {
      await fillUsers(idp, 3);
      await fillGroup(idp, 'team', 2);
      await set(idp, { signOutGroups: 'team', signOutOnRename: 'true' });
    }
    const theirs = async () => [
      await rows('SELECT id, active, not_before, version FROM users WHERE org_id = ? ORDER BY seq', two.orgId),
      await orgRow(two),
      await publications(two.orgId),
    ];
    const before = await theirs();
    await signOut(one, userId(1));
    await one.patch('/Groups/g-team', [{ op: 'remove', path: 'members', value: [{ value: userId(1) }] }]);
    await one.patch(`/Users/${userId(2)}`, [{ op: 'replace', path: 'userName', value: 'other' }]);
    await one.delete('/Groups/g-team');
    await one.delete(`/Users/${userId(3)}`);
    await ofOrg(one, 'sign-out');
    await ofOrg(one, 'disable');
    expect((await publications(one.orgId)).told).toHaveLength(7);
    expect(await theirs()).toEqual(before);
    expect((await two.get('/Users')).body.totalResults).toBe(3);
    expect(await flagOf(two.orgId)).toEqual(writtenFlag(true, 0));
  });

  it('another org’s user answers as nobody, and another org’s group cannot be named', async () => {
    const [one, two] = [await newIdp('theirs-one'), await newIdp('theirs-two')];
    const { id } = await two.user('ada');
    const group = (await two.post('/Groups', { displayName: 'Sales' })).body.id;
    const [nobody, stranger] = [await signOut(one, crypto.randomUUID()), await signOut(one, id)];
    expect([stranger.status, stranger.body]).toEqual([404, nobody.body]);
    expect(await notBefore(two, id)).toBeNull();
    for (const named of [group, 'Sales']) expect((await set(one, { signOutGroups: named })).status).toBe(400);
  });
});
