/** How far streams of signals are in the journal of each org, and the lines that are pushed: no second copy of the journal. */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor } from '../../events';
import { runBatch } from '../d1/batch';
import { askEach, type Databases, databaseOf, isSpread, mainDatabase } from '../d1/databases';
import { orAbsent, type Row, rowOf } from '../d1/rows';
import { signalLines } from '../d1/tables';
import { count, record } from '../journal/record';
import { openStore } from '../org/open';
import { copyChanges } from './copies';
import { type ControlEvent, type PushedStream, pushedStreamOf, queued } from './signal-streams';

/**
 * A place on a line: the number of the event, and which of its tokens. An event has fewer of them, for it names at most
 * 1,000 who joined and 1,000 who left.
 */
export const TOKENS_PER_EVENT = 4_096;
export const placeOf = (seq: number, token: number): number => seq * TOKENS_PER_EVENT + token;
/** Behind all tokens of the event. */
export const endOf = (seq: number): number => placeOf(seq, TOKENS_PER_EVENT - 1);
export const seqOf = (place: number): number => Math.floor(place / TOKENS_PER_EVENT);

/** How far a stream is in one org. Instants are epoch milliseconds. */
export interface SignalLine {
  readonly orgId: string;
  readonly place: number;
  readonly dueAt: number | undefined;
  readonly failures: number;
  readonly failingSince: number | undefined;
  readonly handedOut: HandedOut | undefined;
}

/** What a poll was answered, and is not acknowledged. */
export interface HandedOut {
  readonly places: readonly number[];
  /** Once all of them are acknowledged, everything up to here is delivered. */
  readonly through: number;
}

export interface DueSignalLine extends SignalLine {
  readonly stream: PushedStream;
}

/** Neither a stream nor a receiver has columns of these names. */
export const LINE = sql.raw('l.org_id, l.place, l.due_at, l.failures, l.failing_since, l.handed_out');
const rowOfLine = rowOf(signalLines, 'orgId', 'place', 'dueAt', 'failures', 'failingSince', 'handedOut');

export function lineOf(row: Row): SignalLine {
  const { dueAt, failingSince, handedOut, ...line } = rowOfLine(row);
  return {
    ...line,
    dueAt: orAbsent(dueAt),
    failingSince: orAbsent(failingSince),
    handedOut: handedOut === null ? undefined : JSON.parse(handedOut),
  };
}

const SELECT = sql`SELECT s.*, r.audience, r.algorithm, r.subject, ${LINE} FROM signal_lines AS l
  JOIN signal_streams AS s ON s.id = l.stream_id JOIN signal_receivers AS r ON r.id = s.receiver_id`;

/**
 * All of the org that are pushed, those whose time has not come included. One round trip; two where there are several
 * databases, for `DB` decides about streams.
 */
export async function readDueSignalLines(databases: Databases, orgId: string): Promise<DueSignalLine[]> {
  const [rows] = await runBatch(databaseOf(databases, orgId), [
    sql`${SELECT} WHERE l.org_id = ${orgId} AND l.due_at IS NOT NULL AND l.is_open = 1 AND l.pushes = 1`,
  ]);
  const lines = rows!.map((row) => ({ ...lineOf(row), stream: pushedStreamOf(row) }));
  if (lines.length === 0 || !isSpread(databases)) return lines;
  const [originals] = await runBatch(mainDatabase(databases), [
    sql`SELECT s.*, r.audience, r.algorithm, r.subject FROM json_each(${JSON.stringify(lines.map(({ stream }) => stream.id))}) AS it
      CROSS JOIN signal_streams AS s ON s.id = it.value JOIN signal_receivers AS r ON r.id = s.receiver_id
      WHERE s.method = 'push' AND s.status = 'enabled' AND r.disabled_at IS NULL`,
  ]);
  const streams = new Map(originals!.map(pushedStreamOf).map((stream) => [stream.id, stream]));
  return lines.flatMap((line) => {
    const stream = streams.get(line.stream.id);
    return stream === undefined ? [] : [{ ...line, stream }];
  });
}

/** The line as it was read: nobody has moved or closed it. */
const isSame = ({ orgId, place, stream }: DueSignalLine): SQL =>
  sql`org_id = ${orgId} AND stream_id = ${stream.id} AND place = ${place} AND is_open = 1`;

/** Whether the org has events behind a place, or tokens of the event that the place is in. */
export const isBehind = (orgId: SQL | string, place: number): SQL =>
  sql`(SELECT event_seq * 4096 + 4095 FROM orgs WHERE id = ${orgId}) > ${place}`;

