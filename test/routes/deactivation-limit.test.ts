/** The brake on mass deactivations (docs/safeguards.md). */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { BULK_REQUEST } from '../../src/scim/urns';
import { protect } from '../support/accounts';
import { type Answer, admin, host, type Idp, newIdp } from '../support/client';
import { counters, dump, journal, rows } from '../support/database';
import { fillUsers, userId } from '../support/fill';
import { Meter } from '../support/meter';
import { expectRefusal } from '../support/refusal';

let n = 0;
let idp: Idp;
beforeEach(async () => {
  idp = await newIdp(`brake-${++n}`);
  await fillUsers(idp, 20);
});

const set = async (settings: Record<string, string>) => {
  const answer = await admin('PATCH', `/orgs/${idp.slug}`, { body: { settings } });
  expect(answer.status, answer.text).toBe(200);
};
const operator = (method: string, path = '', body?: unknown) =>
  admin(method, `/orgs/${idp.slug}/brake${path}`, body === undefined ? {} : { body });
const active = (id: number | string, value: unknown, ask = {}) =>
  idp.patch(`/Users/${typeof id === 'number' ? userId(id) : id}`, [{ op: 'replace', path: 'active', value }], ask);
const put = (id: number, value: boolean) =>
  idp.put(`/Users/${userId(id)}`, { userName: `user${id}@${idp.slug}.test`, active: value });
const remove = (id: number) => idp.delete(`/Users/${userId(id)}`);
const deactivate = (from: number, to: number) =>
  Promise.all(Array.from({ length: to - from + 1 }, (_, i) => active(from + i, false)));
const statuses = (answers: Answer[]) => answers.map(({ status }) => status).sort();
const show = async () => (await operator('GET')).body;
const isActive = async (id: number) => (await idp.get(`/Users/${userId(id)}`)).body.active;
const types = async (id: number) => (await journal(idp.orgId, userId(id))).map(({ type }) => type);
/** The window is over. */
const later = () => env.DB.prepare('UPDATE brake_counts SET at = at - 7200000 WHERE org_id = ?').bind(idp.orgId).run();
async function expectConsistent() {
  const { kept, real } = await counters(idp.orgId);
  expect(kept).toEqual(real);
}
function expectHeld(answer: Answer) {
  expectRefusal(answer, 429, undefined, /limit of deactivations/);
  const seconds = answer.headers.get('Retry-After')!;
  expect(seconds).toMatch(/^[1-9]\d*$/);
  expect(Number(seconds)).toBeLessThanOrEqual(3_600 + 61);
}

describe('without a brake', () => {
  it('everybody can be deactivated at once, and nothing is counted', async () => {
    expect(statuses(await deactivate(1, 20))).toEqual(Array(20).fill(200));
    expect(await rows('SELECT * FROM brake_counts WHERE org_id = ?', idp.orgId)).toEqual([]);
    expect(await show()).toMatchObject({ isSet: false, limit: null, total: 0, held: [] });
  });
});

