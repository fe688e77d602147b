/**
 * `npm run bench:signals`: many signals at once for one org, by push and by poll, through restarts on both sides. How long
 * from a signal to a refused session, what another org notices, and whether each signal acted exactly once.
 * On the real Worker, with a transmitter on loopback and a state folder that is thrown away. Beside it a Worker that uses as
 * much CPU as the pushes did, and no storage: what another org notices of that is the machine's, and the rest is ours.
 * `--signals 10000` of each kind, `--users 100`, `--parallel 32` pushes at a time, `--push` without the polls, `--json`.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { okta } from '../scripts/demo/idp.mjs';
import { freePort, startService } from '../scripts/start/service.mjs';
import { httpSource, sessionChecker } from '../src/sessions/client/index.ts';
import { each, figuresOf } from './figures.mjs';
import { cpuOf } from './processes.mjs';
import { newTransmitter } from './transmitter.mjs';

process.env.ALLOW_LOOPBACK_JWKS = 'true';
/** Signals whose time until a refused session is taken, and deactivations in quiet. */
const TIMED = 100;
/** Deactivations beside each load, at most, and milliseconds from one to the next. */
const BESIDE = 400;
/** The two loads take turns, for the machine has other work at times. */
const ROUNDS = 4;
const APART = 50;
const PATIENCE = 600_000;

const { signals, users, parallel, json, push: isPushOnly } = options();
const stateDir = mkdtempSync(join(tmpdir(), 'scim-worker-bench-'));
const secrets = { ADMIN_TOKEN: randomBytes(24).toString('hex'), HOST_TOKEN: randomBytes(24).toString('hex') };
const port = await freePort();
const burnerPort = await freePort();
let service = await start();
const transmitter = await newTransmitter();
try {
  const found = await measure();
  console.log(json ? JSON.stringify(found) : JSON.stringify(found, null, 2));
} finally {
  await transmitter.stop();
  await service.stop();
  rmSync(stateDir, { recursive: true, force: true });
}

async function start() {
  const burner = { configPath: fileURLToPath(new URL('./burner/wrangler.toml', import.meta.url)), port: burnerPort };
  const onLog = (text) => process.stderr.write(text);
  const started = startService({ port, stateDir, secrets, onLog, beside: [burner] });
  await started.ready;
  return started;
}

