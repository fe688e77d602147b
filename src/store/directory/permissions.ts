/** Groups as the application's roles: what the administrator lets their members do. No identity provider sees or moves it. */
import { sql } from 'drizzle-orm';
import type { Actor } from '../../events';
import { DEFAULT_PAGE, type Query } from '../../scim/query';
import { expect } from '../d1/expect';
import { count, recordAs } from '../journal/record';
import type { OrgStore } from '../org/open';
import { expectAffordable, tooCostlyHere } from './filter-cost';
import { groupOf, listGroups, meant, SELECT, type StoredGroup, seqOf, which } from './groups';
import { isBeyond } from './list';
import { memberOf, permissionsIn, selectMembers } from './memberships';

/** A group with what its members may do, in the order of the words. */
export interface GroupWithPermissions {
  readonly group: StoredGroup;
  readonly permissions: readonly string[];
}

interface PermissionsRow {
  readonly group_seq: number;
  /** JSON. */
  readonly permissions: string;
}

const withPermissions = (
  group: StoredGroup,
  row: { readonly permissions: string } | undefined,
): GroupWithPermissions => ({
  group,
  permissions: JSON.parse(row?.permissions ?? '[]'),
});

/** What is asked of a group but its members, whose rows are not touched. */
const NO_MEMBERS = { without: new Map([['members', new Map()]]) };

/** A page of groups without their members. One round trip. */
export async function listWithPermissions(store: OrgStore, query: Query, baseUrl: string) {
  const list = listGroups(store, { ...query, projection: NO_MEMBERS }, baseUrl);
  expectAffordable(2 * list.cost);
  const permissions = sql<PermissionsRow>`SELECT group_seq, json_group_array(permission) AS permissions FROM (
      SELECT group_seq, permission FROM group_permissions
      WHERE org_id = ${store.org} AND group_seq IN (${list.seqs}) ORDER BY group_seq, permission)
    GROUP BY group_seq`;
  const [permitted, ...results] = await store.read(permissions, ...(list.total ? [list.total] : []), ...list.page);
  if (isBeyond(list, store.tenant)) throw tooCostlyHere();
  const counted = list.count ? store.tenant[list.count] : list.total && (results.shift()![0]!['total'] as number);
  const { resources, total } = await list.read(results);
  const byGroup = new Map(permitted.map((row) => [row.group_seq, row]));
  return {
    total: (counted ?? total)!,
    groups: (resources as readonly StoredGroup[]).map((group) => withPermissions(group, byGroup.get(group.seq))),
  };
}

/** With the first of its members, a page of them. One round trip. */
export async function findGroup(store: OrgStore, idOrDisplayName: string): Promise<GroupWithPermissions | undefined> {
  const seq = meant(store, idOrDisplayName, 'seq');
  const [groups, permissions, members] = await store.read(
    sql`${SELECT} WHERE groups.org_id = ${store.org} AND groups.seq = ${seq}`,
    sql<{ permissions: string }>`SELECT ${permissionsIn(store, seq)} AS permissions`,
    sql`${selectMembers(store, sql`SELECT ${seq}`, true)} LIMIT ${DEFAULT_PAGE}`,
  );
  return groups[0] && withPermissions(groupOf(groups[0], members.map(memberOf)), permissions[0]);
}

/**
 * These and no others. Neither the group's version nor its time of change moves: to SCIM nothing has happened.
 *
 * @throws Unmet `found`.
 */
export async function setPermissions(
  store: OrgStore,
  groupId: string,
  permissions: readonly string[],
  actor: Actor,
): Promise<GroupWithPermissions> {
  const seq = seqOf(store, groupId);
  const wanted = JSON.stringify(permissions);
  const [, , , , , groups, permitted] = await store.write(
    expect('found', sql`EXISTS (SELECT 1 FROM groups WHERE ${which(store, groupId)})`),
    count(store),
    recordAs(
      store,
      actor,
      { type: 'group.permissions', targetId: groupId },
      sql`json_object('changed', json_object('permissions', json_object(
        'before', json(${permissionsIn(store, seq)}), 'after', json(${wanted}))), 'client', ${actor.client ?? null})`,
    ),
    sql`DELETE FROM group_permissions WHERE org_id = ${store.org} AND group_seq = ${seq}
      AND permission NOT IN (SELECT value FROM json_each(${wanted}))`,
    sql`INSERT INTO group_permissions (org_id, group_seq, permission)
      SELECT ${store.org}, ${seq}, value FROM json_each(${wanted}) WHERE true ON CONFLICT DO NOTHING`,
    sql`${SELECT} WHERE ${which(store, groupId)}`,
    sql<{ permissions: string }>`SELECT ${permissionsIn(store, seq)} AS permissions`,
  );
  return withPermissions(groupOf(groups[0]!), permitted[0]);
}
