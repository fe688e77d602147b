/** What the IdP proves itself with: issued, rotated, listed by mask, revoked. The same for tokens, passwords and client secrets. */
import { type Context, Hono } from 'hono';
import * as z from 'zod/mini';
import { coordinatorOf } from '../../coordinator-stub';
import type { Refused } from '../../credentials/rotation';
import { stateOf } from '../../credentials/state';
import { DAY, parseDuration } from '../../duration';
import { ScimError } from '../../scim/error';
import { type Credential, type Line, listCredentials } from '../../store/credentials/credentials';
import { halfImported } from '../../store/org/refusals';
import { SETTINGS, settingOf } from '../../store/org/settings';
import type { Tenant } from '../../store/org/tenant';
import { type App, actorOf } from '../context';
import { iso } from '../instants';
import { body, query } from '../validator';
import { by, orgOf } from './respond';

const MAX_LIFE = 3_650 * DAY;
const LIFE = 'a duration of at most 3650d was expected: 90d, 12h';

export const expires = z.optional(
  z.pipe(
    z.string(LIFE).check(
      z.refine((text) => {
        const life = parseDuration(text);
        return life !== undefined && life > 0 && life <= MAX_LIFE;
      }, LIFE),
    ),
    z.transform((text) => parseDuration(text)!),
  ),
);
const GENERATION = 'the number of a generation was expected: 1, 2, …';
const expectGeneration = z.optional(z.number(GENERATION).check(z.int(GENERATION), z.positive(GENERATION)));
const issueBody = z.strictObject({ by, expires });
const rotateBody = z.strictObject({
  by,
  expires,
  expectGeneration,
  grace: z.optional(SETTINGS.graceDefault.schema),
  retireOnUse: z.optional(z.boolean('true or false was expected')),
});
const endBody = z.strictObject({ by, expectGeneration });

export interface Kind {
  line(c: Context<App>): Line;
  /** What its secret is called in an answer. */
  readonly secret: keyof typeof WORDS;
  /** Of its commands. */
  readonly noun: string;
}

const WORDS = { token: 'token', password: 'password', clientSecret: 'client secret' } as const;

