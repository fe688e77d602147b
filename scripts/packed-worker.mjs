/** The Worker as `scim-worker/testing` runs it: its bundle, its bindings and its migrations in one folder. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './project.mjs';
import { build } from './start/build.mjs';
import { migrationsIn } from './start/migrations.mjs';

/** What of wrangler.toml the package has. Routes, cron and the like are of a deployment. */
const KEPT = [
  'compatibilityDate',
  'compatibilityFlags',
  'bindings',
  'kvNamespaces',
  'd1Databases',
  'durableObjects',
  'ratelimits',
];

/** Writes index.js, worker.json and LICENSES.md. @throws Error with what wrangler said. */
export async function packWorker(folder) {
  const configPath = join(root, 'wrangler.toml');
  const out = await mkdtemp(join(tmpdir(), 'scim-worker-bundle-'));
  try {
    const building = build(configPath, out);
    building.catch(() => {}); // thrown below; until then wrangler is loaded, which takes as long
    const { unstable_readConfig, unstable_getMiniflareWorkerOptions, unstable_splitSqlQuery } = createRequire(
      import.meta.url,
    )('wrangler');
    const { d1_databases: databases } = unstable_readConfig({ config: configPath, env: '' });
    const { workerOptions } = unstable_getMiniflareWorkerOptions(configPath, '');
    // Split here: an application has no wrangler.
    const migrations = migrationsIn(join(root, databases[0].migrations_dir), unstable_splitSqlQuery);
    const settings = Object.fromEntries(KEPT.map((key) => [key, workerOptions[key]]));
    const [{ contents }] = await building;
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'index.js'), contents.replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n'));
    await writeFile(join(folder, 'worker.json'), JSON.stringify({ ...settings, migrations }));
    await writeFile(join(folder, 'LICENSES.md'), await licenses());
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

/** Of what is in the bundle. */
async function licenses() {
  const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const texts = Object.entries(dependencies).map(async ([name, version]) => {
    const folder = join(root, 'node_modules', name);
    const file = (await readdir(folder)).find((one) => /^licen[cs]e/i.test(one));
    const license = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')).license;
    const text = file ? await readFile(join(folder, file), 'utf8') : `License: ${license}`;
    return `## ${name} ${version}\n\n${text.trim()}\n`;
  });
  return `# Licenses of the packages in index.js\n\n${(await Promise.all(texts)).join('\n')}`;
}
