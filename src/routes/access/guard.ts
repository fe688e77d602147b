/**
 * What the APIs of the vendor's own programs share: the token that guards them, and how they refuse. An API is one value:
 * its bare routes are not exported, so it cannot be mounted without its guard by mistake.
 */
import { type Context, Hono } from 'hono';
import { createMiddleware } from 'hono/factory';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { hashOf } from '../../credentials/secret';
import { Misconfigured, settings } from '../../env';
import { notFound, ScimError, tooManyRequests, unavailable } from '../../scim/error';
import { Busy } from '../../store/d1/batch';
import { type App, addressOf, everyResponse } from '../context';
import { warnOnce } from '../warning';
import { failedTooOften, networkOf } from './rate-limits';

/** Which token opens an API. */
type Guardian = 'admin' | 'host';

/** The API behind its token. Where the token is not set, the API does not exist. */
export const guardedBy = (token: Guardian, routes: Hono<App>): Hono<App> =>
  new Hono<App>().use(guard(token), uncached).route('/', routes);

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
    if (token === undefined) throw notFound('Endpoint');
    if ('fault' in token) return refuse(token.fault, c);
    const authorization = c.req.header('Authorization');
    const given = /^Bearer\s+(\S+)$/i.exec(authorization ?? '')?.[1] ?? '';
    // Hashes have equal lengths, which timingSafeEqual needs, and hide that of the token.
    const [right, presented] = await Promise.all([hashOf(token.secret), hashOf(given)]);
    if (crypto.subtle.timingSafeEqual(bytes(right), bytes(presented))) {
      c.set('openedBy', right);
      return next();
    }
    // A client may send its token only after a 401 has asked for it.
    const seconds = authorization ? await failed(c, name) : undefined;
    if (seconds !== undefined) return refuse(tooManyRequests('Too many wrong tokens: try again later', seconds), c);
    return c.json({ error: 'unauthorized', detail: `The ${name} token is required as a bearer token` }, 401, {
      'WWW-Authenticate': `Bearer realm="${name}"`,
    });
  });

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
  if (error instanceof Busy) return unavailable('The directory is busy: try again in a moment', 2);
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
    console.error(JSON.stringify({ message: 'unexpected error', requestId: c.var.requestId, error: String(error) }));
    return c.json({ error: 'internal', detail: 'The service failed; the request id is in X-Request-Id' }, 500);
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
