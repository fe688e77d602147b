/** The keys that sign what this service transmits: of no org, and in `DB` alone. */
import { type SQL, sql } from 'drizzle-orm';
import { runBatch } from '../d1/batch';
import { type Databases, mainDatabase } from '../d1/databases';
import { expect } from '../d1/expect';
import { orAbsent, type Row, rowOf } from '../d1/rows';
import { signingKeys } from '../d1/tables';
import type { Algorithm } from './signal-receivers';

export type KeyState = 'next' | 'current' | 'previous';

export interface SigningKey {
  readonly kid: string;
  readonly algorithm: Algorithm;
  /** `next` is published and signs nothing yet; `previous` is published until `retiredUntil`. */
  readonly state: KeyState;
  /** The public key (RFC 7517). */
  readonly jwk: Readonly<Record<string, string>>;
  /** Encrypted. */
  readonly privateKey: string;
  readonly createdAt: number;
  readonly createdBy: string;
  /** Epoch milliseconds. */
  readonly retiredUntil: number | undefined;
}

export type NewKey = Pick<SigningKey, 'kid' | 'algorithm' | 'jwk' | 'privateKey'>;

const rowOfKey = rowOf(signingKeys);

export function signingKeyOf(row: Row): SigningKey {
  const { jwk, retiredUntil, ...key } = rowOfKey(row);
  return { ...key, jwk: JSON.parse(jwk), retiredUntil: orAbsent(retiredUntil) };
}

/** The key that signs now. */
export const selectSigner = (algorithm: Algorithm): SQL =>
  sql`SELECT * FROM signing_keys WHERE algorithm = ${algorithm} AND state = 'current'`;

export async function currentKey(databases: Databases, algorithm: Algorithm): Promise<SigningKey | undefined> {
  const [rows] = await runBatch(mainDatabase(databases), [selectSigner(algorithm)]);
  return rows![0] && signingKeyOf(rows![0]);
}

/** Those that are published: at most three of each algorithm. */
export async function publishedKeys(databases: Databases, now: number): Promise<SigningKey[]> {
  const [rows] = await runBatch(mainDatabase(databases), [
    sql`SELECT * FROM signing_keys WHERE retired_until IS NULL OR retired_until > ${now} ORDER BY algorithm, state, kid`,
  ]);
  return rows!.map(signingKeyOf);
}

const insert = ({ kid, algorithm, jwk, privateKey }: NewKey, state: KeyState, by: string, now: number) =>
  sql`INSERT INTO signing_keys (kid, algorithm, state, jwk, private_key, created_at, created_by)
    VALUES (${kid}, ${algorithm}, ${state}, ${JSON.stringify(jwk)}, ${privateKey}, ${now}, ${by})`;

/** The first two of an algorithm. @throws Taken: another request was quicker. */
export async function insertFirstKeys(
  databases: Databases,
  current: NewKey,
  next: NewKey,
  by: string,
  now: number,
): Promise<void> {
  await runBatch(mainDatabase(databases), [insert(current, 'current', by, now), insert(next, 'next', by, now)]);
}

/** A pair of keys that takes the place of another one. */
export interface Rotation {
  /** The key that signs now. */
  readonly current: SigningKey;
  /** Will be the next one. */
  readonly next: NewKey;
}

/**
 * Of each algorithm the next key signs from now on, and a new one is the next. The one before is published until `until`, for
 * what was signed with it is still under way. All of them or none.
 *
 * @param isForced the key before may still be published: it is withdrawn.
 * @throws Unmet `signing_key`: one of them does not sign any more; `previous_key`: one before is still published.
 */
export async function rotateKeys(
  databases: Databases,
  rotations: readonly Rotation[],
  { until, by, now, isForced }: { until: number; by: string; now: number; isForced: boolean },
): Promise<void> {
  const statements = rotations.flatMap(({ current, next }) => {
    const those = (state: KeyState) => sql`algorithm = ${next.algorithm} AND state = ${state}`;
    const isCached = sql`EXISTS (SELECT 1 FROM signing_keys WHERE ${those('previous')} AND retired_until > ${now})`;
    return [
      expect(
        'signing_key',
        sql`EXISTS (SELECT 1 FROM signing_keys WHERE ${those('current')} AND kid = ${current.kid})`,
      ),
      ...(isForced ? [] : [expect('previous_key', sql`NOT ${isCached}`)]),
      sql`DELETE FROM signing_keys WHERE ${those('previous')}`,
      sql`UPDATE signing_keys SET state = 'previous', retired_until = ${until} WHERE ${those('current')}`,
      sql`UPDATE signing_keys SET state = 'current' WHERE ${those('next')}`,
      insert(next, 'next', by, now),
    ];
  });
  await runBatch(mainDatabase(databases), statements);
}
