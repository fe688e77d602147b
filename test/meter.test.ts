/**
 * Promise 7, pinned: what each operation costs until its answer, in calls, statements and bytes of SQL. Nobody brings
 * the cost back unseen.
 *
 * A number is an upper bound. To lower one: make the operation cheaper, run `METER=1 npx vitest run test/meter.test.ts`,
 * which prints what was measured in the same form, and write the smaller number here.
 * Raise one only with a reason in the commit.
 */
import { env } from 'cloudflare:workers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { TOKENS_PER_EVENT } from '../src/store/operations/signal-lines';
import { type Answer, type Ask, admin, host, type Idp, newIdp } from './support/client';
import { coordinatorOf } from './support/coordinator';
import { COLUMNS, type Cost, costOf, meteredIdp, parseBounds, tableOf } from './support/cost-meter';
import { rows } from './support/database';
import { fillDirectory, idOf } from './support/directory';
import { fillGroup } from './support/fill';
import { newPair, type Pair } from './support/oauth';
import { observers } from './support/platform';
import { Receiver } from './support/receiver';
import {
  issSub,
  logout,
  logoutToken,
  newSender,
  newTransmitter,
  postLogout,
  RISC,
  type Sender,
  type TestTransmitter,
  tell,
} from './support/signals';
import { newReceiver, PUSH, type TestReceiver } from './support/ssf';

const BOUNDS = parseBounds(`
operation                        | trips | statements | SQL bytes | rows read | rows written | object calls | KV reads | KV writes | after
user: POST                       |     1 |          5 |      3400 |        25 |           17 |            0 |        0 |         0 |     0
user: GET                        |     1 |          1 |      2650 |        10 |            0 |            0 |        0 |         0 |     0
users: page of 100               |     1 |          2 |      3150 |       705 |            0 |            0 |        0 |         0 |     0
users: last page of 100          |     1 |          2 |      3150 |      2105 |            0 |            0 |        0 |         0 |     0
users: userName eq               |     1 |          1 |      2800 |        10 |            0 |            0 |        0 |         0 |     0
users: emails[type and value co] |     1 |          2 |      4400 |      4025 |            0 |            0 |        0 |         0 |     0
user: PUT                        |     2 |         12 |      7000 |        45 |           17 |            0 |        0 |         0 |     0
user: PATCH title                |     2 |          7 |      4800 |        30 |           12 |            0 |        0 |         0 |     0
user: PATCH active false         |     2 |          7 |      5500 |        35 |           17 |            1 |        0 |         1 |     1
user: PATCH active true          |     3 |         11 |      5700 |        45 |           18 |            1 |        0 |         1 |     1
user: DELETE                     |     1 |          9 |      3900 |        45 |           25 |            1 |        0 |         1 |     1
group: POST                      |     1 |          8 |      5700 |        50 |           20 |            0 |        0 |         0 |     0
group: GET, no members           |     1 |          1 |      1450 |         5 |            0 |            0 |        0 |         0 |     0
group: GET, 1,000 members        |     1 |          3 |      3150 |      3010 |            0 |            0 |        0 |         0 |     0
group: add 100                   |     1 |          8 |      4850 |       630 |          209 |            0 |        0 |         0 |     0
group: remove 100                |     1 |          7 |      4150 |       925 |          109 |            0 |        0 |         0 |     0
ServiceProviderConfig            |     1 |          2 |      2250 |        10 |            0 |            0 |        0 |         0 |     0
session: check                   |     1 |          2 |       400 |        15 |            0 |            0 |        0 |         0 |     0
session: resolve                 |     1 |          3 |      1850 |        25 |            0 |            0 |        0 |         0 |     0
session: users, page of 500      |     1 |          5 |      2900 |      7000 |            0 |            0 |        0 |         0 |     0
session: groups, page of 500     |     1 |          3 |       800 |       550 |            0 |            0 |        0 |         0 |     0
session: memberships, 1,000      |     1 |          3 |       950 |      3200 |            0 |            0 |        0 |         0 |     0
session: changes, 500 users      |     1 |          7 |     12000 |      5500 |            0 |            0 |        0 |         0 |     0
session: discover                |     1 |          1 |       250 |         5 |            0 |            0 |        0 |         0 |     0
signal: Universal Logout         |     2 |         16 |      3150 |        46 |           14 |            1 |        0 |         1 |     0
signal: account-disabled         |     2 |         16 |      3150 |        46 |           14 |            1 |        0 |         1 |     0
signal out: poll of 20 tokens    |     4 |         18 |      6500 |       330 |            4 |            0 |        0 |         0 |     0
signal out: a push               |     5 |         13 |      3900 |        60 |            2 |            0 |        0 |         0 |     0
signal out: ten pushes           |    16 |         24 |      8000 |       240 |            4 |            0 |        0 |         0 |     0
signal: forged                   |     1 |          2 |       200 |         5 |            0 |            0 |        0 |         0 |     2
webhook: a delivery              |     4 |         11 |      4700 |        40 |            1 |            0 |        0 |         0 |     0
webhook: ten deliveries          |    16 |         24 |     11000 |       230 |            4 |            0 |        0 |         0 |     0
`);

