/** Whether the service answers, and how far behind KV is where it was asked. No D1 call: anyone may ask. */
import { Hono } from 'hono';
import { misconfigurations } from '../env';
import { type KvLag, readKvLag } from '../sessions/kv-lag';
import { misconfigured } from './access/guard';
import type { App } from './context';

export const health = new Hono<App>();

health.get('/', async (c) => {
  c.header('Cache-Control', 'no-store');
  const faults = misconfigurations(c.env);
  if (faults.length === 0) return c.json({ status: 'ok', kv: await lagOf(c.env.REVOCATIONS) });
  for (const fault of faults) misconfigured(fault);
  const variables = faults.map(({ variable, message: detail }) => ({ variable, detail }));
  return c.json({ status: 'misconfigured', variables }, 503);
});

/** `kv`: the probe, null before the cron has written one, or that KV cannot be read. */
async function lagOf(flags: KVNamespace): Promise<KvLag | null | { readonly error: string }> {
  try {
    return (await readKvLag(flags, Date.now())) ?? null;
  } catch {
    return { error: 'KV cannot be read' }; // its own line in the log would let anyone fill the log
  }
}
