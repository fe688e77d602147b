/** The state of moves of orgs between databases: in `DB` the move itself, in the two databases what it changes there. */
import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { SQLiteTable } from 'drizzle-orm/sqlite-core';
import { DAY } from '../../duration';
import type { Actor } from '../../events';
import { runBatch } from '../d1/batch';
import { type Databases, gather, mainDatabase } from '../d1/databases';
import { expect } from '../d1/expect';
import { jsonChunks } from '../d1/json-parameters';
import { orAbsent, type Row, rowOf } from '../d1/rows';
import { moves, orgs, signalLines, signalReceiverOrgs, webhookLines } from '../d1/tables';
import { count, record } from '../journal/record';
import { OrgStore } from '../org/open';
import { countSmallTables, insertions, type Key, LINES, type RemovalPlace, removeSmallTables } from './move-rows';
import { HELD } from './retention';

/** Milliseconds. So long the old copy of an org stays, and the org can be taken back while nothing is written to it. */
export const OLD_COPY = DAY;

/** Changes that are being copied: those of some events. Each part is taken away when it is copied. */
export interface Changes {
  /** The latest of these events. */
  readonly through: number;
  /** There are later ones already. */
  readonly hasMore: boolean;
  /** When they were looked for; epoch milliseconds. */
  readonly begunAt: number;
  readonly users: readonly string[];
  readonly groups: readonly string[];
  /** The last member of the first group that is copied. */
  readonly member?: Key | undefined;
  /** Versions of groups behind this number are still to be compared. */
  readonly versionsAfter?: number | undefined;
  readonly hasEvents?: boolean;
  readonly erased: readonly string[];
  /** The last event of the first erased user that is copied. */
  readonly event?: number | undefined;
}

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
  readonly changes?: Changes;
  /** How often all that had changed was copied. */
  readonly rounds?: number;
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

