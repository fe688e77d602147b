/** Lists and searches over one type of resource or all (RFC 7644 §3.4.2, §3.4.3). */
import type { ResourceType } from '../scim/attribute';
import { isWanted, type Projection } from '../scim/projection';
import { queryOf, type Search } from '../scim/query';
import type { Stored } from '../scim/resource';
import { groupType, resourceTypes, userType } from '../scim/schema/types';
import { groupsQuery } from '../store/groups';
import { usersQuery } from '../store/users';
import type { Org } from './org';

export interface Found {
  readonly total: number;
  readonly resources: readonly {
    readonly type: ResourceType;
    readonly stored: Stored;
    readonly projection: Projection;
  }[];
}

/** One round trip. @throws ScimError 400 invalidFilter, invalidPath. */
export async function searchUsers(org: Org, search: Search): Promise<Found> {
  const query = queryOf(userType, search);
  const { statements, read } = usersQuery(org.store, query, org.baseUrl);
  const { total, resources } = read(await org.store.read(...statements));
  return { total, resources: found(userType, resources, query.projection) };
}

/** One round trip. Without `members` in the answer the memberships are not touched. */
export async function searchGroups(org: Org, search: Search): Promise<Found> {
  const query = queryOf(groupType, search);
  const { statements, read } = groupsQuery(org.store, query, isWanted(query.projection, 'members'), org.baseUrl);
  const { total, resources } = read(await org.store.read(...statements));
  return { total, resources: found(groupType, resources, query.projection) };
}

/** All types: users first, then groups, each in its own order. One round trip. */
export async function searchAll(org: Org, search: Search): Promise<Found> {
  const users = queryOf(userType, search, resourceTypes);
  const groups = queryOf(groupType, search, resourceTypes);
  const ofUsers = usersQuery(org.store, users, org.baseUrl);
  const withMembers = isWanted(groups.projection, 'members');
  const ofGroups = groupsQuery(org.store, groups, withMembers, org.baseUrl, ofUsers.total);
  const rows = await org.store.read(...ofUsers.statements, ...ofGroups.statements);
  const foundUsers = ofUsers.read(rows.slice(0, ofUsers.statements.length));
  const foundGroups = ofGroups.read(rows.slice(ofUsers.statements.length));
  return {
    total: foundUsers.total + foundGroups.total,
    resources: [
      ...found(userType, foundUsers.resources, users.projection),
      ...found(groupType, foundGroups.resources, groups.projection),
    ].slice(0, search.count),
  };
}

const found = (type: ResourceType, resources: readonly Stored[], projection: Projection) =>
  resources.map((stored) => ({ type, stored, projection }));
