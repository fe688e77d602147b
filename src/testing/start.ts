/** The service for an application's own tests: in memory, on a free port, filled with a seed. */
import { expectKnown } from './options.ts';
import type { PackedWorker } from './packed-worker.ts';
import { openRuntime, type Runtime } from './runtime.ts';
import { checkedOrg, readSeed, type Seed, type SeedOrg } from './seed.ts';
import { type SimulationOptions, type SimulationReport, simulate } from './simulate/index.ts';
import { type AdminCall, AdminError, type ScimOrg, sowOrg } from './sow.ts';

export interface ScimOptions {
  /** The path of a JSON file, or what it holds. */
  readonly seed?: string | Seed;
  /** A folder that keeps the data; an org of the seed that it has already stays as it is. In memory unless told. */
  readonly folder?: string;
  /** A free one unless told. */
  readonly port?: number;
  /** Whether webhooks may go to this machine. True unless told. */
  readonly loopbackWebhooks?: boolean;
  /** Whether the rate limits of a deployment hold. False unless told. */
  readonly rateLimits?: boolean;
  /** More variables of the Worker, such as SESSION_MAX_AGE (docs/operations.md). */
  readonly variables?: Readonly<Record<string, string>>;
  /** Warnings and errors of the Worker. Dropped unless told. */
  readonly onLog?: (message: string) => void;
}

/** A name that is missing here does not compile. */
const OPTIONS = {
  ...{ seed: true, folder: true, port: true, loopbackWebhooks: true, rateLimits: true, variables: true, onLog: true },
} satisfies Record<keyof ScimOptions, true>;

/** The running service. */
export interface Scim {
  /** Without a slash at the end. */
  readonly url: string;
  /** Opens the admin API. */
  readonly adminToken: string;
  /** Opens the sessions API. */
  readonly hostToken: string;
  /** By slug. */
  readonly orgs: Readonly<Record<string, ScimOrg>>;
  /** One more org, such as one for each test. @throws SeedError, also when there is such an org already. */
  addOrg(slug: string, org?: SeedOrg): Promise<ScimOrg>;
  /** Calls the admin API: `admin('POST', '/orgs/acme/sign-out', {})`. @throws AdminError unless it answers 2xx. */
  // biome-ignore lint/suspicious/noExplicitAny: the caller knows what it asks for
  admin<T = any>(method: string, path: string, body?: unknown): Promise<T>;
  /** Plays an identity provider for an org, named by its slug. @throws SimulationError. */
  simulate(options: OrgSimulation): Promise<SimulationReport>;
  /** Runs what Cloudflare runs each minute: retries, expiry, retention. */
  runCron(): Promise<void>;
  /** Ends the service. Data in memory is gone. */
  stop(): Promise<void>;
}

export interface OrgSimulation extends Omit<SimulationOptions, 'scimUrl' | 'token'> {
  readonly org: string;
}

/** The same in each start, so that a folder can be opened again. It protects nothing: the data is a test's. */
const WEBHOOK_KEY = 'scim-worker-testing-webhook-key-0123456789';

/** @throws SeedError; Error when the runtime cannot be started. Nothing keeps running then. */
export async function startService(worker: PackedWorker, options: ScimOptions): Promise<Scim> {
  expectKnown('startScim', options, OPTIONS);
  const seed = await readSeed(options.seed);
  const { port = 0, folder, rateLimits = false, loopbackWebhooks = true, onLog = () => {} } = options;
  const adminToken = newToken();
  const hostToken = newToken();
  const runtime = await openRuntime(worker, {
    ...{ port, folder, rateLimits, onLog },
    variables: {
      ...{ WEBHOOK_KEY, ALLOW_LOOPBACK_JWKS: 'true', ALLOW_LOOPBACK_WEBHOOKS: String(loopbackWebhooks) },
      ...options.variables,
      ...{ ADMIN_TOKEN: adminToken, HOST_TOKEN: hostToken },
    },
  });
  try {
    return await scimOf(runtime, adminToken, hostToken, seed);
  } catch (error) {
    await runtime.stop();
    throw error;
  }
}

async function scimOf(runtime: Runtime, adminToken: string, hostToken: string, seed: Seed): Promise<Scim> {
  const { url } = runtime;
  const admin = adminCall(url, adminToken);
  let stopped: Promise<void> | undefined;
  const orgs: Record<string, ScimOrg> = {};
  for (const [slug, org] of Object.entries(seed.orgs)) orgs[slug] = await sowOrg(admin, slug, org, true);
  return {
    ...{ url, adminToken, hostToken, orgs, admin },
    async addOrg(slug, org = {}) {
      orgs[slug] = await sowOrg(admin, slug, checkedOrg(slug, org));
      return orgs[slug];
    },
    async simulate({ org, ...options }) {
      const found = Object.hasOwn(orgs, org) ? orgs[org] : undefined;
      if (!found) throw new TypeError(`simulate: there is no org ${org}; there are ${Object.keys(orgs).join(', ')}`);
      return simulate({ ...options, scimUrl: found.scimUrl, token: found.token });
    },
    runCron: () => runtime.runCron(),
    stop() {
      stopped ??= runtime.stop();
      return stopped;
    },
  };
}

function adminCall(url: string, token: string): AdminCall {
  return async (method, path, body) => {
    const answer = await fetch(`${url}/admin/v1${path}`, {
      method,
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok)
      throw new AdminError(answer.status, `${method} /admin/v1${path} answered ${answer.status}: ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  };
}

const newToken = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(24)), (byte) => byte.toString(16).padStart(2, '0')).join('');
