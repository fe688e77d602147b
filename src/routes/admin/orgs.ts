/** Orgs: created, shown, set, deleted, and SCIM switched on and off. */
import { type Context, Hono } from 'hono';
import * as z from 'zod';
import { DAY, parseDuration } from '../../credentials/duration';
import { newOrgId } from '../../credentials/secret';
import { REGION_LABEL, settings as settingsOf } from '../../env';
import type { Actor } from '../../events';
import { detailsOf } from '../../provisioning/lifecycle';
import { removeWaiting } from '../../provisioning/removal';
import { domainKey } from '../../scim/address';
import { invalidValue, ScimError, shown } from '../../scim/error';
import { foldCase } from '../../scim/fold';
import { isObject, isSame, type Json, type JsonObject } from '../../scim/resource';
import { Taken, Unmet } from '../../store/d1/batch';
import { isInPlan, outOfPlan, withContact } from '../../store/directory/policy';
import { WHOLE_ORG } from '../../store/journal/outbox';
import { changeOrg, deleteOrg, insertOrg, listOrgs, signOutOrg, switchOrg } from '../../store/operations/orgs';
import { IDPS, type OrgSettings, RATES, type SettingsChange } from '../../store/org/open';
import { parseSize } from '../../store/org/size';
import { type App, actorOf, inBackground, orgFor } from '../context';
import { GRACE, isGrace } from './credentials';
import { body, by, orgOf, pageAsked, pageOf, reason, scimBaseUrl, shownOrg, shownSettings } from './respond';

/** Okta forbids "_" anywhere in a base URL, and a slug stands in one. */
const SLUG = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;
export const slug = z
  .string('a string was expected')
  .max(63, 'at most 63 characters are accepted')
  .regex(SLUG, 'small letters a-z, digits and single hyphens between them were expected');
export const name = z
  .string('a string was expected')
  .trim()
  .min(1, 'a name was expected')
  .max(200, 'at most 200 characters are accepted');

const role = z
  .string()
  .min(1, 'roles with commas between them were expected, or none')
  .max(100, 'at most 100 characters are accepted')
  .regex(/^\P{Cc}*$/u, 'text without control characters was expected');
const boolean = z.enum(['true', 'false'], 'true or false was expected').transform((text) => text === 'true');
const SSO = 'true, false or the name of a connection was expected';
const NO_GROUP = 'the id or displayName of a group of this org was expected, or none';
const NO_GROUPS = 'ids or displayNames of groups of this org were expected, with commas between them, or none';
const REGION = 'the label of a region was expected, such as us or eu';
const items = (list: string) => list.split(',').map((item) => item.trim());

const MAX_SIGN_OUT_GROUPS = 50;
const MAX_DOMAINS = 100;
const MAX_AGE = 3_650 * DAY;
const MIN_WINDOW = 60_000;
const MAX_WINDOW = 30 * DAY;
/** A smaller one is a mistyped unit; a database of D1 holds the other, for all its orgs. */
const MIN_STORAGE = 100_000;
const MAX_STORAGE = 10_000_000_000;
const STORAGE = 'a size from 100KB to 10GB was expected: 500MB, 5GB';
const WINDOW = 'a duration from 60s to 30d was expected: 15m, 1h, 1d';
const AGE = 'a duration of at most 3650d was expected: 90d, 365d';

function isBetween(text: string, least: number, most: number): boolean {
  const duration = parseDuration(text);
  return duration !== undefined && duration >= least && duration <= most;
}

const age = z.string().refine((text) => isBetween(text, 1_000, MAX_AGE), AGE);
const DOMAINS = 'domains with commas between them were expected: acme.com';
/** As DNS knows it, and as addresses are compared: `straße.example` is `xn--strae-oqa.example`. */
const domain = z
  .string()
  .max(253, 'at most 253 characters are accepted')
  .transform((text) => domainKey(text.replace(/^@/, '')) ?? '')
  .refine((text) => /^[^\s@,]+\.[^\s@,.]+$/.test(text), DOMAINS);

