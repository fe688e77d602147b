/**
 * `npm run trial:mirror`: an empty SQLite is filled from a directory and follows it through the cycle of an identity
 * provider, while the application and the service are killed (kill -9). At the end every row is compared.
 * `--users 20000`, `--groups 500`, `--seed 1`, `--json`. It ends with 1 when a row differs.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chunksOf } from './directory.mjs';
import { cycleOf, groupOf, newUser } from './entra-cycle.mjs';
import { each } from './figures.mjs';
import { differencesOf } from './mirror-rows.mjs';
import {
  ADMIN_TOKEN,
  begin,
  folder,
  HOST_TOKEN,
  killService,
  ORG,
  report,
  say,
  startService,
  trialOptions,
  url,
} from './trial.mjs'; // first: it says so if this Node is too old

const BULK = 100;
const PARALLEL = 6;
/** Milliseconds that the copy has to become equal after the last change. */
const PATIENCE = 120_000;

const { users, groups, seed, json } = trialOptions({ users: 20_000, groups: 500 });
const database = join(folder, 'application.sqlite');
const kills = { application: 0, service: 0 };
let token = '';
let retried = 0;

await report(trial, ({ differences }) => differences, json);

async function trial() {
  const started = performance.now();
  const seconds = () => Math.round((performance.now() - started) / 100) / 10;
  let service = await startService();
  await admin('POST', '/orgs', { slug: ORG });
  await admin('POST', `/orgs/${ORG}/scim`, { enabled: true });
  ({ token } = await admin('POST', `/orgs/${ORG}/tokens`, {}));

  say(`creating ${users} users and ${groups} groups …`);
  const people = await createAll(users, newUser, '/Users');
  const teams = await createAll(groups, (n) => groupOf(n, people), '/Groups');
  const created = seconds();

  say('filling the copy, with kills …');
  let application = startApplication();
  for (let kill = 0; kill < 3; kill++) {
    await sleep(Math.max(400, (users / 20_000) * 1_500));
    if (kill === 1) service = await killed(service);
    application = killApplication(application);
  }
  await becomeEqual();
  const filled = seconds() - created;

  const changes = cycleOf({ people, teams, seed });
  say(`${changes.length} changes, with kills …`);
  const before = seconds();
  const at = (share) => Math.floor(changes.length * share);
  const plan = new Map([
    ...[0.15, 0.4, 0.6, 0.85].map((share) => [at(share), 'application']),
    ...[0.3, 0.7].map((share) => [at(share), 'service']),
  ]);
  let done = 0;
  let ending = Promise.resolve();
  await each(changes, PARALLEL, async ({ method, path, body }) => {
    const what = plan.get(done++);
    if (what === 'application') application = killApplication(application);
    if (what === 'service') {
      ending = ending.then(async () => {
        service = await killed(service);
      });
    }
    await persist(method, path, body);
  });
  await ending;
  const changed = seconds() - before;
  const settling = performance.now();
  const { differences, rows } = await becomeEqual();
  return {
    users,
    groups,
    changes: changes.length,
    rows,
    kills,
    retried,
    seconds: {
      create: created,
      fill: Number(filled.toFixed(1)),
      cycle: Number(changed.toFixed(1)),
      settle: Number(((performance.now() - settling) / 1_000).toFixed(1)),
    },
    differences,
  };
}

/** Waits until the copy is equal, for as long as there is patience, and compares row by row. */
async function becomeEqual() {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const found = await differencesOf({ url, token: HOST_TOKEN, org: ORG, database }).catch((error) => ({
      differences: [String(error)],
      rows: { users: 0, groups: 0 },
    }));
    if (found.differences.length === 0 || Date.now() > end) return found;
    await sleep(300);
  }
}

/** By bulk requests. @returns the ids, in their order. */
async function createAll(count, bodyOf, path) {
  const all = Array.from({ length: count }, (_, n) => ({ method: 'POST', path, bulkId: `b${n}`, data: bodyOf(n) }));
  const ids = await each(chunksOf(all, BULK), PARALLEL, async (operations) => {
    const { Operations } = await persist('POST', '/Bulk', {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:BulkRequest'],
      Operations: operations,
    });
    return Operations.map(({ status, location, response }) => {
      if (status !== '201') throw new Error(`a bulk operation was answered ${status}: ${JSON.stringify(response)}`);
      return location.split('/').at(-1);
    });
  });
  return ids.flat();
}

/** As identity providers do, a request is repeated until the service has answered. What was done already is done. */
async function persist(method, path, body) {
  for (let attempt = 0; ; attempt++) {
    const answer = await fetch(`${url}/scim/v2${path}`, {
      method,
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/scim+json' },
      ...(body && { body: JSON.stringify(body) }),
    }).catch(() => undefined);
    const isDone =
      answer?.ok || (attempt > 0 && ((method === 'DELETE' && answer?.status === 404) || answer?.status === 409));
    if (isDone) return answer.status === 204 ? undefined : answer.json();
    if (answer && answer.status < 500 && answer.status !== 429)
      throw new Error(`${method} ${path} was answered ${answer.status}: ${await answer.text()}`);
    await answer?.body?.cancel();
    retried++;
    await sleep(200);
  }
}

async function admin(method, path, body) {
  const answer = await fetch(`${url}/admin/v1${path}`, {
    method,
    headers: { Authorization: `Bearer ${ADMIN_TOKEN}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path} was answered ${answer.status}: ${await answer.text()}`);
  return answer.json();
}

/** The Node example with its mirror. */
function startApplication() {
  return begin('examples/node-host/server.mjs', {
    ...{ SCIM_URL: url, HOST_TOKEN, PORT: '0', MIRROR_DB: database, MIRROR_ORGS: ORG },
  });
}

function killApplication(child) {
  kills.application++;
  child.kill('SIGKILL');
  return startApplication();
}

function killed(service) {
  kills.service++;
  return killService(service);
}
