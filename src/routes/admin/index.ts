/**
 * The administrator's door: one Hono sub-app behind the entrypoint `Admin`, which only a service binding reaches, and
 * behind /admin/v1 when ADMIN_TOKEN is set.
 */
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { createMiddleware } from 'hono/factory';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { settings } from '../../env';
import { MAX_BODY } from '../../scim/discovery';
import { invalidSyntax, notFound, payloadTooLarge, ScimError, unavailable } from '../../scim/error';
import { Busy } from '../../store/batch';
import { PASSWORDS, TOKENS } from '../../store/credentials';
import { type App, requestId } from '../context';
import { approvals } from './approvals';
import { credentials } from './credentials';
import { groups } from './groups';
import { clients } from './oauth';
import { orgs } from './orgs';
import { refusals } from './refusals';
import { schemas } from './schemas';
import { sessions } from './sessions';
import { users } from './users';

export const admin = new Hono<App>();

const refuseSize = (): never => {
  throw payloadTooLarge(`The body is larger than ${MAX_BODY} bytes`);
};

admin.use(bodyLimit({ maxSize: MAX_BODY, onError: () => refuseSize() }));
admin.use(async (c, next) => {
  // A label for the journal, not a proof of who it is: the door itself is what is guarded.
  c.set('by', (c.req.header('X-Admin-By') || 'admin').slice(0, 100));
  await next();
});
admin.route('/orgs', orgs);
admin.route('/orgs/:slug/tokens', credentials({ line: () => TOKENS, secret: 'token', noun: 'token' }));
admin.route('/orgs/:slug/basic', credentials({ line: () => PASSWORDS, secret: 'password', noun: 'basic' }));
admin.route('/orgs/:slug/oauth/clients', clients);
admin.route('/orgs/:slug/oauth/approvals', approvals);
admin.route('/orgs/:slug/refusals', refusals);
admin.route('/orgs/:slug/users', users);
admin.route('/orgs/:slug/groups', groups);
admin.route('/orgs/:slug/schemas', schemas);
admin.route('/orgs/:slug/sessions', sessions);
admin.all('*', () => {
  throw notFound('Endpoint');
});

/** Errors at this door: a word for programs and a sentence for people. */
admin.onError((error, c) => {
  const known =
    error instanceof ScimError
      ? error
      : error instanceof Busy
        ? unavailable('The directory is busy: try again in a moment', 2)
        : error instanceof HTTPException // Hono's validator, of a body that is no JSON
          ? invalidSyntax('The body is not valid JSON')
          : undefined;
  if (known === undefined) {
    console.error(JSON.stringify({ message: 'unexpected error', requestId: c.var.requestId, error: String(error) }));
    return c.json({ error: 'internal', detail: 'The service failed; the request id is in X-Request-Id' }, 500);
  }
  const { status, scimType, detail, headers } = known;
  return c.json({ error: scimType ?? codes[status] ?? 'refused', detail }, status as ContentfulStatusCode, {
    ...headers,
  });
});

const codes: Record<number, string> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  409: 'conflict',
  413: 'too_large',
  415: 'unsupported_media_type',
  503: 'busy',
  504: 'unconfirmed',
};

/** Behind the entrypoint: whoever holds a binding to it may redeploy the Worker anyway. */
export const adminEntrypoint = new Hono<App>({ strict: false }).use(requestId).route('/', admin);

/** Before /admin/v1: without ADMIN_TOKEN the path does not exist; with it, the token is compared in constant time. */
export const guarded = createMiddleware<App>(async (c, next) => {
  const { adminToken } = settings(c.env);
  if (adminToken === undefined) throw notFound('Endpoint');
  const given = /^Bearer\s+(\S+)$/i.exec(c.req.header('Authorization') ?? '')?.[1] ?? '';
  // Digests have equal lengths, which timingSafeEqual needs, and hide that of the token.
  const [a, b] = await Promise.all(
    [given, adminToken].map((text) => crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))),
  );
  if (!crypto.subtle.timingSafeEqual(a!, b!)) {
    return c.json({ error: 'unauthorized', detail: 'The admin token is required as a bearer token' }, 401, {
      'WWW-Authenticate': 'Bearer realm="admin"',
    });
  }
  return next();
});
