/** SQL -> D1: statements are written with drizzle's `sql`, and run as one batch, which is one round trip and atomic. */
import type { SQL } from 'drizzle-orm';
import { SQLiteSyncDialect } from 'drizzle-orm/sqlite-core';

export type Row = Record<string, unknown>;

const dialect = new SQLiteSyncDialect();

/** Characters of the statement that this part of one becomes; D1 takes 100,000 in all. */
export const lengthOf = (part: SQL): number => dialect.sqlToQuery(part).sql.length;

/**
 * A statement for D1. Equal parameters are bound once (`?1` … ), for D1 takes 100 of them and the credential stands in
 * every statement several times.
 */
export function prepare(db: D1Database, statement: SQL): D1PreparedStatement {
  const { sql: text, params } = dialect.sqlToQuery(statement);
  const distinct = [...new Set(params)];
  let i = 0;
  // A question mark in a literal would be mistaken for a parameter; ours are JSON paths and words, which have none.
  const numbered = text.replace(/\?/g, () => `?${distinct.indexOf(params[i++]) + 1}`);
  return db.prepare(numbered).bind(...distinct);
}

/**
 * One round trip, all or nothing.
 *
 * @returns the rows of each statement, in order.
 * @throws Unmet when an expectation aborted the batch, Taken when a value that must be unique is taken.
 */
export async function runBatch(db: D1Database, statements: readonly SQL[]): Promise<Row[][]> {
  try {
    const results = await db.batch<Row>(statements.map((statement) => prepare(db, statement)));
    return results.map((result) => result.results);
  } catch (error) {
    throw meaning(error);
  }
}

/** An expectation (migrations/0001) that was not met: nothing of the batch has happened. */
export class Unmet extends Error {
  constructor(readonly expectation: string) {
    super(`expectation: ${expectation}`);
  }
}

/** A unique index refused a value: nothing of the batch has happened. */
export class Taken extends Error {
  constructor(readonly columns: string) {
    super(`taken: ${columns}`);
  }
}

/** D1 could not do it now; the same request may succeed in a moment. */
export class Busy extends Error {}

/** D1's message has no bound values in it (drizzle's would), so it may be looked at, and logged. */
function meaning(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const expectation = /expectation: (\w+)/.exec(error.message)?.[1];
  if (expectation !== undefined) return new Unmet(expectation);
  const columns = /UNIQUE constraint failed: ([\w., ]+)/.exec(error.message)?.[1];
  if (columns !== undefined) return new Taken(columns);
  // Cloudflare, «Debug D1»: the messages of a database that is overloaded, moving or restarting.
  const isPassing =
    /overloaded|Network connection lost|caused object to be reset|limit and was reset|code was updated|transient issue|Replica disconnected/i;
  return isPassing.test(error.message) ? new Busy(error.message, { cause: error }) : error;
}
