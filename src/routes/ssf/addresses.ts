/** Where receivers of signals find what they need. */
import type { Context } from 'hono';
import { settings } from '../../env';
import { notFound } from '../../scim/error';
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

/** SSF 1.0 §7.1. Says nothing of what is not there. */
export function transmitterMetadata(c: Context<App>): Response {
  if (settings(c.env).encryptionKeys === undefined) throw notFound('Endpoint');
  const addresses = ssfAddresses(c);
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
