/** Users as the product sees them: create, get, replace, patch, delete; restoring who comes back, linking who was there. */
import { notFound, preconditionFailed, uniqueness } from '../scim/error';
import { hasTag, type TagCondition } from '../scim/etag';
import { identityChanges } from '../scim/identifying';
import { applyPatch } from '../scim/patch/apply';
import { parsePatch } from '../scim/patch/parse';
import type { Projection } from '../scim/projection';
import type { Quirks } from '../scim/quirks';
import { isSame, type Resource, type Stored } from '../scim/resource';
import { readResource } from '../scim/validate';
import type { Outcome } from '../store/d1/outcome';
import { withdraw } from '../store/directory/deactivation-limit';
import { buryUser, eraseUser, type LeavingRefusal } from '../store/directory/delete-user';
import { mayLink } from '../store/directory/linking';
import type { NewUserRefusal } from '../store/directory/user-changes';
import * as changes from '../store/directory/user-changes';
import type { StoredUser } from '../store/directory/users';
import * as store from '../store/directory/users';
import { isForeign, type LinkedBy, meaningOf } from './identity';
import { creation, detailsOf, replacement, restoration } from './lifecycle';
import type { Org, TypedOrg } from './org';
import { notLinked, policyError, protectedIdentity } from './policy-errors';
import { retried } from './retry';

/** What an answer shows of a user. @throws ScimError 404, also for another org's user. */
export async function showUser(org: Org, id: string, projection: Projection): Promise<Stored> {
  const user = await store.showUser(org.store, id, projection);
  if (user === undefined) throw notFound('User');
  return user;
}

/** @throws ScimError 404, also for another org's user. */
async function getUser(org: Org, id: string): Promise<StoredUser> {
  const user = await store.getUser(org.store, id);
  if (user === undefined) throw notFound('User');
  return user;
}

/**
 * A new user, or one whom we know (identity.ts): an account that was deactivated or deleted comes back under its id, and one
 * that the application had before is linked. An ordinary POST takes one round trip: its own batch notices what may be known.
 *
 * @throws ScimError 400; 403 when the plan has no seat for them, or they are protected; 409 uniqueness when the userName or
 *   the externalId is somebody else's; 429 when they would be taken out and the deactivation limit holds that.
 */
export async function createUser(org: TypedOrg, body: unknown, mayBeKnownAlready = false): Promise<Stored> {
  const quirks: Quirks = new Set();
  const said = readResource(org.types.user, body, quirks, org);
  const resource = withActive(said, true); // an IdP waits for `active` in the answer
  const passedOver = new Set<string>();
  let notLinked: readonly string[] = [];
  let isTried = !mayBeKnownAlready;
  return retried(async () => {
    if (isTried) {
      const inserted = await insert(org, resource, quirks, notLinked, [...passedOver]);
      if ('done' in inserted) return inserted.done;
      const { refused } = inserted;
      if (!mayBeKnown(refused)) throw await policyError(org, refused);
    }
    isTried = true;
    const alike = await store.readAlike(org.store, said, [...passedOver]);
    const meaning = meaningOf(said, alike, org.store.profile.settings);
    switch (meaning.is) {
      case 'taken':
        throw uniqueness('userName', isForeign(said, meaning.account) ? ' with another externalId' : '');
      case 'known':
        return comeBack(org, meaning.account, said, quirks);
      case 'deleted':
        return save(org, meaning.account, resource, resource['active'] === true, quirks, { isFromRead: true });
      case 'unlinked':
        return link(org, meaning.account, said, quirks, meaning.by);
      case 'new':
        for (const { id } of [...alike.tombstones, ...alike.addressed]) passedOver.add(id);
        notLinked = meaning.notLinked.map(({ id }) => id);
        return undefined;
    }
  });
}

const KNOWN = ['taken', 'no_tombstone', 'same_external_id', 'linkable'] as const;

/** Unless it is a new account after all, it is one that is there. */
const mayBeKnown = (refused: NewUserRefusal): refused is (typeof KNOWN)[number] =>
  KNOWN.some((known) => known === refused);

