/**
 * Accounts that the host app had before (design: `linking`): which of them an identity provider means. Only one that it has
 * not written to yet, of the same org, and never one of two.
 */
import { type SQL, sql } from 'drizzle-orm';
import { foldCase } from '../scim/fold';
import type { Resource } from '../scim/resource';
import type { OrgSettings, OrgStore } from './open';

/** A condition on `users`. */
export const IS_UNLINKED = sql.raw(`(users.origin = 'host' AND users.linked_at IS NULL)`);

export const mayLink = ({ linking }: OrgSettings): boolean => linking !== 'off';

/** A condition on `users` beside `orgs`: as far as the org's settings are concerned, the identity provider may write to it. */
export const IS_OPEN = sql`NOT (${IS_UNLINKED} AND ifnull(orgs.settings ->> '$.linking', '') = 'off')`;

/**
 * The live accounts that have one of these addresses, where that may link: in a verified domain of the org. CROSS JOIN: an
 * org without such a domain reads no address.
 *
 * @param emails folded.
 */
const withAddress = (store: OrgStore, emails: readonly string[]): SQL => {
  const asked = emails.map((email) => ({ email, domain: email.slice(email.lastIndexOf('@') + 1) }));
  return sql`SELECT DISTINCT found.user_seq FROM orgs
    CROSS JOIN json_each(${JSON.stringify(asked)}) AS asked
    CROSS JOIN json_each(orgs.settings, '$.verifiedDomains') AS verified ON verified.value = asked.value ->> 'domain'
    CROSS JOIN user_emails AS found ON found.org_id = ${store.org} AND found.value_key = asked.value ->> 'email'
    WHERE orgs.id = ${store.org} AND ifnull(orgs.settings ->> '$.linking', 'email') = 'email'`;
};

/** A condition: nobody unlinked has one of these addresses, so that a new account would be nobody's second one. */
export const isNobodysAddress = (store: OrgStore, emails: readonly string[]): SQL =>
  emails.length === 0
    ? sql`1`
    : sql`NOT EXISTS (SELECT 1 FROM users WHERE users.seq IN (${withAddress(store, emails)}) AND ${IS_UNLINKED})`;

/** Users with one of the addresses of this resource, at most two: of more it does not matter how many. */
export function sameAddress(store: OrgStore, resource: Resource): SQL {
  const elements = (resource['emails'] ?? []) as { value?: string }[];
  const emails = [...new Set(elements.flatMap(({ value }) => (value === undefined ? [] : foldCase(value))))];
  return sql`users.seq IN (${withAddress(store, emails)} LIMIT 2)`;
}
