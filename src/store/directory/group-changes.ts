/** Changes of groups and of who is in them: each is one batch, with its event. */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor, EventDraft } from '../../events';
import type { ResourceType } from '../../scim/attribute';
import { tooMany } from '../../scim/error';
import { foldObject } from '../../scim/fold';
import type { MembershipChange } from '../../scim/patch/membership';
import { schemasOf } from '../../scim/representation';
import type { JsonObject, Related, Resource } from '../../scim/resource';
import { atOneOf, expect, expectEach, expectOneChange } from '../d1/expect';
import { jsonChunks } from '../d1/json-parameters';
import { type Outcome, outcomeOf } from '../d1/outcome';
import type { Row } from '../d1/rows';
import { signedOut, signOut } from '../journal/end-sessions';
import { beforeIn, count, MAX_NOTED, record, recordAs, recordIfAny, toldBy } from '../journal/record';
import type { OrgStore } from '../org/open';
import { groupOf, IS_SHOWN_WHOLE, MAX_MEMBERS, SELECT, type StoredGroup, seqOf, shownWhole, which } from './groups';
import { leaveAllGroups, memberOf, permissionsIn, selectMembers } from './memberships';
import { forgetGroup, hasRoom, isRoomy, isSignOutGroup, leaving as usersLeaving } from './policy';
import { removeLater, removeMemberships } from './removal';

export interface GroupDraft {
  readonly id: string;
  /** Without members. */
  readonly resource: Resource;
  readonly createdAt: number;
  readonly modifiedAt: number;
}

/** What of a group has a column of its own. */
export function columnValues(type: ResourceType, { id, resource }: Omit<GroupDraft, 'createdAt' | 'modifiedAt'>) {
  const folded: JsonObject = foldObject(type.attributes, {
    schemas: schemasOf(type, resource),
    id,
    ...resource,
  });
  return {
    displayNameKey: folded['displayName'] as string,
    externalId: (resource['externalId'] as string | undefined) ?? null,
    resource: JSON.stringify(resource),
    folded: JSON.stringify(folded),
  };
}

/** The live users and the groups among these ids. CROSS JOIN: from the ids to the rows, never through all of the org. */
const among = (store: OrgStore, ids: readonly string[]): SQL => sql`
  SELECT 0 AS is_group, users.seq AS seq, users.id AS id FROM json_each(${JSON.stringify(ids)}) AS asked
    CROSS JOIN users ON users.org_id = ${store.org} AND users.id = asked.value AND users.deleted_at IS NULL
  UNION ALL SELECT 1, groups.seq, groups.id FROM json_each(${JSON.stringify(ids)}) AS asked
    CROSS JOIN groups ON groups.org_id = ${store.org} AND groups.id = asked.value`;

/** Of a group that is there; who is a member already stays one. */
const insertMembers = (store: OrgStore, groupId: string, ids: readonly string[]): SQL =>
  sql`INSERT INTO memberships (org_id, group_seq, is_group, member_seq)
    SELECT groups.org_id, groups.seq, member.is_group, member.seq FROM groups CROSS JOIN (${among(store, ids)}) AS member
    WHERE ${which(store, groupId)} ON CONFLICT DO NOTHING`;

/** A member has joined, left or been deleted since the group was read: the event would tell another change. */
const expectExactly = (members: number): SQL => expect('version', sql`changes() = ${members}`);

/** By id, whatever has become of the member meanwhile. A list of seqs for one kind of member is what the key can seek. */
function deleteMembers(store: OrgStore, groupId: string, type: 'User' | 'Group', members: readonly Related[]): SQL[] {
  const leaving = members.filter((member) => member.type === type).map(({ id }) => id);
  const table = sql.raw(type === 'User' ? 'users' : 'groups');
  return jsonChunks(leaving).flatMap(({ json, count }) => [
    sql`DELETE FROM memberships WHERE org_id = ${store.org} AND group_seq = ${seqOf(store, groupId)}
      AND is_group = ${type === 'Group' ? 1 : 0} AND member_seq IN (SELECT member.seq FROM json_each(${json}) AS asked
        CROSS JOIN ${table} AS member ON member.org_id = ${store.org} AND member.id = asked.value)`,
    expectExactly(count),
  ]);
}

