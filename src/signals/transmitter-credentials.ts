/** What opens the API of a transmitter: an access token, or a client that gets one (RFC 6749 §4.4). Kept encrypted. */
import { isJwksAddress } from '../credentials/public-host';
import { open, seal } from '../credentials/sealed-secret';
import { ask, isGood } from './http';

export type TransmitterCredentials =
  | { readonly token: string }
  | { readonly clientId: string; readonly clientSecret: string; readonly tokenUrl: string };

export interface AccessToken {
  readonly token: string;
  /** Epoch milliseconds, a minute before its end; undefined: nobody knows. */
  readonly goodUntil: number | undefined;
}

/** Bound to the source: the text opens for no other one. */
export const sealCredentials = (keys: readonly string[], sourceId: string, credentials: TransmitterCredentials) =>
  seal(keys, 'transmitter credentials', sourceId, JSON.stringify(credentials));

/** @throws Unreadable. */
export const openCredentials = async (keys: readonly string[], sourceId: string, sealed: string) =>
  JSON.parse(await open(keys, 'transmitter credentials', sourceId, sealed)) as TransmitterCredentials;

const SCOPE = 'ssf.manage ssf.read';
/** Milliseconds. */
const EARLY = 60_000;

/** @returns why there is none, in words of ours, where there is none. Never throws. */
export async function accessTokenOf(
  credentials: TransmitterCredentials,
  allowsLoopback: boolean,
): Promise<AccessToken | { readonly fault: string }> {
  if ('token' in credentials) return { token: credentials.token, goodUntil: undefined };
  const { clientId, clientSecret, tokenUrl } = credentials;
  if (!isJwksAddress(tokenUrl, allowsLoopback)) return { fault: 'the token endpoint is at no public address' };
  const form = (text: string) => new URLSearchParams({ '': text }).toString().slice(1); // RFC 6749 §2.3.1
  const authorization = `Basic ${btoa(`${form(clientId)}:${form(clientSecret)}`)}`;
  const begun = Date.now();
  const post = (more: object) =>
    ask('POST', tokenUrl, { authorization, body: new URLSearchParams({ grant_type: 'client_credentials', ...more }) });
  let said = await post({ scope: SCOPE });
  // Servers that do not know these scopes give what the client may have.
  if (said.status === 400 && said.body?.['error'] === 'invalid_scope') said = await post({});
  const token = said.body?.['access_token'];
  if (!isGood(said) || typeof token !== 'string' || !/^[!-~]{1,16384}$/.test(token)) {
    return {
      fault: said.status === 0 ? 'the token endpoint did not answer' : `the token endpoint answered ${said.status}`,
    };
  }
  const seconds = said.body?.['expires_in'];
  const goodUntil = typeof seconds === 'number' && seconds > 0 ? begun + seconds * 1_000 - EARLY : undefined;
  return { token, goodUntil };
}
