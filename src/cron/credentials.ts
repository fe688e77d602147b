/** The cron's work on credentials: who lets one expire is warned in the journal, and what is long over is removed. */
import { type Databases, eachDatabase } from '../store/d1/databases';
import { removeExpired, warnOfExpiry } from '../store/operations/expiry';

/** Of one run, which comes every minute. */
const WARNINGS_PER_SWEEP = 200;
const REMOVALS_PER_SWEEP = 500;
/** Short rows, of which many come at once: each signal leaves one (credentials/signal-token.ts). */
const ASSERTIONS_PER_SWEEP = 10_000;

/** Events `token.expiring`, `basic.expiring` and `client.expiring`, 20, 7 and 1 days before. */
export async function warn(databases: Databases, now = Date.now()): Promise<void> {
  const actor = { name: 'service', requestId: crypto.randomUUID() };
  await eachDatabase(databases, (db) => warnOfExpiry(db, actor, now, WARNINGS_PER_SWEEP));
}

/** Access and refresh tokens, grants, used assertions and counted refusals that are over for days. */
export async function cleanUp(databases: Databases, now = Date.now()): Promise<void> {
  await eachDatabase(databases, (db) => removeExpired(db, now, REMOVALS_PER_SWEEP, ASSERTIONS_PER_SWEEP));
}