/** Members that a PATCH answer, or that of a POST or PUT, still carries; a larger group is answered without a body. */
export const MAX_ANSWERED_MEMBERS = 300;

/** How many members the answer to a change has room for. */
const roomFor = (answered: 'all' | 'few') => (answered === 'few' ? MAX_ANSWERED_MEMBERS : MAX_MEMBERS);

/** Which members the answer to a change carries: all, all of a small group only (`few`), or none. */
export type AnsweredMembers = 'all' | 'few' | 'none';

/** The members at the end of the batch, if the answer has room for them. */
const selectMembersAfter = (store: OrgStore, id: string, answered: AnsweredMembers): SQL[] =>
  answered === 'none'
    ? []
    : [
        selectMembers(
          store,
          sql`SELECT seq FROM groups WHERE ${which(store, id)} AND member_count <= ${roomFor(answered)}`,
          true,
        ),
      ];

/** @param rows of `selectMembersAfter`. */
function withMembersAfter(group: StoredGroup, rows: Row[] | undefined, answered: AnsweredMembers): StoredGroup {
  const { members: _, ...bare } = group;
  if (answered === 'none' || group.memberCount > roomFor(answered)) return bare;
  return { ...bare, members: rows!.map(memberOf) };
}

/**
 * A new group, in one round trip. Ids of nobody are left out and noted in the event, or refused, as the org's
 * `unknownMembers` says. `taken`: the displayName is another group's.
 */
export async function insertGroup(
  store: OrgStore,
  type: ResourceType,
  draft: GroupDraft,
  memberIds: readonly string[],
  actor: Actor,
  happening: EventDraft,
  answered: 'all' | 'none',
): Promise<Outcome<StoredGroup, 'taken' | 'known_members' | 'storage'>> {
  const { displayNameKey, externalId, resource, folded } = columnValues(type, draft);
  const asked = sql`SELECT value FROM json_each(${JSON.stringify(memberIds)})`;
  const known = sql`SELECT id FROM (${among(store, memberIds)})`;
  const strangers = sql`${asked} WHERE value NOT IN (${known})`;
  const list = (values: SQL) => sql`(SELECT json_group_array(value) FROM (${values} LIMIT ${MAX_NOTED}))`;
  // Where some are unknown, only the others have joined. A NULL takes the member out of the details.
  const details = sql`json_patch(${JSON.stringify(toldBy(actor, happening.details))},
    CASE WHEN EXISTS (${strangers}) THEN json_object('unknownMembers', ${list(strangers)},
      'joined', json(nullif(${list(sql`${asked} WHERE value IN (${known})`)}, '[]')),
      'joinedCount', nullif((SELECT count(*) FROM (${known})), 0)) ELSE '{}' END)`;
  const write = store.write(
    expectEach(
      ...(memberIds.length > 0 && store.profile.settings.unknownMembers === 'reject'
        ? [['known_members', sql`NOT EXISTS (${strangers})`] as const]
        : []),
      ['storage', hasRoom(store, resource, folded)],
    ),
    sql`INSERT INTO groups (org_id, id, display_name_key, external_id, version, created_at, modified_at, resource, folded)
      VALUES (${store.org}, ${draft.id}, ${displayNameKey}, ${externalId}, 1, ${draft.createdAt}, ${draft.modifiedAt},
        ${resource}, ${folded}) RETURNING seq`,
    ...(memberIds.length > 0
      ? [
          insertMembers(store, draft.id, memberIds),
          sql`UPDATE groups SET member_count = changes() WHERE ${which(store, draft.id)} RETURNING member_count`,
        ]
      : []),
    count(store, { groups: 1 }),
    recordAs(
      store,
      actor,
      happening,
      memberIds.length > 0 ? details : sql`${JSON.stringify(toldBy(actor, happening.details))}`,
    ),
    ...(memberIds.length > 0 ? selectMembersAfter(store, draft.id, answered) : []),
  );
  const outcome = await outcomeOf(write, ['taken', 'known_members', 'storage'], 'display_name_key');
  if ('refused' in outcome) return outcome;
  const results = outcome.done;
  const seq = results[1]![0]!['seq'] as number;
  const memberCount = memberIds.length > 0 ? (results[3]![0]!['member_count'] as number) : 0;
  const members = memberIds.length > 0 ? results.at(-1) : [];
  return { done: withMembersAfter({ ...draft, version: 1, seq, memberCount }, members, answered) };
}

