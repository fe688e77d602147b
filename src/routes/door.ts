/** What the doors of the vendor's own programs share: the secret that opens them, and how they say no. */
import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { hashOf } from '../credentials/secret';
import { type Settings, settings } from '../env';
import { invalidSyntax, notFound, ScimError, unavailable } from '../scim/error';
import { Busy } from '../store/batch';
import type { App } from './context';

/** Where the secret is not set, the path does not exist; where it is, it is compared in constant time. */
export const guard = (door: 'admin' | 'host', tokenOf: (settings: Settings) => string | undefined) =>
  createMiddleware<App>(async (c, next) => {
    const token = tokenOf(settings(c.env));
    if (token === undefined) throw notFound('Endpoint');
    const given = /^Bearer\s+(\S+)$/i.exec(c.req.header('Authorization') ?? '')?.[1] ?? '';
    // Hashes have equal lengths, which timingSafeEqual needs, and hide that of the token.
    const [right, presented] = await Promise.all([hashOf(token), hashOf(given)]);
    if (!crypto.subtle.timingSafeEqual(bytes(right), bytes(presented))) {
      return c.json({ error: 'unauthorized', detail: `The ${door} token is required as a bearer token` }, 401, {
        'WWW-Authenticate': `Bearer realm="${door}"`,
      });
    }
    c.set('openedBy', right);
    return next();
  });

const bytes = (text: string) => new TextEncoder().encode(text);

/** A word for programs and a sentence for people. */
export interface Refusal {
  readonly error: string;
  readonly detail: string;
}

/** What an error says of itself; undefined when nobody may hear it. */
export function known(error: unknown): ScimError | undefined {
  if (error instanceof ScimError) return error;
  if (error instanceof Busy) return unavailable('The directory is busy: try again in a moment', 2);
  // Hono's validator, of a body that is no JSON.
  return error instanceof HTTPException ? invalidSyntax('The body is not valid JSON') : undefined;
}

export const refusalOf = ({ status, scimType, detail }: ScimError): Refusal => ({
  error: scimType ?? codes[status] ?? 'refused',
  detail,
});

/** For `onError` of such a door. */
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
  503: 'busy',
  504: 'unconfirmed',
};
