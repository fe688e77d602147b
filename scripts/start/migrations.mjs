/** Brings a local database up to date, as `wrangler d1 migrations apply --local` does and in the same table. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { applyMigrations } from '../../src/testing/packed-worker.ts';

/** The names of the migrations that the database does not have yet, in order. */
export async function pendingIn(db, folder) {
  const { results: tables } = await db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'd1_migrations'").all();
  const { results } = tables.length > 0 ? await db.prepare('SELECT name FROM d1_migrations').all() : { results: [] };
  const applied = new Set(results.map(({ name }) => name));
  return readdirSync(folder)
    .filter((name) => name.endsWith('.sql') && !applied.has(name))
    .sort();
}

/**
 * @param split wrangler's own: it knows where a trigger ends.
 * @throws Error naming the file that failed.
 */
export async function migrate(db, folder, split) {
  await applyMigrations(db, migrationsIn(folder, split));
}

/** In the order in which they are applied. */
export function migrationsIn(folder, split) {
  const names = readdirSync(folder).filter((name) => name.endsWith('.sql'));
  return names.sort().map((name) => ({ name, statements: split(readFileSync(join(folder, name), 'utf8')) }));
}
