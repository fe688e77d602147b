/** What a request to revoke does to the people that it means. */
import type { Details } from '../events';
import type { Org } from '../provisioning/org';
import { MAX_MEANT } from '../store/directory/signal-subjects';
import { signOutUsers } from '../store/directory/user-changes';

/** What became of it. */
export type Outcome =
  /** Committed. `isPublished`: KV has acknowledged it, too; else the outbox goes on with it. */
  | { readonly became: 'ended'; readonly isPublished: boolean }
  /** Nobody of the org is meant, or more people than a signal can mean. */
  | { readonly became: 'nobody' | 'ambiguous' };

/**
 * Ends the sessions of these users.
 *
 * @param org whose store is led by the signal's source (`receiving`).
 */
export async function endSessionsOf(org: Org, userIds: readonly string[], details: Details): Promise<Outcome> {
  if (userIds.length === 0) return { became: 'nobody' };
  if (userIds.length > MAX_MEANT) return { became: 'ambiguous' };
  const publications = await signOutUsers(org.store, [{ userIds, details }], org.actor);
  const published = await Promise.all(publications.map((publication) => org.publish(publication)));
  return { became: 'ended', isPublished: published.every((one) => one) };
}
