/**
 * The rows of an org, copied from one database to another in chunks. `seq` numbers of users and groups are numbers of a
 * database, so all of them are moved by one offset: their order stays. What a chunk copies a second time replaces the
 * first copy.
 */
import { type SQL, sql } from 'drizzle-orm';
import { runBatch } from '../d1/batch';
import { jsonChunks } from '../d1/json-parameters';
import type { Row } from '../d1/rows';
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

/** Copied after the org itself: a trigger makes some of its rows with the org. */
const LINES = 'webhook_lines';

/** Columns that hold a `seq` of users or groups; `seq` itself in their own tables. */
const SHIFTED: ReadonlySet<string> = new Set(['user_seq', 'group_seq', 'member_seq']);
const SEQUENCED: ReadonlySet<string> = new Set(['users', 'groups']);

/** Rows of one page. */
const PAGE = 500;

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
  return jsonChunks(rows).map(
    ({ json }) =>
      sql`INSERT OR REPLACE INTO ${sql.raw(table)} (${sql.raw(columns.join(', '))})
        SELECT ${sql.join(values, sql`, `)} FROM json_each(${json})`,
  );
}

/** The key of a row, behind which the next page begins. */
export type Key = readonly (string | number)[];

/** Copies a page. @returns the key of its last row; undefined: it was the last page. */
export async function copyPage(
  { source, target, orgId, offset }: Copying,
  part: number,
  after: Key | undefined,
): Promise<Key | undefined> {
  const { table, key, where } = PARTS[part]!;
  const names = key.join(', ');
  const values = after?.map((value) => (typeof value === 'number' ? whole(value) : sql`${value}`));
  const beyond = values ? sql` AND (${sql.raw(names)}) > (${sql.join(values, sql`, `)})` : sql``;
  const [rows] = await runBatch(source, [
    sql`SELECT * FROM ${sql.raw(table)} WHERE org_id = ${orgId} AND ${sql.raw(where)}${beyond}
      ORDER BY ${sql.raw(names)} LIMIT ${whole(PAGE)}`,
  ]);
  for (const insertion of insertions(table, rows!, offset)) await runBatch(target, [insertion]);
  const last = rows!.at(-1);
  return rows!.length < PAGE ? undefined : key.map((column) => last![column] as string | number);
}

/** What has happened to the org since an event. */
export interface Since {
  /** The number of the latest event that was looked at. */
  readonly through: number;
  readonly hasMore: boolean;
  readonly users: readonly string[];
  readonly groups: readonly string[];
  /** More than single users and groups has changed: the copy has to begin again. */
  readonly isTooMuch: boolean;
}

/** Changes of many rows that have one event, and changes of the journal itself. */
const SWEEPING = /^(?:schema\.|org\.imported$|user\.erased$|user\.imported$)/;

/** Looks through the next events. */
export async function changedSince({ source, orgId }: Copying, seq: number): Promise<Since> {
  const [rows] = await runBatch(source, [
    sql<{ seq: number; type: string; target_id: string | null }>`SELECT seq, type, target_id FROM events
      WHERE org_id = ${orgId} AND seq > ${whole(seq)} ORDER BY seq LIMIT ${whole(PAGE)}`,
  ]);
  const of = (kind: string) => [
    ...new Set(rows.flatMap(({ type, target_id: id }) => (type.startsWith(kind) && id !== null ? [id] : []))),
  ];
  return {
    through: rows.at(-1)?.seq ?? seq,
    hasMore: rows.length === PAGE,
    users: of('user.'),
    groups: of('group.'),
    isTooMuch: rows.some(({ type }) => SWEEPING.test(type)),
  };
}

/** Users whose rows are copied in one batch. */
const USERS = 100;

/** Copies these users again, with what belongs to them. Of one that is not there any more nothing stays. */
export async function copyUsers(copying: Copying, ids: readonly string[]): Promise<void> {
  const { source, target, orgId, offset } = copying;
  for (let i = 0; i < ids.length; i += USERS) {
    const named = JSON.stringify(ids.slice(i, i + USERS));
    const seqs = sql`SELECT seq FROM users WHERE org_id = ${orgId} AND id IN (SELECT value FROM json_each(${named}))`;
    const ofUsers = sql`org_id = ${orgId} AND user_seq IN (${seqs})`;
    const ofMembers = sql`org_id = ${orgId} AND is_group = 0 AND member_seq IN (${seqs})`;
    const [users, emails, memberships] = await runBatch(source, [
      sql`SELECT * FROM users WHERE org_id = ${orgId} AND id IN (SELECT value FROM json_each(${named}))`,
      sql`SELECT * FROM user_emails WHERE ${ofUsers}`,
      sql`SELECT * FROM memberships WHERE ${ofMembers}`,
    ]);
    await runBatch(target, [
      sql`DELETE FROM memberships WHERE ${ofMembers}`,
      sql`DELETE FROM user_emails WHERE ${ofUsers}`,
      sql`DELETE FROM deleted_emails WHERE ${ofUsers}`,
      sql`DELETE FROM users WHERE org_id = ${orgId} AND id IN (SELECT value FROM json_each(${named}))`,
      ...insertions('users', users!, offset),
      ...insertions('user_emails', emails!, offset),
      ...insertions('memberships', memberships!, offset),
    ]);
  }
}

