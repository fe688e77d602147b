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
  const orgs: string[] = [];
  for (const db of allDatabases(env)) {
    await askForOrgFlags(db, Date.now(), FLAGS_PER_SWEEP);
    orgs.push(...(await orgsWithPending(db, ORGS_PER_SWEEP)));
  }
  const drained = await Promise.allSettled(orgs.map((orgId) => coordinatorOf(env, orgId).drain()));
  const failed = drained.filter((result) => result.status === 'rejected');
  if (failed.length > 0)
    throw new AggregateError(
      failed.map((result) => result.reason),
      'the sweep left orgs behind',
    );
}