describe('a brake', () => {
  beforeEach(() => set({ 'brake.deactivations': '3', 'brake.window': '1h', supportContact: 'help@vendor.test' }));

  it('is in nobody’s way below its limit: each is out before the identity provider hears so', async () => {
    const issuedAt = Date.now();
    expect(statuses(await deactivate(1, 3))).toEqual([200, 200, 200]);
    for (const id of [1, 2, 3]) {
      const { body } = await host('POST', '/check', { body: { org: idp.slug, user: userId(id), issuedAt } });
      expect(body.valid).toBe(false);
    }
    expect(await show()).toMatchObject({ isSet: true, limit: 3, used: 3, open: 0 });
  });

  it('holds what is beyond it: 429 with whole seconds, the person stays, is listed, and an event is raised', async () => {
    await deactivate(1, 3);
    const answer = await active(4, 'False');
    expectHeld(answer);
    expect(answer.body.detail).toContain('help@vendor.test');
    expect(await isActive(4)).toBe(true);
    expect((await show()).held).toMatchObject([
      { user: userId(4), userName: `user4@${idp.slug}.test`, operation: 'deactivate', state: 'held', attempts: 1 },
    ]);
    expect((await journal(idp.orgId, userId(4))).at(-1)).toMatchObject({
      type: 'brake.held',
      actor: 'idp',
      details: { operation: 'deactivate' },
    });
    const { body } = await admin('GET', `/orgs/${idp.slug}/refusals`);
    expect(body.map(({ reason }: { reason: string }) => reason)).toContain('brake');
  });

  it('counts deactivations by PATCH, PUT and bulk, and deletions, alike', async () => {
    await active(1, false);
    await put(2, false);
    await remove(3);
    expectHeld(await put(4, false));
    expectHeld(await remove(5));
    const { body } = await idp.post('/Bulk', {
      schemas: [BULK_REQUEST],
      Operations: [
        { method: 'DELETE', path: `/Users/${userId(6)}` },
        {
          method: 'PATCH',
          path: `/Users/${userId(7)}`,
          data: { Operations: [{ op: 'add', path: 'title', value: 'x' }] },
        },
      ],
    });
    expect(body.Operations.map(({ status }: { status: string }) => status)).toEqual(['429', '200']);
    expect((await show()).held.map(({ operation }: { operation: string }) => operation)).toEqual([
      'deactivate',
      'delete',
      'delete',
    ]);
    await expectConsistent();
  });

  it('lets through exactly as many as it may, whoever asks at once', async () => {
    const answers = await Promise.all([...Array(20)].map((_, i) => (i % 2 ? active(i + 1, false) : remove(i + 1))));
    expect(answers.filter(({ status }) => status < 300)).toHaveLength(3);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(17);
    expect((await counters(idp.orgId)).real['active']).toBe(17);
    expect(await show()).toMatchObject({ used: 3, open: 17 });
    await expectConsistent();
  });

  it('does not count who is out already, nor any other change', async () => {
    await deactivate(1, 3);
    expect((await active(1, false)).status).toBe(200);
    expect((await remove(2)).status).toBe(204); // an account that is inactive
    expect((await idp.patch(`/Users/${userId(9)}`, [{ op: 'add', path: 'title', value: 'x' }])).status).toBe(200);
    expect((await active(1, true)).status).toBe(200);
    expect(await show()).toMatchObject({ used: 3, open: 0 });
  });

  it('lets somebody through when the window has gone by, who is then held no more', async () => {
    await deactivate(1, 3);
    expectHeld(await active(4, false));
    await later();
    expect((await active(4, false)).status).toBe(200);
    expect(await show()).toMatchObject({ used: 1, total: 0 });
    expect(await types(4)).toEqual(['brake.held', 'user.deactivated']);
  });

  it('tells of each person once, however often the identity provider asks', async () => {
    await deactivate(1, 3);
    for (let i = 0; i < 3; i++) expectHeld(await active(4, false));
    expectHeld(await remove(4));
    expect((await show()).held).toMatchObject([{ attempts: 4, operation: 'delete' }]);
    expect(await types(4)).toEqual(['brake.held']);
  });

  it('forgets somebody whom the identity provider wants active again, by PUT or PATCH, and by nothing else', async () => {
    await deactivate(1, 3);
    for (const id of [4, 5, 6]) expectHeld(await active(id, false));
    await idp.patch(`/Users/${userId(4)}`, [{ op: 'add', path: 'title', value: 'x' }]);
    await idp.put(`/Users/${userId(5)}`, { userName: `user5@${idp.slug}.test` });
    expect(await show()).toMatchObject({ open: 3 });
    await put(4, true);
    await active(5, 'True');
    await idp.patch(`/Users/${userId(6)}`, [{ op: 'replace', value: { active: true } }]);
    expect(await show()).toMatchObject({ open: 0 });
    expect((await types(5)).at(-1)).toBe('brake.withdrawn');
    expect(await isActive(5)).toBe(true);
  });

  it('forgets nobody by a request that is refused', async () => {
    await deactivate(1, 3);
    expectHeld(await active(4, false));
    const before = await dump();
    const taken = { active: true, userName: `user5@${idp.slug}.test` };
    expect((await idp.patch(`/Users/${userId(4)}`, [{ op: 'replace', value: taken }])).status).toBe(409);
    expect((await idp.put(`/Users/${userId(4)}`, taken)).status).toBe(409);
    expect(await dump()).toBe(before);
    const renamed = { active: true, userName: `renamed@${idp.slug}.test` };
    expect((await idp.patch(`/Users/${userId(4)}`, [{ op: 'replace', value: renamed }])).status).toBe(200);
    expect(await types(4)).toEqual(['brake.held', 'brake.withdrawn', 'user.updated']);
    expect(await show()).toMatchObject({ total: 0 });
    await expectConsistent();
  });

  it('does not hold the operator, nor seats, nor another org', async () => {
    await deactivate(1, 3);
    const other = await newIdp(`${idp.slug}-other`);
    const ada = await other.user('ada');
    expect((await other.delete(`/Users/${ada.id}`)).status).toBe(204);
    expect((await admin('GET', `/orgs/${other.slug}/brake`)).body).toMatchObject({ isSet: false, total: 0 });
    expectHeld(await active(4, false));
    const theirs = await admin('POST', `/orgs/${other.slug}/brake/release`, { body: { user: userId(4) } });
    expect(theirs.status).toBe(404);
    expect((await show()).open).toBe(1);
  });

  it('costs no round trip, and rows in no proportion to the limit', async () => {
    const rowsRead = async (limit: string, used: number) => {
      await set({ 'brake.deactivations': limit });
      await env.DB.prepare('UPDATE brake_counts SET count = ? WHERE org_id = ?').bind(used, idp.orgId).run();
      const meter = new Meter();
      const user = await idp.user(`extra-${limit}`);
      expect((await idp.delete(`/Users/${user.id}`, { env: { DB: meter.binding } })).status).toBe(204);
      expect(meter.roundTrips).toBe(1);
      return meter.rowsRead;
    };
    await active(1, false);
    const few = await rowsRead('3', 1);
    expect(await rowsRead('90000', 80_000)).toBeLessThanOrEqual(few + 5);
  });
});

