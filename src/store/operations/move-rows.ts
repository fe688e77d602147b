/**
 * The rows of an org, copied from one database to another in chunks. `seq` numbers of users and groups are numbers of a
 * database, so all of them are moved by one offset: their order stays. What a chunk copies a second time replaces the
 * first copy.
 */
import { type SQL, sql } from 'drizzle-orm';
import { runBatch } from '../d1/batch';
import { expect } from '../d1/expect';
import { chunksOf } from '../d1/json-parameters';
import type { Row, Rows } from '../d1/rows';
import { ROWS_OF_ORG } from '../directory/removal';

/** The two databases, and the org. */
export interface Copying {
  readonly source: D1Database;
  readonly target: D1Database;
  readonly orgId: string;
  /** What is added to each `seq`. */
  readonly offset: number;
}

/** Rows in the order in which they are copied. */
interface Part {
  readonly table: string;
  /** Beside the org. */
  readonly key: readonly string[];
  readonly where: string;
}

/** What grows with the org, copied while it is served. Each part has an index of its order. */
export const PARTS: readonly Part[] = [
  { table: 'users', key: ['seq'], where: 'deleted_at IS NULL' },
  { table: 'users', key: ['seq'], where: 'deleted_at IS NOT NULL' },
  { table: 'user_emails', key: ['value_key', 'user_seq'], where: 'true' },
  { table: 'groups', key: ['seq'], where: 'true' },
  { table: 'group_permissions', key: ['group_seq', 'permission'], where: 'true' },
  { table: 'memberships', key: ['group_seq', 'is_group', 'member_seq'], where: 'true' },
  { table: 'events', key: ['seq'], where: 'true' },
];

/** Triggers make these rows of others. */
const DERIVED: ReadonlySet<string> = new Set(['deleted_emails', 'org_domains']);

const GROWING: ReadonlySet<string> = new Set(PARTS.map(({ table }) => table));

/** Tables with few rows of an org, copied whole while nobody writes to it. A new table is one of them. */
const SMALL = ROWS_OF_ORG.filter(({ table }) => !GROWING.has(table) && !DERIVED.has(table));

/**
 * They leave and arrive with the row of the org: triggers make and remove some of their rows with it. Few of an org, for
 * endpoints and receivers are few.
 */
export const LINES: readonly string[] = ['webhook_lines', 'signal_receiver_orgs', 'signal_lines'];

/** Columns that hold a `seq` of users or groups; `seq` itself in their own tables. */
const SHIFTED: ReadonlySet<string> = new Set(['user_seq', 'group_seq', 'member_seq']);
const SEQUENCED: ReadonlySet<string> = new Set(['users', 'groups']);

/** Rows of one page: of documents, and of what is but keys. */
const PAGE = 500;
const NARROW_PAGE = 5_000;

/** Bytes of documents in one page, beyond its first row. A Worker has 128 MB, and D1 answers with 50 MB at most. */
const PAGE_BYTES = 4_000_000;

/** How many bytes a row of these tables has, about. */
const BYTES: Readonly<Record<string, string>> = {
  users: 'octet_length(resource) + octet_length(folded)',
  groups: 'octet_length(resource) + octet_length(folded)',
  events: 'octet_length(details)',
};

const whole = (value: number): SQL => sql`CAST(${value} AS INTEGER)`;

/** Puts rows in, as they were read. */
export function insertions(table: string, rows: readonly Row[], offset: number): SQL[] {
  if (rows.length === 0) return [];
  const columns = Object.keys(rows[0]!);
  const isShifted = (column: string) => SHIFTED.has(column) || (column === 'seq' && SEQUENCED.has(table));
  const values = columns.map((column) => {
    const value = sql.raw(`value ->> '$.${column}'`);
    return isShifted(column) ? sql`(${value}) + ${whole(offset)}` : value;
  });
  const texts = rows.map((row) => JSON.stringify(row));
  const into = sql`INSERT OR REPLACE INTO ${sql.raw(table)} (${sql.raw(columns.join(', '))})`;
  const isLong = (text: string) => text.length > MAX_TEXT;
  return [
    ...chunksOf(texts.filter((text) => !isLong(text))).map(
      ({ json }) => sql`${into} SELECT ${sql.join(values, sql`, `)} FROM json_each(${json})`,
    ),
    ...rows
      .filter((_, i) => isLong(texts[i]!))
      .map((row) => {
        const bound = columns.map((column) => {
          const value = row[column];
          if (typeof value !== 'number') return sql`${value}`;
          return whole(isShifted(column) ? value + offset : value);
        });
        return sql`${into} VALUES (${sql.join(bound, sql`, `)})`;
      }),
  ];
}

