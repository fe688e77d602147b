/** Errors of the OAuth API: a word for programs and a sentence for people (RFC 6749 §5.2). */
import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { Misconfigured } from '../../env';
import { ScimError } from '../../scim/error';
import { Busy } from '../../store/d1/batch';
import { misconfigured } from '../access/guard';
import type { App } from '../context';
import { logUnexpected, SERVICE_FAILED } from '../unexpected';
import { OAuthError } from './grant';

/**
 * One answer for every client that is not good, whatever the reason. With a challenge, as each 401 must (RFC 9110
 * §15.5.2); Basic is the scheme that a client can have used (RFC 6749 §5.2).
 */
export const invalidClient = () =>
  new OAuthError('invalid_client', 'The client could not be authenticated', 401, {
    'WWW-Authenticate': 'Basic realm="oauth", charset="UTF-8"',
  });

export function oauthError(c: Context<App>, thrown: unknown): Response {
  const error = meaning(thrown);
  if (error.error === 'server_error') {
    logUnexpected(c, thrown);
  }
  const body = { error: error.error, error_description: printable(error.description) };
  return c.json(body, error.status as ContentfulStatusCode, { ...error.headers });
}

/** What the rest of the house throws, in the words of OAuth. */
function meaning(thrown: unknown): OAuthError {
  if (thrown instanceof OAuthError) return thrown;
  const passing = (description: string, status: number, headers = {}) =>
    new OAuthError('temporarily_unavailable', description, status, headers);
  if (thrown instanceof Busy) return passing(thrown.told, 503, { 'Retry-After': String(thrown.retryAfter) });
  if (thrown instanceof Misconfigured) return meaning(misconfigured(thrown));
  if (thrown instanceof ScimError) {
    const { status, detail, headers } = thrown;
    if (status === 401) return invalidClient();
    if (status === 403) return new OAuthError('unauthorized_client', detail); // the client is good, SCIM is off
    if (status === 421) return new OAuthError('unauthorized_client', detail, status); // good, at another host
    if (status === 429 || status === 503) return passing(detail, status, headers);
    return new OAuthError('invalid_request', detail, status, headers);
  }
  return new OAuthError('server_error', SERVICE_FAILED, 500);
}

/** §5.2: printable ASCII without quotes and backslashes. A contact that the operator entered may have others. */
const printable = (text: string) => text.replace(/["\\]/g, "'").replace(/[^\x20-\x7e]/g, '?');
