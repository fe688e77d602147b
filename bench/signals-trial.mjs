/**
 * `npm run trial:signals`: an org is sent signals by Universal Logout, by push and by poll, while its directory changes, and two
 * streams tell a receiver of it. The transmitters repeat, reorder and die, the receiver dies before and after it acknowledges,
 * and the service is killed (kill -9). At the end each signal must have acted once, and each event must have arrived, in order.
 * `--users 300`, `--signals 3000`, `--seed 1`, `--json`. With `--databases 4` the org is moved meanwhile. It ends with 1 when
 * anything differs.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { newUser, randomOf } from './entra-cycle.mjs';
import { each } from './figures.mjs';
import { newReceivers } from './receivers.mjs';
import { newTransmitter } from './transmitter.mjs';
import { ADMIN_TOKEN, HOST_TOKEN, killService, ORG, report, say, startService, trialOptions, url } from './trial.mjs'; // first: it says so if this Node is too old

const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';
const LANES = 6;
/** Milliseconds for the last signals and events. */
const PATIENCE = 240_000;
const WAYS = ['logout', 'push', 'poll'];
/** Tokens of each event that happens to users here, in their order. */
const TOLD = {
  'user.signed_out': ['session-revoked'],
  'user.updated': ['patch:notice'],
  'user.deactivated': ['session-revoked', 'account-disabled', 'deactivate'],
  'user.reactivated': ['account-enabled', 'activate'],
};

const { users, signals, seed, databases, json } = trialOptions({ users: 300, signals: 3_000, databases: 1 });
const VARIABLES = { DATABASES: String(databases), ALLOW_LOOPBACK_JWKS: 'true', ALLOW_LOOPBACK_WEBHOOKS: 'true' };
/** Of how many signals one is followed by a kill of the service, or by an absence of the transmitters. */
const MISHAP = Math.max(50, Math.ceil(signals / 8));
const random = randomOf(seed);
const chance = (share) => random() < share;
const differences = [];
const kills = { service: 0, transmitters: 0 };
let moves = 0;
const retried = { logout: 0, push: 0, scim: 0 };
/** User -> how many signals name this user, and when the last one was sent; epoch milliseconds. */
const sent = new Map();
/** Tokens that were polled before, to be sent again. */
const past = new Map();
let service;
let token = '';

await report(trial, () => differences, json);

async function trial() {
  const transmitters = {
    pushing: await newTransmitter(),
    polled: await newTransmitter({ pageOf: anyOf, isLost: () => chance(0.02) }),
  };
  service = await startService(VARIABLES);
  const { id: org } = await admin('POST', '/orgs', { slug: ORG });
  await admin('POST', `/orgs/${ORG}/scim`, { enabled: true });
  ({ token } = await admin('POST', `/orgs/${ORG}/tokens`, {}));
  say(`creating ${users} users …`);
  const people = await each(
    [...Array(users).keys()],
    LANES,
    async (n) => (await scim('POST', '/Users', newUser(n))).id,
  );
  // The directory changes these alone, and signals name the others.
  const changing = people.splice(0, Math.ceil(users / 10));
  const sources = await addSources(transmitters);
  const client = await admin('POST', '/signals/receivers', { name: 'trial', orgs: [ORG] });
  const receivers = await newReceivers(url, client, chance);
  const { byPush, byPoll, end } = await receivers.start();
  const begun = (await journalAfter(org, 0)).at(-1).seq;
  const issuedAt = Date.now();

  say(`${signals} signals, with kills …`);
  const started = performance.now();
  const seconds = () => Math.round((performance.now() - started) / 100) / 10;
  let isOver = false;
  const changes = changeAll(changing, () => isOver);
  let [done, mishaps] = [0, Promise.resolve()];
  await each([...Array(signals).keys()], LANES, async (n) => {
    const user = people[Math.floor(random() * people.length)];
    sent.set(user, { times: (sent.get(user)?.times ?? 0) + 1, at: Date.now() });
    await sendBy(WAYS[n % WAYS.length], user, transmitters, sources);
    const nth = ++done / MISHAP;
    if (Number.isInteger(nth)) mishaps = mishaps.then(() => mishap(nth, transmitters));
  });
  await mishaps;
  isOver = true;
  const requests = await changes;
  const sending = seconds();
  await until(() => transmitters.polled.queue.size === 0, 'signals that are not acknowledged');

  say('comparing …');
  const journal = await journalAfter(org, begun);
  compareSignals(journal);
  await compareSessions(org, people, issuedAt);
  const expected = journal.flatMap(({ seq, type }) => (TOLD[type] ?? []).map((name) => `${seq} ${name}`));
  const isThere = () => [byPush, byPoll].every(({ first }) => first.length >= expected.length);
  await until(isThere, 'events that have not arrived');
  await sleep(2_000); // for what must not come
  await end();
  compareEvents('push', byPush, expected);
  compareEvents('poll', byPoll, expected);
  return {
    users,
    signals,
    changes: requests,
    kills: { ...kills, receiver: receivers.deaths },
    moves,
    retried,
    sentMoreThanOnce: transmitters.polled.repeated(),
    events: { expected: expected.length, pushedAgain: byPush.repeats, polledAgain: byPoll.repeats },
    seconds: { signals: sending, all: seconds() },
    differences,
  };
}

