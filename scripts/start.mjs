/**
 * `npm start`: the Worker on this machine, ready to provision. Settings are environment variables: PORT (8787), STATE_DIR
 * (.wrangler/state), ADMIN_TOKEN (unset: a random one in STATE_DIR, for the admin commands), HOST_TOKEN (unset: its API
 * does not exist), SWEEP_INTERVAL (60 seconds), ALLOW_LOOPBACK_JWKS (`true`: OAuth issuers' keys may be on this machine).
 * Tokens have at least 32 characters. With --watch (`npm run dev`), changes of src are built and served.
 * With --beside <wrangler.toml>, a host app runs with it on the next port, with a random COOKIE_SECRET.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, stripVTControlCharacters } from 'node:util';
import { openAdmin } from './admin/transport.mjs';
import { nameOf, root, stateDirOf } from './project.mjs';
import { freePort, ServiceError, startService } from './start/service.mjs';
import { writeOwn } from './start/state-dir.mjs';

const { ADMIN_TOKEN, HOST_TOKEN } = process.env;
const options = optionsIn(process.argv.slice(2));
const port = wholeNumber('PORT', 8787, 65535) || (await freePort());
const sweepInterval = wholeNumber('SWEEP_INTERVAL', 60, 86400);
const stateDir = stateDirOf(process.env);

const service = startService({
  port,
  stateDir,
  secrets: { ADMIN_TOKEN, HOST_TOKEN },
  beside: hostApp(),
  isWatching: options.watch,
  onLog: (text) => process.stderr.write(process.stderr.isTTY ? text : stripVTControlCharacters(text)),
});
let isStopping = false;
const stop = () => {
  isStopping = true;
  service.stop();
};
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop);
watchParent();
// Whoever read our output may be gone before us; that must not keep us from cleaning up.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

try {
  await service.ready;
  service.ended.then((code) => process.exit(code));
} catch (error) {
  if (!isStopping) console.error(error instanceof ServiceError ? error.message : error);
  process.exit(isStopping ? 0 : 1);
}
await welcome();
if (!isStopping) console.log(`scim-worker is ready on ${service.url} (state in ${nameOf(stateDir)})`);
if (!isStopping && options.beside) console.log(`${options.beside} is ready on http://localhost:${port + 1}`);
await sweep();

function optionsIn(args) {
  try {
    return parseArgs({ args, options: { watch: { type: 'boolean' }, beside: { type: 'string' } } }).values;
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}

function hostApp() {
  if (options.beside === undefined) return [];
  const vars = { COOKIE_SECRET: randomBytes(32).toString('hex') };
  return [{ configPath: resolve(root, options.beside), port: port + 1, vars }];
}

/** A first start leaves an org to try things with. Later starts, and folders that hold orgs already, are left alone. */
async function welcome() {
  const marker = join(stateDir, 'welcomed');
  if (existsSync(marker)) return;
  const { callAdmin } = await openAdmin({ stateDir });
  try {
    if ((await callAdmin('/orgs')).length === 0) {
      await callAdmin('/orgs', { method: 'POST', body: { slug: 'demo', name: 'Demo' } });
      const { scimBaseUrl } = await callAdmin('/orgs/demo/scim', { method: 'POST', body: { enabled: true } });
      const { token } = await callAdmin('/orgs/demo/tokens', { method: 'POST', body: {} });
      console.log(invitation(scimBaseUrl, token));
    }
    writeOwn(marker, 'The first start has made its org.\n');
  } catch (error) {
    // The service is as good without it, and the next start tries again.
    console.error(`The org "demo" could not be made: ${error.message}`);
  }
}

function invitation(baseUrl, token) {
  const user = {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
    userName: 'ada@example.com',
    name: { givenName: 'Ada', familyName: 'Lovelace' },
    emails: [{ value: 'ada@example.com', type: 'work', primary: true }],
    active: true,
  };
  const curl = `curl -sS '${baseUrl}/Users' -H 'Authorization: Bearer ${token}'`;
  return `Org "demo" is made, its SCIM is on. The token is shown this once.

  Base URL  ${baseUrl}
  Token     ${token}

Create a user, list them all:

${curl} -H 'Content-Type: application/scim+json' -d '${JSON.stringify(user)}'

${curl}
`;
}

/** Cron does not fire by itself in local development: this is the minute hand. A sweep that fails says so in the log. */
async function sweep() {
  while (!isStopping && sweepInterval > 0) {
    await service.runCron();
    await sleep(sweepInterval * 1000);
  }
}

/** npm, killed, tells nobody; being handed to another parent is how we hear of it. */
function watchParent() {
  if (!process.env.npm_lifecycle_event) return; // started by hand, as by nohup: may outlive its shell
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && stop(), 500).unref();
}

function wholeNumber(name, fallback, most) {
  const given = process.env[name];
  if (given === undefined || given === '') return fallback;
  const number = /^\d+$/.test(given) ? Number(given) : Number.NaN;
  if (number <= most) return number;
  console.error(`${name} must be a whole number up to ${most}, not "${given}".`);
  process.exit(1);
}
