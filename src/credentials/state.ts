/** What a credential is at a moment: good, in its grace, or dead of what. */
import type { Credential } from '../store/credentials/credentials';

export type State = 'current' | 'grace' | 'replaced' | 'expired' | 'revoked';

/** @param now epoch milliseconds. */
export function stateOf({ revokedAt, replacedAt, graceUntil, validUntil }: Credential, now: number): State {
  const deaths: [State, number][] = [
    ['replaced', replacedAt === undefined ? Number.POSITIVE_INFINITY : graceUntil!],
    ['expired', validUntil ?? Number.POSITIVE_INFINITY],
    ['revoked', revokedAt ?? Number.POSITIVE_INFINITY],
  ];
  // What came first killed it; what a rotation killed was replaced, though it is marked as revoked, too.
  const [death, at] = deaths.reduce((first, one) => (one[1] < first[1] ? one : first));
  if (at <= now) return death;
  return replacedAt === undefined ? 'current' : 'grace';
}
