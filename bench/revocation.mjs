/**
 * `npm run bench:revocation`: how long after the identity provider has sent its PATCH `active: false` it is answered, and
 * a session of that person is refused by each way in which a host app can ask. On the real Worker, with a state folder of
 * its own that is thrown away. `--users 200`, `--parallel 1` at a time, `--json` for one JSON value.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openHostApp } from '../scripts/demo/host-app.mjs';
import { okta } from '../scripts/demo/idp.mjs';
import { freePort, startService } from '../scripts/start/service.mjs';
import { columns, heading, paint } from '../scripts/terminal.mjs';
// As host apps import them.
import { httpSource, sessionChecker } from '../src/sessions/client/index.ts';
import { openRevocationStream } from '../src/sessions/client/stream.ts';
import { each, figuresOf } from './figures.mjs';

/** People before those who count: the first requests of a process are its slowest. */
const WARM_UP = 10;
/** Milliseconds after which a session that is still good is a failure. */
const PATIENCE = 20_000;
const WAYS = {
  answer: '2xx heard',
  strict: 'strict check denies',
  stream: 'stream client denies',
  kv: 'KV read denies',
};
const NOTE =
  'Of this machine, everything on it, polling included. Local KV has no propagation delay: deployed, a KV read elsewhere\n' +
  'denies up to about a minute later, sometimes more (GET /health tells the lag), and each arrow adds its network.';

const { users, parallel, json } = options();
const stateDir = mkdtempSync(join(tmpdir(), 'scim-worker-bench-'));
const complaints = [];
const secrets = { ADMIN_TOKEN: randomBytes(24).toString('hex'), HOST_TOKEN: randomBytes(24).toString('hex') };
const service = startService({
  port: await freePort(),
  stateDir,
  secrets,
  onLog: (text) => complaints.push(text),
});
const opened = [];

let isInterrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    isInterrupted = true;
    cleanUp().then(() => process.exit(1));
  });
}
try {
  const found = await measure();
  console.log(json ? JSON.stringify(found) : report(found));
} catch (error) {
  if (!isInterrupted) console.error(error.stack ?? error);
  if (!isInterrupted && complaints.length > 0) console.error(`\nThe Worker said:\n${complaints.join('')}`);
  process.exitCode = 1;
} finally {
  await cleanUp();
}

async function measure() {
  await service.ready;
  const org = await newOrg();
  const idp = okta(org);
  const ids = await each([...Array(WARM_UP + users).keys()], 10, async (n) => {
    const name = `user${n}`;
    const person = { userName: `${name}@bench.example`, givenName: name, familyName: 'Bench', externalId: name };
    return expect2xx(await idp.create(person)).id;
  });
  const deniedBy = { idp, ...(await openHosts(org)) };
  await each(ids.slice(0, WARM_UP), parallel, (id) => deactivate(org, id, deniedBy));
  const began = performance.now();
  const durations = await each(ids.slice(WARM_UP), parallel, (id) => deactivate(org, id, deniedBy));
  const seconds = Math.round((performance.now() - began) / 100) / 10;
  const figures = Object.keys(WAYS).map((way) => [way, figuresOf(durations.map((of) => of[way]))]);
  return { users, parallel, seconds, unit: 'ms', figures: Object.fromEntries(figures), note: NOTE.replace('\n', ' ') };
}

async function newOrg() {
  const admin = async (method, path, body) =>
    expect2xx(await call(`/admin/v1${path}`, { method, token: secrets.ADMIN_TOKEN, body }));
  await admin('POST', '/orgs', { slug: 'bench', name: 'Bench' });
  const { id, scimBaseUrl: baseUrl } = await admin('POST', '/orgs/bench/scim', { enabled: true });
  const { token } = await admin('POST', '/orgs/bench/tokens', { by: 'bench' });
  return { id, baseUrl, token };
}

