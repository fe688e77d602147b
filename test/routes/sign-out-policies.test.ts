/** An org may want a new userName, or the loss of a group, to end sessions: whose, when, and at what price. */
import { env } from 'cloudflare:workers';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Env } from '../../src/env';
import { type Answer, admin, type Idp, newIdp } from '../support/client';
import { coordinatorOf, flagOf, settled, userRow, waiting, writtenFlag } from '../support/coordinator';
import { journal, rows } from '../support/database';
import { fillGroup, fillUsers, userId } from '../support/fill';
import { Meter } from '../support/meter';
import { forbidLowering, publications, unreachable } from '../support/outbox';

beforeAll(async () => {
  await forbidLowering();
  const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  return () => log.mockRestore();
});

let idp: Idp;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`policies-${++n}`);
});

const set = (settings: Record<string, string>, { slug } = idp) =>
  admin('PATCH', `/orgs/${slug}`, { body: { settings } });
const settings = async () => (await admin('GET', `/orgs/${idp.slug}`)).body.settings;
const newGroup = async (displayName: string, ...ids: string[]): Promise<string> => {
  const answer = await idp.post('/Groups', { displayName, members: ids.map((value) => ({ value })) });
  if (answer.status !== 201) throw new Error(answer.text);
  return answer.body.id;
};
const notBefore = async (id: string) => (await userRow(idp.orgId, id)).not_before;
const signedOut = async () => (await journal(idp.orgId)).filter(({ type }) => type === 'user.signed_out');
const replace = (path: string, value: unknown) => [{ op: 'replace', path, value }];

describe('a new userName', () => {
  const ways: [string, (id: string) => Promise<Answer>][] = [
    ['PATCH', (id) => idp.patch(`/Users/${id}`, replace('userName', 'countess'))],
    ['PUT', (id) => idp.put(`/Users/${id}`, { userName: 'countess' })],
    [
      'Bulk',
      (id) =>
        idp.post('/Bulk', {
          schemas: ['urn:ietf:params:scim:api:messages:2.0:BulkRequest'],
          Operations: [{ method: 'PUT', path: `/Users/${id}`, data: { userName: 'countess' } }],
        }),
    ],
  ];

  it.each(ways)('by %s ends the sessions issued before, published by the time of the answer', async (_, rename) => {
    await set({ signOutOnRename: 'true' });
    const { id } = await idp.user('ada');
    const before = Date.now();
    expect((await rename(id)).status).toBe(200);
    const at = await notBefore(id);
    expect(at).toBeGreaterThanOrEqual(before);
    expect(await flagOf(idp.orgId, id)).toEqual(writtenFlag(true, at));
    await settled(idp.orgId);
    const [updated, ended] = (await journal(idp.orgId, id)).slice(-2);
    expect([updated!.type, ended!.type]).toEqual(['user.updated', 'user.signed_out']);
    expect(ended).toMatchObject({ actor: 'idp', seq: updated!.seq + 1, details: { cause: 'rename' } });
  });

  it.each(ways)('by %s ends nothing unless the org wants it', async (_, rename) => {
    const { id } = await idp.user('ada');
    expect((await rename(id)).status).toBe(200);
    await set({ signOutOnRename: 'false' });
    await idp.patch(`/Users/${id}`, replace('userName', 'ada'));
    await set({ signOutOnRename: 'none' });
    await idp.patch(`/Users/${id}`, replace('userName', 'ada lovelace'));
    expect([await notBefore(id), await signedOut()]).toEqual([null, []]);
    expect(await flagOf(idp.orgId, id)).toBeNull();
  });

  it('is not one where only the letter case, or another attribute, changes', async () => {
    await set({ signOutOnRename: 'true' });
    const { id } = await idp.user('ada');
    await idp.patch(`/Users/${id}`, replace('userName', 'ADA'));
    await idp.put(`/Users/${id}`, { userName: 'ada', displayName: 'Ada', externalId: '7' });
    expect([await notBefore(id), await signedOut()]).toEqual([null, []]);
  });

  it('that is refused ends nothing', async () => {
    await set({ signOutOnRename: 'true' });
    const { id } = await idp.user('ada');
    await idp.user('grace');
    expect((await idp.patch(`/Users/${id}`, replace('userName', 'grace'))).status).toBe(409);
    expect((await idp.put(`/Users/${id}`, { userName: 'x' }, { headers: { 'If-Match': 'W/"9"' } })).status).toBe(412);
    expect([await notBefore(id), await signedOut()]).toEqual([null, []]);
    expect((await publications(idp.orgId)).asked).toEqual([]);
  });

  it('together with a deactivation ends the sessions once', async () => {
    await set({ signOutOnRename: 'true' });
    const { id } = await idp.user('ada');
    await idp.put(`/Users/${id}`, { userName: 'countess', active: false }, { env: unreachable });
    expect(await notBefore(id)).not.toBeNull();
    expect(await signedOut()).toEqual([]);
    expect((await publications(idp.orgId)).asked).toEqual([id]);
  });

  it('by many requests at once is told of as often as it changed', async () => {
    await set({ signOutOnRename: 'true' });
    const { id } = await idp.user('ada');
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        idp.patch(`/Users/${id}`, replace('userName', `ada-${i}`), { env: unreachable }),
      ),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(await signedOut()).toHaveLength(10);
    const { asked, told } = await publications(idp.orgId);
    expect(asked).toEqual(told);
  });
});

