/** What the IdP proves itself with: issued, rotated, listed by mask, revoked. The same for tokens, passwords and client secrets. */
import { type Context, Hono } from 'hono';
import * as z from 'zod';
import { DAY, parseDuration } from '../../credentials/duration';
import { MAX_GRACE, type Refused } from '../../credentials/rotation';
import { ScimError } from '../../scim/error';
import { type Credential, type Line, listCredentials } from '../../store/credentials';
import type { Tenant } from '../../store/open';
import { type App, actorOf } from '../context';
import { body, by, iso, orgOf } from './respond';

export const GRACE = 'a duration of at most 24h was expected: 0, 90s, 15m, 24h';
export const isGrace = (text: string) => (parseDuration(text) ?? Number.POSITIVE_INFINITY) <= MAX_GRACE;
/** Nothing breaks when the token is rotated and the IdP has a day to be told. */
const GRACE_DEFAULT = '24h';
const MAX_LIFE = 3_650 * DAY;
const LIFE = 'a duration of at most 3650d was expected: 90d, 12h';

const expires = z
  .string()
  .refine((text) => {
    const life = parseDuration(text);
    return life !== undefined && life > 0 && life <= MAX_LIFE;
  }, LIFE)
  .transform((text) => parseDuration(text)!)
  .optional();
const expectGeneration = z.number('a number was expected').int('a whole number was expected').positive().optional();
const issueBody = z.strictObject({ by, expires });
const rotateBody = z.strictObject({
  by,
  expires,
  expectGeneration,
  grace: z.string().refine(isGrace, GRACE).optional(),
  retireOnUse: z.boolean('true or false was expected').optional(),
});
const endBody = z.strictObject({ by, expectGeneration });

export interface Kind {
  line(c: Context<App>): Line;
  /** What its secret is called in an answer. */
  readonly secret: 'token' | 'password' | 'clientSecret';
  /** Of its commands. */
  readonly noun: string;
}

export function credentials({ line, secret: name, noun }: Kind): Hono<App> {
  const routes = new Hono<App>();
  /** The org's one line for credentials. */
  const lineOf = async (c: Context<App>) => {
    const tenant = await orgOf(c).store.verify();
    const actor = actorOf(c, `admin:${c.var.by}`);
    return { tenant, actor, coordinator: c.env.ORG_COORDINATOR.getByName(tenant.id), line: line(c) };
  };
  const refused = (tenant: Tenant, why: Refused) => refusalOf(tenant, why, noun);

  routes.get('/', async (c) => {
    const listed = await listCredentials(orgOf(c).store, line(c));
    return c.json(listed.map((one) => shownCredential(one, listed)));
  });

  routes.post('/', body(issueBody), async (c) => {
    const { tenant, actor, coordinator, line } = await lineOf(c);
    const { by = c.var.by, expires: validFor } = c.req.valid('json');
    const outcome = await coordinator.issue(line, { by, validFor }, actor);
    if (!outcome.ok) throw refused(tenant, outcome);
    return c.json({ [name]: outcome.secret, ...shownCredential(outcome.issued) }, 201);
  });

  routes.post('/rotate', body(rotateBody), async (c) => {
    const { tenant, actor, coordinator, line } = await lineOf(c);
    const { by = c.var.by, expires: validFor, expectGeneration: expected, ...asked } = c.req.valid('json');
    const grace = parseDuration(asked.grace ?? tenant.settings.graceDefault ?? GRACE_DEFAULT)!;
    const rotation = { by, validFor, expected, grace, retireOnUse: asked.retireOnUse };
    const outcome = await coordinator.rotate(line, rotation, actor);
    if (!outcome.ok) throw refused(tenant, outcome);
    const { secret, current, predecessor, killed } = outcome;
    return c.json(
      {
        [name]: secret,
        ...shownCredential(current),
        predecessor: shownCredential(predecessor),
        killed: killed ? shownCredential(killed) : null,
      },
      201,
    );
  });

  for (const verb of ['cancel', 'complete'] as const) {
    routes.post(`/${verb}`, body(endBody), async (c) => {
      const { tenant, actor, coordinator, line } = await lineOf(c);
      const { by = c.var.by, expectGeneration: expected } = c.req.valid('json');
      const outcome = await coordinator[verb](line, by, expected, actor);
      if (!outcome.ok) throw refused(tenant, outcome);
      return c.json({ ...shownCredential(outcome.current), dead: shownCredential(outcome.dead) });
    });
  }

  routes.delete('/', async (c) => {
    const { actor, coordinator, line } = await lineOf(c);
    const revoked = await coordinator.revoke(line, c.var.by, actor);
    return c.json({ revoked: revoked.length, [`${name}s`]: revoked.map((one) => shownCredential(one)) });
  });

  return routes;
}

