/** Before each test file: empty storage, and the tables. */
import { applyD1Migrations, reset } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { traffic } from '../../src/routes/outcome';
import { tally } from '../../src/routes/refusal';

await reset();
await applyD1Migrations(env.DB, env.TEST_MIGRATIONS);
// Each request of a test is waited for with all that follows from it: not for its turn to write, too.
tally.interval = 0;
// Every request is counted; in tests only where it is what they are about.
traffic.interval = Number.POSITIVE_INFINITY;
