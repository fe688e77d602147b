/**
 * What was deleted at once and is too much for one batch: the rows of an org, the values of a schema, the memberships of
 * a group. A row of `removals` stands for what is left, and each chunk is one bounded batch. A chunk that is run twice,
 * or by two at once, does no harm: it removes only while its row is there.
 */
import { type SQL, sql } from 'drizzle-orm';
import { getTableConfig, SQLiteTable } from 'drizzle-orm/sqlite-core';
import type { Actor } from '../../events';
import { runBatch } from '../d1/batch';
import { expect } from '../d1/expect';
import { isoText } from '../d1/instants';
import type { Row } from '../d1/rows';
import { orAbsent, rowOf } from '../d1/rows';
import * as tables from '../d1/tables';
import { CLOCK } from '../journal/end-sessions';
import { count, recordAs } from '../journal/record';
import type { OrgStore } from '../org/open';

/** Something that waits to be removed. */
export interface Removal {
  readonly orgId: string;
  readonly kind: 'org' | 'schema' | 'group';
  /** The schema's URN, the group's `seq`; of an org empty. */
  readonly target: string;
  readonly resourceType: 'User' | 'Group' | undefined;
  /** Of a schema: the last resource that was looked at. */
  readonly place: number;
}

/** Rows of one table that a batch removes, resources that it looks through. */
export const CHUNK = 1_000;

/** Rides in the batch that deletes, before the org itself goes. @param isLeft absent: something is. */
export const removeLater = (
  store: OrgStore,
  kind: 'org' | 'group',
  target: SQL = sql`''`,
  isLeft: SQL = sql`true`,
): SQL =>
  sql`INSERT INTO removals (org_id, kind, target, since) SELECT ${store.org}, ${kind}, ${target}, ${store.now}
    WHERE ${store.org} IS NOT NULL AND ${isLeft} ON CONFLICT DO NOTHING`;

/** Whose turn it is. It goes behind all others by this, so that one that fails is in nobody's way. */
export async function takeRemoval(db: D1Database): Promise<Removal | undefined> {
  const [rows] = await runBatch(db, [
    sql`UPDATE removals SET turn = (SELECT max(turn) + 1 FROM removals) WHERE (org_id, kind, target) IN (
        SELECT org_id, kind, target FROM removals ORDER BY turn LIMIT 1) RETURNING *`,
  ]);
  return rows![0] && removalOf(rows![0]);
}

const rowOfRemoval = rowOf(tables.removals);

function removalOf(row: Row): Removal {
  const { orgId, kind, target, resourceType, place } = rowOfRemoval(row);
  return { orgId, kind, target, resourceType: orAbsent(resourceType), place };
}

/** A condition: this removal is under way. */
export const isRemoving = (org: SQL | string, kind: Removal['kind'], target: string): SQL =>
  sql`EXISTS (SELECT 1 FROM removals WHERE removals.org_id = ${org} AND kind = ${kind} AND target = ${target})`;

/** Rows of an org in one table. */
interface Rows {
  readonly table: string;
  /** The columns of the primary key. */
  readonly key: readonly string[];
  /** Beside the org: what an index needs to find them. */
  readonly where: string;
}

/** Tables that outlive an org on purpose. The outbox empties itself: what waits in it is published first. */
const KEPT: ReadonlySet<string> = new Set([
  ...['deleted_orgs', 'removals', 'outbox'],
  // What is known of where orgs are, not rows of orgs.
  ...['catalogue', 'moves', 'frozen_orgs', 'moved_orgs'],
]);

/** Where no index has the org alone, conditions that together are all of its rows. */
const CONDITIONS: Readonly<Record<string, readonly string[]>> = {
  credentials: ['generation > 0', "subject <> ''"],
};

