/**
 * `npm run bench`: our Worker beside a floor and a peer, in one run, in interleaved blocks; every answer is checked.
 * `--only get,post` some workloads, `--users 20000`, `--rounds 4`, `--no-peer`, `--json`. docs/bench.md says how to read it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { personOf } from './directory.mjs';
import { each, figuresOf } from './figures.mjs';
import { cpuOf } from './processes.mjs';
import { reportOf, resultOf } from './report.mjs';
import { openFloor, openOurs, openPeer } from './sides.mjs';
import { newName, WORKLOADS } from './workloads.mjs';

/** A block: so many requests, or as many as there is time for; at least one. */
const BLOCK = 40;
const BLOCK_TIME = 400;
/** Connections when throughput is measured. */
const PARALLEL = 8;
/** Requests of each side before those that count. */
const WARM_UP = 5;
/** Milliseconds that one side may take of one workload: a side that is far slower would hold up the run. */
const ENOUGH = 5_000;
/** Milliseconds between blocks, for what a side does after its answers. */
const PAUSE = 30;
/** Users: fewer have no group to which a hundred can be added. */
const LEAST = 400;
/** Of the big org's users, those of the small one. A quarter of the users are in the group. */
const SMALLER = 20;
const GROUP_SHARE = 4;

const { users, rounds, only, withPeer, json } = options();
const stateDir = mkdtempSync(join(tmpdir(), 'scim-worker-bench-'));
const sides = [];
const say = (text) => process.stderr.write(`${text}\n`);

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => cleanUp().then(() => process.exit(1)));
}
const results = [];
try {
  await open();
  for (const name of only) {
    say(`${WORKLOADS[name].title} …`);
    results.push(resultOf(name, WORKLOADS[name], await measure(WORKLOADS[name])));
  }
} catch (error) {
  console.error(error.stack ?? error);
  process.exitCode = 1;
} finally {
  await cleanUp();
}
// What was measured before a failure, too.
const found = { users, rounds, parallel: PARALLEL, seconds: Math.round(performance.now() / 1_000), results };
if (results.length > 0) console.log(json ? JSON.stringify(found) : reportOf(found));

async function open() {
  const began = performance.now();
  const big = sizeOf(users);
  say(`Building, and filling with ${users} users …`);
  const hasGrowth = only.some((name) => WORKLOADS[name].growth);
  const small = sizeOf(Math.max(Math.ceil(users / SMALLER), LEAST));
  const opened = await Promise.allSettled([
    openFloor(stateDir, big),
    openOurs(stateDir, { ours: big, ...(hasGrowth && users > small.users && { small }) }),
    withPeer ? openPeer(big) : [],
  ]);
  sides.push(...opened.flatMap(({ value = [] }) => value));
  const failed = opened.find(({ status }) => status === 'rejected');
  if (failed) throw failed.reason;
  say(`Filled in ${Math.round((performance.now() - began) / 1_000)} s.`);
}

function sizeOf(count) {
  return { users: count, members: Math.floor(count / GROUP_SHARE) };
}

/** @returns the figures of each side, by its name. */
async function measure(workload) {
  const taking = sides.filter(({ name }) => name !== 'small' || workload.growth);
  const measured = new Map(taking.map((side) => [side, { n: 0, durations: [], sent: 0, elapsed: 0, cpu: 0, all: 0 }]));
  for (const side of taking) await block(workload, side, measured.get(side), WARM_UP, 1);
  // Where one request takes a second and more, the first are no slower than the others.
  for (const counts of measured.values()) {
    if (timeOf(counts) < ENOUGH) Object.assign(counts, { durations: [], cpu: 0, all: 0 });
  }
  for (let round = 0; round < rounds; round++) {
    // Another one begins each time: what a block leaves behind falls on everybody.
    for (const at of taking.keys()) {
      const side = taking[(at + round) % taking.length];
      const counts = measured.get(side);
      if (timeOf(counts) > ENOUGH) continue;
      await block(workload, side, counts, BLOCK, 1);
      if (workload.isSerial || counts.elapsed > ENOUGH) continue;
      await block(workload, side, counts, BLOCK * 2, PARALLEL);
    }
  }
  // Pairs are made whole on every side first: two sides share a directory.
  for (const side of taking) await settle(workload, side, measured.get(side));
  for (const side of taking) await verify(workload, side);
  return Object.fromEntries([...measured].map(([{ name }, counts]) => [name, figuresOfSide(counts)]));
}

