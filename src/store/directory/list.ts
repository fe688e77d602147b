/** A list as statements of one batch: by index with OFFSET, by cursor from the row at which the last page ended. */
import { type SQL, sql } from 'drizzle-orm';
import { invalidFilter } from '../../scim/error';
import type { Condition } from '../../scim/filter/condition';
import type { Query } from '../../scim/query';
import type { Stored } from '../../scim/resource';
import { lengthOf } from '../d1/batch';
import type { Row } from '../d1/rows';
import type { OrgStore } from '../org/open';
import type { Tenant } from '../org/tenant';
import type { Columns } from './columns';
import { filterSql, isIndexOrder, MAX_LENGTH, order } from './filter';
import { costOfSearch, isKeyOf, isLookedUp, mostRowsFor } from './filter-cost';

export interface List {
  /** How many there are in all: a row with `total`. Absent: `count` or the page says so. */
  readonly total?: SQL;
  /** Of a list without a filter: where the org has that number, which each batch finds. */
  readonly count?: 'userCount' | 'groupCount';
  readonly page: readonly SQL[];
  /** Of all its statements, in units (filter-cost.ts). */
  readonly cost: number;
  /** How many users or groups the org may have: with more, the list has no rows and must be refused. */
  readonly mostRows: number;
  /**
   * By cursor: the row at which the last page ended, with the value that it is sorted by now. Absent where the list goes
   * on without it.
   */
  readonly anchor?: SQL;
  /** Of a search for one key: the row that the store may be asked for instead (`OrgStore.find`), as an answer shows it. */
  readonly one?: {
    readonly columns: SQL;
    readonly table: 'users' | 'groups';
    readonly condition: SQL;
    read(row: Row): Stored;
  };
  /** For the list of the next kind of resource. */
  readonly before: Before;
  /** @param results of the page's statements. */
  read(results: Row[][]): Promise<Page>;
}

/** How many rows of one list come before those of the next, as an expression, and what that costs. */
export interface Before {
  readonly rows: SQL;
  readonly cost: number;
}

export interface Page {
  /** By cursor one more than the page has room for, if there is one. */
  readonly resources: readonly Stored[];
  /** By cursor: what they are sorted by. */
  readonly values: readonly unknown[];
  /** The page ends early. */
  readonly isCut: boolean;
  /** How many there are in all, where `List.total` does not ask. */
  readonly total: number | undefined;
}

/** Whether the org has too many users or groups for the list. */
export const isBeyond = ({ mostRows }: Pick<List, 'mostRows'>, { userCount, groupCount }: Tenant): boolean =>
  Math.max(userCount, groupCount) > mostRows;

/** What a list is of. */
interface Source {
  readonly table: 'users' | 'groups';
  /** The index that a search goes through: of a row that is left out nothing else is read. */
  readonly searchIndex?: { readonly name: string; readonly condition: SQL };
  readonly columns: Columns;
  /** What is read of the rows of the page. */
  readonly select: SQL;
  /** Which rows may be in it. */
  readonly condition: SQL;
  /** The column that orders rows without a sort, and those that sort alike: by `id` where nothing stays of the deleted. */
  readonly lasting: 'seq' | 'id';
  /** The attribute that has a unique index and always a value. */
  readonly key: string;
}

interface Statements extends Omit<List, 'page' | 'read' | 'one'> {
  /** Finds the one row that the list can have. */
  readonly key: SQL | undefined;
  /** The rows of the page; by cursor `sort_value` is what they are sorted by. */
  readonly rows: SQL | undefined;
  /** For another query of the page's rows: from `FROM <table>` on. @param extra as for `limitClause`. */
  page(extra: number): SQL;
}