const SIZE = 2_000;
const MEMBERS = 1_000;
let idp: Idp;
let group: string;
let okta: Sender;
let transmitter: TestTransmitter;
let forger: Pair;
/** An org with a webhook. */
let hooked: Idp;
let receiver: Receiver;
let security: TestReceiver;
let polled: string;
/** An org whose signals are pushed, and to where. */
let pushing: Idp;
const SOC = 'https://soc.example.com/metered';
let pushes = 0;
const measured = new Map<string, Cost>();
/** All statements, for test/store/previous-worker.test.ts. */
const sent = new Set<string>();
const recorder = {
  queried: (statements: readonly string[]) => statements.forEach((text) => void sent.add(text)),
  keptInKv: () => undefined,
  objectCalled: () => undefined,
};
if (env.METER === 'sql') observers.add(recorder);

beforeAll(async () => {
  idp = await newIdp('metered');
  await fillDirectory(idp, SIZE);
  group = await fillGroup(idp, 'everyone', MEMBERS);
  // The first requests of an isolate pay for what the later ones remember.
  await idp.get(`/Users/${idOf(1)}`);
  await idp.patch(`/Users/${idOf(1)}`, [{ op: 'replace', path: 'title', value: 'Warm' }]);
  await idp.patch(`/Users/${idOf(1)}`, [{ op: 'replace', path: 'active', value: false }]);
  await check({});
  okta = await newSender(idp);
  transmitter = await newTransmitter(idp);
  // Of another org: nothing is told of this one.
  const told = await newIdp('metered-out');
  security = await newReceiver([told.slug]);
  polled = (await security.api('POST', '/streams', { body: {} })).body.stream_id;
  for (let i = 0; i < 30; i++) await told.user(`told-${i}@example.com`);
  await security.api('POST', `/poll/${polled}`, { body: { returnImmediately: true, maxEvents: 0 } });
  forger = await newPair('RS256', okta.pair.publicJwk.kid);
  await logout(okta, issSub(okta, 'hr-18'));
  await tell(transmitter, `${RISC}account-disabled`, 'hr-18');
  hooked = await newIdp('hooked');
  await env.DB.prepare(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 501)
     INSERT INTO groups (org_id, id, display_name_key, version, created_at, modified_at, member_count, resource, folded)
     SELECT ?, 'g' || i, 'g' || i, 1, 1, 1, 0, json_object('displayName', 'G' || i), json_object('displayName', 'g' || i) FROM n`,
  )
    .bind(hooked.orgId)
    .run();
  receiver = new Receiver('https://hooks.example.com/metered');
  const others = vi.mocked(globalThis.fetch).getMockImplementation()!;
  vi.mocked(globalThis.fetch).mockImplementation(async (input, init = {}) =>
    String(input) === receiver.url ? receiver.receive(init) : String(input) === SOC ? taken() : others(input, init),
  );
  const hook = { url: receiver.url, org: hooked.slug, types: ['user.*'] };
  receiver.secret = (await admin('POST', '/webhooks', { body: hook })).body.secret;
  for (let i = 0; i < 10; i++) await hooked.user(`user-${i}`);
  await vi.waitFor(() => expect(receiver.got).toHaveLength(10), { timeout: 20_000 });
  await everythingSent();
  pushing = await newIdp('metered-push');
  const soc = await newReceiver([pushing.slug]);
  await soc.api('POST', '/streams', { body: { delivery: { method: PUSH, endpoint_url: SOC } } });
  for (let i = 0; i < 10; i++) await pushing.user(`pushed-${i}@example.com`);
  await vi.waitFor(() => expect(pushes).toBe(10), { timeout: 20_000 });
  await everythingPushed();
});

function taken(): Response {
  pushes++;
  return new Response(null, { status: 202 });
}

afterAll(() => {
  vi.restoreAllMocks();
  if (env.METER === '1') console.log(tableOf(measured));
  if (env.METER === 'sql') for (const text of [...sent].sort()) console.log(`SQL ${text}`);
});

const user = (n: number) => `/Users/${idOf(n)}`;
const name = (n: number) => `person-${n}@metered.example`;
const list = (query: Record<string, string>) => `/Users?${new URLSearchParams(query)}`;
const someone = (userName: string) => ({
  schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
  userName,
  externalId: `ext-${userName}`,
  name: { givenName: 'New', familyName: 'Person' },
  emails: [{ value: userName, type: 'work', primary: true }],
  active: true,
});
const members = (from: number, count: number) => Array.from({ length: count }, (_, i) => ({ value: idOf(from + i) }));
const check = (metered: Ask) =>
  host('POST', '/check', { ...metered, body: { org: idp.orgId, user: idOf(2), issuedAt: Date.now() } });

const OPERATIONS: Record<string, [status: number, run: (idp: Idp, metered: Ask) => Promise<Answer>]> = {
  'user: POST': [201, (it) => it.post('/Users', someone('new@metered.example'))],
  'user: GET': [200, (it) => it.get(user(10))],
  'users: page of 100': [200, (it) => it.get(list({ count: '100' }))],
  'users: last page of 100': [200, (it) => it.get(list({ count: '100', startIndex: String(SIZE - 99) }))],
  'users: userName eq': [200, (it) => it.get(list({ filter: `userName eq "${name(11)}"` }))],
  'users: emails[type and value co]': [
    200,
    (it) => it.get(list({ filter: `emails[type eq "work" and value co "${name(11)}"]` })),
  ],
  'user: PUT': [200, (it) => it.put(user(12), someone('put@metered.example'))],
  'user: PATCH title': [200, (it) => it.patch(user(13), [{ op: 'replace', path: 'title', value: 'Head' }])],
  'user: PATCH active false': [200, (it) => it.patch(user(14), [{ op: 'replace', path: 'active', value: false }])],
  'user: PATCH active true': [200, (it) => it.patch(user(14), [{ op: 'replace', path: 'active', value: true }])],
  'user: DELETE': [204, (it) => it.delete(user(15))],
  'group: POST': [201, (it) => it.post('/Groups', { displayName: 'New', members: members(20, 2) })],
  'group: GET, no members': [200, (it) => it.get(`/Groups/${group}?excludedAttributes=members`)],
  'group: GET, 1,000 members': [200, (it) => it.get(`/Groups/${group}`)],
  'group: add 100': [204, (it) => it.patch(`/Groups/${group}`, [addMembers()])],
  'group: remove 100': [204, (it) => it.patch(`/Groups/${group}`, [removeMembers()])],
  ServiceProviderConfig: [200, (it) => it.get('/ServiceProviderConfig')],
  'session: check': [200, (_, metered) => check(metered)],
  'session: resolve': [
    200,
    (_, metered) => host('POST', '/resolve', { ...metered, body: { org: idp.orgId, id: idOf(2) } }),
  ],
  'session: users, page of 500': [200, (_, metered) => listed('users?', metered)],
  'session: groups, page of 500': [200, (_, metered) => host('GET', `/groups?org=${hooked.orgId}`, metered)],
  'session: memberships, 1,000': [200, (_, metered) => listed('memberships?limit=1000&', metered)],
  'session: changes, 500 users': [200, (_, metered) => listed(`changes?after=0&`, metered)],
  'session: discover': [
    200,
    (_, metered) => host('POST', '/discover', { ...metered, body: { email: 'a@metered.example' } }),
  ],
  // Before the signals: what a rejected one is counted with comes later.
  'webhook: a delivery': [204, () => deliver(1)],
  'webhook: ten deliveries': [204, () => deliver(10)],
  'signal: Universal Logout': [204, (_, metered) => logout(okta, issSub(okta, 'hr-16'), metered)],
  'signal: account-disabled': [
    202,
    (_, metered) => tell(transmitter, `${RISC}account-disabled`, 'hr-17', {}, {}, metered),
  ],
  'signal out: poll of 20 tokens': [
    200,
    (_, metered) => security.api('POST', `/poll/${polled}`, { ...metered, body: { returnImmediately: true } }),
  ],
  'signal out: a push': [204, () => pushOut(1)],
  'signal out: ten pushes': [204, () => pushOut(10)],
  'signal: forged': [
    401,
    async (_, metered) => postLogout(okta.endpoint, await logoutToken({ ...okta, pair: forger }), {}, metered),
  ],
};

const dueAt = async () =>
  (await rows('SELECT due_at FROM webhook_lines WHERE org_id = ?', hooked.orgId)).map((row) => row['due_at']);
const everythingSent = () =>
  vi.waitFor(async () => expect(await dueAt()).toEqual([null]), { timeout: 20_000, interval: 10 });

/** The latest events of the org are sent to its endpoint, as after a commit. */
async function deliver(count: number): Promise<Answer> {
  await env.DB.prepare('UPDATE webhook_lines SET seq = seq - ?, due_at = 0 WHERE org_id = ?')
    .bind(count, hooked.orgId)
    .run();
  receiver.got.length = 0;
  await coordinatorOf(hooked.orgId).deliverSoon();
  await everythingSent();
  expect(receiver.got).toHaveLength(count);
  return { status: 204, text: '', body: undefined, headers: new Headers() };
}

const everythingPushed = () =>
  vi.waitFor(
    async () =>
      expect(await rows('SELECT due_at FROM signal_lines WHERE org_id = ?', pushing.orgId)).toEqual([{ due_at: null }]),
    { timeout: 20_000, interval: 10 },
  );

/** The latest events of the org, which make one token each, are pushed to its receiver, as after a commit. */
async function pushOut(count: number): Promise<Answer> {
  await env.DB.prepare('UPDATE signal_lines SET place = place - ?, due_at = 0 WHERE org_id = ?')
    .bind(count * TOKENS_PER_EVENT, pushing.orgId)
    .run();
  pushes = 0;
  await coordinatorOf(pushing.orgId).deliverSoon();
  await everythingPushed();
  expect(pushes).toBe(count);
  return { status: 204, text: '', body: undefined, headers: new Headers() };
}

const listed = (path: string, metered: Ask) => host('GET', `/${path}org=${idp.orgId}`, metered);

function addMembers() {
  return { op: 'add', path: 'members', value: members(MEMBERS + 1, 100) };
}
function removeMembers() {
  return { op: 'remove', path: 'members', value: members(MEMBERS + 1, 100) };
}

describe('each operation stays within its bounds:', () => {
  it.each(Object.keys(OPERATIONS))('%s', async (operation) => {
    const [status, run] = OPERATIONS[operation]!;
    const { answer, cost } = await costOf((metered) => run(meteredIdp(idp, metered), metered));
    expect(answer.status, answer.text).toBe(status);
    measured.set(operation, cost);
    const bounds = BOUNDS.get(operation)!;
    const over = COLUMNS.filter((column) => !(cost[column] <= bounds[column]));
    expect(over.map((column) => `${column}: ${cost[column]}, at most ${bounds[column]}`)).toEqual([]);
  });

  it('the table has a line for each operation, and for nothing else', () => {
    expect([...BOUNDS.keys()].sort()).toEqual(Object.keys(OPERATIONS).sort());
  });
});
