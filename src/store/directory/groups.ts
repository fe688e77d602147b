/** Groups of one org: row <-> resource, and who is in them. */
import { type SQL, sql } from 'drizzle-orm';
import { tooMany } from '../../scim/error';
import { foldCase } from '../../scim/fold';
import { isWanted } from '../../scim/projection';
import type { Query } from '../../scim/query';
import type { Related, Stored } from '../../scim/resource';
import { groupType } from '../../scim/schema/types';
import { isoText } from '../d1/instants';
import type { Row } from '../d1/rows';
import { selected } from '../d1/rows';
import { groups } from '../d1/tables';
import type { OrgStore } from '../org/open';
import { type Column, type Columns, columnIn } from './columns';
import { membersOfGroups } from './derived';
import { type Before, type List, listed, listOf, readList, withLarge } from './list';
import { groupsWithMember, memberOf, selectMembers } from './memberships';

export interface StoredGroup extends Stored {
  /** Place in the order of lists. */
  readonly seq: number;
  readonly memberCount: number;
}

/**
 * Members that an answer shows of one group: some 12 MB. A larger one is answered without them, or not at all. So many
 * are also replaced at once.
 */
export const MAX_MEMBERS = 60_000;
/** Members that a list page carries at the most; a page with more ends early, and always has the first group. */
const MAX_LISTED_MEMBERS = 10_000;

/** Said where the members of a group are asked for that has more than an answer has room for. */
const tooManyMembers = (id: string) =>
  tooMany(
    `The group ${id} has more than ${MAX_MEMBERS} members. Read it with excludedAttributes=members, and its members with a filter`,
  );

const OWN = selected(groups, ...(['seq', 'id', 'version', 'createdAt', 'modifiedAt', 'memberCount'] as const));
const columnsWith = (resource: string) => sql`${OWN.sql}, ${sql.raw(resource)}`;
export const SELECT = sql`SELECT ${columnsWith('groups.resource')} FROM groups`;
const LISTED = columnsWith(listed('groups'));

export function groupOf(row: Row, members?: readonly Related[]): StoredGroup {
  return { ...OWN.rowOf(row), resource: JSON.parse(row['resource'] as string), ...(members && { members }) };
}

export const which = (store: OrgStore, id: string) => sql`groups.org_id = ${store.org} AND groups.id = ${id}`;
export const seqOf = (store: OrgStore, id: string) =>
  sql`(SELECT seq FROM groups WHERE org_id = ${store.org} AND id = ${id})`;

/** The group that an operator means: by its id, else by its displayName. Two look-ups: no index serves an OR of both. */
export function meant(store: OrgStore, idOrDisplayName: string, column: 'seq' | 'id'): SQL {
  const one = sql`SELECT ${sql.raw(column)} FROM groups WHERE org_id = ${store.org}`;
  return sql`ifnull((${one} AND id = ${idOrDisplayName}), (${one} AND display_name_key = ${foldCase(idOrDisplayName)}))`;
}

/** A condition on `groups`: an answer has room for its members. */
export const IS_SHOWN_WHOLE = sql.raw(`groups.member_count <= ${MAX_MEMBERS}`);

/**
 * One round trip.
 *
 * @param withMembers false: the memberships are not touched.
 * @throws ScimError 400 tooMany: it has more members than are shown.
 */
export async function getGroup(store: OrgStore, id: string, withMembers: boolean): Promise<StoredGroup | undefined> {
  if (!withMembers) {
    const row = await store.find(columnsWith('groups.resource'), 'groups', which(store, id));
    return row && groupOf(row);
  }
  const [rows, members] = await store.read(
    sql`${SELECT} WHERE ${which(store, id)}`,
    selectMembers(store, shownWhole(store, id), true),
  );
  const group = rows![0] && groupOf(rows![0], members!.map(memberOf));
  if (group && group.memberCount > MAX_MEMBERS) throw tooManyMembers(id);
  return group;
}

/** The `seq` of the group, if an answer has room for its members. */
export const shownWhole = (store: OrgStore, id: string): SQL =>
  sql`SELECT seq FROM groups WHERE ${which(store, id)} AND ${IS_SHOWN_WHOLE}`;

