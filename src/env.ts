/** The Worker's bindings, and its variables checked and typed once. */
import type { OrgCoordinator } from './coordinator';

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
  readonly adminToken: string | undefined;
  readonly hostToken: string | undefined;
}

/** @throws Error naming the variable that is wrong: a service set up wrongly must not answer at all. */
export function settings(env: Env): Settings {
  const sessionMaxAge = Number(env.SESSION_MAX_AGE ?? 30 * 24 * 3600);
  if (!Number.isInteger(sessionMaxAge) || sessionMaxAge < 60) {
    throw new Error('SESSION_MAX_AGE: a number of seconds, at least 60, was expected');
  }
  return {
    sessionMaxAge,
    publicUrl: env.PUBLIC_URL ? new URL(env.PUBLIC_URL).href.replace(/\/+$/, '') : undefined,
    adminToken: env.ADMIN_TOKEN || undefined,
    hostToken: env.HOST_TOKEN || undefined,
  };
}
