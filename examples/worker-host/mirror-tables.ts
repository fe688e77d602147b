/** This Worker's own tables: the copy of the directory, of each org that it follows. */
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import type { MirroredGroup, MirroredUser } from 'scim-worker/mirror';

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
