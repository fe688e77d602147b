/** How a user goes: a tombstone that keeps the account, or erasure, as the org's policies say. */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor } from '../../events';
import { atOneOf } from '../d1/expect';
import { type Outcome, outcomeOf } from '../d1/outcome';
import type { Row } from '../d1/rows';
import { ended, only } from '../journal/end-sessions';
import { committedState, type Publication, publishCommitted, selectCommitted } from '../journal/outbox';
import { beforeIn, count, recordAs } from '../journal/record';
import type { OrgStore } from '../org/open';
import { takeOut } from './deactivation-limit';
import { erasure, forget } from './erase-user';
import { leaveAllGroups } from './memberships';
import { deleteEmails } from './user-changes';
import { live, type StoredUser, seqOf } from './users';

/** Of the user in the row, by id: for the event that tells why someone is not in them any more. */
const directGroups = (store: OrgStore): SQL => sql`(SELECT json_group_array(g.id) FROM memberships AS m
  JOIN groups AS g ON g.seq = m.group_seq
  WHERE m.org_id = ${store.org} AND m.is_group = 0 AND m.member_seq = users.seq)`;

/** What `onDelete` makes of a deletion: its name and its details. */
function deletion(store: OrgStore, id: string, actor: Actor) {
  const isErased = store.profile.settings.onDelete === 'erase';
  const more = sql`'leftGroups', json(${directGroups(store)}), 'client', ${actor.client ?? null}`;
  return {
    isErased,
    type: isErased ? ('user.erased' as const) : ('user.deleted' as const),
    details: isErased
      ? sql`(SELECT json_object('erased', json('true'), 'cause', 'deleted', ${more}) FROM users WHERE ${live(store, id)})`
      : sql`(SELECT json_patch(json_object(${more}), ${beforeIn(sql`resource`, sql`json_object('userName', resource -> '$.userName')`)})
          FROM users WHERE ${live(store, id)})`,
  };
}

/**
 * `found`: there is no such user. `version`: it is at another version. `linking`: it is the application's own. `protected`,
 * `rejected`, `brake`: it may not go, or not yet.
 */
const REFUSALS = ['found', 'version', 'linking', 'protected', 'rejected', 'brake'] as const;
export type LeavingRefusal = (typeof REFUSALS)[number];

/**
 * A tombstone in the place of a live user: 404 to SCIM, the userName free, the data kept, or erased where the org says so
 * (`onDelete`). One round trip.
 *
 * @param versions only at one of these versions (If-Match); undefined: at any.
 * @param isLimited false: the operator has released it from the deactivation limit.
 * @returns what is to be published.
 */
export async function buryUser(
  store: OrgStore,
  id: string,
  versions: readonly string[] | undefined,
  actor: Actor,
  isLimited = true,
): Promise<Outcome<Publication, LeavingRefusal>> {
  const { isErased, type, details } = deletion(store, id, actor);
  const otherwise = versions
    ? sql`iif(EXISTS (SELECT 1 FROM users WHERE ${live(store, id)}), 'version', 'found')`
    : 'found';
  const write = store.write(
    ...takeOut(store, id, { only: atOneOf(versions, sql`users.version`), otherwise, isLimited }),
    count(store, { users: -1, activeUsers: sql`-(SELECT active FROM users WHERE ${live(store, id)})` }),
    recordAs(store, actor, { type, targetId: id, publishes: true }, details),
    deleteEmails(store, id),
    ...leaveAllGroups(store, 'User', seqOf(store, id)),
    sql`UPDATE users SET deleted_at = ${store.now}, active = 0, version = version + 1, modified_at = max(modified_at, ${store.now}),
        linked_at = iif(origin = 'host', ifnull(linked_at, ${store.now}), NULL), ${ended(store, actor)}
      WHERE ${live(store, id)}`,
    ...(isErased ? forget(store, only(id)) : []),
    publishCommitted(store, id),
  );
  return published(await outcomeOf(write, REFUSALS));
}

/**
 * Somebody whom the identity provider deactivates, in an org where then nothing but the id is to stay (`onDeactivate`).
 *
 * @returns what is to be published.
 */
export async function eraseUser(
  store: OrgStore,
  before: StoredUser,
  actor: Actor,
  isLimited: boolean,
): Promise<Outcome<Publication, LeavingRefusal>> {
  const write = store.write(
    ...takeOut(store, before.id, { only: sql` AND version = ${before.version}`, otherwise: 'version', isLimited }),
    ...erasure(store, before.id, actor, 'deactivated'),
    selectCommitted(store, before.id),
  );
  return published(await outcomeOf(write, REFUSALS));
}

/** The last statement says what is to be published. */
const published = (outcome: Outcome<Row[][], LeavingRefusal>): Outcome<Publication, LeavingRefusal> =>
  'refused' in outcome ? outcome : { done: committedState(outcome.done.at(-1)) };