async function addSources({ pushing, polled }) {
  const add = (body) => admin('POST', `/orgs/${ORG}/signals`, body);
  const { issuer, jwksUrl } = pushing;
  const stream = (delivery, { issuer }) => add({ type: 'ssf', transmitter: issuer, delivery, auth: 'trial' });
  return {
    logout: await add({ type: 'global-token-revocation', issuer, jwksUrl }),
    push: await stream('push', pushing),
    poll: await stream('poll', polled),
  };
}

/** Until the service says that it has acted. A signal by poll waits at its transmitter. */
async function sendBy(way, user, { pushing, polled }, sources) {
  if (way === 'poll') {
    const jti = crypto.randomUUID();
    polled.queue.set(jti, await polled.set(sources.poll, user, jti));
    return;
  }
  const isPush = way === 'push';
  const signed = isPush ? await pushing.set(sources.push, user) : await pushing.logout(sources.logout);
  const { endpoint } = sources[way];
  const request = isPush
    ? { headers: { 'content-type': 'application/secevent+jwt' }, body: signed }
    : {
        headers: { 'content-type': 'application/json', authorization: `Bearer ${signed}` },
        body: JSON.stringify({ sub_id: { format: 'opaque', id: user } }),
      };
  const post = (signal) => fetch(endpoint, { ...request, method: 'POST', signal }).catch(() => undefined);
  for (let attempt = 0; ; attempt++) {
    // Now and then the sender dies before it has the answer, or sends twice at once.
    const isDying = attempt === 0 && chance(0.03);
    if (attempt === 0 && chance(0.03)) post().then((answer) => answer?.body?.cancel());
    const answer = await post(isDying ? AbortSignal.timeout(Math.round(random() * 40)) : undefined);
    const status = answer?.status;
    await answer?.body?.cancel();
    if (status === 202 || status === 204) return;
    // Used up: an attempt before it has acted.
    if (!isPush && status === 401) return;
    if (status !== undefined && status < 500 && status !== 429) {
      differences.push(`a signal by ${way} was answered ${status}`);
      return;
    }
    retried[way]++;
    await sleep(100 + random() * 200);
  }
}

/** In any order, and now and then one that was acknowledged before. */
function anyOf(queue, most) {
  const page = [...queue.entries().take(2 * most)].sort(() => random() - 0.5).slice(0, most);
  const again = [...past].at(Math.floor(random() * past.size));
  for (const [jti, set] of page) past.set(jti, set);
  if (page.length > 1 && again !== undefined && chance(0.3)) page[0] = again;
  return page;
}

async function mishap(n, { pushing, polled }) {
  if (n % 3 === 0) {
    kills.transmitters++;
    for (const one of [pushing, polled]) await one.stop();
    await sleep(1_500);
    for (const one of [pushing, polled]) await one.start();
    return;
  }
  if (n % 3 === 1 && databases > 1) return move();
  kills.service++;
  service = await killService(service, VARIABLES);
}

