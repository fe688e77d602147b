/** What this Worker is bound to: wrangler.toml. */
import { env as bound } from 'cloudflare:workers';
import type { SessionsBinding } from 'scim-worker/mirror';
import type { FlagReader, StrictSource } from 'scim-worker/sessions';

/** What is used of the entrypoint `Sessions`. */
interface SessionsService extends StrictSource, SessionsBinding {
  resolve(question: { org: string; id?: string; userName?: string; email?: string }): PromiseLike<Resolved>;
}

export type Resolved = Person | { readonly found: false; readonly ambiguous?: true };

export interface Person {
  readonly found: true;
  readonly id: string;
  readonly userName: string;
  readonly active: boolean;
  readonly displayName: string | null;
  readonly groups: readonly { readonly displayName: string }[];
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  readonly org: { readonly id: string; readonly slug: string };
}

interface Env {
  readonly REVOCATIONS: FlagReader;
  readonly SESSIONS: SessionsService;
  /** The entrypoint `Admin`: the admin API without a public address. */
  readonly ADMIN: { fetch(request: Request): Promise<Response> };
  /** This Worker's own database. */
  readonly DATABASE: D1Database;
  /** The objects of mirror.ts. */
  readonly MIRROR: { getByName(org: string): { follow(org: string): Promise<void> } };
  /** `acme,globex`; unset: none is followed. */
  readonly MIRROR_ORGS?: string;
  readonly SCIM_URL: string;
  readonly COOKIE_SECRET?: string;
}

export const env = bound as unknown as Env;