/** Characters of a row as JSON, which has three bytes for one at most. A longer row is bound value by value: JSON inside JSON grows. */
const MAX_TEXT = 600_000;

/** Writes to the copy. @throws Unmet `copy`: the org has arrived there, and what is written is old. */
const writeCopy = <const S extends readonly SQL[]>({ target, orgId }: Copying, ...statements: S): Promise<Rows<S>> =>
  runBatch(target, [expect('copy', sql`NOT EXISTS (SELECT 1 FROM orgs WHERE id = ${orgId})`), ...statements]).then(
    (results) => results.slice(1) as unknown as Rows<S>,
  );

/** The key of a row, behind which the next page begins. */
export type Key = readonly (string | number)[];

/** Of these sizes, how many of the first ones fit into a page. */
function fitting(sizes: readonly number[]): number {
  let sum = 0;
  const tooMuch = sizes.findIndex((size, i) => {
    sum += size;
    return i > 0 && sum > PAGE_BYTES;
  });
  return tooMuch === -1 ? sizes.length : tooMuch;
}

/** Reads the first rows of a table. */
async function readRows(
  db: D1Database,
  table: string,
  where: SQL,
  order: string,
): Promise<{ readonly rows: Row[]; readonly isLast: boolean }> {
  const bytes = BYTES[table];
  const most = bytes ? PAGE : NARROW_PAGE;
  const from = sql`FROM ${sql.raw(table)} WHERE ${where} ORDER BY ${sql.raw(order)}`;
  let limit = most;
  let isWhole = true;
  if (bytes) {
    const [sizes] = await runBatch(db, [
      sql<{ n: number }>`SELECT ${sql.raw(bytes)} AS n ${from} LIMIT ${whole(most)}`,
    ]);
    limit = fitting(sizes.map(({ n }) => n));
    isWhole = limit === sizes.length;
  }
  const [rows] = limit === 0 ? [[]] : await runBatch(db, [sql`SELECT * ${from} LIMIT ${whole(limit)}`]);
  return { rows: rows!, isLast: rows!.length === 0 || (isWhole && rows!.length < most) };
}

/** Copies a page. @returns the key of its last row; undefined: it was the last page. */
export async function copyPage(copying: Copying, part: number, after: Key | undefined): Promise<Key | undefined> {
  const { source, orgId, offset } = copying;
  const { table, key, where } = PARTS[part]!;
  const names = key.join(', ');
  const values = after?.map((value) => (typeof value === 'number' ? whole(value) : sql`${value}`));
  const beyond = values ? sql` AND (${sql.raw(names)}) > (${sql.join(values, sql`, `)})` : sql``;
  const { rows, isLast } = await readRows(source, table, sql`org_id = ${orgId} AND ${sql.raw(where)}${beyond}`, names);
  for (const insertion of insertions(table, rows, offset)) await writeCopy(copying, insertion);
  const last = rows.at(-1);
  return isLast ? undefined : key.map((column) => last![column] as string | number);
}

/** What has happened to the org since an event. */
export interface Since {
  /** The number of the latest event that was looked at. */
  readonly through: number;
  readonly hasMore: boolean;
  readonly users: readonly string[];
  readonly groups: readonly string[];
  /** Users whose earlier events have changed too. */
  readonly erased: readonly string[];
  /** More than single users and groups has changed: the copy has to begin again. */
  readonly isTooMuch: boolean;
}

