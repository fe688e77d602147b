/** Which migrations a database has: a Worker and its databases are not changed at the same moment. */

import { sql } from 'drizzle-orm';

/** The latest migration that this Worker needs. */
export const SCHEMA_VERSION = '0030_receiver_subject.sql';

/** For a batch; a database without any migration has no such table. */
export const selectSchemaVersion = sql<{
  name: string;
}>`SELECT name FROM d1_migrations ORDER BY name DESC LIMIT 1`;

/** The latest migration of the database; undefined: it has none. */
export async function schemaVersionOf(db: D1Database): Promise<string | undefined> {
  try {
    const row = await db.prepare('SELECT name FROM d1_migrations ORDER BY name DESC LIMIT 1').first<{ name: string }>();
    return row?.name;
  } catch (error) {
    // wrangler makes the table with the first migration.
    if (error instanceof Error && /no such table/i.test(error.message)) return undefined;
    throw error;
  }
}

/** A migration that this Worker needs is not there yet. */
export const isBehind = (version: string | undefined): boolean => version === undefined || version < SCHEMA_VERSION;
