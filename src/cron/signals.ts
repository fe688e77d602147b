/** Streams whose poll was lost by a crash: found by the cron, polled by the org's coordinator. */
import { coordinatorOf } from '../coordinator-stub';
import type { Env } from '../env';
import { orgsWithDuePolls } from '../store/credentials/polled-sources';
import type { Databases } from '../store/d1/databases';

const ORGS_PER_SWEEP = 500;

/** What is being polled just now is not polled twice: the coordinator knows. @throws AggregateError. */
export async function remindOfPolls(
  env: Databases & Pick<Env, 'ORG_COORDINATOR' | 'DO_JURISDICTION'>,
  now = Date.now(),
): Promise<void> {
  const orgs = await orgsWithDuePolls(env, now, ORGS_PER_SWEEP);
  const reminded = await Promise.allSettled(orgs.map((orgId) => coordinatorOf(env, orgId).pollSoon()));
  const failed = reminded.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
  if (failed.length > 0) throw new AggregateError(failed, 'coordinators were not reminded of polls');
}