/** Of a group before it is changed: itself, and what the change would come to. */
export interface GroupBefore {
  readonly group: StoredGroup;
  /** Asked for, there, and not a member yet. */
  readonly joining: readonly Related[];
  /** Members who would leave. */
  readonly leaving: readonly Related[];
  /** Ids that were asked for and are not of this org. */
  readonly unknown: readonly string[];
  /** All there are, if all are to be replaced: else they are not read. */
  readonly members?: readonly Related[];
}

/**
 * One round trip, whose cost is that of the change; of the group only when all its members are replaced.
 *
 * @throws ScimError 400 tooMany: all members would be replaced, and there are too many.
 */
export async function readGroupBefore(
  store: OrgStore,
  id: string,
  { isReplaced, add, remove }: MembershipChange,
): Promise<GroupBefore | undefined> {
  const asked = [...add, ...(isReplaced ? [] : remove)];
  const isMember = sql`EXISTS (SELECT 1 FROM memberships AS m WHERE m.org_id = ${store.org}
    AND m.group_seq = ${seqOf(store, id)} AND m.is_group = found.is_group AND m.member_seq = found.seq)`;
  const [groups, found, present] = await store.read(
    sql`${SELECT} WHERE ${which(store, id)}`,
    sql`SELECT found.id, found.is_group, NULL AS display, ${isMember} AS is_member FROM (${among(store, asked)}) AS found`,
    ...(isReplaced ? [selectMembers(store, shownWhole(store, id), true)] : []),
  );
  if (groups![0] === undefined) return undefined;
  if (isReplaced && (groups![0]['member_count'] as number) > MAX_MEMBERS) {
    throw tooMany(
      `members: a group of more than ${MAX_MEMBERS} members cannot be replaced at once. Add and remove members by value, or delete the group`,
    );
  }
  const isKnown = new Set(found!.map((row) => row['id'] as string));
  const isIn = (row: Row) => row['is_member'] === 1;
  const leaving = isReplaced
    ? present!.filter((row) => !add.has(row['id'] as string))
    : found!.filter((row) => isIn(row) && remove.has(row['id'] as string));
  return {
    group: groupOf(groups![0]),
    joining: found!.filter((row) => !isIn(row) && add.has(row['id'] as string)).map(memberOf),
    leaving: leaving.map(memberOf),
    unknown: [...add].filter((memberId) => !isKnown.has(memberId)),
    ...(present && { members: present.map(memberOf) }),
  };
}

export interface GroupChange {
  /** undefined: only the members change, and whoever else changes members at the same time does not matter. */
  readonly version?: number | undefined;
  /** undefined: the attributes stay. */
  readonly draft?: GroupDraft | undefined;
  readonly joining: readonly Related[];
  readonly leaving: readonly Related[];
}

export interface Changed {
  readonly group: StoredGroup;
  /** Whose sessions were ended by leaving it, as the org wants it of some groups (journal/end-sessions.ts). */
  readonly signedOut: readonly string[];
}

/** `taken`: the displayName is another group's. `version`: it, or who is in it, has changed since it was read. */
const GROUP_REFUSALS = ['taken', 'version', 'no_cycle', 'storage'] as const;
type GroupRefusal = (typeof GROUP_REFUSALS)[number];