describe('the setting signOutGroups', () => {
  it('takes ids and displayNames, keeps ids, and each group once', async () => {
    const [sales, legal] = [await newGroup('Sales'), await newGroup('Legal')];
    expect((await set({ signOutGroups: `sALES, ${legal},Sales` })).body.settings).toEqual({
      signOutGroups: [sales, legal],
    });
    await idp.patch(`/Groups/${sales}`, replace('displayName', 'Partners'));
    expect((await settings()).signOutGroups).toEqual([sales, legal]);
    const event = (await journal(idp.orgId)).findLast(({ type }) => type === 'org.changed')!;
    expect(event.details.settings).toEqual({ signOutGroups: [sales, legal] });
    expect((await set({ signOutGroups: 'none' })).body.settings).toEqual({});
  });

  it('may be set together with the default group', async () => {
    const [sales, legal] = [await newGroup('Sales'), await newGroup('Legal')];
    const both = { defaultGroup: 'Sales', signOutGroups: 'Legal', signOutOnRename: 'true' };
    expect((await set(both)).body.settings).toEqual({
      defaultGroup: sales,
      signOutGroups: [legal],
      signOutOnRename: true,
    });
  });

  it('is refused when one of them is no group of this org, and no other setting changes then', async () => {
    await newGroup('Sales');
    for (const wrong of ['Sales,Nobody', crypto.randomUUID(), 'Sales,', ',', '', 'x,'.repeat(60)]) {
      const answer = await set({ signOutGroups: wrong, idp: 'okta' });
      expect([answer.status, answer.body.error]).toEqual([400, 'invalidValue']);
      expect(answer.body.detail).toMatch(/^signOutGroups(\.\d+)?: /);
    }
    expect((await set({ signOutOnRename: 'yes' })).body.detail).toBe('signOutOnRename: true or false was expected');
    expect(await settings()).toEqual({});
  });

  it('loses a group that is deleted, and ends with the last one', async () => {
    const [a, b, c] = [await newGroup('A'), await newGroup('B'), await newGroup('C')];
    await set({ signOutGroups: 'A,B' });
    await idp.delete(`/Groups/${c}`);
    expect((await settings()).signOutGroups).toEqual([a, b]);
    await idp.delete(`/Groups/${a}`);
    expect((await settings()).signOutGroups).toEqual([b]);
    await idp.delete(`/Groups/${b}`);
    expect(await settings()).toEqual({});
    const was = (await journal(idp.orgId)).filter(({ type }) => type === 'group.deleted');
    expect(was.map(({ details }) => details.wasSignOutGroup)).toEqual([false, true, true]);
    // One of the same name is another one.
    await newGroup('A');
    expect(await settings()).toEqual({});
  });
});

