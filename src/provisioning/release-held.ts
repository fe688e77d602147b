/** What the deactivation limit has held is carried out after all, at the operator's word. */
import type { Outcome, Refusal } from '../store/d1/outcome';
import { letGo, type Operation } from '../store/directory/deactivation-limit';
import { buryUser, eraseUser, type LeavingRefusal } from '../store/directory/delete-user';
import { type ChangeRefusal, replaceUser } from '../store/directory/user-changes';
import type { StoredUser } from '../store/directory/users';
import * as store from '../store/directory/users';
import { detailsOf, replacement } from './lifecycle';
import type { TypedOrg } from './org';
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
    const refused = await carryOut(org, id, before, operation, by);
    switch (refused) {
      case undefined:
        return { user: id };
      case 'protected':
      case 'linking':
        return { user: id, why: refused };
      case 'version':
      case 'found':
        return undefined; // overtaken
      default:
        throw new Error(`a release was refused: ${refused}`);
    }
  });
  if (outcome.why === undefined) await org.publish(id);
  return outcome;
}

/** @returns why it was refused. */
async function carryOut(
  org: TypedOrg,
  id: string,
  before: StoredUser | undefined,
  operation: Operation,
  by: string,
): Promise<LeavingRefusal | ChangeRefusal | undefined> {
  if (before === undefined || (operation === 'deactivate' && !before.isActive)) {
    await org.store.write(letGo(org.store, id));
    return undefined;
  }
  if (operation === 'delete')
    return refusalIn(await buryUser(org.store, id, [String(before.version)], org.actor, false));
  if (org.store.profile.settings.onDeactivate === 'erase') {
    return refusalIn(await eraseUser(org.store, before, org.actor, false));
  }
  const after = { ...before.resource, active: false };
  const { type, endsSessions, isPublished } = replacement(true, false);
  const modifiedAt = Math.max(org.store.now, before.modifiedAt);
  const draft = { ...before, isActive: false, resource: after, version: before.version + 1, modifiedAt };
  const changed = detailsOf(before.resource, after, new Set());
  const happening = { type, targetId: id, details: { ...changed, cause: 'brake', by }, publishes: isPublished };
  const manner = { endsSessions, isLimited: false };
  return refusalIn(await replaceUser(org.store, org.types.user, before, draft, org.actor, happening, manner));
}

const refusalIn = <R extends Refusal>(outcome: Outcome<unknown, R>): R | undefined =>
  'refused' in outcome ? outcome.refused : undefined;
