/** The real Worker on this machine, built as for a deployment, with its own state folder, port and secrets. */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { nameOf, root } from '../project.mjs';
import { harmless } from '../terminal.mjs';
import { keepDatabaseCount } from './databases.mjs';
import { holdLock } from './lock.mjs';
import { adminTokenOf, ownFolder, readOwn, webhookKeyOf, writeOwn } from './state-dir.mjs';
import { end, leashed } from './wrangler.mjs';

const runtime = fileURLToPath(new URL('./runtime.mjs', import.meta.url));

/** Characters of a token: fewer can be guessed. The Worker refuses them, too. */
const MIN_TOKEN = 32;

/** Why the service cannot be had: a sentence for the person who wanted it. */
export class ServiceError extends Error {}

/**
 * Starts the service and returns at once: `ready` settles when it answers or cannot, `ended` when it is gone, and
 * `stop()` ends it at any moment, starting or started. `onLog` gets the warnings of the running Worker; earlier ones are
 * part of the error if starting fails.
 *
 * @param secrets ADMIN_TOKEN, or a random one, which is `adminToken` while the service runs and stands in STATE_DIR;
 *   HOST_TOKEN, or its API does not exist.
 * @param onStage gets what is under way until the service is ready, stage by stage.
 * @param beside Workers that run with the service, `{ configPath, port, vars }` each.
 * @param isWatching whether a change of src is built and served.
 * @param databases how many there are: `DB`, `DB_1` and so on.
 */
export function startService({
  port,
  stateDir,
  secrets = {},
  onLog = () => {},
  onStage = () => {},
  beside = [],
  isWatching = false,
  databases = 1,
}) {
  const url = `http://localhost:${port}`;
  const adminToken = secrets.ADMIN_TOKEN || randomBytes(32).toString('base64url');
  const cleanUp = [];
  let running;
  let stopping = false;
  let tellEnded;
  const ended = new Promise((resolve) => {
    tellEnded = resolve;
  });

  async function start() {
    checkTokens(secrets);
    try {
      ownFolder(stateDir);
    } catch (error) {
      throw new ServiceError(`STATE_DIR cannot be used: ${error.message}.`);
    }
    const lock = await lockOf(stateDir, url);
    cleanUp.push(lock.release);
    for (const one of [port, ...beside.map((worker) => worker.port)]) await expectFree(one);
    const temporary = join(stateDir, 'tmp');
    // What a service that was killed has left behind; earlier versions kept a registry and the secrets there, too.
    for (const name of ['tmp', 'build', 'registry', 'secrets.env'])
      rmSync(join(stateDir, name), { recursive: true, force: true });
    ownFolder(temporary);
    cleanUp.push(() => rmSync(temporary, { recursive: true, force: true }));
    await keepDatabaseCount(stateDir, databases);
    writeOwn(adminTokenOf(stateDir), adminToken);
    cleanUp.push(() => rmSync(adminTokenOf(stateDir), { force: true }));

    if (stopping) throw new ServiceError('Stopped before it was ready.');
    running = leashed([runtime], ['ignore', 'pipe', 'pipe', 'ipc'], { TMPDIR: temporary });
    const said = collect(running.child);
    running.child.on('message', ({ stage }) => stage && onStage(stage));
    let isUp = false;
    running.ended.then((code) => {
      if (isUp && !stopping) onLog(`The Worker's process ended (${code}).\n`);
      if (isUp) void stop(1);
    });
    const vars = {
      PUBLIC_URL: url,
      ADMIN_TOKEN: adminToken,
      ...(secrets.HOST_TOKEN && { HOST_TOKEN: secrets.HOST_TOKEN }),
      ...portalVariables(),
      WEBHOOK_KEY: await webhookKey(),
      ...(process.env.ALLOW_LOOPBACK_WEBHOOKS && {
        ALLOW_LOOPBACK_WEBHOOKS: process.env.ALLOW_LOOPBACK_WEBHOOKS,
      }),
      ...(process.env.ALLOW_LOOPBACK_JWKS && { ALLOW_LOOPBACK_JWKS: process.env.ALLOW_LOOPBACK_JWKS }),
    };
    const workers = [{ configPath: join(root, 'wrangler.toml'), port, vars }, ...beside];
    running.child.send({ stateDir, workers, isWatching, databases, wantsStages: true });
    const { failed } = await Promise.race([
      message(running.child),
      running.ended.then((code) => ({ failed: `It ended (${code}).` })),
    ]);
    if (failed) throw new ServiceError(`The Worker did not start: ${failed}\n${said()}`.trim());
    await answering(`http://127.0.0.1:${port}/health`, running.ended, said);
    isUp = true;
    said(onLog);
  }

  /** That of the environment, or a random one that stays with the data. */
  async function webhookKey() {
    const given = process.env.WEBHOOK_KEY || (await readOwn(webhookKeyOf(stateDir)));
    if (given) return given;
    const key = randomBytes(32).toString('base64url');
    writeOwn(webhookKeyOf(stateDir), key);
    return key;
  }

  async function stop(code = 0) {
    if (stopping) return ended;
    stopping = true;
    if (running) await end(running);
    for (const undo of cleanUp.reverse()) undo();
    tellEnded(code);
    return ended;
  }

  /** Runs what Cloudflare runs each minute, and resolves when it is done, or after a minute. */
  async function runCron() {
    if (stopping) return;
    running.child.send({ cron: true }, () => {}); // a process that has just ended is told by `ended`
    await Promise.race([message(running.child), ended, sleep(60_000, undefined, { ref: false })]);
  }

  const ready = start().catch(async (error) => {
    await stop(1);
    throw error;
  });
  return {
    ...{ url, stateDir, adminToken, ready, ended, stop, runCron },
    /** The process group of the runtime. */
    group: () => running?.child.pid,
  };
}

