/** Which authentication schemes (RFC 7643 §5) an org has set up: those that its identity provider could use now. */
import { sql } from 'drizzle-orm';
import type { SchemeType } from '../../scim/discovery';
import { isGood } from '../org/caller';
import type { OrgStore } from '../org/open';
import { isAlive } from './credentials';

/** What each kind of credential is called in RFC 7643 §5. */
const TYPES: Readonly<Record<string, SchemeType>> = {
  token: 'oauthbearertoken',
  basic: 'httpbasic',
  oauth_access: 'oauth2',
};

/** One round trip, the check of the caller included. What the caller itself used is always among them. */
export async function authenticationSchemesOf(store: OrgStore): Promise<Set<SchemeType>> {
  const [rows] = await store.read(sql`SELECT kind FROM credentials
    WHERE org_id = ${store.org} AND kind IN ('token', 'basic') AND subject = '' AND ${isAlive} AND ${isGood(store.now)}
    UNION SELECT 'oauth_access' WHERE EXISTS (SELECT 1 FROM oauth_clients WHERE org_id = ${store.org})`);
  const kinds = rows!.map(({ kind }) => kind as string);
  if (store.presented) kinds.push(store.presented.kind);
  return new Set(kinds.map((kind) => TYPES[kind]!));
}
