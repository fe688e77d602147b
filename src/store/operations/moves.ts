/** The state of moves of orgs between databases: in `DB` the move itself, in the two databases what it changes there. */
import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { SQLiteTable } from 'drizzle-orm/sqlite-core';
import { DAY } from '../../duration';
import type { Actor, Details } from '../../events';
import { runBatch } from '../d1/batch';
import { expect } from '../d1/expect';
import { orAbsent, type Row, rowOf } from '../d1/rows';
import { moves, orgs, webhookLines } from '../d1/tables';
import { count, record } from '../journal/record';
import { OrgStore } from '../org/open';
import { countSmallTables, insertions, type Key, type RemovalPlace, removeSmallTables } from './move-rows';

/** Milliseconds. So long the old copy of an org stays, and the org can be taken back while nothing is written to it. */
export const OLD_COPY = DAY;

/** How far a copy is. */
export interface Place {
  /** While rows of an earlier copy are removed; from `old` too, where that is another database. */
  readonly removal?: RemovalPlace;
  readonly old?: string;
  /** What is added to each `seq`; absent: no number is reserved yet. */
  readonly offset?: number;
  /** The part that is copied, and the key of its last row. */
  readonly part?: number;
  readonly key?: Key;
  /** Changes up to this event are in the copy. */
  readonly seq?: number;
  /** How often the copy was begun again. */
  readonly attempts?: number;
}

export type MoveState = 'clearing' | 'copying' | 'finishing' | 'switching' | 'done' | 'cancelling';

/** Instants are epoch milliseconds. */
export interface Move {
  readonly orgId: string;
  readonly slug: string;
  /** Names of bindings. */
  readonly source: string;
  readonly target: string;
  readonly state: MoveState;
  readonly place: Place;
  readonly by: string;
  readonly startedAt: number;
  readonly workedAt: number;
  readonly switchedAt: number | undefined;
  readonly switchedSeq: number | undefined;
  readonly error: string | undefined;
  /** It takes the org back to where it was: what grows with it is there. */
  readonly isReturn: boolean;
}

const moveRow = rowOf(moves);

function moveOf(row: Record<string, unknown>): Move {
  const { place, switchedAt, switchedSeq, error, isReturn, ...rest } = moveRow(row);
  return {
    ...rest,
    place: JSON.parse(place) as Place,
    switchedAt: orAbsent(switchedAt),
    switchedSeq: orAbsent(switchedSeq),
    error: orAbsent(error),
    isReturn: isReturn === 1,
  };
}

export async function findMove(main: D1Database, orgId: string): Promise<Move | undefined> {
  const [rows] = await runBatch(main, [sql`SELECT * FROM moves WHERE org_id = ${orgId}`]);
  return rows![0] && moveOf(rows![0]);
}

/**
 * Begins a move. Of an earlier one that is done, the old copy is removed first.
 *
 * @returns whether none is under way.
 */
export async function insertMove(
  main: D1Database,
  move: Pick<Move, 'orgId' | 'slug' | 'source' | 'target' | 'by'>,
  now: number,
): Promise<boolean> {
  const { orgId, slug, source, target, by } = move;
  const [rows] = await runBatch(main, [
    sql`INSERT INTO moves (org_id, slug, source, target, state, by, started_at, worked_at)
      VALUES (${orgId}, ${slug}, ${source}, ${target}, 'clearing', ${by}, ${now}, ${now})
      ON CONFLICT (org_id) DO UPDATE SET slug = excluded.slug, source = excluded.source, target = excluded.target,
        state = 'clearing', by = excluded.by, started_at = excluded.started_at, worked_at = excluded.worked_at,
        place = json_object('old', moves.source), switched_at = NULL, switched_seq = NULL, error = NULL, is_return = 0
        WHERE moves.state = 'done'
      RETURNING org_id`,
  ]);
  return rows!.length > 0;
}

/** It goes from one state to another, or on in the same, unless it is in another one. @returns whether it was. */
export async function advanceMove(
  main: D1Database,
  { orgId, state }: Move,
  next: MoveState,
  place: Place,
  now: number,
  error?: string,
): Promise<boolean> {
  const [rows] = await runBatch(main, [
    sql`UPDATE moves SET state = ${next}, place = ${JSON.stringify(place)}, worked_at = ${now}, error = ${error ?? null}
      WHERE org_id = ${orgId} AND state = ${state} RETURNING org_id`,
  ]);
  return rows!.length > 0;
}

/** Begins to take the org back. @returns whether the move was done. */
export async function beginReturn(main: D1Database, { orgId }: Move, by: string, now: number): Promise<boolean> {
  const [rows] = await runBatch(main, [
    sql`UPDATE moves SET source = target, target = source, state = 'finishing', is_return = 1, by = ${by},
        started_at = ${now}, worked_at = ${now}, place = '{}', error = NULL
      WHERE org_id = ${orgId} AND state = 'done' AND is_return = 0 RETURNING org_id`,
  ]);
  return rows!.length > 0;
}

