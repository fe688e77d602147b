/** The real Worker on this machine: `wrangler dev` with its own state folder, port and secrets. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { nameOf, root } from '../project.mjs';
import { holdLock } from './lock.mjs';
import { end, wrangler } from './wrangler.mjs';

/** Why the service cannot be had: a sentence for the person who wanted it. */
export class ServiceError extends Error {}

/**
 * Starts the service and returns at once: `ready` settles when it answers or cannot, `ended` when it is gone, and
 * `stop()` ends it at any moment, starting or started. `onLog` gets what the Worker and wrangler complain about once
 * it runs; what they said before is part of the error if starting fails.
 */
export function startService({ port, stateDir, secrets = {}, onLog = () => {} }) {
  const url = `http://localhost:${port}`;
  const secretsFile = join(stateDir, 'secrets.env');
  const cleanUp = [];
  let running;
  let stopping = false;
  let tellEnded;
  const ended = new Promise((resolve) => {
    tellEnded = resolve;
  });

  async function command(args) {
    if (stopping) throw new ServiceError('Stopped before it was ready.');
    running = wrangler(stateDir, [...args, '--config', join(root, 'wrangler.toml'), '--env-file', secretsFile]);
    return running;
  }

  async function start() {
    try {
      mkdirSync(stateDir, { recursive: true });
    } catch (error) {
      throw new ServiceError(`STATE_DIR cannot be a folder: ${error.message}`);
    }
    const lock = await holdLock(stateDir, { url, pid: process.pid });
    if (lock.holder) {
      const { url: where = 'somewhere', pid } = lock.holder;
      throw new ServiceError(
        `A service is running with ${nameOf(stateDir)} already: ${where}${pid ? `, process ${pid}` : ''}. Stop it, or set STATE_DIR (and PORT) for a second one.`,
      );
    }
    cleanUp.push(lock.release);
    await expectFree(port);
    // The entry of a service that was killed would send the admin's calls to a port where nobody listens.
    rmSync(join(stateDir, 'registry'), { recursive: true, force: true });
    // Given even when empty: with an --env-file, wrangler reads neither .dev.vars nor .env nor the environment.
    rmSync(secretsFile, { force: true });
    cleanUp.push(() => rmSync(secretsFile, { force: true }));
    writeFileSync(secretsFile, toEnvFile(secrets), { mode: 0o600, flag: 'wx' });

    const migrations = await command(['d1', 'migrations', 'apply', 'DB', '--local', '--persist-to', stateDir]);
    const migrationsSaid = collect(migrations.child);
    if ((await migrations.ended) !== 0) throw new ServiceError(`The migrations failed:\n${migrationsSaid()}`);

    const dev = await command([
      ...['dev', '--ip', '127.0.0.1', '--port', String(port), '--inspector-port', '0', '--persist-to', stateDir],
      ...['--var', `PUBLIC_URL:${url}`, '--log-level', 'warn', '--show-interactive-dev-session=false'],
      ...(process.env.ALLOW_LOOPBACK_JWKS ? ['--var', `ALLOW_LOOPBACK_JWKS:${process.env.ALLOW_LOOPBACK_JWKS}`] : []),
    ]);
    const devSaid = collect(dev.child);
    let isUp = false;
    dev.ended.then((code) => {
      if (isUp && !stopping) onLog(`The Worker's process ended (${code}).\n`);
      if (isUp) void stop(1);
    });
    await answering(`http://127.0.0.1:${port}/health`, dev.ended, devSaid);
    isUp = true;
    devSaid(onLog);
  }

  async function stop(code = 0) {
    if (stopping) return ended;
    stopping = true;
    if (running) await end(running);
    for (const undo of cleanUp.reverse()) undo();
    tellEnded(code);
    return ended;
  }

  const ready = start().catch(async (error) => {
    await stop(1);
    throw error;
  });
  return { url, stateDir, ready, ended, stop };
}

/** A port that is free now. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Tries for a second: the last processes of a predecessor that was killed may still be going. */
async function expectFree(port) {
  for (let attempt = 1; ; attempt++) {
    // Both families: clients take `localhost` for either, and would find two different services there.
    const refusals = await Promise.all(['127.0.0.1', '::1'].map((host) => refusalToListen(port, host)));
    if (refusals.includes('EACCES')) throw new ServiceError(`Port ${port} needs rights that this user has not got.`);
    if (!refusals.includes('EADDRINUSE')) return;
    if (attempt === 10) {
      throw new ServiceError(
        `Port ${port} is taken by another program. Stop it, or choose another: PORT=8788 npm start`,
      );
    }
    await sleep(100);
  }
}

async function refusalToListen(port, host) {
  const server = createServer();
  try {
    await new Promise((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
    await new Promise((resolve) => server.close(resolve));
  } catch (error) {
    return error.code;
  }
}

/** The service counts as started when it answers, not when its port is open: the first answer is its slowest. */
async function answering(url, ended, said) {
  let isOver = false;
  ended.then(() => {
    isOver = true;
  });
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await sleep(50)) {
    if (isOver) throw new ServiceError(`The Worker did not start:\n${said()}`);
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) });
      const { status, variables = [] } = await answer.json();
      if (status === 'misconfigured') throw new ServiceError(variables.map(({ detail }) => detail).join('\n'));
      if (answer.ok) return;
    } catch (error) {
      if (error instanceof ServiceError) throw error;
      // Not listening yet.
    }
  }
  throw new ServiceError(`The Worker does not answer at ${url}:\n${said()}`);
}

/** Keeps what a command prints; called with a listener, it lets go of the past and passes on what comes. */
function collect(child) {
  let said = '';
  let listen = (text) => {
    said += text;
  };
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => listen(text));
  return (listener) => {
    if (listener) listen = listener;
    return stripVTControlCharacters(said).trim();
  };
}

/** The values exactly as given: wrangler's reader would expand every unescaped `$`. */
function toEnvFile(secrets) {
  return Object.entries(secrets)
    .filter(([, value]) => value)
    .map(([name, value]) => {
      const quote = ["'", '`', '"'].find((mark) => !value.includes(mark));
      // biome-ignore lint/suspicious/noControlCharactersInRegex: looking for them is the point
      if (!quote || /[\x00-\x1f\x7f]/.test(value))
        throw new ServiceError(`${name} must be one line of plain characters.`);
      return `${name}=${quote}${value.replaceAll('$', '\\$')}${quote}\n`;
    })
    .join('');
}
