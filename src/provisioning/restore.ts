/** The operator restores a deleted user, where the next POST of the identity provider would make a new one. */
import type { Details } from '../events';
import { notFound, ScimError, uniqueness } from '../scim/error';
import { replaceUser } from '../store/directory/user-changes';
import type { StoredUser } from '../store/directory/users';
import * as store from '../store/directory/users';
import { restoration } from './lifecycle';
import type { TypedOrg } from './org';
import { type PolicyRefusal, policyError } from './policy-errors';
import { retried } from './retry';

export interface Restored {
  readonly user: StoredUser;
  readonly isPublished: boolean;
}

/**
 * The account as it was when it was deleted, active if it was so then. Its groups stay left. Sessions from before stay dead.
 *
 * @throws ScimError 404: no user of this id was deleted, or nothing is left of it. 409: the userName or the externalId is a
 *   live user's by now, or the plan has no seat.
 */
export function restoreUser(org: TypedOrg, id: string, details: Details): Promise<Restored> {
  return retried(async () => {
    const before = await store.getTombstone(org.store, id);
    if (before === undefined) throw await notDeleted(org, id);
    // A deletion leaves the attribute as it was.
    const isActive = before.resource['active'] === true;
    const { type, endsSessions, isPublished: publishes } = restoration(isActive);
    const draft = {
      id,
      isActive,
      resource: before.resource,
      version: before.version + 1,
      createdAt: before.createdAt,
      modifiedAt: Math.max(org.store.now, before.modifiedAt),
    };
    const happening = { type, targetId: id, details: { changed: {}, ...details }, publishes };
    const manner = { endsSessions, isOneExternalId: true };
    const restored = await replaceUser(org.store, org.types.user, before, draft, org.actor, happening, manner);
    if ('done' in restored) {
      const { user } = restored.done;
      return { user, isPublished: await org.publish(store.publicationOf(user)) };
    }
    const { refused } = restored;
    if (refused === 'version') return undefined;
    if (refused === 'taken') throw uniqueness('userName');
    if (refused === 'seats') throw noSeat(org);
    // A restore deactivates nobody, and changes no identity.
    throw await policyError(org, refused as PolicyRefusal, id);
  });
}

/** Says whether the id is that of a live user, of an erased one, or unknown. */
async function notDeleted(org: TypedOrg, id: string): Promise<ScimError> {
  if (await store.getUser(org.store, id)) {
    return new ScimError(404, undefined, 'The user is not deleted, so there is nothing to restore');
  }
  if (await store.isErased(org.store, id)) {
    return new ScimError(404, undefined, 'The user was erased: only the id remains, so nothing can be restored');
  }
  return notFound('Deleted user');
}

const noSeat = ({ store: { tenant } }: TypedOrg) =>
  new ScimError(
    409,
    undefined,
    `The limit of active users in the plan (plan.seats: ${tenant.settings['plan.seats']}) is reached. Raise it, or deactivate other users first`,
  );
