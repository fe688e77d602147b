/** The cron's work on credentials: who lets one expire is warned in the journal, and what is long over is removed. */
import type { Env } from '../env';
import { removeExpired, warnOfExpiry } from '../store/operations/expiry';

/** Of one run, which comes every minute. */
const WARNINGS_PER_SWEEP = 200;
const REMOVALS_PER_SWEEP = 500;

/** Events `token.expiring`, `basic.expiring` and `client.expiring`, 20, 7 and 1 days before. */
export async function warn({ DB }: Pick<Env, 'DB'>, now = Date.now()): Promise<void> {
  await warnOfExpiry(DB, { name: 'service', requestId: crypto.randomUUID() }, now, WARNINGS_PER_SWEEP);
}

/** Access and refresh tokens, grants, used assertions and counted refusals that are over for days. */
export const cleanUp = ({ DB }: Pick<Env, 'DB'>, now = Date.now()): Promise<void> =>
  removeExpired(DB, now, REMOVALS_PER_SWEEP);
