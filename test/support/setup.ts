/** Before each test file: empty storage, and the tables. */
import { applyD1Migrations, reset } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import './source-maps';
import { traffic } from '../../src/routes/outcome';
import { tally } from '../../src/routes/refusal';

await reset();
await applyD1Migrations(env.DB, env.TEST_MIGRATIONS);
// Each request of a test is waited for with all that follows from it: not for its turn to write, too.
tally.interval = 0;
// Requests of good credentials, and their refusals, are counted only where a test is about them: it would take a write for each.
traffic.interval = Number.POSITIVE_INFINITY;
