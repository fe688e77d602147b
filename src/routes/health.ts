/** Whether the service answers, and how far behind KV is where it was asked. No D1 call: anyone may ask. */
import { Hono } from 'hono';
import { type Canary, readCanary } from '../sessions/canary';
import type { App } from './context';

export const health = new Hono<App>();

health.get('/', async (c) => c.json({ status: 'ok', kv: await seen(c.env.REVOCATIONS) }));

/** `kv`: the canary, null before the cron has written one, or that KV cannot be read. */
async function seen(flags: KVNamespace): Promise<Canary | null | { readonly error: string }> {
  try {
    return (await readCanary(flags, Date.now())) ?? null;
  } catch {
    return { error: 'KV cannot be read' }; // its own line in the log would let anyone fill the log
  }
}
