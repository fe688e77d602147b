/** Webhooks that a crash left between a commit and its delivery: found by the cron, delivered by the org's coordinator. */
import { coordinatorOf } from '../coordinator-stub';
import type { Env } from '../env';
import type { Databases } from '../store/d1/databases';
import { orgsWithDueLines } from '../store/operations/webhook-lines';

const ORGS_PER_SWEEP = 500;

/** What is being delivered just now is not delivered twice: the coordinator knows. @throws AggregateError. */
export async function remindOfWebhooks(
  env: Databases & Pick<Env, 'ORG_COORDINATOR' | 'DO_JURISDICTION'>,
  now = Date.now(),
): Promise<void> {
  const orgs = await orgsWithDueLines(env, now, ORGS_PER_SWEEP);
  const reminded = await Promise.allSettled(orgs.map((orgId) => coordinatorOf(env, orgId).deliverSoon()));
  const failed = reminded.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
  if (failed.length > 0) throw new AggregateError(failed, 'coordinators were not reminded of webhooks');
}
