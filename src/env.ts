/** The Worker's bindings, and its variables checked and typed once. */
import type { OrgCoordinator } from './coordinator';
import type { Region } from './store/open';

export interface Env {
  readonly DB: D1Database;
  readonly REVOCATIONS: KVNamespace;
  readonly ORG_COORDINATOR: DurableObjectNamespace<OrgCoordinator>;
  /** Requests a second that an org may send (routes/brakes.ts); one that is missing is no brake. */
  readonly RATE_25?: RateLimit;
  readonly RATE_100?: RateLimit;
  readonly RATE_500?: RateLimit;
  /** Failed authentications, by address. */
  readonly FAILED_AUTH?: RateLimit;
  /** Seconds. */
  readonly SESSION_MAX_AGE?: string;
  /** Where the service is reached from outside; absent: the address of the request. */
  readonly PUBLIC_URL?: string;
  /** A page for people about SCIM in the vendor's product; absent: the service's own page, /help. */
  readonly DOCUMENTATION_URL?: string;
  /** The label of the region that this host serves; unset: any org's. */
  readonly REGION?: string;
  /** JSON: where each region is served, `{"us":"https://us.scim.example.com", …}`. */
  readonly REGION_URLS?: string;
  /** Where Durable Objects run and store (`eu`, `us`, …); unset: anywhere. Another one means other objects. */
  readonly DO_JURISDICTION?: string;
  /** Unset: /admin/v1 does not exist. */
  readonly ADMIN_TOKEN?: string;
  /** Unset: /sessions/v1 does not exist. */
  readonly HOST_TOKEN?: string;
}

export interface Settings {
  /** The longest life of a host-app session, in seconds. */
  readonly sessionMaxAge: number;
  /** Without a slash at the end. */
  readonly publicUrl: string | undefined;
  readonly documentationUrl: string | undefined;
  /** Absent: orgs of every region are served. */
  readonly region: Region | undefined;
  readonly adminToken: string | undefined;
  readonly hostToken: string | undefined;
}

/** As part of a host name would be written. */
export const REGION_LABEL = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;

/** @throws Error naming the variable that is wrong: a service set up wrongly must not answer at all. */
export function settings(env: Env): Settings {
  jurisdictionOf(env);
  const sessionMaxAge = Number(env.SESSION_MAX_AGE ?? 30 * 24 * 3600);
  if (!Number.isInteger(sessionMaxAge) || sessionMaxAge < 60) {
    throw new Error('SESSION_MAX_AGE: a number of seconds, at least 60, was expected');
  }
  return {
    sessionMaxAge,
    publicUrl: env.PUBLIC_URL ? addressOf(env.PUBLIC_URL) : undefined,
    documentationUrl: env.DOCUMENTATION_URL ? new URL(env.DOCUMENTATION_URL).href : undefined,
    region: regionOf(env),
    adminToken: env.ADMIN_TOKEN || undefined,
    hostToken: env.HOST_TOKEN || undefined,
  };
}

const JURISDICTIONS: readonly DurableObjectJurisdiction[] = ['eu', 'us', 'fedramp', 'fedramp-high'];

function jurisdictionOf({ DO_JURISDICTION: label }: Pick<Env, 'DO_JURISDICTION'>) {
  if (!label) return undefined;
  const found = JURISDICTIONS.find((one) => one === label);
  if (!found) throw new Error(`DO_JURISDICTION: one of ${JURISDICTIONS.join(', ')} was expected`);
  return found;
}

/**
 * The one line of an org, in the jurisdiction of this deployment.
 *
 * @throws Error naming the variable that is wrong.
 */
export function coordinatorOf(
  env: Pick<Env, 'ORG_COORDINATOR' | 'DO_JURISDICTION'>,
  orgId: string,
): DurableObjectStub<OrgCoordinator> {
  const jurisdiction = jurisdictionOf(env);
  // Not asked for without one: workerd, on a developer's machine, knows no jurisdictions.
  const namespace = jurisdiction === undefined ? env.ORG_COORDINATOR : env.ORG_COORDINATOR.jurisdiction(jurisdiction);
  return namespace.getByName(orgId);
}

const addressOf = (url: string) => new URL(url).href.replace(/\/+$/, '');

function regionOf({ REGION: label, REGION_URLS: urls }: Env): Region | undefined {
  if (!label) return undefined;
  if (!REGION_LABEL.test(label)) throw new Error('REGION: a label such as us or eu was expected');
  try {
    const pairs = Object.entries(JSON.parse(urls || '{}') as Record<string, string>);
    return { label, urls: new Map(pairs.map(([region, url]) => [region, addressOf(url)])) };
  } catch {
    throw new Error('REGION_URLS: JSON was expected, {"us": "https://us.scim.example.com"}');
  }
}
