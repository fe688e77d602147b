/**
 * `npm run bench:scale`: what several databases hold and how they keep apart, on the real Worker with a state folder of its
 * own that is thrown away. It measures how even orgs are placed, mixed traffic over all of them, bytes for each user, group,
 * membership and event, and how long an org waits while another one searches without an index, in the same database and
 * in another one. HELP below names the options.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { freePort, startService } from '../scripts/start/service.mjs';
import { columns, heading } from '../scripts/terminal.mjs';
import { figuresOf } from './figures.mjs';

const HELP = `npm run bench:scale -- [--databases 8] [--orgs 1000] [--users 20000] [--seconds 20] [--json]

  --databases <n>   how many databases
  --orgs <n>        orgs that are created, one after the other in each of eight lines
  --users <n>       users of the org that searches
  --seconds <n>     how long mixed traffic runs
  --json            one JSON value; progress goes to standard error`;

const { databases, orgs, users, seconds, json } = optionsIn();
const LINES = 8;
const CORE = 'urn:ietf:params:scim:schemas:core:2.0:';
const stateDir = mkdtempSync(join(tmpdir(), 'scim-worker-scale-'));
const secrets = { ADMIN_TOKEN: randomBytes(24).toString('hex') };
const service = startService({ port: await freePort(), stateDir, secrets, databases });
try {
  await service.ready;
  const found = await measure();
  console.log(json ? JSON.stringify(found) : report(found));
} catch (error) {
  console.error(error.stack ?? error);
  process.exitCode = 1;
} finally {
  await service.stop();
  rmSync(stateDir, { recursive: true, force: true });
}
process.exit();

function optionsIn() {
  const text = (value) => ({ type: 'string', default: value });
  const known = {
    ...{ databases: text('8'), orgs: text('1000'), users: text('20000'), seconds: text('20') },
    ...{ json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  };
  const { values } = parseArgs({ options: known });
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  const numbers = ['databases', 'orgs', 'users', 'seconds'].map((name) => [name, Number(values[name])]);
  return { ...Object.fromEntries(numbers), json: values.json === true };
}

function tell(text) {
  process.stderr.write(`${text}\n`);
}

async function call(path, { method = 'GET', body, token = secrets.ADMIN_TOKEN } = {}) {
  const answer = await fetch(`${service.url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}

function admin(path, body, method = body ? 'POST' : 'GET') {
  return call(`/admin/v1${path}`, { method, body });
}

async function newOrg(slug, shard) {
  await admin('/orgs', { slug, ...(shard && { shard }) });
  await admin(`/orgs/${slug}/scim`, { enabled: true });
  await admin(`/orgs/${slug}`, { settings: { rateLimit: '500' } }, 'PATCH');
  return { slug, token: (await admin(`/orgs/${slug}/tokens`, {})).token };
}

async function inLines(count, work) {
  let next = 0;
  const line = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: LINES }, line));
}

function person(i) {
  return {
    schemas: [`${CORE}User`],
    userName: `person-${i}@example.com`,
    externalId: `00u${i}`,
    displayName: `Person ${i}`,
    name: { givenName: 'Person', familyName: String(i) },
    emails: [{ value: `person-${i}@example.com`, type: 'work', primary: true }],
    active: true,
  };
}

/** Milliseconds of each request. */
async function timed(count, work) {
  const times = [];
  for (let i = 0; i < count; i++) {
    const begun = performance.now();
    await work(i);
    times.push(performance.now() - begun);
  }
  return times;
}

async function measure() {
  tell(`Creating ${orgs} orgs in ${databases} databases`);
  const made = [];
  await inLines(orgs, async (i) => made.push(await newOrg(`org-${i}`)));
  const placed = (await admin('/shards')).map(({ name, orgs }) => ({ name, orgs }));

  tell(`Mixed traffic for ${seconds} s`);
  const traffic = await mixed(made);

  tell('Measuring bytes');
  const bytes = await sizes();

  tell(`Filling an org with ${users} users`);
  const [scanner, beside, apart] = [
    await newOrg('scanner', 'DB'),
    await newOrg('beside', 'DB'),
    await newOrg('apart', 'DB_1'),
  ];
  await fill(scanner, users);
  for (const { token } of [beside, apart]) await call('/scim/v2/Users', { method: 'POST', token, body: person(0) });
  return { placed, traffic, bytes, noise: await noise(scanner, beside, apart) };
}

/** Reads, creations and changes of random orgs. */
async function mixed(made) {
  const end = Date.now() + seconds * 1000;
  const times = [];
  const created = new Map();
  const line = async () => {
    while (Date.now() < end) {
      const org = made[Math.floor(Math.random() * made.length)];
      const ids = created.get(org.slug) ?? [];
      const begun = performance.now();
      if (ids.length === 0 || Math.random() < 0.3) {
        const body = person(Math.random());
        ids.push((await call('/scim/v2/Users', { method: 'POST', token: org.token, body })).id);
        created.set(org.slug, ids);
      } else if (Math.random() < 0.5) {
        await call(`/scim/v2/Users/${ids[0]}`, { token: org.token });
      } else {
        await call('/scim/v2/Users?filter=userName%20eq%20%22nobody%22', { token: org.token });
      }
      times.push(performance.now() - begun);
    }
  };
  await Promise.all(Array.from({ length: LINES }, line));
  return { requests: times.length, perSecond: Math.round(times.length / seconds), ...figuresOf(times) };
}

