/** Orgs: the administrator's side of the store. */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor, Details, EventDraft } from '../../events';
import { foldCase } from '../../scim/fold';
import { runBatch, Taken, Unmet } from '../d1/batch';
import type { Databases } from '../d1/databases';
import { expect, expectOneChange } from '../d1/expect';
import { list } from '../d1/incomplete';
import { meant } from '../directory/groups';
import { expectInPlan, expectSso } from '../directory/policy';
import { removeLater } from '../directory/removal';
import { CLOCK, endAllSessions, only } from '../journal/end-sessions';
import { publishLater, WHOLE_ORG } from '../journal/outbox';
import { count, record, recordAs } from '../journal/record';
import { OrgStore } from '../org/open';
import type { SettingsChange } from '../org/settings';
import { type Tenant, tenantOf } from '../org/tenant';
import { HELD } from './retention';
import { type Asked, expectFreeSlug, placeFor } from './shards';

/**
 * @param asked the database that it goes to, or which ones will do.
 * @throws Taken: the slug is another org's. Unplaceable.
 */
export async function insertOrg(
  databases: Databases,
  org: { readonly id: string; readonly slug: string; readonly name: string },
  actor: Actor,
  now: number,
  asked: Asked,
): Promise<Tenant> {
  const db = await placeFor(databases, org, asked, now);
  const store = new OrgStore(db, { kind: 'id', id: org.id }, now);
  try {
    const results = await runBatch(
      db,
      [
        ...expectFreeSlug(databases, db, org),
        sql`INSERT INTO orgs (id, slug, name, created_at) VALUES (${org.id}, ${org.slug}, ${org.name}, ${now})`,
        count(store),
        record(store, actor, { type: 'org.created', details: {} }),
        // An org without a flag is unknown to hosts that ask KV.
        publishLater(store, only(WHOLE_ORG)),
        sql`SELECT * FROM orgs WHERE id = ${org.id}`,
      ],
      sql`${org.id}`,
    );
    return tenantOf(results.at(-1)![0]!);
  } catch (error) {
    throw error instanceof Unmet && error.expectation === 'slug' ? new Taken('orgs.slug') : error;
  }
}

/** A page of them, by slug. @param after the last slug of the page before, or ''. */
export async function listOrgs(
  databases: Databases,
  after: string,
  limit: number,
): Promise<{ readonly orgs: readonly Tenant[]; readonly incomplete: readonly string[] }> {
  const page = sql`SELECT * FROM orgs WHERE slug > ${after} ORDER BY slug LIMIT ${limit}`;
  const { answers, incomplete } = await list(databases, (db) => runBatch(db, [page]));
  const orgs = answers.flatMap(([rows]) => rows!.map(tenantOf));
  return { orgs: orgs.sort((a, b) => (a.slug < b.slug ? -1 : 1)).slice(0, limit), incomplete };
}

export interface OrgChange {
  /** null: the slug. */
  readonly name?: string | null;
  /** Groups may be named by their displayNames too. */
  readonly settings?: SettingsChange;
  readonly isScimEnabled?: boolean;
}

/**
 * Takes effect with the next request: nothing caches an org.
 *
 * @returns the org as it is now.
 * @throws Unmet `default_group`, `sign_out_groups`: there is no such group. Unmet `plan`: SCIM would be on, and is not part
 *   of the plan. Unmet `sso`: SCIM would be on, and the SSO that the org requires is not there.
 */
export async function changeOrg(
  store: OrgStore,
  change: OrgChange,
  actor: Actor,
  happening: EventDraft,
): Promise<Tenant> {
  const { defaultGroup, signOutGroups, sso, ssoRequired } = change.settings ?? {};
  const group = defaultGroup ? meant(store, defaultGroup, 'id') : undefined;
  const groups = signOutGroups ? meantGroups(store, signOutGroups) : undefined;
  /** Whatever the operator called a group, its id is kept. */
  const withGroups = (json: SQL, path: string) => {
    const withDefault = group ? sql`json_set(${json}, ${`${path}.defaultGroup`}, ${group})` : json;
    return groups
      ? sql`json_set(${withDefault}, ${`${path}.signOutGroups`}, (SELECT json_group_array(DISTINCT id) FROM (${groups})))`
      : withDefault;
  };
  const details = sql`${JSON.stringify({ ...happening.details, client: actor.client })}`;
  const sets: SQL[] = [];
  if (change.name !== undefined) sets.push(sql`name = ifnull(${change.name}, slug)`);
  if (change.settings) {
    // Merged in the database: two operators who set different things at once both have their way.
    const merged = sql`json_patch(settings, ${JSON.stringify(change.settings)})`;
    sets.push(sql`settings = ${withGroups(merged, '$')}`);
    // By another age something may be due at once, but not while the org is moved.
    if (change.settings.retainDeleted !== undefined || change.settings.retainEvents !== undefined)
      sets.push(sql`retained_at = iif(retained_at < ${HELD}, 0, retained_at)`);
  }
  if (change.isScimEnabled !== undefined) sets.push(sql`scim_enabled = ${change.isScimEnabled ? 1 : 0}`);
  const results = await store.write(
    ...(group ? [expect('default_group', sql`${group} IS NOT NULL`)] : []),
    ...(groups ? [expect('sign_out_groups', sql`NOT EXISTS (SELECT 1 FROM (${groups}) WHERE id IS NULL)`)] : []),
    ...(change.isScimEnabled ? [expectInPlan(store)] : []),
    sql`UPDATE orgs SET ${sql.join(sets, sql`, `)} WHERE id = ${store.org}`,
    ...(change.isScimEnabled || sso !== undefined || ssoRequired !== undefined ? [expectSso(store)] : []),
    count(store),
    recordAs(store, actor, happening, withGroups(details, '$.settings')),
    sql`SELECT * FROM orgs WHERE id = ${store.org}`,
  );
  return tenantOf(results.at(-1)![0]!);
}

