/** Memberships as the two ends show them: SQL that the users' and the groups' queries share. */
import { type SQL, sql } from 'drizzle-orm';
import type { Related } from '../../scim/resource';
import type { Row } from '../d1/rows';
import type { OrgStore } from '../org/open';

/**
 * The groups of the user in the row, direct and through other groups. CROSS JOIN: each step goes from a group to those that
 * it is in, and never through all of the org's memberships.
 */
export const UP = `WITH RECURSIVE up (seq, is_direct) AS (
    SELECT group_seq, 1 FROM memberships
      WHERE org_id = users.org_id AND is_group = 0 AND member_seq = users.seq
    UNION SELECT m.group_seq, 0 FROM up CROSS JOIN memberships AS m
      ON m.org_id = users.org_id AND m.is_group = 1 AND m.member_seq = up.seq)`;

/** The groups of the user in the row as one JSON list. */
export const GROUPS_OF_USER = `(
  ${UP}
  SELECT json_group_array(json_object('value', g.id, 'display', g.resource ->> 'displayName',
    'type', iif(its.is_direct, 'direct', 'indirect')))
  FROM (SELECT seq, max(is_direct) AS is_direct FROM up GROUP BY seq) AS its CROSS JOIN groups AS g ON g.seq = its.seq)`;

/** The same for an answer. Where no group of the org is in another one, the user's own memberships are the whole list. */
export const SHOWN_GROUPS_OF_USER = `iif(EXISTS (SELECT 1 FROM memberships WHERE org_id = users.org_id AND is_group = 1),
  ${GROUPS_OF_USER},
  (SELECT json_group_array(json_object('value', g.id, 'display', g.resource ->> 'displayName', 'type', 'direct'))
    FROM memberships AS m CROSS JOIN groups AS g ON g.seq = m.group_seq
    WHERE m.org_id = users.org_id AND m.is_group = 0 AND m.member_seq = users.seq))`;

/** A user's groups as `GROUPS_OF_USER` reads them. */
export function groupsIn(text: unknown): Related[] {
  const list = JSON.parse(text as string) as { value: string; display: string; type: 'direct' | 'indirect' }[];
  return list.map(({ value, display, type }) => ({ id: value, display, type }));
}

/** A user as a member, read from an index: the expression and the conditions are its own, to the letter. */
const USERS = {
  display: "coalesce(json_extract(u.resource, '$.displayName'), json_extract(u.resource, '$.userName'))",
  join: `users AS u INDEXED BY users_search
    ON u.org_id = m.org_id AND u.org_id <> '' AND u.seq = m.member_seq AND u.deleted_at IS NULL`,
};
const GROUPS = { display: "json_extract(u.resource, '$.displayName')", join: 'groups AS u ON u.seq = m.member_seq' };

/**
 * The direct members of one group or several, a row each, in a lasting order.
 *
 * @param groups a query for their seqs.
 * @param isOne whether it finds one at most: then the order is that of the key, and nothing is sorted. A row has no more than
 *   `memberOf` reads, for a group has thousands.
 */
export function selectMembers(store: OrgStore, groups: SQL, isOne: boolean): SQL {
  const members = ({ display, join }: typeof USERS, isGroup: 0 | 1) => sql`
    SELECT ${sql.raw(isOne ? '' : 'm.group_seq, m.member_seq, ')}u.id, m.is_group, ${sql.raw(display)} AS display
    FROM memberships AS m CROSS JOIN ${sql.raw(join)}
    WHERE m.org_id = (SELECT id FROM org) AND m.group_seq ${sql.raw(isOne ? '=' : 'IN')} (SELECT seq FROM chosen)
      AND m.is_group = ${sql.raw(String(isGroup))}`;
  const all = isOne
    ? sql`SELECT * FROM (${members(USERS, 0)} ORDER BY m.member_seq)
      UNION ALL SELECT * FROM (${members(GROUPS, 1)} ORDER BY m.member_seq)`
    : sql`${members(USERS, 0)} UNION ALL ${members(GROUPS, 1)} ORDER BY group_seq, is_group, member_seq`;
  return sql`WITH org (id) AS (SELECT ${store.org}), chosen (seq) AS MATERIALIZED (${groups}) ${all}`;
}

export function memberOf(row: Row): Related {
  return {
    id: row['id'] as string,
    type: row['is_group'] === 1 ? 'Group' : 'User',
    display: row['display'] as string | null,
  };
}

/** Groups that this id, a user's or a group's, is a direct member of. */
export const groupsWithMember = (store: OrgStore, id: SQL): SQL => sql`
  SELECT group_seq FROM memberships WHERE org_id = ${store.org} AND is_group = 0 AND member_seq =
    (SELECT seq FROM users WHERE org_id = ${store.org} AND id = ${id} AND deleted_at IS NULL)
  UNION ALL SELECT group_seq FROM memberships WHERE org_id = ${store.org} AND is_group = 1 AND member_seq =
    (SELECT seq FROM groups WHERE org_id = ${store.org} AND id = ${id})`;

/** Users in this group, direct and through other groups. */
export const usersInGroup = (store: OrgStore, id: SQL): SQL => sql`
  WITH RECURSIVE down (is_group, seq) AS (
    SELECT 1, seq FROM groups WHERE org_id = ${store.org} AND id = ${id}
    UNION SELECT m.is_group, m.member_seq FROM down CROSS JOIN memberships AS m
      ON down.is_group = 1 AND m.org_id = ${store.org} AND m.group_seq = down.seq)
  SELECT seq FROM down WHERE is_group = 0`;

/** A member that goes away leaves its groups, whose versions and counts move with it. */
export function leaveAllGroups(store: OrgStore, type: 'User' | 'Group', seq: SQL): SQL[] {
  const mine = sql`FROM memberships WHERE org_id = ${store.org} AND is_group = ${type === 'Group' ? 1 : 0} AND member_seq = ${seq}`;
  return [
    sql`UPDATE groups SET version = version + 1, modified_at = max(modified_at, ${store.now}), member_count = member_count - 1
      WHERE org_id = ${store.org} AND seq IN (SELECT group_seq ${mine})`,
    sql`DELETE ${mine}`,
  ];
}

/** What a group allows, as one JSON list in the order of its words. */
export const permissionsIn = (store: OrgStore, groupSeq: SQL): SQL => sql`(
  SELECT json_group_array(permission) FROM (SELECT permission FROM group_permissions
    WHERE org_id = ${store.org} AND group_seq = ${groupSeq} ORDER BY permission))`;

/** What the user in the row may do, by each of its groups, as one JSON list: each word once, in the order of the words. */
export const PERMISSIONS_OF_USER = `(
  ${UP}
  SELECT json_group_array(permission) FROM (
    SELECT DISTINCT p.permission FROM up JOIN group_permissions AS p ON p.org_id = users.org_id AND p.group_seq = up.seq
    ORDER BY p.permission))`;
