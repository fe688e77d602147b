/** Groups as the product sees them, and who is in them. */
import type { Details } from '../events';
import { invalidValue, notFound, preconditionFailed, type ScimError, tooMany, uniqueness } from '../scim/error';
import { hasTag, type TagCondition } from '../scim/etag';
import { foldObject } from '../scim/fold';
import { applyPatch } from '../scim/patch/apply';
import { Budget } from '../scim/patch/budget';
import { type MembershipChange, needsMembers, replacedBy, type Split, splitMembership } from '../scim/patch/membership';
import { parsePatch } from '../scim/patch/parse';
import { isAskedFor, isWanted, type Projection } from '../scim/projection';
import type { Quirks } from '../scim/quirks';
import { isSame, type JsonObject, type Related, type Resource } from '../scim/resource';
import { readResource } from '../scim/validate';
import type { AnsweredMembers, GroupBefore, MembersAsked } from '../store/directory/group-changes';
import * as changes from '../store/directory/group-changes';
import type { StoredGroup } from '../store/directory/groups';
import * as store from '../store/directory/groups';
import { isSignOutGroup } from '../store/directory/policy';
import { MAX_NOTED } from '../store/journal/record';
import { detailsOf } from './lifecycle';
import { type Org, publishAll, type TypedOrg } from './org';
import { noRoom } from './policy-errors';
import { retried } from './retry';

/** @throws ScimError 404, also for another org's group; 400 tooMany when it has more members than are shown. */
export async function getGroup(org: Org, id: string, projection: Projection): Promise<StoredGroup> {
  const group = await store.getGroup(org.store, id, isWanted(projection, 'members'));
  if (group === undefined) throw notFound('Group');
  return group;
}

/** @throws ScimError 400; 409 uniqueness when the displayName is another group's. */
export async function createGroup(org: TypedOrg, body: unknown, projection: Projection): Promise<StoredGroup> {
  const quirks: Quirks = new Set();
  const { resource, memberIds } = split(readResource(org.types.group, body, quirks, org));
  const id = org.newId ?? crypto.randomUUID();
  const { now } = org.store;
  const details = { ...detailsOf({}, resource, quirks), ...joined(memberIds) };
  const draft = { id, resource, createdAt: now, modifiedAt: now };
  const happening = { type: 'group.created', targetId: id, details } as const;
  // All of them, for the client has just sent them all (RFC 7644 §3.3: the whole representation).
  const answered = isWanted(projection, 'members') ? 'all' : 'none';
  const { store, actor, types } = org;
  const inserted = await changes.insertGroup(store, types.group, draft, memberIds, actor, happening, answered);
  if ('refused' in inserted) throw refusal(org, inserted.refused);
  return inserted.done;
}

/** The members are kept apart from the group: they are rows, not part of its document. */
function split({ members, ...resource }: Resource): { resource: Resource; memberIds: string[] } {
  const ids = ((members ?? []) as JsonObject[]).map(({ value }) => value);
  if (ids.some((value) => typeof value !== 'string'))
    throw invalidValue('members.value: the id of a member was expected');
  return { resource, memberIds: [...new Set(ids as string[])] };
}

/** PUT: what the body leaves out is unassigned, members included. @throws ScimError 400, 404, 409, 412. */
export function replaceGroup(
  org: TypedOrg,
  id: string,
  body: unknown,
  ifMatch: TagCondition | undefined,
  projection: Projection,
): Promise<StoredGroup> {
  const quirks: Quirks = new Set();
  const { resource, memberIds } = split(readResource(org.types.group, body, quirks, org));
  const members = replacedBy(memberIds);
  return retried(async () =>
    // RFC 7644 §3.5.1: a PUT always answers with the whole resource, however many members it has.
    changeGroup(org, await readBefore(org, id, members), members, ifMatch, wholly(projection), () => ({
      after: resource,
      quirks,
      more: { replaced: true },
    })),
  );
}

/**
 * Members change as sets, so that parallel changes of one group all count; other attributes as in a user, by version.
 *
 * @throws ScimError 400, 404, 409, 412.
 */
