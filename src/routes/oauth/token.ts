/** The token endpoint (RFC 6749 §3.2): a client and its grant -> an access token. */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import type { App } from '../context';
import { allowOnly } from '../method';
import { authorizationCode } from './authorization-code';
import { asClient, authenticateClient } from './client';
import { clientCredentials } from './client-credentials';
import { readForm, readParams } from './form';
import { type Grant, OAuthError } from './grant';
import { refreshToken } from './refresh-token';

const grants: Record<string, Grant> = {
  client_credentials: clientCredentials,
  authorization_code: authorizationCode,
  refresh_token: refreshToken,
};

const asked = z.object({ grant_type: z.string('grant_type is required') });

export const token = new Hono<App>();

token.post('/', async (c) => {
  const params = await readForm(c);
  const { grant_type: type } = readParams(asked, params);
  if (!Object.hasOwn(grants, type)) {
    throw new OAuthError('unsupported_grant_type', `grant_type: one of ${Object.keys(grants).join(', ')} was expected`);
  }
  // `scope` and `resource` may say what they like: there is one scope, and the answer names it (§3.3).
  const client = await authenticateClient(c, params);
  return c.json(await asClient(c, client, () => grants[type]!(c, client, params)));
});

token.all('/', allowOnly('POST'));
