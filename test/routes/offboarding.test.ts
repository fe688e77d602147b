/** What `org exit` goes through: who is attached, their deactivation portion by portion, and what is left of a set-up. */
import { env } from 'cloudflare:workers';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Ask, admin, host, type Idp, newIdp } from '../support/client';
import { flagOf, waiting } from '../support/coordinator';
import { counters, dump, journal, rows } from '../support/database';
import { fillDirectory, idOf } from '../support/directory';
import { FaultyDb } from '../support/faults';
import { fillUsers, userId } from '../support/fill';
import { Meter } from '../support/meter';
import { publications, unreachable } from '../support/outbox';

const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
afterAll(() => log.mockRestore());

let idp: Idp;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`exit-${++n}`);
});

const unheard = { env: unreachable };
const org = (path = '') => `/orgs/${idp.slug}${path}`;
const exit = async () => (await admin('GET', org('/exit'))).body;
const scimOff = () => admin('POST', org('/scim'), { body: { enabled: false } });
const portion = (after = 0, more: Ask = {}) =>
  admin('POST', org('/exit/deactivate'), { body: { after }, ...unheard, ...more });
/** As the command does, from the beginning to the end. */
async function deactivate(): Promise<number> {
  let sum = 0;
  for (let next: number | null = 0; next !== null; ) {
    const { status, body, text } = await portion(next);
    expect(status, text).toBe(200);
    sum += body.deactivated;
    next = body.next;
  }
  return sum;
}
const mark = (id: string, values: string) =>
  env.DB.prepare(`UPDATE users SET ${values} WHERE org_id = ? AND id = ?`).bind(idp.orgId, id).run();
const done = ({ steps }: { steps: { step: string; done: boolean }[] }) =>
  steps.filter(({ done }) => done).map(({ step }) => step);

describe('the state of an exit', () => {
  it('counts who is attached, protected and the host app’s own, and tells which steps are done', async () => {
    const [ada, bob, own, linked] = [
      await idp.user('ada@x'),
      await idp.user('bob@x', { active: false }),
      await idp.user('own@x'),
      await idp.user('linked@x'),
    ];
    await mark(ada.id, 'protected = 1');
    await mark(own.id, `origin = 'host'`);
    await mark(linked.id, `origin = 'host', linked_at = 5`);
    await idp.delete(`/Users/${(await idp.user('gone@x')).id}`, unheard);
    await admin('POST', org('/oauth/clients'), { body: {} });
    await admin('POST', org('/basic'), { body: {} });
    await vi.waitFor(async () => expect(await waiting(idp.orgId)).toBe(1));
    expect(await exit()).toMatchObject({
      slug: idp.slug,
      scimEnabled: true,
      users: {
        total: 4,
        active: 3,
        attached: { total: 3, active: 2 },
        protected: 1,
        unlinked: { total: 1, active: 1 },
        left: 1,
      },
      groups: 0,
      sessions: { pending: 1, signedOut: false },
      credentials: { tokens: 1, passwords: 1, oauthClients: [expect.stringContaining('_')] },
      steps: [
        { step: 'disable', done: false },
        { step: 'deactivate', done: false },
        { step: 'sessions', done: false },
        { step: 'credentials', done: false },
        { step: 'delete', done: false },
      ],
    });
    expect(bob.active).toBe(false);
    await scimOff();
    expect(done(await exit())).toEqual(['disable']);
    expect(await deactivate()).toBe(1);
    expect(done(await exit())).toEqual(['disable', 'deactivate']);
    await admin('POST', org('/sign-out'), { body: {}, ...unheard });
    expect(done(await exit())).toEqual(['disable', 'deactivate']);
    await env.ORG_COORDINATOR.getByName(idp.orgId).drain();
    expect(done(await exit())).toEqual(['disable', 'deactivate', 'sessions']);
    await admin('DELETE', org('/tokens'));
    await admin('DELETE', org('/basic'));
    const [client] = (await exit()).credentials.oauthClients;
    await admin('DELETE', org(`/oauth/clients/${client}?confirm=${client}`));
    expect(done(await exit())).toEqual(['disable', 'deactivate', 'sessions', 'credentials']);
    // Those of the host app are in.
    const rest = await rows('SELECT id FROM users WHERE org_id = ? AND active = 1 ORDER BY seq', idp.orgId);
    expect(rest).toEqual([{ id: ada.id }, { id: own.id }]);
  });

  it('lists who is attached, page by page', async () => {
    await fillUsers(idp, 1_203);
    await mark(userId(3), `origin = 'host'`);
    await mark(userId(4), `active = 0`);
    await mark(userId(5), `deleted_at = 1, active = 0`);
    const found = [];
    for (let after: number | null = 0; after !== null; ) {
      const { body } = await admin('GET', org(`/exit/users?after=${after}`));
      found.push(...body.users);
      after = body.next;
    }
    expect(found).toHaveLength(1_201);
    expect(new Set(found.map(({ id }) => id)).size).toBe(1_201);
    expect(found.slice(0, 3)).toEqual(
      [1, 2, 4].map((i) => ({
        id: userId(i),
        userName: `user${i}@${idp.slug}.test`,
        externalId: `e${i}`,
        email: `user${i}@${idp.slug}.test`,
        active: i !== 4,
        protected: false,
      })),
    );
    expect((await admin('GET', org('/exit/users?after=x'))).status).toBe(400);
  });
});