/** To the next database. */
async function move() {
  const to = `DB_${1 + (moves++ % (databases - 1))}`;
  await admin('POST', `/orgs/${ORG}/move`, { to });
  for (;;) {
    const { shard, move: last } = await admin('GET', `/orgs/${ORG}/move`);
    if (shard === to && last?.state === 'done') return;
    await sleep(100);
  }
}

/** Titles, and active and back. @returns how many requests there were. */
async function changeAll(ids, isOver) {
  let requests = 0;
  for (let round = 0; !isOver(); round++) {
    for (const id of ids) {
      if (isOver()) break;
      const isTitle = round % 3 === 0;
      const change = isTitle
        ? { op: 'replace', path: 'title', value: `Title ${round}` }
        : { op: 'replace', path: 'active', value: round % 3 === 2 };
      await scim('PATCH', `/Users/${id}`, { schemas: [PATCH], Operations: [change] });
      requests++;
      await sleep(100);
    }
  }
  return requests;
}

/** Each signal acted once: as often as signals name a user, the journal says that the user was signed out. */
function compareSignals(journal) {
  const ended = new Map();
  for (const { type, target: user } of journal)
    if (type === 'user.signed_out') ended.set(user, (ended.get(user) ?? 0) + 1);
  for (const [user, { times }] of sent)
    if (ended.get(user) !== times)
      differences.push(`${user} was signed out ${ended.get(user) ?? 0} times, by ${times} signals`);
  for (const user of ended.keys()) if (!sent.has(user)) differences.push(`${user} was signed out by no signal`);
}

/** Over for each user whom a signal named, and good for the others. A session from now on is good for all. */
async function compareSessions(org, people, issuedAt) {
  await each(people, LANES, async (user) => {
    const isGood = async (at) => (await host('POST', '/check', { org, user, issuedAt: at })).valid;
    const { at } = sent.get(user) ?? {};
    if (await isGood(at ?? issuedAt)) {
      if (at !== undefined) differences.push(`a session of ${user} from before the last signal is good`);
    } else if (at === undefined) differences.push(`a session of ${user} is over, and no signal named the user`);
    if (!(await isGood(Date.now()))) differences.push(`a new session of ${user} is over`);
  });
}

/** Each token once, if its repeats are left out, in the order of the journal. */
function compareEvents(way, { first }, expected) {
  const names = first.map(({ place, uri }) => `${Math.floor(place / 4_096)} ${uri.split(/\/|prov:/).at(-1)}`);
  const at = expected.findIndex((name, i) => names[i] !== name);
  if (at >= 0) differences.push(`by ${way} event ${at} is ${names[at]}, not ${expected[at]}`);
  if (names.length !== expected.length)
    differences.push(`by ${way} ${names.length} events arrived, not ${expected.length}`);
}

async function until(condition, missing) {
  for (const end = Date.now() + PATIENCE; Date.now() < end; await sleep(100)) if (condition()) return;
  differences.push(`after ${PATIENCE / 1_000} s there are ${missing}`);
}

async function journalAfter(org, start) {
  const events = [];
  for (let after = start; ; after = events.at(-1).seq) {
    const page = await host('GET', `/events?${new URLSearchParams({ org, after, limit: '500' })}`);
    if (page.events.length === 0) return events;
    events.push(...page.events);
  }
}

function scim(method, path, body) {
  return persist(`/scim/v2${path}`, method, token, body);
}
function admin(method, path, body) {
  return persist(`/admin/v1${path}`, method, ADMIN_TOKEN, body);
}
function host(method, path, body) {
  return persist(`/sessions/v1${path}`, method, HOST_TOKEN, body);
}

/** As identity providers do, a request is repeated until the service has answered. */
async function persist(path, method, bearer, body) {
  for (;;) {
    const answer = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    }).catch(() => undefined);
    if (answer?.ok) return answer.status === 204 ? undefined : answer.json();
    if (answer && answer.status < 500 && answer.status !== 429)
      throw new Error(`${method} ${path} was answered ${answer.status}: ${await answer.text()}`);
    await answer?.body?.cancel();
    retried.scim++;
    await sleep(200);
  }
}
