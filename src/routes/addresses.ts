/** Where the service is reached: what clients, metadata and operators are told. */
import type { Context } from 'hono';
import { settings } from '../env';
import type { App } from './context';

/** The addresses of the door. `issuer` is our name in assertions and metadata, too. */
export function endpoints(c: Context<App>) {
  const issuer = publicUrl(c);
  return {
    issuer,
    authorizeUrl: `${issuer}/oauth/authorize`,
    tokenUrl: `${issuer}/oauth/token`,
    revokeUrl: `${issuer}/oauth/revoke`,
  };
}

/** Where the service is reached from outside, without a slash at the end: PUBLIC_URL, or as it was reached just now. */
export const publicUrl = (c: Context<App>): string => settings(c.env).publicUrl ?? new URL(c.req.url).origin;