/** @param passedOver accounts that were looked at and belong to others. */
async function insert(
  org: TypedOrg,
  resource: Resource,
  quirks: Quirks,
  notLinked: readonly string[],
  passedOver: readonly string[],
): Promise<Outcome<Stored, NewUserRefusal>> {
  const id = org.newId ?? crypto.randomUUID();
  const { now } = org.store;
  const isActive = resource['active'] === true;
  const change = creation(isActive);
  const details = { ...detailsOf({}, resource, quirks), ...(notLinked.length > 0 && { notLinked }) };
  const happening = { type: change.type, targetId: id, details, publishes: change.isPublished };
  const draft = { id, isActive, resource, version: 1, createdAt: now, modifiedAt: now };
  const inserted = await changes.insertUser(org.store, org.types.user, draft, org.actor, happening, passedOver);
  if (change.isPublished && 'done' in inserted) await org.publish(id);
  return inserted;
}

/** The account that was deactivated, as the POST says. @returns undefined when another request was quicker. */
function comeBack(org: TypedOrg, before: StoredUser, said: Resource, quirks: Quirks): Promise<Stored | undefined> {
  const resource = withActive(said, true);
  if (isSame(before.resource, resource)) return unchanged(org, before);
  return save(org, before, resource, resource['active'] === true, quirks, { isFromRead: true });
}

/**
 * The account that the application had, under its id. What the identity provider does not say stays as it is, and so do
 * the e-mail addresses whatever it says: somebody who can choose addresses there must not get another person's password
 * reset.
 */
function link(
  org: TypedOrg,
  before: StoredUser,
  said: Resource,
  quirks: Quirks,
  by: LinkedBy,
): Promise<Stored | undefined> {
  const { emails } = before.resource;
  const isKept = emails !== undefined || before.isProtected;
  const { emails: _, ...others } = said;
  const merged = { ...before.resource, ...(isKept ? others : said) };
  const after = withActive(merged, before.isActive);
  const keptEmails = isKept && identityChanges({ ...after, emails: said['emails'] ?? emails ?? [] }, after).length > 0;
  return save(org, before, after, after['active'] === true, quirks, {
    linked: { by, ...(keptEmails && { keptEmails }) },
    isFromRead: true,
  });
}

/** PUT: what the body leaves out is unassigned, but for `active`. @throws ScimError 400, 403, 404, 409, 412. */
export function replaceUser(
  org: TypedOrg,
  id: string,
  body: unknown,
  ifMatch: TagCondition | undefined,
): Promise<Stored> {
  const compute: Compute = (before, quirks) =>
    withActive(readResource(org.types.user, body, quirks, org), before.isActive);
  return changeUser(org, id, ifMatch, compute, true);
}

/** @throws ScimError 400, 403, 404, 409, 412. */
export function patchUser(
  org: TypedOrg,
  id: string,
  body: unknown,
  ifMatch: TagCondition | undefined,
): Promise<Stored> {
  const messageQuirks: Quirks = new Set();
  const operations = parsePatch(body, messageQuirks);
  return changeUser(org, id, ifMatch, (before, quirks) => {
    for (const quirk of messageQuirks) quirks.add(quirk);
    const { unknownAttributes } = org.store.profile.settings;
    const options = { baseUrl: org.baseUrl, unknownAttributes };
    return withActive(applyPatch(org.types.user, before.resource, operations, quirks, options), before.isActive);
  });
}

type Compute = (before: Pick<StoredUser, 'resource' | 'isActive'>, quirks: Quirks) => Resource;

/** Reads, computes, writes where nothing has changed meanwhile; else from the read again, so that no update is lost. */
function changeUser(
  org: TypedOrg,
  id: string,
  ifMatch: TagCondition | undefined,
  compute: Compute,
  isReplaced = false,
): Promise<Stored> {
  return retried(async () => {
    const before = await getUser(org, id);
    if (ifMatch !== undefined && !hasTag(ifMatch, before.version)) throw preconditionFailed();
    if (before.isUnlinked && !mayLink(org.store.profile.settings)) throw notLinked(org);
    const quirks: Quirks = new Set();
    const after = compute(before, quirks);
    const withdraws = before.isHeld && wantsActive(before, compute);
    if (!before.isUnlinked && isSame(before.resource, after)) {
      if (withdraws) await withdraw(org.store, before.id, org.actor);
      return unchanged(org, before);
    }
    const isActive = (after['active'] as boolean | undefined) ?? before.isActive;
    return save(org, before, after, isActive, quirks, {
      withdraws,
      isReplaced,
      ...(before.isUnlinked && { linked: { by: 'id' } }),
    });
  });
}

