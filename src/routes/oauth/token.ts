/** The token endpoint (RFC 6749 §3.2). */
import { Hono } from 'hono';
import { hashOf } from '../../credentials/secret';
import { ScimError } from '../../scim/error';
import { OrgStore } from '../../store/open';
import type { App } from '../context';
import { authorizationCode } from './authorization-code';
import { OAuthError } from './grant';
import { refreshToken } from './refresh-token';

const grants = { authorization_code: authorizationCode, refresh_token: refreshToken };

export const token = new Hono<App>();

token.post('/', async (c) => {
  const params = new Map(new URLSearchParams(new TextDecoder().decode(await c.req.arrayBuffer())));
  const id = params.get('client_id') ?? '';
  const orgId = id.slice(0, 12);
  const hash = await hashOf(params.get('client_secret') ?? '');
  const store = new OrgStore(c.env.DB, { kind: 'client', orgId, id, hash }, Date.now());
  const grant = grants[params.get('grant_type') as keyof typeof grants];
  if (grant === undefined) throw new OAuthError('unsupported_grant_type', 'Another grant_type was expected');
  return c.json(await grant(c, { id, orgId, store }, params), 200, { 'Cache-Control': 'no-store' });
});

token.onError((error, c) => {
  if (error instanceof OAuthError) return c.json({ error: error.error, error_description: error.description }, 400);
  if (error instanceof ScimError) return c.json({ error: 'invalid_client', error_description: error.detail }, 401);
  throw error;
});