export function patchGroup(
  org: TypedOrg,
  id: string,
  body: unknown,
  ifMatch: TagCondition | undefined,
  projection: Projection,
): Promise<StoredGroup> {
  const quirks: Quirks = new Set();
  const all = parsePatch(body, quirks);
  const type = org.types.group;
  const { baseUrl } = org;
  const mustKnow = needsMembers(type, all, { baseUrl });
  const asked = splitMembership(type, all, [], quirks, { baseUrl });
  const alone = ifMatch === undefined && !mustKnow ? membersAlone(org, id, asked) : undefined;
  if (alone) return changeMembers(org, id, alone, quirks, briefly(projection));
  return retried(async () => {
    const before = await readBefore(org, id, mustKnow ? replacedBy(asked.members.add) : asked.members);
    // Only a filter that asks more of the members than who they are has to see them.
    const options = { baseUrl, budget: new Budget(), unknownAttributes: org.store.profile.settings.unknownAttributes };
    const { operations, members } = mustKnow ? splitMembership(type, all, folded(org, before), quirks, options) : asked;
    const compute = (resource: Resource) => ({
      after: applyPatch(type, resource, operations, quirks, options),
      quirks,
    });
    const narrowed = mustKnow ? narrow(before, members) : before;
    return changeGroup(org, narrowed, members, ifMatch, briefly(projection), compute);
  });
}

/**
 * What a PATCH asks for that only adds members, or only removes some, and that nothing of the group can keep from it: such
 * a one need not read the group.
 */
function membersAlone({ store }: TypedOrg, id: string, { operations, members }: Split): MembersAsked | undefined {
  const { isReplaced, add, remove } = members;
  if (operations.length > 0 || isReplaced || (add.size > 0 && remove.size > 0)) return undefined;
  if (add.size > 0 && store.profile.settings.unknownMembers === 'reject') return undefined;
  if (remove.size > 0 && isSignOutGroup(store, id)) return undefined;
  const ids = [...add, ...remove];
  if (ids.length === 0 || ids.length > changes.MAX_MEMBERS_AT_ONCE) return undefined;
  return { op: add.size > 0 ? 'add' : 'remove', ids };
}

/** @throws ScimError 400, 403, 404. */
async function changeMembers(
  org: TypedOrg,
  id: string,
  asked: MembersAsked,
  quirks: Quirks,
  answered: AnsweredMembers,
): Promise<StoredGroup> {
  const happening = { type: 'group.updated', targetId: id, details: detailsOf({}, {}, quirks) } as const;
  const changed = await changes.changeMembers(org.store, id, asked, org.actor, happening, answered);
  if ('refused' in changed) throw refusal(org, changed.refused);
  if (changed.done === undefined) throw notFound('Group');
  return changed.done;
}

async function readBefore(org: Org, id: string, members: MembershipChange): Promise<GroupBefore> {
  const before = await changes.readGroupBefore(org.store, id, members);
  if (before === undefined) throw notFound('Group');
  return before;
}

/** The members as the filter of a value path compares them. */
function folded(org: TypedOrg, { members = [] }: GroupBefore): JsonObject[] {
  const { subAttributes = [] } = org.types.group.attributes.find(({ name }) => name === 'members')!;
  return members.map(({ id: value, type, display }) =>
    foldObject(subAttributes, { value, type, ...(display !== null && { display }) }),
  );
}

/** What was read for a replacement of all members, as this change needs it. It adds only members that were asked for. */
function narrow({ members = [], ...before }: GroupBefore, { isReplaced, add, remove }: MembershipChange): GroupBefore {
  return {
    ...before,
    joining: before.joining.filter(({ id }) => add.has(id)),
    leaving: members.filter(({ id }) => (isReplaced ? !add.has(id) : remove.has(id))),
    unknown: before.unknown.filter((id) => add.has(id)),
  };
}

