/** What a group costs by its size: round trips, rows read and rows written, at 1,000 and 50,000 members. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type Idp, newIdp } from './support/client';
import { fillGroup, fillUsers, userId } from './support/fill';
import { Meter } from './support/meter';

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
      await fillUsers(idp, size + 500);
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

    it('lists all its members in one round trip', async () => {
      const whole = await cost(() => idp.get(`/Groups/${group}`, metered));
      expect(whole.trips).toBe(1);
      expect(whole.answer.body.members).toHaveLength(size);
    });

    it('a PUT of 5,000 members writes only the difference', async () => {
      const wanted = Math.min(size, 5_000);
      await cost(() =>
        idp.put(`/Groups/${group}`, { displayName: 'everyone', members: members(101, 100 + wanted) }, metered),
      );
      const again = await cost(() =>
        idp.put(`/Groups/${group}`, { displayName: 'everyone', members: members(111, 110 + wanted) }, metered),
      );
      expect(again.trips).toBeLessThanOrEqual(2);
      expect(again.written).toBeLessThanOrEqual(60);
      expect(again.read).toBeLessThanOrEqual(10 * wanted);
    });
  });
}