/**
 * One round trip; rows written are those of the change.
 *
 * @param before the group as it was read.
 */
export async function changeGroup(
  store: OrgStore,
  type: ResourceType,
  before: StoredGroup,
  { version, draft, joining, leaving }: GroupChange,
  actor: Actor,
  happening: EventDraft,
  answered: AnsweredMembers,
): Promise<Outcome<Changed, GroupRefusal>> {
  const { id } = before;
  const values = draft && columnValues(type, draft);
  const sets = values
    ? sql`, display_name_key = ${values.displayNameKey}, external_id = ${values.externalId}, resource = ${values.resource}, folded = ${values.folded}`
    : sql``;
  const more = joining.length - leaving.length;
  const counted = more === 0 ? sql`` : sql`, member_count = member_count + ${more}`;
  const sameVersion = version === undefined ? sql`` : sql` AND version = ${version}`;
  const groupIds = joining.filter(({ type }) => type === 'Group').map((member) => member.id);
  const userIds = leaving.filter(({ type }) => type === 'User').map((member) => member.id);
  const change = [
    sql`UPDATE groups SET ${moved(store)}${counted}${sets}
      WHERE ${which(store, id)}${sameVersion} RETURNING version, modified_at, member_count`,
    // A change that removes a member needs no room, because it may remove permissions.
    leaving.length > 0
      ? expectOneChange('version')
      : expectEach(['version', sql`changes()`], ['storage', isRoomy(store)]),
    ...(groupIds.length > 0 ? [expect('no_cycle', isNoCycle(store, id, groupIds))] : []),
    ...deleteMembers(store, id, 'User', leaving),
    ...deleteMembers(store, id, 'Group', leaving),
    ...(joining.length > 0
      ? [
          insertMembers(
            store,
            id,
            joining.map((member) => member.id),
          ),
          expectExactly(joining.length),
        ]
      : []),
    count(store),
    record(store, actor, happening),
  ];
  const ends = userIds.length > 0 && isSignOutGroup(store, id);
  const ended = ends ? signOut(store, actor, usersLeaving(store, id, userIds), causedBy(id)) : [];
  const write = store.write(...change, ...ended, ...selectMembersAfter(store, id, answered));
  const outcome = await outcomeOf(write, GROUP_REFUSALS, 'display_name_key');
  if ('refused' in outcome) return outcome;
  const results = outcome.done;
  const after = results[0]![0] as unknown as { version: number; modified_at: number; member_count: number };
  const group = {
    ...before,
    ...(draft && { resource: draft.resource }),
    version: after.version,
    modifiedAt: after.modified_at,
    memberCount: after.member_count,
  };
  return {
    done: {
      group: withMembersAfter(group, results.at(-1), answered),
      signedOut: ended.length > 0 ? signedOut(results[change.length]) : [],
    },
  };
}

/** What an UPDATE of `groups` sets where something of the group, or who is in it, is another. */
const moved = ({ now }: OrgStore): SQL => sql`version = version + 1, modified_at = max(modified_at, ${now})`;

/** Ids that `changeMembers` takes: as many as its event names. */
export const MAX_MEMBERS_AT_ONCE = MAX_NOTED;

/** Members who join a group, or who leave it, and nothing else of it. */
export interface MembersAsked {
  readonly op: 'add' | 'remove';
  /** At most MAX_MEMBERS_AT_ONCE. */
  readonly ids: readonly string[];
}

/**
 * Members join or leave, in one round trip: the group is not read before. Only those count who were no members, or were
 * members; if there are none, the group stays at its version. Added ids of nobody are noted in the event.
 *
 * @returns the group as it is then; undefined: there is none.
 */
