/** The extension schemas of one org. What an org has is part of its profile (org/profile.ts); here is how that changes. */
import { sql } from 'drizzle-orm';
import type { Actor, EventDraft } from '../../events';
import type { Extension } from '../../scim/schema/types';
import { expect } from '../d1/expect';
import { count, record, recordAs } from '../journal/record';
import type { OrgStore } from '../org/open';
import { beginClearing, isRemoving } from './removal';

/**
 * A new schema, or another one in the place of that with the same URN. One round trip.
 *
 * @throws Unmet `removal`: values of an earlier one with this URN are still being removed.
 */
export async function putSchema(
  store: OrgStore,
  { resourceType, schema }: Extension,
  actor: Actor,
  happening: EventDraft,
): Promise<void> {
  await store.write(
    expect(
      'removal',
      sql`NOT EXISTS (SELECT 1 FROM removals WHERE org_id = ${store.org} AND kind = 'schema'
        AND lower(target) = ${schema.id.toLowerCase()})`,
    ),
    sql`INSERT INTO schemas (org_id, urn_key, resource_type, definition, added_at)
      SELECT ${store.org}, ${schema.id.toLowerCase()}, ${resourceType}, ${JSON.stringify(schema)}, ${store.now}
      WHERE true ON CONFLICT (org_id, urn_key) DO UPDATE SET definition = excluded.definition`,
    count(store),
    record(store, actor, happening),
  );
}

/**
 * The schema goes at once, and with it the values of a first chunk of resources: each of them is another version from
 * now on. Where there are more, they follow in chunks (removal.ts), and no request sees them meanwhile. One round trip.
 *
 * @returns how many resources had a value so far, and whether there are more to look through.
 */
export async function deleteSchema(
  store: OrgStore,
  { resourceType, schema }: Extension,
  actor: Actor,
): Promise<{ readonly changed: number; readonly isRemoving: boolean }> {
  const [clear, later] = beginClearing(store, resourceType, schema.id);
  const results = await store.write(
    sql`DELETE FROM schemas WHERE org_id = ${store.org} AND urn_key = ${schema.id.toLowerCase()}`,
    count(store),
    clear,
    recordAs(
      store,
      actor,
      { type: 'schema.removed', targetId: schema.id },
      sql`json_object('resourceType', ${resourceType}, 'schema', json(${JSON.stringify(schema)}), 'changed', changes(),
        'client', ${actor.client ?? null})`,
    ),
    later,
    sql`SELECT json_extract(details, '$.changed') AS changed, ${isRemoving(store.org, 'schema', schema.id)} AS removing
      FROM events WHERE org_id = ${store.org} AND seq = (SELECT event_seq FROM orgs WHERE id = ${store.org})`,
  );
  const row = results.at(-1)![0]!;
  return { changed: row['changed'] as number, isRemoving: row['removing'] === 1 };
}