/** Copies a group again, with its members and permissions. */
export async function copyGroup(copying: Copying, id: string): Promise<void> {
  const { source, target, orgId, offset } = copying;
  const seqs = sql`SELECT seq FROM groups WHERE org_id = ${orgId} AND id = ${id}`;
  const its = sql`org_id = ${orgId} AND group_seq IN (${seqs})`;
  // As a member of other groups, too.
  const asMember = sql`org_id = ${orgId} AND is_group = 1 AND member_seq IN (${seqs})`;
  const [groups, permissions, parents] = await runBatch(source, [
    sql`SELECT * FROM groups WHERE org_id = ${orgId} AND id = ${id}`,
    sql`SELECT * FROM group_permissions WHERE ${its}`,
    sql`SELECT * FROM memberships WHERE ${asMember}`,
  ]);
  await runBatch(target, [
    sql`DELETE FROM group_permissions WHERE ${its}`,
    sql`DELETE FROM memberships WHERE ${its}`,
    sql`DELETE FROM memberships WHERE ${asMember}`,
    sql`DELETE FROM groups WHERE org_id = ${orgId} AND id = ${id}`,
    ...insertions('groups', groups!, offset),
    ...insertions('group_permissions', permissions!, offset),
    ...insertions('memberships', parents!, offset),
  ]);
  const seq = groups![0]?.['seq'] as number | undefined;
  if (seq === undefined) return;
  let after = sql`(0, -1)`;
  for (let found = PAGE; found === PAGE; ) {
    const [rows] = await runBatch(source, [
      sql`SELECT * FROM memberships WHERE org_id = ${orgId} AND group_seq = ${whole(seq)} AND (is_group, member_seq) > ${after}
        ORDER BY is_group, member_seq LIMIT ${whole(PAGE)}`,
    ]);
    for (const insertion of insertions('memberships', rows!, offset)) await runBatch(target, [insertion]);
    found = rows!.length;
    const last = rows!.at(-1);
    if (last) after = sql`(${whole(last['is_group'] as number)}, ${whole(last['member_seq'] as number)})`;
  }
}

/** Copies the events that the target does not have yet. */
export async function copyEvents(copying: Copying): Promise<void> {
  const part = PARTS.findIndex(({ table }) => table === 'events');
  const [[latest]] = await runBatch(copying.target, [
    sql<{ seq: number | null }>`SELECT max(seq) AS seq FROM events WHERE org_id = ${copying.orgId}`,
  ]);
  let key: Key | undefined = [latest?.seq ?? 0];
  while (key !== undefined) key = await copyPage(copying, part, key);
}
/** Copies the small tables whole, in the place of what was there of the org. */
export async function copySmallTables({ source, target, orgId }: Copying): Promise<void> {
  const parts = SMALL.filter(({ table }) => table !== LINES);
  const found = await runBatch(
    source,
    parts.map(({ table, where }) => sql`SELECT * FROM ${sql.raw(table)} WHERE org_id = ${orgId} AND ${sql.raw(where)}`),
  );
  await runBatch(target, [
    ...parts.map(
      ({ table, where }) => sql`DELETE FROM ${sql.raw(table)} WHERE org_id = ${orgId} AND ${sql.raw(where)}`,
    ),
    ...parts.flatMap(({ table }, i) => insertions(table, found[i] as Row[], 0)),
  ]);
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
    ...SMALL.filter(({ table }) => table !== LINES).map(({ table, where }) => of(table, 'count(*) AS n', where)),
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

/** Statements that remove the small tables' rows, and what waits to be published. */
export const removeSmallTables = (orgId: string): SQL[] =>
  [...SMALL, { table: 'outbox', where: 'true' }].map(
    ({ table, where }) => sql`DELETE FROM ${sql.raw(table)} WHERE org_id = ${orgId} AND ${sql.raw(where)}`,
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
