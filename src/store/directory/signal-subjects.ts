/** The users that a signal means: by the first of its names that anybody has. */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor } from '../../events';
import type { Resource } from '../../scim/resource';
import type { Row } from '../d1/rows';
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

/** What finds the users of these look-ups, and reads them: statements of one batch. */
export interface Meant {
  readonly statements: SQL[];
  /** @returns for each at most one more than MAX_MEANT; the same object for equal look-ups. */
  read(results: readonly Row[][]): Map<Lookups, readonly string[]>;
}

/** Live users, by each of these. @param each a few look-ups. Equal ones are looked up once. */
export function selectMeant(store: OrgStore, each: readonly Lookups[]): Meant {
  const distinct = new Map(each.map((lookups) => [JSON.stringify(lookups), lookups]));
  const statements = [...distinct.values()].flat().map(
    ([key, value]) => sql`SELECT users.id, ${key === 'email' ? sql.raw('users.resource') : sql`NULL`} AS resource
      FROM users WHERE users.seq IN (${seqsOf(store, key, value)} LIMIT CAST(${MAX_MEANT + 1} AS INTEGER))`,
  );
  const read = (results: readonly Row[][]) => {
    let i = 0;
    const found = new Map<string, readonly string[]>();
    for (const [name, lookups] of distinct) {
      const users = lookups.map(([key, value]) =>
        results[i++]!.filter(
          // The index holds addresses in a form that others share.
          ({ resource }) => key !== 'email' || hasAddress(JSON.parse(resource as string) as Resource, value),
        ).map(({ id }) => id as string),
      );
      found.set(name, users.find((ids) => ids.length > 0) ?? []);
    }
    return new Map(each.map((lookups) => [lookups, found.get(JSON.stringify(lookups))!]));
  };
  return { statements, read };
}

/** The signals, of these, that were used up already: rows of their `hash`. */
export const selectUsed = (store: OrgStore, hashes: readonly string[]): SQL =>
  sql`SELECT assertions.hash FROM json_each(${JSON.stringify(hashes)}) AS named
    CROSS JOIN assertions ON assertions.org_id = ${store.org} AND assertions.hash = named.value`;

/** Tells in the journal that signals named these users, from which nothing follows: statements of a write. */
export const noteSignals = (store: OrgStore, actor: Actor, each: readonly SignedOut[]): SQL[] =>
  each
    .filter(({ userIds }) => userIds.length > 0)
    .flatMap(({ userIds, details }) => {
      const named = sql`SELECT value AS id FROM json_each(${JSON.stringify(userIds)})`;
      const { record, settle } = recordEach(store, actor, named, { type: 'user.signal_received', details });
      return [record, settle];
    });
