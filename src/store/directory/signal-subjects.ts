/** The users that a signal means: by the first of its names that anybody has. */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor } from '../../events';
import type { Resource } from '../../scim/resource';
import { recordEach } from '../journal/record';
import type { OrgStore } from '../org/open';
import { hasAddress, type Key, seqsOf } from './sign-in';
import type { SignedOut } from './user-changes';

/**
 * Users of one name, at most. Several may share an externalId or an address: all of them are meant, for a sign-out that
 * is one too many costs a sign-in, and one that is missing leaves a thief in. Of more, none is.
 */
export const MAX_MEANT = 10;

/** Where to look for one person, in this order: the first look-up that finds somebody counts. */
export type Lookups = readonly (readonly [Key, string])[];

/**
 * Live users, by each of these. One round trip.
 *
 * @param each a few look-ups. The same object twice is looked up once.
 * @returns for each at most one more than MAX_MEANT; the same object for the same.
 */
export async function findMeant(store: OrgStore, ...each: readonly Lookups[]): Promise<string[][]> {
  const distinct = [...new Set(each)];
  const all = distinct.flat();
  const results = await store.read(
    ...all.map(
      ([key, value]) => sql`SELECT users.id, ${key === 'email' ? sql.raw('users.resource') : sql`NULL`} AS resource
        FROM users WHERE users.seq IN (${seqsOf(store, key, value)} LIMIT CAST(${MAX_MEANT + 1} AS INTEGER))`,
    ),
  );
  const meant = new Map<Lookups, string[]>();
  let i = 0;
  for (const lookups of distinct) {
    const found = lookups.map(([key, value]) =>
      results[i++]!.filter(
        // The index holds addresses in a form that others share.
        ({ resource }) => key !== 'email' || hasAddress(JSON.parse(resource as string) as Resource, value),
      ).map(({ id }) => id as string),
    );
    meant.set(lookups, found.find((ids) => ids.length > 0) ?? []);
  }
  return each.map((lookups) => meant.get(lookups)!);
}

/** Tells in the journal that signals named these users, from which nothing follows: statements of a write. */
export const noteSignals = (store: OrgStore, actor: Actor, each: readonly SignedOut[]): SQL[] =>
  each
    .filter(({ userIds }) => userIds.length > 0)
    .flatMap(({ userIds, details }) => {
      const named = sql`SELECT value AS id FROM json_each(${JSON.stringify(userIds)})`;
      const { record, settle } = recordEach(store, actor, named, { type: 'user.signal_received', details });
      return [record, settle];
    });
