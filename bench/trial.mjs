/** What the trials share: a folder and processes that are gone when a trial ends, a service that is killed, and the report. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { root } from '../scripts/project.mjs'; // first: it says so if this Node is too old
import { freePort } from '../scripts/start/service.mjs';

export const ORG = 'trial';
export const ADMIN_TOKEN = 'trial-admin-token-0123456789abcdef';
export const HOST_TOKEN = 'trial-host-token-0123456789abcdefg';

/** Of this trial alone. */
export const folder = mkdtempSync(join(tmpdir(), 'scim-worker-trial-'));
const port = await freePort();
/** Where the service is. */
export const url = `http://localhost:${port}`;

const running = new Set();

export const say = (text) => process.stderr.write(`${text}\n`);

/** What makes a trial. */
const LEAST = { users: 100, groups: 4, signals: 60, databases: 1 };

/** @param most how many of each there are unless told: users, groups, signals, databases. */
export function trialOptions(most) {
  const counts = Object.keys(most);
  const { values } = parseArgs({
    options: {
      ...Object.fromEntries(counts.map((name) => [name, { type: 'string', default: String(most[name]) }])),
      seed: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
    },
  });
  const { json, ...texts } = values;
  const numbers = Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, Number(text)]));
  if (!counts.every((name) => numbers[name] >= LEAST[name]) || !Number.isSafeInteger(numbers.seed)) {
    const least = counts.map((name) => `--${name} ${LEAST[name]}`).join(' ');
    console.error(`At least ${least} are needed, and --seed is a number.`);
    process.exit(1);
  }
  return { ...numbers, json };
}

/**
 * Runs the trial and prints what it found. Ends with 1 when something differs, or the trial fails.
 *
 * @param trial resolves to what was found. @param differences of what was found, those that must not be.
 */
export async function report(trial, differences, json) {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      cleanUp();
      process.exit(1);
    });
  }
  try {
    const found = await trial();
    console.log(json ? JSON.stringify(found) : JSON.stringify(found, undefined, 2));
    if (differences(found).length > 0) process.exitCode = 1;
  } catch (error) {
    console.error(error.stack ?? error);
    process.exitCode = 1;
  } finally {
    cleanUp();
  }
  process.exit();
}

/** A process that ends with this one, however that ends. @param variables of its environment. */
export function begin(script, variables) {
  const exitWithParent = fileURLToPath(new URL('../scripts/start/exit-with-parent.mjs', import.meta.url));
  const child = spawn(process.execPath, ['--import', exitWithParent, script], {
    ...{ cwd: root, detached: true, stdio: ['ignore', 'pipe', 'ignore'] },
    env: { PATH: process.env.PATH, HOME: process.env.HOME, LEASH_HOLDER: String(process.pid), ...variables },
  });
  child.stdout.resume();
  running.add(child);
  child.once('close', () => running.delete(child));
  return child;
}

/** `npm start`, until it is ready. @param variables beside those of each trial. */
export async function startService(variables = {}) {
  const child = begin('scripts/start.mjs', {
    ...{ PORT: String(port), STATE_DIR: join(folder, 'state'), ADMIN_TOKEN, HOST_TOKEN, SWEEP_INTERVAL: '5' },
    ...variables,
  });
  await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => line.includes('is ready on') && resolve());
    child.once('close', (code) => reject(new Error(`the service ended (${code})`)));
  });
  return child;
}

/** kill -9, and started again. @returns the new one. */
export async function killService(child, variables) {
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGKILL');
  await ended;
  for (;;) {
    // Its last processes may hold the port for a moment.
    const next = await startService(variables).catch(() => undefined);
    if (next) return next;
    await sleep(300);
  }
}

function cleanUp() {
  for (const child of running) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}