describe('leaving a named group', () => {
  let ada: string;
  let grace: string;
  let group: string;
  beforeEach(async () => {
    ada = (await idp.user('ada')).id;
    grace = (await idp.user('grace')).id;
    group = await newGroup('Sales', ada, grace);
    await set({ signOutGroups: 'Sales' });
  });
  const only = () => ({ displayName: 'Sales', members: [{ value: grace }] });

  const bulk = (...Operations: unknown[]) =>
    idp.post('/Bulk', { schemas: ['urn:ietf:params:scim:api:messages:2.0:BulkRequest'], Operations });
  it.each<[string, () => Promise<Answer>]>([
    [
      'PATCH with a value path',
      () => idp.patch(`/Groups/${group}`, [{ op: 'remove', path: `members[value eq "${ada}"]` }]),
    ],
    [
      'PATCH with a list',
      () => idp.patch(`/Groups/${group}`, [{ op: 'Remove', path: 'members', value: [{ value: ada }] }]),
    ],
    ['PATCH that replaces', () => idp.patch(`/Groups/${group}`, replace('members', [{ value: grace }]))],
    ['PUT', () => idp.put(`/Groups/${group}`, only())],
    ['PUT in a Bulk', () => bulk({ method: 'PUT', path: `/Groups/${group}`, data: only() })],
  ])('by %s ends the sessions of who leaves, and of nobody else, by the time of the answer', async (_, leave) => {
    const before = Date.now();
    expect((await leave()).status).toBe(200);
    const at = await notBefore(ada);
    expect(at).toBeGreaterThanOrEqual(before);
    expect(await flagOf(idp.orgId, ada)).toEqual(writtenFlag(true, at));
    await settled(idp.orgId);
    expect(await notBefore(grace)).toBeNull();
    const [updated, ended] = (await journal(idp.orgId)).slice(-2);
    expect(updated).toMatchObject({ type: 'group.updated', target_id: group, details: { left: [ada] } });
    expect(ended).toMatchObject({
      type: 'user.signed_out',
      seq: updated!.seq + 1,
      actor: 'idp',
      target_id: ada,
      details: { cause: 'group', group },
    });
  });

  it.each<[string, () => Promise<Answer>]>([
    ['a PATCH that removes all', () => idp.patch(`/Groups/${group}`, [{ op: 'remove', path: 'members' }])],
    ['the deletion of the group', () => idp.delete(`/Groups/${group}`)],
    ['its deletion in a Bulk', () => bulk({ method: 'DELETE', path: `/Groups/${group}` })],
  ])('is what everybody does by %s', async (_, leave) => {
    const before = Date.now();
    expect((await leave()).status).toBeLessThan(300);
    for (const id of [ada, grace]) {
      const at = await notBefore(id);
      expect(at).toBeGreaterThanOrEqual(before);
      expect(await flagOf(idp.orgId, id)).toEqual(writtenFlag(true, at));
    }
    expect((await signedOut()).map(({ target_id }) => target_id).sort()).toEqual([ada, grace].sort());
    await settled(idp.orgId);
    const events = await journal(idp.orgId);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
  });

  it('is not joining it, staying in it, or removing who is not there', async () => {
    const alan = (await idp.user('alan')).id;
    await idp.patch(`/Groups/${group}`, [{ op: 'add', path: 'members', value: [{ value: alan }] }]);
    await idp.put(`/Groups/${group}`, {
      displayName: 'Partners',
      members: [{ value: ada }, { value: grace }, { value: alan }],
    });
    const nobody = (await idp.user('nobody')).id;
    await idp.patch(`/Groups/${group}`, [{ op: 'remove', path: 'members', value: [{ value: nobody }] }]);
    await idp.patch(`/Groups/${group}`, [
      { op: 'remove', path: 'members', value: [{ value: ada }] },
      { op: 'add', path: 'members', value: [{ value: ada }] },
    ]);
    expect(await signedOut()).toEqual([]);
  });

  it('is not leaving another group, nor one that is in it: direct members alone count', async () => {
    const alan = (await idp.user('alan')).id;
    const inner = await newGroup('Inner', alan, ada);
    await idp.patch(`/Groups/${group}`, [{ op: 'add', path: 'members', value: [{ value: inner }] }]);
    await idp.patch(`/Groups/${inner}`, [{ op: 'remove', path: `members[value eq "${alan}"]` }]);
    await idp.patch(`/Groups/${group}`, [{ op: 'remove', path: `members[value eq "${inner}"]` }]);
    await idp.delete(`/Groups/${inner}`);
    expect(await signedOut()).toEqual([]);
  });

  it('by a deletion of the user is no sign-out of its own: the sessions are over anyway', async () => {
    await idp.delete(`/Users/${ada}`, { env: unreachable });
    expect(await signedOut()).toEqual([]);
    expect((await publications(idp.orgId)).asked).toEqual([ada]);
  });

  it('counts of who is deactivated, too: nothing from before comes back with a reactivation', async () => {
    await idp.patch(`/Users/${ada}`, replace('active', false), { env: unreachable });
    const before = (await notBefore(ada))!;
    await scheduler.wait(2);
    await idp.put(`/Groups/${group}`, only(), { env: unreachable });
    expect(await notBefore(ada)).toBeGreaterThan(before);
  });

  it('ends nothing when the change is refused', async () => {
    const stale = { headers: { 'If-Match': 'W/"9"' } };
    expect((await idp.put(`/Groups/${group}`, only(), stale)).status).toBe(412);
    expect((await idp.delete(`/Groups/${group}`, stale)).status).toBe(412);
    expect((await idp.put(`/Groups/${group}`, { ...only(), members: [{ value: group }] })).status).toBe(400);
    await newGroup('Legal');
    expect((await idp.put(`/Groups/${group}`, { ...only(), displayName: 'Legal' })).status).toBe(409);
    expect([await signedOut(), await notBefore(ada)]).toEqual([[], null]);
    expect((await publications(idp.orgId)).asked).toEqual([]);
  });

  it('is not what whoever left before the setting did, nor after its end', async () => {
    await set({ signOutGroups: 'none' });
    await idp.put(`/Groups/${group}`, only());
    await set({ signOutGroups: 'Sales' });
    await idp.patch(`/Groups/${group}`, replace('displayName', 'Partners'));
    expect(await signedOut()).toEqual([]);
  });

  it('of many groups at once, by requests at once, loses no sign-out', async () => {
    const people = await Promise.all(
      Array.from({ length: 10 }, async (_, i) => (await idp.user(`p${i}`)).id as string),
    );
    const groups = await Promise.all(['One', 'Two', 'Three'].map((name) => newGroup(name, ...people)));
    await set({ signOutGroups: 'One,Two' });
    const ask = { env: unreachable };
    const answers = await Promise.all([
      ...people
        .slice(0, 8)
        .flatMap((id) =>
          groups.map((name) =>
            idp.patch(`/Groups/${name}`, [{ op: 'remove', path: `members[value eq "${id}"]` }], ask),
          ),
        ),
      idp.delete(`/Groups/${groups[1]}`, ask),
      ...people.map((id) => idp.patch(`/Users/${id}`, replace('title', 'Head'), ask)),
    ]);
    expect(answers.every(({ status }) => [200, 204, 404].includes(status))).toBe(true);
    const left = (name: string, id: string) =>
      signedOut().then((events) => events.filter((e) => e.target_id === id && e.details.group === name).length);
    for (const [i, id] of people.entries()) {
      expect(await left(groups[0]!, id)).toBe(i < 8 ? 1 : 0);
      expect(await left(groups[1]!, id)).toBe(1);
      expect(await left(groups[2]!, id)).toBe(0);
      expect(await notBefore(id)).not.toBeNull();
    }
    const { asked, told } = await publications(idp.orgId);
    expect(asked).toEqual(told);
  });
});

