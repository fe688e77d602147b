/** What an org's settings ask of a batch, as statements of it: the settings are not read first (promise 7). */
import { type SQL, sql } from 'drizzle-orm';
import { expect } from './expect';
import type { OrgStore } from './open';

/** The id of the group that new users join, or NULL. */
export const defaultGroup = (store: OrgStore): SQL =>
  sql`(SELECT json_extract(settings, '$.defaultGroup') FROM orgs WHERE id = ${store.org})`;

/** To follow the insert of the user, who is in no group yet. Without a default group nothing happens. */
export function joinDefaultGroup(store: OrgStore, userId: string): SQL[] {
  const group = sql`groups.org_id = ${store.org} AND groups.id = ${defaultGroup(store)}`;
  return [
    sql`INSERT INTO memberships (org_id, group_seq, is_group, member_seq)
      SELECT groups.org_id, groups.seq, 0, users.seq FROM groups
        JOIN users ON users.org_id = groups.org_id AND users.id = ${userId} WHERE ${group}`,
    sql`UPDATE groups SET version = version + 1, modified_at = max(modified_at, ${store.now}), member_count = member_count + 1
      WHERE ${group}`,
  ];
}

/** A group that goes away is nobody's default any more. */
export const forgetDefaultGroup = (store: OrgStore, groupId: string): SQL =>
  sql`UPDATE orgs SET settings = json_remove(settings, '$.defaultGroup')
    WHERE id = ${store.org} AND json_extract(settings, '$.defaultGroup') = ${groupId}`;

/** @param roles values that a user is about to get, folded. */
export function expectAllowed(store: OrgStore, roles: readonly string[]): SQL[] {
  if (roles.length === 0) return [];
  const refused = sql`SELECT value FROM json_each(${JSON.stringify(roles)})
    EXCEPT SELECT json_extract(value, '$.key') FROM json_each(settings, '$.roles')`;
  const isMet = sql`json_type(settings, '$.roles') IS NULL OR NOT EXISTS (${refused})`;
  return [expect('allowed_roles', sql`(SELECT ${isMet} FROM orgs WHERE id = ${store.org})`)];
}