export function credentials(kind: Kind): Hono<App> {
  const { line, secret: name } = kind;
  const routes = new Hono<App>();
  /** The org's one line for credentials. */
  const lineOf = async (c: Context<App>) => {
    const tenant = await orgOf(c).store.verify();
    if (tenant.isImporting) throw halfImported(tenant.slug); // said by the coordinator, it would be a riddle
    const actor = actorOf(c, `admin:${c.var.by}`);
    return { tenant, actor, coordinator: coordinatorOf(c.env, tenant.id), line: line(c) };
  };
  /** RFC 7617 has two halves: the operator needs both. */
  const userNameOf = ({ slug }: Tenant) => (name === 'password' ? { userName: slug } : {});
  /** A repeated rotation would revoke the token that the IdP still uses, so the answer does not say «try again». */
  const answered = async <P extends Promise<unknown>>(c: Context<App>, work: P): Promise<Awaited<P>> => {
    try {
      return await work;
    } catch (error) {
      const message = 'the coordinator has not confirmed a change of credentials';
      console.error(JSON.stringify({ message, requestId: c.var.requestId, error: String(error) }));
      throw new ScimError(
        504,
        undefined,
        `It is unknown whether this was done: check with "${kind.noun} ${name === 'password' ? 'show' : 'list'}"`,
      );
    }
  };

  routes.get('/', async (c) => {
    const listed = await listCredentials(orgOf(c).store, line(c));
    return c.json(listed.map((one) => shownCredential(one, listed)));
  });

  routes.post('/', body(issueBody), async (c) => {
    const { tenant, actor, coordinator, line } = await lineOf(c);
    const { by = c.var.by, expires: validFor } = c.req.valid('json');
    const outcome = await answered(c, coordinator.issue(line, { by, validFor }, actor));
    if (!outcome.ok) throw refusalOf(tenant, kind, outcome);
    return c.json({ ...userNameOf(tenant), [name]: outcome.secret, ...shownCredential(outcome.issued) }, 201);
  });

  routes.post('/rotate', body(rotateBody), async (c) => {
    const { tenant, actor, coordinator, line } = await lineOf(c);
    const { by = c.var.by, expires: validFor, expectGeneration: expected, ...asked } = c.req.valid('json');
    const grace = parseDuration(asked.grace ?? settingOf(tenant.settings, 'graceDefault'))!;
    const rotation = { by, validFor, expected, grace, retireOnUse: asked.retireOnUse };
    const outcome = await answered(c, coordinator.rotate(line, rotation, actor));
    if (!outcome.ok) throw refusalOf(tenant, kind, outcome, expected);
    const { secret, current, predecessor, killed } = outcome;
    return c.json(
      {
        ...userNameOf(tenant),
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
      const outcome = await answered(c, coordinator[verb](line, by, expected, actor));
      if (!outcome.ok) throw refusalOf(tenant, kind, outcome, expected);
      return c.json({ ...shownCredential(outcome.current), dead: shownCredential(outcome.dead) });
    });
  }

  // In the query, for several clients cannot send a body with a DELETE.
  routes.delete('/', query(z.strictObject({ by })), async (c) => {
    const { by = c.var.by } = c.req.valid('query');
    const { actor, coordinator, line } = await lineOf(c);
    const revoked = await answered(c, coordinator.revoke(line, by, actor));
    revoked.sort((a, b) => b.generation - a.generation); // as in the list
    return c.json({ revoked: revoked.length, [`${name}s`]: revoked.map((one) => shownCredential(one)) });
  });

  return routes;
}

/** What kept the operator's request from being done, who did that and when: enough to decide what to do now. */
function refusalOf(
  { slug }: Tenant,
  { secret, noun }: Kind,
  { why, current }: Refused,
  expected?: number | undefined,
): ScimError {
  const conflict = (detail: string) => new ScimError(409, undefined, `${detail}. Nothing has changed`);
  const word = WORDS[secret];
  const which = current ? `${current.mask}, generation ${current.generation}` : 'none';
  if (why === 'no_token') return conflict(`${slug} has a ${word} already (${which}): replace it with "${noun} rotate"`);
  if (why === 'token') return conflict(`${slug} has no ${word} to replace: make one with "${noun} generate"`);
  if (why === 'predecessor') return conflict(`${slug} has no ${word} in its grace period. The current one is ${which}`);
  const is = current
    ? `${current.currentBy} made generation ${current.generation} the current one at ${iso(current.currentSince)}`
    : 'none is current';
  return conflict(`Generation ${expected} was expected, but ${is}`);
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

/** Warnings for the reader of the list. */
function warningsOf(credential: Credential, all: readonly Credential[]): string[] {
  const now = Date.now();
  const state = stateOf(credential, now);
  const warnings: string[] = [];
  const { validUntil, replacedAt, lastUsedAt, lastUsedClient, lastUsedAddress } = credential;
  if (state === 'current' && validUntil !== undefined && validUntil - now <= WARN_FROM * DAY) {
    warnings.push(`expires in ${Math.ceil((validUntil - now) / DAY)} days: rotate it before then`);
  }
  // Older ones need no warning: nothing can be done about them.
  const successor = all.find(
    (one) => one.createdAt === replacedAt && one.replacedAt === undefined && one.revokedAt === undefined,
  );
  if (successor && lastUsedAt !== undefined && lastUsedAt > successor.createdAt) {
    const from = [lastUsedClient, lastUsedAddress].filter((part) => part !== undefined).join(', ') || 'unknown';
    warnings.push(
      `was used ${durationText(now - lastUsedAt)} ago from ${from}, although generation ${successor.generation} has replaced it`,
    );
  }
  return warnings;
}

/** A duration for people, in its largest whole unit. */
function durationText(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1_000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}