/** All that an org has: every table with an `org_id`, so that none can be forgotten. */
export const ROWS_OF_ORG: readonly Rows[] = Object.values(tables).flatMap((table) => {
  if (!(table instanceof SQLiteTable)) return [];
  const { name, columns, primaryKeys } = getTableConfig(table);
  if (KEPT.has(name) || !columns.some((column) => column.name === 'org_id')) return [];
  const key = primaryKeys[0]?.columns ?? columns.filter(({ primary }) => primary);
  return (CONDITIONS[name] ?? ['true']).map((where) => ({
    table: name,
    key: key.map((column) => column.name),
    where,
  }));
});

const some = ({ table, where }: Rows, orgId: string, what: string): SQL =>
  sql`SELECT ${sql.raw(what)} FROM ${sql.raw(table)} WHERE org_id = ${orgId} AND ${sql.raw(where)}`;

/** A chunk of the rows of a deleted org in one table. @returns how many they were. */
export async function removeRows(db: D1Database, orgId: string, rows: Rows): Promise<number> {
  const key = rows.key.join(', ');
  // The flag of each removed user is written once more, with an end (sessions/publish.ts).
  const flags =
    rows.table === 'users'
      ? [
          sql`INSERT INTO outbox (org_id, user_id, requested_at)
            SELECT org_id, id, ${CLOCK} FROM users WHERE seq IN (${some(rows, orgId, 'seq')} LIMIT ${CHUNK})
              AND (active = 0 OR not_before IS NOT NULL) AND ${isRemoving(orgId, 'org', '')}`,
        ]
      : [];
  const results = await runBatch(db, [
    ...flags,
    sql`DELETE FROM ${sql.raw(rows.table)} WHERE (${sql.raw(key)}) IN (${some(rows, orgId, key)} LIMIT ${CHUNK})
      AND ${isRemoving(orgId, 'org', '')}`,
    sql`SELECT changes() AS n`,
  ]);
  return results.at(-1)![0]!['n'] as number;
}

/** Nothing of the org is left: from now on one with its id may be imported. @returns whether that is so. */
export async function finishOrgRemoval(db: D1Database, orgId: string): Promise<boolean> {
  const left = sql.join(
    ROWS_OF_ORG.map((rows) => sql`EXISTS (${some(rows, orgId, '1')})`),
    sql` OR `,
  );
  const [, left_] = await runBatch(db, [
    sql`DELETE FROM removals WHERE org_id = ${orgId} AND NOT (${left})`,
    sql`SELECT 1 FROM removals WHERE org_id = ${orgId}`,
  ]);
  return left_!.length === 0;
}

const TABLES = { User: 'users', Group: 'groups' } as const;

/** The `seq`s of the next resources, the deleted ones included. Each half has an index of its own. */
function nextResources(org: SQL, resourceType: 'User' | 'Group', place: number): SQL {
  const half = (condition: string) => sql`SELECT * FROM (SELECT seq FROM ${sql.raw(TABLES[resourceType])}
    WHERE org_id = ${org} AND seq > ${place}${sql.raw(condition)} ORDER BY seq LIMIT ${CHUNK})`;
  const all =
    resourceType === 'Group'
      ? half('')
      : sql`${half(' AND deleted_at IS NULL')} UNION ALL ${half(' AND deleted_at IS NOT NULL')}`;
  return sql`SELECT seq FROM (${all}) ORDER BY seq LIMIT ${CHUNK}`;
}

/** Takes the values of a schema out of the next resources: each that has one is another version. */
function clearValues(store: OrgStore, resourceType: 'User' | 'Group', urn: string, place: number): SQL {
  const path = `$."${urn}"`;
  const without = sql`json_remove(folded, ${path})`;
  const schemas = sql`json((SELECT json_group_array(value) FROM json_each(folded, '$.schemas')
    WHERE lower(value) <> ${urn.toLowerCase()}))`;
  const later = sql`max(modified_at, ${store.now})`;
  // Only users have meta in their folded form.
  const meta = sql`, '$.meta.version', 'W/"' || (version + 1) || '"',
    '$.meta.lastModified', ${isoText(later)}`;
  return sql`UPDATE ${sql.raw(TABLES[resourceType])} SET resource = json_remove(resource, ${path}), version = version + 1,
      modified_at = ${later}, folded = json_set(${without}, '$.schemas', ${schemas}${resourceType === 'User' ? meta : sql``})
    WHERE org_id = ${store.org} AND seq IN (${nextResources(store.org, resourceType, place)})
      AND json_type(resource, ${path}) IS NOT NULL`;
}

