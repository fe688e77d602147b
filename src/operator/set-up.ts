/** How far an org's set-up has come: each step from what the identity provider has really done. Pure. */
import type { Refusal } from '../store/credentials/refusals';
import { isInPlan } from '../store/org/plan';
import type { Tenant } from '../store/org/tenant';
import type { Deed, Evidence, Proof } from '../store/portal/evidence';

export type StepName = 'idp' | 'sso' | 'connect' | 'test' | Deed | 'accounts';

/** What stands in the way before anything is asked. */
export type Obstacle = 'org_off' | 'plan' | 'scim_off';

export interface Step {
  readonly name: StepName;
  readonly state: 'waiting' | 'works' | 'failed';
  /** When it was shown to work, or failed last. Epoch milliseconds. */
  readonly at?: number | undefined;
  readonly proof?: Proof | undefined;
  /** User-Agent of the latest request. */
  readonly client?: string | undefined;
  readonly obstacle?: Obstacle | undefined;
  /** The refused request that is newer than anything that worked. */
  readonly refusal?: Refusal | undefined;
}

/** A refused request is the fault of this step; undefined: of none, for identity providers ask so in order to find out. */
export function stepOfRefusal({ reason, hint }: Refusal): 'test' | Deed | undefined {
  if (reason === 'seats' || reason === 'storage') return 'person';
  if (reason === 'protected' || reason === 'brake') return 'deactivation';
  if (reason === 'signal') return undefined; // not of SCIM: the connection works
  if (reason !== 'request') return 'test';
  const [method = '', resource = '', status = ''] = hint.split(' ');
  if (method === 'GET' && status === '404') return undefined;
  if (resource === '/Groups') return 'group';
  if (resource !== '/Users' || method === 'GET') return 'test';
  if (method === 'POST') return 'person';
  return method === 'DELETE' ? 'deactivation' : 'change';
}

export function obstacleOf(org: Pick<Tenant, 'disabledAt' | 'settings' | 'isScimEnabled'>): Obstacle | undefined {
  if (org.disabledAt !== undefined) return 'org_off';
  if (!isInPlan(org.settings)) return 'plan';
  return org.isScimEnabled ? undefined : 'scim_off';
}

/** @param refusals the latest first. */
export function stepsOf(tenant: Tenant, evidence: Evidence, refusals: readonly Refusal[]): Step[] {
  const { settings } = tenant;
  const obstacle = obstacleOf(tenant);
  const { used, deeds, credentials } = evidence;
  const lastAt = Math.max(used?.at ?? 0, ...Object.values(deeds).map((proof) => proof.lastAt));
  const isOver = ({ reason }: Refusal) =>
    ((reason === 'disabled' || reason === 'plan') && obstacle === undefined) || reason === 'missing';
  const faultOf = (name: StepName, since: number) =>
    refusals.find((one) => stepOfRefusal(one) === name && one.lastAt > since && !isOver(one));

  const steps: Step[] = [{ name: 'idp', state: settings.idp ? 'works' : 'waiting' }];
  if (settings.ssoRequired) steps.push({ name: 'sso', state: settings.sso ? 'works' : 'waiting' });
  const [newest] = credentials;
  const isConnected = obstacle === undefined && (newest !== undefined || evidence.oauthClients > 0);
  steps.push({
    name: 'connect',
    state: isConnected ? 'works' : obstacle === 'plan' || obstacle === 'org_off' ? 'failed' : 'waiting',
    at: newest?.createdAt,
    obstacle,
  });
  const refused = faultOf('test', lastAt);
  const tested = { name: 'test', client: refused?.client ?? used?.client, refusal: refused } as const;
  if (refused) steps.push({ ...tested, state: 'failed', at: refused.lastAt });
  else steps.push({ ...tested, state: lastAt > 0 ? 'works' : 'waiting', at: lastAt || undefined });
  for (const name of ['person', 'change', 'deactivation', 'group'] as const) {
    const proof = deeds[name];
    const refusal = faultOf(name, proof?.lastAt ?? 0);
    const state = refusal ? 'failed' : proof ? 'works' : 'waiting';
    steps.push({
      name,
      state,
      at: refusal?.lastAt ?? proof?.firstAt,
      proof,
      refusal,
      client: refusal?.client ?? proof?.client,
    });
  }
  if (evidence.unlinked > 0) steps.push({ name: 'accounts', state: 'waiting' });
  return steps;
}

/** Whether people arrive: what may still come, comes by itself. */
export const isFinished = (steps: readonly Step[]): boolean =>
  steps.every(({ name, state }) => ['change', 'deactivation', 'group', 'accounts'].includes(name) || state === 'works');