/** What the receiver said that it cannot read, since the line was last moved. */
export interface Refusals {
  readonly count: number;
  /** What it said of the last one. */
  readonly last: string;
}

export const refusedIn = (streamId: string, refusals: Refusals | undefined): SQL[] =>
  refusals === undefined
    ? []
    : [
        sql`UPDATE signal_streams SET refused = refused + ${refusals.count}, last_refusal = ${refusals.last} WHERE id = ${streamId}`,
      ];

/** @param through a place. @returns as `Kind.advance` (webhooks/deliveries.ts). */
export async function advanceSignalLine(
  databases: Databases,
  line: DueSignalLine,
  through: number,
  deliveredAt: number | undefined,
  lostThrough: number | undefined,
  refusals: Refusals | undefined,
): Promise<'more' | 'done' | 'other'> {
  const good =
    deliveredAt === undefined
      ? sql``
      : sql`, delivered_at = ${deliveredAt}, failures = 0, failing_since = NULL, last_error = NULL`;
  const [rows] = await runBatch(databaseOf(databases, line.orgId), [
    // An event that is committed meanwhile is seen here, or finds the line not due, and makes it so.
    sql`UPDATE signal_lines SET place = ${through}${good}, lost_through = ifnull(${lostThrough ?? null}, lost_through),
        due_at = iif(${isBehind(line.orgId, through)}, 0, NULL)
      WHERE ${isSame(line)} RETURNING due_at`,
    ...refusedIn(line.stream.id, refusals),
  ]);
  if (rows!.length === 0) return 'other';
  return rows![0]!['due_at'] === null ? 'done' : 'more';
}

/** A token was not delivered: the line waits. */
export async function pauseSignalLine(
  databases: Databases,
  line: DueSignalLine,
  failed: {
    readonly through: number;
    readonly failures: number;
    readonly since: number;
    readonly error: string;
    readonly until: number;
  },
  refusals: Refusals | undefined,
): Promise<void> {
  const { through, failures, since, error, until } = failed;
  await runBatch(databaseOf(databases, line.orgId), [
    sql`UPDATE signal_lines SET place = ${through}, failures = ${failures}, failing_since = ${since}, last_error = ${error},
      due_at = ${until} WHERE ${isSame(line)}`,
    ...refusedIn(line.stream.id, refusals),
  ]);
}

/** The whole stream waits, until its receiver says otherwise: nothing is dropped. The journal of the org says so. */
export async function pauseStream(
  databases: Databases,
  line: DueSignalLine,
  { through, error, reason, event }: { through: number; error: string; reason: string; event: ControlEvent },
): Promise<void> {
  const store = openStore(databases, { kind: 'id', id: line.orgId }, Date.now());
  const { id, endpointUrl } = line.stream;
  const actor: Actor = { name: 'service', requestId: event.txn ?? crypto.randomUUID() };
  const details = { why: 'failing', error, ...(endpointUrl !== undefined && { host: new URL(endpointUrl).host }) };
  const pausing = [
    sql`UPDATE signal_streams SET reason = ${reason}, ${queued(event)} WHERE id = ${id} AND status = 'enabled'`,
    sql`UPDATE signal_streams SET status = 'paused' WHERE id = ${id} AND status = 'enabled'`,
  ];
  const isSplit = isSpread(databases);
  if (isSplit) await runBatch(mainDatabase(databases), pausing);
  await store.write(
    sql`UPDATE signal_lines SET place = ${through}, last_error = ${error} WHERE ${isSame(line)}`,
    count(store),
    record(store, actor, { type: 'signals.stream_paused', targetId: id, details }),
    ...(isSplit ? [] : pausing),
  );
  if (isSplit) await copyChanges(databases);
}

/** Orgs of which something is to be pushed to streams of this receiver, at most so many. */
export async function orgsToPush(databases: Databases, receiverId: string, limit: number): Promise<string[]> {
  const found = await askEach(databases, (db) =>
    runBatch(db, [
      sql<{ org_id: string }>`SELECT DISTINCT l.org_id FROM signal_streams AS s CROSS JOIN signal_lines AS l
        ON l.stream_id = s.id AND l.due_at IS NOT NULL AND l.pushes = 1
      WHERE s.receiver_id = ${receiverId} LIMIT CAST(${limit} AS INTEGER)`,
    ]),
  );
  return found.flatMap(([rows]) => rows.map((row) => row.org_id)).slice(0, limit);
}