/**
 * The first chunk, in the batch that removes the schema: where it is all there is, nothing waits. The first statement
 * changes as many rows as have had a value; the second is to follow the event that says so.
 */
export function beginClearing(store: OrgStore, resourceType: 'User' | 'Group', urn: string): readonly [SQL, SQL] {
  const chunk = nextResources(store.org, resourceType, 0);
  return [
    clearValues(store, resourceType, urn, 0),
    sql`INSERT INTO removals (org_id, kind, target, resource_type, place, changed, since)
      SELECT ${store.org}, 'schema', ${urn}, ${resourceType}, max(seq), (SELECT details ->> '$.changed' FROM events
          WHERE org_id = ${store.org} AND seq = (SELECT event_seq FROM orgs WHERE id = ${store.org})), ${store.now}
      FROM (${chunk}) GROUP BY true HAVING count(*) = ${CHUNK}`,
  ];
}

/** The next chunk. @returns the removal as it is then; undefined: it is finished. */
export async function clearSchema(store: OrgStore, removal: Removal, actor: Actor): Promise<Removal | undefined> {
  const { target, place, resourceType = 'User' } = removal;
  const chunk = nextResources(store.org, resourceType, place);
  const mine = sql`org_id = ${store.org} AND kind = 'schema' AND target = ${target}`;
  // Not twice from one place: what another run has looked through is counted there.
  const results = await store.write(
    expect('removal', sql`EXISTS (SELECT 1 FROM removals WHERE ${mine} AND place = ${place})`),
    clearValues(store, resourceType, target, place),
    sql`UPDATE removals SET changed = changed + changes() WHERE ${mine}`,
    sql`UPDATE removals SET place = ifnull((SELECT max(seq) FROM (${chunk})), place) WHERE ${mine}
      RETURNING place, (SELECT count(*) FROM (${chunk})) AS n`,
  );
  const [{ place: next, n }] = results.at(-1) as unknown as [{ place: number; n: number }];
  if (n === CHUNK) return { ...removal, place: next };
  await store.write(
    expect('removal', isRemoving(store.org, 'schema', target)),
    count(store),
    recordAs(
      store,
      actor,
      { type: 'schema.cleared', targetId: target },
      sql`(SELECT json_object('resourceType', ${resourceType}, 'changed', changed) FROM removals WHERE ${mine})`,
    ),
    sql`DELETE FROM removals WHERE ${mine}`,
  );
  return undefined;
}

/** The memberships of a deleted group, as many as go at once. */
export const removeMemberships = (org: SQL, groupSeq: SQL | number, limit: number): SQL =>
  sql`DELETE FROM memberships WHERE (org_id, group_seq, is_group, member_seq) IN (SELECT org_id, group_seq, is_group, member_seq
    FROM memberships WHERE org_id = ${org} AND group_seq = ${groupSeq} LIMIT ${limit})`;

/** A chunk of them. @returns the removal while some are left. */
export async function removeGroupRows(store: OrgStore, removal: Removal): Promise<Removal | undefined> {
  const seq = Number(removal.target);
  const results = await store.write(
    removeMemberships(store.org, seq, CHUNK),
    sql`DELETE FROM removals WHERE org_id = ${store.org} AND kind = 'group' AND target = ${removal.target}
      AND NOT EXISTS (SELECT 1 FROM memberships WHERE org_id = ${store.org} AND group_seq = ${seq})`,
    sql`SELECT 1 FROM removals WHERE org_id = ${store.org} AND kind = 'group' AND target = ${removal.target}`,
  );
  return results.at(-1)!.length > 0 ? removal : undefined;
}
