/** What an issuer publishes of itself: where its keys are, and where it gives access tokens. */
import { isJwksAddress } from '../credentials/public-host';
import { ask } from './http';

export interface IssuerMetadata {
  readonly jwksUrl: string | undefined;
  readonly tokenUrl: string | undefined;
}

/**
 * Reads the metadata of OpenID Connect, or else of an authorization server (RFC 8414).
 *
 * @returns undefined: there is none, or it is of another issuer. Addresses that are not public are left out.
 */
export async function discoverIssuer(issuer: string, allowsLoopback: boolean): Promise<IssuerMetadata | undefined> {
  if (!isJwksAddress(issuer, allowsLoopback)) return undefined;
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/+$/, '');
  // OpenID Connect Discovery §4 puts it behind the issuer's path, RFC 8414 §3.1 before it.
  for (const url of [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ]) {
    const { status, body } = await ask('GET', url, { most: 131_072 });
    if (status !== 200 || body?.['issuer'] !== issuer) continue;
    const addressOf = (name: string) => {
      const value = body[name];
      return typeof value === 'string' && isJwksAddress(value, allowsLoopback) ? value : undefined;
    };
    return { jwksUrl: addressOf('jwks_uri'), tokenUrl: addressOf('token_endpoint') };
  }
  return undefined;
}
