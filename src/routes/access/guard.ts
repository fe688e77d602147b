/**
 * What the APIs of the vendor's own programs share: the token that guards them, and how they refuse. An API is one value:
 * its bare routes are not exported, so it cannot be mounted without its guard by mistake.
 */
import { type Context, Hono, type Next } from 'hono';
import { createMiddleware } from 'hono/factory';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { hashOf, recognise } from '../../credentials/secret';
import { Misconfigured, settings } from '../../env';
import { notFound, ScimError, tooManyRequests, unavailable } from '../../scim/error';
import { isHostTokenGood } from '../../store/credentials/host-tokens';
import { Busy } from '../../store/d1/batch';
import { type App, addressOf, everyResponse } from '../context';
import { logUnexpected, SERVICE_FAILED } from '../unexpected';
import { warnOnce } from '../warning';
import { becomeSeen, becomeUnknown, failedTooOften, networkOf, strangerTooOften } from './rate-limits';

/** Which token opens an API. */
type Guardian = 'admin' | 'host';

/** The API behind its token. Where the token is not set, the API does not exist. */
export const guardedBy = (token: Guardian, routes: Hono<App>): Hono<App> =>
  new Hono<App>().use(uncached, guard(token)).route('/', routes);

/**
 * The API for those who are let in by other means: a service binding reaches it, and no address of the Internet does.
 *
 * @param path under which the routes are.
 */
export const unguardedForBindings = (path: string, routes: Hono<App>): Hono<App> =>
  new Hono<App>({ strict: false })
    .use(everyResponse, uncached, overBinding)
    .route(path, routes)
    .notFound((c) => refuse(notFound('Endpoint'), c));

const overBinding = createMiddleware<App>(async (c, next) => {
  c.set('isBinding', true);
  await next();
});

/** Answers hold secrets, exports and people: no cache may keep one. */
const uncached = createMiddleware<App>(async (c, next) => {
  await next();
  c.res.headers.set('Cache-Control', 'no-store');
});

/** The token is compared in constant time. A wrong one is counted for its address and logged; the right one never waits. */
const guard = (name: Guardian) =>
  createMiddleware<App>(async (c, next) => {
    const token = settings(c.env)[`${name}Token`];
    const authorization = c.req.header('Authorization');
    const given = /^Bearer\s+(\S+)$/i.exec(authorization ?? '')?.[1] ?? '';
    const presented = await hashOf(given);
    if (name === 'host' && (await isHostToken(given))) {
      const { isGood, wait } = await withOwnToken(c, presented, next);
      if (isGood) return;
      // In the place of what there is already, headers included: an answer that is returned now would be passed over.
      c.res = undefined;
      c.res = refusedBy(c, name, wait);
      return;
    }
    if (token === undefined) throw notFound('Endpoint');
    if ('fault' in token) return refuse(token.fault, c);
    // Hashes have equal lengths, which timingSafeEqual needs, and hide that of the token.
    const right = await hashOf(token.secret);
    if (crypto.subtle.timingSafeEqual(bytes(right), bytes(presented))) {
      c.set('openedBy', right);
      return next();
    }
    // A client may send its token only after a 401 has asked for it.
    const seconds = authorization ? await failed(c, name) : undefined;
    return refusedBy(c, name, seconds);
  });

/** The same for every token that is no good. @param seconds to wait, when too many requests from there have failed. */
function refusedBy(c: Context<App>, name: Guardian, seconds: number | undefined): Response {
  if (seconds !== undefined) return refuse(tooManyRequests('Too many wrong tokens: try again later', seconds), c);
  return c.json({ error: 'unauthorized', detail: `The ${name} token is required as a bearer token` }, 401, {
    'WWW-Authenticate': `Bearer realm="${name}"`,
  });
}

/** Whether the text can be a token that an application was given (`hosts add`). */
async function isHostToken(text: string): Promise<boolean> {
  const secret = await recognise(text);
  return secret.ok && secret.kind === 'host';
}

/**
 * The token is checked in the batch of the question, so no moment lies between. An answer that needed no batch (another
 * path, a question that cannot be understood) leaves after a check of its own.
 *
 * @returns `wait`: seconds, when too many requests from there have failed.
 */
async function withOwnToken(
  c: Context<App>,
  hash: string,
  next: Next,
): Promise<{ readonly isGood: boolean; readonly wait?: number }> {
  // Forged ones must not cost a look into the database each.
  const isKnown = knownHosts.has(hash);
  const wait = isKnown ? undefined : await strangerTooOften(c, hash);
  if (wait !== undefined) return { isGood: false, wait };
  c.set('openedBy', hash);
  c.set('limitedToken', hash);
  await next();
  const isRefused = c.res.status >= 400 && c.res.status < 500;
  const isGood = c.res.status !== 401 && (!isRefused || (await isHostTokenGood(c.env, hash, Date.now())));
  if (!isGood) {
    knownHosts.delete(hash);
    becomeUnknown(c, hash);
  } else if (!isKnown && c.res.status < 500) {
    knownHosts.add(hash);
    becomeSeen(c, hash);
  }
  return { isGood };
}

/** Tokens that were good in this isolate: they never wait for strangers of the same address. As many as there are applications. */
export const knownHosts = new Set<string>();

const bytes = (text: string) => new TextEncoder().encode(text);

/** @returns seconds to wait, when too many requests from there have failed. */
function failed(c: Context<App>, api: Guardian): Promise<number | undefined> {
  const address = networkOf(addressOf(c)) ?? 'unknown';
  warnOnce(`${api} ${address}`, {
    message: 'a request with a wrong token was refused; others from this address within a minute are not logged',
    api,
    address,
    requestId: c.var.requestId,
  });
  return failedTooOften(c);
}

/** A word for programs and a sentence for people. */
export interface Refusal {
  readonly error: string;
  readonly detail: string;
}

/** The message of an error; undefined if it must not leave the service. */
export function known(error: unknown): ScimError | undefined {
  if (error instanceof ScimError) return error;
  if (error instanceof Busy) return unavailable(error.told, error.retryAfter);
  return error instanceof Misconfigured ? misconfigured(error) : undefined;
}

/** Says it in the log, too. The message names a variable, and not its value. */
export function misconfigured({ message: why }: Misconfigured): ScimError {
  warnOnce(why, { message: 'the service is not set up correctly', why });
  return unavailable(`The service is not set up correctly. ${why}`, 60);
}

export const refusalOf = ({ status, scimType, detail }: ScimError): Refusal => ({
  error: scimType ?? codes[status] ?? 'refused',
  detail,
});

/** For `onError` of such an API. */
export function refuse(error: Error, c: Context<App>): Response {
  const refused = known(error);
  if (refused === undefined) {
    logUnexpected(c, error);
    return c.json({ error: 'internal', detail: SERVICE_FAILED }, 500);
  }
  return c.json(refusalOf(refused), refused.status as ContentfulStatusCode, { ...refused.headers });
}

const codes: Record<number, string> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  409: 'conflict',
  413: 'too_large',
  415: 'unsupported_media_type',
  426: 'upgrade_required',
  429: 'too_many_requests',
  503: 'busy',
  504: 'unconfirmed',
};
