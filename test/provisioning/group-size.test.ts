/** What a group costs by its size: round trips, rows read and rows written, at 1,000 and 50,000 members. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type Idp, newIdp } from '../support/client';
import { rows } from '../support/database';
import { fillGroup, fillUsers, userId } from '../support/fill';
import { Meter } from '../support/meter';

const meter = new Meter();
const metered = { env: { DB: meter.binding } };

async function cost(request: () => Promise<Answer>) {
  meter.reset();
  const answer = await request();
  return { status: answer.status, answer, trips: meter.roundTrips, read: meter.rowsRead, written: meter.rowsWritten };
}

const members = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => ({ value: userId(from + i) }));

for (const size of [1_000, 50_000]) {
  describe(`in a group of ${size} members`, () => {
    let idp: Idp;
    let group: string;
    beforeAll(async () => {
      idp = await newIdp(`size-${size}`);
      await fillUsers(idp, size + 6_000);
      group = await fillGroup(idp, 'everyone', size);
    }, 60_000);

    it('adding 100 members costs by the 100', async () => {
      const added = await cost(() =>
        idp.patch(`/Groups/${group}`, [{ op: 'add', path: 'members', value: members(size + 1, size + 100) }], metered),
      );
      expect(added.trips).toBeLessThanOrEqual(2);
      expect(added.written).toBeLessThanOrEqual(220);
      expect(added.read).toBeLessThanOrEqual(1_500);
    });

    it('removing 100 members costs by the 100', async () => {
      const removed = await cost(() =>
        idp.patch(`/Groups/${group}`, [{ op: 'Remove', path: 'members', value: members(1, 100) }], metered),
      );
      expect(removed.trips).toBeLessThanOrEqual(2);
      expect(removed.written).toBeLessThanOrEqual(220);
      expect(removed.read).toBeLessThanOrEqual(1_500);
    });

    it('is read without its members at the price of one row', async () => {
      const one = await cost(() => idp.get(`/Groups/${group}?excludedAttributes=members`, metered));
      const list = await cost(() =>
        idp.get(`/Groups?excludedAttributes=members&filter=displayName eq "Everyone"`, metered),
      );
      for (const { trips, read } of [one, list]) {
        expect(trips).toBe(1);
        expect(read).toBeLessThanOrEqual(12);
      }
      expect(list.answer.body.totalResults).toBe(1);
    });

    it('answers whether someone is a member without walking the group', async () => {
      for (const filter of [
        `id eq "${group}" and members eq "${userId(500)}"`,
        `members[value eq "${userId(500)}"]`,
        `members.value eq "${userId(500)}"`,
      ]) {
        const found = await cost(() => idp.get(`/Groups?attributes=id&filter=${encodeURIComponent(filter)}`, metered));
        expect(found.answer.body.totalResults, filter).toBe(1);
        expect(found.read, filter).toBeLessThanOrEqual(40);
      }
    });

    it('is changed in two round trips also by a filter that asks more of its members than who they are', async () => {
      const id = await fillGroup(idp, 'by-filter', size);
      const first = userId(1);
      const changed = await cost(() =>
        idp.patch(
          `/Groups/${id}?excludedAttributes=members`,
          [
            { op: 'add', path: 'members', value: [{ value: userId(size + 1) }, { value: 'nobody' }] },
            { op: 'remove', path: `members[type eq "User" and value ne "${first}"]` },
            { op: 'add', path: 'members', value: [{ value: userId(2) }] },
          ],
          metered,
        ),
      );
      expect([changed.status, changed.trips]).toEqual([200, 2]);
      const { body } = await idp.get(`/Groups/${id}`);
      const left = body.members.map(({ value }: { value: string }) => value);
      expect(left.filter((value: string) => value !== userId(size + 1))).toEqual([first, userId(2)]);
      const counted = await rows('SELECT member_count FROM groups WHERE org_id = ? AND id = ?', idp.orgId, id);
      expect(counted).toEqual([{ member_count: left.length }]);
    });

    it('lists all its members in one round trip', async () => {
      const whole = await cost(() => idp.get(`/Groups/${group}`, metered));
      expect(whole.trips).toBe(1);
      expect(whole.answer.body.members).toHaveLength(size);
      expect(whole.read).toBeLessThanOrEqual(3 * size + 20);
    });

    it('is found without its members by every search at the price of what is found', async () => {
      const filter = 'displayName sw "every"';
      for (const [run, atMost] of [
        [() => idp.get(`/Groups?excludedAttributes=members&count=50`, metered), 20],
        [() => idp.get(`/Groups?attributes=displayName&sortBy=displayName`, metered), 20],
        [() => idp.get(`/Groups?attributes=displayName&filter=${encodeURIComponent(filter)}`, metered), 30],
        [() => idp.post('/Groups/.search', { filter, excludedAttributes: ['members'] }, metered), 30],
        [() => idp.get(`/Groups?attributes=id&filter=externalId eq "nothing"`, metered), 20],
        [() => idp.get(`/Groups?count=0`, metered), 10],
      ] as const) {
        const found = await cost(run);
        expect([found.status, found.trips]).toEqual([200, 1]);
        expect(found.read).toBeLessThanOrEqual(atMost);
        expect(found.written).toBe(0);
      }
    });

    it('is renamed at the price of the name', async () => {
      for (const [run, status] of [
        [
          () =>
            idp.patch(`/Groups/${group}`, [{ op: 'replace', value: { id: group, displayName: 'Everybody' } }], metered),
          204,
        ],
        [
          () =>
            idp.patch(
              `/Groups/${group}?attributes=displayName`,
              [{ op: 'Replace', path: 'displayName', value: 'everyone' }],
              metered,
            ),
          200,
        ],
        [
          () =>
            idp.patch(
              `/Groups/${group}?excludedAttributes=members`,
              [{ op: 'add', path: 'externalId', value: 'e' }],
              metered,
            ),
          200,
        ],
      ] as const) {
        const renamed = await cost(run);
        expect([renamed.status, renamed.trips]).toEqual([status, 2]);
        expect(renamed.written).toBeLessThanOrEqual(14);
        expect(renamed.read).toBeLessThanOrEqual(60);
      }
    });

    it('a PATCH that changes nothing writes nothing and costs by what it names', async () => {
      const same = await cost(() =>
        idp.patch(`/Groups/${group}`, [{ op: 'add', path: 'members', value: members(201, 300) }], metered),
      );
      expect([same.status, same.trips, same.written]).toEqual([204, 1, 0]);
      expect(same.read).toBeLessThanOrEqual(800);
    });

    it('one who joins and one who leaves by a value path cost by the two', async () => {
      const changed = await cost(() =>
        idp.patch(
          `/Groups/${group}`,
          [
            { op: 'remove', path: `members[value eq "${userId(700)}"]` },
            { op: 'add', path: 'members', value: [{ value: userId(700 + size) }, { value: userId(700) }] },
          ],
          metered,
        ),
      );
      expect(changed.status).toBe(204);
      expect(changed.trips).toBeLessThanOrEqual(2);
      expect(changed.written).toBeLessThanOrEqual(30);
      expect(changed.read).toBeLessThanOrEqual(120);
    });

    it('a user of it is read, and deleted, at a price that has nothing to do with the others', async () => {
      const one = await cost(() => idp.get(`/Users/${userId(400)}`, metered));
      expect(one.answer.body.groups).toHaveLength(1);
      expect([one.trips, one.read <= 15]).toEqual([1, true]);
      const gone = await cost(() => idp.delete(`/Users/${userId(400)}`, metered));
      expect([gone.status, gone.trips]).toEqual([204, 1]);
      expect(gone.written).toBeLessThanOrEqual(30);
      expect(gone.read).toBeLessThanOrEqual(130);
    });

    it('a POST of as many as 5,000 members costs by those', async () => {
      const wanted = Math.min(size, 5_000);
      const made = await cost(() =>
        idp.post('/Groups', { displayName: 'made', members: members(501, 500 + wanted) }, metered),
      );
      expect([made.status, made.trips]).toEqual([201, 1]);
      expect(made.written).toBeLessThanOrEqual(2 * wanted + 20);
      expect(made.read).toBeLessThanOrEqual(12 * wanted);
      const [row] = await rows(
        'SELECT member_count FROM groups WHERE org_id = ? AND id = ?',
        idp.orgId,
        made.answer.body.id,
      );
      expect(row!['member_count']).toBe(wanted);
    });

    it('is put as it was read, with all that is supplied of each member', async () => {
      const { members: all } = (await idp.get(`/Groups/${group}`)).body;
      const some = all.slice(0, 5_000);
      const put = await cost(() => idp.put('/Groups/g-put', { displayName: 'put', members: some }, metered));
      expect(put.status).toBe(404);
      const made = await cost(() => idp.post('/Groups', { displayName: 'as read', members: some }, metered));
      expect([made.status, made.trips]).toEqual([201, 1]);
      const again = await cost(() =>
        idp.put(`/Groups/${made.answer.body.id}`, { displayName: 'as read', members: some.slice(1) }, metered),
      );
      expect([again.status, again.trips, again.written <= 12]).toEqual([200, 2, true]);
      expect(again.answer.body.members).toHaveLength(some.length - 1);
    });

    it('a PUT of 5,000 members writes only the difference', async () => {
      const wanted = Math.min(size, 5_000);
      await cost(() =>
        idp.put(`/Groups/${group}`, { displayName: 'everyone', members: members(501, 500 + wanted) }, metered),
      );
      const again = await cost(() =>
        idp.put(`/Groups/${group}`, { displayName: 'everyone', members: members(511, 510 + wanted) }, metered),
      );
      expect(again.trips).toBeLessThanOrEqual(2);
      expect(again.written).toBeLessThanOrEqual(60);
      // The answer holds all members (RFC 7644 §3.5.1), so they are read once more.
      expect(again.read).toBeLessThanOrEqual(11 * wanted);
      const same = await cost(() =>
        idp.put(`/Groups/${group}`, { displayName: 'everyone', members: members(511, 510 + wanted) }, metered),
      );
      expect([same.trips, same.written]).toEqual([2, 0]);
    });

    it('is deleted in one round trip, whatever its size', async () => {
      const whole = await fillGroup(idp, 'goes', size);
      const gone = await cost(() => idp.delete(`/Groups/${whole}`, metered));
      expect([gone.status, gone.trips]).toEqual([204, 1]);
      expect(gone.written).toBeLessThanOrEqual(size + 20);
      expect(gone.read).toBeLessThanOrEqual(2 * size + 2_000 + 130); // and the thousand that its event names
    });

    it('loses nothing of fifty changes at once, and its count is right', async () => {
      const busy = await fillGroup(idp, 'busy', size);
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          idp.patch(`/Groups/${busy}`, [
            i % 2 === 0
              ? { op: 'Remove', path: 'members', value: [{ value: userId(i + 501) }, { value: userId(i + 502) }] }
              : { op: 'add', path: 'members', value: [{ value: userId(size + 100 + i) }] },
          ]),
        ),
      );
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204]));
      const [row] = await rows(
        `SELECT version, member_count, (SELECT count(*) FROM memberships AS m WHERE m.org_id = g.org_id AND m.group_seq = g.seq) AS real
          FROM groups AS g WHERE org_id = ? AND id = ?`,
        idp.orgId,
        busy,
      );
      expect(row).toEqual({ version: 51, member_count: row!['real'], real: expect.any(Number) });
      const { body } = await idp.get(`/Groups/${busy}?attributes=members.value`);
      const left = new Set(body.members.map(({ value }: { value: string }) => value));
      for (let i = 0; i < 50; i++) {
        if (i % 2 === 0) expect([left.has(userId(i + 501)), left.has(userId(i + 502))]).toEqual([false, false]);
        else expect(left.has(userId(size + 100 + i))).toBe(true);
      }
    });
  });
}

describe('someone in 100 groups', () => {
  it('is read and deleted in one round trip, and each group counts one less', async () => {
    const idp = await newIdp('joiner');
    await fillUsers(idp, 1_000);
    for (let i = 0; i < 100; i++) await fillGroup(idp, `team-${i}`, 10);
    const one = await cost(() => idp.get(`/Users/${userId(1)}`, metered));
    expect(one.answer.body.groups).toHaveLength(100);
    expect([one.trips, one.read <= 600]).toEqual([1, true]);
    const gone = await cost(() => idp.delete(`/Users/${userId(1)}`, metered));
    expect([gone.status, gone.trips]).toEqual([204, 1]);
    expect(gone.written).toBeLessThanOrEqual(330);
    expect(gone.read).toBeLessThanOrEqual(1_300);
    const counts = await rows('SELECT DISTINCT member_count, version FROM groups WHERE org_id = ?', idp.orgId);
    expect(counts).toEqual([{ member_count: 9, version: 2 }]);
  });
});
