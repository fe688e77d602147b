/** What a handler finds on `c.var`, and what every request is given before it is looked at. */
import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import type { Env } from '../env';
import type { Actor } from '../events';
import type { Org } from '../provisioning/org';

export interface Variables {
  requestId: string;
  /** The operator's label. */
  by: string;
  /** The hash of the secret that opened the API, where one did: not behind an entrypoint. */
  openedBy?: string;
  /** The request came over a service binding, where its address means nothing. */
  isBinding?: boolean;
  /** The hash of an application's own token, which the first batch of the work checks. */
  limitedToken?: string;
  org: Org;
  /** The JSON that a SCIM request sent. */
  sent?: unknown;
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

/** A request, or an operation of a bulk request. */
export interface Outcome {
  readonly method: string;
  /** Behind the base URL, as the client wrote it. */
  readonly path: string;
  readonly status: number;
  readonly error?: unknown;
}
