/** SQL -> D1: statements are written with drizzle's `sql`, and run as one batch, which is one round trip and atomic. */
import { Placeholder, SQL, type SQLChunk, StringChunk, sql } from 'drizzle-orm';
import { CasingCache } from 'drizzle-orm/casing';
import { type Attempt, type Database, isLocated } from './database';
import type { Row, Rows } from './rows';
import { isBehind, schemaVersionOf } from './schema-version';

/** SQLite's way to write a statement. drizzle's own dialect would bring its query builders along, which nothing here uses. */
const SQLITE = {
  casing: new CasingCache(),
  escapeName: (name: string) => `"${name.replaceAll('"', '""')}"`,
  escapeParam: () => '?',
  escapeString: (text: string) => `'${text.replaceAll("'", "''")}'`,
};

/**
 * Stands in a statement for the id of the caller's org. What it becomes is decided when the batch is sent: a bound id
 * after the guard of a write, a look-up that proves the credential in a read (store/org/open.ts).
 */
export const ORG: SQL = sql`${sql.placeholder('org')}`;

/** A place for ORG takes at most so many characters. */
const LONGEST_ORG = sql.raw('-'.repeat(340));

/** Characters of the statement that this part of one becomes; D1 takes 100,000 in all. */
export function lengthOf(part: SQL): number {
  const text = new Text(LONGEST_ORG);
  text.add(part.queryChunks);
  // In the whole statement, the number of a parameter may have a digit more.
  return text.sql.length + text.sql.split('?').length;
}

/** A statement while its text is put together. */
class Text {
  sql = '';
  /** Equal parameters are bound once (`?1` … ), for D1 takes 100 of them. */
  readonly places = new Map<unknown, number>();

  constructor(private readonly org: SQL | undefined) {}

  /**
   * As drizzle's `toQuery` does it, which takes several times as long: it asks of each value whether it is one of a dozen
   * things, and joins texts and lists again at each level.
   */
  add(chunks: readonly unknown[]): void {
    for (const chunk of chunks) {
      if (chunk instanceof StringChunk) this.sql += chunk.value.join('');
      else if (chunk === null || typeof chunk !== 'object') this.#addValue(chunk);
      else if (chunk instanceof SQL) this.add(chunk.queryChunks);
      else if (chunk instanceof Placeholder) this.#addOrg();
      else this.#addOther(chunk as SQLChunk);
    }
  }

  #addValue(value: unknown): void {
    if (value === undefined) return;
    let place = this.places.get(value);
    if (place === undefined) {
      place = this.places.size + 1;
      this.places.set(value, place);
    }
    this.sql += `?${place}`;
  }

  #addOrg(): void {
    if (this.org === undefined) throw new Error('a statement about the org of a caller was sent without one');
    this.add(this.org.queryChunks);
  }

  /** A column, a table, a list: what drizzle makes of it. Such a text has no question mark but those of its parameters. */
  #addOther(chunk: SQLChunk): void {
    const { sql: text, params } = new SQL([chunk]).toQuery(SQLITE);
    const [first, ...rest] = text.split('?');
    this.sql += first;
    for (const [i, part] of rest.entries()) {
      const value = params[i];
      if (value instanceof Placeholder) this.#addOrg();
      else this.#addValue(value);
      this.sql += part;
    }
  }
}

/**
 * A statement for D1.
 *
 * @param org what ORG becomes.
 */
export function prepare(db: D1Database, statement: SQL, org?: SQL): D1PreparedStatement {
  const text = new Text(org);
  text.add(statement.queryChunks);
  // Line breaks stand between words alone: the indentation of the source need not travel.
  return db.prepare(text.sql.replace(/\n\s*/g, ' ')).bind(...text.places.keys());
}

/**
 * One round trip, all or nothing.
 *
 * @param org what ORG becomes in all of them.
 * @returns the rows of each statement, in order.
 * @throws Unmet when an expectation aborted the batch, Taken when a value that must be unique is taken.
 */
export async function runBatch<const S extends readonly SQL[]>(
  database: Database,
  statements: S,
  org?: SQL,
): Promise<Rows<S>> {
  const attempt: Attempt<Rows<S>> = async (db, guards) => {
    try {
      const results = await db.batch<Row>([...guards, ...statements].map((statement) => prepare(db, statement, org)));
      return results.slice(guards.length).map((result) => result.results) as Rows<S>;
    } catch (error) {
      throw await meaning(error, db);
    }
  };
  return isLocated(database) ? database.send(() => statements.some(changes), attempt) : attempt(database, []);
}

/** Whether the statement may change something. */
function changes(statement: SQL): boolean {
  const { sql: text } = statement.toQuery(SQLITE);
  return !/^\s*SELECT\b/i.test(text);
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
export class Busy extends Error {
  /** What a caller is told, and the seconds until it may try again. */
  readonly told: string = 'The directory is busy: try again in a moment';
  readonly retryAfter: number = 2;
  /** What an operator is told in its place: which database, and what to do. */
  readonly toldOperator: string | undefined = undefined;
}

/** What the Worker needs is not in the database yet: its migrations are still to come. */
export class Behind extends Busy {
  override readonly told = 'The directory is being upgraded: try again in a minute';
  override readonly retryAfter = 30;
  override readonly toldOperator = 'A database is behind: it lacks migrations. Apply them: npm run migrate';
}

/** D1's message has no bound values in it (drizzle's would), so it may be looked at, and logged. */
async function meaning(error: unknown, db: D1Database): Promise<unknown> {
  if (!(error instanceof Error)) return error;
  const expectation = /expectation: (\w+)/.exec(error.message)?.[1];
  if (expectation !== undefined) return new Unmet(expectation);
  const columns = /UNIQUE constraint failed: ([\w., ]+)/.exec(error.message)?.[1];
  if (columns !== undefined) return new Taken(columns);
  // Cloudflare, «Debug D1»: the messages of a database that is overloaded, moving or restarting.
  const isPassing =
    /overloaded|Network connection lost|caused object to be reset|limit and was reset|code was updated|transient issue|Replica disconnected/i;
  if (/no such (?:table|column)|has no column named/i.test(error.message) && isBehind(await schemaVersionOf(db)))
    return new Behind('the database lacks migrations', { cause: error });
  return isPassing.test(error.message) ? new Busy(error.message, { cause: error }) : error;
}
