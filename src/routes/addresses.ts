/** Where the service is reached: what clients, metadata and operators are told. */
import type { Context } from 'hono';
import { settings } from '../env';
import type { SourceType } from '../store/credentials/signal-sources';
import type { App } from './context';

/** The addresses of the OAuth API. `issuer` is our name in assertions and metadata, too. */
export function endpoints(c: Context<App>) {
  const issuer = publicUrl(c);
  return {
    issuer,
    authorizeUrl: `${issuer}/oauth/authorize`,
    tokenUrl: `${issuer}/oauth/token`,
    revokeUrl: `${issuer}/oauth/revoke`,
  };
}

/** Shown if the public address is unknown. RFC 2606 reserves `.invalid`, so the address cannot work by mistake. */
const NO_PUBLIC_URL = 'https://public-url-is-not-set.invalid';

/** Whether addresses that are shown can be reached: over a service binding, only PUBLIC_URL says where the service is. */
export const knowsPublicUrl = (c: Context<App>): boolean => settings(c.env).publicUrl !== undefined || !c.var.isBinding;

/** Where the service is reached from outside, without a slash at the end: PUBLIC_URL, or as it was reached just now. */
export const publicUrl = (c: Context<App>): string =>
  settings(c.env).publicUrl ?? (c.var.isBinding ? NO_PUBLIC_URL : originOf(c.req.url));

/** The latest origin, and what an address of it begins with. */
let latest = { start: '', origin: '' };

function originOf(url: string): string {
  const start = url.slice(0, url.indexOf('/', url.indexOf('//') + 2) + 1);
  if (start !== latest.start) latest = { start, origin: new URL(url).origin };
  return latest.origin;
}

/** Where an org receives signals of a type. */
export const signalUrl = (c: Context<App>, orgId: string, type: SourceType): string =>
  `${publicUrl(c)}/signals/${orgId}/${type === 'ssf' ? 'events' : type}`;