describe('a brake by percentage', () => {
  it('is of who was active when the window began, and one may always go', async () => {
    await set({ 'brake.percentage': '10' });
    expect(statuses(await deactivate(1, 4))).toEqual([200, 200, 429, 429]);
    await later();
    await set({ 'brake.percentage': '1' });
    expect(statuses(await deactivate(5, 6))).toEqual([200, 429]);
  });

  it('holds beside a number: whichever is reached first', async () => {
    await set({ 'brake.percentage': '50', 'brake.deactivations': '2' });
    expect(statuses(await deactivate(1, 3))).toEqual([200, 200, 429]);
    await set({ 'brake.percentage': '15', 'brake.deactivations': '100' });
    expect(statuses(await deactivate(4, 6))).toEqual([200, 429, 429]);
  });
});

describe('the operator', () => {
  beforeEach(async () => {
    await set({ 'brake.deactivations': '1' });
    await active(1, false);
    expectHeld(await active(2, false));
    expectHeld(await remove(3));
    expectHeld(await active(4, false));
  });

  it('releases all that waits: they are out, their sessions over, and the event names the operator', async () => {
    const issuedAt = Date.now();
    const { body } = await operator('POST', '/release', { by: 'olga' });
    expect(body).toMatchObject({ released: [2, 3, 4].map(userId), kept: [], left: 0 });
    for (const id of [2, 3, 4]) {
      const { body } = await host('POST', '/check', { body: { org: idp.slug, user: userId(id), issuedAt } });
      expect(body.valid).toBe(false);
    }
    expect((await idp.get(`/Users/${userId(3)}`)).status).toBe(404);
    expect((await journal(idp.orgId, userId(2))).at(-1)).toMatchObject({
      type: 'user.deactivated',
      actor: 'admin:admin',
      details: { cause: 'brake', by: 'olga' },
    });
    expect(await show()).toMatchObject({ used: 1, total: 0 });
    await expectConsistent();
  });

  it('releases one, and the policy on deactivation holds for it', async () => {
    await set({ onDeactivate: 'erase' });
    expect((await operator('POST', '/release', { user: userId(2) })).body.released).toEqual([userId(2)]);
    expect((await types(2)).at(-1)).toBe('user.erased');
    expect(await isActive(4)).toBe(true);
    expect((await show()).open).toBe(2);
    expect((await operator('POST', '/release', { user: userId(2) })).status).toBe(404);
  });

  it('keeps who has been protected since', async () => {
    await protect(idp, userId(2));
    const { body } = await operator('POST', '/release', {});
    expect(body.kept).toEqual([{ user: userId(2), why: 'protected' }]);
    expect(await isActive(2)).toBe(true);
  });

  it('rejects: the identity provider hears 403 for a while, and then its word counts again', async () => {
    const { body } = await operator('POST', '/reject', { by: 'olga', for: '2h' });
    expect(body.rejected).toBe(3);
    await later();
    expectRefusal(await active(2, false), 403, undefined, /rejected/);
    expectRefusal(await remove(3), 403, undefined, /rejected/);
    expect(await isActive(2)).toBe(true);
    expect((await show()).held).toMatchObject([{ state: 'rejected', rejectedBy: 'olga' }, {}, {}]);
    expect((await journal(idp.orgId, userId(4))).at(-1)).toMatchObject({
      type: 'brake.rejected',
      details: { by: 'olga' },
    });
    // Not what was rejected.
    expect((await operator('POST', '/release', {})).body.released).toEqual([]);
    await env.DB.prepare('UPDATE brake_held SET rejected_until = ? WHERE org_id = ?')
      .bind(Date.now() - 1, idp.orgId)
      .run();
    expect((await active(2, false)).status).toBe(200);
  });

  it('rejects one, and may change its mind', async () => {
    const named = { user: `USER4@${idp.slug}.test` };
    expect((await operator('POST', '/reject', named)).body.rejected).toBe(1);
    expect(await show()).toMatchObject({ total: 3, open: 2 });
    expect((await operator('POST', '/release', named)).body.released).toEqual([userId(4)]);
    expect(await isActive(4)).toBe(false);
  });

  it('releases who is out or gone by now without a further change', async () => {
    await later();
    await active(2, false);
    await later();
    await remove(3);
    const before = (await journal(idp.orgId)).length;
    expect((await operator('POST', '/release', {})).body.released).toEqual([userId(4)]);
    expect((await journal(idp.orgId)).length).toBe(before + 1);
  });

  it.each([
    ['release', { user: 7 }, /^user: /],
    ['release', { all: true }, /all/],
    ['reject', { for: 'ever' }, /^for: a duration/],
    ['reject', { for: '31d' }, /^for: a duration/],
    ['reject', { user: '' }, /^user: /],
  ])('is told what %s takes: %j', async (verb, body, detail) => {
    const before = await dump();
    const answer = await operator('POST', `/${verb}`, body);
    expect([answer.status, answer.body.detail]).toEqual([400, expect.stringMatching(detail)]);
    expect(await dump()).toBe(before);
  });
});

