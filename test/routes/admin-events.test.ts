/** The journal at the administrator's door: asked by type, user and time, page by page, and told of one user. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Answer, admin, type Idp, newIdp } from '../support/client';
import { Meter } from '../support/meter';

interface Shown {
  seq: number;
  type: string;
  target: string | null;
  told?: string;
}

let idp: Idp;
let slug: string;
let n = 0;
beforeEach(async () => {
  slug = `events-${++n}`;
  idp = await newIdp(slug);
});

const ask = (path: string, query: [string, string][] = [], more = {}) =>
  admin('GET', `/orgs/${slug}${path}?${new URLSearchParams(query)}`, more);
const events = (query: Record<string, string> = {}, more = {}) => ask('/events', Object.entries(query), more);
const seqs = ({ body }: Answer) => body.events.map(({ seq }: Shown) => seq);
const typesOf = ({ body }: Answer) => body.events.map(({ type }: Shown) => type);
const historyOf = (user: string) => ask(`/users/${encodeURIComponent(user)}/history`);
const active = (value: unknown) => [{ op: 'replace', path: 'active', value }];
const change = (op: string, ...members: string[]) => [
  { op, path: 'members', value: members.map((value) => ({ value })) },
];
const group = async (displayName: string, ...members: string[]): Promise<string> =>
  (await idp.post('/Groups', { displayName, members: members.map((value) => ({ value })) })).body.id;

async function all(query: Record<string, string>, limit: string): Promise<Shown[]> {
  const found: Shown[] = [];
  let after = 0;
  for (;;) {
    const { body } = await events({ ...query, after: String(after), limit });
    expect(body.events.length).toBeLessThanOrEqual(Number(limit));
    found.push(...body.events);
    if (body.next >= body.current) return found;
    expect(body.next).toBeGreaterThan(after);
    after = body.next;
  }
}

/** Events after the latest one, written by SQL: `i` is the place of each among them, `u` the id of its own. */
async function fillJournal(count: number, columns: { type: string; target?: string; details?: string; at?: string }) {
  await env.DB.batch([
    env.DB.prepare(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
      INSERT INTO events (org_id, seq, at, type, actor, target_id, request_id, details)
      SELECT ?1, event_seq + i, ${columns.at ?? Date.now()}, ${columns.type}, 'idp', ${columns.target ?? 'NULL'}, 'r',
        ${columns.details ?? `'{}'`} FROM n, orgs WHERE orgs.id = ?1`,
    ).bind(idp.orgId, count),
    env.DB.prepare('UPDATE orgs SET event_seq = event_seq + ?2 WHERE id = ?1').bind(idp.orgId, count),
  ]);
}

describe('an event', () => {
  it('says who did what to whom, with which credential, in which request, what changed and what came of it', async () => {
    const { id } = await idp.user('ada@x');
    const answer = await idp.patch(`/Users/${id}`, active('False'), { headers: { 'User-Agent': 'Okta 1.0' } });
    const { body } = await events();
    expect(body).toMatchObject({ next: 5, current: 5 });
    expect(body.events.at(-1)).toEqual({
      seq: 5,
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      type: 'user.deactivated',
      outcome: 'applied',
      actor: 'idp',
      credential: expect.stringMatching(/^[0-9a-f-]{36}$/),
      target: id,
      targetName: 'ada@x',
      requestId: answer.headers.get('X-Request-Id'),
      endedBy: { cause: 'scim' },
      details: {
        changed: { active: { before: true, after: false } },
        quirks: ['boolean-string'],
        client: 'Okta 1.0',
      },
    });
  });

  it('from before 0.2 is shown with `quirks`, too', async () => {
    const { id } = await idp.user('ada@x');
    await idp.patch(`/Users/${id}`, active('False'));
    await env.DB.prepare(
      "UPDATE events SET details = json_set(json_remove(details, '$.quirks'), '$.bends', details -> '$.quirks') WHERE org_id = ? AND type = 'user.deactivated'",
    )
      .bind(idp.orgId)
      .run();
    const { details } = (await events({ type: 'user.deactivated' })).body.events[0];
    expect(details).toMatchObject({ quirks: ['boolean-string'] });
    expect(details).not.toHaveProperty('bends');
    expect((await historyOf(id)).body.events.at(-1).told).toContain('tolerated: boolean string');
  });

  it('of a user is found by id and by userName, in any case, also when the user is deleted', async () => {
    const { id } = await idp.user('ada@x');
    const { id: bob } = await idp.user('bob@x');
    await idp.delete(`/Users/${id}`);
    for (const user of [id, 'ADA@x'])
      expect(typesOf(await events({ user, type: 'user.*' }))).toEqual(['user.created', 'user.deleted']);
    expect(typesOf(await events({ user: bob, type: 'user.*' }))).toEqual(['user.created']);
  });

  it('of who has the name now is meant, not of who had it before', async () => {
    const { id: first } = await idp.user('ada@x');
    await idp.put(`/Users/${first}`, { userName: 'eve@x' });
    const { id: second } = await idp.user('ada@x');
    expect((await historyOf('ada@x')).body.user.id).toBe(second);
    expect((await historyOf('eve@x')).body.user.id).toBe(first);
  });

  it('of a user of whom nothing else is left is found by id', async () => {
    const { id } = await idp.user('ada@x');
    await env.DB.prepare('DELETE FROM users WHERE org_id = ? AND id = ?').bind(idp.orgId, id).run();
    const { status, body } = await historyOf(id);
    expect([status, body.user, body.events.at(-1).type]).toEqual([200, { id }, 'user.created']);
  });

  it('of another org is nobody’s: its users are not there', async () => {
    const other = await newIdp(`${slug}-other`);
    const { id } = await other.user('eve@x');
    for (const user of [id, 'eve@x', 'nobody']) {
      for (const answer of [await events({ user }), await historyOf(user)])
        expect([answer.status, answer.body.detail]).toEqual([404, 'User not found']);
    }
    expect((await events()).body.current).toBe(3);
  });
});

describe('the history of a user', () => {
  it('has what happened to the whole org since the user was there, and nothing from before', async () => {
    await admin('POST', `/orgs/${slug}/sign-out`, { body: {} });
    await scheduler.wait(5);
    const { id } = await idp.user('ada@x');
    await scheduler.wait(5);
    await admin('POST', `/orgs/${slug}/sign-out`, { body: {} });
    expect(typesOf(await historyOf(id))).toEqual(['user.created', 'org.signed_out']);
    expect(typesOf(await events({ user: id }))).toEqual(['user.created', 'org.signed_out']);
    const types = (await events()).body.events.map(({ type }: Shown) => type);
    expect(types.filter((type: string) => type === 'org.signed_out')).toHaveLength(2);
  });

  it('answers why somebody is in a group, and why not any more, each group by its name', async () => {
    const { id } = await idp.user('ada@x');
    const sales = await group('Sales', id);
    const staff = await group('Staff');
    await idp.patch(`/Groups/${staff}`, change('add', id));
    await idp.patch(`/Groups/${staff}`, change('remove', id));
    await idp.patch(`/Groups/${staff}`, change('add', (await idp.user('bob@x')).id));
    await idp.put(`/Groups/${staff}`, { displayName: 'Crew', members: [{ value: id }] });
    await idp.delete(`/Groups/${sales}`);
    const { body } = await historyOf('ada@x');
    expect(body.user).toMatchObject({
      id,
      active: true,
      deletedAt: null,
      groups: [{ id: staff, displayName: 'Crew' }],
    });
    expect(body.events.slice(-5).map(({ told }: Shown) => told?.split(';')[0])).toEqual([
      'Joined the group "Sales", created by the identity provider',
      'Joined the group "Crew" by the identity provider',
      'Left the group "Crew" by the identity provider',
      'Joined the group "Crew" by the identity provider',
      'Left the group "Sales", deleted by the identity provider',
    ]);
  });

  it('answers why somebody is out, also by what became of the whole org', async () => {
    const { id } = await idp.user('ada@x');
    await admin('POST', `/orgs/${slug}/sign-out`, { body: {} });
    await admin('POST', `/orgs/${slug}/disable`, { body: { reason: 'unpaid' } });
    await admin('POST', `/orgs/${slug}/enable`, { body: {} });
    await admin('PATCH', `/orgs/${slug}`, { body: { settings: { idp: 'okta' } } });
    await idp.patch(`/Users/${id}`, active(false));
    const { body } = await historyOf('ada@x');
    expect(body.user).toMatchObject({ active: false, notBefore: expect.stringMatching(/Z$/) });
    expect(body.events.map(({ type }: Shown) => type)).toEqual([
      'user.created',
      'org.signed_out',
      'org.disabled',
      'org.enabled',
      'user.deactivated',
    ]);
    expect(body.events.at(-1).told).toMatch(/^Deactivated by the identity provider.*active true → false$/);
  });

  it('does not keep to itself that a change of a group counts more people than it names', async () => {
    await idp.user('ada@x');
    const details = `json_object('joined', json_array('x'), 'joinedCount', 1500)`;
    await fillJournal(1, { type: `'group.updated'`, target: `'g1'`, details });
    const { body } = await historyOf('ada@x');
    expect(body.events.at(-1).told).toMatch(/^Perhaps in a change of the group "g1".*1499 more joined than are named$/);
  });
});

describe('page by page', () => {
  it('nothing is left out and nothing comes twice, whatever is asked for', async () => {
    const { id } = await idp.user('ada@x');
    const team = await group('Team', id);
    for (let i = 0; i < 6; i++) {
      await idp.patch(`/Groups/${team}`, change(i % 2 === 0 ? 'remove' : 'add', id));
      await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'title', value: `${i}` }]);
      await idp.user(`other-${i}@x`);
    }
    for (const query of [{}, { type: 'user.*' }, { user: id }, { user: id, type: 'group.*' }, { since: '1h' }]) {
      const whole = await all(query, '500');
      expect(whole.length).toBeGreaterThan(5);
      for (const limit of ['1', '3']) expect(await all(query, limit)).toEqual(whole);
    }
    expect((await all({ user: id }, '2')).filter(({ type }) => type === 'group.updated')).toHaveLength(6);
  });

  it('also where a user has more than one page goes through, and the groups too', async () => {
    const { id } = await idp.user('ada@x');
    await fillJournal(2_500, { type: `'user.updated'`, target: `'${id}'` });
    await fillJournal(2_500, {
      type: `'group.updated'`,
      target: `'g'`,
      details: `json_object('joined', json_array(iif(i % 500 = 0, '${id}', 'x')))`,
    });
    await fillJournal(1, { type: `'user.deactivated'`, target: `'${id}'` });
    const found = (await all({ user: id }, '500')).map(({ seq }) => seq);
    const groups = [1, 2, 3, 4, 5].map((k) => 4 + 2_500 + 500 * k);
    expect(found).toEqual([...Array.from({ length: 2_501 }, (_, i) => 4 + i), ...groups, 5_005]);
  });

  it('the journal may have lost its oldest: those that are left come once', async () => {
    await fillJournal(6_000, { type: `iif(i % 1000 = 0, 'user.deleted', 'user.updated')` });
    await env.DB.prepare('DELETE FROM events WHERE org_id = ? AND seq <= 2500').bind(idp.orgId).run();
    expect((await all({ type: 'user.deleted' }, '2')).map(({ seq }) => seq)).toEqual([3_003, 4_003, 5_003, 6_003]);
  });
});

describe('by time', () => {
  const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString();

  it('it has what began from one instant on and before another, though numbers and clocks disagree a little', async () => {
    // Of ten, the sixth and seventh were committed in the other order than they began.
    const minute = `CASE i WHEN 6 THEN 7 WHEN 7 THEN 6 ELSE i END`;
    await env.DB.prepare('UPDATE orgs SET event_seq = 0 WHERE id = ?').bind(idp.orgId).run();
    await env.DB.prepare('DELETE FROM events WHERE org_id = ?').bind(idp.orgId).run();
    await fillJournal(10, { type: `'user.updated'`, at: `${Date.UTC(2026, 0, 1)} + 60000 * ${minute}` });
    expect(seqs(await events({ since: at(7), until: at(9) }))).toEqual([6, 8]);
    expect(seqs(await events({ since: at(6) }))).toEqual([6, 7, 8, 9, 10]);
    expect(seqs(await events({ until: at(7) }))).toEqual([1, 2, 3, 4, 5, 7]);
    expect(seqs(await events({ until: at(7), after: '3', type: 'user.*' }))).toEqual([4, 5, 7]);
    expect((await events({ since: at(99) })).body).toEqual({ events: [], next: 10, current: 10, pruned: 0 });
    expect((await events({ until: at(0) })).body).toEqual({ events: [], next: 10, current: 10, pruned: 0 });
    expect(seqs(await events({ since: '1h' }))).toEqual([]);
    expect(seqs(await events({ since: '9999d' }))).toHaveLength(10);
  });
});

describe('in a journal of 100,000 events', () => {
  let large: string | undefined;
  // After the org that each test has.
  beforeEach(async () => {
    if (large === undefined) {
      large = slug;
      await idp.user('ada@x');
      await fillJournal(100_000, {
        type: `iif(i % 4 = 0, 'group.updated', 'user.updated')`,
        target: `'u' || (i % 20000)`,
        at: `${Date.UTC(2026, 0, 1)} + 1000 * i`,
        details: `json_object('joined', json_array('u' || i))`,
      });
    }
    slug = large;
  });

  it.each<[string, Record<string, string>, number]>([
    ['a page', { after: '50000' }, 320],
    ['a rare type', { type: 'user.deleted', after: '50000' }, 2_100],
    ['a user', { user: 'ada@x' }, 6_200],
    ['since a while ago', { since: '2026-01-01T20:00:00Z' }, 1_800],
    ['in one minute', { since: '2026-01-01T20:00:00Z', until: '2026-01-01T20:01:00Z' }, 2_600],
  ])('%s is at most two round trips, reads the index, and no more than it says', async (_, query, atMost) => {
    const meter = new Meter();
    const answer = await events(query, { env: { DB: meter.binding } });
    expect(answer.status).toBe(200);
    expect(meter.roundTrips).toBeLessThanOrEqual(2);
    expect(meter.rowsRead).toBeLessThanOrEqual(atMost);
    const plans = (await meter.plans()).filter((line) => /\b(events|users|orgs)\b/.test(line));
    expect(plans.filter((line) => line.startsWith('SCAN'))).toEqual([]);
  });
});

describe('refused, with what was expected:', () => {
  it.each([
    ['after', '-1', 'after: a whole number from 0 was expected'],
    ['after', '99', "after: at most 3 was expected, the org's latest event"],
    ['limit', '501', 'limit: a whole number from 1 to 500 was expected'],
    ['type', 'users', 'type: the name of an event, such as user.deleted or user.*, was expected'],
    [
      'since',
      'soon',
      'since: an instant such as 2026-11-22T08:00:00Z was expected, or how long ago, such as 7d or 12h',
    ],
    ['until', '', 'until: a value was expected'],
    ['user', '', 'user: a value was expected'],
    ['slug', 'x', 'slug is not part of the question'],
  ])('%s=%s', async (name, value, detail) => {
    const { status, body } = await events({ [name]: value });
    expect([status, body]).toEqual([400, { error: 'invalidValue', detail }]);
  });

  it('an org that is not there', async () => {
    expect((await admin('GET', '/orgs/nowhere/events')).status).toBe(404);
    expect((await admin('GET', '/orgs/nowhere/users/ada/history')).status).toBe(404);
  });
});
