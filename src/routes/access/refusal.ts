/** The one 401 of a rejected request, which tells nothing, and the reason that is noted for the org's administrator. */
import type { Context } from 'hono';
import type { Refused } from '../../credentials/refusal';
import { RefusalCounter } from '../../credentials/refusal-counter';
import { hashOf, recognise } from '../../credentials/secret';
import { type ScimError, tooManyRequests, unauthorized } from '../../scim/error';
import { type App, actorOf, addressOf, inBackground } from '../context';
import { failedTooOften } from './rate-limits';

/** Of this isolate. */
export const refusalCounter = new RefusalCounter();

/**
 * Counts a refused request for its org, off the answer's path. What names no org is not kept.
 *
 * @param refused with a `reason`, or with the `hash` of what was presented, by which the reason is found.
 * @param count how many of them there were.
 */
export function noteRefusal(c: Context<App>, refused: Refused, count = 1): void {
  const { orgId, hash } = refused;
  // A text that is no slug names no org, and must not take up room.
  const [slug, userName] = [refused.slug, refused.userName].map((it) => it?.slice(0, 64));
  if (!orgId && !slug && !userName && !hash) return;
  const now = Date.now();
  const where = { client: actorOf(c, '').client ?? '', address: addressOf(c) ?? '' };
  const occurrence = { ...refused, slug, userName, ...where, count, firstAt: now, lastAt: now };
  inBackground(c, refusalCounter.add(c.env, occurrence));
}

/**
 * Notes a refusal that cost nothing yet, and counts it for the address it came from. A request that presents nothing is
 * not counted: some HTTP libraries send their credential only after a 401 has asked for it.
 *
 * @returns the answer: the same 401 whatever the reason, or 429 when too many from this address have failed of late.
 */
export async function refusalFor(c: Context<App>, refused: Refused): Promise<ScimError> {
  const seconds = refused.reason === 'missing' ? undefined : await failedTooOften(c);
  return seconds === undefined ? refusedAlready(c, refused) : rateLimitedFor(c, refused, seconds);
}

/**
 * A request at an address that is no part of this service, with a credential of ours: somebody has entered a base URL
 * without /scim/v2. Nothing is checked, and the answer tells nothing.
 */
export async function noteStray(c: Context<App>): Promise<void> {
  const secret = /^\s*(?:bearer\s+)?(\S+)\s*$/i.exec(c.req.header('Authorization')?.slice(0, 500) ?? '')?.[1];
  const recognised = secret === undefined ? undefined : await recognise(secret);
  if (!recognised?.ok || (await failedTooOften(c)) !== undefined) return;
  noteRefusal(c, { reason: 'path', orgId: recognised.orgId, hash: await hashOf(secret!) });
}

/** Notes a refusal of a request that was counted before it was checked. @returns the answer. */
export function refusedAlready(c: Context<App>, refused: Refused): ScimError {
  noteRefusal(c, refused);
  return unauthorized();
}

/** Notes a request that was refused unchecked, for too many from its address have failed. @returns the answer. */
export function rateLimitedFor(c: Context<App>, refused: Refused, seconds: number): ScimError {
  noteRefusal(c, refused);
  return tooManyRequests('Too many requests without a valid credential: try again later', seconds);
}