describe('when many leave at once', () => {
  /** A coordinator that notes what it is asked, and does it. */
  const noting = () => {
    const calls: string[] = [];
    const getByName = (orgId: string) => ({
      publish(id: string) {
        calls.push('publish');
        return coordinatorOf(orgId).publish(id);
      },
      drain() {
        calls.push('drain');
        return coordinatorOf(orgId).drain();
      },
    });
    return { calls, env: { ORG_COORDINATOR: { getByName } as unknown as Env['ORG_COORDINATOR'] } };
  };

  it('fifty are published one by one, and more by one call for all that waits', async () => {
    await fillUsers(idp, 101);
    const [few, many] = [await fillGroup(idp, 'few', 50), await fillGroup(idp, 'many', 51)];
    await set({ signOutGroups: 'few,many' });
    const first = noting();
    await idp.delete(`/Groups/${few}`, { env: first.env });
    expect(first.calls).toEqual(Array(50).fill('publish'));
    const second = noting();
    await idp.delete(`/Groups/${many}`, { env: second.env });
    expect(second.calls).toEqual(['drain']);
    await settled(idp.orgId);
    expect(await flagOf(idp.orgId, userId(51))).toMatchObject({ active: true, notBefore: await notBefore(userId(51)) });
  });

  it('the answer waits ten seconds for a coordinator that hangs, no longer; the intent stays', async () => {
    await fillUsers(idp, 60);
    const group = await fillGroup(idp, 'many', 60);
    await set({ signOutGroups: 'many' });
    let asked = () => {};
    const isAsked = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const hanging = {
      getByName: () => ({
        drain: () => {
          asked();
          return new Promise(() => {});
        },
      }),
    } as unknown as Env['ORG_COORDINATOR'];
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const answer = idp.delete(`/Groups/${group}`, { env: { ORG_COORDINATOR: hanging } });
      await isAsked;
      await vi.advanceTimersByTimeAsync(10_000);
      expect((await answer).status).toBe(204);
    } finally {
      vi.useRealTimers();
    }
    expect(await waiting(idp.orgId)).toBe(60);
  });

  it('costs by those who leave, not by the group’s size, and reads nobody where the org does not want it', async () => {
    await fillUsers(idp, 20_000);
    const [small, large, free] = [
      await fillGroup(idp, 'small', 100),
      await fillGroup(idp, 'large', 20_000),
      await fillGroup(idp, 'free', 20_000),
    ];
    const meter = new Meter();
    const leaving = Array.from({ length: 10 }, (_, i) => ({ value: userId(i + 1) }));
    const leave = async (group: string, trips: number) => {
      meter.reset();
      const answer = await idp.patch(`/Groups/${group}`, [{ op: 'remove', path: 'members', value: leaving }], {
        env: { DB: meter.binding, ...unreachable },
      });
      expect(answer.status).toBeLessThan(300);
      expect(meter.roundTrips).toBe(trips);
      return { read: meter.rowsRead, written: meter.rowsWritten };
    };
    await idp.get('/Users?count=0'); // the use of the token is noted
    const without = await leave(free, 1);
    await set({ signOutGroups: 'small,large' });
    await idp.get('/Users?count=0'); // the isolate knows the new profile
    const [a, b] = [await leave(small, 2), await leave(large, 2)];
    const wholesale = (await meter.plans()).filter(
      (line) =>
        /^SCAN (users|memberships|events|outbox|orgs|m)\b/.test(line) ||
        /^SEARCH (?!l\b|webhook_lines|signal_lines).*\(org_id=\?\)$/.test(line),
    );
    // The org's webhooks and streams of signals, twenty at most each.
    // The latest number of the journal: the end of its index, and no more.
    expect(wholesale).toEqual(['SEARCH events USING COVERING INDEX sqlite_autoindex_events_1 (org_id=?)']);
    expect(b.written).toBe(a.written);
    expect(b.read - a.read).toBeLessThanOrEqual(40); // the other answered its 90 members
    expect(b.written - without.written).toBeLessThanOrEqual(10 * 9 + 2);
    await set({ signOutGroups: 'small' });
    await idp.get('/Users?count=0');
    const again = await fillGroup(idp, 'again', 20_000);
    const off = await leave(again, 1);
    expect([off.written, off.read - without.read <= 20]).toEqual([without.written, true]);
  });

  it('20,000 do so in one transaction, each with an event and an intent to publish, which the coordinator takes up', async () => {
    await fillUsers(idp, 20_000);
    const group = await fillGroup(idp, 'everyone', 20_000);
    await set({ signOutGroups: 'everyone' });
    await idp.get('/Users?count=0'); // the use of the token is noted, and the isolate knows the profile
    const meter = new Meter();
    const answer = await idp.delete(`/Groups/${group}`, { env: { DB: meter.binding, ...unreachable } });
    expect([answer.status, meter.roundTrips]).toEqual([204, 1]);
    expect(meter.rowsWritten).toBeLessThanOrEqual(10 * 20_000 + 50);
    expect(meter.rowsRead).toBeLessThanOrEqual(18 * 20_000);
    const [sums] = await rows(
      `SELECT (SELECT count(*) FROM users WHERE org_id = ?1 AND not_before IS NOT NULL) AS ended,
        (SELECT count(*) FROM outbox WHERE org_id = ?1) AS asked,
        (SELECT count(*) FROM events WHERE org_id = ?1 AND publishes = 1) AS told,
        (SELECT max(seq) = count(*) FROM events WHERE org_id = ?1) AS is_gapless,
        (SELECT event_seq FROM orgs WHERE id = ?1) = (SELECT max(seq) FROM events WHERE org_id = ?1) AS is_counted`,
      idp.orgId,
    );
    expect(sums).toEqual({ ended: 20_000, asked: 20_000, told: 20_000, is_gapless: 1, is_counted: 1 });
    expect(await env.ORG_COORDINATOR.getByName(idp.orgId).drain()).toBe(0);
    expect(await waiting(idp.orgId)).toBeLessThan(20_000);
  });
});
