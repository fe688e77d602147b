/**
 * What time does to the journal of each org, and to the tombstones of one that has set how long they are kept; across orgs
 * and for the cron. How long that is, the caller reads from the settings; a setting that is another one by then stops it.
 */

import { type SQL, sql } from 'drizzle-orm';
import type { Actor } from '../../events';
import { runBatch } from '../d1/batch';
import type { Database } from '../d1/database';
import { forget } from '../directory/erase-user';
import { recordEach } from '../journal/record';
import type { OrgStore } from '../org/open';
import type { OrgSettings } from '../org/settings';
import { SETTINGS } from '../org/settings';

/** How long events are kept where it is not set: an audit asks for the last year, and comes some time after its end. */
const DEFAULT_RETAIN_EVENTS = SETTINGS.retainEvents.default;

/** An org to be looked at: as it was set, and how far its journal has been gone through. */
export interface Due extends Pick<OrgSettings, 'retainDeleted'> {
  readonly id: string;
  readonly retainEvents: string;
  /** The org has set one of them. */
  readonly isSet: boolean;
  readonly prunedThrough: number;
}

/** What is kept how long, and which is too old by it: what came at that instant or before. Epoch milliseconds. */
export interface Limit {
  readonly setting: 'retainDeleted' | 'retainEvents';
  /** As it is set. */
  readonly text: string;
  readonly until: number;
}

/** Of a row of `orgs`: the setting, or its default. */
const asSet = (setting: Limit['setting']): SQL =>
  setting === 'retainEvents'
    ? sql.raw(`ifnull(settings ->> '$.retainEvents', '${DEFAULT_RETAIN_EVENTS}')`)
    : sql.raw(`settings ->> '$.retainDeleted'`);

/** The `retained_at` of an org that is being moved: it is left alone, whatever has begun before (moves.ts). */
export const HELD = 9_000_000_000_000_000;

interface DueRow {
  readonly id: string;
  readonly pruned_through: number;
  readonly deleted: string | null;
  readonly events: string;
  readonly is_set: number;
}

/**
 * Those that have waited longest, which go behind all others by this: one that fails, or has much to do, is in nobody's way.
 *
 * @param before who was looked at after that had nothing to do.
 */
export async function takeDue(db: Database, before: number, limit: number): Promise<Due[]> {
  const [rows] = await runBatch(db, [
    sql<DueRow>`UPDATE orgs SET retained_at = ${before} WHERE id IN (SELECT id FROM orgs
        WHERE retained_at <= ${before} AND importing IS NULL ORDER BY retained_at LIMIT ${limit})
      RETURNING id, pruned_through, ${asSet('retainDeleted')} AS deleted, ${asSet('retainEvents')} AS events,
        settings ->> '$.retainEvents' IS NOT NULL OR settings ->> '$.retainDeleted' IS NOT NULL AS is_set`,
  ]);
  return rows.map(({ id, pruned_through, deleted, events, is_set }) => ({
    ...{ id, prunedThrough: pruned_through, retainEvents: events, isSet: is_set === 1 },
    ...(deleted !== null && { retainDeleted: deleted }),
  }));
}

/**
 * There was nothing left to do: the org is not looked at for a while. A setting that was changed meanwhile has it looked
 * at all the same.
 */
export async function rest(db: Database, orgId: string, at: number): Promise<void> {
  await runBatch(db, [
    sql`UPDATE orgs SET retained_at = ${at} WHERE id = ${orgId} AND retained_at > 0 AND retained_at < ${HELD}`,
  ]);
}

/** NULL, which nothing is older than, when the setting is another one by now, or the org is being moved. */
const still = (store: OrgStore, { setting, text, until }: Limit): SQL =>
  sql`(SELECT iif(${asSet(setting)} IS ${text} AND retained_at < ${HELD}, ${until}, NULL) FROM orgs WHERE id = ${store.org})`;

/**
 * Erases tombstones, the oldest first, each with its event. One who is restored at the same moment is a tombstone or is
 * none when this batch asks, and stays or goes as a whole. One round trip.
 *
 * @returns how many.
 */
export async function eraseOld(store: OrgStore, actor: Actor, kept: Limit, limit: number): Promise<number> {
  const old = sql`SELECT id FROM users WHERE org_id = ${store.org} AND deleted_at IS NOT NULL AND erased_at IS NULL
    AND deleted_at <= ${still(store, kept)} ORDER BY deleted_at LIMIT ${limit}`;
  const details = { erased: true, cause: 'retention' };
  const { record, targets, settle } = recordEach(store, actor, old, { type: 'user.erased', details });
  const results = await store.write(
    record,
    ...forget(store, targets),
    sql`SELECT count(*) AS n FROM (${targets})`,
    settle,
  );
  return (results.at(-2)![0]! as { readonly n: number }).n;
}

/**
 * Deletes a chunk of events by age, in the order of their numbers. Of each target the latest event that publishes stays
 * as a bare line: hosts that connect anew read from it who is out (feed.ts). Two round trips.
 *
 * Events are dated as their requests began and numbered as they were committed, so a young one may stand before old ones:
 * those within the chunk go, and the cursor waits for the young one until it is old.
 *
 * @param after the number that the chunk begins behind. @returns whether there may be more to do at once.
 */
export async function pruneEvents(store: OrgStore, after: number, kept: Limit, limit: number): Promise<boolean> {
  const [chunk] = await store.read(
    sql<{
      seq: number;
      at: number;
    }>`SELECT seq, at FROM events WHERE org_id = ${store.org} AND seq > ${after} ORDER BY seq LIMIT ${limit}`,
  );
  const events = chunk.map(({ seq, at }) => ({ seq, isOld: at <= kept.until }));
  const last = events.findLast(({ isOld }) => isOld)?.seq;
  if (last === undefined) return false;
  const young = events.findIndex(({ isOld }) => !isOld);
  const through = young === -1 ? last : (events[young - 1]?.seq ?? after);
  const until = still(store, kept);
  const old = sql`org_id = ${store.org} AND seq > ${after} AND seq <= ${last} AND at <= ${until}`;
  const later = sql`SELECT 1 FROM events AS later INDEXED BY events_target WHERE later.org_id = events.org_id
    AND later.target_id IS events.target_id AND later.seq > events.seq AND later.publishes = 1`;
  const told = sql`SELECT target_id FROM events WHERE ${old} AND publishes = 1 AND target_id IS NOT NULL`;
  const results = await store.write(
    // The bare lines of those of whom this chunk tells anew.
    sql`DELETE FROM events INDEXED BY events_target WHERE org_id = ${store.org} AND target_id IN (${told}) AND seq <= ${after} AND publishes = 1
      AND at <= ${until}`,
    sql`DELETE FROM events WHERE ${old} AND (publishes = 0 OR EXISTS (${later})) RETURNING seq`,
    sql`UPDATE events SET details = '{}' WHERE ${old} AND details <> '{}'`,
    sql`UPDATE orgs SET pruned_through = max(pruned_through, ${through}) WHERE id = ${store.org} AND ${until} IS NOT NULL`,
  );
  const isMoved = through > after || results[1]!.length > 0;
  return isMoved && events.length === limit && events.at(-1)!.isOld;
}