/** One of each kind of host, connected. */
async function openHosts(org) {
  const door = { url: service.url, token: secrets.HOST_TOKEN };
  const strict = sessionChecker({ strict: httpSource(door), mode: 'strict', onUnavailable: 'deny' });
  const kv = await openHostApp(stateDir);
  opened.push(kv);
  /** Who is told when the stream says that somebody is out. */
  const told = new Map();
  const synced = Promise.withResolvers();
  const stream = openRevocationStream({
    ...door,
    orgs: [org.id],
    onUnavailable: 'deny',
    onState: ({ user, active }) => {
      if (!active) told.get(user)?.();
    },
    onStatus: ({ is }) => {
      if (is === 'synced') synced.resolve();
    },
  });
  opened.push(stream);
  await inTime(synced.promise, 'the stream is not connected');
  return { strict, kv, stream, told };
}

/** @returns milliseconds from the moment of sending, for each of WAYS. */
async function deactivate(org, id, { idp, strict, kv, stream, told }) {
  const session = { org: org.id, user: id, issuedAt: Date.now() };
  for (const [way, host] of Object.entries({ strict, kv, stream })) {
    const { valid, reason } = await host.check(session);
    if (!valid) throw new Error(`${way}: the session was ${reason} before anything was sent`);
  }
  const pushed = new Promise((resolve) => told.set(id, resolve));
  const sent = performance.now();
  const passed = () => performance.now() - sent;
  let isAnswered = false;
  const [answer, strictly, streamed, read] = await inTime(
    Promise.all([
      idp.setActive(id, false).then((heard) => {
        expect2xx(heard);
        isAnswered = true;
        return passed();
      }),
      denied(async () => {
        const isOver = isAnswered;
        const verdict = await strict.check(session);
        if (isOver && verdict.valid) throw new Error(`${id} was let in by a strict check that was asked after the 2xx`);
        return verdict;
      }).then(passed),
      pushed.then(passed),
      denied(() => kv.check(session)).then(passed),
    ]),
    `${id} is not out by all ways`,
  );
  const { reason } = await stream.check(session);
  if (reason !== 'inactive') throw new Error(`the stream told of ${id}, and its check says ${reason}`);
  return { answer, strict: strictly, stream: streamed, kv: read };
}

/** Asks without a pause. Nobody answering is no refusal. */
async function denied(check) {
  for (const end = performance.now() + PATIENCE; performance.now() < end; ) {
    const { reason } = await check();
    if (reason === 'inactive' || reason === 'revoked') return;
  }
  throw new Error(`after ${PATIENCE / 1_000} s: a session is still good`);
}

async function inTime(work, otherwise) {
  const over = new AbortController();
  const late = sleep(PATIENCE, undefined, { signal: over.signal }).then(() => {
    throw new Error(`after ${PATIENCE / 1_000} s: ${otherwise}`);
  });
  late.catch(() => {});
  return Promise.race([work, late]).finally(() => over.abort());
}

async function call(path, { method, token, body }) {
  const answer = await fetch(service.url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: await answer.json() };
}

function expect2xx({ status, body }) {
  if (status < 200 || status > 299) throw new Error(`a 2xx was expected, not ${status}: ${JSON.stringify(body)}`);
  return body;
}

function report({ seconds, figures }) {
  const rows = Object.entries(figures).map(([way, { n, p50, p99, max }]) => [WAYS[way], n, p50, p99, max]);
  const title = `From the PATCH sent, in ms: ${users} deactivations, ${parallel} at a time, in ${seconds} s`;
  return `${paint('bold', title)}\n${columns([heading('until', 'n', 'p50', 'p99', 'max'), ...rows])}\n\n${NOTE}`;
}

function options() {
  try {
    const { values } = parseArgs({
      options: {
        users: { type: 'string', default: '200' },
        parallel: { type: 'string', default: '1' },
        json: { type: 'boolean', default: false },
      },
    });
    return { users: count('users', values.users), parallel: count('parallel', values.parallel), json: values.json };
  } catch (error) {
    console.error(`${error.message}\nnpm run bench:revocation -- [--users 200] [--parallel 1] [--json]`);
    process.exit(2);
  }
}

function count(name, text) {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new Error(`--${name}: a number from 1 to 99999 was expected`);
  return Number(text);
}

async function cleanUp() {
  for (const thing of opened.splice(0)) await thing.close();
  await service.stop();
  rmSync(stateDir, { recursive: true, force: true });
}
