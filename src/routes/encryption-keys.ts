/** What encrypts the secrets that a handler keeps, or why there is nothing. */
import type { Context } from 'hono';
import { settings } from '../env';
import { conflict, ScimError } from '../scim/error';
import type { App } from './context';

/**
 * For `seal` and `open` (credentials/sealed-secret.ts).
 *
 * @param what it is to encrypt: `the secrets of webhooks`.
 * @throws ScimError 409: WEBHOOK_KEY is not set. 503: it is too short.
 */
export function encryptionKeys(c: Context<App>, what: string): readonly string[] {
  const { encryptionKeys: found } = settings(c.env);
  if (found === undefined) throw conflict(`The Worker secret WEBHOOK_KEY is not set: it encrypts ${what}`);
  if ('fault' in found) throw new ScimError(503, undefined, found.fault.message);
  return found.keys;
}
