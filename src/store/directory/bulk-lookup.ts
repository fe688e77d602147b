/** What the operations of a bulk request name, looked up at once, so that none has to fail in D1 to find it out. */
import { sql } from 'drizzle-orm';
import type { OrgStore } from '../org/open';

/** Names in the form that is indexed; ids and externalIds as sent. */
export interface Named {
  readonly userNames: readonly string[];
  readonly externalIds: readonly string[];
  readonly displayNames: readonly string[];
  readonly userIds: readonly string[];
  readonly groupIds: readonly string[];
}

/** Of the names and ids, those that a user (deleted ones too, except for `userIds`) or a group of the org has. */
export type Present = { readonly [K in keyof Named]: ReadonlySet<string> } & {
  /** Of `userIds`, those of deleted users. */
  readonly deletedIds: ReadonlySet<string>;
};

/** One round trip. */
export async function lookUpNamed(store: OrgStore, named: Named): Promise<Present> {
  const among = (table: 'users' | 'groups', column: string, values: readonly string[], condition: string) =>
    sql`SELECT DISTINCT asked.value AS name FROM json_each(${JSON.stringify([...new Set(values)])}) AS asked
      CROSS JOIN ${sql.raw(table)} ON ${sql.raw(table)}.org_id = ${store.org}
        AND ${sql.raw(`${table}.${column}`)} = asked.value${sql.raw(condition)}`;
  // A partial index serves one of live and deleted users at a time.
  const either = (column: string, values: readonly string[]) =>
    sql`${among('users', column, values, ' AND deleted_at IS NULL')}
      UNION ${among('users', column, values, ' AND deleted_at IS NOT NULL')}`;
  const [userNames, externalIds, displayNames, userIds, groupIds, deletedIds] = await store.read(
    either('user_name_key', named.userNames),
    either('external_id', named.externalIds),
    among('groups', 'display_name_key', named.displayNames, ''),
    among('users', 'id', named.userIds, ' AND deleted_at IS NULL'),
    among('groups', 'id', named.groupIds, ''),
    among('users', 'id', named.userIds, ' AND deleted_at IS NOT NULL'),
  );
  const set = (rows: readonly Record<string, unknown>[] | undefined) =>
    new Set((rows ?? []).map((row) => row['name'] as string));
  return {
    userNames: set(userNames),
    externalIds: set(externalIds),
    displayNames: set(displayNames),
    userIds: set(userIds),
    groupIds: set(groupIds),
    deletedIds: set(deletedIds),
  };
}
