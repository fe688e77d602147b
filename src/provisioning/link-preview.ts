/**
 * Before an identity provider is let in: by what it would take over the accounts that are there already. A POST looks for
 * the userName first, then for one of its addresses, if the domain is verified; it never chooses among several.
 */

import { invalidValue, ScimError } from '../scim/error';
import { foldCase } from '../scim/fold';
import { isObject } from '../scim/resource';
import { readResource } from '../scim/validate';
import type { OrgSettings } from '../store/open';
import { type Expected, listUnlinked, type Meeting, type Met, meet, type Unlinked } from '../store/unlinked';
import type { Org, TypedOrg } from './org';
import type { Offered } from './people';

/** What links, under the org's settings. */
interface Rules {
  readonly linking: NonNullable<OrgSettings['linking']>;
  readonly verifiedDomains: readonly string[];
}

const rulesOf = ({ linking = 'email', verifiedDomains = [] }: OrgSettings): Rules => ({ linking, verifiedDomains });

/** @param address folded. */
const isVerified = ({ verifiedDomains }: Rules, address: string): boolean =>
  verifiedDomains.includes(address.slice(address.lastIndexOf('@') + 1));

/** Why an account, or one of its addresses, does not link. */
export interface Conflict {
  readonly reason: 'linking' | 'shared' | 'unverified';
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
    const detail = 'linking is off: an identity provider that brings this userName hears that it is taken';
    return { account, userName: false, emails: [], conflicts: [{ reason: 'linking', addresses: [], detail }] };
  }
  if (rules.linking === 'userName') return { account, userName: true, emails: [], conflicts: [] };
  const { addresses } = account;
  const shared = addresses.flatMap(({ value, isShared }) => (isShared ? [value] : []));
  const unverified = addresses.flatMap(({ value }) => (isVerified(rules, value) ? [] : [value]));
  return {
    account,
    userName: true,
    emails: addresses.flatMap(({ value, isShared }) => (!isShared && isVerified(rules, value) ? [value] : [])),
    conflicts: [
      ...(shared.length > 0
        ? [
            {
              reason: 'shared' as const,
              addresses: shared,
              detail: 'another account has the address, too: it never links',
            },
          ]
        : []),
      ...(unverified.length > 0
        ? [
            {
              reason: 'unverified' as const,
              addresses: unverified,
              detail: 'the domain is none of verifiedDomains: it does not link',
            },
          ]
        : []),
    ],
  };
}

/** What would become of somebody whom the identity provider brings. */
export interface Outcome {
  readonly line: number;
  readonly userName: string | null;
  readonly outcome: 'links' | 'known' | 'new' | 'restored' | 'conflict';
  readonly by?: 'userName' | 'email';
  /** The account that it is about. */
  readonly account?: string;
  readonly detail?: string;
}

/** Of each of the identity provider's own list of people, what a POST would come to. */
export async function previewPeople(
  org: TypedOrg,
  offered: readonly Offered[],
): Promise<Rules & { readonly people: readonly Outcome[] }> {
  const read = offered.map((one) => readPerson(org, one));
  const rules = rulesOf((await org.store.found()).settings);
  const people = read.map((one) => ({
    ...one,
    expected: one.expected && {
      ...one.expected,
      addresses:
        rules.linking === 'email' ? one.expected.addresses.filter((address) => isVerified(rules, address)) : [],
    },
  }));
  const meetings = await meet(
    org.store,
    people.flatMap(({ expected }) => expected ?? []),
  );
  let met = 0;
  return {
    ...rules,
    people: people.map(({ line, userName, expected, detail }) => ({
      line,
      userName,
      ...(expected ? outcomeOf(rules, expected, meetings[met++]!) : { outcome: 'conflict' as const, detail: detail! }),
    })),
  };
}

interface Person {
  readonly line: number;
  readonly userName: string | null;
  readonly expected?: Expected;
  readonly detail?: string;
}

function readPerson({ types }: TypedOrg, { line, account }: Offered): Person {
  try {
    const resource = readResource(types.user, account, new Set());
    const userName = resource['userName'] as string;
    const emails = Array.isArray(resource['emails']) ? resource['emails'] : [];
    const addresses = emails.flatMap((email) =>
      isObject(email) && typeof email['value'] === 'string' ? [foldCase(email['value'])] : [],
    );
    const externalId = resource['externalId'] as string | undefined;
    return { line, userName, expected: { userNameKey: foldCase(userName), externalId, addresses } };
  } catch (error) {
    if (!(error instanceof ScimError)) throw error;
    const userName = account['userName'];
    return { line, userName: typeof userName === 'string' ? userName.slice(0, 200) : null, detail: error.detail };
  }
}

function outcomeOf(
  { linking }: Rules,
  { externalId }: Expected,
  { named, addressed, isBuried }: Meeting,
): Omit<Outcome, 'line' | 'userName'> {
  const isForeign = (it: Met) =>
    it.externalId !== undefined && externalId !== undefined && it.externalId !== externalId;
  const conflict = (account: string, detail: string) => ({ outcome: 'conflict' as const, account, detail });
  if (named) {
    if (isForeign(named)) return conflict(named.id, 'the userName is that of an account with another externalId');
    if (!named.isUnlinked) return { outcome: 'known', account: named.id };
    return linking === 'off'
      ? conflict(named.id, 'the userName is taken, and linking is off')
      : { outcome: 'links', by: 'userName', account: named.id };
  }
  if (isBuried) return { outcome: 'restored' };
  const [only, ...others] = addressed;
  if (only === undefined) return { outcome: 'new' };
  if (others.length > 0)
    return {
      outcome: 'conflict',
      detail: 'several accounts have one of the addresses: it links none of them, and is new',
    };
  if (!only.isUnlinked)
    return conflict(
      only.id,
      'an address is that of an account that the identity provider has already: it is new beside it',
    );
  if (isForeign(only))
    return conflict(only.id, 'an address is that of an account with another externalId: it is new beside it');
  return { outcome: 'links', by: 'email', account: only.id };
}