async function measure() {
  const [pushed, polled, beside] = [
    await newOrg('pushed', users),
    await newOrg('polled', users),
    await newOrg('beside', TIMED + 2 * BESIDE),
  ];
  const push = await addStream('pushed', 'push');
  const quiet = await deactivations(beside, beside.ids.slice(0, TIMED));

  const timed = await each(pushed.ids.slice(0, Math.min(users, TIMED)), 1, async (id) => {
    const session = { org: pushed.id, user: id, issuedAt: Date.now() };
    const token = await transmitter.set(push, id);
    const sent = performance.now();
    const answered = post(push.endpoint, token).then(() => performance.now() - sent);
    const refused = denied(session).then(() => performance.now() - sent);
    return Promise.all([answered, refused]);
  });

  const tokens = await each([...Array(signals).keys()], 8, (n) => transmitter.set(push, pushed.ids[n % users]));
  const before = await signedOut('pushed');
  const unused = beside.ids.slice(TIMED);
  const nextPeople = () => unused.splice(0, BESIDE / ROUNDS);
  const total = { repeated: 0, seconds: 0, cpu: 0 };
  const [besidePushes, besideBurner] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    const some = tokens.slice((round * signals) / ROUNDS, ((round + 1) * signals) / ROUNDS);
    const cpuBefore = cpuOf(service.group());
    const began = performance.now();
    let isOver = false;
    const sentAt = [];
    const load = each(some, parallel, async (token) => {
      sentAt.push(performance.now() - began);
      while ((await post(push.endpoint, token)) === 429) {
        total.repeated++;
        await sleep(1_000);
      }
    }).finally(() => {
      isOver = true;
    });
    besidePushes.push(...(await deactivations(beside, nextPeople(), () => isOver)));
    await load;
    const seconds = (performance.now() - began) / 1_000;
    const cpu = cpuOf(service.group()) - cpuBefore;
    total.seconds += seconds;
    total.cpu += cpu;
    note(`pushed ${some.length} in ${Math.round(seconds)} s`);
    await sleep(2_000);
    const like = { milliseconds: cpu / some.length, sentAt };
    besideBurner.push(...(await deactivationsBesideBurner(beside, nextPeople(), like)));
  }
  const acted = (await signedOut('pushed')) - before;
  const found = {
    unit: 'ms',
    pushToAnswer: figuresOf(timed.map(([answered]) => answered)),
    pushToRefusedSession: figuresOf(timed.map(([, refused]) => refused)),
    push: {
      signals,
      seconds: Math.round(total.seconds),
      perSecond: Math.round(signals / total.seconds),
      cpu: Number((total.cpu / signals).toFixed(2)),
      repeatedAfter429: total.repeated,
      acted,
    },
    deactivationInAnotherOrg: {
      quiet: figuresOf(quiet),
      besidePushes: figuresOf(besidePushes),
      besideTheSameCpu: figuresOf(besideBurner),
    },
  };
  if (isPushOnly) return found;
  const poll = await addStream('polled', 'poll');
  for (let n = 0; n < signals; n++) {
    const jti = randomUUID();
    transmitter.queue.set(jti, await transmitter.set(poll, polled.ids[n % users], jti));
  }
  const pollBegan = performance.now();
  // Once the service is killed amid the work, once the transmitter is away.
  await until(() => transmitter.acked.size > signals / 4);
  note(`polled ${transmitter.acked.size}: the service stops`);
  await service.stop();
  const ackedAtStop = transmitter.acked.size;
  service = await start();
  await until(() => transmitter.acked.size > signals / 2);
  note(`polled ${transmitter.acked.size}: the transmitter stops`);
  await transmitter.stop();
  await sleep(3_000);
  await transmitter.start();
  await until(() => transmitter.queue.size === 0);
  const pollSeconds = (performance.now() - pollBegan) / 1_000;
  const polledActed = await signedOut('polled');

  const waits = await each([...Array(5).keys()], 1, async (n) => {
    const id = polled.ids[n % users];
    const session = { org: polled.id, user: id, issuedAt: Date.now() + 1 };
    await sleep(5);
    const jti = randomUUID();
    const sent = performance.now();
    transmitter.queue.set(jti, await transmitter.set(poll, id, jti));
    await denied(session);
    return performance.now() - sent;
  });
  return {
    ...found,
    poll: {
      signals,
      seconds: Math.round(pollSeconds),
      withRestarts: 2,
      ackedWhenTheServiceStopped: ackedAtStop,
      sentMoreThanOnce: transmitter.repeated(),
      acted: polledActed,
    },
    pollToRefusedSession: figuresOf(waits),
  };
}

function note(text) {
  process.stderr.write(`${text}\n`);
}

/** @returns how often the journal says that somebody was signed out. */
async function signedOut(slug) {
  let [count, after] = [0, 0];
  for (;;) {
    const { events } = await host(`/events?org=${slug}&after=${after}&type=user.signed_out&limit=500`);
    count += events.length;
    if (events.length === 0) return count;
    after = events.at(-1).seq;
  }
}

async function deactivations(org, ids, isOver = () => false) {
  const took = [];
  for (const id of ids) {
    if (isOver()) break;
    const began = performance.now();
    const { status } = await org.idp.setActive(id, false);
    if (status !== 200) throw new Error(`a deactivation answered ${status}`);
    took.push(performance.now() - began);
    await sleep(APART);
  }
  return took;
}

