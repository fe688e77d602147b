/** Instants inside of SQL. */
import { type SQL, sql } from 'drizzle-orm';

/** Epoch milliseconds as `Date.toISOString` writes them. */
export const isoText = (at: SQL | number): SQL => sql`strftime('%Y-%m-%dT%H:%M:%fZ', ${at} / 1000.0, 'unixepoch')`;
