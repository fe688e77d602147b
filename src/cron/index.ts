/** The cron's work across orgs, each minute (wrangler.toml). */
import type { Env } from '../env';
import { checkDueDomains } from '../provisioning/domains';
import { removeWaiting } from '../provisioning/removal';
import { writeKvProbe } from '../sessions/kv-lag';
import { repairCopies } from '../store/operations/copies';
import { adoptAll } from '../store/operations/shards';
import { cleanUp, warn } from './credentials';
import { remindOfMoves } from './moves';
import { sweep } from './publications';
import { retain } from './retention';
import { pushControlEvents } from './signal-streams';
import { remindOfPolls } from './signals';
import { remindOfWebhooks } from './webhooks';

/** @throws AggregateError of what failed, after all the rest was done; the next run tries again. */
export async function runCron(env: Env): Promise<void> {
  const done = await Promise.allSettled([
    sweep(env),
    writeKvProbe(env, Date.now()),
    warn(env),
    cleanUp(env),
    retain(env),
    removeWaiting(env),
    checkDueDomains(env),
    remindOfWebhooks(env),
    remindOfMoves(env),
    adoptAll(env),
    repairCopies(env),
    remindOfPolls(env),
    pushControlEvents(env),
  ]);
  const failed = done.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
  if (failed.length > 0)
    throw new AggregateError(failed, `parts of the cron's work failed: ${failed.map(String).join('; ')}`);
}
