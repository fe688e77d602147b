/** A client that acts for itself becomes an access token (RFC 6749 §4.4): Entra ID, Ping. No refresh token (§4.4.3). */
import { hashOf, maskOf, newSecret } from '../../credentials/secret';
import { ACCESS_LIFE, giveAccess } from '../../store/credentials/issued-tokens';
import { actorOf } from '../context';
import type { Grant } from './grant';

export const clientCredentials: Grant = async (c, { id: clientId, orgId, store }) => {
  const secret = await newSecret('oauth_access', orgId);
  const given = {
    id: crypto.randomUUID(),
    kind: 'oauth_access',
    hash: await hashOf(secret),
    mask: maskOf(secret),
    validUntil: store.now + ACCESS_LIFE,
    clientId,
  } as const;
  await giveAccess(store, given, actorOf(c, `client:${clientId}`));
  return { access_token: secret, token_type: 'Bearer', expires_in: ACCESS_LIFE / 1_000, scope: 'scim' };
};
