/** Users as the product sees them: create, get, query, replace, patch, delete; restoring who comes back. */
import { forbidden, invalidValue, notFound, preconditionFailed, type ScimError, uniqueness } from '../scim/error';
import { hasTag, type TagCondition } from '../scim/etag';
import { applyPatch } from '../scim/patch/apply';
import { parsePatch } from '../scim/patch/parse';
import type { Bends } from '../scim/quirks';
import { isSame, type Resource } from '../scim/resource';
import { readResource } from '../scim/validate';
import { Taken, Unmet } from '../store/batch';
import { withContact } from '../store/policy';
import type { StoredUser } from '../store/users';
import * as store from '../store/users';
import { creation, detailsOf, replacement, restoration } from './lifecycle';
import type { Org, TypedOrg } from './org';
import { retried } from './retry';

/** @throws ScimError 404, also for another org's user. */
export async function getUser(org: Org, id: string): Promise<StoredUser> {
  const user = await store.getUser(org.store, id);
  if (user === undefined) throw notFound('User');
  return user;
}

/**
 * A new user, or one who comes back: a deleted user with this externalId or userName is restored under its old id.
 *
 * @throws ScimError 400; 403 when the plan has no seat for them; 409 uniqueness when the userName is a live user's.
 */
export async function createUser(org: TypedOrg, body: unknown): Promise<StoredUser> {
  const bends: Bends = new Set();
  const resource = withActive(readResource(org.types.user, body, bends), true); // an IdP waits for `active` in the answer
  return retried(async () => {
    try {
      return await insert(org, resource, bends);
    } catch (error) {
      if (error instanceof Unmet && error.expectation === 'no_tombstone') return restore(org, resource, bends);
      if (isNameTaken(error)) return returning(org, resource, bends);
      if (isRoleRefused(error)) throw await unknownRole(org);
      if (isSeatRefused(error)) return noSeat(org);
      throw error;
    }
  });
}

async function insert(org: TypedOrg, resource: Resource, bends: Bends): Promise<StoredUser> {
  const id = crypto.randomUUID();
  const { now } = org.store;
  const isActive = resource['active'] === true;
  const change = creation(isActive);
  const details = detailsOf({}, resource, bends);
  const happening = { type: change.type, targetId: id, details, publishes: change.isPublished };
  const draft = { id, isActive, resource, version: 1, createdAt: now, modifiedAt: now };
  const user = await store.insertUser(org.store, org.types.user, draft, org.actor, happening);
  if (change.isPublished) await org.publish(id);
  return user;
}

/** @returns undefined when another request was quicker. */
async function restore(org: TypedOrg, resource: Resource, bends: Bends): Promise<StoredUser | undefined> {
  const tombstone = await store.findTombstone(org.store, resource);
  if (tombstone === undefined) return undefined;
  return save(org, tombstone, resource, resource['active'] === true, bends);
}

/**
 * Okta re-assigns a deactivated person by a new POST with the externalId it has used before; a bare 409 would lock them
 * out (better-auth issue 11111). Anyone else with a live userName is a duplicate.
 */
async function returning(org: TypedOrg, resource: Resource, bends: Bends): Promise<StoredUser | undefined> {
  const before = await store.getUserByName(org.store, resource['userName'] as string);
  const isSamePerson =
    before !== undefined &&
    !before.isActive &&
    before.resource['externalId'] !== undefined &&
    before.resource['externalId'] === resource['externalId'];
  if (!isSamePerson) throw uniqueness('userName');
  if (isSame(before.resource, resource)) return unchanged(org, before);
  return save(org, before, resource, resource['active'] === true, bends);
}

/** PUT: what the body leaves out is unassigned, but for `active`. @throws ScimError 400, 403, 404, 409, 412. */
export function replaceUser(
  org: TypedOrg,
  id: string,
  body: unknown,
  ifMatch: TagCondition | undefined,
): Promise<StoredUser> {
  return changeUser(org, id, ifMatch, (before, bends) =>
    withActive(readResource(org.types.user, body, bends), before.isActive),
  );
}

/** @throws ScimError 400, 403, 404, 409, 412. */
export function patchUser(
  org: TypedOrg,
  id: string,
  body: unknown,
  ifMatch: TagCondition | undefined,
): Promise<StoredUser> {
  const messageBends: Bends = new Set();
  const operations = parsePatch(body, messageBends);
  return changeUser(org, id, ifMatch, (before, bends) => {
    for (const bend of messageBends) bends.add(bend);
    return applyPatch(org.types.user, before.resource, operations, bends);
  });
}

