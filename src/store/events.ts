/** The audit journal: statements that ride in the batch of the change they tell of (promise 6). */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor, Happening } from '../events';
import type { OrgStore } from './open';

/** How the org's counters move with an event. */
export interface Count {
  readonly users?: SQL | number;
  readonly activeUsers?: SQL | number;
  readonly groups?: number;
}

/**
 * The next number of the org's journal, taken together with the counters. Alone in its batch to change the org's row,
 * so that numbers have no gap: an aborted batch gives its number back.
 */
export function count(store: OrgStore, { users = 0, activeUsers = 0, groups = 0 }: Count = {}): SQL {
  return sql`UPDATE orgs SET event_seq = event_seq + 1, user_count = user_count + ${users},
    active_user_count = active_user_count + ${activeUsers}, group_count = group_count + ${groups} WHERE id = ${store.org}`;
}

/** To follow `count` in the same batch. */
export function record(store: OrgStore, actor: Actor, happening: Happening): SQL {
  return recordAs(store, actor, happening, sql`${JSON.stringify({ ...happening.details, client: actor.client })}`);
}

/** `record` with details that only the database knows. */
export function recordAs(
  store: OrgStore,
  actor: Actor,
  { type, targetId, publishes = false }: Omit<Happening, 'details'>,
  details: SQL,
): SQL {
  return sql`INSERT INTO events (org_id, seq, at, type, actor, credential_id, target_id, request_id, details, publishes)
    SELECT id, event_seq, ${store.now}, ${type}, ${actor.name}, ${store.credential}, ${targetId ?? null},
      ${actor.requestId}, ${details}, ${publishes ? 1 : 0} FROM orgs WHERE id = ${store.org}`;
}
