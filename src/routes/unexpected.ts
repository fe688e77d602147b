/** What no API knows how to answer: logged once, and answered in the same words by each. */
import type { Context } from 'hono';
import type { App } from './context';

export const SERVICE_FAILED = 'The service failed; the request id is in X-Request-Id';

/** The request id leads from the answer to this line; nothing of the request's content is in either. */
export function logUnexpected(c: Context<App>, error: unknown): void {
  const { requestId } = c.var;
  console.error(JSON.stringify({ message: 'unexpected error', requestId, method: c.req.method, error: String(error) }));
}
