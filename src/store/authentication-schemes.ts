/** Which authentication schemes (RFC 7643 §5) an org has set up: those that its identity provider could use now. */
import { type SQL, sql } from 'drizzle-orm';
import type { SchemeType } from '../scim/discovery';
import { isCurrent, isReplaced } from './credentials';
import { isGood, type OrgStore } from './open';

/** What each kind of credential is called in RFC 7643 §5. */
const TYPES: Readonly<Record<string, SchemeType>> = {
  token: 'oauthbearertoken',
  basic: 'httpbasic',
  oauth_access: 'oauth2',
};

/** One round trip, the check of the caller included. What the caller itself used is always among them. */
export async function authenticationSchemesOf(store: OrgStore): Promise<Set<SchemeType>> {
  // By these indexes each is one row of a line; by that of the generations it would be all of its dead ones, too.
  const good = (index: string, state: SQL) => sql`SELECT kind FROM credentials INDEXED BY ${sql.raw(index)}
    WHERE org_id = ${store.org} AND kind IN ('token', 'basic') AND subject = '' AND ${state} AND ${isGood(store.now)}`;
  const [rows] = await store.read(sql`${good('credentials_current', isCurrent)}
    UNION ${good('credentials_predecessor', isReplaced)}
    UNION SELECT 'oauth_access' WHERE EXISTS (SELECT 1 FROM oauth_clients WHERE org_id = ${store.org})`);
  const kinds = rows!.map(({ kind }) => kind as string);
  if (store.presented) kinds.push(store.presented.kind);
  return new Set(kinds.map((kind) => TYPES[kind]!));
}
