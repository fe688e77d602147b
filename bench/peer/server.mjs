/**
 * The peer of the bench: SCIM as a team would have it with scimmy-routers on express, and SQLite in the process. What
 * has an index is found by it (id, userName eq, pages); every other filter is judged by SCIMMY over all users.
 */
import { randomUUID } from 'node:crypto';
import process from 'node:process';
import { DatabaseSync } from 'node:sqlite';
import express from 'express';
import SCIMMY from 'scimmy';
import SCIMMYRouters from 'scimmy-routers';
import { GROUP_NAME, idOf, personOf } from '../directory.mjs';

const [port, users, members] = process.argv.slice(2).map(Number);
const db = new DatabaseSync(':memory:');
db.exec(`
  CREATE TABLE users (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, user_name TEXT NOT NULL UNIQUE, resource TEXT NOT NULL);
  CREATE TABLE groups (id TEXT PRIMARY KEY, display_name TEXT NOT NULL UNIQUE);
  CREATE TABLE members (group_id TEXT, user_id TEXT, PRIMARY KEY (group_id, user_id)) WITHOUT ROWID;
`);
const one = db.prepare('SELECT id, resource FROM users WHERE id = ?');
const named = db.prepare('SELECT id, resource FROM users WHERE user_name = ?');
const page = db.prepare('SELECT id, resource FROM users ORDER BY seq LIMIT ? OFFSET ?');
const all = db.prepare('SELECT id, resource FROM users ORDER BY seq');
const total = db.prepare('SELECT count(*) AS n FROM users');
const insert = db.prepare('INSERT INTO users (id, user_name, resource) VALUES (?, ?, ?)');
const update = db.prepare('UPDATE users SET user_name = ?, resource = ? WHERE id = ?');
const remove = db.prepare('DELETE FROM users WHERE id = ?');
const group = db.prepare('SELECT id, display_name FROM groups WHERE id = ?');
const membersOf = db.prepare('SELECT user_id FROM members WHERE group_id = ?');
const join = db.prepare('INSERT OR IGNORE INTO members VALUES (?, ?)');
const leave = db.prepare('DELETE FROM members WHERE group_id = ? AND user_id = ?');

const userOf = ({ id, resource }) => ({ id, ...JSON.parse(resource) });
const missing = (id) => new SCIMMY.Types.Error(404, null, `Resource ${id} not found`);

function transaction(work) {
  db.exec('BEGIN');
  try {
    const result = work();
    db.exec('COMMIT');
    return result;
  } catch (error) {
    db.exec('ROLLBACK');
    throw error;
  }
}

function listUsers({ filter, constraints: { startIndex = 1, count = 100 } = {} }) {
  if (filter) {
    const [{ userName }] = filter;
    if (filter.length === 1 && Object.keys(filter[0]).length === 1 && userName?.[0] === 'eq') {
      return named.all(userName[1]).map(userOf);
    }
    return filter.match(all.all().map(userOf));
  }
  const rows = page.all(count, startIndex - 1).map(userOf);
  rows.length = total.get().n; // SCIMMY takes the total from the length of a sparse list
  return rows;
}

SCIMMY.Resources.declare(
  SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser, false)
    .ingress(({ id }, instance) => {
      const { id: _, meta: __, schemas: ___, ...resource } = JSON.parse(JSON.stringify(instance));
      const text = JSON.stringify(resource);
      if (id === undefined) {
        const created = randomUUID();
        insert.run(created, resource.userName, text);
        return { id: created, ...resource };
      }
      if (update.run(resource.userName, text, id).changes === 0) throw missing(id);
      return { id, ...resource };
    })
    .egress((resource) => {
      if (!resource.id) return listUsers(resource);
      const row = one.get(resource.id);
      if (!row) throw missing(resource.id);
      return userOf(row);
    })
    .degress(({ id }) => {
      if (remove.run(id).changes === 0) throw missing(id);
    }),
);

SCIMMY.Resources.declare(
  SCIMMY.Resources.Group.ingress(({ id }, { displayName, members: wanted = [] }) =>
    transaction(() => {
      const present = new Set(membersOf.all(id).map((row) => row.user_id));
      const ids = new Set(wanted.map(({ value }) => value));
      for (const member of ids) if (!present.has(member)) join.run(id, member);
      for (const member of present) if (!ids.has(member)) leave.run(id, member);
      return { id, displayName, members: wanted };
    }),
  ).egress(({ id, attributes }) => {
    const row = group.get(id);
    if (!row) throw missing(id);
    const isPlain = attributes?.some?.((part) => 'members' in part) === true;
    const found = isPlain ? [] : membersOf.all(id);
    return { id, displayName: row.display_name, members: found.map(({ user_id: value }) => ({ value, type: 'User' })) };
  }),
);

transaction(() => {
  for (let n = 0; n < users; n++) {
    const { schemas: _, ...resource } = personOf(n);
    insert.run(idOf(n), resource.userName, JSON.stringify(resource));
  }
  db.prepare('INSERT INTO groups VALUES (?, ?)').run('everyone', GROUP_NAME);
  for (let n = 0; n < members; n++) join.run('everyone', idOf(n));
});

const app = express();
// scimmy-routers 1.3.2 hands SCIMMY texts where it wants numbers, and so ignores them.
app.use((request, _, next) => {
  const { count, startIndex, ...query } = request.query;
  const value = {
    ...query,
    ...(count && { count: Number(count) }),
    ...(startIndex && { startIndex: Number(startIndex) }),
  };
  Object.defineProperty(request, 'query', { value });
  next();
});
app.use(
  '/scim',
  new SCIMMYRouters({
    type: 'bearer',
    handler: (request) => {
      if (request.header('Authorization') !== 'Bearer bench') throw new Error('Authorization not detected!');
      return 'idp';
    },
  }),
);
process.on('SIGTERM', () => process.exit(0));
const server = app.listen(port, '127.0.0.1', (error) =>
  process.send(error ? { failed: error.message } : { ready: true }),
);
server.keepAliveTimeout = 0; // connections of the bench wait for their turn