/** Changes of many rows that have one event. */
const SWEEPING = /^(?:schema\.(?:removed|cleared)|org\.imported)$/;

/** Looks through the next events. */
export async function changedSince({ source, orgId }: Copying, seq: number): Promise<Since> {
  const [rows] = await runBatch(source, [
    sql<{ seq: number; type: string; target_id: string | null }>`SELECT seq, type, target_id FROM events
      WHERE org_id = ${orgId} AND seq > ${whole(seq)} ORDER BY seq LIMIT ${whole(PAGE)}`,
  ]);
  const targetsOf = (isMeant: (type: string) => boolean) => [
    ...new Set(rows.flatMap(({ type, target_id: id }) => (isMeant(type) && id !== null ? [id] : []))),
  ];
  return {
    through: rows.at(-1)?.seq ?? seq,
    hasMore: rows.length === PAGE,
    users: targetsOf((type) => type.startsWith('user.')),
    groups: targetsOf((type) => type.startsWith('group.')),
    erased: targetsOf((type) => type === 'user.erased'),
    isTooMuch: rows.some(({ type }) => SWEEPING.test(type)),
  };
}

/** Users whose rows are copied in one batch. */
const USERS = 100;

/**
 * Copies some of these users again, with what belongs to them. Of one that is not there any more nothing stays.
 *
 * @returns how many of the first ones were copied.
 */
export async function copyUsers(copying: Copying, ids: readonly string[]): Promise<number> {
  const { source, orgId, offset } = copying;
  const named = JSON.stringify(ids.slice(0, USERS));
  const [sizes] = await runBatch(source, [
    sql<{
      n: number;
    }>`SELECT ifnull((SELECT ${sql.raw(BYTES['users']!)} FROM users WHERE org_id = ${orgId} AND id = value), 0) AS n
      FROM json_each(${named}) ORDER BY key`,
  ]);
  const some = ids.slice(0, fitting(sizes.map(({ n }) => n)));
  const meant = sql`org_id = ${orgId} AND id IN (SELECT value FROM json_each(${JSON.stringify(some)}))`;
  const seqs = sql`SELECT seq FROM users WHERE ${meant}`;
  const ofUsers = sql`org_id = ${orgId} AND user_seq IN (${seqs})`;
  const ofMembers = sql`org_id = ${orgId} AND is_group = 0 AND member_seq IN (${seqs})`;
  const [users, emails, memberships] = await runBatch(source, [
    sql`SELECT * FROM users WHERE ${meant}`,
    sql`SELECT * FROM user_emails WHERE ${ofUsers}`,
    sql`SELECT * FROM memberships WHERE ${ofMembers}`,
  ]);
  await writeCopy(
    copying,
    sql`DELETE FROM memberships WHERE ${ofMembers}`,
    sql`DELETE FROM user_emails WHERE ${ofUsers}`,
    sql`DELETE FROM deleted_emails WHERE ${ofUsers}`,
    sql`DELETE FROM users WHERE ${meant}`,
    ...insertions('users', users!, offset),
    ...insertions('user_emails', emails!, offset),
    ...insertions('memberships', memberships!, offset),
  );
  return some.length;
}

/**
 * Copies a group again, with its permissions and a page of its members.
 *
 * @param after the last member of the page before; absent: it is the first page.
 * @returns the last member of this page; undefined: it was the last page.
 */
