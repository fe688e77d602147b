/** The cron's work on what is not kept for ever: events, and tombstones where the org says so, by age. */
import { DAY, parseDuration } from '../duration';
import { ScimError } from '../scim/error';
import type { Database } from '../store/d1/database';
import { type Databases, databaseOf, eachDatabase } from '../store/d1/databases';
import { Moving } from '../store/d1/homes';
import { type Due, eraseOld, type Limit, pruneEvents, rest, takeDue } from '../store/operations/retention';
import { OrgStore } from '../store/org/open';

const HOUR = 3_600_000;
/** Of one run, which comes every minute: of each org a chunk, and at once again in the next run while there is more. */
const ORGS_PER_SWEEP = 20;
const TOMBSTONES_PER_SWEEP = 200;
const EVENTS_PER_SWEEP = 500;

/** @throws AggregateError of the orgs that failed, after all others were done; a later run tries them again. */
export async function retain(databases: Databases, now = Date.now()): Promise<void> {
  const failed: unknown[] = [];
  const retainIn = async (db: D1Database) => {
    for (const due of await takeDue(db, now - HOUR, ORGS_PER_SWEEP)) {
      try {
        if (!(await retainOne(databaseOf(databases, due.id), due, now)))
          await rest(db, due.id, now - HOUR + restOf(due));
      } catch (error) {
        const isGone = error instanceof ScimError && error.status === 404; // deleted meanwhile
        if (!isGone && !(error instanceof Moving)) failed.push(error);
      }
    }
  };
  await eachDatabase(databases, retainIn).catch((error: unknown) => failed.push(error));
  if (failed.length > 0) throw new AggregateError(failed, 'retention left orgs behind');
}

/** @returns whether there is more to do. */
async function retainOne(db: Database, due: Due, now: number): Promise<boolean> {
  const store = new OrgStore(db, { kind: 'id', id: due.id }, now);
  const actor = { name: 'service', requestId: crypto.randomUUID() };
  const [deleted, events] = [limitOf('retainDeleted', due, now), limitOf('retainEvents', due, now)];
  const erased = deleted ? await eraseOld(store, actor, deleted, TOMBSTONES_PER_SWEEP) : 0;
  const hasMore = events ? await pruneEvents(store, due.prunedThrough, events, EVENTS_PER_SWEEP) : false;
  return hasMore || erased === TOMBSTONES_PER_SWEEP;
}

/**
 * Milliseconds until the org is looked at again: an hour, or as long as the shortest of its ages if that is less. A day
 * where nothing is set: of these orgs there may be thousands.
 */
function restOf({ retainDeleted, retainEvents, isSet }: Due): number {
  if (!isSet) return DAY;
  const ages = [retainDeleted, retainEvents].flatMap((text) => (text === undefined ? [] : (parseDuration(text) ?? [])));
  return Math.min(HOUR, ...ages);
}

function limitOf(setting: Limit['setting'], due: Due, now: number): Limit | undefined {
  const text = due[setting];
  const age = text === undefined ? undefined : parseDuration(text);
  return text === undefined || age === undefined ? undefined : { setting, text, until: now - age };
}
