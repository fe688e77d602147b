/**
 * Where an org takes requests to end sessions (draft-parecki-oauth-global-token-revocation, «Authorization Server
 * Metadata»). The issuer has a path, so its metadata is behind that of the document (RFC 8414 §3.1). It follows from the
 * address alone: it is the same for an org that is not there.
 */
import type { Context } from 'hono';
import { notFound } from '../../scim/error';
import { publicUrl, signalUrl } from '../addresses';
import type { App } from '../context';
import { orgIdOf } from './authenticate';

export function signalMetadata(c: Context<App>): Response {
  const orgId = orgIdOf(c);
  if (orgId === undefined) throw notFound('Endpoint');
  return c.json({
    issuer: `${publicUrl(c)}/signals/${orgId}`,
    response_types_supported: [],
    global_token_revocation_endpoint: signalUrl(c, orgId, 'global-token-revocation'),
    global_token_revocation_endpoint_auth_methods_supported: ['private_key_jwt'],
  });
}
