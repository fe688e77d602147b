/**
 * `npm run bench:webhooks`: from a change's answer to the arrival of its message, at an application on loopback. One writer, then
 * several at once, on the real Worker with a state folder that is thrown away.
 * `--changes 400` of each kind, `--parallel 8`, `--json`.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { okta } from '../scripts/demo/idp.mjs';
import { freePort, startService } from '../scripts/start/service.mjs';
import { each, figuresOf } from './figures.mjs';

process.env.ALLOW_LOOPBACK_WEBHOOKS = 'true';
/** Milliseconds until the last message must have arrived. */
const PATIENCE = 120_000;

const { changes, parallel, json } = options();
const stateDir = mkdtempSync(join(tmpdir(), 'scim-worker-bench-'));
const secrets = { ADMIN_TOKEN: randomBytes(24).toString('hex') };
const port = await freePort();
const service = startService({ port, stateDir, secrets, onLog: (text) => process.stderr.write(text) });
await service.ready;
const receiver = await newReceiver();
try {
  const found = await measure();
  console.log(json ? JSON.stringify(found) : JSON.stringify(found, null, 2));
} finally {
  await receiver.stop();
  await service.stop();
  rmSync(stateDir, { recursive: true, force: true });
}

async function measure() {
  const org = await newOrg('acme');
  await admin('POST', '/webhooks', { url: receiver.url, org: 'acme' });
  await deliveries(org, 50, 1); // the first ones are slower
  return {
    unit: 'ms',
    oneWriter: await deliveries(org, changes, 1),
    ...{ parallel, severalWriters: await deliveries(org, changes, parallel) },
  };
}

/** @returns how long messages took after their answers, and how many there were a second. */
async function deliveries(org, count, writers) {
  const answered = new Map();
  const began = performance.now();
  await each([...Array(count).keys()], writers, async (n) => {
    const { status, body } = await org.idp.create(personOf(`${count}-${writers}-${n}-${began}`));
    if (status !== 201) throw new Error(`a user was answered with ${status}`);
    answered.set(body.id, performance.now());
  });
  const ended = performance.now();
  const waiting = [...answered.keys()].filter((id) => !receiver.arrived.has(id)).length;
  for (const end = Date.now() + PATIENCE; Date.now() < end; await sleep(20)) {
    if ([...answered.keys()].every((id) => receiver.arrived.has(id))) {
      const took = [...answered].map(([id, at]) => Math.max(0, receiver.arrived.get(id) - at));
      const last = Math.max(...[...answered.keys()].map((id) => receiver.arrived.get(id)));
      return {
        changesPerSecond: Math.round((1_000 * count) / (ended - began)),
        messagesPerSecond: Math.round((1_000 * count) / (last - began)),
        waitingAtTheEnd: waiting,
        ...figuresOf(took),
      };
    }
  }
  throw new Error('a message has not arrived');
}

function personOf(name) {
  return { userName: `${name}@bench.example`, givenName: name, familyName: 'Bench', externalId: name };
}

async function newOrg(slug) {
  await admin('POST', '/orgs', { slug, name: slug });
  const { id, scimBaseUrl: baseUrl } = await admin('POST', `/orgs/${slug}/scim`, { enabled: true });
  const { token } = await admin('POST', `/orgs/${slug}/tokens`, { by: 'bench' });
  return { id, idp: okta({ id, baseUrl, token }) };
}

/** The application: keeps when each user's first message arrived. */
async function newReceiver() {
  const arrived = new Map();
  const at = await freePort();
  const thread = new Worker(new URL('./webhook-receiver.mjs', import.meta.url), { workerData: { port: at } });
  await new Promise((resolve) => thread.once('message', resolve));
  thread.on('message', (message) => {
    if (!arrived.has(message.id)) arrived.set(message.id, message.at - performance.timeOrigin);
  });
  return { url: `http://127.0.0.1:${at}/hooks`, arrived, stop: () => thread.terminate() };
}

async function admin(method, path, body) {
  const answer = await fetch(`${service.url}/admin/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${secrets.ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path} was answered with ${answer.status}: ${await answer.text()}`);
  return answer.json();
}

function options() {
  const { values } = parseArgs({
    options: {
      changes: { type: 'string', default: '400' },
      parallel: { type: 'string', default: '8' },
      json: { type: 'boolean', default: false },
    },
  });
  const count = (name) => {
    if (!/^[1-9]\d{0,5}$/.test(values[name])) throw new Error(`--${name}: a number from 1 to 999999 was expected`);
    return Number(values[name]);
  };
  return { changes: count('changes'), parallel: count('parallel'), json: values.json };
}
