/** Brings a local database up to date, as `wrangler d1 migrations apply --local` does and in the same table. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { applyMigrations } from '../../src/testing/packed-worker.ts';

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
