/** What an issuer publishes of itself: where its keys are, and where it gives access tokens. */
import { isJwksAddress } from '../credentials/public-host';
import { ask } from './http';

export interface IssuerMetadata {
  readonly jwksUrl: string | undefined;
  readonly tokenUrl: string | undefined;
}

/** Nobody can tell a typing error from a failure by «not found»: so it is said which it was. */
export interface NoMetadata {
  readonly fault:
    | 'it is not an https address with a public host name'
    | 'the issuer gave no answer'
    | 'the issuer publishes no metadata'
    | 'the metadata there names another issuer: compare it to the letter';
}

/**
 * Reads the metadata of OpenID Connect, or else of an authorization server (RFC 8414).
 *
 * @returns why there is none. Addresses that are not public are left out.
 */
export async function discoverIssuer(issuer: string, allowsLoopback: boolean): Promise<IssuerMetadata | NoMetadata> {
  let fault: NoMetadata['fault'] = 'the issuer gave no answer';
  if (!isJwksAddress(issuer, allowsLoopback)) return { fault: 'it is not an https address with a public host name' };
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/+$/, '');
  // OpenID Connect Discovery §4 puts it behind the issuer's path, RFC 8414 §3.1 before it.
  for (const url of [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ]) {
    const { status, body } = await ask('GET', url, { most: 131_072 });
    if (status !== 200 || body?.['issuer'] !== issuer) {
      if (status === 200 && body !== undefined)
        fault = 'the metadata there names another issuer: compare it to the letter';
      else if (status !== 0 && fault === 'the issuer gave no answer') fault = 'the issuer publishes no metadata';
      continue;
    }
    const addressOf = (name: string) => {
      const value = body[name];
      return typeof value === 'string' && isJwksAddress(value, allowsLoopback) ? value : undefined;
    };
    return { jwksUrl: addressOf('jwks_uri'), tokenUrl: addressOf('token_endpoint') };
  }
  return { fault };
}
