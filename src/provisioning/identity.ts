/**
 * Whom a POST means. An equal externalId is the same person, different externalIds are different persons, and a missing one
 * identifies nobody: then the userName decides, or an address. What is ambiguous is never chosen. Pure.
 */
import { addressesOf, addressKey, domainKey, domainOf, linkingAddress } from '../scim/address';
import { externalIdOf, isSameName } from '../scim/identifying';
import type { Resource } from '../scim/resource';
import { mayLink } from '../store/directory/linking';
import type { Alike, StoredUser } from '../store/directory/users';
import { type OrgSettings, settingOf } from '../store/org/settings';

/** As much of an account as decides it. */
export type Account = Pick<StoredUser, 'id' | 'resource' | 'isUnlinked' | 'isActive' | 'isProtected'>;

export type LinkedBy = 'userName' | 'externalId' | 'email';

export type Meaning<A> =
  /** The userName belongs to another user. */
  | { readonly is: 'taken'; readonly account: A }
  /** A deactivated account that comes back, perhaps under another userName. */
  | { readonly is: 'known'; readonly account: A }
  | { readonly is: 'deleted'; readonly account: A }
  | { readonly is: 'unlinked'; readonly account: A; readonly by: LinkedBy }
  | {
      readonly is: 'new';
      /** The accounts with its address, of which none can be linked. */
      readonly notLinked: readonly A[];
    };

export function meaningOf<A extends Account>(said: Resource, alike: Alike<A>, settings: OrgSettings): Meaning<A> {
  const known = continued(alike.sameExternalId, settings);
  const { named } = alike;
  if (named) {
    // Two accounts are meant: one by its externalId, the other by its userName.
    const isOther = known !== undefined && known.id !== named.id;
    return isOther ? { is: 'taken', account: named } : meaningOfName(said, named, settings);
  }
  if (known)
    return known.isUnlinked ? { is: 'unlinked', account: known, by: 'externalId' } : { is: 'known', account: known };
  const deleted = alike.tombstones.find((account) => isRestored(said, account, settings));
  return deleted ? { is: 'deleted', account: deleted } : meaningOfAddress(said, alike.addressed, settings);
}

/** The one live account with the externalId, if a POST may go on with it: deactivated, or the application's own. */
function continued<A extends Account>([account, another]: readonly A[], settings: OrgSettings): A | undefined {
  if (account === undefined || another !== undefined) return undefined;
  return (account.isUnlinked ? mayLink(settings) : !account.isActive) ? account : undefined;
}

/**
 * Okta re-assigns a person by a new POST with the externalId it has used before, and a bare 409 would lock them out
 * (better-auth issue 11111). Any other POST with a live user's name is a duplicate, unless it links.
 */
function meaningOfName<A extends Account>(said: Resource, named: A, settings: OrgSettings): Meaning<A> {
  const isSame = hasSameExternalId(said, named);
  if (named.isUnlinked && mayLink(settings)) {
    if (isSame)
      return { is: 'unlinked', account: named, by: isSameName(said, named.resource) ? 'userName' : 'externalId' };
    if (mayBe(said, named) && isSameName(said, named.resource))
      return { is: 'unlinked', account: named, by: 'userName' };
  }
  return !named.isUnlinked && !named.isActive && isSame
    ? { is: 'known', account: named }
    : { is: 'taken', account: named };
}

function hasSameExternalId(said: Resource, { resource }: Account): boolean {
  const externalId = externalIdOf(said);
  return externalId !== undefined && externalId === externalIdOf(resource);
}

/** Both have an externalId, and these differ: they are different persons. */
export function isForeign(said: Resource, { resource }: Pick<Account, 'resource'>): boolean {
  const [known, given] = [externalIdOf(resource), externalIdOf(said)];
  return known !== undefined && given !== undefined && known !== given;
}

const mayBe = (said: Resource, account: Account): boolean => !isForeign(said, account);

/** Whether a deleted account is this person's, and the org restores it (setting `restore`). */
export function isRestored(said: Resource, account: Account, settings: OrgSettings): boolean {
  const restore = settingOf(settings, 'restore');
  if (restore === 'off') return false;
  if (hasSameExternalId(said, account)) return true;
  return restore === 'same-person' && mayBe(said, account) && isSameName(said, account.resource);
}

/** Whether addresses of this one's domain link. */
export function isVerified({ verifiedDomains = [] }: OrgSettings, address: string): boolean {
  const domain = domainOf(address);
  return domain !== undefined && verifiedDomains.some((verified) => domainKey(verified) === domain);
}

function meaningOfAddress<A extends Account>(
  said: Resource,
  addressed: readonly A[],
  settings: OrgSettings,
): Meaning<A> {
  const address = linkingAddress(said);
  if (address === undefined || !isVerified(settings, address) || settingOf(settings, 'linking') !== 'email')
    return { is: 'new', notLinked: [] };
  const key = addressKey(address);
  const holders = addressed.filter(({ resource }) => addressesOf(resource).some((one) => addressKey(one) === key));
  const [account, another] = holders;
  if (account === undefined || another !== undefined) return { is: 'new', notLinked: holders };
  const own = linkingAddress(account.resource);
  const links =
    account.isUnlinked && !account.isProtected && mayBe(said, account) && own !== undefined && addressKey(own) === key;
  return links ? { is: 'unlinked', account, by: 'email' } : { is: 'new', notLinked: holders };
}