export async function copyGroup(copying: Copying, id: string, after?: Key): Promise<Key | undefined> {
  const { source, orgId, offset } = copying;
  const seqs = sql`SELECT seq FROM groups WHERE org_id = ${orgId} AND id = ${id}`;
  const its = sql`org_id = ${orgId} AND group_seq IN (${seqs})`;
  // As a member of other groups, too.
  const asMember = sql`org_id = ${orgId} AND is_group = 1 AND member_seq IN (${seqs})`;
  const [isGroup, memberSeq] = (after ?? [0, -1]) as readonly [number, number];
  const [groups, members, permissions, parents] = await runBatch(source, [
    sql`SELECT * FROM groups WHERE org_id = ${orgId} AND id = ${id}`,
    sql`SELECT * FROM memberships WHERE ${its} AND (is_group, member_seq) > (${whole(isGroup)}, ${whole(memberSeq)})
      ORDER BY group_seq, is_group, member_seq LIMIT ${whole(NARROW_PAGE)}`,
    ...(after
      ? []
      : [sql`SELECT * FROM group_permissions WHERE ${its}`, sql`SELECT * FROM memberships WHERE ${asMember}`]),
  ]);
  if (groups!.length === 0) return removeGroup(copying, { its, asMember, id });
  const last = members!.length < NARROW_PAGE ? undefined : members!.at(-1);
  const lastKey: Key | undefined = last && [last['is_group'] as number, last['member_seq'] as number];
  // Numbers of users and groups are moved, those that say which of both a member is are not.
  const shifted = ([kind, seq]: readonly number[]) => sql`(${whole(kind!)}, ${whole(seq! + offset)})`;
  const isOfPage = sql`(is_group, member_seq) > ${after ? shifted(after as number[]) : sql`(0, -1)`}${
    lastKey ? sql` AND (is_group, member_seq) <= ${shifted(lastKey as number[])}` : sql``
  }`;
  await writeCopy(
    copying,
    ...(after
      ? []
      : [
          sql`DELETE FROM group_permissions WHERE ${its}`,
          sql`DELETE FROM memberships WHERE ${asMember}`,
          ...insertions('groups', groups!, offset),
          ...insertions('group_permissions', permissions!, offset),
          ...insertions('memberships', parents!, offset),
        ]),
    sql`DELETE FROM memberships WHERE ${its} AND ${isOfPage}`,
    ...insertions('memberships', members!, offset),
  );
  return lastKey;
}

/** The group is deleted: it goes from the copy, its members a chunk at a time. */
async function removeGroup(
  copying: Copying,
  { its, asMember, id }: { readonly its: SQL; readonly asMember: SQL; readonly id: string },
): Promise<Key | undefined> {
  const key = sql.raw('org_id, group_seq, is_group, member_seq');
  const [, left] = await writeCopy(
    copying,
    sql`DELETE FROM memberships WHERE (${key}) IN (SELECT ${key} FROM memberships WHERE ${its} LIMIT ${whole(NARROW_PAGE)})`,
    sql`SELECT 1 FROM memberships WHERE ${its} LIMIT 1`,
  );
  if (left!.length > 0) return [0, -1];
  await writeCopy(
    copying,
    sql`DELETE FROM group_permissions WHERE ${its}`,
    sql`DELETE FROM memberships WHERE ${asMember}`,
    sql`DELETE FROM groups WHERE org_id = ${copying.orgId} AND id = ${id}`,
  );
  return undefined;
}

/**
 * Copies those groups of a page again that have another version in the copy, without their members: those came and went
 * with their users.
 *
 * @param after the number that the page begins behind. @returns the number to go on behind; undefined: it was the last page.
 */
export async function copyOtherVersions(copying: Copying, after: number): Promise<number | undefined> {
  const { source, target, orgId, offset } = copying;
  const [here] = await runBatch(source, [
    sql<{ seq: number; version: number; bytes: number }>`SELECT seq, version, ${sql.raw(BYTES['groups']!)} AS bytes
      FROM groups WHERE org_id = ${orgId} AND seq > ${whole(after)} ORDER BY seq LIMIT ${whole(NARROW_PAGE)}`,
  ]);
  if (here.length === 0) return undefined;
  const [there] = await runBatch(target, [
    sql<{ seq: number; version: number }>`SELECT seq, version FROM groups WHERE org_id = ${orgId}
      AND seq BETWEEN ${whole(here[0]!.seq + offset)} AND ${whole(here.at(-1)!.seq + offset)}`,
  ]);
  const versions = new Map(there.map(({ seq, version }) => [seq - offset, version]));
  const others = here.filter(({ seq, version }) => versions.has(seq) && versions.get(seq) !== version);
  const fit = fitting(others.map(({ bytes }) => bytes));
  const some = others.slice(0, fit).map(({ seq }) => seq);
  if (some.length > 0) {
    const [rows] = await runBatch(source, [
      sql`SELECT * FROM groups WHERE org_id = ${orgId} AND seq IN (SELECT value FROM json_each(${JSON.stringify(some)}))`,
    ]);
    for (const insertion of insertions('groups', rows!, offset)) await writeCopy(copying, insertion);
  }
  if (fit < others.length) return some.at(-1);
  return here.length < NARROW_PAGE ? undefined : here.at(-1)!.seq;
}

