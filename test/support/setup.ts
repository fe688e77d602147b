/** Before each test file: empty storage, the tables, and bindings that keep to Cloudflare's limits. */
import { reset } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import './source-maps';
import { keyWrites } from '../../src/coordinator';
import { arrivals } from '../../src/routes/access/arrivals';
import { traffic } from '../../src/routes/access/outcome';
import { refusalCounter } from '../../src/routes/access/refusal';
import { migrate } from './migrate';
import { enforceLimits, SHORT_SECOND } from './platform';

await emptyStorage();
await migrate(env.DB);
enforceLimits();
// Each request of a test is waited for with all that follows from it: not for its turn to write, too.
refusalCounter.interval = 0;
// KV's second between two writes of a key is this long here (platform.ts enforces it): most of the tests would wait for it.
keyWrites.interval = SHORT_SECOND;
// Requests of good credentials, and their refusals, are counted only where a test is about them: it would take a write for each.
traffic.interval = Number.POSITIVE_INFINITY;
arrivals.interval = Number.POSITIVE_INFINITY;

/** `reset()` passes over databases that the runtime has unloaded. To look into one loads it, so that a second time counts. */
async function emptyStorage(): Promise<void> {
  for (let attempt = 0; attempt < 5; attempt++) {
    await reset();
    const { results } = await env.DB.prepare("SELECT 1 FROM sqlite_master WHERE name = 'orgs'").all();
    const { keys } = await env.REVOCATIONS.list({ limit: 1 });
    if (results.length === 0 && keys.length === 0) return;
  }
  throw new Error('the storage of the file before is still there');
}