describe('the deactivation of all attached users', () => {
  it('is of each what a deactivation is: event, version, sessions, flag, counters', async () => {
    const ada = await idp.user('ada@x', { emails: [{ value: 'ada@x' }] });
    const issuedAt = Date.now();
    await scimOff();
    const { body } = await admin('POST', org('/exit/deactivate'), { body: { by: 'olga' } });
    expect(body).toEqual({ deactivated: 1, next: null, left: 0 });
    const [event] = (await journal(idp.orgId, ada.id)).slice(-1);
    expect(event).toMatchObject({
      type: 'user.deactivated',
      actor: 'admin:admin',
      details: { changed: { active: { before: true, after: false } }, cause: 'exit', by: 'olga' },
    });
    await vi.waitFor(async () => expect(await flagOf(idp.orgId, ada.id)).toMatchObject({ active: false }), 5_000);
    expect((await host('POST', '/check', { body: { org: idp.slug, user: ada.id, issuedAt } })).body.valid).toBe(false);
    await admin('POST', org('/scim'), { body: { enabled: true } });
    const { body: now } = await idp.get(`/Users/${ada.id}`);
    expect(now).toMatchObject({ active: false, meta: { version: 'W/"2"' } });
    for (const filter of [
      'active eq false',
      'meta.version eq "W/\\"2\\""',
      `meta.lastModified eq "${now.meta.lastModified}"`,
    ]) {
      expect((await idp.get(`/Users?filter=${encodeURIComponent(filter)}`)).body.totalResults, filter).toBe(1);
    }
    expect(await counters(idp.orgId)).toEqual({ kept: { users: 1, active: 0 }, real: { users: 1, active: 0 } });
  });

  it('goes portion by portion, each once, and whatever is repeated changes nothing', async () => {
    await fillUsers(idp, 450);
    await mark(userId(250), 'protected = 1');
    await scimOff();
    const first = await portion();
    expect(first.body).toMatchObject({ deactivated: 200, left: 249 });
    // The answer was lost, and the command begins anew.
    expect((await portion()).body).toMatchObject({ deactivated: 200, left: 49 });
    expect(await deactivate()).toBe(49);
    const was = await dump();
    expect(await deactivate()).toBe(0);
    expect(await dump()).toBe(was);
    expect(await counters(idp.orgId)).toEqual({ kept: { users: 450, active: 1 }, real: { users: 450, active: 1 } });
    const told = await rows(
      `SELECT count(*) AS n, count(DISTINCT target_id) AS people FROM events WHERE org_id = ? AND type = 'user.deactivated'`,
      idp.orgId,
    );
    expect(told).toEqual([{ n: 449, people: 449 }]);
    const { asked, told: published } = await publications(idp.orgId);
    expect(asked).toEqual(published);
    const seqs = (await journal(idp.orgId)).map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.map((_, i) => i + 1));
  });

  it('by two operators at once deactivates each once', async () => {
    await fillUsers(idp, 300);
    await scimOff();
    const sums = await Promise.all([deactivate(), deactivate(), deactivate()]);
    expect(sums.reduce((a, b) => a + b)).toBe(300);
    expect(await counters(idp.orgId)).toEqual({ kept: { users: 300, active: 0 }, real: { users: 300, active: 0 } });
    expect(
      await rows(`SELECT count(*) AS n FROM events WHERE org_id = ? AND type = 'user.deactivated'`, idp.orgId),
    ).toEqual([{ n: 300 }]);
  });

  it('waits until SCIM is off, so that the identity provider cannot bring anybody back', async () => {
    await idp.user('ada@x');
    const was = await dump();
    const { status, body } = await portion();
    expect([status, body.detail]).toEqual([409, 'SCIM is on, and would bring the users back: run scim disable first']);
    expect(await dump()).toBe(was);
  });

  it('misses nobody whom a request brings that was under way when SCIM went off', async () => {
    const ada = await idp.user('ada@x');
    await idp.patch(`/Users/${ada.id}`, [{ op: 'replace', path: 'active', value: false }], unheard);
    const answers = await Promise.all([
      ...Array.from({ length: 12 }, (_, i) => idp.post('/Users', { userName: `new${i}@x` }, unheard)),
      idp.patch(`/Users/${ada.id}`, [{ op: 'replace', path: 'active', value: true }], unheard),
      idp.put(`/Users/${ada.id}`, { userName: 'ada@x', active: true, title: 'x' }, unheard),
      scimOff().then(deactivate),
    ]);
    expect(
      answers.slice(0, -1).every((answer) => [200, 201, 403].includes((answer as { status: number }).status)),
    ).toBe(true);
    await deactivate();
    const { kept, real } = await counters(idp.orgId);
    expect([kept, real['active']]).toEqual([real, 0]);
    expect((await exit()).users.left).toBe(0);
  });

  it('is whole or nothing of a portion, wherever the database fails', async () => {
    await fillUsers(idp, 5);
    await scimOff();
    const was = await dump();
    let size = 1;
    for (let statement = 0; statement < size; statement++) {
      const faulty = new FaultyDb({ kind: 'at', statement }, /json_set\(resource/);
      expect((await portion(0, { env: { ...unreachable, DB: faulty.binding } })).status).toBe(500);
      ({ size } = faulty);
    }
    expect(size).toBeGreaterThan(8);
    expect(await dump()).toBe(was);
    const lost = new FaultyDb({ kind: 'after' }, /json_set\(resource/);
    expect((await portion(0, { env: { ...unreachable, DB: lost.binding } })).status).toBe(503);
    expect(await deactivate()).toBe(0);
    expect(await waiting(idp.orgId)).toBe(5);
  });

  it.each([
    ['after', { after: -1 }, 'after: a whole number from 0 was expected'],
    ['after', { after: 'x' }, 'after: a whole number from 0 was expected'],
    ['by', { by: '' }, 'by: the name'],
    ['what is none of it', { all: true }, 'all is not part of the body'],
  ])('refuses a wrong %s', async (_, body, detail) => {
    const answer = await portion(0, { body });
    expect([answer.status, answer.body.detail]).toEqual([400, expect.stringContaining(detail)]);
  });

  it('touches no other org, and is not found for none', async () => {
    const other = await newIdp(`exit-other-${n}`);
    await fillDirectory(other, 20);
    await idp.user('ada@x');
    const theirs = () => rows('SELECT * FROM users WHERE org_id = ? ORDER BY seq', other.orgId);
    const was = [await theirs(), await journal(other.orgId)];
    await scimOff();
    expect(await deactivate()).toBe(1);
    expect([await theirs(), await journal(other.orgId)]).toEqual(was);
    for (const [method, path] of [
      ['GET', '/exit'],
      ['GET', '/exit/users'],
      ['POST', '/exit/deactivate'],
    ] as const) {
      expect((await admin(method, `/orgs/nobody${path}`, method === 'POST' ? { body: {} } : {})).status).toBe(404);
    }
  });

  it('of 20,000 users reads a portion at a time, and the state nothing of them', async () => {
    await fillDirectory(idp, 20_000);
    await scimOff();
    const meter = new Meter();
    const metered = { env: { ...unreachable, DB: meter.binding } };
    await admin('GET', org('/exit'), metered);
    expect([meter.roundTrips, meter.rowsRead < 30]).toEqual([1, true]);
    meter.reset();
    expect((await portion(0, metered)).body.deactivated).toBe(200);
    expect(meter.roundTrips).toBe(1);
    // Each of several statements reads the 200; the scan of 2,000 is the bound where most are out already.
    expect(meter.rowsRead).toBeLessThan(6_500);
    const plans = await meter.plans();
    expect(plans.filter((line) => /^SCAN (users|events|orgs|outbox)\b/.test(line))).toEqual([]);
    await env.DB.prepare('UPDATE users SET active = 0 WHERE org_id = ? AND id < ?').bind(idp.orgId, idOf(19_000)).run();
    meter.reset();
    const { body } = await portion(0, metered);
    expect(body).toMatchObject({ deactivated: 0, next: expect.any(Number) });
    expect(meter.rowsRead).toBeLessThan(12_000);
  });
});
