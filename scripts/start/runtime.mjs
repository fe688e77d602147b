/**
 * The Workers runtime as a process of its own (service.mjs starts it): built Workers, each on a port that leads to this
 * Worker alone. `wrangler dev` would add entrances to that port: an explorer, an inspector, a registry. The runtime opens
 * other ports, at random; they ask for a secret that only this process has.
 */
import { watch } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { root } from '../project.mjs';
import { build } from './build.mjs';
import { localDatabases } from './databases.mjs';
import { migrate } from './migrations.mjs';
import { shownLog } from './runtime-log.mjs';
import { storageOf } from './state-dir.mjs';

/** Milliseconds without a change before a change is built. */
const QUIET = 100;

/**
 * Between the port and its Worker: a request in the runtime's own protocol reaches this Worker and its one handler, not the
 * scheduled one. The address of the client is added, as Cloudflare's edge does.
 */
const ENTRANCE = `export default {
  fetch(request, { WORKER }) {
    const headers = new Headers(request.headers);
    if (!headers.has('CF-Connecting-IP')) headers.set('CF-Connecting-IP', '127.0.0.1');
    return WORKER.fetch(new Request(request, { headers }));
  },
};`;

process.umask(0o077);
let runtime;
for (const signal of ['SIGTERM', 'disconnect']) {
  process.on(signal, async () => {
    await runtime?.dispose();
    process.exit(0);
  });
}

const {
  stateDir,
  workers,
  isWatching,
  wantsStages,
  databases = 1,
} = await new Promise((resolve) => process.once('message', resolve));
const built = () =>
  Promise.all(workers.map(({ configPath }, at) => build(configPath, join(stateDir, 'build', `${at}`))));
const firstBuild = built();
firstBuild.catch(() => undefined); // told below; until then wrangler is loaded, which takes as long
const require = createRequire(import.meta.url);
const { unstable_readConfig, unstable_getMiniflareWorkerOptions, unstable_splitSqlQuery } = require('wrangler');
const { Miniflare, convertV4MiniflareOptions } = require('miniflare');
const configs = workers.map(({ configPath }) => unstable_readConfig({ config: configPath, env: '' }));
const local = localDatabases(configs[0].d1_databases, databases);

try {
  await start();
  process.on('message', runCron);
  process.send({ ready: true });
} catch (error) {
  process.send({ failed: error.message });
}

function tellStage(stage) {
  if (wantsStages) process.send({ stage });
}

async function start() {
  tellStage('Building the Worker');
  const first = optionsWith(await firstBuild);
  // Before a port is open: no request meets an old database.
  const { name } = configs[0];
  tellStage('Preparing the database');
  runtime = new Miniflare(convertV4MiniflareOptions({ ...first, workers: first.workers.map(closed) }));
  for (const { binding, folder } of local) {
    await migrate(await runtime.getD1Database(binding, name), join(root, folder), unstable_splitSqlQuery);
  }
  tellStage('Starting the Worker');
  await runtime.setOptions(convertV4MiniflareOptions(first));
  if (!isWatching) return;
  onChange(join(root, 'src'), async () => runtime.setOptions(convertV4MiniflareOptions(optionsWith(await built()))));
}

/** @param modules of each Worker. */
function optionsWith(modules) {
  return {
    rootPath: root,
    resourcePersistencePath: storageOf(stateDir),
    cf: false,
    handleStructuredLogs: (log) => process.stderr.write(shownLog(log)),
    workers: workers.flatMap((worker, at) => workerOf(worker, configs[at], modules[at])),
  };
}

function closed({ unsafeDirectSockets, ...worker }) {
  return worker;
}

/** A Worker and its entrance. Its variables are those of its configuration: a .dev.vars that lies beside it must open nothing. */
function workerOf({ configPath, port, vars }, config, modules) {
  const { name, compatibility_date: compatibilityDate } = config;
  const { workerOptions } = unstable_getMiniflareWorkerOptions(configPath, '');
  return [
    {
      name: `entrance-${name}`,
      modules: [{ type: 'ESModule', path: 'entrance.js', contents: ENTRANCE }],
      compatibilityDate,
      serviceBindings: { WORKER: name },
      unsafeDirectSockets: [{ host: '127.0.0.1', port }],
    },
    {
      ...workerOptions,
      ...(configPath === workers[0].configPath && {
        d1Databases: Object.fromEntries(local.map(({ binding, id }) => [binding, { id }])),
      }),
      name,
      modules,
      bindings: { ...config.vars, ...vars },
    },
  ];
}

/** Of each Worker that has one. */
async function runCron() {
  for (const { name } of configs.filter(({ triggers }) => triggers.crons?.length > 0)) {
    const worker = await runtime.getWorker(name);
    // A run that fails has said so in the log.
    await worker.scheduled({ cron: '* * * * *' }).catch(() => {});
  }
  process.send({ cron: true });
}

/** One build after the other: they write to the same place. */
function onChange(folder, rebuild) {
  let timer;
  let turn = Promise.resolve();
  const next = () => {
    turn = turn.then(rebuild).then(
      () => process.stderr.write('Rebuilt.\n'),
      (error) => process.stderr.write(`${error.message}\n`),
    );
  };
  watch(folder, { recursive: true }, () => {
    clearTimeout(timer);
    timer = setTimeout(next, QUIET);
  });
}
