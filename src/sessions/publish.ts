/**
 * D1 state -> KV flag. By state, not by event: a retry writes what is true by then. A flag is published when KV acknowledges it:
 * from then on it is visible where it was written, and elsewhere usually within about a minute. The coordinator keeps the order
 * (written-states.ts).
 */
import { type Publication, WHOLE_ORG } from '../store/journal/outbox';
import { flagKey, flagText } from './flag.ts';

/**
 * How long KV keeps a flag; seconds, undefined: for ever.
 *
 * - An org's flag stays, also after the org is deleted: for hosts, an org without a flag does not exist, and one that was
 *   deleted is inactive. It is one short key per org.
 * - The flag of an active user only ends sessions that are older than it. After `sessionMaxAge` there are none.
 * - The flag of somebody inactive stays, erased or not: an application's keys have no end, and a host need not ask `resolve`.
 * - The flag of a user of a deleted org ends after `sessionMaxAge`. The org's own flag refuses everybody.
 */
function lifeOf({ userId, isActive, isGone }: Publication, sessionMaxAge: number): number | undefined {
  if (userId === WHOLE_ORG) return undefined;
  return isActive || isGone ? sessionMaxAge : undefined;
}

/** A flag as KV takes it. */
export interface FlagWrite {
  readonly key: string;
  readonly value: string;
  readonly options: KVNamespacePutOptions;
}

/** @param sessionMaxAge seconds. */
export function flagWriteOf(orgId: string, publication: Publication, sessionMaxAge: number): FlagWrite {
  const { userId } = publication;
  const expirationTtl = lifeOf(publication, sessionMaxAge);
  return {
    key: userId === WHOLE_ORG ? flagKey(orgId) : flagKey(orgId, userId),
    value: flagText(publication.isActive, publication.notBefore ?? 0),
    options: expirationTtl === undefined ? {} : { expirationTtl },
  };
}
