/** What the deactivation limit has held is carried out after all, at the operator's word. */
import { letGo, type Operation } from '../store/directory/deactivation-limit';
import { buryUser, eraseUser } from '../store/directory/delete-user';
import { replaceUser } from '../store/directory/user-changes';
import * as store from '../store/directory/users';
import { detailsOf, replacement } from './lifecycle';
import type { TypedOrg } from './org';
import { isUnmet } from './policy-errors';
import { retried } from './retry';

export interface Released {
  readonly user: string;
  /** Why it was not carried out; absent: it was. */
  readonly why?: 'protected' | 'linking';
}

/**
 * What the limit has held of one user is carried out now, at the operator's word; who is out already, or gone, is only held
 * no more.
 */
export async function releaseUser(org: TypedOrg, id: string, operation: Operation, by: string): Promise<Released> {
  const outcome = await retried(async (): Promise<Released | undefined> => {
    const before = await store.getUser(org.store, id);
    try {
      if (before === undefined || (operation === 'deactivate' && !before.isActive)) {
        await org.store.write(letGo(org.store, id));
      } else if (operation === 'delete') {
        await buryUser(org.store, id, [String(before.version)], org.actor, false);
      } else if (org.store.profile.settings.onDeactivate === 'erase') {
        await eraseUser(org.store, before, org.actor, false);
      } else {
        const after = { ...before.resource, active: false };
        const { type, endsSessions, isPublished } = replacement(true, false);
        const draft = { ...before, isActive: false, resource: after, version: before.version + 1 };
        const changed = detailsOf(before.resource, after, new Set());
        const happening = { type, targetId: id, details: { ...changed, cause: 'brake', by }, publishes: isPublished };
        const manner = { endsSessions, isLimited: false };
        const modifiedAt = Math.max(org.store.now, before.modifiedAt);
        await replaceUser(org.store, org.types.user, before, { ...draft, modifiedAt }, org.actor, happening, manner);
      }
      return { user: id };
    } catch (error) {
      if (isUnmet(error, 'version') || isUnmet(error, 'found')) return undefined; // overtaken
      for (const why of ['protected', 'linking'] as const) if (isUnmet(error, why)) return { user: id, why };
      throw error;
    }
  });
  if (outcome.why === undefined) await org.publish(id);
  return outcome;
}
