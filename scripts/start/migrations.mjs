/** Brings a local database up to date, as `wrangler d1 migrations apply --local` does and in the same table. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const TABLE = `CREATE TABLE IF NOT EXISTS d1_migrations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT UNIQUE,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
)`;

/**
 * Each migration is one batch: it is applied as a whole or not at all.
 *
 * @param split wrangler's own: it knows where a trigger ends.
 * @throws Error naming the file that failed.
 */
export async function migrate(db, folder, split) {
  await db.prepare(TABLE).run();
  const { results } = await db.prepare('SELECT name FROM d1_migrations').all();
  const applied = new Set(results.map(({ name }) => name));
  const files = readdirSync(folder).filter((name) => name.endsWith('.sql') && !applied.has(name));
  for (const name of files.sort()) {
    const statements = split(readFileSync(join(folder, name), 'utf8'));
    const record = db.prepare('INSERT INTO d1_migrations (name) VALUES (?)').bind(name);
    try {
      await db.batch([...statements.map((sql) => db.prepare(sql)), record]);
    } catch (error) {
      throw new Error(`The migration ${name} failed: ${error.message}`);
    }
  }
}
