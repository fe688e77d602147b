/** Which sessions a change of state ends: for a host that deletes its sessions when the stream says so. */
import type { Session } from '../check.ts';
import { instant } from './instant.ts';
import type { StateChange } from './org-states.ts';

/** Sessions that are over. Every session that is not named by it is left as it is. */
export interface SessionsEnded {
  /** As in `orgs`. */
  readonly org: string;
  /** The org's id. */
  readonly orgId: string;
  /** The user's id; null: every user of the org. */
  readonly user: string | null;
  /** Epoch milliseconds: sessions that were issued at that instant or before are over. Newer ones are not. */
  readonly validAfter: number;
}

/**
 * Whether `ended` ends this session. `session.org` may be the org's id, or its name in `orgs`.
 *
 * @throws Error when `issuedAt` is no instant.
 */
export function isEnded(session: Session, { org, orgId, user, validAfter }: SessionsEnded): boolean {
  const isMeant = (session.org === orgId || session.org === org) && (user === null || session.user === user);
  return isMeant && instant(session.issuedAt) <= validAfter;
}

/**
 * @param now when the state was received, by the host's clock. An inactive user has no valid session at all, so each session
 *   that exists until then is over. Taken later, it could end the session of a user who is active again.
 * @returns undefined when the state ends no session.
 */
export function validAfterOf({ active, validAfter }: StateChange, now: number): number | undefined {
  if (!active) return Math.max(now, validAfter);
  return validAfter > 0 ? validAfter : undefined;
}
