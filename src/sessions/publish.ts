/** D1 state -> KV flag. By state, not by event: a late retry writes what is true now, and cannot bring back the past. */
import { type Publication, readPublication, settle, WHOLE_ORG } from '../store/journal/outbox';
import { type Flag, flagKey } from './flag.ts';

function flagOf({ isActive, notBefore }: Publication): Flag {
  return { v: 1, active: isActive, notBefore: notBefore ?? 0 };
}

/**
 * How long KV keeps a flag; seconds, undefined: for ever.
 *
 * - An org's flag stays, also after the org is deleted: for hosts, an org without a flag does not exist, and one that was
 *   deleted is inactive. It is one short key per org.
 * - The flag of an active user only ends sessions that are older than it. After `sessionMaxAge` there are none.
 * - The flag of somebody inactive stays, for they may be signed in by a host that does not ask `resolve`.
 * - The flag of somebody erased, or of an org that is gone, ends after `sessionMaxAge`. Hosts refuse older sessions as expired.
 *   There are no newer ones: nobody can sign in as a user without a name, or in an org whose own flag says inactive.
 */
function lifeOf({ userId, isActive, isGone }: Publication, sessionMaxAge: number): number | undefined {
  if (userId === WHOLE_ORG) return undefined;
  return isActive || isGone ? sessionMaxAge : undefined;
}

/**
 * Publishes what is true of one user (or WHOLE_ORG) now, and settles the outbox rows that asked for it once the flag can
 * be read back. Two D1 round trips, a KV write and a read.
 *
 * @param sessionMaxAge seconds.
 * @param onWrite called when the write to KV begins, and when it has ended, well or not: KV takes one a second of a key.
 * @throws whatever D1 or KV throws, and when what was written is not what is read; the outbox rows then stay.
 */
export async function publishState(
  { DB: db, REVOCATIONS: flags }: { readonly DB: D1Database; readonly REVOCATIONS: KVNamespace },
  sessionMaxAge: number,
  orgId: string,
  userId: string,
  onWrite: () => void,
): Promise<void> {
  const publication = await readPublication(db, orgId, userId);
  const key = userId === WHOLE_ORG ? flagKey(orgId) : flagKey(orgId, userId);
  const expirationTtl = lifeOf(publication, sessionMaxAge);
  const text = JSON.stringify(flagOf(publication));
  onWrite();
  try {
    await flags.put(key, text, expirationTtl === undefined ? {} : { expirationTtl });
  } finally {
    onWrite();
  }
  // KV shows a write at once where it was made: what is not there was lost, and a retry is cheap.
  if ((await flags.get(key)) !== text) throw new Error('KV does not show the flag that was written to it');
  await settle(db, orgId, publication);
}
