/**
 * What a crash left between a commit and its publication, and the flags of orgs that have none yet: found by the cron,
 * published by the org's coordinator.
 */
import { coordinatorOf } from '../coordinator-stub';
import type { Env } from '../env';
import { allDatabases, type Databases } from '../store/d1/databases';
import { askForOrgFlags, orgsWithPending } from '../store/journal/outbox';

const ORGS_PER_SWEEP = 500;
/** Fewer than those: what a crash left of other orgs must not wait behind all orgs of an upgrade. */
const FLAGS_PER_SWEEP = 200;

/**
 * A publication that is under way just now is asked for a second time, which is harmless: the coordinator has one line
 * per user, and writes what is true. One that is only not settled yet is settled, and not written again.
 *
 * @throws Error when an org could not be reached, after all others were; the next sweep tries again.
 */
export async function sweep(env: Databases & Pick<Env, 'ORG_COORDINATOR' | 'DO_JURISDICTION'>): Promise<void> {
  const swept = await Promise.allSettled(
    allDatabases(env).map(async (db) => {
      await askForOrgFlags(db, Date.now(), FLAGS_PER_SWEEP);
      return orgsWithPending(db, ORGS_PER_SWEEP);
    }),
  );
  const orgs = swept.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
  const drained = await Promise.allSettled(orgs.map((orgId) => coordinatorOf(env, orgId).drain()));
  const failed = [...swept, ...drained].flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
  if (failed.length > 0) throw new AggregateError(failed, 'the sweep left orgs behind');
}
