/** The extension schemas of one org. What an org has comes with its first batch (open.ts); here is how that changes. */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor, Happening } from '../events';
import type { Extension } from '../scim/schema/types';
import { count, record, recordAs } from './events';
import type { OrgStore } from './open';

/** Never the same again, in no org: whoever has seen another version has other schemas. */
export const changeVersion = (store: OrgStore): SQL =>
  sql`UPDATE orgs SET schema_version = iif(EXISTS (SELECT 1 FROM schemas WHERE org_id = orgs.id), ${crypto.randomUUID()}, '')
    WHERE id = ${store.org}`;

/** A new schema, or another one in the place of that with the same URN. One round trip. */
export async function putSchema(
  store: OrgStore,
  { resourceType, schema }: Extension,
  actor: Actor,
  happening: Happening,
): Promise<void> {
  await store.write(
    sql`INSERT INTO schemas (org_id, urn_key, resource_type, definition, added_at)
      SELECT ${store.org}, ${schema.id.toLowerCase()}, ${resourceType}, ${JSON.stringify(schema)}, ${store.now}
      WHERE true ON CONFLICT (org_id, urn_key) DO UPDATE SET definition = excluded.definition`,
    count(store),
    record(store, actor, happening),
    changeVersion(store),
  );
}

/**
 * The schema and every value of it, in one round trip whose cost is the org's size: what has such a value is another
 * version from now on. The event says how many resources had.
 */
export async function deleteSchema(
  store: OrgStore,
  { resourceType, schema }: Extension,
  actor: Actor,
): Promise<{ readonly changed: number }> {
  const urn = schema.id.toLowerCase();
  const path = `$."${schema.id}"`;
  const table = sql.raw(resourceType === 'User' ? 'users' : 'groups');
  const without = sql`json_remove(folded, ${path})`;
  const schemas = sql`json((SELECT json_group_array(value) FROM json_each(folded, '$.schemas') WHERE lower(value) <> ${urn}))`;
  const later = sql`max(modified_at, ${store.now})`;
  // Only users have meta in their folded form.
  const meta = sql`, '$.meta.version', 'W/"' || (version + 1) || '"',
    '$.meta.lastModified', strftime('%Y-%m-%dT%H:%M:%fZ', ${later} / 1000.0, 'unixepoch')`;
  const results = await store.write(
    sql`DELETE FROM schemas WHERE org_id = ${store.org} AND urn_key = ${urn}`,
    count(store),
    sql`UPDATE ${table} SET resource = json_remove(resource, ${path}), version = version + 1, modified_at = ${later},
        folded = json_set(${without}, '$.schemas', ${schemas}${resourceType === 'User' ? meta : sql``})
      WHERE org_id = ${store.org} AND json_type(resource, ${path}) IS NOT NULL`,
    recordAs(
      store,
      actor,
      { type: 'schema.removed', targetId: schema.id },
      sql`json_object('resourceType', ${resourceType}, 'schema', json(${JSON.stringify(schema)}), 'changed', changes(),
        'client', ${actor.client ?? null})`,
    ),
    sql`SELECT json_extract(details, '$.changed') AS changed FROM events
      WHERE org_id = ${store.org} AND seq = (SELECT event_seq FROM orgs WHERE id = ${store.org})`,
    changeVersion(store),
  );
  return { changed: results.at(-2)![0]!['changed'] as number };
}