/** The latest move of an org by its id or slug: the org itself may be on its way, where no database answers for it. */
export async function findMoveOf(main: D1Database, name: string): Promise<Move | undefined> {
  const [rows] = await runBatch(main, [
    sql`SELECT * FROM moves WHERE org_id = ${name} OR slug = ${name} ORDER BY org_id <> ${name}, started_at DESC LIMIT 1`,
  ]);
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

/**
 * It goes from one state to another, or on in the same.
 *
 * @param move as it was read: of two that work on it, the second one does nothing. @returns whether it was still so.
 */
export async function advanceMove(
  main: D1Database,
  { orgId, state, workedAt }: Move,
  next: MoveState,
  place: Place,
  now: number,
  error?: string,
): Promise<boolean> {
  const [rows] = await runBatch(main, [
    sql`UPDATE moves SET state = ${next}, place = ${JSON.stringify(place)}, worked_at = max(${now}, worked_at + 1),
        error = ${error ?? null}
      WHERE org_id = ${orgId} AND state = ${state} AND worked_at = ${workedAt} RETURNING org_id`,
  ]);
  return rows!.length > 0;
}

/** Before the switch: its copy is to go, and what is left of an earlier one. @returns whether it was before the switch. */
export async function beginCancelling(main: D1Database, orgId: string, now: number): Promise<boolean> {
  const [rows] = await runBatch(main, [
    sql`UPDATE moves SET state = 'cancelling', worked_at = max(${now}, worked_at + 1), error = NULL,
        place = json_patch('{}', json_object('old', place ->> '$.old'))
      WHERE org_id = ${orgId} AND state IN ('clearing', 'copying', 'finishing') AND is_return = 0 RETURNING org_id`,
  ]);
  return rows!.length > 0;
}

/** Begins to take the org back. @returns whether the move was done, and its old copy is whole. */
export async function beginReturn(main: D1Database, { orgId }: Move, by: string, now: number): Promise<boolean> {
  const [rows] = await runBatch(main, [
    sql`UPDATE moves SET source = target, target = source, state = 'finishing', is_return = 1, by = ${by},
        started_at = ${now}, worked_at = max(${now}, worked_at + 1), place = '{}', error = NULL
      WHERE org_id = ${orgId} AND state = 'done' AND is_return = 0 AND place = '{}' AND switched_at > ${now - OLD_COPY}
      RETURNING org_id`,
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

/** The name under which the database was taken into use; undefined: it was not yet. */
export async function ownerOf(db: D1Database): Promise<string | undefined> {
  const [rows] = await runBatch(db, [sql<{ binding: string }>`SELECT binding FROM shards`]);
  return rows[0]?.binding;
}

/** Old copies that are checked in a run of the cron, in each database. */
const MAX_OLD_COPIES = 50;

/**
 * Finds old copies that no move knows any more: their database was missing when the org moved on. It notes each as a finished move.
 * Then the copy is removed like every other old copy.
 */
export async function adoptOldCopies(databases: Databases, now: number): Promise<void> {
  const main = mainDatabase(databases);
  const { answers } = await gather(databases, async (db, binding) => {
    const [rows] = await runBatch(db, [
      sql<{
        org_id: string;
        moved_at: number;
      }>`SELECT org_id, moved_at FROM moved_orgs WHERE moved_at <= ${now - OLD_COPY}
        AND EXISTS (SELECT 1 FROM shards WHERE binding = ${binding}) LIMIT CAST(${MAX_OLD_COPIES} AS INTEGER)`,
    ]);
    return rows.map(({ org_id: orgId, moved_at: movedAt }) => ({ orgId, movedAt, binding }));
  });
  const copies = answers.flat();
  if (copies.length === 0) return;
  await runBatch(main, [
    sql`INSERT INTO moves (org_id, slug, source, target, state, by, started_at, worked_at, switched_at)
      SELECT it.value ->> '$.orgId', ifnull(c.slug, ''), it.value ->> '$.binding', c.binding, 'done', 'service', ${now}, ${now},
        it.value ->> '$.movedAt'
      FROM json_each(${JSON.stringify(copies)}) AS it JOIN catalogue AS c ON c.org_id = it.value ->> '$.orgId'
      WHERE c.binding <> it.value ->> '$.binding'
      ON CONFLICT DO NOTHING`,
  ]);
}

/** The name of the database that holds the org. */
export async function homeOf(main: D1Database, orgId: string): Promise<string> {
  const [rows] = await runBatch(main, [
    sql<{ binding: string }>`SELECT binding FROM catalogue WHERE org_id = ${orgId}`,
  ]);
  return rows[0]?.binding ?? 'DB';
}

/** Where the catalogue says that an org is. @param name its id or slug. @returns undefined: it is not in the catalogue. */
export async function findHome(
  main: D1Database,
  name: string,
): Promise<{ readonly orgId: string; readonly slug: string; readonly binding: string } | undefined> {
  const [rows] = await runBatch(main, [
    sql<{
      orgId: string;
      slug: string;
      binding: string;
    }>`SELECT org_id AS orgId, slug, binding FROM catalogue WHERE slug IS NOT NULL
      AND (org_id = ${name} OR slug = ${name}) ORDER BY org_id <> ${name} LIMIT 1`,
  ]);
  return rows[0];
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
  /** It has left the database by the switch. */
  readonly hasLeft: boolean;
  readonly isImporting: boolean;
  readonly isRemoving: boolean;
  /** The number of its latest event. */
  readonly eventSeq: number;
}

export async function obstaclesOf(db: D1Database, orgId: string): Promise<Obstacles> {
  const [[org], [removing], left] = await runBatch(db, [
    sql<{ importing: string | null; event_seq: number }>`SELECT importing, event_seq FROM orgs WHERE id = ${orgId}`,
    sql<{ n: number }>`SELECT count(*) AS n FROM removals WHERE org_id = ${orgId}`,
    sql`SELECT 1 FROM moved_orgs WHERE org_id = ${orgId}`,
  ]);
  return {
    isThere: org !== undefined,
    hasLeft: left!.length > 0,
    isImporting: org !== undefined && org.importing !== null,
    isRemoving: removing!.n > 0,
    eventSeq: org?.event_seq ?? 0,
  };
}

/**
 * From now on every write to the org is refused (homes.ts).
 *
 * @returns since when that is so; epoch milliseconds.
 */
export async function freeze(db: D1Database, orgId: string, now: number): Promise<number> {
  const [, rows] = await runBatch(db, [
    sql`INSERT INTO frozen_orgs (org_id, since) VALUES (${orgId}, ${now}) ON CONFLICT DO NOTHING`,
    sql<{ since: number }>`SELECT since FROM frozen_orgs WHERE org_id = ${orgId}`,
  ]);
  return rows[0]!.since;
}

export const thaw = (db: D1Database, orgId: string): Promise<unknown> =>
  runBatch(db, [sql`DELETE FROM frozen_orgs WHERE org_id = ${orgId}`]);

/**
 * Retention leaves the org alone, from the next statement on: what it removes has no event, so that a copy would keep it.
 * It goes on where the org arrives.
 */
export const holdRetention = (db: D1Database, orgId: string): Promise<unknown> =>
  runBatch(db, [sql`UPDATE orgs SET retained_at = ${HELD} WHERE id = ${orgId}`]);

/** Retention goes on where the org has stayed, and writes are allowed. */
export const release = (db: D1Database, orgId: string): Promise<unknown> =>
  runBatch(db, [
    sql`DELETE FROM frozen_orgs WHERE org_id = ${orgId}`,
    sql`UPDATE orgs SET retained_at = 0 WHERE id = ${orgId} AND retained_at = ${HELD}`,
  ]);

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
  const first = sql`max((${latest}), CAST(${last!.n} AS INTEGER))`;
  const rows = jsonChunks([{ user_id: '', requested_at: 0 }, ...waiting]);
  await runBatch(target, [
    expect('copy', sql`NOT EXISTS (SELECT 1 FROM orgs WHERE id = ${orgId})`),
    sql`DELETE FROM outbox WHERE org_id = ${orgId}`,
    // Each chunk goes behind the one before.
    ...rows.map(
      ({ json }) => sql`INSERT INTO outbox (seq, org_id, user_id, requested_at)
        SELECT ${first} + 1 + row.key, ${orgId}, row.value ->> '$.user_id', row.value ->> '$.requested_at'
        FROM json_each(${json}) AS row`,
    ),
    // The first one only holds a number.
    sql`DELETE FROM outbox WHERE org_id = ${orgId} AND user_id = '' AND requested_at = 0`,
  ]);
}

/** What `moved_orgs` keeps: rows as they were when the org left. */
interface Left {
  readonly org: Row;
  readonly lines: readonly Row[];
  readonly signal_receiver_orgs?: readonly Row[];
  readonly signal_lines?: readonly Row[];
}

const asJson = (table: SQLiteTable): SQL => {
  const names = Object.values(getTableColumns(table)).map(({ name }) => `'${name}', ${name}`);
  return sql.raw(`json_object(${names.join(', ')})`);
};

const allOf = (table: SQLiteTable, name: string, orgId: string): SQL =>
  sql`(SELECT json_group_array(${asJson(table)}) FROM ${sql.raw(name)} WHERE org_id = ${orgId})`;

/**
 * The org is not in this database any more: every batch for it is aborted, and asks the catalogue.
 *
 * @throws Unmet `frozen`: writes are allowed again.
 */
export async function leave(db: D1Database, orgId: string, now: number): Promise<void> {
  await runBatch(db, [
    expect('frozen', sql`EXISTS (SELECT 1 FROM frozen_orgs WHERE org_id = ${orgId})`),
    // Triggers remove the lines with the org.
    sql`INSERT OR REPLACE INTO moved_orgs (org_id, org, moved_at) SELECT id, json_object('org', ${asJson(orgs)},
        'lines', ${allOf(webhookLines, 'webhook_lines', orgId)},
        'signal_receiver_orgs', ${allOf(signalReceiverOrgs, 'signal_receiver_orgs', orgId)},
        'signal_lines', ${allOf(signalLines, 'signal_lines', orgId)}), ${now}
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

/**
 * The lines of streams and endpoints are those that this database has by now: some were removed, added or switched while
 * the org was on its way.
 */
const settleLines = (orgId: string): SQL[] => {
  const isOpen = sql.raw(`s.status = 'enabled' AND r.disabled_at IS NULL`);
  return [
    sql`DELETE FROM webhook_lines WHERE org_id = ${orgId} AND webhook_id NOT IN (SELECT id FROM webhooks)`,
    sql`UPDATE webhook_lines SET disabled_at = w.disabled_at, disabled_why = 'operator', due_at = NULL FROM webhooks AS w
      WHERE webhook_lines.org_id = ${orgId} AND w.id = webhook_id AND w.org_id = '' AND w.disabled_at IS NOT NULL
        AND webhook_lines.disabled_at IS NULL`,
    sql`DELETE FROM signal_receiver_orgs WHERE org_id = ${orgId} AND receiver_id NOT IN (SELECT id FROM signal_receivers)`,
    sql`DELETE FROM signal_lines WHERE org_id = ${orgId} AND stream_id NOT IN (SELECT id FROM signal_streams)`,
    sql`UPDATE signal_lines SET pushes = s.method = 'push', is_open = ${isOpen}, due_at = iif(${isOpen}, due_at, NULL)
      FROM signal_streams AS s JOIN signal_receivers AS r ON r.id = s.receiver_id
      WHERE org_id = ${orgId} AND s.id = stream_id`,
    sql`INSERT OR IGNORE INTO signal_lines (org_id, stream_id, place, pushes, is_open)
      SELECT o.id, s.id, 4096 * o.event_seq + 4095, s.method = 'push', ${isOpen}
      FROM orgs AS o JOIN signal_receiver_orgs AS ro ON ro.org_id = o.id JOIN signal_receivers AS r ON r.id = ro.receiver_id
        JOIN signal_streams AS s ON s.receiver_id = r.id WHERE o.id = ${orgId}`,
  ];
};

/**
 * The org is in this database from now on, and its journal says so.
 *
 * @param details where it comes from, where it goes, and who wanted that.
 * @param isReturn it cancels the move before. Its old copy is here, with events that retention has removed elsewhere since: it goes through all
 *   again.
 * @returns the number of that event.
 */
export async function arrive(
  target: D1Database,
  left: Left,
  actor: Actor,
  details: { readonly from: string; readonly to: string; readonly by: string },
  isReturn: boolean,
): Promise<number> {
  const org = { ...left.org, retained_at: 0, ...(isReturn && { pruned_through: 0 }) };
  const orgId = left.org['id'] as string;
  const store = new OrgStore(target, { kind: 'id', id: orgId }, Date.now());
  const cancelled = { from: details.to, to: details.from, by: details.by };
  const results = await runBatch(
    target,
    [
      expect('found', sql`NOT EXISTS (SELECT 1 FROM orgs WHERE id = ${orgId})`),
      sql`DELETE FROM moved_orgs WHERE org_id = ${orgId}`,
      sql`DELETE FROM org_domains WHERE org_id = ${orgId}`,
      ...LINES.map((table) => sql`DELETE FROM ${sql.raw(table)} WHERE org_id = ${orgId}`),
      ...insertions('orgs', [org], 0),
      ...insertions('webhook_lines', left.lines, 0),
      ...insertions('signal_receiver_orgs', left.signal_receiver_orgs ?? [], 0),
      ...insertions('signal_lines', left.signal_lines ?? [], 0),
      ...settleLines(orgId),
      ...(isReturn ? [count(store), record(store, actor, { type: 'org.move_cancelled', details: cancelled })] : []),
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
    sql`UPDATE moves SET state = 'done', switched_at = ${now}, switched_seq = ${seq}, worked_at = max(${now}, worked_at + 1), place = '{}', error = NULL
      WHERE org_id = ${move.orgId} AND state = 'switching'`,
  ]);
}

/** What must not be worked on by the cron any more where the org was. The rest stays for a day. */
export const cleanUpAfterLeaving = (db: D1Database, orgId: string): Promise<unknown> =>
  runBatch(db, [...removeSmallTables(orgId), sql`DELETE FROM frozen_orgs WHERE org_id = ${orgId}`]);

/** The old copy is gone. */
export const forgetMovedOrg = (db: D1Database, orgId: string): Promise<unknown> =>
  runBatch(db, [sql`DELETE FROM moved_orgs WHERE org_id = ${orgId}`]);