/** Computes, and writes the difference. @returns undefined when overtaken. */
async function changeGroup(
  org: TypedOrg,
  before: GroupBefore,
  members: MembershipChange,
  ifMatch: TagCondition | undefined,
  answered: AnsweredMembers,
  compute: (before: Resource) => { readonly after: Resource; readonly quirks: Quirks; readonly more?: Details },
): Promise<StoredGroup | undefined> {
  const { group, joining, leaving, unknown } = before;
  const { id } = group;
  if (ifMatch !== undefined && !hasTag(ifMatch, group.version)) throw preconditionFailed();
  if (unknown.length > 0 && org.store.profile.settings.unknownMembers === 'reject') throw unknownMembers();
  const { after, quirks, more } = compute(group.resource);
  const isChanged = !isSame(group.resource, after);
  if (!isChanged && joining.length === 0 && leaving.length === 0) {
    if (unknown.length > 0) await changes.noteUnknown(org.store, org.actor, id, detailsOfChange(before, after, quirks));
    return withMembersFor(org, group, answered);
  }
  const isGuarded = isChanged || members.isReplaced || ifMatch !== undefined;
  // Whoever changes it at the same time: an answer without members is right for a group of any size.
  const isLarge = group.memberCount + joining.length - leaving.length > changes.MAX_ANSWERED_MEMBERS;
  const changed = await changes.changeGroup(
    org.store,
    org.types.group,
    group,
    {
      joining,
      leaving,
      ...(isGuarded && { version: group.version }),
      ...(isChanged && { draft: { id, resource: after, createdAt: group.createdAt, modifiedAt: org.store.now } }),
    },
    org.actor,
    { type: 'group.updated', targetId: id, details: { ...detailsOfChange(before, after, quirks), ...more } },
    answered === 'few' && isLarge ? 'none' : answered,
  );
  if ('done' in changed) {
    await publishAll(org, changed.done.signedOut);
    return changed.done.group;
  }
  if (changed.refused === 'version') return undefined;
  throw refusal(org, changed.refused);
}

const wholly = (projection: Projection): AnsweredMembers => (isWanted(projection, 'members') ? 'all' : 'none');

/** A large group's members are left out, unless the client named attributes and `members` is among them. */
function briefly(projection: Projection): AnsweredMembers {
  const members = wholly(projection);
  return members === 'all' && !isAskedFor(projection) ? 'few' : members;
}

/** The unchanged group, as a change of it would be answered. */
async function withMembersFor(org: Org, group: StoredGroup, answered: AnsweredMembers): Promise<StoredGroup> {
  if (answered === 'none') return group;
  if (group.memberCount === 0) return { ...group, members: [] };
  const room = answered === 'few' ? changes.MAX_ANSWERED_MEMBERS : store.MAX_MEMBERS;
  return group.memberCount > room ? group : getGroup(org, group.id, {});
}

function detailsOfChange({ group, joining, leaving, unknown }: GroupBefore, after: Resource, quirks: Quirks) {
  return {
    ...detailsOf(group.resource, after, quirks),
    ...joined(ids(joining)),
    ...(leaving.length > 0 && { left: ids(leaving).slice(0, MAX_NOTED), leftCount: leaving.length }),
    ...(unknown.length > 0 && { unknownMembers: unknown.slice(0, MAX_NOTED) }),
  };
}

const ids = (members: readonly Related[]) => members.map(({ id }) => id);
const joined = (memberIds: readonly string[]) =>
  memberIds.length > 0 ? { joined: memberIds.slice(0, MAX_NOTED), joinedCount: memberIds.length } : {};

const unknownMembers = () => invalidValue('members.value: ids of users and groups of this organization were expected');

function refusal(org: Org, refused: 'storage' | 'taken' | 'known_members' | 'no_cycle'): ScimError {
  switch (refused) {
    case 'storage':
      return noRoom(org);
    case 'taken':
      return uniqueness('displayName');
    case 'known_members':
      return unknownMembers();
    case 'no_cycle':
      return invalidValue('members.value: a group cannot be a member of itself or of a group within it');
  }
}

/** @throws ScimError 404, 412; 400 tooMany when it would sign out too many at once. */
export async function deleteGroup(org: TypedOrg, id: string, ifMatch: TagCondition | undefined): Promise<void> {
  const happening = { type: 'group.deleted', targetId: id } as const;
  const deleted = await changes.deleteGroup(org.store, id, ifMatch === '*' ? undefined : ifMatch, org.actor, happening);
  if ('done' in deleted) {
    await publishAll(org, deleted.done);
    return;
  }
  switch (deleted.refused) {
    case 'found':
      throw notFound('Group');
    case 'version':
      throw preconditionFailed();
    case 'sign_outs':
      throw tooMany(
        `This group signs out users who leave it, and has more than ${store.MAX_MEMBERS} members: remove members by value first`,
      );
  }
}
