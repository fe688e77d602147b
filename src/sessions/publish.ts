/** D1 state -> KV flag. By state, not by event: a late retry writes what is true now, and cannot bring back the past. */
import { type Publication, readPublication, settle, WHOLE_ORG } from '../store/outbox';
import { type Flag, flagKey } from './flag';

function flagOf({ isActive, notBefore }: Publication): Flag {
  return { v: 1, active: isActive, notBefore: notBefore ?? 0 };
}

/**
 * Publishes what is true of one user (or WHOLE_ORG) now, and settles the outbox rows that asked for it once the flag can
 * be read back. Two D1 round trips, a KV write and a read.
 *
 * A flag of someone inactive stays. One of someone active only ends old sessions, and goes when the last of them has.
 *
 * @param sessionMaxAge seconds.
 * @throws whatever D1 or KV throws, and when what was written is not what is read; the outbox rows then stay.
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
  const text = JSON.stringify(flagOf(publication));
  await flags.put(key, text, lasting);
  // KV shows a write at once where it was made: what is not there was lost, and a retry is cheap.
  if ((await flags.get(key)) !== text) throw new Error('KV does not show the flag that was written to it');
  await settle(db, orgId, publication);
}
