/** The lines of streams that receivers poll: what is handed out, acknowledged, and still to come. */
import { type SQL, sql } from 'drizzle-orm';
import { runBatch } from '../d1/batch';
import { askEach, databaseOf, isSpread } from '../d1/databases';
import { type HandedOut, isBehind, LINE, lineOf, type Refusals, refusedIn, type SignalLine } from './signal-lines';
import {
  HAS_SENDABLE,
  type PushedStream,
  pushedStreamOf,
  type ReceiverStore,
  type SignalStream,
} from './signal-streams';

/** What a poll reads first: its stream, the lines of what it acknowledges, and those with something to hand out. */
export interface Polled {
  readonly stream: PushedStream;
  readonly acknowledged: readonly SignalLine[];
  readonly due: readonly SignalLine[];
}

/** Orgs of which one poll is handed out something. */
export const LINES_PER_POLL = 10;

/**
 * One round trip; where there are several databases, one to `DB` and then one to each, side by side.
 *
 * @returns undefined: the receiver has no such stream that is polled.
 */
export async function readPolled(
  store: ReceiverStore,
  streamId: string,
  orgs: readonly string[],
): Promise<Polled | undefined> {
  const its = sql`SELECT s.id FROM signal_streams AS s
    WHERE s.id = ${streamId} AND s.receiver_id = ${store.receiver} AND s.method = 'poll'`;
  const stream = sql`SELECT s.*, r.audience, r.algorithm, r.subject FROM signal_streams AS s JOIN signal_receivers AS r ON r.id = s.receiver_id
    WHERE s.id = (${its})`;
  const linesOf = (id: SQL) => [
    orgs.length === 0
      ? sql`SELECT 1 WHERE false`
      : sql`SELECT ${LINE} FROM json_each(${JSON.stringify(orgs)}) AS it
          CROSS JOIN signal_lines AS l ON l.org_id = it.value AND l.stream_id = ${id} WHERE l.handed_out IS NOT NULL`,
    // Who was handed something out last comes last.
    sql`SELECT ${LINE} FROM signal_lines AS l WHERE l.stream_id = ${id} AND l.due_at IS NOT NULL AND l.is_open = 1
      ORDER BY l.due_at, l.org_id LIMIT CAST(${LINES_PER_POLL + 1} AS INTEGER)`,
  ];
  if (!isSpread(store.databases)) {
    const [streams, acknowledged, due] = await store.read(stream, ...linesOf(sql`(${its})`));
    if (streams![0] === undefined) return undefined;
    return {
      stream: pushedStreamOf(streams![0]),
      acknowledged: acknowledged!.map(lineOf),
      due: due!.map(lineOf),
    };
  }
  const [streams] = await store.read(stream);
  if (streams![0] === undefined) return undefined;
  const found = pushedStreamOf(streams![0]);
  const answers = await askEach(store.databases, (db) => runBatch(db, linesOf(sql`${streamId}`)));
  // A copy of the stream may not know yet that it is paused.
  const due = found.status === 'enabled' ? answers.flatMap(([, rows]) => rows!.map(lineOf)) : [];
  return {
    stream: found,
    acknowledged: answers.flatMap(([rows]) => rows!.map(lineOf)),
    due: due.sort((a, b) => a.dueAt! - b.dueAt!).slice(0, LINES_PER_POLL + 1),
  };
}

/** What becomes of a line by a poll. */
export interface PolledLine {
  /** As it was read. */
  readonly line: SignalLine;
  readonly place: number;
  /** Undefined: everything is acknowledged. */
  readonly handedOut: HandedOut | undefined;
  readonly lostThrough?: number | undefined;
}

/**
 * Moves lines, each unless somebody else has moved it. One round trip; where there are several databases, one more to each of
 * those that hold the lines.
 *
 * @param settled events of the stream itself that were acknowledged.
 */
export async function moveLines(
  store: ReceiverStore,
  { id, control }: SignalStream,
  lines: readonly PolledLine[],
  settled: readonly string[],
  refusals: Refusals | undefined,
): Promise<void> {
  const isVerified = control.some(({ n, uri }) => settled.includes(n) && uri.endsWith('/verification'));
  const statements = lines.map(
    ({ line, place, handedOut, lostThrough }) => sql`UPDATE signal_lines SET place = ${place},
      handed_out = ${handedOut ? JSON.stringify(handedOut) : null}, lost_through = ifnull(${lostThrough ?? null}, lost_through),
      delivered_at = iif(place < ${place}, ${store.now}, delivered_at),
      due_at = iif(is_open = 1, iif(${handedOut ? 1 : 0} OR ${isBehind(line.orgId, place)}, ${store.now}, NULL), NULL)
      WHERE org_id = ${line.orgId} AND stream_id = ${id} AND place = ${line.place}
        AND handed_out IS ${line.handedOut ? JSON.stringify(line.handedOut) : null}`,
  );
  const isSplit = isSpread(store.databases);
  await store.write(
    ...(isSplit ? [] : statements),
    sql`UPDATE signal_streams SET polled_at = ${store.now}, verified_at = iif(${isVerified ? 1 : 0}, ${store.now}, verified_at),
      control = (SELECT json_group_array(json(value)) FROM json_each(control)
        WHERE value ->> '$.n' NOT IN (SELECT value FROM json_each(${JSON.stringify(settled)}))) WHERE id = ${id}`,
    ...refusedIn(id, refusals),
  );
  if (isSplit)
    await Promise.all(lines.map(({ line }, i) => runBatch(databaseOf(store.databases, line.orgId), [statements[i]!])));
}

/** Whether a poll of the stream may have something to hand out. One round trip; two where there are several databases. */
export async function hasTokens(store: ReceiverStore, streamId: string): Promise<boolean> {
  const [rows] = await store.read(
    sql`SELECT ${HAS_SENDABLE} OR EXISTS (SELECT 1 FROM signal_lines AS l
        WHERE l.stream_id = s.id AND l.due_at IS NOT NULL AND l.is_open = 1) AS has
      FROM signal_streams AS s WHERE s.id = ${streamId} AND s.receiver_id = ${store.receiver}`,
  );
  if (rows![0]?.['has'] !== 0 || !isSpread(store.databases)) return rows![0]?.['has'] !== 0;
  const others = await askEach(store.databases, (db) =>
    runBatch(db, [
      sql`SELECT 1 FROM signal_lines WHERE stream_id = ${streamId} AND due_at IS NOT NULL AND is_open = 1 LIMIT 1`,
    ]),
  );
  return others.some(([found]) => found!.length > 0);
}