/** A held user counts as inactive for the identity provider. A message that activates the user ends the hold. */
function wantsActive({ resource }: StoredUser, compute: Compute): boolean {
  return compute({ resource: { ...resource, active: false }, isActive: false }, new Set())['active'] === true;
}

/**
 * RFC 7644 §3.5.2.1: what changes nothing moves no version and no timestamp. But an IdP repeats what failed half-way: a
 * change whose publication was lost in a crash is published before the repetition hears 2xx.
 */
async function unchanged(org: Org, before: StoredUser): Promise<Stored> {
  if (before.unpublished !== undefined) await org.publish(store.publicationOf(before));
  return before;
}

/**
 * Only an explicit `active` changes whether someone may sign in: a PUT that leaves it out must not let a deactivated
 * person back in, nor must a PATCH that removes the attribute.
 */
function withActive(resource: Resource, otherwise: boolean): Resource {
  return resource['active'] === undefined ? { ...resource, active: otherwise } : resource;
}

interface Saving {
  /** The identity provider takes the account over by it, which the event says. */
  readonly linked?: { readonly by: LinkedBy | 'id'; readonly keptEmails?: boolean };
  /** The identity provider sets a held user to active. */
  readonly withdraws?: boolean;
  /** By a PUT, which the event says. */
  readonly isReplaced?: boolean;
  /** That the userName was free has just been read: if it is not, another request was quicker. */
  readonly isFromRead?: boolean;
}

/** The only way a user changes, whichever of POST, PUT or PATCH asked for it. @returns undefined when overtaken. */
async function save(
  org: TypedOrg,
  before: StoredUser,
  after: Resource,
  isActive: boolean,
  quirks: Quirks,
  { linked, withdraws = false, isReplaced = false, isFromRead = false }: Saving,
): Promise<Stored | undefined> {
  const change = before.isDeleted ? restoration(isActive) : replacement(before.isActive, isActive);
  // To be taken over moves neither.
  const isAnother = before.isDeleted || !isSame(before.resource, after);
  const draft = {
    id: before.id,
    isActive,
    resource: after,
    version: before.version + (isAnother ? 1 : 0),
    createdAt: before.createdAt,
    modifiedAt: isAnother ? Math.max(org.store.now, before.modifiedAt) : before.modifiedAt,
  };
  const details = {
    ...detailsOf(before.resource, after, quirks),
    ...(isReplaced && { replaced: true }),
    ...(linked && { linked }),
  };
  const type = linked && change.type === 'user.updated' ? 'user.linked' : change.type;
  const happening = { type, targetId: before.id, details, publishes: change.isPublished };
  const { endsSessions } = change;
  if (change.type === 'user.deactivated' && org.store.profile.settings.onDeactivate === 'erase') {
    const erased = await eraseUser(org.store, before, org.actor, true);
    if ('refused' in erased) return refuse(erased.refused);
    await org.publish(erased.done);
    return { ...before, ...draft, groups: [] }; // the last that is seen of them
  }
  const manner = { endsSessions, isLinked: linked !== undefined, withdraws };
  const saved = await changes.replaceUser(org.store, org.types.user, before, draft, org.actor, happening, manner);
  if ('refused' in saved) return refuse(saved.refused);
  const { user, isSignedOut } = saved.done;
  if (change.isPublished || isSignedOut) await org.publish(store.publicationOf(user));
  return user;

  async function refuse(refused: changes.ChangeRefusal | LeavingRefusal): Promise<undefined> {
    switch (refused) {
      case 'version':
      case 'found':
        return undefined;
      case 'taken':
        if (isFromRead) return undefined;
        throw uniqueness('userName');
      case 'protected_identity':
        throw await protectedIdentity(org, before.id, identityChanges(before.resource, after));
      default:
        throw await policyError(org, refused, before.id, 'deactivate');
    }
  }
}

/**
 * A tombstone: the account and its history stay, or nothing but its id where the org says so (`onDelete`). SCIM answers 404
 * from now on.
 *
 * @throws ScimError 403, 404, 412, 429.
 */
export async function deleteUser(org: TypedOrg, id: string, ifMatch: TagCondition | undefined): Promise<void> {
  const buried = await buryUser(org.store, id, ifMatch === '*' ? undefined : ifMatch, org.actor);
  if ('done' in buried) {
    await org.publish(buried.done);
    return;
  }
  const { refused } = buried;
  if (refused === 'found') throw notFound('User');
  if (refused === 'version') throw preconditionFailed();
  throw await policyError(org, refused, id, 'delete');
}