/** The org stays where it is. */
export const abandonReturn = (main: D1Database, { orgId }: Move, why: string): Promise<unknown> =>
  runBatch(main, [
    sql`UPDATE moves SET source = target, target = source, state = 'done', is_return = 0, error = ${why}
      WHERE org_id = ${orgId} AND state = 'finishing' AND is_return = 1`,
  ]);

/** Its old copy goes with the next run of the cron: the org is deleted. */
export const hastenMove = (main: D1Database, orgId: string): Promise<unknown> =>
  runBatch(main, [sql`UPDATE moves SET switched_at = 0 WHERE org_id = ${orgId} AND state = 'done'`]);

export const removeMove = (main: D1Database, orgId: string, state: MoveState): Promise<unknown> =>
  runBatch(main, [sql`DELETE FROM moves WHERE org_id = ${orgId} AND state = ${state}`]);

/** Moves that have work to do: those under way that rest since then, and those whose old copy is to go. */
export async function waitingMoves(main: D1Database, restingSince: number, doneSince: number, limit: number) {
  const [rows] = await runBatch(main, [
    sql<{ org_id: string }>`SELECT org_id FROM moves WHERE (state <> 'done' AND worked_at <= ${restingSince})
      OR (state = 'done' AND switched_at <= ${doneSince}) ORDER BY worked_at LIMIT ${limit}`,
  ]);
  return rows.map(({ org_id: id }) => id);
}

/** The name of the database that holds the org. */
export async function homeOf(main: D1Database, orgId: string): Promise<string> {
  const [rows] = await runBatch(main, [
    sql<{ binding: string }>`SELECT binding FROM catalogue WHERE org_id = ${orgId}`,
  ]);
  return rows[0]?.binding ?? 'DB';
}

/** What there is to copy. */
export interface Size {
  readonly users: number;
  readonly groups: number;
  readonly events: number;
  /** Bytes, about. */
  readonly bytes: number;
  /** Rows that are copied while writes are refused. */
  readonly otherRows: number;
}

export async function sizeOfOrg(db: D1Database, orgId: string): Promise<Size> {
  const [[org], [events], ...others] = await runBatch(db, [
    sql<{ users: number; groups: number; bytes: number }>`SELECT user_count AS users, group_count AS groups,
      stored_bytes AS bytes FROM orgs WHERE id = ${orgId}`,
    sql<{ n: number }>`SELECT count(*) AS n FROM events WHERE org_id = ${orgId}`,
    ...countSmallTables(orgId),
  ]);
  const otherRows = others.reduce((sum, rows) => sum + (rows[0]!['n'] as number), 0);
  return { users: 0, groups: 0, bytes: 0, ...org, events: events!.n, otherRows };
}

/** What stands in the way of a move in the database that the org is in. */
export interface Obstacles {
  readonly isThere: boolean;
  readonly isImporting: boolean;
  readonly isRemoving: boolean;
  /** The number of its latest event. */
  readonly eventSeq: number;
}

export async function obstaclesOf(db: D1Database, orgId: string): Promise<Obstacles> {
  const [[org], [removing]] = await runBatch(db, [
    sql<{ importing: string | null; event_seq: number }>`SELECT importing, event_seq FROM orgs WHERE id = ${orgId}`,
    sql<{ n: number }>`SELECT count(*) AS n FROM removals WHERE org_id = ${orgId}`,
  ]);
  return {
    isThere: org !== undefined,
    isImporting: org !== undefined && org.importing !== null,
    isRemoving: removing!.n > 0,
    eventSeq: org?.event_seq ?? 0,
  };
}

/** From now on every write to the org is refused (homes.ts). */
export const freeze = (db: D1Database, orgId: string, now: number): Promise<unknown> =>
  runBatch(db, [sql`INSERT INTO frozen_orgs (org_id, since) VALUES (${orgId}, ${now}) ON CONFLICT DO NOTHING`]);

export const thaw = (db: D1Database, orgId: string): Promise<unknown> =>
  runBatch(db, [sql`DELETE FROM frozen_orgs WHERE org_id = ${orgId}`]);

