/** The seats of a plan: how many users may be active, whatever asks for it and however many ask at once. */
import { beforeEach, describe, expect, it } from 'vitest';
import { BULK_REQUEST } from '../../src/scim/urns';
import { type Answer, type Ask, admin, type Idp, newIdp } from '../support/client';
import { settled } from '../support/coordinator';
import { counters, dump, journal, rows } from '../support/database';
import { Meter } from '../support/meter';
import { expectRefusal } from '../support/refusal';

let n = 0;
let idp: Idp;
beforeEach(async () => {
  idp = await newIdp(`seats-${++n}`);
});

const set = (settings: Record<string, string>) => admin('PATCH', `/orgs/${idp.slug}`, { body: { settings } });
const times = <T>(count: number, one: (i: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => one(i)));
const people = (count: number, more = {}) => times(count, (i) => idp.user(`u${i}@example.com`, more));
const post = (name: string, more = {}, request?: Ask) =>
  idp.post('/Users', { userName: `${name}@example.com`, ...more }, request);
const activate = (id: string, value: boolean, request?: Ask) =>
  idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value }], request);
const put = (userName: string, id: string, active: boolean, request?: Ask) =>
  idp.put(`/Users/${id}`, { userName, active }, request);
const bulk = (operations: object[], more = {}, request?: Ask) =>
  idp.post('/Bulk', { schemas: [BULK_REQUEST], Operations: operations, ...more }, request);
const creation = (bulkId: string, more = {}) => ({
  method: 'POST',
  path: '/Users',
  bulkId,
  data: { userName: `${bulkId}@example.com`, ...more },
});
const statuses = ({ body }: Answer): string[] => body.Operations.map(({ status }: { status: string }) => status);
const count = (answers: readonly Answer[]) => {
  const all = answers.map(({ status }) => status);
  return Object.fromEntries([...new Set(all)].sort().map((status) => [status, all.filter((s) => s === status).length]));
};
const active = async () => (await counters(idp.orgId)).real['active'];
const warnings = async () => (await journal(idp.orgId)).filter(({ type }) => type === 'seats.warning');
const full = (answer: Answer) => expectRefusal(answer, 403, undefined, /\bplan\.seats\b/);

/** What is counted is what there is, and the journal has no gap. */
async function expectConsistent(): Promise<void> {
  const { kept, real } = await counters(idp.orgId);
  expect(kept).toEqual(real);
  const events = await journal(idp.orgId);
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
  const [org] = await rows('SELECT event_seq FROM orgs WHERE id = ?', idp.orgId);
  expect(org!['event_seq']).toBe(events.length);
}

