/** A directory of a size that an org may really have, written by SQL: through the door it would take minutes. */
import { env } from 'cloudflare:workers';
import { ENTERPRISE_USER, USER } from '../../src/scim/urns';
import type { Idp } from './client';

/** The id of the nth person; n starts at 1. */
export const idOf = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

/**
 * `person-1@<slug>.example` and so on, with the externalId `hr-1`, a work and a home address, and a manager for each
 * ten. One in a hundred is deactivated. As many deleted ones as wanted follow them.
 */
export async function fillDirectory(
  { orgId, slug }: Pick<Idp, 'orgId' | 'slug'>,
  size: number,
  deleted = 0,
): Promise<void> {
  const id = (n: string) => `printf('00000000-0000-4000-8000-%012d', ${n})`;
  const userName = `printf('person-%d@${slug}.example', n)`;
  const at = 1_767_225_600_000;
  const resource = (fold: 'lower' | '', more = '') => `json_object(${more}
    'userName', ${userName}, 'externalId', printf('hr-%d', n), 'active', json(iif(n % 100 <> 0, 'true', 'false')),
    'name', json_object('givenName', ${fold}('Person'), 'familyName', ${fold}(printf('Number %d', n))),
    'displayName', ${fold}(printf('Person Number %d', n)), 'title', ${fold}('Engineer'),
    'emails', json_array(json_object('value', ${userName}, 'type', 'work', 'primary', json('true')),
      json_object('value', printf('home-%d@mail.example', n), 'type', 'home')),
    'phoneNumbers', json_array(json_object('value', printf('+1 555 %07d', n), 'type', 'work')),
    '${ENTERPRISE_USER}', json_object('employeeNumber', printf('%d', n),
      'department', ${fold}(printf('Department %d', n % 40)), 'manager', json_object('value', ${id('max(n / 10, 1)')})))`;
  const derived = `'schemas', json_array('${USER}', '${ENTERPRISE_USER}'), 'id', ${id('n')},
    'meta', json_object('resourceType', 'User', 'created', '2026-01-01T00:00:00.000Z',
      'lastModified', '2026-01-01T00:00:00.000Z', 'version', 'W/"1"'),`;
  await env.DB.batch([
    env.DB.prepare(`INSERT INTO users
        (org_id, id, user_name_key, external_id, active, version, created_at, modified_at, deleted_at, resource, folded)
      WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${size + deleted})
      SELECT '${orgId}', ${id('n')}, ${userName}, printf('hr-%d', n), n % 100 <> 0 AND n <= ${size}, 1, ${at}, ${at},
        iif(n > ${size}, ${at}, NULL), ${resource('')}, ${resource('lower', derived)} FROM numbers`),
    env.DB.prepare(`INSERT INTO user_emails (org_id, value_key, user_seq)
      SELECT users.org_id, json_extract(e.value, '$.value'), users.seq
      FROM users, json_each(users.folded, '$.emails') AS e WHERE users.org_id = '${orgId}' AND deleted_at IS NULL`),
    env.DB.prepare(`UPDATE orgs SET user_count = ${size},
      active_user_count = (SELECT sum(active) FROM users WHERE org_id = '${orgId}') WHERE id = '${orgId}'`),
  ]);
}