/** Copies a page of the events that the copy does not have yet. @returns whether there may be more. */
export async function copyNextEvents(copying: Copying): Promise<boolean> {
  const part = PARTS.findIndex(({ table }) => table === 'events');
  const [[latest]] = await runBatch(copying.target, [
    sql<{ seq: number | null }>`SELECT max(seq) AS seq FROM events WHERE org_id = ${copying.orgId}`,
  ]);
  return (await copyPage(copying, part, [latest?.seq ?? 0])) !== undefined;
}

/** All that are left. */
export async function copyEvents(copying: Copying): Promise<void> {
  while (await copyNextEvents(copying));
}

/**
 * Copies a page of the events of an erased user again: their details are others now.
 *
 * @param through the latest event that the copy has. @param after the number that the page begins behind.
 * @returns the number to go on behind; undefined: it was the last page.
 */
export async function copyEventsOf(
  copying: Copying,
  id: string,
  through: number,
  after: number,
): Promise<number | undefined> {
  const { rows, isLast } = await readRows(
    copying.source,
    'events',
    sql`org_id = ${copying.orgId} AND target_id = ${id} AND seq > ${whole(after)} AND seq <= ${whole(through)}`,
    'seq',
  );
  for (const insertion of insertions('events', rows, 0)) await writeCopy(copying, insertion);
  return isLast ? undefined : (rows.at(-1)!['seq'] as number);
}

/** Copies the small tables whole, in the place of what was there of the org. */
export async function copySmallTables(copying: Copying): Promise<void> {
  const { source, orgId } = copying;
  const parts = SMALL.filter(({ table }) => !LINES.includes(table));
  const found = await runBatch(
    source,
    parts.map(({ table, where }) => sql`SELECT * FROM ${sql.raw(table)} WHERE org_id = ${orgId} AND ${sql.raw(where)}`),
  );
  await writeCopy(
    copying,
    ...parts.map(
      ({ table, where }) => sql`DELETE FROM ${sql.raw(table)} WHERE org_id = ${orgId} AND ${sql.raw(where)}`,
    ),
    ...parts.flatMap(({ table }, i) => insertions(table, found[i] as Row[], 0)),
  );
}

export const countSmallTables = (orgId: string): SQL[] =>
  SMALL.map(
    ({ table, where }) =>
      sql`SELECT count(*) AS n FROM ${sql.raw(table)} WHERE org_id = ${orgId} AND ${sql.raw(where)}`,
  );

/** What must be the same in both databases. */
export async function summaryOf(db: D1Database, orgId: string): Promise<string> {
  const of = (table: string, what: string, where = 'true') =>
    sql`SELECT ${sql.raw(what)} FROM ${sql.raw(table)} WHERE org_id = ${orgId} AND ${sql.raw(where)}`;
  const rows = await runBatch(db, [
    of('users', 'count(*) AS n, sum(version) AS versions, sum(active) AS active, sum(not_before) AS ended'),
    of('groups', 'count(*) AS n, sum(version) AS versions, sum(member_count) AS members'),
    of('events', 'count(*) AS n, max(seq) AS last'),
    of('user_emails', 'count(*) AS n'),
    of('deleted_emails', 'count(*) AS n'),
    of('memberships', 'count(*) AS n'),
    of('group_permissions', 'count(*) AS n'),
    ...SMALL.filter(({ table }) => !LINES.includes(table)).map(({ table, where }) => of(table, 'count(*) AS n', where)),
  ]);
  return JSON.stringify(rows);
}

