/** What opens the API of a transmitter, as an operator enters it: a token, or a client that gets one. */
import type { Context } from 'hono';
import * as z from 'zod/mini';
import { isJwksAddress } from '../../credentials/public-host';
import { settings } from '../../env';
import { conflict, invalidValue } from '../../scim/error';
import { discoverIssuer } from '../../signals/discovery';
import { accessTokenOf, type TransmitterCredentials } from '../../signals/transmitter-credentials';
import type { App } from '../context';
import { encryptionKeys } from '../encryption-keys';
import { address } from './oauth';

const token = z
  .string()
  .check(
    z.minLength(1, 'a token was expected'),
    z.maxLength(8_192),
    z.regex(/^[!-~]+$/, 'a bearer token was expected'),
  );
const TEXT = 'a text of at most 1000 characters was expected';
const text = z.string(TEXT).check(z.minLength(1, TEXT), z.maxLength(1_000, TEXT));
const client = z.optional(z.strictObject({ id: text, secret: text, tokenUrl: z.optional(address) }));

/** What opens the API of a transmitter: a token, or a client that gets one. */
export const auth = { auth: z.optional(token), client };

export const oneOfBoth = () => invalidValue('auth, client: one of both was expected');

/** What opens the API of a transmitter, if it is said. @throws ScimError 400, 409. */
export async function credentialsOf(
  c: Context<App>,
  issuer: string,
  { auth: accessToken, client: asked }: { auth?: string | undefined; client?: z.output<typeof client> },
): Promise<TransmitterCredentials | undefined> {
  if (accessToken !== undefined && asked !== undefined) throw oneOfBoth();
  if (asked === undefined) return accessToken === undefined ? undefined : { token: accessToken };
  const { allowsLoopbackJwks } = settings(c.env);
  const found = asked.tokenUrl === undefined ? await discoverIssuer(issuer, allowsLoopbackJwks) : asked;
  if ('fault' in found) throw conflict(`client.tokenUrl: ${found.fault}. Enter the address`);
  const { tokenUrl } = found;
  if (tokenUrl === undefined) {
    throw conflict('client.tokenUrl: the transmitter publishes no token_endpoint: enter its address');
  }
  if (!isJwksAddress(tokenUrl, allowsLoopbackJwks)) {
    throw invalidValue('client.tokenUrl: an https address with a public host name was expected');
  }
  return { clientId: asked.id, clientSecret: asked.secret, tokenUrl };
}

/** @throws ScimError 409: no token can be had. */
export async function tokenBy(c: Context<App>, credentials: TransmitterCredentials): Promise<string> {
  const got = await accessTokenOf(credentials, settings(c.env).allowsLoopbackJwks);
  if ('fault' in got) throw conflict(`client: no access token can be had: ${got.fault}`);
  return got.token;
}

/** They are kept encrypted, where the stream is polled. */
export const credentialKeys = (c: Context<App>) => encryptionKeys(c, 'the credentials of transmitters that are polled');
