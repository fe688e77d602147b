/** Who asks the store for an org, and how the org and the credential are found in D1. */
import { type SQL, sql } from 'drizzle-orm';
import { type Databases, databaseOf, databaseOfName } from '../d1/databases';

export type Caller =
  /** An IdP, by the hash of what it presented and the org that its text names; with the slug of the address it used, if any. */
  | {
      readonly kind: 'credential';
      readonly hash: string;
      readonly orgId: string;
      readonly slug?: string | undefined;
    }
  /** An OAuth client, by the hash of its secret; without one, its signature was checked by other means. */
  | { readonly kind: 'client'; readonly orgId: string; readonly id: string; readonly hash?: string | undefined }
  /** The administrator's door, which is checked by other means. */
  | { readonly kind: 'slug'; readonly slug: string }
  /** The host app's door, which is checked by other means too: an id or a slug. */
  | { readonly kind: 'host'; readonly org: string }
  /** The org's own coordinator. */
  | { readonly kind: 'id'; readonly id: string };

/**
 * Why a caller may not work for the org: it is nobody, or its org has SCIM switched off, or not in its plan, or is served in
 * another region.
 */
export type CallerRefusal = 'unauthorized' | 'disabled' | 'plan' | 'misdirected';

/** Where the org of this caller is looked for. */
export function databaseFor(databases: Databases, caller: Caller): D1Database {
  if (caller.kind === 'slug') return databaseOfName(databases, caller.slug);
  if (caller.kind === 'host') return databaseOfName(databases, caller.org);
  return databaseOf(databases, caller.kind === 'id' ? caller.id : caller.orgId);
}

/** An id before a slug: no slug can be chosen so that it takes the place of another org's id. */
export function meantBy(caller: Exclude<Caller, { kind: 'credential' | 'client' }>): SQL {
  if (caller.kind === 'slug') return sql`slug = ${caller.slug}`;
  if (caller.kind === 'id') return sql`id = ${caller.id}`;
  const one = (column: 'id' | 'slug') => sql`(SELECT id FROM orgs WHERE ${sql.raw(column)} = ${caller.org})`;
  return sql`id = ifnull(${one('id')}, ${one('slug')})`;
}

/** A condition on `credentials`: neither revoked nor expired, and not beyond the grace that a successor left it. */
export const isGood = (now: number): SQL => sql`credentials.revoked_at IS NULL
  AND (credentials.valid_until IS NULL OR credentials.valid_until > ${now})
  AND (credentials.replaced_at IS NULL OR credentials.grace_until > ${now})`;
