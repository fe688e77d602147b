/**
 * Keeps what every database holds equal to `DB`: webhooks of all orgs, receivers of signals and their streams. It runs after each
 * change, and each minute for a database that did not answer then. Nothing is sent on the word of a copy alone: before a
 * delivery `DB` is asked.
 */
import { type SQL, sql } from 'drizzle-orm';
import { Behind, runBatch } from '../d1/batch';
import { bindingsOf, type Databases, databaseNamed, isSpread, mainDatabase } from '../d1/databases';
import { COPIED, type Copied } from '../d1/places';
import type { Row } from '../d1/rows';

/** Rows of one table: there are at most 10 webhooks of all orgs, 50 receivers, and 5 streams of each. */
const MAX_ROWS = 500;

const selectCopied: readonly SQL[] = COPIED.map(
  ({ table, key, where }) =>
    sql`SELECT * FROM ${sql.raw(table)} WHERE ${sql.raw(where)} ORDER BY ${sql.raw(key)} LIMIT CAST(${MAX_ROWS} AS INTEGER)`,
);

/**
 * Makes the copies of the other databases equal to `DB`. A database that is not in use yet is left out.
 *
 * @throws AggregateError of the databases that failed, after all others were done.
 */
export async function repairCopies(databases: Databases): Promise<void> {
  if (!isSpread(databases)) return;
  const others = bindingsOf(databases).filter((name) => name !== 'DB');
  // Copies first, for `DB` changes before them: what a copy has and `DB` has not was removed, and is not still to come.
  const copies = await Promise.allSettled(others.map((name) => readCopy(databases, name)));
  const wanted = await runBatch(mainDatabase(databases), selectCopied);
  const done = await Promise.allSettled(
    copies.map((copy) => (copy.status === 'fulfilled' ? repair(copy.value, wanted) : Promise.reject(copy.reason))),
  );
  const failed = done.flatMap((one) =>
    one.status === 'rejected' && !(one.reason instanceof Behind) ? [one.reason] : [],
  );
  if (failed.length > 0) throw new AggregateError(failed, `copies of ${failed.length} databases could not be repaired`);
}

/** After a change in `DB`, which counts: a database that fails now is repaired by the cron. */
export async function copyChanges(databases: Databases): Promise<void> {
  try {
    await repairCopies(databases);
  } catch (error) {
    console.error(JSON.stringify({ message: 'a change is not in every database yet', error: String(error) }));
  }
}

/** The same of one database, before an org arrives there with its place in streams and webhooks. */
export async function repairCopyIn(databases: Databases, name: string): Promise<void> {
  if (name === 'DB') return;
  const copy = await readCopy(databases, name);
  await repair(copy, await runBatch(mainDatabase(databases), selectCopied));
}

interface Copy {
  readonly db: D1Database;
  /** Undefined: the database is not in use yet, or is another one. */
  readonly found: readonly Row[][] | undefined;
}

async function readCopy(databases: Databases, name: string): Promise<Copy> {
  const db = databaseNamed(databases)(name)!;
  const [[shard], ...found] = await runBatch(db, [sql`SELECT binding FROM shards`, ...selectCopied]);
  return { db, found: shard?.['binding'] === name ? found : undefined };
}

async function repair({ db, found }: Copy, wanted: readonly Row[][]): Promise<void> {
  const repairs = found ? repairsOf(found, wanted) : [];
  if (repairs.length > 0) await runBatch(db, repairs);
}

/** What a database that is taken into use gets. */
export async function firstCopies(main: D1Database, db: D1Database): Promise<SQL[]> {
  const [wanted, found] = await Promise.all([runBatch(main, selectCopied), runBatch(db, selectCopied)]);
  return repairsOf(found, wanted);
}

/** Streams go after their receivers, and before them when they are removed. */
const repairsOf = (found: readonly Row[][], wanted: readonly Row[][]): SQL[] => [
  ...COPIED.flatMap((copied, i) => removals(copied, found[i]!, wanted[i]!)).reverse(),
  ...COPIED.flatMap((copied, i) => additionsAndChanges(copied, found[i]!, wanted[i]!)),
];

function removals({ table, key }: Copied, found: readonly Row[], wanted: readonly Row[]): SQL[] {
  const kept = new Set(wanted.map((row) => row[key]));
  const gone = JSON.stringify(found.map((row) => row[key]).filter((id) => !kept.has(id)));
  if (gone === '[]') return [];
  const ids = sql`SELECT value FROM json_each(${gone})`;
  const removal = sql`DELETE FROM ${sql.raw(table)} WHERE ${sql.raw(key)} IN (${ids})`;
  // Triggers remove what else belongs to receivers and streams. The order is turned round by the caller.
  return table === 'webhooks' ? [sql`DELETE FROM webhook_lines WHERE webhook_id IN (${ids})`, removal] : [removal];
}

function additionsAndChanges(copied: Copied, found: readonly Row[], wanted: readonly Row[]): SQL[] {
  const { table, key, own } = copied;
  const there = new Map(found.map((row) => [row[key], row]));
  return wanted.flatMap((row) => {
    const present = there.get(row[key]);
    if (present === undefined) return additions(copied, row);
    const changed = Object.keys(row).filter((column) => !(column in own) && row[column] !== present[column]);
    if (changed.length === 0) return [];
    // Triggers look at the columns that are set: only those that differ are.
    const sets = changed.map((column) => sql`${sql.raw(column)} = ${row[column]}`);
    const change = sql`UPDATE ${sql.raw(table)} SET ${sql.join(sets, sql`, `)} WHERE ${sql.raw(key)} = ${row[key]}`;
    if (table === 'webhooks' && changed.includes('disabled_at')) return [change, switchedLines(row)];
    // What is under way is made anew by each poll: of other events it would not be the same.
    return table === 'signal_streams' && changed.includes('events_requested')
      ? [change, sql`UPDATE signal_lines SET handed_out = NULL WHERE stream_id = ${row[key]}`]
      : [change];
  });
}

function additions({ table, own }: Copied, row: Row): SQL[] {
  const columns = Object.keys(row).filter((column) => !(column in own) || own[column] !== undefined);
  const values = columns.map((column) => (column in own ? sql.raw(own[column]!) : sql`${row[column]}`));
  const addition = sql`INSERT INTO ${sql.raw(table)} (${sql.raw(columns.join(', '))}) VALUES (${sql.join(values, sql`, `)})`;
  if (table !== 'webhooks') return [addition];
  const { id, disabled_at: disabledAt } = row;
  return [
    addition,
    sql`INSERT OR IGNORE INTO webhook_lines (org_id, webhook_id, seq, disabled_at, disabled_why)
      SELECT id, ${id}, event_seq, ${disabledAt}, ${disabledAt === null ? null : 'operator'} FROM orgs`,
  ];
}

/** As switchWebhook (webhooks.ts) leaves the lines. */
const switchedLines = ({ id, disabled_at: disabledAt }: Row): SQL =>
  disabledAt === null
    ? sql`UPDATE webhook_lines SET disabled_at = NULL, disabled_why = NULL, failures = 0, failing_since = NULL, due_at = 0
        WHERE webhook_id = ${id} AND (disabled_at IS NOT NULL OR failures > 0)`
    : sql`UPDATE webhook_lines SET disabled_at = ${disabledAt}, disabled_why = 'operator', due_at = NULL
        WHERE webhook_id = ${id} AND disabled_at IS NULL`;
