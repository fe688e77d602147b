/**
 * Before an identity provider is let in: by what it would take over the accounts that are there already. A POST looks for
 * the userName first, then for one of its addresses, if the domain is verified; it never chooses among several.
 */

import { addressesOf, addressKey, linkingAddress } from '../scim/address';
import { invalidValue, ScimError } from '../scim/error';
import { identityChanges } from '../scim/identifying';
import type { Resource } from '../scim/resource';
import { readResource } from '../scim/validate';
import { findMatches, listUnlinked, type Match, type Unlinked } from '../store/directory/link-preview';
import type { Alike } from '../store/directory/users';
import { type OrgSettings, settingOf } from '../store/org/settings';
import type { Offered } from './account-import';
import { isForeign, isVerified, type LinkedBy, meaningOf } from './identity';
import type { Org, TypedOrg } from './org';

/** What links, under the org's settings. */
interface Rules {
  readonly linking: NonNullable<OrgSettings['linking']>;
  readonly verifiedDomains: readonly string[];
}

const rulesOf = (settings: OrgSettings): Rules => ({
  linking: settingOf(settings, 'linking'),
  verifiedDomains: settings.verifiedDomains ?? [],
});

/** Why an account, or one of its addresses, does not link. */
export interface Conflict {
  readonly reason: 'linking' | 'externalId' | 'shared' | 'unverified' | 'secondary' | 'protected';
  readonly addresses: readonly string[];
  readonly detail: string;
}

export interface Preview {
  readonly account: Unlinked;
  /** By what it would link. */
  readonly userName: boolean;
  readonly emails: readonly string[];
  readonly conflicts: readonly Conflict[];
}

/** Every page of the unlinked accounts, and by what each would link. @throws ScimError 400. */
export async function previewLinks(
  { store }: Org,
  after: string | undefined,
  limit: number,
): Promise<Rules & { readonly accounts: readonly Preview[]; readonly next: string | null }> {
  const accounts = await listUnlinked(store, after, limit);
  if (accounts === undefined) throw invalidValue('after: the id of the last account of a page was expected');
  const rules = rulesOf(store.tenant.settings);
  const next = accounts.length < limit ? null : accounts.at(-1)!.id;
  return { ...rules, accounts: accounts.map((account) => previewOf(rules, account)), next };
}

function previewOf(rules: Rules, account: Unlinked): Preview {
  if (rules.linking === 'off') {
    const detail = 'linking is off: a POST with this userName gets 409';
    return { account, userName: false, emails: [], conflicts: [{ reason: 'linking', addresses: [], detail }] };
  }
  const foreign: Conflict[] =
    account.externalId === undefined ? [] : [{ reason: 'externalId', addresses: [], detail: FOREIGN }];
  if (rules.linking === 'userName') return { account, userName: true, emails: [], conflicts: foreign };
  const addresses = [...new Set(addressesOf({ emails: [...account.emails] }).map(addressKey))];
  const others = new Set(
    account.others.flatMap(({ emails }) => addressesOf({ emails: [...(emails ?? [])] })).map(addressKey),
  );
  const own = linkingAddress({ emails: [...account.emails] });
  const those = (condition: (address: string) => boolean) => addresses.filter(condition);
  const obstacles: Record<keyof typeof WHY, string[]> = {
    shared: those((address) => others.has(address)),
    unverified: those((address) => !isVerified(rules, address)),
    secondary: those((address) => own === undefined || addressKey(own) !== address),
    protected: those(() => account.isProtected),
  };
  const blocked = new Set(Object.values(obstacles).flat());
  return {
    account,
    userName: true,
    emails: those((address) => !blocked.has(address)),
    conflicts: [
      ...foreign,
      ...(Object.keys(WHY) as (keyof typeof WHY)[]).flatMap((reason) =>
        obstacles[reason].length > 0 ? [{ reason, addresses: obstacles[reason], detail: WHY[reason] }] : [],
      ),
    ],
  };
}

/** An imported externalId is that of one person: another one is another person. */
const FOREIGN = 'it has an externalId: a POST with this userName and another externalId gets 409';

/** Why an address does not link. */
const WHY = {
  shared: 'another account has the same address, so it never links',
  unverified: 'its domain is not in verifiedDomains, so it does not link',
  secondary: 'it is not the primary address, and only that one links',
  protected: 'the account is protected, so no address links it',
} as const;

