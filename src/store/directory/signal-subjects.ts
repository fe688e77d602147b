/** The users that a signal means: by the first of its names that anybody has. */
import { sql } from 'drizzle-orm';
import type { Actor, Details } from '../../events';
import type { Resource } from '../../scim/resource';
import { recordEach } from '../journal/record';
import type { OrgStore } from '../org/open';
import { hasAddress, type Key, seqsOf } from './sign-in';

/**
 * Users of one name, at most. Several may share an externalId or an address: all of them are meant, for a sign-out that
 * is one too many costs a sign-in, and one that is missing leaves a thief in. Of more, none is.
 */
export const MAX_MEANT = 10;

/**
 * Live users. One round trip.
 *
 * @param lookups a few.
 * @returns at most one more than MAX_MEANT.
 */
export async function findMeant(store: OrgStore, lookups: readonly (readonly [Key, string])[]): Promise<string[]> {
  const results = await store.read(
    ...lookups.map(
      ([key, value]) => sql`SELECT users.id, ${key === 'email' ? sql.raw('users.resource') : sql`NULL`} AS resource
        FROM users WHERE users.seq IN (${seqsOf(store, key, value)} LIMIT CAST(${MAX_MEANT + 1} AS INTEGER))`,
    ),
  );
  for (const [i, rows] of results.entries()) {
    const [key, value] = lookups[i]!;
    const meant = rows.filter(
      // The index holds addresses in a form that others share.
      ({ resource }) => key !== 'email' || hasAddress(JSON.parse(resource as string) as Resource, value),
    );
    if (meant.length > 0) return meant.map(({ id }) => id as string);
  }
  return [];
}

/** Tells in the journal that a signal named these users, from which nothing follows. One round trip. */
export async function noteSignalOf(
  store: OrgStore,
  userIds: readonly string[],
  actor: Actor,
  details: Details,
): Promise<void> {
  const named = sql`SELECT value AS id FROM json_each(${JSON.stringify(userIds)})`;
  const { record, settle } = recordEach(store, actor, named, { type: 'user.signal_received', details });
  await store.write(record, settle);
}