function refusalOf({ slug }: Tenant, { why, current }: Refused, noun: string): ScimError {
  const conflict = (detail: string) => new ScimError(409, undefined, detail);
  const which = current ? ` (${current.mask}, generation ${current.generation})` : '';
  if (why === 'no_token') return conflict(`${slug} has one already${which}. "${noun} rotate" replaces it`);
  if (why === 'token') return conflict(`${slug} has none that could be replaced. "${noun} generate" makes one`);
  if (why === 'predecessor') return conflict(`${slug} has no rotation whose grace lasts${which}: nothing has changed`);
  const is = current
    ? `${current.currentBy} made generation ${current.generation} the current one at ${iso(current.currentSince)}`
    : 'there is none any more';
  return conflict(`Another generation was expected: ${is}. Nothing has changed`);
}

type State = 'current' | 'grace' | 'replaced' | 'expired' | 'revoked';

function stateOf({ revokedAt, replacedAt, graceUntil, validUntil }: Credential, now: number): State {
  const deaths: [State, number][] = [
    ['replaced', replacedAt === undefined ? Number.POSITIVE_INFINITY : graceUntil!],
    ['expired', validUntil ?? Number.POSITIVE_INFINITY],
    ['revoked', revokedAt ?? Number.POSITIVE_INFINITY],
  ];
  // What came first killed it; what a rotation killed was replaced, though it is marked as revoked, too.
  const [death, at] = deaths.reduce((first, one) => (one[1] < first[1] ? one : first));
  if (at <= now) return death;
  return replacedAt === undefined ? 'current' : 'grace';
}

/** @param line what else there is of its line: for the warnings. */
export const shownCredential = (credential: Credential, line: readonly Credential[] = []) => ({
  mask: credential.mask,
  generation: credential.generation,
  state: stateOf(credential, Date.now()),
  createdAt: iso(credential.createdAt),
  createdBy: credential.createdBy,
  validUntil: iso(credential.validUntil),
  graceUntil: iso(credential.graceUntil),
  replacedAt: iso(credential.replacedAt),
  replacedBy: credential.replacedBy ?? null,
  revokedAt: iso(credential.revokedAt),
  revokedBy: credential.revokedBy ?? null,
  lastUsedAt: iso(credential.lastUsedAt),
  lastUsedClient: credential.lastUsedClient ?? null,
  lastUsedAddress: credential.lastUsedAddress ?? null,
  warnings: warningsOf(credential, line),
});

/** Days before its expiry from which on it is warned of. */
const WARN_FROM = 20;

/** What whoever reads the list should know. */
function warningsOf(credential: Credential, all: readonly Credential[]): string[] {
  const now = Date.now();
  const state = stateOf(credential, now);
  const warnings: string[] = [];
  const { validUntil, replacedAt, lastUsedAt, lastUsedClient, lastUsedAddress } = credential;
  if (state === 'current' && validUntil !== undefined && validUntil - now <= WARN_FROM * DAY) {
    warnings.push(`expires in ${Math.ceil((validUntil - now) / DAY)} days: rotate it before`);
  }
  if (replacedAt !== undefined && lastUsedAt !== undefined && lastUsedAt > replacedAt) {
    const successor = all.find(({ generation }) => generation > credential.generation);
    const from = [lastUsedClient, lastUsedAddress].filter((part) => part !== undefined).join(', ') || 'unknown';
    warnings.push(
      `used ${Math.round((now - lastUsedAt) / 1_000)} s ago, after generation ${successor?.generation ?? '?'} had taken its place, from ${from}`,
    );
  }
  return warnings;
}
