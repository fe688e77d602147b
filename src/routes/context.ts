/** What a handler finds on `c.var`, and what every request is given before it is looked at. */
import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { coordinatorOf } from '../coordinator-stub';
import { type Env, settings } from '../env';
import type { Actor } from '../events';
import type { Org } from '../provisioning/org';
import type { Caller } from '../store/org/caller';
import { OrgStore } from '../store/org/open';
import type { Outcome } from './access/outcome';

export interface Variables {
  requestId: string;
  /** The operator's label, at the administrator's door. */
  by: string;
  /** The hash of the secret that opened a door, where one did: not behind an entrypoint. */
  openedBy?: string;
  org: Org;
  /** Of a bulk request: what became of its operations. */
  operations?: readonly Outcome[];
}

export type App = { Bindings: Env; Variables: Variables };

/**
 * What every response of every API has: a request id, our own and never the client's, for it goes into the journal; and
 * the word that a browser must not guess another media type.
 */
export const everyResponse = createMiddleware<App>(async (c, next) => {
  c.set('requestId', crypto.randomUUID());
  await next();
  c.res.headers.set('X-Request-Id', c.var.requestId);
  c.res.headers.set('X-Content-Type-Options', 'nosniff');
});

/** Who acts, for the journal. */
export function actorOf(c: Context<App>, name: string): Actor {
  const client = c.req.header('User-Agent')?.slice(0, 200);
  return { name, requestId: c.var.requestId, ...(client && { client }) };
}

/** Where the request comes from: Cloudflare's word, never the client's (X-Forwarded-For). */
export const addressOf = (c: Context<App>): string | undefined => c.req.header('CF-Connecting-IP')?.slice(0, 45);

/** Where the service is reached from outside, without a slash at the end: PUBLIC_URL, or as it was reached just now. */
export const publicUrl = (c: Context<App>): string => settings(c.env).publicUrl ?? new URL(c.req.url).origin;

/** Off the answer's path; it may go on for 30 s after it. A failure is logged and changes no answer. */
export function inBackground(c: Context<App>, work: Promise<unknown>): void {
  c.executionCtx.waitUntil(
    work.catch((error) => {
      console.error(
        JSON.stringify({ message: 'work after the answer failed', requestId: c.var.requestId, error: String(error) }),
      );
    }),
  );
}

/** What this caller may read and write, at this host. */
export const storeFor = (c: Context<App>, caller: Caller, now = Date.now()): OrgStore =>
  new OrgStore(c.env.DB, caller, now, { region: settings(c.env).region });

/**
 * The org that this caller is of, for this request. Nothing is checked yet: the store's first batch does.
 *
 * @param noteRefusal absent: refusals by a policy are not counted, as behind the operator's own door.
 */
export function orgFor(
  c: Context<App>,
  caller: Caller,
  actor: Actor,
  baseUrl: string,
  noteRefusal: Org['noteRefusal'] = () => undefined,
): Org {
  const store = storeFor(c, caller);
  const confirmed = async (publication: () => Promise<unknown>): Promise<unknown> => {
    try {
      return await within(PUBLISH_PATIENCE, publication());
    } catch (error) {
      // The outbox row is committed: the coordinator goes on with it, or the sweep will find it.
      console.error(
        JSON.stringify({
          message: 'the coordinator has not confirmed a publication',
          requestId: actor.requestId,
          error: String(error),
        }),
      );
      return false;
    }
  };
  const coordinator = () => coordinatorOf(c.env, store.tenant.id);
  return {
    store,
    actor,
    baseUrl,
    publish: async (subject) => (await confirmed(() => coordinator().publish(subject))) === true,
    publishPending: async () => void (await confirmed(() => coordinator().drain())),
    publishSoon: async () => void (await confirmed(() => coordinator().publishSoon())),
    noteRefusal,
  };
}

/** Milliseconds. An identity provider gives up after a minute, and then repeats what has long been done. */
const PUBLISH_PATIENCE = 10_000;

async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let timer: number | null = null;
  const patience = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([work, patience]);
  } finally {
    clearTimeout(timer);
  }
}
