/** Writes that need no read before them: one round trip each, what they refuse included (promises 5, 7 and 9). */
import { beforeAll, expect, it } from 'vitest';
import { type Answer, type Idp, newIdp } from '../support/client';
import { journal } from '../support/database';
import { fillUsers, userId } from '../support/fill';
import { Meter } from '../support/meter';
import { expectRefusal } from '../support/refusal';

const meter = new Meter();
const metered = { env: { DB: meter.binding } };
let idp: Idp;
let made = 0;

beforeAll(async () => {
  idp = await newIdp('trips');
  await fillUsers(idp, 40);
  await idp.get('/Users?count=0'); // the use of the token is noted
});

async function once(request: () => Promise<Answer>) {
  meter.reset();
  const answer = await request();
  return { answer, trips: meter.roundTrips, written: meter.rowsWritten };
}

const elements = (...ids: string[]) => ids.map((value) => ({ value }));
const patch = (id: string, op: 'add' | 'remove', ...ids: string[]) =>
  once(() => idp.patch(`/Groups/${id}`, [{ op, path: 'members', value: elements(...ids) }], metered));
async function newGroup(...members: string[]): Promise<string> {
  const answer = await idp.post('/Groups', { displayName: `Team ${made++}`, members: elements(...members) });
  expect(answer.status, answer.text).toBe(201);
  return answer.body.id;
}
const versionIn = ({ body }: Answer) => body.meta.version;
const membersIn = ({ body }: Answer) => (body.members ?? []).map(({ value }: { value: string }) => value);
const told = async (id: string) => (await journal(idp.orgId, id)).at(-1)!.details;

it('members who join are told apart from those who are in the group, and from unknown ids', async () => {
  const inner = await newGroup();
  const group = await newGroup(userId(1));
  const { answer, trips } = await patch(group, 'add', userId(1), userId(2), inner, 'nobody');
  expect([answer.status, trips, versionIn(answer)]).toEqual([200, 1, 'W/"2"']);
  expect(membersIn(answer)).toEqual([userId(1), userId(2), inner]);
  expect(await told(group)).toMatchObject({ joined: [userId(2), inner], joinedCount: 2, unknownMembers: ['nobody'] });
});

it('members who leave are told apart from those who are not in the group', async () => {
  const inner = await newGroup();
  const group = await newGroup(userId(1), userId(2), userId(3), inner);
  const { answer, trips } = await patch(group, 'remove', userId(2), userId(4), inner, 'nobody');
  expect([answer.status, trips, versionIn(answer)]).toEqual([200, 1, 'W/"2"']);
  expect(membersIn(answer)).toEqual([userId(1), userId(3)]);
  const details = await told(group);
  expect(details).toMatchObject({ left: [userId(2), inner], leftCount: 2 });
  expect(details).not.toHaveProperty('unknownMembers');
});

it('a change of members that changes nothing writes nothing, and unknown ids alone are only noted', async () => {
  const group = await newGroup(userId(1));
  for (const [op, id] of [
    ['add', userId(1)],
    ['remove', userId(2)],
    ['remove', 'nobody'],
  ] as const) {
    const { answer, trips, written } = await patch(group, op, id);
    expect([answer.status, trips, written, versionIn(answer)]).toEqual([200, 1, 0, 'W/"1"']);
  }
  expect(await journal(idp.orgId, group)).toHaveLength(1);
  const { answer, trips } = await patch(group, 'add', userId(1), 'nobody');
  expect([answer.status, trips, versionIn(answer)]).toEqual([200, 1, 'W/"1"']);
  const details = await told(group);
  expect(details).toMatchObject({ unknownMembers: ['nobody'] });
  expect(details).not.toHaveProperty('joined');
});

it('a change of members of an unknown group, or one that makes a cycle, changes nothing', async () => {
  const { answer, trips, written } = await patch('nowhere', 'add', userId(1), 'nobody');
  expectRefusal(answer, 404);
  expect([trips, written]).toEqual([1, 0]);
  const inner = await newGroup();
  const outer = await newGroup(inner);
  for (const group of [inner, outer]) {
    const cycle = await patch(inner, 'add', userId(1), group);
    expectRefusal(cycle.answer, 400, 'invalidValue');
    expect([cycle.trips, versionIn(await idp.get(`/Groups/${inner}`))]).toEqual([1, 'W/"1"']);
  }
  expect(membersIn(await idp.get(`/Groups/${inner}`))).toEqual([]);
});

it('the journal has no gap after changes that told nothing', async () => {
  const group = await newGroup(userId(5));
  await patch(group, 'add', userId(5));
  await patch(group, 'add', userId(6));
  await patch(group, 'remove', userId(7));
  await patch(group, 'remove', userId(6));
  const seqs = (await journal(idp.orgId)).map(({ seq }) => seq);
  expect(seqs).toEqual(seqs.map((_, i) => i + 1));
});

it('a deletion says in one round trip whether the resource or only its version is missing', async () => {
  const user = userId(10);
  const group = await newGroup(userId(11));
  for (const [path, there] of [
    ['/Users', user],
    ['/Groups', group],
  ] as const) {
    for (const [id, headers, status] of [
      ['nobody', {}, 404],
      ['nobody', { 'If-Match': 'W/"1"' }, 404],
      [there, { 'If-Match': 'W/"7"' }, 412],
      [there, { 'If-Match': 'W/"1"' }, 204],
      [there, { 'If-Match': 'W/"1"' }, 404],
    ] as const) {
      const { answer, trips } = await once(() => idp.delete(`${path}/${id}`, { ...metered, headers }));
      expect([path, answer.status, trips]).toEqual([path, status, 1]);
    }
  }
});