function timeOf({ durations }) {
  return durations.reduce((all, duration) => all + duration, 0);
}

function figuresOfSide({ durations, sent, elapsed, cpu, all }) {
  return {
    ...figuresOf(durations, 3),
    ...(sent > 0 && { perSecond: Math.round((1_000 * sent) / elapsed) }),
    ...(cpu >= 0 && { cpu: Number((cpu / all).toFixed(3)) }),
  };
}

async function block(workload, side, counts, most, parallel) {
  const people = workload.isConsuming ? Array.from({ length: most }, (_, n) => personOf(n, newName())) : [];
  const ids = people.length > 0 ? await side.create(people) : [];
  await sleep(PAUSE);
  const cpuBefore = cpuOf(side.process.group);
  const began = performance.now();
  const end = began + BLOCK_TIME;
  let sent = 0;
  await each([...Array(most).keys()], parallel, async (at) => {
    // At least one, and so that what comes in pairs is whole.
    if (performance.now() > end && sent > 0 && counts.n % 2 === 0) return;
    sent++;
    const duration = await ask(workload, side, counts.n++, ids[at]);
    if (parallel === 1) counts.durations.push(duration);
  });
  if (parallel > 1) {
    counts.sent += sent;
    counts.elapsed += performance.now() - began;
  }
  counts.all += sent;
  counts.cpu += cpuOf(side.process.group) - cpuBefore;
}

/** One request. @returns milliseconds until its answer was there as a whole. @throws Error unless it is right. */
async function ask({ request, check, status: expected = 200 }, side, n, id) {
  const [method, path, body] = request(side, n, id);
  const began = performance.now();
  const { status, text } = await side.send(method, path, body);
  const duration = performance.now() - began;
  const isRight = [expected].flat().includes(status) && check(side, n, id)(text === '' ? undefined : JSON.parse(text));
  if (!isRight) {
    throw new Error(
      `${side.name} answers ${method} ${path} wrongly: ${status} ${text.slice(0, 500)}\n${side.process.said()}`,
    );
  }
  return duration;
}

async function settle(workload, side, counts) {
  if (workload.verify && counts.n % 2 === 1) await ask(workload, side, counts.n++);
}

async function verify(workload, side) {
  if (!workload.verify) return;
  const [method, path, check] = workload.verify(side);
  const { text } = await side.send(method, path);
  if (!check(JSON.parse(text))) throw new Error(`${side.name} is not as it was before: ${method} ${path}`);
}

function options() {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string', multiple: true, default: Object.keys(WORKLOADS) },
        users: { type: 'string', default: '20000' },
        rounds: { type: 'string', default: '4' },
        peer: { type: 'boolean', default: true },
        json: { type: 'boolean', default: false },
      },
      allowNegative: true,
    });
    const names = values.only.flatMap((list) => list.split(','));
    const unknown = names.find((name) => !Object.hasOwn(WORKLOADS, name));
    if (unknown !== undefined) throw new Error(`--only: one of ${Object.keys(WORKLOADS).join(', ')} was expected`);
    return {
      only: Object.keys(WORKLOADS).filter((name) => names.includes(name)),
      users: count('users', values.users, LEAST),
      rounds: count('rounds', values.rounds, 1),
      withPeer: values.peer,
      json: values.json,
    };
  } catch (error) {
    console.error(
      `${error.message}\nnpm run bench -- [--only get,post] [--users 20000] [--rounds 4] [--no-peer] [--json]`,
    );
    process.exit(2);
  }
}

function count(name, text, least) {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (value < least) throw new Error(`--${name}: a number from ${least} to 999999 was expected`);
  return value;
}

async function cleanUp() {
  for (const side of sides) side.close();
  await Promise.all([...new Set(sides.map((side) => side.process))].map((served) => served.stop()));
  rmSync(stateDir, { recursive: true, force: true });
}
