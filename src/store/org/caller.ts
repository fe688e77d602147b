/** Who asks the store for an org, and how the org and the credential are found in D1. */

import { type SQL, sql } from 'drizzle-orm';
import type { Database } from '../d1/database';
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
  /** The admin API, which is checked by other means. */
  | { readonly kind: 'slug'; readonly slug: string }
  /**
   * An application, and the id or slug of the org that it asks about. With a token of its own, which is checked in the batch;
   * without one, it was checked by other means.
   */
  | { readonly kind: 'host'; readonly org: string; readonly token?: PresentedHostToken | undefined }
  /** The org's own coordinator. */
  | { readonly kind: 'id'; readonly id: string };

/** What an application may ask: whether somebody is in (`check`), who somebody is (`resolve`), who there is (`lists`). */
export const HOST_SCOPES = ['check', 'resolve', 'lists'] as const;
export type HostScope = (typeof HOST_SCOPES)[number];

export interface PresentedHostToken {
  readonly hash: string;
  /** What is asked with it. */
  readonly scope: HostScope;
}

/**
 * Why a caller may not work for the org: it is nobody, or its org has SCIM switched off, or not in its plan, or is served in
 * another region.
 */
export type CallerRefusal = 'unauthorized' | 'disabled' | 'plan' | 'misdirected';

/** Where the org of this caller is looked for. */
export function databaseFor(databases: Databases, caller: Caller): Database {
  if (caller.kind === 'slug') return databaseOfName(databases, caller.slug);
  if (caller.kind === 'host') return databaseOfName(databases, caller.org);
  return databaseOf(databases, caller.kind === 'id' ? caller.id : caller.orgId);
}

/** An id before a slug: no slug can be chosen so that it takes the place of another org's id. */
export function meantBy(caller: Exclude<Caller, { kind: 'credential' | 'client' }>): SQL {
  if (caller.kind === 'slug') return sql`orgs.slug = ${caller.slug}`;
  if (caller.kind === 'id') return sql`orgs.id = ${caller.id}`;
  const one = (column: 'id' | 'slug') => sql`(SELECT id FROM orgs WHERE ${sql.raw(column)} = ${caller.org})`;
  return sql`orgs.id = ifnull(${one('id')}, ${one('slug')})`;
}

/** A condition on `credentials`: neither revoked nor expired, and not beyond the grace that a successor left it. */
export const isGood = (now: number): SQL => sql`credentials.revoked_at IS NULL
  AND (credentials.valid_until IS NULL OR credentials.valid_until > ${now})
  AND (credentials.replaced_at IS NULL OR credentials.grace_until > ${now})`;

/** A condition on `host_tokens`: this one, and not beyond the grace that a successor left it. */
export const isGoodHostToken = (hash: SQL | string, now: number): SQL => sql`host_tokens.hash = ${hash}
  AND (host_tokens.replaced_at IS NULL OR host_tokens.grace_until > ${now})`;

/** A condition on `host_tokens`. */
export const mayAsk = (scope: HostScope): SQL =>
  sql`EXISTS (SELECT 1 FROM json_each(host_tokens.scopes) AS scope WHERE scope.value = ${scope})`;

/** A condition on `host_tokens` and `orgs`. */
export const isOrgOfHostToken: SQL = sql.raw(`(host_tokens.orgs IS NULL
  OR EXISTS (SELECT 1 FROM json_each(host_tokens.orgs) AS its WHERE its.value = orgs.id))`);
