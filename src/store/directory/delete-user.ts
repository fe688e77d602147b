/** How a user goes: a tombstone that keeps the account, or erasure, as the org's policies say. */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor, EventType } from '../../events';
import { atOneOf, expect } from '../d1/expect';
import { endSessions, only } from '../journal/end-sessions';
import { committedState, type Publication, selectCommitted } from '../journal/outbox';
import { beforeIn, count, recordAs } from '../journal/record';
import type { OrgStore } from '../org/open';
import { takeOut } from './deactivation-limit';
import { erasure, forget } from './erase-user';
import { leaveAllGroups } from './memberships';
import { deleteEmails, live, type StoredUser, seqOf } from './users';

/** Of the user in the row, by id: for the event that tells why someone is not in them any more. */
const directGroups = (store: OrgStore): SQL => sql`(SELECT json_group_array(g.id) FROM memberships AS m
  JOIN groups AS g ON g.seq = m.group_seq
  WHERE m.org_id = ${store.org} AND m.is_group = 0 AND m.member_seq = users.seq)`;

/** What `onDelete` makes of a deletion: its name and its details, and the user if nothing but its id is to stay. */
function deletion(store: OrgStore, id: string, actor: Actor) {
  const isErased = sql`(SELECT ifnull(settings ->> '$.onDelete', '') = 'erase' FROM orgs WHERE id = ${store.org})`;
  const more = sql`'leftGroups', json(${directGroups(store)}), 'client', ${actor.client ?? null}`;
  return {
    type: sql<EventType>`iif(${isErased}, 'user.erased', 'user.deleted')`,
    details: sql`(SELECT iif(${isErased}, json_object('erased', json('true'), 'cause', 'deleted', ${more}),
      json_patch(json_object(${more}), ${beforeIn(sql`resource`, sql`json_object('userName', resource -> '$.userName')`)})) FROM users WHERE ${live(store, id)})`,
    erased: sql`SELECT ${id} AS id WHERE ${isErased}`,
  };
}

/**
 * A tombstone in the place of a live user: 404 to SCIM, the userName free, the data kept, or erased where the org says so
 * (`onDelete`). One round trip.
 *
 * @param versions only at one of these versions (If-Match); undefined: at any.
 * @param isBraked false: the operator has released it from the brake.
 * @throws Unmet `found`: there is no such user at such a version. Unmet `linking`: it is the host app's own. Unmet
 *   `protected`, `rejected`, `brake`: it may not go, or not yet.
 * @returns what is to be published.
 */
export async function buryUser(
  store: OrgStore,
  id: string,
  versions: readonly string[] | undefined,
  actor: Actor,
  isBraked = true,
): Promise<Publication> {
  const meant = sql`${live(store, id)}${atOneOf(versions, sql`users.version`)}`;
  const { type, details, erased } = deletion(store, id, actor);
  const results = await store.write(
    expect('found', sql`EXISTS (SELECT 1 FROM users WHERE ${meant})`),
    ...takeOut(store, id, isBraked),
    count(store, { users: -1, activeUsers: sql`-(SELECT active FROM users WHERE ${live(store, id)})` }),
    recordAs(store, actor, { type, targetId: id, publishes: true }, details),
    deleteEmails(store, id),
    ...leaveAllGroups(store, 'User', seqOf(store, id)),
    sql`UPDATE users SET deleted_at = ${store.now}, active = 0, version = version + 1, modified_at = max(modified_at, ${store.now}),
        linked_at = iif(origin = 'host', ifnull(linked_at, ${store.now}), NULL)
      WHERE ${live(store, id)}`,
    ...endSessions(store, only(id)),
    ...forget(store, erased),
    selectCommitted(store, id),
  );
  return committedState(results.at(-1));
}

/**
 * Somebody whom the identity provider deactivates, in an org where then nothing but the id is to stay (`onDeactivate`).
 *
 * @throws Unmet as `replaceUser` does.
 * @returns what is to be published.
 */
export async function eraseUser(
  store: OrgStore,
  before: StoredUser,
  actor: Actor,
  isBraked: boolean,
): Promise<Publication> {
  const results = await store.write(
    expect(
      'version',
      sql`EXISTS (SELECT 1 FROM users WHERE ${live(store, before.id)} AND version = ${before.version})`,
    ),
    ...takeOut(store, before.id, isBraked),
    ...erasure(store, before.id, actor, 'deactivated'),
    selectCommitted(store, before.id),
  );
  return committedState(results.at(-1));
}