export function listOf(store: OrgStore, query: Query, source: Source, previous: Before | undefined): Statements {
  const { columns, select, key } = source;
  const { filter, sort, cursorPaging } = query;
  const table = sql.raw(source.table);
  const column = (name: string) => sql.raw(`${source.table}.${name}`);
  const isWalked = isIndexOrder(query, key);
  const { value, by, after } = order(sort, columns, key, isWalked);
  const isNone = filter !== undefined && isNever(filter);
  const cost = isNone ? 0 : costOfSearch({ ...(filter && { filter }), ...(!isWalked && sort && { sort }) }, columns);
  const mostRows = mostRowsFor(cost);
  const isAffordable = Number.isFinite(mostRows)
    ? sql` AND (SELECT max(user_count, group_count) <= ${mostRows} FROM orgs WHERE id = ${store.org})`
    : sql``;
  const index = filter && isLookedUp(filter, columns) ? undefined : source.searchIndex;
  const all = index
    ? sql`${table} INDEXED BY ${sql.raw(index.name)} WHERE ${index.condition} AND`
    : sql`${table} WHERE`;
  const where = sql`${source.condition}${isAffordable}${filter ? sql` AND ${filterSql(filter, columns)}` : sql``}`;

  const last = cursorPaging?.after;
  const anchor = (expression: SQL) =>
    sql`SELECT ${expression} FROM ${table} WHERE ${column('org_id')} = ${store.org} AND ${column('id')} = ${last}`;
  const end = source.lasting === 'id' ? sql`${last}` : sql`(${anchor(column('seq'))})`;
  const isNext = (at: SQL, lasting: SQL) => after(at, sql`(${anchor(value)})`, sql`${lasting} > ${end}`);

  const lasting = column(source.lasting);
  const limit = (extra: number) => limitClause(query, previous?.rows, extra);
  const rest = last === undefined ? where : sql`${where} AND ${isNext(value, lasting)}`;
  const page = (extra: number) => sql`FROM ${table} WHERE ${rest} ORDER BY ${by(value, lasting)} ${limit(extra)}`;

  const count = sql`SELECT count(*) AS total FROM ${all} ${where}`;
  // Without a filter nothing is counted: the org knows.
  const known = () => sql`SELECT ${sql.raw(source.table === 'users' ? 'user_count' : 'group_count')} AS total FROM orgs
    WHERE id = ${store.org}`;
  const ordered = sql`${by(sql`page.value`, sql`page.lasting`)}`;
  // What a cursor is made of.
  const sortValue = (expression: SQL) => (cursorPaging ? sql`, ${expression} AS sort_value` : sql``);
  const rows = () => {
    if (isWalked) return sql`SELECT ${select}${sortValue(value)} ${page(1)}`;
    // What has to be found or sorted is first only numbers: all else is read for the page alone. The page and the total
    // are taken from the same numbers, so that a filter is tried once on each row.
    return sql`WITH found AS MATERIALIZED (
        SELECT ${column('seq')} AS seq, ${lasting} AS lasting, ${value} AS value FROM ${all} ${where}),
      page AS MATERIALIZED (SELECT * FROM found${last === undefined ? sql`` : sql` WHERE ${isNext(sql`value`, sql`lasting`)}`}
        ORDER BY ${by(sql`value`, sql`lasting`)} ${limit(1)})
      SELECT ${select}${sortValue(sql`page.value`)}, ${filter ? sql`(SELECT count(*) FROM found)` : sql`NULL`} AS total
      FROM (SELECT 1) LEFT JOIN page ON true LEFT JOIN ${table} ON ${column('seq')} = page.seq ORDER BY ${ordered}`;
  };
  const total = () => (filter === undefined ? known() : isNone ? sql`SELECT 0 AS total` : count);
  const isEmpty = query.count === 0 || cursorPaging?.isPast === true || isNone;
  const statement = isEmpty ? undefined : rows();
  if (filter && lengthOf(statement ?? count) > MAX_LENGTH) {
    throw invalidFilter('The filter has too many terms that are slow to search for');
  }
  const isOfKey =
    filter !== undefined &&
    !cursorPaging &&
    query.startIndex === 1 &&
    !isEmpty &&
    !Number.isFinite(mostRows) &&
    isKeyOf(filter, columns);
  return {
    ...(filter === undefined && { count: source.table === 'users' ? 'userCount' : 'groupCount' }),
    ...(filter !== undefined && isEmpty && { total: total() }),
    rows: statement,
    key: isOfKey ? where : undefined,
    page,
    cost: isNone || cursorPaging?.isPast ? 0 : cost + (previous?.cost ?? 0),
    mostRows,
    ...(last !== undefined && { anchor: anchor(sql`${value} AS sort_value`) }),
    before: {
      rows: !cursorPaging
        ? sql`(SELECT total FROM (${total()}))`
        : isEmpty
          ? sql`0`
          : sql`(SELECT count(*) FROM (SELECT 1 FROM ${table} WHERE ${rest} ${limit(1)}))`,
      cost: filter === undefined || isNone || (cursorPaging && isEmpty) ? 0 : cost,
    },
  };
}

/** Whether it asks for what no row of this table has (a search across types). */
function isNever(condition: Condition): boolean {
  switch (condition.kind) {
    case 'nothing':
      return true;
    case 'and':
      return condition.terms.some(isNever);
    case 'or':
      return condition.terms.every(isNever);
    default:
      return false;
  }
}

/** What the rows of a list say beside the resources. */
export const readList = (rows: readonly Row[]): { readonly found: Row[]; readonly total: number | undefined } => ({
  // One row stands for an empty page, to carry the total.
  found: rows.filter((row) => row['id'] !== null),
  total: (rows[0]?.['total'] as number | null | undefined) ?? undefined,
});

/**
 * LIMIT and OFFSET.
 *
 * @param before of the list that comes first.
 * @param extra rows beyond the page that a cursor needs: there is a next page if there is a row for it.
 */
function limitClause({ startIndex, count, cursorPaging }: Query, before: SQL | undefined, extra: number): SQL {
  if (cursorPaging === undefined) {
    // An invalid caller has no count to subtract.
    const offset = before
      ? sql`CAST(max(0, ${startIndex - 1} - ifnull(${before}, 0)) AS INTEGER)`
      : sql`${startIndex - 1}`;
    return sql`LIMIT ${count} OFFSET ${offset}`;
  }
  if (cursorPaging.isPast || count === 0) return sql`LIMIT 0`;
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
