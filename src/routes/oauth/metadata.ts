/** The metadata of the authorization server, with which a client is set up (RFC 8414). */
import type { Context } from 'hono';
import { ALGORITHMS } from '../../credentials/signer';
import { endpoints } from '../addresses';
import type { App } from '../context';

const METHODS = ['client_secret_basic', 'client_secret_post', 'private_key_jwt'];

export function metadata(c: Context<App>): Response {
  const { issuer, authorizeUrl, tokenUrl, revokeUrl } = endpoints(c);
  return c.json({
    issuer,
    authorization_endpoint: authorizeUrl,
    token_endpoint: tokenUrl,
    revocation_endpoint: revokeUrl,
    scopes_supported: ['scim'],
    response_types_supported: ['code'],
    grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: METHODS,
    token_endpoint_auth_signing_alg_values_supported: ALGORITHMS,
    revocation_endpoint_auth_methods_supported: METHODS,
    revocation_endpoint_auth_signing_alg_values_supported: ALGORITHMS,
  });
}
