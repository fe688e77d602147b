/** Where things are in this checkout, and which Node runs it; every script begins here. */
import { readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  // wrangler refuses older ones, and they do not strip types. npm puts the one of optionalDependencies first in PATH.
  console.error(
    `Node ${process.versions.node} is too old. Go through npm, which brings its own: npm start. Where npm ci found none for this machine, install Node 22.18 or later.`,
  );
  process.exit(1);
}

/** For compiled code: in this checkout, where no other user of the machine can put it. */
export const cacheFolder = join(root, 'node_modules', '.cache', 'compiled');

/** The JavaScript behind a dependency's command, to be run with this very Node and no shell between. */
export function commandOf(dependency, name) {
  const folder = join(root, 'node_modules', dependency);
  return join(folder, JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).bin[name]);
}

/**
 * The folder that holds one local service's D1, KV and Durable Objects. A relative one counts from the project, not from
 * the working directory, so that `npm start` and `npm run admin` mean the same folder wherever they were called.
 */
export function stateDirOf(env) {
  return resolve(root, env.STATE_DIR || '.wrangler/state');
}

/** A path as a person in the project folder would write it. */
export function nameOf(path) {
  const inside = relative(root, path);
  return inside === '' || inside.startsWith('..') ? path : inside;
}
