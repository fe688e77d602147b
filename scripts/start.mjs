/**
 * `npm start`: the Worker on this machine, ready to provision. HELP below names the arguments and the environment
 * variables. With --watch (`npm run dev`), changes of src are built and served. With --beside <wrangler.toml>, another
 * Worker runs on the next port, with a random COOKIE_SECRET.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, stripVTControlCharacters } from 'node:util';
import { openAdmin } from './admin/transport.mjs';
import { nameOf, root, stateDirOf } from './project.mjs'; // first: it says so if this Node is too old
import { databaseCount } from './start/databases.mjs';
import { freePort, ServiceError, startService } from './start/service.mjs';
import { stagesOn } from './start/stages.mjs';
import { writeOwn } from './start/state-dir.mjs';

const HELP = `npm start -- [--watch] [--beside <wrangler.toml>]

Runs scim-worker on this machine. The first start makes the org "demo" with a
token. Ctrl-C stops the service; its data stays in STATE_DIR.

  --watch            build and serve changes of src (npm run dev)
  --beside <file>    also run the Worker of this wrangler.toml, on the next port

Environment variables:
  PORT               the port (default: 8787; 0: a free one)
  STATE_DIR          the folder of the data (default: .wrangler/state)
  ADMIN_TOKEN        the token of the admin API (default: random, in STATE_DIR)
  HOST_TOKEN         the token of the sessions API (default: only those of hosts add)
  SWEEP_INTERVAL     seconds between two runs of the cron (default: 60; 0: none)
  DATABASES          databases that orgs are spread over (default: as many as
                     STATE_DIR has; at first 1)
  WEBHOOK_KEY        what encrypts secrets of webhooks (default: random, in STATE_DIR)
  ALLOW_LOOPBACK_JWKS=true       keys of OAuth issuers may be on this machine
  ALLOW_LOOPBACK_WEBHOOKS=true   webhooks may go to this machine

Tokens have at least 32 characters. Example:
  PORT=9000 HOST_TOKEN=$(openssl rand -hex 32) npm start

Then, in another terminal: npm run admin -- --help`;

const { ADMIN_TOKEN, HOST_TOKEN } = process.env;
const options = optionsIn(process.argv.slice(2));
const port = wholeNumber('PORT', 8787, 65535) || (await freePort());
const sweepInterval = wholeNumber('SWEEP_INTERVAL', 60, 86400);
const stateDir = stateDirOf(process.env);
const { count: databases, kept } = await databasesOf(stateDir);

const stages = stagesOn(process.stderr);
stages.show('Starting scim-worker');
const service = startService({
  port,
  stateDir,
  secrets: { ADMIN_TOKEN, HOST_TOKEN },
  beside: hostApp(),
  isWatching: options.watch,
  databases,
  onLog: (text) => process.stderr.write(process.stderr.isTTY ? text : stripVTControlCharacters(text)),
  onStage: stages.show,
});
let isStopping = false;
const stop = () => {
  isStopping = true;
  service.stop();
};
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop);
watchParent();
// The reader of our output may be gone before us; that must not keep us from cleaning up.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

try {
  await service.ready;
  service.ended.then((code) => process.exit(code));
} catch (error) {
  stages.end();
  if (!isStopping) console.error(error instanceof ServiceError ? error.message : error);
  process.exit(isStopping ? 0 : 1);
}
stages.end();
await welcome();
if (!isStopping) console.log(`scim-worker is ready on ${service.url} (state in ${nameOf(stateDir)})`);
if (!isStopping && databases < kept)
  console.error(
    `${nameOf(stateDir)} has ${kept} databases, and DATABASES=${databases}: orgs of the others get 503. Without DATABASES all are used.`,
  );
if (!isStopping && options.beside) console.log(`${options.beside} is ready on http://localhost:${port + 1}`);
if (!isStopping) console.log(nextSteps());
await sweep();

function optionsIn(args) {
  const known = { watch: { type: 'boolean' }, beside: { type: 'string' }, help: { type: 'boolean', short: 'h' } };
  try {
    const { values } = parseArgs({ args, options: known });
    if (values.help) {
      console.log(HELP);
      process.exit(0);
    }
    return values;
  } catch (error) {
    const isKnown = (arg) => arg.startsWith('--') && Object.hasOwn(known, arg.replace(/^--|=.*$/g, ''));
    const unknown = args.find((arg, i) => !isKnown(arg) && args[i - 1] !== '--beside');
    console.error(
      `${unknown ? `npm start does not take "${unknown}".` : `${error.message}.`} See: npm start -- --help`,
    );
    process.exit(1);
  }
}

/** Three commands to go on with, for this state folder. */
function nextSteps() {
  const { STATE_DIR } = process.env;
  const command = (words) => `  npm run admin -- ${words}`;
  return [
    '',
    'Go on in another terminal. Ctrl-C stops the service here.',
    '',
    ...(STATE_DIR ? [`  export STATE_DIR=${nameOf(stateDir)}`] : []),
    `${command('org list')}                           lists the orgs`,
    `${command('org create acme --enable --token')}   adds an org`,
    `${command('portal link demo')}                   opens the portal of the org demo`,
    `${command('--help')}                             shows all commands`,
  ].join('\n');
}

function hostApp() {
  if (options.beside === undefined) return [];
  const vars = { COOKIE_SECRET: randomBytes(32).toString('hex') };
  return [{ configPath: resolve(root, options.beside), port: port + 1, vars }];
}

/** The first start makes an org to try things with. Later starts, and folders that hold orgs already, are left alone. */
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
    // The service works without it, and the next start tries again.
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
  return `The org "demo" is made, and its SCIM API is on. The token is shown once.

  Base URL  ${baseUrl}
  Token     ${token}

Create a user, then list all users:

${curl} -H 'Content-Type: application/scim+json' -d '${JSON.stringify(user)}'

${curl}
`;
}

/** The cron does not run by itself in local development: this runs it. A run that fails says so in the log. */
async function sweep() {
  while (!isStopping && sweepInterval > 0) {
    await service.runCron();
    await sleep(sweepInterval * 1000);
  }
}

/** npm does not pass its end on if it is killed; a new parent is the sign of it. */
function watchParent() {
  if (!process.env.npm_lifecycle_event) return; // started by hand, as by nohup: may outlive its shell
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && stop(), 500).unref();
}

async function databasesOf(stateDir) {
  try {
    return await databaseCount(process.env, stateDir);
  } catch (error) {
    console.error(`${error.message} See: npm start -- --help`);
    process.exit(1);
  }
}

function wholeNumber(name, fallback, most) {
  const given = process.env[name];
  if (given === undefined || given === '') return fallback;
  const number = /^\d+$/.test(given) ? Number(given) : Number.NaN;
  if (number <= most) return number;
  console.error(`${name} must be a whole number up to ${most}, not "${given}". See: npm start -- --help`);
  process.exit(1);
}
