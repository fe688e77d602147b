/** Where receivers of signals find what they need. */
import type { Context } from 'hono';
import { settings } from '../../env';
import { notFound } from '../../scim/error';
import { SCOPES } from '../../store/operations/signal-streams';
import { publicUrl } from '../addresses';
import type { App } from '../context';

/** Ways of delivery (RFC 8935, RFC 8936). */
export const PUSH = 'urn:ietf:rfc:8935';
export const POLL = 'urn:ietf:rfc:8936';

export function ssfAddresses(c: Context<App>) {
  const issuer = publicUrl(c);
  const at = (path: string) => `${issuer}/ssf${path}`;
  return {
    issuer,
    authorizationServer: at(''),
    tokenUrl: at('/token'),
    jwksUrl: at('/jwks.json'),
    streams: at('/streams'),
    status: at('/status'),
    addSubject: at('/subjects/add'),
    removeSubject: at('/subjects/remove'),
    verification: at('/verification'),
    poll: (streamId: string) => at(`/poll/${streamId}`),
  };
}

/** The addresses, if the deployment can sign. @throws ScimError 404. */
function transmitterAddresses(c: Context<App>) {
  if (settings(c.env).encryptionKeys === undefined) throw notFound('Endpoint');
  return ssfAddresses(c);
}

/** SSF 1.0 §7.1. Says nothing of what is not there. */
export function transmitterMetadata(c: Context<App>): Response {
  const addresses = transmitterAddresses(c);
  return c.json({
    spec_version: '1_0',
    issuer: addresses.issuer,
    jwks_uri: addresses.jwksUrl,
    delivery_methods_supported: [PUSH, POLL],
    configuration_endpoint: addresses.streams,
    status_endpoint: addresses.status,
    add_subject_endpoint: addresses.addSubject,
    remove_subject_endpoint: addresses.removeSubject,
    verification_endpoint: addresses.verification,
    authorization_schemes: [{ spec_urn: 'urn:ietf:rfc:6749' }],
    default_subjects: 'ALL',
  });
}

/** RFC 9728, which the CAEP interoperability profile asks for: where a receiver gets its access tokens, and for which scopes. */
export function resourceMetadata(c: Context<App>): Response {
  const { issuer, authorizationServer } = transmitterAddresses(c);
  return c.json({
    resource: new URL(c.req.url).pathname.endsWith('/ssf') ? authorizationServer : issuer,
    authorization_servers: [authorizationServer],
    scopes_supported: SCOPES,
    bearer_methods_supported: ['header'],
  });
}

/** RFC 8414, of the authorization server of receivers. */
export function authorizationMetadata(c: Context<App>): Response {
  const { authorizationServer, tokenUrl } = transmitterAddresses(c);
  return c.json({
    issuer: authorizationServer,
    token_endpoint: tokenUrl,
    scopes_supported: SCOPES,
    response_types_supported: [],
    grant_types_supported: ['client_credentials'],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
  });
}
