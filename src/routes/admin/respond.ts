/** What the admin API shows, and what its questions have in common. */
import type { Context } from 'hono';
import * as z from 'zod/mini';
import { settings } from '../../env';
import { PLAIN_TEXT, PLAIN_TEXT_EXPECTED } from '../../plain-text';
import type { Org } from '../../provisioning/org';
import { invalidValue, printable, unavailable } from '../../scim/error';
import { type Search, searchFromUrl } from '../../scim/query';
import { firstWithoutOrg } from '../../store/credentials/host-tokens';
import { Unbound } from '../../store/d1/homes';
import { storageOf } from '../../store/directory/policy';
import { isInPlan } from '../../store/org/plan';
import type { SettingsChange } from '../../store/org/settings';
import { sizeText } from '../../store/org/size';
import type { Tenant } from '../../store/org/tenant';
import { knowsPublicUrl, publicUrl } from '../addresses';
import { type App, actorOf } from '../context';
import { iso, shownValidAfter } from '../instants';
import { orgFor } from '../org';
import { digits, pageSize } from '../validator';
import { shownSettings } from './settings';

/** The org that the path names; whether it exists, the first batch says. */
export function orgOf(c: Context<App>): Org {
  const slug = c.req.param('slug') ?? '';
  return orgFor(c, { kind: 'slug', slug }, actorOf(c, `admin:${c.var.by}`), scimBaseUrl(c));
}

/**
 * Of a list of orgs, one of which is not there, or is in a database that is missing.
 *
 * @returns what to throw: it names that org, for the operator has typed it.
 */
export async function noSuchOrg(c: Context<App>, orgs: readonly string[] = []): Promise<Error> {
  const missing = await firstWithoutOrg(c.env, orgs);
  if (missing?.binding !== undefined) return new Unbound(missing.binding, printable(missing.name));
  return missing
    ? invalidValue(`orgs: there is no org ${printable(missing.name)}`)
    : unavailable('One of these orgs is in a database that is foreign or does not answer (shard list)', 60);
}

/** PUBLIC_URL where the API has no address of its own; of an org that is served in another region, the one there. */
export function scimBaseUrl(c: Context<App>, { residency }: SettingsChange = {}): string {
  const there = residency ? settings(c.env).region?.urls.get(residency) : undefined;
  return `${there ?? publicUrl(c)}/scim/v2`;
}

/** The name that the journal records; absent: the operator's label. */
const WHO = 'the name that the journal records was expected, at most 100 characters, no control characters';
export const by = z.optional(
  z.string(WHO).check(z.trim(), z.minLength(1, WHO), z.maxLength(100, WHO), z.regex(PLAIN_TEXT, WHO)),
);

/** Why, for the journal. */
export const reason = z.optional(
  z
    .string('a reason was expected')
    .check(
      z.trim(),
      z.minLength(1, 'a reason was expected'),
      z.maxLength(200, 'at most 200 characters are accepted'),
      z.regex(PLAIN_TEXT, PLAIN_TEXT_EXPECTED),
    ),
);

export const shownOrg = (c: Context<App>, tenant: Tenant) => ({
  id: tenant.id,
  slug: tenant.slug,
  name: tenant.name,
  scimEnabled: tenant.isScimEnabled,
  disabledAt: iso(tenant.disabledAt),
  ...shownValidAfter(tenant.validAfter),
  scimBaseUrl: scimBaseUrl(c, tenant.settings),
  settings: shownSettings(tenant.settings),
  users: tenant.userCount,
  activeUsers: tenant.activeUserCount,
  storage: storageUsed(tenant),
  createdAt: iso(tenant.createdAt),
  notices: [...(knowsPublicUrl(c) ? [] : [NO_ADDRESS]), ...noticesOf(tenant)],
});

const NO_ADDRESS =
  'PUBLIC_URL: it is not set, so the address for identity providers is not known. Set it in wrangler.toml and deploy';

/** Bytes. */
export const storageUsed = ({ storedBytes, settings }: Tenant) => ({ used: storedBytes, limit: storageOf(settings) });

/** What an operator should know of how the settings meet the org as it is. */
function noticesOf({ slug, settings, isScimEnabled, isImporting, activeUserCount, storedBytes }: Tenant): string[] {
  const seats = settings['plan.seats'] ?? Number.POSITIVE_INFINITY;
  return [
    ...(isImporting
      ? [
          `Its import is not finished. Go on with org import ${slug} and the same file, or remove it with org delete ${slug}`,
        ]
      : []),
    ...(isScimEnabled && !isInPlan(settings)
      ? ['plan.scim: the identity provider is refused, although SCIM is on']
      : []),
    ...(activeUserCount > seats
      ? [
          `plan.seats: ${activeUserCount} users are active, and ${seats} are allowed. They stay active; no other user can become active`,
        ]
      : []),
    ...(storedBytes > storageOf(settings)
      ? [
          `plan.storage: ${sizeText(storedBytes)} are stored, and ${sizeText(storageOf(settings))} are allowed. Nothing can be added`,
        ]
      : []),
  ];
}

/** What is to be confirmed, once more; the handler compares. */
export const confirmation = z.strictObject({ confirm: z.optional(z.string()) });

/** What SCIM's lists are asked for (RFC 7644 §3.4.2, RFC 9865); what is shown of each is not the caller's choice here. */
const SEARCHED = new Set(['filter', 'sortby', 'sortorder', 'startindex', 'count', 'cursor']);

/** The query of a list of users or groups. @throws ScimError 400, also for a parameter that would change nothing. */
export function searchOf(c: Context<App>): Search {
  const parameters = new URL(c.req.url).searchParams;
  for (const name of parameters.keys()) {
    if (!SEARCHED.has(name.toLowerCase())) throw invalidValue(`${printable(name)} is not part of the question`);
  }
  return searchFromUrl(parameters);
}

/** Elements of a list that are answered at once, and as many as may be asked for. */
const MAX_PAGE = 200;

/** Which page of a list is asked for. */
export interface PageAsked {
  /** The last one of the page before; '' before the first. */
  readonly after: string;
  readonly limit: number;
}

/** `?after=…&limit=…`. @param key of an element. */
export const pageAsked = (key: z.ZodMiniType<string, string>) =>
  z.strictObject({
    after: z._default(z.union([z.literal(''), key], 'the last one of the last page was expected'), ''),
    limit: z._default(z.pipe(digits, pageSize(MAX_PAGE)), MAX_PAGE),
  });

/** Says in a header which databases the answer to a question lacks: lists stay lists. @param databases names of bindings. */
export function tellIncomplete(c: Context<App>, databases: readonly string[]): void {
  if (c.req.method === 'GET' && databases.length > 0) c.header('Incomplete-Databases', databases.join(', '));
}

/** A list as it is, and in `Link` where it goes on (RFC 8288): absent, this was the last page. */
export function pageOf(
  c: Context<App>,
  { limit }: PageAsked,
  list: readonly object[],
  last: string | undefined,
): Response {
  if (last !== undefined && list.length === limit) {
    const query = new URLSearchParams({ after: last, limit: String(limit) });
    c.header('Link', `<?${query}>; rel="next"`);
  }
  return c.json(list);
}
