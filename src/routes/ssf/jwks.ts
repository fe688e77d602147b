/** The keys that check what this service signs (RFC 7517 §5). */
import type { Context } from 'hono';
import { publishedKeys } from '../../store/operations/signing-keys';
import type { App } from '../context';

/** Seconds for which a cache may keep it. The next key is published long before it signs. */
const MAX_AGE = 300;

export async function jwks(c: Context<App>): Promise<Response> {
  const keys = await publishedKeys(c.env, Date.now());
  c.header('Cache-Control', `public, max-age=${MAX_AGE}`);
  return c.json({ keys: keys.map(({ jwk }) => jwk) });
}
