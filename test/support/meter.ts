/**
 * A D1 binding that counts: round trips, rows read and written. Written by hand: a Proxy of the real one breaks its RPC.
 * The note of a credential's use, which is due every five minutes and on nobody's path, is counted apart.
 */
import { env } from 'cloudflare:workers';

interface Sent {
  readonly text: string;
  readonly parameters: unknown[];
}

/** The statement that notes a credential's use. */
export const NOTE = /^UPDATE credentials SET last_used_at/;

export class Meter {
  roundTrips = 0;
  rowsRead = 0;
  rowsWritten = 0;
  /** Notes of a use that were sent, and rows that they wrote. */
  notes = 0;
  rowsNoted = 0;
  /** How many statements each round trip had. */
  readonly batches: number[] = [];
  readonly #sent: Sent[] = [];

  constructor(private readonly db: D1Database = env.DB) {}

  reset(): void {
    this.roundTrips = 0;
    this.rowsRead = 0;
    this.rowsWritten = 0;
    this.notes = 0;
    this.rowsNoted = 0;
    this.batches.length = 0;
    this.#sent.length = 0;
  }

  /** To be put in the place of `DB`. Only what the service uses is there: anything else is not counted, so it fails. */
  get binding(): D1Database {
    const noted = new WeakSet<D1PreparedStatement>();
    return {
      prepare: (text: string) => ({
        bind: (...parameters: unknown[]) => {
          const statement = this.db.prepare(text).bind(...parameters);
          if (NOTE.test(text)) noted.add(statement);
          else this.#sent.push({ text, parameters });
          return statement;
        },
      }),
      batch: async <T>(statements: D1PreparedStatement[]) => {
        if (statements.length === 1 && noted.has(statements[0]!)) {
          this.notes++;
          const results = await this.db.batch<T>(statements);
          this.rowsNoted += results[0]!.meta.rows_written;
          return results;
        }
        this.roundTrips++;
        this.batches.push(statements.length);
        const results = await this.db.batch<T>(statements);
        for (const { meta } of results) {
          this.rowsRead += meta.rows_read;
          this.rowsWritten += meta.rows_written;
        }
        return results;
      },
    } as unknown as D1Database;
  }

  /** The statements that were sent, as text. */
  get statements(): string[] {
    return this.#sent.map(({ text }) => text);
  }

  /** How SQLite goes about the statements that were sent, the first so many: the lines of EXPLAIN QUERY PLAN. */
  async plans(count?: number): Promise<string[]> {
    const explained = this.#sent
      .slice(0, count)
      .map(({ text, parameters }) => this.db.prepare(`EXPLAIN QUERY PLAN ${text}`).bind(...parameters));
    const results = await this.db.batch<{ detail: string }>(explained);
    return results.flatMap(({ results: lines }) => lines.map(({ detail }) => detail));
  }
}
