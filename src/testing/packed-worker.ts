/** The Worker as `npm run build` packs it: its bundle, its bindings and its migrations. */
/// <reference path="./node.d.ts" />
import { readFile } from 'node:fs/promises';

export interface Migration {
  readonly name: string;
  readonly statements: readonly string[];
}

/** What worker.json holds. The bindings are written as miniflare takes them. */
export interface PackedWorker {
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
  readonly bindings: Readonly<Record<string, string>>;
  readonly kvNamespaces: object;
  readonly d1Databases: object;
  readonly durableObjects: object;
  readonly ratelimits: object;
  readonly migrations: readonly Migration[];
  /** The bundle: one ES module. */
  readonly script: string;
}

/** Beside this room in the package. A checkout has none before a build. */
const PACKED = new URL('../worker/', import.meta.url);

/** @throws Error where there is no built package. */
export async function readPackedWorker(folder: URL = PACKED): Promise<PackedWorker> {
  try {
    const [script, manifest] = await Promise.all(
      ['index.js', 'worker.json'].map((name) => readFile(new URL(name, folder), 'utf8')),
    );
    return { ...JSON.parse(manifest!), script: script! };
  } catch (cause) {
    throw new Error(
      'scim-worker/testing: the Worker is not here. Install the built package (npm run package makes it)',
      { cause },
    );
  }
}

/** What is used of D1. */
export interface Database {
  prepare(sql: string): Statement;
  batch(statements: readonly Statement[]): Promise<unknown>;
}

interface Statement {
  bind(...values: readonly unknown[]): Statement;
  run(): Promise<unknown>;
  all(): Promise<{ readonly results: readonly { readonly name: string }[] }>;
}

const TABLE = `CREATE TABLE IF NOT EXISTS d1_migrations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT UNIQUE,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
)`;

/** Brings a database up to date, as wrangler does and in its table. Each migration is applied as a whole or not at all. */
export async function applyMigrations(database: Database, migrations: readonly Migration[]): Promise<void> {
  await database.prepare(TABLE).run();
  const { results } = await database.prepare('SELECT name FROM d1_migrations').all();
  const applied = new Set(results.map(({ name }) => name));
  for (const { name, statements } of migrations.filter((one) => !applied.has(one.name))) {
    const record = database.prepare('INSERT INTO d1_migrations (name) VALUES (?)').bind(name);
    try {
      await database.batch([...statements.map((sql) => database.prepare(sql)), record]);
    } catch (cause) {
      throw new Error(`The migration ${name} failed: ${(cause as Error).message}`, { cause });
    }
  }
}
