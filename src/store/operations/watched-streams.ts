/** Streams of signals as operators see them: each with how its delivery goes, in all databases together. */
import { sql } from 'drizzle-orm';
import { runBatch } from '../d1/batch';
import { type Databases, isSpread, mainDatabase } from '../d1/databases';
import { list } from '../d1/incomplete';
import { orAbsent, type Row } from '../d1/rows';
import { type SignalStream, streamOf } from './signal-streams';

/** A stream with how its delivery goes, in all orgs together or in one. */
export interface WatchedStream extends SignalStream {
  /** Orgs of which something is still to be sent, and orgs whose latest attempt failed. */
  readonly behind: number;
  readonly failing: number;
  readonly failingSince: number | undefined;
  readonly lastError: string | undefined;
  readonly deliveredAt: number | undefined;
}

const watchedOf = (row: Row): WatchedStream => ({
  ...streamOf(row),
  behind: row['behind'] as number,
  failing: row['failing'] as number,
  failingSince: orAbsent(row['failing_since'] as number | null),
  lastError: orAbsent(row['last_error'] as string | null),
  deliveredAt: orAbsent(row['delivered_at'] as number | null),
});

const WATCHED =
  sql.raw(`count(l.due_at) AS behind, total(l.failures > 0) AS failing, min(l.failing_since) AS failing_since,
  max(l.last_error) AS last_error, max(l.delivered_at) AS delivered_at`);

/** The oldest first. How delivery goes is told by those databases that answer. */
export async function listStreamsOfReceiver(
  databases: Databases,
  receiverId: string,
): Promise<{ readonly streams: readonly WatchedStream[]; readonly incomplete: readonly string[] }> {
  const query = sql`SELECT s.*, ${WATCHED} FROM signal_streams AS s LEFT JOIN signal_lines AS l ON l.stream_id = s.id
    WHERE s.receiver_id = ${receiverId} GROUP BY s.id ORDER BY s.created_at, s.id`;
  if (!isSpread(databases)) {
    const { answers, incomplete } = await list(databases, (db) => runBatch(db, [query]));
    return { streams: answers.flatMap(([rows]) => rows!.map(watchedOf)), incomplete };
  }
  const [[decided], { answers, incomplete }] = await Promise.all([
    runBatch(mainDatabase(databases), [sql`SELECT id, refused FROM signal_streams WHERE receiver_id = ${receiverId}`]),
    list(databases, async (db, isMain) => ({ isMain, rows: (await runBatch(db, [query]))[0]! })),
  ]);
  const isThere = new Set(decided!.map((row) => row['id']));
  const found = new Map<string, WatchedStream>();
  for (const { isMain, rows } of answers) {
    for (const stream of rows.filter(({ id }) => isThere.has(id)).map(watchedOf)) {
      const other = found.get(stream.id);
      found.set(stream.id, other ? together(stream, other, isMain) : stream);
    }
  }
  const streams = [...found.values()].sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
  return { streams, incomplete };
}

/** @param isDecided the first is what `DB` says. */
function together(one: WatchedStream, other: WatchedStream, isDecided: boolean): WatchedStream {
  const latest = (a: number | undefined, b: number | undefined) => (a === undefined || (b ?? 0) > a ? b : a);
  const earliest = (a: number | undefined, b: number | undefined) => (a === undefined || (b ?? a) < a ? b : a);
  return {
    ...(isDecided ? one : other),
    refused: one.refused + other.refused,
    lastRefusal: one.lastRefusal ?? other.lastRefusal,
    behind: one.behind + other.behind,
    failing: one.failing + other.failing,
    failingSince: earliest(one.failingSince, other.failingSince),
    lastError: one.lastError ?? other.lastError,
    deliveredAt: latest(one.deliveredAt, other.deliveredAt),
  };
}
