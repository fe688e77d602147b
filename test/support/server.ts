// A real Worker in real workerd behind a real port, for tests that speak HTTP from plain Node: the wire, the whole
// stack and several orgs at once. Storage is in memory and ends with the server.
import { inject } from 'vitest';
import { flagKey } from '../../src/sessions/flag.ts';
import { serveWorker } from './served-worker.mjs';

declare module 'vitest' {
  interface ProvidedContext {
    /** The folder of the Worker that packed-worker.mjs has built. */
    packedWorker: string;
  }
}

const adminToken = 'test-admin-token-0123456789abcdef';
export const hostToken = 'test-host-token-0123456789abcdef';

export interface Server {
  /** Without a slash at the end. */
  readonly url: string;
  /** The administrator's door, without its prefix: `admin('GET', '/orgs')`. @throws unless it answers 2xx. */
  admin<T>(method: string, path: string, body?: unknown): Promise<T>;
  /** Creates an org, enables its SCIM and generates its token. */
  newOrg(slug: string): Promise<TestOrg>;
  /** Whether a session issued at that instant (epoch milliseconds) is good, as D1 knows it. */
  checkSession(slug: string, userId: string, issuedAt: number): Promise<{ valid: boolean; reason: string }>;
  deleteOrg(slug: string): Promise<void>;
  /** Ends every session of the org; everybody stays active. */
  signOutOrg(slug: string): Promise<void>;
  /** Sends a request to another Worker that runs beside the service; it sees whatever host the address has. */
  fetchFrom(worker: string, url: string, init?: RequestInit): Promise<Response>;
  /** Takes a flag out of KV, as if it had not arrived where the host app is. */
  loseFlag(orgId: string, userId: string): Promise<void>;
  stop(): Promise<void>;
}

/** A Worker that runs beside the service, on the same storage. */
export interface Neighbour {
  readonly configPath: URL;
  readonly secrets: Record<string, string>;
}

export interface TestOrg {
  readonly slug: string;
  readonly id: string;
  readonly token: string;
  /** The SCIM base URL. */
  readonly baseUrl: string;
}

/** A start costs about a second: share a server between tests, and give each test an org of its own. */
export const startServer = (...beside: Neighbour[]): Promise<Server> => startServerWith({}, ...beside);

/** @param variables of the service, beside those that every test needs. */
export async function startServerWith(variables: Record<string, string>, ...beside: Neighbour[]): Promise<Server> {
  const service = await serveWorker(
    inject('packedWorker'),
    {
      ADMIN_TOKEN: adminToken,
      HOST_TOKEN: hostToken,
      WEBHOOK_KEY: 'test-webhook-key-0123456789abcdef',
      // The keys of the tests' issuers are on this machine, and so are receivers of webhooks.
      ALLOW_LOOPBACK_JWKS: 'true',
      ALLOW_LOOPBACK_WEBHOOKS: 'true',
      ...variables,
    },
    beside,
  );
  const { url, fetchFrom, stop } = service;
  return {
    ...{ url, fetchFrom, stop },
    ...callsTo(url),
    loseFlag: (orgId, userId) => service.deleteFlag(flagKey(orgId, userId)),
  };
}

function callsTo(url: string): Omit<Server, 'url' | 'fetchFrom' | 'loseFlag' | 'stop'> {
  async function admin<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await fetch(`${url}/admin/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${method} /admin/v1${path} answered ${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as T;
  }
  return {
    admin,
    async newOrg(slug) {
      const { id } = await admin<{ id: string }>('POST', '/orgs', { slug });
      await admin('POST', `/orgs/${slug}/scim`, { enabled: true });
      const { token } = await admin<{ token: string }>('POST', `/orgs/${slug}/tokens`, {});
      return { slug, id, token, baseUrl: `${url}/scim/v2` };
    },
    checkSession(slug, user, issuedAt) {
      const query = new URLSearchParams({ user, issuedAt: String(issuedAt) });
      return admin('GET', `/orgs/${slug}/sessions/check?${query}`);
    },
    async deleteOrg(slug) {
      await admin('DELETE', `/orgs/${slug}?confirm=${slug}`);
    },
    async signOutOrg(slug) {
      await admin('POST', `/orgs/${slug}/sign-out`, {});
    },
  };
}