/** Reads, computes, writes where nothing has changed meanwhile; else from the read again, so that no update is lost. */
function changeUser(
  org: TypedOrg,
  id: string,
  ifMatch: TagCondition | undefined,
  compute: (before: StoredUser, bends: Bends) => Resource,
): Promise<StoredUser> {
  return retried(async () => {
    const before = await getUser(org, id);
    if (ifMatch !== undefined && !hasTag(ifMatch, before.version)) throw preconditionFailed();
    const bends: Bends = new Set();
    const after = compute(before, bends);
    if (isSame(before.resource, after)) return unchanged(org, before);
    return save(org, before, after, (after['active'] as boolean | undefined) ?? before.isActive, bends);
  });
}

/**
 * RFC 7644 §3.5.2.1: what changes nothing moves no version and no timestamp. But an IdP repeats what failed half-way: a
 * change whose publication was lost in a crash is published before the repetition hears 2xx.
 */
async function unchanged(org: Org, before: StoredUser): Promise<StoredUser> {
  if (before.isUnpublished) await org.publish(before.id);
  return before;
}

/**
 * Only an explicit `active` changes whether someone may sign in: a PUT that leaves it out must not let a deactivated
 * person back in, nor must a PATCH that removes the attribute.
 */
function withActive(resource: Resource, otherwise: boolean): Resource {
  return resource['active'] === undefined ? { ...resource, active: otherwise } : resource;
}

/** The only way a user changes, whichever of POST, PUT or PATCH asked for it. @returns undefined when overtaken. */
async function save(
  org: TypedOrg,
  before: StoredUser,
  after: Resource,
  isActive: boolean,
  bends: Bends,
): Promise<StoredUser | undefined> {
  const change = before.isDeleted ? restoration(isActive) : replacement(before.isActive, isActive);
  const draft = {
    id: before.id,
    isActive,
    resource: after,
    version: before.version + 1,
    createdAt: before.createdAt,
    modifiedAt: Math.max(org.store.now, before.modifiedAt),
  };
  const details = detailsOf(before.resource, after, bends);
  const happening = { type: change.type, targetId: before.id, details, publishes: change.isPublished };
  try {
    const { endsSessions } = change;
    const saved = await store.replaceUser(org.store, org.types.user, before, draft, org.actor, happening, endsSessions);
    if (change.isPublished || saved.isSignedOut) await org.publish(before.id);
    return saved.user;
  } catch (error) {
    if (error instanceof Unmet && error.expectation === 'version') return undefined;
    if (isNameTaken(error)) throw uniqueness('userName');
    if (isRoleRefused(error)) throw await unknownRole(org);
    if (isSeatRefused(error)) return noSeat(org);
    throw error;
  }
}

const isNameTaken = (error: unknown) => error instanceof Taken && error.columns.includes('user_name_key');
const isRoleRefused = (error: unknown) => error instanceof Unmet && error.expectation === 'allowed_roles';
const isSeatRefused = (error: unknown) => error instanceof Unmet && error.expectation === 'seats';

/**
 * RFC 7644 §3.12: 403, the operation is not permitted. Not 409, after which identity providers look for a duplicate, nor
 * 429, after which they hold back everything else, too. Okta puts the detail before its administrator as a task (Okta
 * Help, «Troubleshoot provisioning»); Entra ID tries again in later cycles (Microsoft Learn, «How Application
 * Provisioning works», errors and retries), so who waits for a seat gets it when there is one.
 *
 * @returns undefined when the limit is gone by now: to be tried again.
 * @throws ScimError 403.
 */
async function noSeat(org: Org): Promise<undefined> {
  let { settings } = await org.store.found();
  if (settings['plan.seats'] === undefined) ({ settings } = await org.store.verify()); // it has been set since
  const seats = settings['plan.seats'];
  if (seats === undefined) return;
  org.noteRefusal('seats');
  const sentence = `The limit of active users in the plan of this organization (plan.seats: ${seats}) is reached: deactivate somebody first, or ask for more.`;
  throw forbidden(withContact(sentence, settings));
}

/** Roles that a refusal lists. */
const MAX_LISTED_ROLES = 20;

/** Says which roles there are, never the one that was refused. */
async function unknownRole(org: Org): Promise<ScimError> {
  const { settings } = await org.store.found();
  const allowed = (settings.roles ?? []).map(({ value }) => value);
  const rest = allowed.length - MAX_LISTED_ROLES;
  return invalidValue(
    `roles.value: this organization limits roles to ${allowed.slice(0, MAX_LISTED_ROLES).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`,
  );
}

/** A tombstone: the account and its history stay, SCIM answers 404 from now on. @throws ScimError 404, 412. */
export async function deleteUser(org: Org, id: string, ifMatch: TagCondition | undefined): Promise<void> {
  const versions = ifMatch === '*' ? undefined : ifMatch;
  try {
    await store.buryUser(org.store, id, versions, org.actor, { type: 'user.deleted', targetId: id, publishes: true });
  } catch (error) {
    if (!(error instanceof Unmet) || error.expectation !== 'found') throw error;
    if (versions === undefined) throw notFound('User');
    await getUser(org, id); // 404, unless it is the version that does not match
    throw preconditionFailed();
  }
  await org.publish(id);
}
