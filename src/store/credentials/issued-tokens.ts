/** What OAuth clients are given for a while: access tokens, and refresh tokens of an approval (RFC 6749 §1.4, §1.5). */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor } from '../../events';
import { Unmet } from '../d1/batch';
import { expect } from '../d1/expect';
import { count, record, recordAs } from '../journal/record';
import { isGood } from '../org/caller';
import type { OrgStore } from '../org/open';

/** Milliseconds (RFC 6749 §4.2.2 `expires_in` is seconds). */
export const ACCESS_LIFE = 3_600_000;

export interface IssuedToken {
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
export const insertIssuedToken = (store: OrgStore, given: IssuedToken): SQL =>
  sql`INSERT INTO credentials (id, org_id, kind, subject, hash, mask, generation, created_at, created_by, valid_until, grant_id)
    SELECT ${given.id}, ${store.org}, ${given.kind}, ${given.clientId}, ${given.hash}, ${given.mask}, 0, ${store.now},
      ${`client:${given.clientId}`}, ${given.validUntil}, ${given.grantId ?? null}`;

/** An access token for a client that acts for itself, with its event. One round trip. */
export async function giveAccess(store: OrgStore, given: IssuedToken, actor: Actor): Promise<void> {
  const { clientId: targetId, mask } = given;
  await store.write(
    insertIssuedToken(store, given),
    count(store),
    record(store, actor, { type: 'client.given', targetId, details: { masks: [mask] } }),
  );
}

/**
 * What a client gives back before its time (RFC 7009): an access token alone, a refresh token with all that came of the
 * same grant (§2.1). What is not this client's, or dead, stays as it is.
 *
 * @param hash of the token.
 */
export async function takeBack(store: OrgStore, clientId: string, hash: string, actor: Actor): Promise<void> {
  const its = sql`org_id = ${store.org} AND subject = ${clientId} AND kind IN ('oauth_access', 'oauth_refresh')`;
  const grant = sql`(SELECT grant_id FROM credentials WHERE hash = ${hash} AND ${its} AND kind = 'oauth_refresh')`;
  // Each by its own index: a client may have been given thousands.
  const meant = sql`id IN (SELECT id FROM credentials WHERE hash = ${hash}
    UNION ALL SELECT id FROM credentials WHERE org_id = ${store.org} AND grant_id = ${grant})
    AND ${its} AND ${isGood(store.now)}`;
  try {
    await store.write(
      expect('token', sql`EXISTS (SELECT 1 FROM credentials WHERE ${meant})`),
      count(store),
      recordAs(
        store,
        actor,
        { type: 'client.returned', targetId: clientId },
        sql`(SELECT json_object('grant', ${grant}, 'masks', json_group_array(mask), 'client', ${actor.client ?? null})
          FROM credentials WHERE ${meant})`,
      ),
      sql`UPDATE grants SET revoked_at = ${store.now} WHERE org_id = ${store.org} AND id = ${grant} AND revoked_at IS NULL`,
      sql`UPDATE credentials SET revoked_at = ${store.now}, revoked_by = ${`client:${clientId}`} WHERE ${meant}`,
    );
  } catch (error) {
    // Nothing is alive that was meant: nothing has changed, so there is nothing to record.
    if (!(error instanceof Unmet) || error.expectation !== 'token') throw error;
  }
}
