/** The packed Worker in the runtime, behind a port that leads to it alone. `wrangler dev` would put a proxy before it. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { build } from '../../scripts/start/build.mjs';
import { shownLog } from '../../scripts/start/runtime-log.mjs';
import { applyMigrations, readPackedWorker } from '../../src/testing/packed-worker.ts';

const NAME = 'scim-worker';

/** Gives a request the address of its client, as Cloudflare's edge does, and the URL that it was made for. */
const ENTRANCE = `export default {
  fetch(request, { WORKER }) {
    const headers = new Headers(request.headers);
    if (!headers.has('CF-Connecting-IP')) headers.set('CF-Connecting-IP', '127.0.0.1');
    const url = headers.get('Test-URL') ?? request.url;
    headers.delete('Test-URL');
    return WORKER.fetch(new Request(url, new Request(request, { headers })));
  },
};`;

/**
 * @param folder of the packed Worker.
 * @param bindings its variables and secrets, beside those of wrangler.toml.
 * @param beside Workers that run with it, `{ configPath, secrets }` each.
 */
export async function serveWorker(folder, bindings, beside = []) {
  const [packed, neighbours] = await Promise.all([
    readPackedWorker(pathToFileURL(`${folder}/`)),
    Promise.all(beside.map((neighbour, at) => neighbourOf(neighbour, join(folder, `beside-${process.pid}-${at}`)))),
  ]);
  const { script, migrations, ...settings } = packed;
  const { compatibilityDate } = packed;
  const runtime = new Miniflare(
    convertV4MiniflareOptions({
      cf: false,
      handleStructuredLogs(log) {
        const text = shownLog(log).trimEnd();
        if (text !== '') console.warn(text);
      },
      workers: [
        entranceTo(NAME, compatibilityDate),
        {
          ...settings,
          name: NAME,
          ...moduleOf('index.js', script),
          bindings: { ...settings.bindings, ...bindings },
        },
        ...neighbours.flatMap((worker) => [entranceTo(worker.name, worker.compatibilityDate), worker]),
      ],
    }),
  );
  const urlOf = async (worker) => (await runtime.unsafeGetDirectURL(`entrance-${worker}`)).origin;
  try {
    await runtime.ready;
    const [database] = Object.keys(packed.d1Databases);
    await applyMigrations(await runtime.getD1Database(database, NAME), migrations);
    return {
      url: await urlOf(NAME),
      fetchFrom: async (worker, url, init) =>
        fetch(await urlOf(worker), { ...init, headers: { ...init?.headers, 'Test-URL': url } }),
      deleteFlag: async (key) => (await runtime.getKVNamespace('REVOCATIONS', NAME)).delete(key),
      stop: () => runtime.dispose(),
    };
  } catch (error) {
    await runtime.dispose();
    throw error;
  }
}

const entranceTo = (worker, compatibilityDate) => ({
  name: `entrance-${worker}`,
  ...moduleOf('entrance.js', ENTRANCE),
  compatibilityDate,
  serviceBindings: { WORKER: worker },
  unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
});

const moduleOf = (path, contents) => ({ modules: [{ type: 'ESModule', path, contents }] });

async function neighbourOf({ configPath, secrets }, folder) {
  const config = fileURLToPath(configPath);
  const modules = build(config, folder);
  // Loaded only here: it takes more than a second.
  const { unstable_readConfig, unstable_getMiniflareWorkerOptions } = createRequire(import.meta.url)('wrangler');
  const { name, vars } = unstable_readConfig({ config, env: '' });
  const { workerOptions } = unstable_getMiniflareWorkerOptions(config, '');
  return { ...workerOptions, name, modules: await modules, bindings: { ...vars, ...secrets } };
}
