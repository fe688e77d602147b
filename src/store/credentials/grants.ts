/**
 * Grants: one approval of one client by a person of the org, its code (RFC 6749 §4.1.2), and the family of tokens that
 * came of it, which dies as a whole. Each change is one batch that insists on what it was decided upon.
 */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor, EventType } from '../../events';
import { Unmet } from '../d1/batch';
import { type Expectation, expect } from '../d1/expect';
import { orAbsent, type Row, rowOf } from '../d1/rows';
import { grants } from '../d1/tables';
import { count, record, recordAs } from '../journal/record';
import { isGood } from '../org/caller';
import type { OrgStore } from '../org/open';
import { type IssuedToken, insertIssuedToken } from './issued-tokens';

/** Instants are epoch milliseconds. */
export interface NewGrant {
  readonly id: string;
  readonly clientId: string;
  readonly codeHash: string;
  readonly codeValidUntil: number;
  /** As the request named it; undefined: it named none. */
  readonly redirectUri: string | undefined;
  /** RFC 7636 §4.2, S256. */
  readonly challenge: string | undefined;
}

export interface Grant extends NewGrant {
  readonly isRedeemed: boolean;
  readonly isRevoked: boolean;
  /** Those that its client has now. */
  readonly registeredUris: readonly string[];
}

/**
 * The approval code is spent, and the client has the code of a grant.
 *
 * @returns false when the approval code is wrong, expired or spent: nothing has changed.
 */
export function insertGrant(store: OrgStore, approvalHash: string, grant: NewGrant, actor: Actor): Promise<boolean> {
  const approval = sql`FROM approvals WHERE org_id = ${store.org} AND hash = ${approvalHash} AND valid_until > ${store.now}`;
  return insisting(
    'approval',
    store.write(
      expect('approval', sql`EXISTS (SELECT 1 ${approval})`),
      sql`INSERT INTO grants (org_id, id, client_id, code_hash, code_valid_until, redirect_uri, challenge, approved_at, approved_by)
        SELECT org_id, ${grant.id}, ${grant.clientId}, ${grant.codeHash}, ${grant.codeValidUntil},
          ${grant.redirectUri ?? ''}, ${grant.challenge ?? null}, ${store.now}, created_by ${approval}`,
      count(store),
      recordAs(
        store,
        actor,
        { type: 'client.approved', targetId: grant.clientId },
        sql`(SELECT json_object('by', created_by, 'grant', ${grant.id}, 'client', ${actor.client ?? null}) ${approval})`,
      ),
      sql`DELETE FROM approvals WHERE org_id = ${store.org}`,
    ),
  );
}

const rowOfGrant = rowOf(grants);