export async function changeMembers(
  store: OrgStore,
  id: string,
  { op, ids }: MembersAsked,
  actor: Actor,
  happening: EventDraft,
  answered: AnsweredMembers,
): Promise<Outcome<StoredGroup | undefined, 'no_cycle' | 'storage'>> {
  const isAdded = op === 'add';
  const moves = isAdded
    ? sql`ifnull(u.seq, g.seq) IS NOT NULL AND m.member_seq IS NULL`
    : sql`m.member_seq IS NOT NULL`;
  const [list, total] = isAdded ? ['joined', 'joinedCount'] : ['left', 'leftCount'];
  const idsWhere = (condition: SQL) => sql`json_group_array(asked.value) FILTER (WHERE ${condition})`;
  // A NULL takes the member out of the details.
  const details = sql`SELECT json_patch(${JSON.stringify(toldBy(actor, happening.details))}, json_object(
      ${list}, json(nullif(moving, '[]')), ${total}, nullif(json_array_length(moving), 0),
      'unknownMembers', json(nullif(unknown, '[]')))) AS details
    FROM (SELECT ${idsWhere(moves)} AS moving,
        ${idsWhere(isAdded ? sql`ifnull(u.seq, g.seq) IS NULL` : sql`false`)} AS unknown
      FROM json_each(${JSON.stringify(ids)}) AS asked
      LEFT JOIN users AS u ON u.org_id = ${store.org} AND u.id = asked.value AND u.deleted_at IS NULL
      LEFT JOIN groups AS g ON u.seq IS NULL AND g.org_id = ${store.org} AND g.id = asked.value
      LEFT JOIN memberships AS m ON m.org_id = ${store.org} AND m.group_seq = ${seqOf(store, id)}
        AND m.is_group = (u.seq IS NULL) AND m.member_seq = ifnull(u.seq, g.seq))
    WHERE (moving <> '[]' OR unknown <> '[]') AND EXISTS (SELECT 1 FROM groups WHERE ${which(store, id)})`;
  const write = store.write(
    ...recordIfAny(store, actor, happening, details),
    isAdded
      ? insertMembers(store, id, ids)
      : sql`DELETE FROM memberships WHERE (org_id, group_seq, is_group, member_seq) IN (
          SELECT ${store.org}, ${seqOf(store, id)}, is_group, seq FROM (${among(store, ids)}))`,
    sql`UPDATE groups SET ${moved(store)}, member_count = member_count ${sql.raw(isAdded ? '+' : '-')} changes()
      WHERE ${which(store, id)} AND changes() > 0`,
    // Nobody has joined: nothing is in the way.
    ...(isAdded
      ? [
          expectEach(
            ['no_cycle', sql`changes() = 0 OR ${isNoCycle(store, id, ids)}`],
            ['storage', sql`changes() = 0 OR ${isRoomy(store)}`],
          ),
        ]
      : []),
    sql`${SELECT} WHERE ${which(store, id)}`,
    ...selectMembersAfter(store, id, answered),
  );
  const outcome = await outcomeOf(write, ['no_cycle', 'storage']);
  if ('refused' in outcome) return outcome;
  const [row] = outcome.done.at(answered === 'none' ? -1 : -2)!;
  return { done: row && withMembersAfter(groupOf(row), outcome.done.at(-1), answered) };
}

/** What ended the sessions of who was in it. */
const causedBy = (groupId: string) => ({ cause: 'group', group: groupId });

/** None of these groups is the group itself, or one that it is in, directly or not. */
const isNoCycle = (store: OrgStore, id: string, groupIds: readonly string[]): SQL => sql`NOT EXISTS (
  WITH RECURSIVE up (seq) AS (
    SELECT ${seqOf(store, id)}
    UNION SELECT m.group_seq FROM up JOIN memberships AS m
      ON m.org_id = ${store.org} AND m.is_group = 1 AND m.member_seq = up.seq)
  SELECT 1 FROM up WHERE seq IN (SELECT groups.seq FROM json_each(${JSON.stringify(groupIds)}) AS asked
    CROSS JOIN groups ON groups.org_id = ${store.org} AND groups.id = asked.value))`;

/** Memberships that a deleted group loses in its batch; the rest follows in chunks. */
const MAX_REMOVED_AT_ONCE = 10_000;

