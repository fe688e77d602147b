/**
 * Erasure: what is known of a person is removed everywhere, and only ids stay. Here is what it takes in the database; who
 * is erased, and when, the callers know.
 */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor } from '../../events';
import { expect } from '../d1/expect';
import { endSessions, only } from '../journal/end-sessions';
import { count, recordAs } from '../journal/record';
import type { OrgStore } from '../org/open';
import { leaveAllGroups } from './memberships';

/** Of an event's details, what names no person and tells what happened. */
const KEPT = [
  'cause',
  'by',
  'client',
  'defaultGroup',
  'event',
  'group',
  'issuer',
  'leftGroups',
  'linked',
  'notLinked',
  'notRestored',
  'operation',
  'refused',
  'sameExternalId',
  'until',
];

/** Older events name the quirks `bends`. */
const NAMED = `coalesce(details -> '$.quirks', details -> '$.bends')`;

/** The names of the quirks. That of an unknown path is followed by the client's own text (scim/quirks.ts). */
const QUIRKS = `iif(json_type(${NAMED}) = 'array', json((SELECT json_group_array(
  iif(value LIKE 'unknown-path:%', 'unknown-path', value)) FROM json_each(${NAMED}))), NULL)`;

/** What a patch leaves out when it is NULL. */
const KEPT_OF_DETAILS = `json_patch('{"erased":true}', json_object(
  'quirks', ${QUIRKS}, ${KEPT.map((name) => `'${name}', details -> '$.${name}'`).join(', ')},
  'attributes', iif(json_type(details, '$.changed') = 'object', json((SELECT json_group_array(key) FROM (
    SELECT key FROM json_each(details, '$.changed') UNION ALL SELECT key FROM json_each(details, '$.leftOut')))), NULL)))`;

/**
 * `details` without a value of anybody: of attributes only which they were, and whether the user was active. The latter is
 * set, not patched: a patch would drop the null of what was unassigned before.
 */
const scrubbed = sql.raw(`CASE WHEN json_type(details, '$.changed.active') IS NULL THEN ${KEPT_OF_DETAILS}
  ELSE json_set(${KEPT_OF_DETAILS}, '$.changed', json_object('active', details -> '$.changed.active')) END`);

/**
 * Of these users, nothing but the ids stays: not in their rows, the indexes, nor the journal. For tombstones this is all;
 * a live user has to leave its groups and be counted first (`erasure`).
 *
 * @param whose a query for the `id`s of users of the org, which what is done here does not change.
 */
export const forget = (store: OrgStore, whose: SQL): SQL[] => [
  sql`DELETE FROM user_emails WHERE org_id = ${store.org} AND user_seq IN (
    SELECT seq FROM users WHERE org_id = ${store.org} AND id IN (SELECT id FROM (${whose})))`,
  sql`DELETE FROM brake_held WHERE org_id = ${store.org} AND user_id IN (SELECT id FROM (${whose}))`,
  sql`UPDATE events SET details = ${scrubbed}
    WHERE org_id = ${store.org} AND target_id IN (SELECT id FROM (${whose})) AND details ->> '$.erased' IS NULL`,
  sql`UPDATE users SET user_name_key = '', external_id = NULL, resource = '{}', folded = '{}', active = 0, protected = 0,
      deleted_at = ifnull(deleted_at, ${store.now}), erased_at = ${store.now}, version = version + 1,
      modified_at = max(modified_at, ${store.now})
    WHERE org_id = ${store.org} AND erased_at IS NULL AND id IN (SELECT id FROM (${whose}))`,
];

export type Cause = 'deleted' | 'deactivated' | 'operator' | 'retention';

/** A user who is not erased yet, live or a tombstone. */
const meant = (store: OrgStore, id: string): SQL =>
  sql`users.org_id = ${store.org} AND users.id = ${id} AND users.erased_at IS NULL`;

/**
 * One user, live or deleted, with the event `user.erased`; every session until now is dead.
 *
 * @param details beyond the cause and the groups that were left.
 * @throws Unmet `found`: there is no such user, or nothing is left of it.
 */
export function erasure(store: OrgStore, id: string, actor: Actor, cause: Cause, details: object = {}): SQL[] {
  const user = sql`(SELECT seq FROM users WHERE ${meant(store, id)})`;
  const live = (what: SQL) => sql`(SELECT ${what} FROM users WHERE ${meant(store, id)} AND deleted_at IS NULL)`;
  const left = sql`(SELECT json_group_array(g.id) FROM memberships AS m JOIN groups AS g ON g.seq = m.group_seq
    WHERE m.org_id = ${store.org} AND m.is_group = 0 AND m.member_seq = ${user})`;
  return [
    expect('found', sql`EXISTS (SELECT 1 FROM users WHERE ${meant(store, id)})`),
    count(store, {
      users: sql`-ifnull(${live(sql`1`)}, 0)`,
      activeUsers: sql`-ifnull(${live(sql`active`)}, 0)`,
    }),
    recordAs(
      store,
      actor,
      { type: 'user.erased', targetId: id, publishes: true },
      sql`json_patch(${JSON.stringify({ erased: true, cause, ...details, client: actor.client })}, json_object('leftGroups', json(${left})))`,
    ),
    ...leaveAllGroups(store, 'User', user),
    ...endSessions(store, actor, only(id)),
    ...forget(store, only(id)),
  ];
}

/**
 * What an operator asks for. One round trip.
 *
 * @throws Unmet `unprotected`: the account is live, and the vendor protects it. Unmet `found`: as `erasure`.
 */
export async function eraseUser(store: OrgStore, id: string, actor: Actor, details: object): Promise<void> {
  const isProtected = sql`SELECT 1 FROM users WHERE ${meant(store, id)} AND deleted_at IS NULL AND protected = 1`;
  await store.write(
    expect('unprotected', sql`NOT EXISTS (${isProtected})`),
    ...erasure(store, id, actor, 'operator', details),
  );
}
