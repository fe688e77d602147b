/** Writes that others may overtake between their read and their commit (promise 5). */
import { unavailable } from '../scim/error';

/** How often a write is tried again from its read when others change the same resource at the same time. */
const ATTEMPTS = 25;
/** Milliseconds. */
const LONGEST_PAUSE = 1_000;

/**
 * @param attempt gives undefined when it was overtaken: nothing has happened, and it may be made again.
 * @throws ScimError 503 with Retry-After after too many attempts; never loses an update.
 */
export async function retried<T>(attempt: () => Promise<T | undefined>): Promise<T> {
  for (let i = 0; i < ATTEMPTS; i++) {
    const done = await attempt();
    if (done !== undefined) return done;
    // Ever further apart from each other, or the same requests meet again.
    await new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(10 * 2 ** i, LONGEST_PAUSE)));
  }
  throw unavailable('Many requests change this resource at once: try again');
}
