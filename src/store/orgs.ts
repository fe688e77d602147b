/** Orgs: the administrator's side of the store. */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor, Happening } from '../events';
import { runBatch } from './batch';
import { count, record, recordAs } from './events';
import { expect } from './expect';
import { meant } from './groups';
import { OrgStore, type SettingsChange, type Tenant, tenantOf } from './open';
import { publishLater, WHOLE_ORG } from './outbox';

/** @throws Taken: the slug is another org's. */
export async function insertOrg(
  db: D1Database,
  org: { readonly id: string; readonly slug: string; readonly name: string },
  actor: Actor,
  now: number,
): Promise<Tenant> {
  const store = new OrgStore(db, { kind: 'id', id: org.id }, now);
  const [, , , rows] = await runBatch(db, [
    sql`INSERT INTO orgs (id, slug, name, created_at) VALUES (${org.id}, ${org.slug}, ${org.name}, ${now})`,
    count(store),
    record(store, actor, { type: 'org.created', details: {} }),
    sql`SELECT * FROM orgs WHERE id = ${org.id}`,
  ]);
  return tenantOf(rows![0]!);
}

/** All of them, by slug. */
export async function listOrgs(db: D1Database): Promise<Tenant[]> {
  const [rows] = await runBatch(db, [sql`SELECT * FROM orgs ORDER BY slug`]);
  return rows!.map(tenantOf);
}

export interface OrgChange {
  /** null: the slug. */
  readonly name?: string | null;
  /** A default group may be named by its displayName too. */
  readonly settings?: SettingsChange;
  readonly isScimEnabled?: boolean;
}

/**
 * Takes effect with the next request: nothing caches an org.
 *
 * @returns the org as it is now.
 * @throws Unmet `default_group`: there is no such group.
 */
export async function changeOrg(
  store: OrgStore,
  change: OrgChange,
  actor: Actor,
  happening: Happening,
): Promise<Tenant> {
  const group = change.settings?.defaultGroup ? meant(store, change.settings.defaultGroup, 'id') : undefined;
  /** Whatever the operator called the group, its id is kept. */
  const withGroup = (json: SQL, path: string) => (group ? sql`json_set(${json}, ${path}, ${group})` : json);
  const details = sql`${JSON.stringify({ ...happening.details, client: actor.client })}`;
  const sets: SQL[] = [];
  if (change.name !== undefined) sets.push(sql`name = ifnull(${change.name}, slug)`);
  if (change.settings) {
    // Merged in the database: two operators who set different things at once both have their way.
    const merged = sql`json_patch(settings, ${JSON.stringify(change.settings)})`;
    sets.push(sql`settings = ${withGroup(merged, '$.defaultGroup')}`);
  }
  if (change.isScimEnabled !== undefined) sets.push(sql`scim_enabled = ${change.isScimEnabled ? 1 : 0}`);
  const results = await store.write(
    ...(group ? [expect('default_group', sql`${group} IS NOT NULL`)] : []),
    sql`UPDATE orgs SET ${sql.join(sets, sql`, `)} WHERE id = ${store.org}`,
    count(store),
    recordAs(store, actor, happening, withGroup(details, '$.settings.defaultGroup')),
    sql`SELECT * FROM orgs WHERE id = ${store.org}`,
  );
  return tenantOf(results.at(-1)![0]!);
}

/**
 * The org and everything of it, journal included. What is left is the intent to publish that every session of it is
 * over. @returns how many users there were.
 */
export async function deleteOrg(store: OrgStore): Promise<{ readonly id: string; readonly users: number }> {
  const of = sql`WHERE org_id = ${store.org}`;
  await store.write(
    publishLater(store, WHOLE_ORG),
    sql`DELETE FROM memberships ${of}`,
    sql`DELETE FROM group_permissions ${of}`,
    sql`DELETE FROM groups ${of}`,
    sql`DELETE FROM user_emails ${of}`,
    sql`DELETE FROM users ${of}`,
    sql`DELETE FROM credentials ${of}`,
    sql`DELETE FROM oauth_clients ${of}`,
    sql`DELETE FROM grants ${of}`,
    sql`DELETE FROM approvals ${of}`,
    sql`DELETE FROM assertions ${of}`,
    sql`DELETE FROM refusals ${of}`,
    sql`DELETE FROM schemas ${of}`,
    sql`DELETE FROM events ${of}`,
    sql`DELETE FROM orgs WHERE id = ${store.org}`,
  );
  return { id: store.tenant.id, users: store.tenant.userCount };
}
