/**
 * The floor of the bench: the least that a Hono Worker on D1 does for each request. It understands the bench's requests
 * and no others, checks no credential and keeps no promise.
 *
 * `/plain` is that. `/full` adds what our promises need at the least: an event in the same batch, a read before a PUT and
 * a PATCH are written, and when access ends an outbox row, one Durable Object call and one KV write before the answer.
 */
import { DurableObject } from 'cloudflare:workers';
import { type Context, Hono } from 'hono';

interface Env {
  readonly DB: D1Database;
  readonly FLAGS: KVNamespace;
  readonly PUBLISHER: DurableObjectNamespace<Publisher>;
}
type App = { Bindings: Env };

const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
const GROUP = 'urn:ietf:params:scim:schemas:core:2.0:Group';
const LIST = 'urn:ietf:params:scim:api:messages:2.0:ListResponse';

interface Row {
  readonly id: string;
  readonly version: number;
  readonly resource: string;
}
interface User {
  userName: string;
  active: boolean;
  emails?: { value: string; type: string }[];
}

/** The one place that writes flags. */
export class Publisher extends DurableObject<Env> {
  async publish(userId: string, flag: string): Promise<void> {
    await this.env.FLAGS.put(userId, flag);
  }
}

const COLUMNS = 'id, version, resource';

const userOf = ({ id, version, resource }: Row) => ({
  schemas: [USER],
  id,
  ...JSON.parse(resource),
  meta: { resourceType: 'User', location: `/Users/${id}`, version: `W/"${version}"` },
});
const groupOf = ({ id, version, resource }: Row) => ({
  schemas: [GROUP],
  id,
  ...JSON.parse(resource),
  meta: { resourceType: 'Group', location: `/Groups/${id}`, version: `W/"${version}"` },
});
const answer = (c: Context<App>, body: object, status: 200 | 201 = 200) =>
  c.body(JSON.stringify(body), status, { 'Content-Type': 'application/scim+json' });
const listOf = (rows: readonly Row[], totalResults: number, startIndex = 1) => ({
  schemas: [LIST],
  totalResults,
  startIndex,
  itemsPerPage: rows.length,
  Resources: rows.map(userOf),
});

const insertEmails = (db: D1Database, id: string, { emails = [] }: User) =>
  db
    .prepare(
      `INSERT INTO emails SELECT e.value ->> 'value', e.value ->> 'type', users.seq
       FROM json_each(?1) AS e, users WHERE users.id = ?2`,
    )
    .bind(JSON.stringify(emails), id);
const deleteEmails = (db: D1Database, id: string) =>
  db.prepare('DELETE FROM emails WHERE user_seq = (SELECT seq FROM users WHERE id = ?)').bind(id);
const record = (db: D1Database, type: string, target: string, details: unknown) =>
  db
    .prepare('INSERT INTO events (at, type, target, details) VALUES (?, ?, ?, ?)')
    .bind(Date.now(), type, target, JSON.stringify(details));
const intend = (db: D1Database, id: string) =>
  db.prepare('INSERT OR REPLACE INTO outbox (user_id, since) VALUES (?, ?)').bind(id, Date.now());
const publish = ({ env }: Context<App>, id: string) =>
  env.PUBLISHER.getByName('org').publish(id, JSON.stringify({ active: false, validAfter: Date.now() }));

