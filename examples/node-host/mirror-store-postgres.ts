/** A mirror's store with drizzle, on Postgres through any of its drivers. mirror-store.ts is its twin for SQLite. */
import { and, eq } from 'drizzle-orm';
import { boolean, jsonb, type PgDatabase, type PgQueryResultHKT, pgTable, text } from 'drizzle-orm/pg-core';
import type { MirroredGroup, MirroredUser, MirrorStore } from 'scim-worker/mirror';

/** The columns that the application looks for, and all that the directory says. An imported org may have another org's ids. */
export const people = pgTable('people', {
  id: text('id').notNull(),
  org: text('org').notNull(),
  userName: text('user_name').notNull(),
  active: boolean('active').notNull(),
  user: jsonb('user').$type<MirroredUser>().notNull(),
});
export const roles = pgTable('roles', {
  id: text('id').notNull(),
  org: text('org').notNull(),
  group: jsonb('group').$type<MirroredGroup>().notNull(),
});
export const cursors = pgTable('mirror_cursors', { org: text('org').primaryKey(), cursor: text('cursor').notNull() });

/** For the migrations of the application. */
export const TABLES = [
  'CREATE TABLE IF NOT EXISTS people (id TEXT NOT NULL, org TEXT NOT NULL, user_name TEXT NOT NULL, active BOOLEAN NOT NULL, "user" JSONB NOT NULL, PRIMARY KEY (org, id))',
  'CREATE TABLE IF NOT EXISTS roles (id TEXT NOT NULL, org TEXT NOT NULL, "group" JSONB NOT NULL, PRIMARY KEY (org, id))',
  'CREATE TABLE IF NOT EXISTS mirror_cursors (org TEXT PRIMARY KEY, cursor TEXT NOT NULL)',
];

/** Each call is a statement of its own: what a kill leaves half done, the mirror does again. */
export function postgresStore(db: PgDatabase<PgQueryResultHKT>, org: string): MirrorStore {
  return {
    upsertUser(user) {
      const row = { id: user.id, org, userName: user.userName, active: user.active, user };
      return db
        .insert(people)
        .values(row)
        .onConflictDoUpdate({ target: [people.org, people.id], set: row });
    },
    removeUser: (id) => db.delete(people).where(and(eq(people.org, org), eq(people.id, id))),
    upsertGroup(group) {
      const row = { id: group.id, org, group };
      return db
        .insert(roles)
        .values(row)
        .onConflictDoUpdate({ target: [roles.org, roles.id], set: row });
    },
    removeGroup: (id) => db.delete(roles).where(and(eq(roles.org, org), eq(roles.id, id))),
    async loadCursor() {
      return (await db.select().from(cursors).where(eq(cursors.org, org)))[0]?.cursor;
    },
    saveCursor(cursor) {
      const row = { org, cursor };
      return db.insert(cursors).values(row).onConflictDoUpdate({ target: cursors.org, set: row });
    },
    async *users() {
      for (const { user } of await db.select().from(people).where(eq(people.org, org))) yield user;
    },
    async *groups() {
      for (const { group } of await db.select().from(roles).where(eq(roles.org, org))) yield group;
    },
  };
}