describe('settings of the brake', () => {
  it.each([
    ['brake.deactivations', '0', 'a whole number from 1'],
    ['brake.deactivations', '1.5', 'a whole number from 1'],
    ['brake.percentage', '101', 'from 1 to 100'],
    ['brake.percentage', '0', 'from 1 to 100'],
    ['brake.window', '1', 'a duration'],
    ['brake.window', '10s', 'a duration'],
    ['brake.window', '31d', 'a duration'],
    ['linking', 'always', 'off, userName or email'],
    ['linking', 'none', 'off, userName or email'],
    ['verifiedDomains', 'acme', 'domains'],
    ['verifiedDomains', 'ada@acme.com', 'domains'],
    ['onDelete', 'destroy', 'deactivate or erase'],
    ['onDeactivate', 'nothing', 'deactivate or erase'],
    ['retainEvents', '0', 'a duration'],
    ['retainDeleted', '4000d', 'a duration'],
  ])('and of people, of which %s=%s is none, say what was expected', async (key, value, expected) => {
    const answer = await admin('PATCH', `/orgs/${idp.slug}`, { body: { settings: { [key]: value } } });
    expect([answer.status, answer.body.detail]).toEqual([400, expect.stringContaining(expected)]);
    expect(answer.body.detail).toMatch(new RegExp(`^${key}`));
  });

  it('switch it off again: what is held passes when it is asked for', async () => {
    await set({ 'brake.deactivations': '1', 'brake.percentage': '5%', 'brake.window': '7d' });
    await active(1, false);
    expect((await active(2, false)).status).toBe(429);
    await set({ 'brake.deactivations': 'none', 'brake.percentage': 'none' });
    expect((await active(2, false)).status).toBe(200);
    expect(await show()).toMatchObject({ isSet: false, total: 0 });
  });
});
