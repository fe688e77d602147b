/** What OAuth clients are given for a while: access tokens, and refresh tokens of an approval (RFC 6749 §1.4, §1.5). */
import { type SQL, sql } from 'drizzle-orm';
import type { OrgStore } from './open';

/** Milliseconds (RFC 6749 §4.2.2 `expires_in` is seconds). */
export const ACCESS_LIFE = 3_600_000;

export interface Given {
  readonly id: string;
  readonly kind: 'oauth_access' | 'oauth_refresh';
  readonly hash: string;
  readonly mask: string;
  /** Epoch milliseconds. */
  readonly validUntil: number;
  readonly clientId: string;
  /** The approval that it came of; absent: the client acts for itself. */
  readonly grantId?: string | undefined;
}

/** A statement for the batch that found the client good. */
export const insertGiven = (store: OrgStore, given: Given): SQL =>
  sql`INSERT INTO credentials (id, org_id, kind, subject, hash, mask, generation, created_at, created_by, valid_until, grant_id)
    SELECT ${given.id}, ${store.org}, ${given.kind}, ${given.clientId}, ${given.hash}, ${given.mask}, 0, ${store.now},
      ${`client:${given.clientId}`}, ${given.validUntil}, ${given.grantId ?? null}`;
