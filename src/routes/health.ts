/** Whether the service answers, how far behind KV is where it was asked, and how the databases are. No D1 call: anyone may ask. */
import { Hono } from 'hono';
import { misconfigurations } from '../env';
import { readProbe } from '../sessions/kv-lag';
import { misconfigured } from './access/guard';
import type { App } from './context';

export const health = new Hono<App>();

health.get('/', async (c) => {
  c.header('Cache-Control', 'no-store');
  const faults = misconfigurations(c.env);
  if (faults.length === 0) return c.json({ status: 'ok', ...(await probed(c.env.REVOCATIONS)) });
  for (const fault of faults) misconfigured(fault);
  const variables = faults.map(({ variable, message: detail }) => ({ variable, detail }));
  return c.json({ status: 'misconfigured', variables }, 503);
});

/** What the cron has found: null before its first run. No names of databases: they are of no use to strangers. */
async function probed(flags: KVNamespace) {
  try {
    return (await readProbe(flags, Date.now())) ?? { kv: null, databases: null };
  } catch {
    return { kv: { error: 'KV cannot be read' }, databases: null }; // its own line in the log would let anyone fill the log
  }
}
