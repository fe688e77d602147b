/**
 * `npm run migrate`: brings all databases of wrangler.toml up to date, one after the other. HELP below says how. What is
 * pending is shown first. Each migration is applied as a whole, so a run that was cut off is simply repeated.
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { commandOf, nameOf, root, stateDirOf } from './project.mjs'; // first: it says so if this Node is too old
import { databaseCount, inOrder, keepDatabaseCount, localDatabases } from './start/databases.mjs';
import { holdLock } from './start/lock.mjs';
import { migrate, pendingIn } from './start/migrations.mjs';
import { ownFolder, storageOf } from './start/state-dir.mjs';

const HELP = `npm run migrate -- [--remote] [--env <name>]

Applies the migrations that are pending to every database that wrangler.toml
binds, in order: DB, DB_1, DB_2 and so on. On this machine, also to those that
DATABASES=4 npm start has made. npm start does this by itself.

  --remote        the deployed databases, through wrangler's login
                  (default: those of STATE_DIR on this machine)
  --env <name>    those of this environment of wrangler.toml

Environment variables, on this machine:
  STATE_DIR       the folder of the data (default: .wrangler/state)
  DATABASES       how many databases (default: as many as the folder has)

Example: npm run migrate -- --remote --env eu`;

const { remote, env } = optionsIn(process.argv.slice(2));
const require = createRequire(import.meta.url);
const config = join(root, 'wrangler.toml');

try {
  process.exitCode = remote ? migrateRemote() : await migrateLocal();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

function optionsIn(args) {
  try {
    const known = { remote: { type: 'boolean' }, env: { type: 'string' }, help: { type: 'boolean', short: 'h' } };
    const { values } = parseArgs({ args, options: known });
    if (values.help) {
      console.log(HELP);
      process.exit(0);
    }
    return values;
  } catch (error) {
    console.error(`${error.message}. See: npm run migrate -- --help`);
    process.exit(1);
  }
}

/** The databases of the configuration. @throws Error: there is no such environment, or database. */
function configured() {
  const { unstable_readConfig: readConfig } = require('wrangler');
  const found = readConfig({ config, env: env ?? '' }).d1_databases;
  if (found.length === 0) throw new Error(`wrangler.toml binds no database${env ? ` in the environment ${env}` : ''}.`);
  return found;
}

/** wrangler shows what is pending, and applies it. The first database that fails ends the run. */
function migrateRemote() {
  for (const { binding } of inOrder(configured())) {
    console.log(`\n${binding}`);
    const args = ['d1', 'migrations', 'apply', binding, '--remote', '--config', config, '--env', env ?? ''];
    const { status, error } = spawnSync(process.execPath, [commandOf('wrangler', 'wrangler'), ...args], {
      cwd: root,
      stdio: 'inherit',
    });
    if (error) throw error;
    if (status !== 0) {
      console.error(`\n${binding} could not be migrated. Mend that and run this again: it goes on where it stopped.`);
      return 1;
    }
  }
  return 0;
}

async function migrateLocal() {
  const stateDir = stateDirOf(process.env);
  const { count } = await databaseCount(process.env, stateDir);
  ownFolder(stateDir);
  const lock = await holdLock(stateDir, { url: '', pid: process.pid });
  if (lock.holder)
    throw new Error(`A service runs with ${nameOf(stateDir)}: it has applied the migrations when it started.`);
  const { unstable_splitSqlQuery: split } = require('wrangler');
  const { Miniflare, convertV4MiniflareOptions } = require('miniflare');
  const all = localDatabases(configured(), count);
  await keepDatabaseCount(stateDir, count);
  const runtime = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script: 'export default {}',
      cf: false,
      resourcePersistencePath: storageOf(stateDir),
      d1Databases: Object.fromEntries(all.map(({ binding, id }) => [binding, { id }])),
    }),
  );
  try {
    for (const { binding, folder } of all) {
      const db = await runtime.getD1Database(binding);
      const pending = await pendingIn(db, join(root, folder));
      console.log(`${binding}: ${pending.length === 0 ? 'nothing is pending' : `applying ${pending.join(', ')}`}`);
      await migrate(db, join(root, folder), split);
    }
  } finally {
    await runtime.dispose();
    lock.release();
  }
  return 0;
}