/** @param isFull whether the promises are kept. */
function scim(isFull: boolean): Hono<App> {
  const routes = new Hono<App>();

  routes.get('/ServiceProviderConfig', (c) =>
    answer(c, {
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig'],
      patch: { supported: true },
      bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
      filter: { supported: true, maxResults: 100 },
      changePassword: { supported: false },
      sort: { supported: false },
      etag: { supported: true },
      authenticationSchemes: [],
    }),
  );

  routes.get('/Users', async (c) => {
    const { DB: db } = c.env;
    const filter = c.req.query('filter');
    const [, attribute, text] = /^(userName eq|emails\[.* co) "([^"]*)"/.exec(filter ?? '') ?? [];
    if (attribute === 'userName eq') {
      const { results } = await db.prepare(`SELECT ${COLUMNS} FROM users WHERE user_name = ?`).bind(text).all<Row>();
      return answer(c, listOf(results, results.length));
    }
    if (attribute !== undefined) {
      const { results } = await db
        .prepare(
          `SELECT ${COLUMNS} FROM users
           WHERE seq IN (SELECT user_seq FROM emails WHERE type = 'work' AND instr(value, ?) > 0) LIMIT 100`,
        )
        .bind(text)
        .all<Row>();
      return answer(c, listOf(results, results.length));
    }
    const startIndex = Number(c.req.query('startIndex') ?? 1);
    const [page, total] = await db.batch([
      db.prepare(`SELECT ${COLUMNS} FROM users ORDER BY seq LIMIT 100 OFFSET ?`).bind(startIndex - 1),
      db.prepare('SELECT count(*) AS n FROM users'),
    ]);
    return answer(c, listOf(page!.results as Row[], (total!.results as { n: number }[])[0]!.n, startIndex));
  });

  routes.get('/Users/:id', async (c) => {
    const row = await read(c);
    return row ? answer(c, userOf(row)) : c.notFound();
  });

  routes.post('/Users', async (c) => {
    const { DB: db } = c.env;
    const { schemas: _, ...user } = await c.req.json();
    const id = crypto.randomUUID();
    const insert = db
      .prepare(`INSERT INTO users (id, user_name, version, resource) VALUES (?, ?, 1, ?) RETURNING ${COLUMNS}`)
      .bind(id, user.userName, JSON.stringify(user));
    const [inserted] = await db.batch<Row>([
      insert,
      insertEmails(db, id, user),
      ...(isFull ? [record(db, 'user.created', id, user)] : []),
    ]);
    return answer(c, userOf(inserted!.results[0]!), 201);
  });

  routes.put('/Users/:id', async (c) => {
    const { DB: db } = c.env;
    const id = c.req.param('id');
    const { schemas: _, ...user } = await c.req.json();
    const before = isFull ? await read(c) : undefined;
    const [updated] = await db.batch<Row>([
      update(db, id, user, before?.version),
      deleteEmails(db, id),
      insertEmails(db, id, user),
      ...(before ? [record(db, 'user.updated', id, { before: JSON.parse(before.resource), after: user })] : []),
    ]);
    return answer(c, userOf(updated!.results[0]!));
  });

  /** `active` alone. */
  routes.patch('/Users/:id', async (c) => {
    const { DB: db } = c.env;
    const id = c.req.param('id');
    const { Operations: operations } = await c.req.json();
    const { value: active } = operations[0];
    if (!isFull) {
      const row = await db
        .prepare(
          `UPDATE users SET resource = json_set(resource, '$.active', json(?)), version = version + 1
           WHERE id = ? RETURNING ${COLUMNS}`,
        )
        .bind(JSON.stringify(active), id)
        .first<Row>();
      return answer(c, userOf(row!));
    }
    const before = await read(c);
    const user = { ...JSON.parse(before!.resource), active };
    const [updated] = await db.batch<Row>([
      update(db, id, user, before!.version),
      record(db, 'user.deactivated', id, { active }),
      intend(db, id),
    ]);
    await publish(c, id);
    return answer(c, userOf(updated!.results[0]!));
  });

  routes.delete('/Users/:id', async (c) => {
    const { DB: db } = c.env;
    const id = c.req.param('id');
    await db.batch([
      deleteEmails(db, id),
      db.prepare('DELETE FROM users WHERE id = ?').bind(id),
      ...(isFull ? [record(db, 'user.deleted', id, {}), intend(db, id)] : []),
    ]);
    if (isFull) await publish(c, id);
    return c.body(null, 204);
  });

  routes.get('/Groups/:id', async (c) => {
    const { DB: db } = c.env;
    const id = c.req.param('id');
    const group = db.prepare(`SELECT ${COLUMNS} FROM groups WHERE id = ?`).bind(id);
    if (c.req.query('excludedAttributes') === 'members') return answer(c, groupOf((await group.first<Row>())!));
    const [found, members] = await db.batch([
      group,
      db.prepare('SELECT user_id FROM members WHERE group_id = ?').bind(id),
    ]);
    return answer(c, {
      ...groupOf((found!.results as Row[])[0]!),
      members: (members!.results as { user_id: string }[]).map(({ user_id: value }) => ({
        value,
        $ref: `/Users/${value}`,
        type: 'User',
      })),
    });
  });

  /** One operation that adds or removes members. */
  routes.patch('/Groups/:id', async (c) => {
    const { DB: db } = c.env;
    const id = c.req.param('id');
    const { Operations: operations } = await c.req.json();
    const { op, value } = operations[0];
    const ids = JSON.stringify((value as { value: string }[]).map((member) => member.value));
    await db.batch([
      op === 'add'
        ? db.prepare('INSERT OR IGNORE INTO members SELECT ?1, value FROM json_each(?2)').bind(id, ids)
        : db
            .prepare('DELETE FROM members WHERE group_id = ?1 AND user_id IN (SELECT value FROM json_each(?2))')
            .bind(id, ids),
      db.prepare('UPDATE groups SET version = version + 1 WHERE id = ?').bind(id),
      ...(isFull ? [record(db, `group.${op}`, id, ids)] : []),
    ]);
    return c.body(null, 204);
  });

  return routes;
}

const read = (c: Context<App>) =>
  c.env.DB.prepare(`SELECT ${COLUMNS} FROM users WHERE id = ?`).bind(c.req.param('id')).first<Row>();

const update = (db: D1Database, id: string, user: User, version?: number) =>
  db
    .prepare(
      `UPDATE users SET user_name = ?, resource = ?, version = version + 1
       WHERE id = ? AND version = ifnull(?, version) RETURNING ${COLUMNS}`,
    )
    .bind(user.userName, JSON.stringify(user), id, version ?? null);

export const app = new Hono<App>();
app.route('/plain', scim(false));
app.route('/full', scim(true));

/** Sent before anything is measured: `{ users, group, members }`. */
app.post('/fill', async (c) => {
  const { DB: db } = c.env;
  const { users, group, members } = await c.req.json();
  await db.batch([
    db
      .prepare(
        `INSERT INTO users (id, user_name, version, resource)
         SELECT value ->> 'id', value ->> '$.resource.userName', 1, value -> 'resource' FROM json_each(?)`,
      )
      .bind(JSON.stringify(users)),
    db
      .prepare(
        `INSERT INTO emails SELECT e.value ->> 'value', e.value ->> 'type', users.seq
         FROM json_each(?) AS u, users, json_each(u.value, '$.resource.emails') AS e WHERE users.id = u.value ->> 'id'`,
      )
      .bind(JSON.stringify(users)),
    db.prepare('INSERT OR IGNORE INTO groups VALUES (?, 1, ?)').bind(group.id, JSON.stringify(group.resource)),
    db.prepare('INSERT INTO members SELECT ?, value FROM json_each(?)').bind(group.id, JSON.stringify(members)),
  ]);
  return c.body(null, 204);
});

export default app;