/** The grant of a code, if it is this client's. */
export async function findGrant(store: OrgStore, clientId: string, codeHash: string): Promise<Grant | undefined> {
  const [rows] = await store.read(
    sql<Row & { redirect_uris: string }>`SELECT grants.*, oauth_clients.redirect_uris FROM grants
      JOIN oauth_clients ON oauth_clients.org_id = grants.org_id AND oauth_clients.id = grants.client_id
      WHERE grants.org_id = ${store.org} AND client_id = ${clientId} AND code_hash = ${codeHash}`,
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  const { id, codeValidUntil, redirectUri, challenge, redeemedAt, revokedAt } = rowOfGrant(row);
  return {
    ...{ id, clientId, codeHash, codeValidUntil },
    redirectUri: redirectUri || undefined,
    challenge: orAbsent(challenge),
    isRedeemed: redeemedAt !== null,
    isRevoked: revokedAt !== null,
    registeredUris: JSON.parse(row.redirect_uris),
  };
}

/** The code of a grant becomes its first tokens. @returns false when it is redeemed, revoked or expired by now. */
export function redeemGrant(
  store: OrgStore,
  { id, clientId }: Grant,
  given: readonly IssuedToken[],
  actor: Actor,
): Promise<boolean> {
  const one = sql`org_id = ${store.org} AND id = ${id}`;
  const isOpen = sql`redeemed_at IS NULL AND revoked_at IS NULL AND code_valid_until > ${store.now}`;
  return insisting(
    'grant',
    store.write(
      expect('grant', sql`EXISTS (SELECT 1 FROM grants WHERE ${one} AND ${isOpen})`),
      sql`UPDATE grants SET redeemed_at = ${store.now} WHERE ${one}`,
      ...given.map((token) => insertIssuedToken(store, token)),
      count(store),
      record(store, actor, { type: 'client.redeemed', targetId: clientId, details: familyOf(id, given) }),
    ),
  );
}

/** A refresh token that a client presents. */
export interface Refresh {
  readonly id: string;
  readonly grantId: string;
  /** It may be exchanged. */
  readonly isGood: boolean;
  /** It was exchanged before: a second use is a theft. */
  readonly isReplaced: boolean;
}

/** The refresh token of this hash, if it is this client's. */
export async function findRefresh(store: OrgStore, clientId: string, hash: string): Promise<Refresh | undefined> {
  const [rows] = await store.read(
    sql<{
      id: string;
      grant_id: string;
      is_replaced: number;
      is_good: number;
    }>`SELECT credentials.id, grant_id, replaced_at IS NOT NULL AS is_replaced, ${isExchangeable(store)} AS is_good
      FROM credentials JOIN grants ON grants.org_id = credentials.org_id AND grants.id = credentials.grant_id
      WHERE hash = ${hash} AND credentials.org_id = ${store.org} AND kind = 'oauth_refresh' AND subject = ${clientId}`,
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  return { id: row.id, grantId: row.grant_id, isGood: row.is_good === 1, isReplaced: row.is_replaced === 1 };
}

/** Not by the clock alone: two requests at once do not agree on the millisecond in which it was replaced. */
const isExchangeable = (store: OrgStore): SQL =>
  sql`(replaced_at IS NULL AND ${isGood(store.now)} AND grants.revoked_at IS NULL)`;

/** New tokens take the place of a refresh token. @returns false when it is replaced, revoked or expired by now. */
export function exchangeRefresh(
  store: OrgStore,
  { id, grantId }: Refresh,
  clientId: string,
  given: readonly IssuedToken[],
  actor: Actor,
): Promise<boolean> {
  const { now } = store;
  return insisting(
    'grant',
    store.write(
      expect(
        'grant',
        sql`EXISTS (SELECT 1 FROM credentials
          JOIN grants ON grants.org_id = credentials.org_id AND grants.id = credentials.grant_id
          WHERE credentials.org_id = ${store.org} AND credentials.id = ${id} AND ${isExchangeable(store)})`,
      ),
      sql`UPDATE credentials SET replaced_at = ${now}, replaced_by = ${`client:${clientId}`}, grace_until = ${now}
        WHERE org_id = ${store.org} AND id = ${id}`,
      ...given.map((token) => insertIssuedToken(store, token)),
      count(store),
      record(store, actor, { type: 'client.refreshed', targetId: clientId, details: familyOf(grantId, given) }),
    ),
  );
}

const familyOf = (grant: string, given: readonly IssuedToken[]) => ({ grant, masks: given.map(({ mask }) => mask) });

/**
 * The grant and every token that came of it are dead from the next request on.
 *
 * @param why told by the event, and by each token as what revoked it.
 * @returns false when it was revoked before: nothing is left to do, or to record.
 */
export function revokeGrant(
  store: OrgStore,
  grantId: string,
  { type, targetId, why }: { readonly type: EventType; readonly targetId: string; readonly why: string },
  actor: Actor,
): Promise<boolean> {
  const { now } = store;
  const one = sql`org_id = ${store.org} AND id = ${grantId}`;
  const alive = sql`org_id = ${store.org} AND grant_id = ${grantId}`;
  return insisting(
    'grant',
    store.write(
      expect('grant', sql`EXISTS (SELECT 1 FROM grants WHERE ${one} AND revoked_at IS NULL)`),
      count(store),
      recordAs(
        store,
        actor,
        { type, targetId },
        sql`(SELECT json_object('grant', ${grantId}, 'why', ${why}, 'masks', json_group_array(mask),
          'client', ${actor.client ?? null}) FROM credentials WHERE ${alive} AND ${isGood(now)})`,
      ),
      sql`UPDATE credentials SET revoked_at = ${now}, revoked_by = ${why} WHERE ${alive} AND revoked_at IS NULL`,
      sql`UPDATE grants SET revoked_at = ${now} WHERE ${one}`,
    ),
  );
}

async function insisting(expectation: Expectation, work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (!(error instanceof Unmet) || error.expectation !== expectation) throw error;
    return false;
  }
}
