/** Credentials of one org. What is kept of a secret is its hash and its mask (promise 4). */
import { sql } from 'drizzle-orm';
import type { Actor } from '../events';
import { type Row, Unmet } from './batch';
import { count, record, recordAs } from './events';
import { expect } from './expect';
import type { OrgStore } from './open';

/** Instants are epoch milliseconds. */
export interface Credential {
  readonly id: string;
  readonly mask: string;
  /** The number of the token among those of the org: 1, 2, … */
  readonly generation: number;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly validUntil: number | undefined;
  readonly revokedAt: number | undefined;
  readonly revokedBy: string | undefined;
}

const credentialOf = (row: Row): Credential => ({
  id: row['id'] as string,
  mask: row['mask'] as string,
  generation: row['generation'] as number,
  createdAt: row['created_at'] as number,
  createdBy: row['created_by'] as string,
  validUntil: (row['valid_until'] as number | null) ?? undefined,
  revokedAt: (row['revoked_at'] as number | null) ?? undefined,
  revokedBy: (row['revoked_by'] as string | null) ?? undefined,
});

const isAlive = sql.raw('revoked_at IS NULL');

/**
 * The org's first token, or its first after a revocation.
 *
 * @throws Unmet `no_token`: it has one that is not revoked and not expired.
 */
export async function insertToken(
  store: OrgStore,
  token: { readonly id: string; readonly hash: string; readonly mask: string },
  by: string,
  actor: Actor,
): Promise<Credential> {
  const tokens = sql`FROM credentials WHERE org_id = ${store.org} AND kind = 'token'`;
  const results = await store.write(
    expect(
      'no_token',
      sql`NOT EXISTS (SELECT 1 ${tokens} AND ${isAlive} AND (valid_until IS NULL OR valid_until > ${store.now}))`,
    ),
    sql`INSERT INTO credentials (id, org_id, kind, hash, mask, generation, created_at, created_by)
      SELECT ${token.id}, ${store.org}, 'token', ${token.hash}, ${token.mask},
        (SELECT ifnull(max(generation), 0) + 1 ${tokens}), ${store.now}, ${by}`,
    count(store),
    record(store, actor, { type: 'token.issued', targetId: token.id, details: { mask: token.mask, by } }),
    sql`SELECT * FROM credentials WHERE id = ${token.id}`,
  );
  return credentialOf(results.at(-1)![0]!);
}

/** The latest first; of the revoked ones the last hundred. */
export async function listTokens(store: OrgStore): Promise<Credential[]> {
  const [rows] = await store.read(
    sql`SELECT * FROM credentials WHERE org_id = ${store.org} AND kind = 'token' ORDER BY generation DESC LIMIT 100`,
  );
  return rows!.map(credentialOf);
}

/** All of them, at once: refused from the next request on. @returns those that died by it. */
export async function revokeTokens(store: OrgStore, by: string, actor: Actor): Promise<Credential[]> {
  const alive = sql`WHERE org_id = ${store.org} AND kind = 'token' AND ${isAlive}`;
  const details = sql`(SELECT json_object('by', ${by}, 'masks', json_group_array(mask), 'client', ${actor.client ?? null})
    FROM credentials ${alive})`;
  try {
    const results = await store.write(
      expect('token', sql`EXISTS (SELECT 1 FROM credentials ${alive})`),
      count(store),
      recordAs(store, actor, { type: 'token.revoked' }, details),
      sql`UPDATE credentials SET revoked_at = ${store.now}, revoked_by = ${by} ${alive} RETURNING *`,
    );
    return results.at(-1)!.map(credentialOf);
  } catch (error) {
    if (!(error instanceof Unmet) || error.expectation !== 'token') throw error;
    return []; // nothing has changed, so there is nothing to record
  }
}