/** The id of each, or NULL where no group of the org has this id or displayName. */
function meantGroups(store: OrgStore, idsOrDisplayNames: readonly string[]): SQL {
  const asked = JSON.stringify(idsOrDisplayNames.map((name) => ({ name, key: foldCase(name) })));
  const one = sql`SELECT id FROM groups WHERE org_id = ${store.org}`;
  return sql`SELECT ifnull((${one} AND id = asked.value ->> 'name'),
    (${one} AND display_name_key = asked.value ->> 'key')) AS id FROM json_each(${asked}) AS asked`;
}

/** Ends all sessions of the org issued until now. @returns the org as it is now. */
export async function signOutOrg(store: OrgStore, actor: Actor, details: Details): Promise<Tenant> {
  const results = await store.write(
    count(store),
    record(store, actor, { type: 'org.signed_out', details, publishes: true }),
    ...endAllSessions(store, actor),
    sql`SELECT * FROM orgs WHERE id = ${store.org}`,
  );
  return tenantOf(results.at(-1)![0]!);
}

/**
 * The vendor's switch, from the next request on. Switched off, nobody of the org may be signed in, and its IdP is refused
 * (open.ts), though its credentials stay. Switched on again, the sessions from before stay dead.
 *
 * @returns the org as it is now, also when it was so already: then nothing has changed.
 */
export async function switchOrg(store: OrgStore, isDisabled: boolean, actor: Actor, details: Details): Promise<Tenant> {
  const [at, was] = isDisabled ? [sql`${store.now}`, sql`IS NULL`] : [sql`NULL`, sql`IS NOT NULL`];
  try {
    const results = await store.write(
      sql`UPDATE orgs SET disabled_at = ${at} WHERE id = ${store.org} AND disabled_at ${was}`,
      expectOneChange('switched'),
      count(store),
      record(store, actor, { type: isDisabled ? 'org.disabled' : 'org.enabled', details, publishes: true }),
      ...(isDisabled ? endAllSessions(store, actor) : [publishLater(store, only(WHOLE_ORG))]),
      sql`SELECT * FROM orgs WHERE id = ${store.org}`,
    );
    return tenantOf(results.at(-1)![0]!);
  } catch (error) {
    if (!(error instanceof Unmet) || error.expectation !== 'switched') throw error;
    return store.verify();
  }
}

/**
 * The org is gone with this batch: nothing finds it any more, its slug is free, and what is left of it is the intent to
 * publish that every session of it is over. Its rows, the journal included, are removed in chunks (removal.ts).
 *
 * @returns how many users there were.
 */
export async function deleteOrg(asked: OrgStore): Promise<{ readonly id: string; readonly users: number }> {
  const store = asked.forImports('too');
  await store.write(
    // For a later import of the same org. A half imported org never had a session.
    sql`INSERT INTO deleted_orgs (org_id, deleted_at) SELECT id, max(${store.now}, ${CLOCK}) FROM orgs
      WHERE id = ${store.org} AND importing IS NULL
      ON CONFLICT (org_id) DO UPDATE SET deleted_at = max(deleted_at, excluded.deleted_at)`,
    publishLater(store, only(WHOLE_ORG)),
    // What was being removed of it goes with all the rest.
    sql`DELETE FROM removals WHERE org_id = ${store.org}`,
    removeLater(store, 'org'),
    sql`DELETE FROM orgs WHERE id = ${store.org}`,
  );
  return { id: store.tenant.id, users: store.tenant.userCount };
}
