/** The processes that are measured: Workers in the runtime of `npm start`, and the CPU that each has used. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { root } from '../scripts/project.mjs';
import { freePort } from '../scripts/start/service.mjs';
import { ownFolder } from '../scripts/start/state-dir.mjs';
import { end, leashed } from '../scripts/start/wrangler.mjs';

const RUNTIME = join(root, 'scripts/start/runtime.mjs');
const PEER = fileURLToPath(new URL('./peer/server.mjs', import.meta.url));
/** Milliseconds until a process must be ready. */
const PATIENCE = 120_000;

/**
 * Builds a Worker as for a deployment and serves it through the runtime's direct sockets.
 *
 * @param stateDir a folder of its own.
 * @param vars beside those of its configuration.
 */
export async function serveWorker({ configPath, stateDir, vars = {} }) {
  ownFolder(stateDir);
  const port = await freePort();
  const running = leashed([RUNTIME], ['ignore', 'pipe', 'pipe', 'ipc'], { TMPDIR: stateDir });
  const message = { stateDir, workers: [{ configPath, port, vars }], isWatching: false };
  return ready(running, port, () => running.child.send(message));
}

/** Serves the peer. @param users how many it begins with. */
export async function servePeer({ users, members }) {
  const port = await freePort();
  const running = leashed([PEER, String(port), String(users), String(members)], ['ignore', 'pipe', 'pipe', 'ipc']);
  return ready(running, port, () => {});
}

async function ready(running, port, begin) {
  const { child } = running;
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      said = (said + text).slice(-10_000);
    });
  }
  const late = new AbortController();
  begin();
  const { failed } = await Promise.race([
    new Promise((resolve) => child.once('message', resolve)),
    running.ended.then((code) => ({ failed: `it ended (${code})` })),
    sleep(PATIENCE, { failed: 'it is not ready in time' }, { signal: late.signal }).catch(() => ({})),
  ]);
  late.abort();
  if (failed) {
    await end(running);
    throw new Error(`A process of the bench did not start: ${failed}\n${said}`.trim());
  }
  return { url: `http://127.0.0.1:${port}`, group: child.pid, said: () => said, stop: () => end(running) };
}

/** Milliseconds of a clock tick of /proc, which is the same on all architectures of Linux that Node supports. */
const TICK = 10;

/**
 * CPU time that a process group has used, in milliseconds. Undefined where there is no /proc.
 *
 * @param group the process id of its leader.
 */
export function cpuOf(group) {
  if (process.platform !== 'linux') return undefined;
  let ticks = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      // The name of the program, in brackets, may have blanks.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(fields[2]) === group) ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      // It has ended meanwhile.
    }
  }
  return ticks * TICK;
}
