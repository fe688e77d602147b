/** Orgs: created, shown, set, deleted, and SCIM switched on and off. */
import { type Context, Hono } from 'hono';
import * as z from 'zod/mini';
import { newOrgId } from '../../credentials/secret';
import { settings as settingsOf } from '../../env';
import type { Actor } from '../../events';
import { databasesFor, mayBeIn, suits } from '../../operator/residency';
import { detailsOf } from '../../provisioning/lifecycle';
import { removeWaiting } from '../../provisioning/removal';
import { invalidValue, ScimError } from '../../scim/error';
import { isSame, type JsonObject } from '../../scim/resource';
import { Taken, Unmet } from '../../store/d1/batch';
import { databaseNamed } from '../../store/d1/databases';
import { WHOLE_ORG } from '../../store/journal/outbox';
import { changeOrg, deleteOrg, insertOrg, listOrgs, signOutOrg, switchOrg } from '../../store/operations/orgs';
import { forgetOrg, Unplaceable } from '../../store/operations/shards';
import { isInPlan, outOfPlan, withContact } from '../../store/org/plan';
import { NAME, type OrgSettings } from '../../store/org/settings';
import { type App, actorOf, inBackground } from '../context';
import { orgFor } from '../org';
import { body, query } from '../validator';
import { by, confirmation, orgOf, pageAsked, pageOf, reason, scimBaseUrl, shownOrg, tellIncomplete } from './respond';
import { named, namesGroups, settingsAsked, shownSettings, unknownGroup } from './settings';
import { shardName } from './shards';

/** Okta forbids "_" anywhere in a base URL, and a slug stands in one. */
const SLUG = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;
export const slug = z
  .string('a string was expected')
  .check(
    z.maxLength(63, 'at most 63 characters are accepted'),
    z.regex(SLUG, 'small letters a-z, digits and single hyphens between them were expected'),
  );
export const orgs = new Hono<App>();

orgs.get('/', query(pageAsked(slug)), async (c) => {
  const page = c.req.valid('query');
  const { orgs, incomplete } = await listOrgs(c.env, page.after, page.limit);
  tellIncomplete(c, incomplete);
  return pageOf(
    c,
    page,
    orgs.map((tenant) => shownOrg(c, tenant)),
    orgs.at(-1)?.slug,
  );
});

const orgBody = z.strictObject({ slug, name: z.optional(NAME.schema), shard: z.optional(shardName) });

orgs.post('/', body(orgBody), async (c) => {
  const asked = c.req.valid('json');
  try {
    const org = { id: newOrgId(), slug: asked.slug, name: asked.name ?? asked.slug };
    const actor = actorOf(c, `admin:${c.var.by}`);
    if (asked.shard && databaseNamed(c.env)(asked.shard) && !mayBeIn(c.env, asked.shard, undefined))
      throw new Unplaceable(`${asked.shard} is in another region than new orgs`);
    const tenant = await insertOrg(c.env, org, actor, Date.now(), asked.shard ?? suits(c.env, undefined));
    await publishOrg(c, tenant.id, actor);
    return c.json(shownOrg(c, tenant), 201);
  } catch (error) {
    if (error instanceof Taken) throw new ScimError(409, undefined, `The org ${asked.slug} exists already`);
    if (error instanceof Unplaceable) throw invalidValue(`shard: ${error.message}`);
    throw error;
  }
});

/** Before the answer: hosts that ask KV refuse sessions of an org without a flag. What fails, the coordinator or the cron repeats. */
async function publishOrg(c: Context<App>, id: string, actor: Actor): Promise<void> {
  const { store, publish } = orgFor(c, { kind: 'id', id }, actor, scimBaseUrl(c));
  await store.verify();
  await publish(WHOLE_ORG);
}

orgs.get('/:slug', async (c) => c.json(shownOrg(c, await orgOf(c).store.verify())));