/** The next message that is not about a stage. */
const message = (child) =>
  new Promise((resolve) => {
    const listen = (said) => {
      if (said.stage) return;
      child.off('message', listen);
      resolve(said);
    };
    child.on('message', listen);
  });

/** @throws ServiceError for tokens that the Worker would refuse, before anything is started. */
function checkTokens({ ADMIN_TOKEN, HOST_TOKEN }) {
  for (const [name, token] of Object.entries({ ADMIN_TOKEN, HOST_TOKEN })) {
    if (!token) continue;
    if (!/^[\x21-\x7e]+$/.test(token))
      throw new ServiceError(`${name} must consist of letters, digits and signs, without blanks.`);
    if (token.length < MIN_TOKEN) {
      throw new ServiceError(
        `${name} must have at least ${MIN_TOKEN} characters. This makes one: ${name}=$(openssl rand -hex 32)`,
      );
    }
  }
  if (ADMIN_TOKEN && ADMIN_TOKEN === HOST_TOKEN)
    throw new ServiceError('ADMIN_TOKEN and HOST_TOKEN must not be equal.');
}

/** @throws ServiceError if the folder is in use. */
async function lockOf(stateDir, url) {
  let lock;
  try {
    lock = await holdLock(stateDir, { url, pid: process.pid });
  } catch (error) {
    throw new ServiceError(`STATE_DIR cannot be used: ${error.message}.`);
  }
  if (!lock.holder) return lock;
  const { url: where = 'somewhere', pid } = lock.holder;
  throw new ServiceError(
    `A service is running with ${harmless(nameOf(stateDir))} already: ${where}${pid ? `, process ${pid}` : ''}. Use that one, or stop it. For a second one: STATE_DIR=.wrangler/second PORT=8788 npm start`,
  );
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
    if (refusals.includes('EACCES'))
      throw new ServiceError(`Port ${port} is not open to this user. Choose a higher one: PORT=8787 npm start`);
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

/** How the portal looks, and whom it asks about DNS. */
const portalVariables = () =>
  Object.fromEntries(
    Object.entries(process.env).filter(([name]) => /^(?:PORTAL_[A-Z_]+|DNS_RESOLVER_URL)$/.test(name)),
  );