/**
 * The group, its memberships and its permissions go. One round trip.
 *
 * @returns whose sessions were ended by it, as for `Changed`.
 */
export async function deleteGroup(
  store: OrgStore,
  id: string,
  versions: readonly string[] | undefined,
  actor: Actor,
  happening: Omit<EventDraft, 'details'>,
): Promise<Outcome<readonly string[], 'found' | 'version' | 'sign_outs'>> {
  const meant = sql`${which(store, id)}${atOneOf(versions, sql`groups.version`)}`;
  const seq = seqOf(store, id);
  const ends = isSignOutGroup(store, id);
  const told = [
    expectEach(
      ['found', sql`EXISTS (SELECT 1 FROM groups WHERE ${which(store, id)})`],
      ...(versions ? [['version', sql`EXISTS (SELECT 1 FROM groups WHERE ${meant})`] as const] : []),
      ...(ends
        ? [['sign_outs', sql`NOT EXISTS (SELECT 1 FROM groups WHERE ${meant} AND NOT ${IS_SHOWN_WHOLE})`] as const]
        : []),
    ),
    count(store, { groups: -1 }),
    recordAs(
      store,
      actor,
      happening,
      sql`(SELECT json_patch(json_object('left', json(${noted(store, seq)}), 'leftCount', member_count,
        'permissions', json(${permissionsIn(store, seq)}),
        'wasDefaultGroup', json(${JSON.stringify(store.profile.settings.defaultGroup === id)}), 'wasSignOutGroup', json(${JSON.stringify(ends)}),
        'client', ${actor.client ?? null}), ${beforeIn(sql`resource`, sql`json_object('displayName', resource -> '$.displayName')`)})
        FROM groups WHERE ${which(store, id)})`,
    ),
  ];
  const write = store.write(
    ...told,
    ...(ends ? signOut(store, actor, usersLeaving(store, id), causedBy(id)) : []),
    ...leaveAllGroups(store, 'Group', seq),
    sql`DELETE FROM memberships WHERE org_id = ${store.org}
      AND group_seq = (SELECT seq FROM groups WHERE ${which(store, id)} AND member_count <= ${MAX_REMOVED_AT_ONCE})`,
    removeMemberships(store.org, seq, MAX_REMOVED_AT_ONCE),
    // What is left of them is nobody's any more, and no other group gets the number.
    sql`${removeLater(
      store,
      'group',
      sql`CAST(${seq} AS TEXT)`,
      sql`EXISTS (SELECT 1 FROM memberships
      WHERE org_id = ${store.org} AND group_seq = ${seq})`,
    )}`,
    sql`DELETE FROM group_permissions WHERE org_id = ${store.org} AND group_seq = ${seq}`,
    ...forgetGroup(store, id),
    sql`DELETE FROM groups WHERE ${which(store, id)}`,
  );
  // `sign_outs`: it would sign out too many at once.
  const outcome = await outcomeOf(write, ['found', 'version', 'sign_outs']);
  if ('refused' in outcome) return outcome;
  return { done: ends ? signedOut(outcome.done[told.length]) : [] };
}

/** The ids of a group's members, as many as an event names. */
const noted = (store: OrgStore, seq: SQL): SQL => sql`(SELECT json_group_array(CASE m.is_group
    WHEN 0 THEN (SELECT id FROM users WHERE users.seq = m.member_seq)
    ELSE (SELECT id FROM groups WHERE groups.seq = m.member_seq) END)
  FROM (SELECT is_group, member_seq FROM memberships WHERE org_id = ${store.org} AND group_seq = ${seq}
    ORDER BY is_group, member_seq LIMIT CAST(${MAX_NOTED} AS INTEGER)) AS m)`;

/** A change that named unknown ids only: the journal says so, the group stays as it is. */
export async function noteUnknown(
  store: OrgStore,
  actor: Actor,
  id: string,
  details: EventDraft['details'],
): Promise<void> {
  await store.write(count(store), record(store, actor, { type: 'group.updated', targetId: id, details }));
}
