/** Lists over all databases that say which databases are not in them. */
import { sql } from 'drizzle-orm';
import { Busy, runBatch, Unmet } from './batch';
import type { Attempt, Database, Located } from './database';
import { bindingsOf, type Databases, databaseNamed, gather, isSpread, mainDatabase } from './databases';
import { expect } from './expect';
import { Foreign } from './homes';

export interface Listed<T> {
  readonly answers: readonly T[];
  /** Databases whose orgs are not in the answers: they did not answer, are not bound, or are bound under another name. */
  readonly incomplete: readonly string[];
}

/**
 * Asks all of them, side by side.
 *
 * @throws Busy: none answers.
 */
export async function list<T>(
  databases: Databases,
  question: (db: Database, isMain: boolean) => Promise<T>,
): Promise<Listed<T>> {
  const ask = (db: D1Database, name: string) =>
    question(isSpread(databases) ? new OwnDatabase(db, name) : db, name === 'DB');
  const [{ answers, failed }, unbound] = await Promise.all([
    gather(databases, ask),
    // Without the catalogue `DB` is among those that failed.
    unboundDatabases(databases).catch(() => []),
  ]);
  if (answers.length === 0) throw new Busy('no database answers');
  return { answers, incomplete: [...failed, ...unbound] };
}

/** A database that answers only under the name that it was taken into use with. */
class OwnDatabase implements Located {
  constructor(
    private readonly db: D1Database,
    private readonly name: string,
  ) {}

  /** @throws Foreign */
  async send<T>(_writes: () => boolean, attempt: Attempt<T>): Promise<T> {
    try {
      const isForeign = sql`EXISTS (SELECT 1 FROM shards WHERE binding <> ${this.name})`;
      return await attempt(this.db, [expect('here', sql`NOT ${isForeign}`)]);
    } catch (error) {
      throw error instanceof Unmet && error.expectation === 'here' ? new Foreign(this.name) : error;
    }
  }

  async confirmAbsence(): Promise<void> {}
}

/** Milliseconds for which an isolate believes it: what is bound changes with a deployment alone. */
const BELIEVED = 600_000;

const believed = new WeakMap<Databases, { readonly names: readonly string[]; readonly until: number }>();

/** Databases that hold orgs and are not bound. The catalogue is read from end to end, so seldom. */
export async function unboundDatabases(databases: Databases, now = Date.now()): Promise<readonly string[]> {
  const known = believed.get(databases);
  if (known && now < known.until) return known.names;
  const bound = JSON.stringify(bindingsOf(databases).filter((name) => databaseNamed(databases)(name)));
  const [rows] = await runBatch(mainDatabase(databases), [
    sql<{ binding: string }>`SELECT DISTINCT binding FROM catalogue WHERE slug IS NOT NULL
      AND binding NOT IN (SELECT value FROM json_each(${bound})) ORDER BY binding`,
  ]);
  const names = rows.map(({ binding }) => binding);
  believed.set(databases, { names, until: now + BELIEVED });
  return names;
}