orgs.patch('/:slug', body(z.strictObject({ settings: z.record(z.string(), z.string()) })), async (c) => {
  const { store, actor } = orgOf(c);
  const change = settingsAsked(c.req.valid('json').settings);
  const { name, ...settings } = change;
  expectServed(c, settings.residency);
  if (settings.residency && databasesFor(c.env, settings.residency).length === 0)
    throw invalidValue('residency: no database is in this region. Bind one, and name it in DATABASE_RESIDENCY');
  const tenant = await store.verify();
  const was = { name: tenant.name, ...tenant.settings } as unknown as JsonObject;
  const is = Object.fromEntries(
    Object.entries({ ...was, ...change }).filter(([, value]) => value !== null),
  ) as JsonObject;
  // A group may be named in several ways: which one it is, the change itself finds out.
  if (!namesGroups(settings) && name !== null && isSame(was, is)) return c.json(shownOrg(c, tenant));
  const details = { ...detailsOf(named(was), named(is), new Set()), settings: shownSettings(change) };
  const happening = { type: 'org.changed', details } as const;
  try {
    const changed = await changeOrg(store, { settings, ...(name !== undefined && { name }) }, actor, happening);
    return c.json(shownOrg(c, changed));
  } catch (error) {
    const noGroup = error instanceof Unmet ? unknownGroup(error.expectation) : undefined;
    if (noGroup) throw noGroup;
    if (error instanceof Unmet && error.expectation === 'sso')
      throw new ScimError(409, undefined, 'SCIM is on, but SSO is required for that: run scim disable first');
    throw error;
  }
});

/** Where regions are told apart, one that no host serves would be a dead end for the identity provider. */
function expectServed(c: Context<App>, residency: string | null | undefined): void {
  const { region } = settingsOf(c.env);
  if (!residency || !region || residency === region.label || region.urls.has(residency)) return;
  const labels = new Set([region.label, ...region.urls.keys()]);
  throw invalidValue(`residency: a region that is served was expected: ${[...labels].join(', ')}`);
}

orgs.post('/:slug/scim', body(z.strictObject({ enabled: z.boolean('true or false was expected') })), async (c) => {
  const { store, actor } = orgOf(c);
  const { enabled } = c.req.valid('json');
  const tenant = await store.verify();
  // One whose SCIM is on, but not in its plan, must not hear that all is well.
  if (tenant.isScimEnabled === enabled && (!enabled || isInPlan(tenant.settings))) return c.json(shownOrg(c, tenant));
  const changed = { scimEnabled: { before: !enabled, after: enabled } };
  const happening = { type: enabled ? 'scim.enabled' : 'scim.disabled', details: { changed } } as const;
  try {
    return c.json(shownOrg(c, await changeOrg(store, { isScimEnabled: enabled }, actor, happening)));
  } catch (error) {
    if (!(error instanceof Unmet)) throw error;
    if (error.expectation === 'plan') throw new ScimError(409, undefined, outOfPlan(tenant.settings));
    if (error.expectation === 'sso') throw new ScimError(409, undefined, withoutSso(tenant.settings));
    throw error;
  }
});

/** Said to an operator who would let the identity provider in. */
export const withoutSso = (settings: OrgSettings): string =>
  withContact(
    'SCIM needs SSO in this org (ssoRequired), and SSO is not set up. Set it: org set sso=true, or the name of its connection.',
    settings,
  );

for (const verb of ['disable', 'enable'] as const) {
  orgs.post(`/:slug/${verb}`, body(z.strictObject({ by, reason })), async (c) => {
    const org = orgOf(c);
    const { by = c.var.by, reason } = c.req.valid('json');
    const tenant = await switchOrg(org.store, verb === 'disable', org.actor, { by, reason });
    // Also if nothing changed: the first answer may have said that it was not published.
    return c.json({ ...shownOrg(c, tenant), published: await org.publish(WHOLE_ORG) });
  });
}

/** Every session of the org issued until now is dead, as far as D1 is asked; `published`: for who asks KV, too. */
orgs.post('/:slug/sign-out', body(z.strictObject({ by })), async (c) => {
  const org = orgOf(c);
  const { by = c.var.by } = c.req.valid('json');
  const tenant = await signOutOrg(org.store, org.actor, { cause: 'operator', by });
  return c.json({ ...shownOrg(c, tenant), published: await org.publish(WHOLE_ORG) });
});

orgs.delete('/:slug', query(confirmation), async (c) => {
  const org = orgOf(c);
  const slug = c.req.param('slug');
  if (c.req.valid('query').confirm !== slug) {
    throw invalidValue(
      'confirm: the slug of the org was expected, because its users, tokens and journal are deleted too',
    );
  }
  const deleted = await deleteOrg(org.store);
  await org.publish(WHOLE_ORG);
  await forgetOrg(c.env, deleted.id);
  inBackground(c, removeWaiting(c.env));
  return c.json({ deleted: slug, id: deleted.id, users: deleted.users });
});