describe('a plan with seats', () => {
  it('refuses who would be one too many, names the limit and the contact, and changes nothing', async () => {
    await set({ 'plan.seats': '3', supportContact: 'sales@vendor.test' });
    await people(3);
    const before = await dump();
    const answer = await post('late');
    expectRefusal(answer, 403, undefined, /\(plan\.seats: 3\).* Contact sales@vendor\.test\.$/);
    expect(await dump()).toBe(before);
    expect((await idp.get('/Users?filter=userName eq "late@example.com"')).body.totalResults).toBe(0);
  });

  it('is in nobody’s way who is not active, or already is', async () => {
    await set({ 'plan.seats': '1' });
    const ada = await idp.user('ada@example.com');
    const idle = await post('idle', { active: false });
    expect(idle.status).toBe(201);
    expect((await put('ada@example.com', ada.id, true)).status).toBe(200);
    expect((await activate(ada.id, true)).status).toBe(200);
    expect((await idp.patch(`/Users/${idle.body.id}`, [{ op: 'add', path: 'title', value: 'X' }])).status).toBe(200);
    expectRefusal(await post('ADA'), 409, 'uniqueness');
    await expectConsistent();
  });

  it('holds for each way of becoming active: POST, PUT, PATCH, a return by POST, a restore, bulk', async () => {
    const gone = await idp.user('gone@example.com', { externalId: 'gone' });
    const idle = await idp.user('idle@example.com', { externalId: 'idle', active: false });
    await idp.delete(`/Users/${gone.id}`);
    await people(2);
    await set({ 'plan.seats': '2' });
    const ways = (): Promise<Answer>[] => [
      post('new'),
      put('idle@example.com', idle.id, true),
      activate(idle.id, true),
      post('idle', { externalId: 'idle' }),
      post('gone', { externalId: 'gone' }),
    ];
    await settled(idp.orgId);
    const before = await dump();
    for (const answer of await Promise.all(ways())) full(answer);
    const { body } = await bulk([
      creation('new'),
      {
        method: 'PATCH',
        path: `/Users/${idle.id}`,
        data: { Operations: [{ op: 'replace', path: 'active', value: true }] },
      },
    ]);
    for (const { status, response } of body.Operations) {
      expect([status, response.status]).toEqual(['403', '403']);
      expect(response.detail).toContain('plan.seats');
    }
    expect(await dump()).toBe(before);
    // Restored as somebody inactive, they need none.
    expect((await post('gone', { externalId: 'gone', active: false })).body).toMatchObject({
      id: gone.id,
      active: false,
    });
    expect(await active()).toBe(2);
  });

  it('has a seat again when somebody is deactivated or deleted', async () => {
    await set({ 'plan.seats': '2' });
    const [ada, bob] = await people(2);
    full(await post('c'));
    await activate(ada.id, false);
    expect((await post('c')).status).toBe(201);
    full(await activate(ada.id, true));
    await idp.delete(`/Users/${bob.id}`);
    expect((await activate(ada.id, true)).status).toBe(200);
    full(await post('d'));
    await expectConsistent();
  });

  it.each([40, 100])('gives no seat twice when a hundred ask at once for %i', async (seats) => {
    await set({ 'plan.seats': String(seats) });
    const idle = await people(50, { active: false });
    const answers = await times(100, (i) =>
      i % 2
        ? post(`new${i}`)
        : i % 4
          ? activate(idle[i / 2]!.id, true)
          : put(`u${i / 2}@example.com`, idle[i / 2]!.id, true),
    );
    expect(answers.map(({ status }) => status).filter((status) => status === 200 || status === 201)).toHaveLength(
      seats,
    );
    for (const answer of answers.filter(({ status }) => status > 201)) full(answer);
    expect(await active()).toBe(seats);
    expect(await warnings()).toHaveLength(1);
    await expectConsistent();
  });

  it('is never exceeded while people come and go at once', async () => {
    await set({ 'plan.seats': '5' });
    const all = await people(30, { active: false });
    for (let round = 0; round < 4; round++) {
      const answers = await times(30, (i) => activate(all[i]!.id, (i + round) % 3 !== 0));
      expect(Object.keys(count(answers)).filter((status) => !['200', '403'].includes(status))).toEqual([]);
      expect(await active()).toBeLessThanOrEqual(5);
    }
    await expectConsistent();
  });

  it('judges each operation of a bulk request by itself, in their order', async () => {
    await set({ 'plan.seats': '3' });
    const [ada] = await people(2);
    const leave = {
      method: 'PATCH',
      path: `/Users/${ada.id}`,
      data: { Operations: [{ op: 'replace', path: 'active', value: false }] },
    };
    const answer = await bulk([
      creation('a'),
      creation('b'),
      leave,
      creation('c'),
      creation('d'),
      creation('e', { active: false }),
    ]);
    expect(answer.status).toBe(200);
    expect(statuses(answer)).toEqual(['201', '403', '200', '201', '403', '201']);
    expect(await active()).toBe(3);
    await expectConsistent();
    const stopped = await bulk([creation('f'), creation('g'), creation('h')], { failOnErrors: 2 });
    expect(statuses(stopped)).toEqual(['403', '403']);
  });

  it('may be set below the number of active users, says so, and blocks only who comes new', async () => {
    const all = await people(5);
    const { status, body } = await set({ 'plan.seats': '3' });
    expect([status, body.settings, body.activeUsers]).toEqual([200, { 'plan.seats': 3 }, 5]);
    expect(body.notices).toEqual([
      expect.stringMatching(/^plan\.seats: 5 users are active, and 3 are allowed\. They stay/),
    ]);
    expect((await admin('GET', `/orgs/${idp.slug}`)).body.notices).toEqual(body.notices);
    for (const { id, userName } of all) {
      expect((await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'title', value: 'X' }])).status).toBe(200);
      expect((await put(userName, id, true)).status).toBe(200);
    }
    full(await post('new'));
    await activate(all[0]!.id, false);
    await activate(all[1]!.id, false);
    full(await activate(all[0]!.id, true));
    await activate(all[2]!.id, false);
    expect((await activate(all[0]!.id, true)).status).toBe(200);
    expect((await admin('GET', `/orgs/${idp.slug}`)).body.notices).toEqual([]);
    await set({ 'plan.seats': 'none' });
    expect((await post('new')).status).toBe(201);
  });

  it('warns in the journal once when nine tenths are taken, and again when it happens again', async () => {
    await set({ 'plan.seats': '10' });
    await people(8);
    expect(await warnings()).toEqual([]);
    const { body } = await post('ninth');
    const events = await journal(idp.orgId);
    expect(events.slice(-2).map(({ type, target_id }) => [type, target_id])).toEqual([
      ['user.created', body.id],
      ['seats.warning', null],
    ]);
    expect(events.at(-1)).toMatchObject({ actor: 'idp', details: { seats: 10, activeUsers: 9 } });
    await post('tenth');
    full(await post('eleventh'));
    expect(await warnings()).toHaveLength(1);
    await activate(body.id, false);
    await activate(body.id, true); // from nine to ten
    expect(await warnings()).toHaveLength(1);
    const [ada, bob] = (await idp.get('/Users?count=2')).body.Resources;
    for (const { id } of [ada, bob]) await activate(id, false);
    await activate(ada.id, true);
    expect((await journal(idp.orgId)).slice(-2).map(({ type }) => type)).toEqual(['user.reactivated', 'seats.warning']);
    await expectConsistent();
  });

  it('warns in the middle of a bulk request, and of a rename that ends sessions, without a gap', async () => {
    await set({ 'plan.seats': '5', signOutOnRename: 'true' });
    await people(3);
    const idle = await idp.user('idle@example.com', { active: false });
    await bulk([creation('a'), creation('b'), creation('c')]);
    expect((await warnings()).map(({ details }) => details.activeUsers)).toEqual([5]);
    const [{ id }] = (await idp.get('/Users?filter=userName eq "a@example.com"')).body.Resources;
    await activate(id, false);
    await put('renamed@example.com', idle.id, true);
    expect((await journal(idp.orgId)).slice(-3).map(({ type }) => type)).toEqual([
      'user.reactivated',
      'seats.warning',
      'user.signed_out',
    ]);
    await expectConsistent();
  });

  it('finds each refusal among the refusals, of a bulk request too', async () => {
    await set({ 'plan.seats': '1' });
    await people(1);
    await post('a');
    await bulk([creation('b'), creation('c')]);
    const { body } = await admin('GET', `/orgs/${idp.slug}/refusals`);
    expect(body).toEqual([expect.objectContaining({ reason: 'seats', count: 3, generation: 1 })]);
    expect(body[0].detail).toContain('plan.seats');
  });

  it('costs no round trip: a POST takes one, a reactivation two, and a refusal no more', async () => {
    await set({ 'plan.seats': '2' });
    const meter = new Meter();
    let trips = 0;
    const metered: Ask = { env: { DB: meter.binding }, onAnswer: () => (trips = meter.roundTrips) };
    const cost = async (one: Promise<Answer>) => {
      meter.reset();
      return [(await one).status, trips];
    };
    const { id } = await idp.user('idle@example.com', { active: false });
    expect(await cost(post('a', {}, metered))).toEqual([201, 1]);
    expect(await cost(activate(id, true, metered))).toEqual([200, 2]);
    expect(await cost(post('b', {}, metered))).toEqual([403, 1]);
    await activate(id, false);
    await post('c');
    expect(await cost(activate(id, true, metered))).toEqual([403, 2]);
  });

  it('is warned of beside what else the same change does, in one gapless journal', async () => {
    await set({ 'plan.seats': '1', signOutOnRename: 'true' });
    const { id } = await idp.user('before@example.com', { active: false });
    expect((await put('after@example.com', id, true)).status).toBe(200);
    const told = (await journal(idp.orgId)).map(({ type }) => type);
    expect(told.slice(-3)).toEqual(['user.reactivated', 'seats.warning', 'user.signed_out']);
    await expectConsistent();
  });

  it('is a whole number, or none', async () => {
    for (const seats of ['0', '-1', '1.5', '1e3', 'many', '', '10000000', ' 5']) {
      const answer = await set({ 'plan.seats': seats });
      expect([answer.status, answer.body.detail]).toEqual([
        400,
        'plan.seats: a whole number from 1 to 9999999 was expected',
      ]);
    }
    expect((await set({ 'plan.seats': '50' })).body.settings).toEqual({ 'plan.seats': 50 });
    expect((await set({ 'plan.seats': 'none' })).body.settings).toEqual({});
  });
});
