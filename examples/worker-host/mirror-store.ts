/** A mirror's store on D1 with drizzle. The statements of a page and its cursor are one batch: all of them hold, or none. */
import { and, eq } from 'drizzle-orm';
import type { BatchItem } from 'drizzle-orm/batch';
import { drizzle } from 'drizzle-orm/d1';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import type { MirroredGroup, MirroredUser, MirrorStore } from 'scim-worker/mirror';

/** The columns that the application looks for, and all that the directory says. An imported org may have another org's ids. */
export const people = sqliteTable('people', {
  id: text('id').notNull(),
  org: text('org').notNull(),
  userName: text('user_name').notNull(),
  active: integer('active', { mode: 'boolean' }).notNull(),
  user: text('user', { mode: 'json' }).$type<MirroredUser>().notNull(),
});
export const roles = sqliteTable('roles', {
  id: text('id').notNull(),
  org: text('org').notNull(),
  group: text('group', { mode: 'json' }).$type<MirroredGroup>().notNull(),
});
export const cursors = sqliteTable('mirror_cursors', {
  org: text('org').primaryKey(),
  cursor: text('cursor').notNull(),
});

/** For the migrations of the application. */
export const TABLES = [
  'CREATE TABLE IF NOT EXISTS people (id TEXT NOT NULL, org TEXT NOT NULL, user_name TEXT NOT NULL, active INTEGER NOT NULL, user TEXT NOT NULL, PRIMARY KEY (org, id))',
  'CREATE TABLE IF NOT EXISTS roles (id TEXT NOT NULL, org TEXT NOT NULL, "group" TEXT NOT NULL, PRIMARY KEY (org, id))',
  'CREATE TABLE IF NOT EXISTS mirror_cursors (org TEXT PRIMARY KEY, cursor TEXT NOT NULL)',
];

export function d1Store(database: D1Database, org: string): MirrorStore {
  const db = drizzle(database);
  let page: BatchItem<'sqlite'>[] = [];
  return {
    upsertUser(user) {
      const row = { id: user.id, org, userName: user.userName, active: user.active, user };
      page.push(
        db
          .insert(people)
          .values(row)
          .onConflictDoUpdate({ target: [people.org, people.id], set: row }),
      );
    },
    removeUser(id) {
      page.push(db.delete(people).where(and(eq(people.org, org), eq(people.id, id))));
    },
    upsertGroup(group) {
      const row = { id: group.id, org, group };
      page.push(
        db
          .insert(roles)
          .values(row)
          .onConflictDoUpdate({ target: [roles.org, roles.id], set: row }),
      );
    },
    removeGroup(id) {
      page.push(db.delete(roles).where(and(eq(roles.org, org), eq(roles.id, id))));
    },
    async loadCursor() {
      return (await db.select().from(cursors).where(eq(cursors.org, org)))[0]?.cursor;
    },
    async saveCursor(cursor) {
      const statements = page;
      // A page that fails is read again, from the cursor that is still there.
      page = [];
      const row = { org, cursor };
      const saved = db.insert(cursors).values(row).onConflictDoUpdate({ target: cursors.org, set: row });
      await db.batch([saved, ...statements]);
    },
    async *users() {
      for (const { user } of await db.select().from(people).where(eq(people.org, org))) yield user;
    },
    async *groups() {
      for (const { group } of await db.select().from(roles).where(eq(roles.org, org))) yield group;
    },
  };
}