/** What `org set` takes: each with what it must be. */
const settable = z.strictObject({
  name,
  idp: z.enum(IDPS, `one of ${IDPS.join(', ')} was expected`),
  'plan.scim': boolean,
  'plan.seats': z
    .string()
    .regex(/^[1-9]\d{0,6}$/, 'a whole number from 1 to 9999999 was expected')
    .transform(Number),
  'plan.storage': z
    .string()
    .transform((text) => parseSize(text) ?? 0)
    .refine((bytes) => bytes >= MIN_STORAGE && bytes <= MAX_STORAGE, STORAGE),
  sso: z
    .string()
    .trim()
    .min(1, SSO)
    .max(100, 'at most 100 characters are accepted')
    .regex(/^\P{Cc}*$/u, 'text without control characters was expected')
    .transform((text) => (/^(?:true|false)$/i.test(text) ? text.toLowerCase() === 'true' : text)),
  ssoRequired: boolean,
  authentication: z.enum(['sso', 'password-setup'], 'sso or password-setup was expected'),
  supportContact: z.string().trim().min(1, 'a contact was expected').max(200, 'at most 200 characters are accepted'),
  defaultGroup: z.string().min(1, NO_GROUP),
  roles: z
    .string()
    .transform(items)
    .pipe(z.array(role).max(100, 'at most 100 are accepted'))
    .transform((values) =>
      [...new Map(values.map((value) => [foldCase(value), value]))].map(([key, value]) => ({ value, key })),
    ),
  linking: z.enum(['off', 'userName', 'email'], 'off, userName or email was expected'),
  restore: z.enum(['same-person', 'externalId', 'off'], 'same-person, externalId or off was expected'),
  uniqueExternalId: boolean,
  verifiedDomains: z
    .string()
    .transform(items)
    .pipe(z.array(domain).max(MAX_DOMAINS, `at most ${MAX_DOMAINS} are accepted`))
    .transform((domains) => [...new Set(domains)]),
  onDelete: z.enum(['deactivate', 'erase'], 'deactivate or erase was expected'),
  onDeactivate: z.enum(['deactivate', 'erase'], 'deactivate or erase was expected'),
  retainDeleted: age,
  retainEvents: age,
  'brake.deactivations': z
    .string()
    .regex(/^[1-9]\d{0,5}$/, 'a whole number from 1 to 999999 was expected')
    .transform(Number),
  'brake.percentage': z
    .string()
    .regex(/^(?:[1-9]\d?|100)%?$/, 'a whole number from 1 to 100 was expected')
    .transform((text) => Number.parseInt(text, 10)),
  'brake.window': z.string().refine((text) => isBetween(text, MIN_WINDOW, MAX_WINDOW), WINDOW),
  unknownMembers: z.enum(['skip', 'reject'], 'skip or reject was expected'),
  unknownAttributes: z.enum(['ignore', 'reject'], 'ignore or reject was expected'),
  residency: z.string().max(40, 'at most 40 characters are accepted').regex(REGION_LABEL, REGION),
  graceDefault: z.string().refine(isGrace, GRACE),
  rateLimit: z.enum(RATES.map(String), `${RATES.join(', ')} (requests a second) was expected`).transform(Number),
  signOutOnRename: boolean,
  signOutGroups: z
    .string()
    .transform(items)
    .pipe(
      z.array(z.string().min(1, NO_GROUPS)).max(MAX_SIGN_OUT_GROUPS, `at most ${MAX_SIGN_OUT_GROUPS} are accepted`),
    ),
});
/** As the value of any of them but `linking`, of which it could be read as either: back to its default. */
const RESET = 'none';
const isReset = (key: string, value: string) => value === RESET && key !== 'linking';

export const orgs = new Hono<App>();

orgs.get('/', async (c) => {
  const page = pageAsked(c, slug);
  const found = await listOrgs(c.env.DB, page.after, page.limit);
  return pageOf(
    c,
    page,
    found.map((tenant) => shownOrg(c, tenant)),
    found.at(-1)?.slug,
  );
});

