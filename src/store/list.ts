/** A list as statements of one batch: by index with OFFSET, by cursor from the row at which the last page ended. */
import { type SQL, sql } from 'drizzle-orm';
import type { Query } from '../scim/query';
import type { Stored } from '../scim/resource';
import type { Row } from './batch';

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
  read(results: Row[][]): Page;
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