/** What would become of a user that the identity provider creates. */
export interface Outcome {
  readonly line: number;
  readonly userName: string | null;
  readonly outcome: 'links' | 'known' | 'new' | 'restored' | 'conflict';
  readonly by?: LinkedBy;
  /** The account that it is about. */
  readonly account?: string;
  readonly detail?: string;
}

/** Of each of the identity provider's own list of people, what a POST would come to. */
export async function previewPeople(
  org: TypedOrg,
  offered: readonly Offered[],
): Promise<Rules & { readonly people: readonly Outcome[] }> {
  const people = offered.map((one) => readPerson(org, one));
  const { settings } = await org.store.found();
  const matchesOf = await findMatches(
    org.store,
    people.flatMap(({ resource }) => (resource === undefined ? [] : [resource])),
  );
  let met = 0;
  return {
    ...rulesOf(settings),
    people: people.map(({ line, userName, resource, detail }) => ({
      line,
      userName,
      ...(resource
        ? outcomeOf(resource, matchesOf[met++]!, settings)
        : { outcome: 'conflict' as const, detail: detail! }),
    })),
  };
}

interface Person {
  readonly line: number;
  readonly userName: string | null;
  readonly resource?: Resource;
  readonly detail?: string;
}

function readPerson({ types }: TypedOrg, { line, account }: Offered): Person {
  try {
    const resource = readResource(types.user, account, new Set());
    return { line, userName: resource['userName'] as string, resource };
  } catch (error) {
    if (!(error instanceof ScimError)) throw error;
    const userName = account['userName'];
    return { line, userName: typeof userName === 'string' ? userName.slice(0, 200) : null, detail: error.detail };
  }
}

function outcomeOf(said: Resource, alike: Alike<Match>, settings: OrgSettings): Omit<Outcome, 'line' | 'userName'> {
  const meaning = meaningOf(said, alike, settings);
  const conflict = (account: Match, detail: string) => ({ outcome: 'conflict' as const, account: account.id, detail });
  switch (meaning.is) {
    case 'taken':
      return outcomeOfTaken(said, meaning.account, settings);
    case 'known':
      return { outcome: 'known', account: meaning.account.id };
    case 'deleted':
      return { outcome: 'restored', account: meaning.account.id };
    case 'unlinked':
      return isProtectedFrom(said, meaning.account)
        ? conflict(
            meaning.account,
            'the account is protected, and this would change its userName, externalId or emails',
          )
        : { outcome: 'links', by: meaning.by, account: meaning.account.id };
    case 'new': {
      const [known] = alike.sameExternalId;
      if (known && settings.uniqueExternalId)
        return conflict(known, 'another account has the same externalId, and uniqueExternalId is on');
      return outcomeOfAddress(said, meaning.notLinked);
    }
  }
}

/** An account that it links by its userName or externalId keeps its addresses, but not its other names. */
const isProtectedFrom = (said: Resource, { isProtected, resource }: Match): boolean =>
  isProtected && identityChanges(resource, { ...resource, ...said, emails: resource['emails'] ?? [] }).length > 0;

function outcomeOfTaken(said: Resource, account: Match, { linking }: OrgSettings): Omit<Outcome, 'line' | 'userName'> {
  const conflict = (detail: string) => ({ outcome: 'conflict' as const, account: account.id, detail });
  if (isForeign(said, account))
    return conflict('the account with this userName has another externalId: a POST gets 409');
  if (!account.isUnlinked) return { outcome: 'known', account: account.id };
  return conflict(
    linking === 'off'
      ? 'the userName is taken, and linking is off: a POST gets 409'
      : 'the account with this userName differs in its exact letters or its externalId: a POST gets 409',
  );
}

function outcomeOfAddress(said: Resource, [account, another]: readonly Match[]): Omit<Outcome, 'line' | 'userName'> {
  if (account === undefined) return { outcome: 'new' };
  const conflict = (detail: string) => ({ outcome: 'conflict' as const, account: account.id, detail });
  if (another) {
    const detail = 'several accounts have one of the addresses: none is linked, and a new account is created';
    return { outcome: 'conflict', detail };
  }
  if (!account.isUnlinked)
    return conflict('an account from SCIM has one of the addresses: a new account is created beside it');
  if (account.isProtected) return conflict('a protected account has the address: a new account is created beside it');
  return conflict(
    isForeign(said, account)
      ? 'an account with another externalId has one of the addresses: a new account is created beside it'
      : 'the address is not the primary one of its account: a new account is created beside it',
  );
}
