/** Finds the coordinator of an org. Apart from env.ts, so that the bindings need not know the class behind one of them. */
import type { OrgCoordinator } from './coordinator';
import { type Env, jurisdictionOf } from './env';

/**
 * The one coordinator of an org, in the jurisdiction of this deployment.
 *
 * @throws Misconfigured.
 */
export function coordinatorOf(
  env: Pick<Env, 'ORG_COORDINATOR' | 'DO_JURISDICTION'>,
  orgId: string,
): DurableObjectStub<OrgCoordinator> {
  const coordinators = env.ORG_COORDINATOR as DurableObjectNamespace<OrgCoordinator>;
  const jurisdiction = jurisdictionOf(env);
  // Not asked for without one: workerd, on a developer's machine, knows no jurisdictions.
  return (jurisdiction === undefined ? coordinators : coordinators.jurisdiction(jurisdiction)).getByName(orgId);
}
