/** Lists and searches over one type of resource or all (RFC 7644 §3.4.2, §3.4.3), by index or by cursor (RFC 9865). */
import type { ResourceType } from '../scim/attribute';
import { type Claim, digestOf, readCursor, sealCursor, verifyCursor } from '../scim/cursor';
import { expiredCursor } from '../scim/error';
import type { Paging } from '../scim/list';
import type { Projection } from '../scim/projection';
import { queryOf, type Search } from '../scim/query';
import type { Stored } from '../scim/resource';
import { allTypes } from '../scim/schema/types';
import type { Row } from '../store/d1/rows';
import { expectAffordable, tooCostlyHere } from '../store/directory/filter-cost';
import { listGroups } from '../store/directory/groups';
import { isBeyond, type List } from '../store/directory/list';
import { listUsers } from '../store/directory/users';
import type { TypedOrg } from './org';

export interface Found {
  readonly total: number;
  readonly resources: readonly {
    readonly type: ResourceType;
    readonly stored: Stored;
    readonly projection: Projection;
  }[];
  readonly paging: Paging;
}

export const searchUsers = (org: TypedOrg, search: Search): Promise<Found> => find(org, search, [org.types.user]);

/** Without `members` in the answer the memberships are not touched. */
export const searchGroups = (org: TypedOrg, search: Search): Promise<Found> => find(org, search, [org.types.group]);

/** All types: users first, then groups, each in its own order. */
export const searchAll = (org: TypedOrg, search: Search): Promise<Found> => find(org, search, allTypes(org.types));

const lists = new Map([
  ['User', listUsers],
  ['Group', listGroups],
]);

/**
 * One round trip, and one more for resources that are large. What a cursor claims goes into the same batch, whose statements are the org's own whatever it says; the
 * key to verify it with comes back with them, and of the rest nothing is used before.
 *
 * @throws ScimError 400 invalidFilter, invalidValue, tooMany, invalidCursor, expiredCursor, invalidCount; 429.
 */
async function find(org: TypedOrg, search: Search, types: readonly ResourceType[]): Promise<Found> {
  const claim = search.cursor ? readCursor(search.cursor) : undefined;
  const parts: { type: ResourceType; projection: Projection; list: List }[] = [];
  for (const type of types) {
    const query = queryOf(type, search, types, cursorPagingOf(search, types, type, claim), org.baseUrl);
    const list = lists.get(type.name)!(org.store, query, org.baseUrl, parts.at(-1)?.list.before);
    parts.push({ type, projection: query.projection, list });
  }
  await limitRate(
    org,
    parts.map(({ list }) => list),
    claim !== undefined,
  );
  // Without a filter the org keeps count. With one, counting reads all that the filter looks at: the first page counts,
  // and its cursors carry the sum along.
  const isCounted = claim !== undefined && search.filter !== undefined;
  const anchors = parts.flatMap(({ list }) => list.anchor ?? []);
  const totals = isCounted ? [] : parts.flatMap(({ list }) => list.total ?? []);
  const one = parts.length === 1 && org.store.isJoining ? parts[0]!.list.one : undefined;
  if (one) {
    const row = await org.store.find(one.columns, one.table, one.condition);
    const found = parts.flatMap(({ type, projection }) => (row ? [{ type, projection, stored: one.read(row) }] : []));
    return { total: found.length, resources: found, paging: { startIndex: search.startIndex } };
  }
  const results = await org.store.read(...anchors, ...totals, ...parts.flatMap(({ list }) => list.page));
  const take = (statements: readonly unknown[]) => results.splice(0, statements.length);

  const anchor = take(anchors)[0];
  if (claim) await verify(org, search, types, claim, anchor);
  const known = parts.flatMap(({ list }) => (list.count ? org.store.tenant[list.count] : []));
  const counted = [...known, ...take(totals).map((rows) => rows[0]!['total'] as number)];
  if (parts.some(({ list }) => isBeyond(list, org.store.tenant))) throw tooCostlyHere();
  const pages = await Promise.all(parts.map(({ list }) => list.read(take(list.page))));
  const said = pages.map(({ total }, i) => (parts[i]!.list.total ? 0 : (total ?? 0)));
  const sum = [...counted, ...said].reduce((all, one) => all + one, 0);
  const total = isCounted ? claim.place.total! : sum;
  // What follows a page that was cut is for the next one.
  const end = pages.findIndex(({ isCut }) => isCut);
  const all = (end === -1 ? parts : parts.slice(0, end + 1)).flatMap(({ type, projection }, i) =>
    pages[i]!.resources.map((stored, n) => ({ type, projection, stored, value: pages[i]!.values[n] })),
  );
  const resources = all.slice(0, search.count);
  if (search.cursor === undefined) return { total, resources, paging: { startIndex: search.startIndex } };
  const last = resources.at(-1);
  const isLast = resources.length === all.length && !pages.some(({ isCut }) => isCut);
  // A page of count=0 has no end to go on from.
  if (last === undefined || isLast) return { total, resources, paging: {} };
  const nextCursor = await sealCursor(org.store.cursorKey, asked(search, types), {
    type: last.type.name,
    id: last.stored.id,
    digest: await digestOf(org.store.cursorKey, last.value),
    count: search.count,
    total: search.filter === undefined ? null : total,
    issuedAt: org.store.now,
  });
  return { total, resources, paging: { nextCursor } };
}

/** Before the database is asked. @throws ScimError 400 tooMany; 429 when the org has searched too much of late. */
async function limitRate(org: TypedOrg, lists: readonly List[], isNextPage: boolean): Promise<void> {
  const cost = lists.reduce((sum, list) => sum + list.cost, 0);
  expectAffordable(cost);
  // A further page by cursor stops when it is full.
  await org.limitSearches?.(isNextPage ? cost / 4 : cost);
}

/** What must stay the same from page to page (RFC 9865 §2). Which attributes are answered may change: it moves no place. */
const asked = ({ filter, sortBy, isDescending }: Search, types: readonly ResourceType[]) =>
  JSON.stringify([types.map(({ name }) => name), filter ?? null, sortBy ?? null, isDescending]);

/** Where in the list of this type a page by cursor begins. */
function cursorPagingOf(search: Search, types: readonly ResourceType[], type: ResourceType, claim: Claim | undefined) {
  if (search.cursor === undefined) return undefined;
  const ended = types.findIndex(({ name }) => name === claim?.place.type);
  const isHere = claim !== undefined && types[ended] === type;
  return { isPast: types.indexOf(type) < ended, ...(isHere && { after: claim.place.id }) };
}

/** @param anchor the resource at which the last page ended, if that is needed to go on: then it must be in its place still. */
async function verify(org: TypedOrg, search: Search, types: readonly ResourceType[], claim: Claim, anchor?: Row[]) {
  const { cursorKey, now } = org.store;
  await verifyCursor(cursorKey, asked(search, types), claim, search.count, now);
  if (anchor === undefined) return;
  const digest = anchor[0] && (await digestOf(cursorKey, anchor[0]['sort_value']));
  if (digest !== claim.place.digest) {
    throw expiredCursor('The list has changed where the last page ended: start again with an empty cursor');
  }
}