/** Rows of one table that a batch removes. */
const REMOVED = 1_000;

/** How far the removal of an org's rows is: the place of a table. */
export type RemovalPlace = number;

/**
 * Removes a chunk of what a database has of an org that is not in it.
 *
 * @returns where to go on; undefined: nothing is left.
 */
export async function removeChunk(
  db: D1Database,
  orgId: string,
  place: RemovalPlace,
): Promise<RemovalPlace | undefined> {
  const { table, key, where } = ROWS_OF_ORG[place]!;
  const names = sql.raw(key.join(', '));
  const some = sql`SELECT ${names} FROM ${sql.raw(table)} WHERE org_id = ${orgId} AND ${sql.raw(where)} LIMIT ${whole(REMOVED)}`;
  const [, n] = await runBatch(db, [
    sql`DELETE FROM ${sql.raw(table)} WHERE (${names}) IN (${some}) AND NOT EXISTS (SELECT 1 FROM orgs WHERE id = ${orgId})`,
    sql<{ n: number }>`SELECT changes() AS n`,
  ]);
  if (n[0]!.n === REMOVED) return place;
  return place + 1 < ROWS_OF_ORG.length ? place + 1 : undefined;
}

/** Statements that remove the small tables' rows, and what waits to be published, of an org that is not in the database. */
export const removeSmallTables = (orgId: string): SQL[] =>
  [...SMALL, { table: 'outbox', where: 'true' }].map(
    ({ table, where }) => sql`DELETE FROM ${sql.raw(table)} WHERE org_id = ${orgId} AND ${sql.raw(where)}
      AND NOT EXISTS (SELECT 1 FROM orgs WHERE id = ${orgId})`,
  );

/**
 * Numbers of the target that no other org gets.
 *
 * @returns the offset with which those of the org fall into them.
 */
export async function reserve(source: D1Database, target: D1Database, orgId: string): Promise<number> {
  const latest = (table: string) => sql`ifnull((SELECT seq FROM sqlite_sequence WHERE name = ${table}), 0)`;
  // Each index begins with the org; a plain min() would look for the first row of the table that is the org's.
  const least = (table: string, where: string) =>
    sql`SELECT seq FROM ${sql.raw(table)} WHERE org_id = ${orgId} AND ${sql.raw(where)} ORDER BY seq LIMIT 1`;
  const [last, live, deleted, group] = await runBatch(source, [
    sql<{ n: number }>`SELECT max(${latest('users')}, ${latest('groups')}) AS n`,
    sql<{ seq: number }>`${least('users', 'deleted_at IS NULL')}`,
    sql<{ seq: number }>`${least('users', 'deleted_at IS NOT NULL')}`,
    sql<{ seq: number }>`${least('groups', 'true')}`,
  ]);
  const firsts = [live, deleted, group].flatMap((rows) => rows.map(({ seq }) => seq));
  const from = Math.min(last[0]!.n + 1, ...firsts);
  const [taken] = await runBatch(target, [
    sql<{ n: number }>`SELECT max(${latest('users')}, ${latest('groups')}) AS n`,
  ]);
  const offset = Math.max(0, taken[0]!.n + 1 - from);
  const end = whole(last[0]!.n + offset + ROOM);
  await runBatch(target, [
    sql`INSERT INTO users (seq, org_id, id, user_name_key, active, version, created_at, modified_at, resource, folded)
      VALUES (${end}, '', '', '', 0, 0, 0, 0, '{}', '{}')`,
    sql`DELETE FROM users WHERE org_id = '' AND id = ''`,
    sql`INSERT INTO groups (seq, org_id, id, display_name_key, version, created_at, modified_at, resource, folded)
      VALUES (${end}, '', '', '', 0, 0, 0, '{}', '{}')`,
    sql`DELETE FROM groups WHERE org_id = '' AND id = ''`,
  ]);
  return offset;
}

/** New users and groups of the source, of all its orgs, while an org is copied. Numbers go to 2^53. */
const ROOM = 100_000_000;