/** What waits to be published goes behind everything of both databases, so that a late message of the old one never counts as newer. */
export async function copyOutbox(source: D1Database, target: D1Database, orgId: string): Promise<void> {
  const latest = sql`SELECT ifnull(max(seq), 0) AS n FROM sqlite_sequence WHERE name = 'outbox'`;
  const [[last], waiting] = await runBatch(source, [
    sql<{ n: number }>`${latest}`,
    sql<{
      user_id: string;
      requested_at: number;
    }>`SELECT user_id, requested_at FROM outbox WHERE org_id = ${orgId} ORDER BY seq`,
  ]);
  const rows = JSON.stringify([{ user_id: '', requested_at: 0 }, ...waiting]);
  const first = sql`max((${latest}), CAST(${last!.n} AS INTEGER))`;
  await runBatch(target, [
    sql`DELETE FROM outbox WHERE org_id = ${orgId}`,
    sql`INSERT INTO outbox (seq, org_id, user_id, requested_at)
      SELECT ${first} + 1 + row.key, ${orgId}, row.value ->> '$.user_id', row.value ->> '$.requested_at' FROM json_each(${rows}) AS row`,
    // The first one only holds a number.
    sql`DELETE FROM outbox WHERE org_id = ${orgId} AND user_id = '' AND requested_at = 0`,
  ]);
}

/** What `moved_orgs` keeps: rows as they were when the org left. */
interface Left {
  readonly org: Row;
  readonly lines: readonly Row[];
}

const asJson = (table: SQLiteTable): SQL => {
  const names = Object.values(getTableColumns(table)).map(({ name }) => `'${name}', ${name}`);
  return sql.raw(`json_object(${names.join(', ')})`);
};

/** The org is not in this database any more: every batch for it is aborted, and asks the catalogue. */
export async function leave(db: D1Database, orgId: string, now: number): Promise<void> {
  await runBatch(db, [
    // A trigger removes the lines with the org.
    sql`INSERT OR REPLACE INTO moved_orgs (org_id, org, moved_at) SELECT id, json_object('org', ${asJson(orgs)}, 'lines',
        (SELECT json_group_array(${asJson(webhookLines)}) FROM webhook_lines WHERE org_id = ${orgId})), ${now}
      FROM orgs WHERE id = ${orgId}`,
    sql`DELETE FROM orgs WHERE id = ${orgId}`,
  ]);
}

/** The org as it left. @throws Error: it never did. */
export async function readLeft(db: D1Database, orgId: string): Promise<Left> {
  const [rows] = await runBatch(db, [sql<{ org: string }>`SELECT org FROM moved_orgs WHERE org_id = ${orgId}`]);
  if (rows[0] === undefined) throw new Error('the database has nothing of an org that left it');
  return JSON.parse(rows[0].org) as Left;
}

/** The org is in this database from now on, and its journal says so. @returns the number of that event. */
export async function arrive(
  target: D1Database,
  { org, lines }: Left,
  actor: Actor,
  details: Details,
): Promise<number> {
  const orgId = org['id'] as string;
  const store = new OrgStore(target, { kind: 'id', id: orgId }, Date.now());
  const results = await runBatch(
    target,
    [
      expect('found', sql`NOT EXISTS (SELECT 1 FROM orgs WHERE id = ${orgId})`),
      sql`DELETE FROM moved_orgs WHERE org_id = ${orgId}`,
      sql`DELETE FROM org_domains WHERE org_id = ${orgId}`,
      sql`DELETE FROM webhook_lines WHERE org_id = ${orgId}`,
      ...insertions('orgs', [org], 0),
      ...insertions('webhook_lines', lines, 0),
      count(store),
      record(store, actor, { type: 'org.moved', details }),
      sql`SELECT event_seq FROM orgs WHERE id = ${orgId}`,
    ],
    sql`${orgId}`,
  );
  return results.at(-1)![0]!['event_seq'] as number;
}

/** The one write that says where the org is. The move is done with it. */
export async function switchCatalogue(
  main: D1Database,
  move: Move,
  slug: string,
  seq: number,
  now: number,
): Promise<void> {
  await runBatch(main, [
    sql`INSERT INTO catalogue (org_id, slug, binding, since) VALUES (${move.orgId}, ${slug}, ${move.target}, ${now})
      ON CONFLICT (org_id) DO UPDATE SET slug = excluded.slug, binding = excluded.binding, since = excluded.since`,
    sql`UPDATE moves SET state = 'done', switched_at = ${now}, switched_seq = ${seq}, worked_at = ${now}, place = '{}', error = NULL
      WHERE org_id = ${move.orgId} AND state = 'switching'`,
  ]);
}

/** What must not be worked on by the cron any more where the org was. The rest stays for a day. */
export const cleanUpAfterLeaving = (db: D1Database, orgId: string): Promise<unknown> =>
  runBatch(db, [...removeSmallTables(orgId), sql`DELETE FROM frozen_orgs WHERE org_id = ${orgId}`]);

/** The old copy is gone. */
export const forgetMovedOrg = (db: D1Database, orgId: string): Promise<unknown> =>
  runBatch(db, [sql`DELETE FROM moved_orgs WHERE org_id = ${orgId}`]);
