/** A list as statements of one batch: by index with OFFSET, by cursor from the row at which the last page ended. */
import { type SQL, sql } from 'drizzle-orm';
import type { Query } from '../scim/query';
import type { Stored } from '../scim/resource';
import type { Row } from './batch';
import type { OrgStore } from './open';

export interface List {
  /** How many there are in all: a row with `total`. */
  readonly total: SQL;
  readonly page: readonly SQL[];
  /**
   * By cursor: the row at which the last page ended, with the value that it is sorted by now. Absent where the list goes
   * on without it.
   */
  readonly anchor?: SQL;
  /** An expression for how many rows of this list come before those of the next kind of resource. */
  readonly before: SQL;
  /** @param results of the page's statements. */
  read(results: Row[][]): Promise<Page>;
}

export interface Page {
  /** By cursor one more than the page has room for, if there is one. */
  readonly resources: readonly Stored[];
  /** What they are sorted by. */
  readonly values: readonly unknown[];
  /** The page ends early. */
  readonly isCut: boolean;
}

/**
 * LIMIT and OFFSET.
 *
 * @param before of the list that comes first.
 * @param extra rows beyond the page that a cursor needs: there is a next page if there is a row for it.
 */
export function span({ startIndex, count, walk }: Query, before: SQL | undefined, extra: number): SQL {
  if (walk === undefined) {
    // Of a caller who is no good there is no count to subtract.
    const offset = before
      ? sql`CAST(max(0, ${startIndex - 1} - ifnull(${before}, 0)) AS INTEGER)`
      : sql`${startIndex - 1}`;
    return sql`LIMIT ${count} OFFSET ${offset}`;
  }
  if (walk.isPast || count === 0) return sql`LIMIT 0`;
  // Not below 0, which means no limit.
  return before
    ? sql`LIMIT CAST(max(0, ${count + extra} - ifnull(${before}, 0)) AS INTEGER)`
    : sql`LIMIT ${count + extra}`;
}

/** Bytes of the resources of a page: it ends early where they are large, and always has the first. */
const MAX_BYTES = 5_000_000;
/** Bytes of a resource that comes with its page, however many there are. */
const SMALL = 20_000;

/** Columns in the place of `resource`: those that are large are missing, and their sizes are known. */
export const listed = (table: 'users' | 'groups'): string =>
  `iif(octet_length(${table}.resource) > ${SMALL}, NULL, ${table}.resource) AS resource, octet_length(${table}.resource) AS size`;

/**
 * The rows of a page as far as an answer has room for them, with the resources that were too large to come along. Those
 * take a round trip more; who was deleted meanwhile is left out.
 */
export async function withLarge(
  store: OrgStore,
  table: 'users' | 'groups',
  rows: readonly Row[],
): Promise<{ readonly whole: readonly Row[]; readonly isCut: boolean }> {
  let bytes = 0;
  const full = rows.findIndex((row, i) => {
    bytes += row['size'] as number;
    return i > 0 && bytes > MAX_BYTES;
  });
  const shown = full === -1 ? rows : rows.slice(0, full);
  const large = shown.filter((row) => row['resource'] === null).map((row) => row['seq']);
  if (large.length === 0) return { whole: shown, isCut: full !== -1 };
  const [found] = await store.read(
    sql`SELECT seq, version, modified_at, resource FROM ${sql.raw(table)}
      WHERE org_id = ${store.org} AND seq IN (SELECT value FROM json_each(${JSON.stringify(large)}))
      ${table === 'users' ? sql`AND deleted_at IS NULL` : sql``}`,
  );
  const bySeq = new Map(found!.map((row) => [row['seq'], row]));
  const whole = shown.flatMap((row) => {
    if (row['resource'] !== null) return [row];
    const now = bySeq.get(row['seq']);
    return now ? [{ ...row, ...now }] : [];
  });
  return { whole, isCut: full !== -1 || whole.length < shown.length };
}
