/** The session: a signed cookie that says who, of which org, since when. There is nothing to look up, and so nothing to delete. */
import type { Context } from 'hono';
import { deleteCookie, getSignedCookie, setSignedCookie } from 'hono/cookie';
import { env } from './env';

export interface HostSession {
  /** Ids, as SCIM knows them. */
  readonly org: string;
  readonly user: string;
  /** Epoch milliseconds. */
  readonly issuedAt: number;
}

/** Milliseconds. Not above the service's SESSION_MAX_AGE. */
export const SESSION_LIFE = 12 * 3_600_000;

const NAME = 'session';

export async function readSession(c: Context): Promise<HostSession | undefined> {
  // false: somebody else has signed it.
  const value = await getSignedCookie(c, secret(), NAME, prefixOf(c));
  if (!value) return undefined;
  const [org = '', user = '', issuedAt = ''] = value.split(':');
  return { org, user, issuedAt: Number(issuedAt) };
}

export async function writeSession(c: Context, { org, user, issuedAt }: HostSession): Promise<void> {
  const prefix = prefixOf(c);
  const options = { path: '/', httpOnly: true, sameSite: 'Lax', maxAge: SESSION_LIFE / 1000 } as const;
  const guarded = prefix === undefined ? options : { ...options, prefix, secure: true };
  await setSignedCookie(c, NAME, [org, user, issuedAt].join(':'), secret(), guarded);
}

export function clearSession(c: Context): void {
  const prefix = prefixOf(c);
  deleteCookie(c, NAME, { path: '/', ...(prefix && { prefix, secure: true }) });
}

/** `__Host-`, so that no neighbouring subdomain can set it. On a developer's machine there is no https, which it needs. */
function prefixOf(c: Context): 'host' | undefined {
  return new URL(c.req.url).protocol === 'https:' ? 'host' : undefined;
}

function secret(): string {
  if ((env.COOKIE_SECRET?.length ?? 0) < 32) throw new Error('COOKIE_SECRET: 32 characters or more were expected');
  return env.COOKIE_SECRET!;
}
