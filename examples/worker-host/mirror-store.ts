/** A mirror's store on D1 with drizzle. The statements of a page and its cursor are one batch: all of them hold, or none. */
import { and, eq, gt } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/d1';
import type { MirroredGroup, MirroredUser, MirrorStore } from 'scim-worker/mirror';
import { cursors, people, roles } from './mirror-tables';

/** Characters of one parameter: D1 takes two million bytes, and a character has up to four. */
const MAX_TEXT = 500_000;

/** One statement for each text, so that a page costs a few of the queries that D1 grants an invocation. */
function* jsonLists(rows: readonly unknown[]): Generator<string> {
  let list: string[] = [];
  let length = 0;
  for (const row of rows.map((value) => JSON.stringify(value))) {
    if (length > 0 && length + row.length > MAX_TEXT) {
      yield `[${list}]`;
      [list, length] = [[], 0];
    }
    list.push(row);
    length += row.length;
  }
  if (length > 0) yield `[${list}]`;
}

/** Fails with the whole batch when another mirror has saved a cursor meanwhile: NULL is not allowed there. */
const EXPECT_CURSOR = `INSERT INTO mirror_cursors (org, cursor)
  SELECT ?1, NULL WHERE (SELECT cursor FROM mirror_cursors WHERE org = ?1) IS NOT ?2`;
const UPSERT_ROLES = `INSERT OR REPLACE INTO roles (org, id, "group")
  SELECT ?, value ->> '$.id', value FROM json_each(?)`;
const UPSERT_PEOPLE = `INSERT OR REPLACE INTO people (org, id, user_name, active, user)
  SELECT ?, value ->> '$.id', value ->> '$.userName', value ->> '$.active', value FROM json_each(?)`;

/** What one page changes: by id, null to remove. */
type Rows<T> = Map<string, T | null>;

export function d1Store(database: D1Database, org: string): MirrorStore {
  const db = drizzle(database);
  let page = { users: new Map() as Rows<MirroredUser>, groups: new Map() as Rows<MirroredGroup> };
  const each = (rows: readonly unknown[], statement: string) =>
    [...jsonLists(rows)].map((list) => database.prepare(statement).bind(org, list));
  const upserted = (rows: Rows<object>) => [...rows.values()].filter((row) => row !== null);
  const removed = (rows: Rows<object>) => [...rows.keys()].filter((id) => rows.get(id) === null);
  return {
    upsertUser: (user) => page.users.set(user.id, user),
    removeUser: (id) => page.users.set(id, null),
    upsertGroup: (group) => page.groups.set(group.id, group),
    removeGroup: (id) => page.groups.set(id, null),
    async loadCursor() {
      return (await db.select().from(cursors).where(eq(cursors.org, org)))[0]?.cursor;
    },
    async saveCursor(cursor, before) {
      const { users, groups } = page;
      // A page that fails is read again, from the cursor that is still there.
      page = { users: new Map(), groups: new Map() };
      await database.batch([
        database.prepare(EXPECT_CURSOR).bind(org, before ?? null),
        database.prepare('INSERT OR REPLACE INTO mirror_cursors (org, cursor) VALUES (?, ?)').bind(org, cursor),
        ...each(upserted(groups), UPSERT_ROLES),
        ...each(upserted(users), UPSERT_PEOPLE),
        ...each(removed(users), 'DELETE FROM people WHERE org = ? AND id IN (SELECT value FROM json_each(?))'),
        ...each(removed(groups), 'DELETE FROM roles WHERE org = ? AND id IN (SELECT value FROM json_each(?))'),
      ]);
    },
    async *users() {
      for (let after = ''; ; ) {
        const ours = and(eq(people.org, org), gt(people.id, after));
        const rows = await db.select().from(people).where(ours).orderBy(people.id).limit(500);
        yield* rows.map(({ user }) => user);
        if (rows.length === 0) return;
        after = rows.at(-1)!.id;
      }
    },
    async *groups() {
      for (const { group } of await db.select().from(roles).where(eq(roles.org, org))) yield group;
    },
  };
}