/**
 * A page of groups, and how many there are in all. By cursor their lasting order is that of the ids: of a deleted group
 * nothing is left that would say where it stood.
 */
export function listGroups(
  store: OrgStore,
  query: Query,
  baseUrl: string,
  before?: Before,
): List & { /** The page's groups by their seqs. */ readonly seqs: SQL } {
  const withMembers = isWanted(query.projection, 'members');
  const source = {
    table: 'groups',
    columns: columnsOf(store, baseUrl),
    select: LISTED,
    condition: sql`groups.org_id = ${store.org}`,
    lasting: query.cursorPaging ? 'id' : 'seq',
    key: 'displayName',
  } as const;
  const { rows, page, anchor, key, ...list } = listOf(store, query, source, before);
  const read = async ([all = [], members]: Row[][]) => {
    const { found, total } = readList(all);
    const { whole, isCut } = await withLarge(store, 'groups', found);
    const byGroup = Map.groupBy(members ?? [], (row) => row['group_seq'] as number);
    let memberships = 0;
    const groups: StoredGroup[] = [];
    for (const row of whole) {
      memberships += row['member_count'] as number;
      if (withMembers && groups.length > 0 && memberships > MAX_LISTED_MEMBERS) break;
      if (withMembers && memberships > MAX_MEMBERS) throw tooManyMembers(row['id'] as string);
      groups.push(groupOf(row, withMembers ? (byGroup.get(row['seq'] as number) ?? []).map(memberOf) : undefined));
    }
    return {
      resources: groups,
      values: whole.map((row) => row['sort_value']),
      isCut: isCut || groups.length < whole.length,
      total,
    };
  };
  return {
    ...list,
    // Without a sort an id says by itself where it stood.
    ...(anchor && query.sort && { anchor }),
    cost: withMembers && rows ? 2 * list.cost : list.cost,
    page: rows ? [rows, ...(withMembers ? [selectMembers(store, limited(page(0)), false)] : [])] : [],
    ...(key &&
      !withMembers && {
        one: {
          columns: columnsWith('groups.resource'),
          table: 'groups',
          condition: key,
          read: (row: Row) => groupOf(row),
        },
      }),
    read,
    seqs: sql`SELECT groups.seq ${page(0)}`,
  };
}

/** The groups of a page up to the limit of members, and the first if an answer has room for its own. */
const limited = (page: SQL) => sql`SELECT seq FROM (
  SELECT seq, row_number() OVER (ROWS UNBOUNDED PRECEDING) AS place,
    sum(member_count) OVER (ROWS UNBOUNDED PRECEDING) AS members
  FROM (SELECT groups.seq, groups.member_count ${page}))
  WHERE members <= iif(place = 1, ${MAX_MEMBERS}, ${MAX_LISTED_MEMBERS})`;

function columnsOf(store: OrgStore, baseUrl: string): Columns {
  const columns: Record<string, Column> = {
    id: { kind: 'unique', sql: () => sql`groups.id` },
    displayName: { kind: 'unique', sql: () => sql`groups.display_name_key` },
    externalId: { kind: 'indexed', sql: () => sql`groups.external_id` },
    meta: { kind: 'own', sql: () => sql`1` }, // it stands in no document, and is never absent
    'meta.resourceType': { kind: 'own', sql: () => sql`'Group'` },
    'meta.created': { kind: 'own', sql: () => isoText(sql`groups.created_at`) },
    'meta.lastModified': { kind: 'own', sql: () => isoText(sql`groups.modified_at`) },
    'meta.version': { kind: 'own', sql: () => sql`'W/"' || groups.version || '"'` },
    'meta.location': { kind: 'own', sql: () => sql`${`${baseUrl}${groupType.endpoint}/`} || groups.id` },
  };
  return {
    document: sql`groups.folded`,
    seq: sql`groups.seq`,
    column: (path) => columnIn(columns, path),
    lookup: (path, value) => (path === 'members.value' ? groupsWithMember(store, value) : undefined),
    narrow: () => undefined,
    derived: (attribute) => (attribute === 'members' ? membersOfGroups(store, baseUrl) : undefined),
  };
}
