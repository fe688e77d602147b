/** An org of any size in a moment: rows as the service would have written them, made by SQL. */
import { env } from 'cloudflare:workers';
import type { Idp } from './client';

/** Ids of the filled users are `u<n>`, of a filled group `g-<name>`. */
export const userId = (n: number) => `u${n}`;
export const groupId = (name: string) => `g-${name}`;

/** Users 1…count, named `user<n>@<slug>.test`, with a work address of the same name. */
export async function fillUsers({ orgId, slug }: Idp, count: number): Promise<void> {
  const numbers = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)';
  const name = `'user' || i || '@${slug}.test'`;
  const person = `'userName', ${name}, 'externalId', 'e' || i, 'active', json('true'),
    'emails', json_array(json_object('value', ${name}, 'type', 'work', 'primary', json('true')))`;
  const now = Date.now();
  await env.DB.batch([
    env.DB.prepare(
      `${numbers} INSERT INTO users (org_id, id, user_name_key, external_id, active, version, created_at, modified_at, resource, folded)
       SELECT ?1, 'u' || i, ${name}, 'e' || i, 1, 1, ${now}, ${now}, json_object(${person}),
         json_object('schemas', json_array('urn:ietf:params:scim:schemas:core:2.0:User'), 'id', 'u' || i, ${person},
           'meta', json_object('resourceType', 'user', 'created', '2026-01-01T00:00:00.000Z', 'lastModified', '2026-01-01T00:00:00.000Z', 'version', 'W/"1"'))
       FROM n`,
    ).bind(orgId, count),
    env.DB.prepare(
      `INSERT INTO user_emails (org_id, value_key, user_seq) SELECT org_id, user_name_key, seq FROM users WHERE org_id = ?1`,
    ).bind(orgId),
    env.DB.prepare(
      'UPDATE orgs SET user_count = user_count + ?2, active_user_count = active_user_count + ?2 WHERE id = ?1',
    ).bind(orgId, count),
  ]);
}

/** A group of the first users of a filled org. */
export async function fillGroup({ orgId }: Idp, name: string, members: number): Promise<string> {
  const id = groupId(name);
  const document = JSON.stringify({ displayName: name });
  const now = Date.now();
  await env.DB.batch([
    env.DB.prepare(
      `INSERT INTO groups (org_id, id, display_name_key, version, created_at, modified_at, member_count, resource, folded)
       VALUES (?1, ?2, lower(?3), 1, ${now}, ${now}, ?4, ?5, json_object('displayName', lower(?3)))`,
    ).bind(orgId, id, name, members, document),
    env.DB.prepare(
      `INSERT INTO memberships (org_id, group_seq, is_group, member_seq)
       SELECT ?1, (SELECT seq FROM groups WHERE org_id = ?1 AND id = ?2), 0, seq FROM users WHERE org_id = ?1 ORDER BY seq LIMIT ?3`,
    ).bind(orgId, id, members),
    env.DB.prepare('UPDATE orgs SET group_count = group_count + 1 WHERE id = ?1').bind(orgId),
  ]);
  return id;
}

/** Deactivates filled users, as many commits of the service would have: who listens has not been told yet. */
export async function deactivateUsers({ orgId }: Pick<Idp, 'orgId'>, from: number, to: number): Promise<void> {
  const count = to - from + 1;
  const numbers = `WITH RECURSIVE n (i) AS (SELECT ${from} UNION ALL SELECT i + 1 FROM n WHERE i < ${to})`;
  await env.DB.batch([
    env.DB.prepare(
      `${numbers} UPDATE users SET active = 0, not_before = ?2 WHERE org_id = ?1 AND id IN (SELECT 'u' || i FROM n)`,
    ).bind(orgId, Date.now()),
    env.DB.prepare(
      `${numbers} INSERT INTO events (org_id, seq, at, type, actor, target_id, request_id, details, publishes)
       SELECT orgs.id, event_seq + i - ${from - 1}, ?2, 'user.deactivated', 'idp', 'u' || i, 'filled', '{}', 1 FROM n, orgs WHERE orgs.id = ?1`,
    ).bind(orgId, Date.now()),
    env.DB.prepare(`UPDATE orgs SET event_seq = event_seq + ${count} WHERE id = ?`).bind(orgId),
  ]);
}
