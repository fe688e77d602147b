/** D1 state -> KV flag. By state, not by event: a late retry writes what is true now, and cannot bring back the past. */
import { type Publication, readPublication, settle, WHOLE_ORG } from '../store/outbox';
import { type Flag, flagKey } from './flag';

function flagOf({ isActive, notBefore }: Publication): Flag {
  return { v: 1, active: isActive, notBefore: notBefore ?? 0 };
}

/**
 * Publishes what is true of one user (or WHOLE_ORG) now, and settles the outbox rows that asked for it. Two D1 round
 * trips and a KV write.
 *
 * A flag of someone inactive stays. One of someone active only ends old sessions, and goes when the last of them has.
 *
 * @param sessionMaxAge seconds.
 * @throws whatever D1 or KV throws; the outbox rows then stay.
 */
export async function publishState(
  { DB: db, REVOCATIONS: flags }: { readonly DB: D1Database; readonly REVOCATIONS: KVNamespace },
  sessionMaxAge: number,
  orgId: string,
  userId: string,
): Promise<void> {
  const publication = await readPublication(db, orgId, userId);
  const key = userId === WHOLE_ORG ? flagKey(orgId) : flagKey(orgId, userId);
  const lasting = publication.isActive ? { expirationTtl: sessionMaxAge } : {};
  await flags.put(key, JSON.stringify(flagOf(publication)), lasting);
  await settle(db, orgId, publication);
}
