/**
 * Lists that stand in no document: the groups of a user, the members of a group. Here they are conditions on the row of
 * the user or the group. A filter goes through the memberships once for all rows, however long the list of each row is.
 * Only where few rows are left, each row is asked by itself.
 *
 * The "+" keeps SQLite from finding rows by two such sets at once: it would try each of one with each of the other.
 */
import { type SQL, sql } from 'drizzle-orm';
import { groupType, userType } from '../../scim/schema/types';
import type { OrgStore } from '../org/open';
import type { DerivedList } from './columns';
import { UP } from './memberships';

const word = (text: string) => sql.raw(`'${text}'`);

/** `groups` of users, direct and through other groups. */
export function groupsOfUsers(store: OrgStore, baseUrl: string): DerivedList {
  const group = (type: SQL) => ({
    value: sql`g.id`,
    $ref: sql`(${`${baseUrl}${groupType.endpoint}/`} || g.id)`,
    display: sql`g.display_name_key`,
    type,
  });
  const groups = (test: SQL) => sql`groups AS g WHERE g.org_id = ${store.org} AND ${test}`;
  const belowOneOf = (test: SQL) => sql`+users.seq IN (
    WITH RECURSIVE down (is_group, seq) AS (
      SELECT 1, g.seq FROM ${groups(test)}
      UNION SELECT m.is_group, m.member_seq FROM down CROSS JOIN memberships AS m
        ON down.is_group = 1 AND m.org_id = ${store.org} AND m.group_seq = down.seq)
    SELECT seq FROM down WHERE is_group = 0)`;
  const directlyIn = (test: SQL) => sql`+users.seq IN (
    SELECT m.member_seq FROM groups AS g CROSS JOIN memberships AS m
      ON m.org_id = g.org_id AND m.group_seq = g.seq AND m.is_group = 0
    WHERE g.org_id = ${store.org} AND ${test})`;
  /** Below one of these groups, and not directly in that one. */
  const indirectlyIn = (test: SQL) => sql`+users.seq IN (
    WITH RECURSIVE down (root, seq) AS (
      SELECT g.seq, g.seq FROM ${groups(test)}
      UNION SELECT down.root, m.member_seq FROM down CROSS JOIN memberships AS m
        ON m.org_id = ${store.org} AND m.group_seq = down.seq AND m.is_group = 1)
    SELECT m.member_seq FROM down CROSS JOIN memberships AS m
      ON m.org_id = ${store.org} AND m.group_seq = down.seq AND m.is_group = 0
    WHERE down.seq <> down.root AND NOT EXISTS (SELECT 1 FROM memberships AS d
      WHERE d.org_id = m.org_id AND d.group_seq = down.root AND d.is_group = 0 AND d.member_seq = m.member_seq))`;
  return {
    isLong: false,
    some: (test, isNarrow, asks) => {
      if (isNarrow) {
        const type = sql.raw("iif(its.is_direct, 'direct', 'indirect')");
        return sql`EXISTS (${sql.raw(UP)}
          SELECT 1 FROM (SELECT seq, max(is_direct) AS is_direct FROM up GROUP BY seq) AS its
            CROSS JOIN groups AS g ON g.seq = its.seq WHERE ${test(group(type))})`;
      }
      if (!asks.has('type')) return belowOneOf(test(group(sql`NULL`)));
      return sql`(${directlyIn(test(group(word('direct'))))} OR ${indirectlyIn(test(group(word('indirect'))))})`;
    },
  };
}

/** `members` of groups. */
export function membersOfGroups(store: OrgStore, baseUrl: string): DerivedList {
  const user = {
    value: sql`u.id`,
    $ref: sql`(${`${baseUrl}${userType.endpoint}/`} || u.id)`,
    display: sql.raw(`coalesce(json_extract(u.folded, '$.displayName'), u.user_name_key)`),
    type: word('user'),
  };
  const group = {
    value: sql`g.id`,
    $ref: sql`(${`${baseUrl}${groupType.endpoint}/`} || g.id)`,
    display: sql`g.display_name_key`,
    type: word('group'),
  };
  const [no, yes] = [sql.raw('0'), sql.raw('1')];
  /** From the members to their groups. */
  const holding = (members: SQL, memberSeq: SQL, isGroup: SQL, test: SQL) => sql`+groups.seq IN (
    SELECT m.group_seq FROM ${members} CROSS JOIN memberships AS m
      ON m.org_id = ${store.org} AND m.is_group = ${isGroup} AND m.member_seq = ${memberSeq}
    WHERE ${test})`;
  /** From the group in the row to its members. */
  const held = (member: SQL, isGroup: SQL, test: SQL) => sql`EXISTS (
    SELECT 1 FROM memberships AS m CROSS JOIN ${member}
    WHERE m.org_id = groups.org_id AND m.group_seq = groups.seq AND m.is_group = ${isGroup} AND ${test})`;
  return {
    isLong: true,
    some: (test, isNarrow) => {
      const [ofUser, ofGroup] = [test(user), test(group)];
      if (isNarrow) {
        return sql`(${held(sql`users AS u ON u.seq = m.member_seq`, no, ofUser)}
          OR ${held(sql`groups AS g ON g.seq = m.member_seq`, yes, ofGroup)})`;
      }
      const live = sql`u.org_id = ${store.org} AND u.deleted_at IS NULL AND ${ofUser}`;
      return sql`(${holding(sql`users AS u`, sql`u.seq`, no, live)}
        OR ${holding(sql`groups AS g`, sql`g.seq`, yes, sql`g.org_id = ${store.org} AND ${ofGroup}`)})`;
    },
  };
}
