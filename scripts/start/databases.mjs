/** Which databases a local service has: those of wrangler.toml, and further ones that DATABASES asks for. */
import { join } from 'node:path';
import { readOwn, writeOwn } from './state-dir.mjs';

const MOST = 100;

/** The file that keeps the largest number of databases that a service used with this folder. */
const countIn = (stateDir) => join(stateDir, 'databases');

/**
 * How many databases there are, `DB` included: DATABASES, or else as many as the folder has. `npm start` and
 * `npm run migrate` both ask here.
 *
 * @returns `kept` is what the folder has: a run with fewer leaves the others unbound.
 * @throws Error: DATABASES is no such number.
 */
export async function databaseCount({ DATABASES: asked }, stateDir) {
  const kept = Number((await readOwn(countIn(stateDir))) ?? 1) || 1;
  if (asked === undefined || asked === '') return { count: kept, kept };
  const count = /^\d{1,9}$/.test(asked) ? Number(asked) || 1 : Number.NaN;
  if (count <= MOST) return { count, kept: Math.max(count, kept) };
  throw new Error(`DATABASES must be a whole number up to ${MOST}, not "${asked}".`);
}

/** The folder has so many databases from now on. It never forgets one: orgs are in it. */
export async function keepDatabaseCount(stateDir, count) {
  const { kept } = await databaseCount({}, stateDir);
  if (count > kept) writeOwn(countIn(stateDir), `${count}\n`);
}

/**
 * The local databases in order, `DB` first and then by number: `{ binding, id, folder }` each.
 *
 * @param configured `d1_databases` of wrangler's configuration.
 * @param count how many are wanted at least; those that the configuration lacks are named after their number.
 */
export function localDatabases(configured, count) {
  const found = inOrder(configured).map(({ binding, database_id: id, migrations_dir: folder }) => ({
    ...{ binding, id: id ?? binding, folder },
  }));
  const folder = found[0].folder;
  const more = Array.from({ length: count - 1 }, (_, i) => ({
    ...{ binding: `DB_${i + 1}`, id: `scim-worker-${i + 1}`, folder },
  }));
  const isConfigured = new Set(found.map(({ binding }) => binding));
  return inOrder([...found, ...more.filter(({ binding }) => !isConfigured.has(binding))]);
}

/** `DB` first, and then by number. */
export function inOrder(databases) {
  const number = ({ binding }) => Number(/\d+$/.exec(binding)?.[0] ?? 0);
  return databases.toSorted((a, b) => number(a) - number(b));
}