/** Bytes that a database grows by. */
async function sizes() {
  const sizeOf = async () => (await admin('/shards')).find(({ name }) => name === 'DB_1').bytes;
  const org = await newOrg('sizes', 'DB_1');
  const count = 5_000;
  const before = await sizeOf();
  const ids = await fill(org, count);
  const withUsers = await sizeOf();
  const bulk = (operations) =>
    call('/scim/v2/Bulk', {
      method: 'POST',
      token: org.token,
      body: { schemas: ['urn:ietf:params:scim:api:messages:2.0:BulkRequest'], Operations: operations },
    });
  const groups = Array.from({ length: 1_000 }, (_, i) => ({
    ...{ method: 'POST', path: '/Groups', bulkId: `g${i}` },
    data: { schemas: [`${CORE}Group`], displayName: `Group ${i}` },
  }));
  await bulk(groups);
  const withGroups = await sizeOf();
  const members = ids.map((value) => ({ value }));
  for (let i = 0; i < 10; i++) {
    await call('/scim/v2/Groups', {
      method: 'POST',
      token: org.token,
      body: { schemas: [`${CORE}Group`], displayName: `All ${i}`, members },
    });
  }
  const withMembers = await sizeOf();
  const renames = ids.slice(0, 1_000).map((id, i) => ({
    ...{ method: 'PATCH', path: `/Users/${id}` },
    data: {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
      Operations: [{ op: 'replace', path: 'title', value: `Title ${i}` }],
    },
  }));
  await bulk(renames);
  const withEvents = await sizeOf();
  const each = (grown, by) => Math.round(grown / by);
  return {
    'user, with the event of its creation': each(withUsers - before, count),
    'group, with the event of its creation': each(withGroups - withUsers, 1_000),
    membership: each(withMembers - withGroups, 10 * count),
    'event of a changed attribute': each(withEvents - withMembers, 1_000),
  };
}

async function fill({ token }, count) {
  const ids = [];
  for (let from = 0; from < count; from += 1_000) {
    const Operations = Array.from({ length: Math.min(1_000, count - from) }, (_, i) => ({
      ...{ method: 'POST', path: '/Users', bulkId: `u${i}` },
      data: person(from + i),
    }));
    const body = { schemas: ['urn:ietf:params:scim:api:messages:2.0:BulkRequest'], Operations };
    const answer = await call('/scim/v2/Bulk', { method: 'POST', token, body });
    ids.push(...answer.Operations.map(({ location }) => location.split('/').at(-1)));
  }
  return ids;
}

/** p50 and p99 of two small orgs, alone and while the large one searches all the time. */
async function noise(scanner, beside, apart) {
  const look = ({ token }) =>
    timed(200, () => call('/scim/v2/Users?filter=userName%20eq%20%22person-0%40example.com%22', { token }));
  const alone = { beside: figuresOf(await look(beside)), apart: figuresOf(await look(apart)) };
  let isOver = false;
  let searches = 0;
  const search = async () => {
    while (!isOver) {
      // An address that nobody has, behind no index.
      const path = '/scim/v2/Users?filter=title%20co%20%22nobody%22';
      await call(path, { token: scanner.token }).catch(() => new Promise((resolve) => setTimeout(resolve, 50)));
      searches++;
    }
  };
  const searching = Promise.all([search(), search()]);
  const meanwhile = { beside: figuresOf(await look(beside)), apart: figuresOf(await look(apart)) };
  isOver = true;
  await searching;
  return { alone, meanwhile, searches };
}

function report({ placed, traffic, bytes, noise }) {
  const counts = placed.map((one) => one.orgs);
  const spread = Math.round((Math.max(...counts) / Math.min(...counts) - 1) * 1000) / 10;
  const ms = ({ p50, p99 }) => [p50.toFixed(1), p99.toFixed(1)];
  return [
    columns([heading('DATABASE', 'ORGS'), ...placed.map(({ name, orgs }) => [name, orgs])]),
    `The fullest has ${spread} % more orgs than the emptiest.`,
    '',
    `Mixed traffic: ${traffic.perSecond} requests a second, p50 ${traffic.p50.toFixed(1)} ms, p99 ${traffic.p99.toFixed(1)} ms.`,
    '',
    columns([heading('ROW', 'BYTES'), ...Object.entries(bytes)]),
    '',
    `Look-ups of a small org, ms, alone and beside ${noise.searches} searches without an index:`,
    columns([
      heading('ORG', 'P50 ALONE', 'P99 ALONE', 'P50', 'P99'),
      ['in the same database', ...ms(noise.alone.beside), ...ms(noise.meanwhile.beside)],
      ['in another database', ...ms(noise.alone.apart), ...ms(noise.meanwhile.apart)],
    ]),
  ].join('\n');
}
