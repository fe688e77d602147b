/** What a refused caller hears, which tells nothing, and what is noted of it for the org's administrator. */
import type { Context } from 'hono';
import type { Refused } from '../credentials/refusal';
import { Tally } from '../credentials/tally';
import { type ScimError, tooManyRequests, unauthorized } from '../scim/error';
import { failedTooOften } from './brakes';
import { type App, actorOf, addressOf, inBackground } from './context';

/** Of this isolate. */
export const tally = new Tally();

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
  inBackground(c, tally.add(c.env.DB, occurrence));
}

/**
 * Notes it. @returns what the caller hears: the same 401 whatever the reason, or 429 when too much was refused to this
 * address of late.
 */
export async function refusalFor(c: Context<App>, refused: Refused): Promise<ScimError> {
  const seconds = await failedTooOften(c);
  noteRefusal(c, refused);
  return seconds === undefined
    ? unauthorized()
    : tooManyRequests('Too many requests without a valid credential: try again later', seconds);
}
