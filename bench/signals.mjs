/**
 * `npm run bench:signals`: many signals at once for one org, by push and by poll, through restarts on both sides. How long
 * from a signal to a refused session, what another org notices, and whether each signal acted exactly once.
 * On the real Worker, with a transmitter on loopback and a state folder that is thrown away.
 * `--signals 10000` of each kind, `--users 100`, `--parallel 32` pushes at a time, `--json`.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { okta } from '../scripts/demo/idp.mjs';
import { freePort, startService } from '../scripts/start/service.mjs';
import { httpSource, sessionChecker } from '../src/sessions/client/index.ts';
import { each, figuresOf } from './figures.mjs';

process.env.ALLOW_LOOPBACK_JWKS = 'true';
/** Signals whose time until a refused session is taken, and deactivations beside the load. */
const TIMED = 100;
const PATIENCE = 600_000;
const EVENT = 'https://schemas.openid.net/secevent/risc/event-type/account-purged';

const { signals, users, parallel, json } = options();
const stateDir = mkdtempSync(join(tmpdir(), 'scim-worker-bench-'));
const secrets = { ADMIN_TOKEN: randomBytes(24).toString('hex'), HOST_TOKEN: randomBytes(24).toString('hex') };
const port = await freePort();
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
  const started = startService({ port, stateDir, secrets, onLog: (text) => process.stderr.write(text) });
  await started.ready;
  return started;
}

async function measure() {
  const [pushed, polled, beside] = [
    await newOrg('pushed', users),
    await newOrg('polled', users),
    await newOrg('beside', 2 * TIMED),
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
  let repeated = 0;
  const began = performance.now();
  let isOver = false;
  const load = each(tokens, parallel, async (token) => {
    while ((await post(push.endpoint, token)) === 429) {
      repeated++;
      await sleep(1_000);
    }
  }).finally(() => {
    isOver = true;
  });
  const loaded = await deactivations(beside, beside.ids.slice(TIMED), () => isOver);
  await load;
  const pushSeconds = (performance.now() - began) / 1_000;
  const acted = (await signedOut('pushed')) - before;

  note(`pushed in ${pushSeconds} s`);
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
    unit: 'ms',
    pushToAnswer: figuresOf(timed.map(([answered]) => answered)),
    pushToRefusedSession: figuresOf(timed.map(([, refused]) => refused)),
    push: {
      signals,
      seconds: Math.round(pushSeconds),
      perSecond: Math.round(signals / pushSeconds),
      repeatedAfter429: repeated,
      acted,
    },
    deactivationInAnotherOrg: { quiet, beside: loaded },
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
  }
  return figuresOf(took);
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

/** On loopback: one key, one stream of each kind, a queue that is polled. */
async function newTransmitter() {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'bench', alg: 'ES256', use: 'sig' };
  const at = await freePort();
  const issuer = `http://127.0.0.1:${at}`;
  const [queue, acked, sent] = [new Map(), new Set(), new Map()];
  const answers = {
    'GET /.well-known/ssf-configuration': () => ({
      ...{ issuer, jwks_uri: `${issuer}/jwks` },
      ...{ configuration_endpoint: `${issuer}/streams`, verification_endpoint: `${issuer}/verify` },
    }),
    'GET /jwks': () => ({ keys: [jwk] }),
    'POST /streams': ({ delivery: { method } }) => ({
      ...{ stream_id: randomUUID(), iss: issuer, aud: `bench ${method}` },
      delivery: { method, endpoint_url: `${issuer}/poll` },
    }),
    'POST /verify': () => ({}),
    'POST /poll': ({ ack = [], setErrs = {}, maxEvents }) => {
      if (Object.keys(setErrs).length > 0) throw new Error(JSON.stringify(setErrs));
      for (const jti of ack) if (queue.delete(jti)) acked.add(jti);
      const page = [...queue.entries().take(maxEvents)];
      for (const [jti] of page) sent.set(jti, (sent.get(jti) ?? 0) + 1);
      return { sets: Object.fromEntries(page), moreAvailable: queue.size > page.length };
    },
  };
  let server;
  const start = () =>
    new Promise((resolve) => {
      server = createServer(async (request, response) => {
        const chunks = await Array.fromAsync(request);
        const answer = answers[`${request.method} ${request.url}`];
        const body = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks)) : {};
        response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' });
        response.end(JSON.stringify(answer?.(body) ?? {}));
      }).listen(at, '127.0.0.1', resolve);
    });
  const stop = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  await start();
  return {
    ...{ issuer, queue, acked, start, stop },
    repeated: () => [...sent.values()].filter((times) => times > 1).length,
    set: ({ audience }, id, jti = randomUUID()) =>
      new SignJWT({ events: { [EVENT]: {} }, sub_id: { format: 'opaque', id } })
        .setProtectedHeader({ alg: 'ES256', kid: 'bench', typ: 'secevent+jwt' })
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt()
        .setJti(jti)
        .sign(privateKey),
  };
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
    },
  });
  const count = (name) => {
    if (!/^[1-9]\d{0,5}$/.test(values[name])) throw new Error(`--${name}: a number from 1 to 999999 was expected`);
    return Number(values[name]);
  };
  return { signals: count('signals'), users: count('users'), parallel: count('parallel'), json: values.json };
}