/** Deactivations while the other Worker uses as much CPU, in as many requests at the same moments, with as many at a time. */
async function deactivationsBesideBurner(org, ids, { milliseconds, sentAt }) {
  const burn = async (rounds) => {
    const answer = await fetch(`http://127.0.0.1:${burnerPort}/?rounds=${Math.round(rounds)}`);
    await answer.text();
  };
  const cpuOfOne = async (rounds) => {
    const tries = 50;
    await burn(rounds);
    const before = cpuOf(service.group());
    for (let n = 0; n < tries; n++) await burn(rounds);
    return (cpuOf(service.group()) - before) / tries;
  };
  // A request that burns nothing uses some, too.
  const [least, rounds] = [await cpuOfOne(0), 2_000_000];
  const perMillisecond = rounds / ((await cpuOfOne(rounds)) - least);
  let isOver = false;
  const began = performance.now();
  const load = each(sentAt, parallel, async (at) => {
    await sleep(Math.max(0, began + at - performance.now()));
    await burn(Math.max(0, milliseconds - least) * perMillisecond);
  }).finally(() => {
    isOver = true;
  });
  const took = await deactivations(org, ids, () => isOver);
  await load;
  return took;
}

async function newOrg(slug, people) {
  await admin('POST', '/orgs', { slug, name: slug });
  const { id, scimBaseUrl: baseUrl } = await admin('POST', `/orgs/${slug}/scim`, { enabled: true });
  const { token } = await admin('POST', `/orgs/${slug}/tokens`, { by: 'bench' });
  const idp = okta({ id, baseUrl, token });
  const ids = await each([...Array(people).keys()], 10, async (n) => {
    const name = `user${n}`;
    const made = await idp.create({
      userName: `${name}@bench.example`,
      givenName: name,
      familyName: 'Bench',
      externalId: name,
    });
    if (made.status !== 201) throw new Error(`a user was answered with ${made.status}`);
    return made.body.id;
  });
  return { id, idp, ids };
}

async function addStream(slug, delivery) {
  const added = await admin('POST', `/orgs/${slug}/signals`, {
    type: 'ssf',
    transmitter: transmitter.issuer,
    delivery,
    auth: 'bench',
  });
  return { endpoint: added.endpoint, audience: added.audience };
}

async function denied(session) {
  const strict = sessionChecker({
    strict: httpSource({ url: service.url, token: secrets.HOST_TOKEN }),
    mode: 'strict',
    onUnavailable: 'deny',
  });
  for (const end = performance.now() + 60_000; performance.now() < end; await sleep(2)) {
    const { reason } = await strict.check(session);
    if (reason === 'revoked') return;
  }
  throw new Error('a session is still good after a minute');
}

async function post(endpoint, token) {
  const { status } = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/secevent+jwt' },
    body: token,
  });
  if (status !== 202 && status !== 429) throw new Error(`a signal was answered with ${status}`);
  return status;
}

async function until(condition) {
  for (const end = Date.now() + PATIENCE; Date.now() < end; await sleep(20)) if (condition()) return;
  throw new Error(`not in ${PATIENCE / 1_000} s: ${condition}`);
}

function admin(method, path, body) {
  return call(method, `/admin/v1${path}`, secrets.ADMIN_TOKEN, body);
}

function host(path) {
  return call('GET', `/sessions/v1${path}`, secrets.HOST_TOKEN);
}

async function call(method, path, token, body) {
  const answer = await fetch(service.url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path} was answered with ${answer.status}: ${await answer.text()}`);
  return answer.json();
}

function options() {
  const { values } = parseArgs({
    options: {
      signals: { type: 'string', default: '10000' },
      users: { type: 'string', default: '100' },
      parallel: { type: 'string', default: '32' },
      json: { type: 'boolean', default: false },
      push: { type: 'boolean', default: false },
    },
  });
  const count = (name) => {
    if (!/^[1-9]\d{0,5}$/.test(values[name])) throw new Error(`--${name}: a number from 1 to 999999 was expected`);
    return Number(values[name]);
  };
  return {
    signals: count('signals'),
    users: count('users'),
    parallel: count('parallel'),
    json: values.json,
    push: values.push,
  };
}