orgs.post('/', body(z.strictObject({ slug, name: name.optional() })), async (c) => {
  const asked = c.req.valid('json');
  try {
    const org = { id: newOrgId(), slug: asked.slug, name: asked.name ?? asked.slug };
    const actor = actorOf(c, `admin:${c.var.by}`);
    const tenant = await insertOrg(c.env.DB, org, actor, Date.now());
    await publishOrg(c, tenant.id, actor);
    return c.json(shownOrg(c, tenant), 201);
  } catch (error) {
    if (error instanceof Taken) throw new ScimError(409, undefined, `There is an org ${asked.slug} already`);
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
  const change = changeAsked(c.req.valid('json').settings);
  const { name, ...settings } = change;
  expectServed(c, settings.residency);
  const tenant = await store.verify();
  const was = { name: tenant.name, ...tenant.settings } as unknown as JsonObject;
  const is = Object.fromEntries(
    Object.entries({ ...was, ...change }).filter(([, value]) => value !== null),
  ) as JsonObject;
  // A group may be named in several ways: which one it is, the change itself finds out.
  const namesGroups = settings.defaultGroup || settings.signOutGroups;
  if (!namesGroups && name !== null && isSame(was, is)) return c.json(shownOrg(c, tenant));
  const details = { ...detailsOf(was, is, new Set()), settings: shownSettings(change) };
  const happening = { type: 'org.changed', details } as const;
  try {
    const changed = await changeOrg(store, { settings, ...(name !== undefined && { name }) }, actor, happening);
    return c.json(shownOrg(c, changed));
  } catch (error) {
    if (error instanceof Unmet && error.expectation === 'default_group')
      throw invalidValue(`defaultGroup: ${NO_GROUP}`);
    if (error instanceof Unmet && error.expectation === 'sign_out_groups')
      throw invalidValue(`signOutGroups: ${NO_GROUPS}`);
    if (error instanceof Unmet && error.expectation === 'sso')
      throw new ScimError(
        409,
        undefined,
        'SCIM is on, and may not be where SSO is required and not set up: scim disable comes first',
      );
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

/** What `key=value …` comes to. @throws ScimError 400 naming the setting and what was expected. */
function changeAsked(asked: Record<string, string>): SettingsChange & { readonly name?: string | null } {
  const unknown = Object.keys(asked).find((key) => !Object.hasOwn(settable.shape, key));
  if (unknown !== undefined) {
    throw invalidValue(
      `There is no setting ${unknown.slice(0, 40)}; there are ${Object.keys(settable.shape).join(', ')}`,
    );
  }
  const given = Object.entries(asked).filter(([key, value]) => !isReset(key, value));
  const parsed = settable.partial().safeParse(Object.fromEntries(given));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalidValue(`${issue!.path.join('.')}: ${issue!.message}`);
  }
  const resets = Object.keys(asked).filter((key) => isReset(key, asked[key]!));
  return { ...parsed.data, ...Object.fromEntries(resets.map((key) => [key, null])) } as SettingsChange;
}

/**
 * Settings as an org keeps them, from elsewhere: right is what `org set` would have made of its own words for them.
 *
 * @throws ScimError 400 naming the setting.
 */
export function settingsKept(kept: Readonly<Record<string, Json>>): OrgSettings {
  const unknown = Object.keys(kept).find((key) => key === 'name' || !Object.hasOwn(settable.shape, key));
  if (unknown !== undefined) {
    throw invalidValue(`settings.${shown(unknown)}: there is no such setting here; a later version may have it`);
  }
  const words = Object.entries(kept).map(([key, value]) => [key, wordsFor(value)]);
  const parsed = settable.partial().safeParse(Object.fromEntries(words));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalidValue(`settings.${issue!.path.join('.')}: ${issue!.message}`);
  }
  const settings = parsed.data as unknown as JsonObject;
  const other = Object.keys(kept).find((key) => key !== 'verifiedDomains' && !isSame(settings[key], kept[key]));
  if (other !== undefined) throw invalidValue(`settings.${other}: it is not as an org keeps it`);
  // An older version has kept domains in another form.
  const { verifiedDomains } = parsed.data;
  return { ...kept, ...(verifiedDomains && { verifiedDomains }) } as OrgSettings;
}

const wordsFor = (value: Json): string =>
  Array.isArray(value)
    ? value.map((one) => (isObject(one) ? String(one['value']) : String(one))).join(',')
    : String(value);

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
    'SSO is required before SCIM can be enabled, and is not set up: org set sso=true, or the name of its connection.',
    settings,
  );

for (const verb of ['disable', 'enable'] as const) {
  orgs.post(`/:slug/${verb}`, body(z.strictObject({ by, reason })), async (c) => {
    const org = orgOf(c);
    const { by = c.var.by, reason } = c.req.valid('json');
    const tenant = await switchOrg(org.store, verb === 'disable', org.actor, { by, reason });
    // Also when it was so already: whoever repeats it may have heard that it was not published.
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

orgs.delete('/:slug', async (c) => {
  const org = orgOf(c);
  const slug = c.req.param('slug');
  if (c.req.query('confirm') !== slug) {
    throw invalidValue('confirm: the slug of the org was expected, for its users, tokens and journal go with it');
  }
  const deleted = await deleteOrg(org.store);
  await org.publish(WHOLE_ORG);
  inBackground(c, removeWaiting(c.env));
  return c.json({ deleted: slug, id: deleted.id, users: deleted.users });
});
