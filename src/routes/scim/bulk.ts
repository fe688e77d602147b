/** /Bulk (RFC 7644 §3.7). */
import { type Context, Hono } from 'hono';
import { settings } from '../../env';
import { type BulkResult, performBulk } from '../../provisioning/bulk';
import { underTypes } from '../../provisioning/schemas';
import { parseBulk } from '../../scim/bulk';
import type { JsonObject } from '../../scim/resource';
import { BULK_RESPONSE } from '../../scim/urns';
import { readJson } from '../body';
import type { App } from '../context';
import { allowOnly } from '../method';
import { errorBody, scimJson } from '../respond';

export const bulk = new Hono<App>();

bulk.post('/', async (c: Context<App>) => {
  const request = parseBulk(await readJson(c));
  const { countedQueries } = settings(c.env);
  const results = await underTypes(c.var.org, (org) => performBulk(org, request, countedQueries));
  c.set(
    'operations',
    results.map(({ operation: { sent }, status, error }) => ({ method: '', path: '', ...sent, status, error })),
  );
  const body = { schemas: [BULK_RESPONSE], Operations: results.map((result) => shown(result, c.var.org.baseUrl)) };
  return scimJson(c, body, 200, retryAfter(results));
});
bulk.all('/', allowOnly('POST'));

/** §3.7.3: a POST that failed has no location; any other operation's is where its path leads. */
function shown({ operation, status, location, version, error }: BulkResult, baseUrl: string): JsonObject {
  const { method, sent, bulkId } = operation;
  const where = location ?? (method === 'POST' || sent.path === undefined ? undefined : `${baseUrl}${sent.path}`);
  return {
    ...(sent.method !== undefined && { method: sent.method }),
    ...(bulkId !== undefined && { bulkId }),
    ...(where !== undefined && { location: where }),
    ...(version !== undefined && { version }),
    status: String(status),
    ...(error && { response: errorBody(error) }),
  };
}

/** When some were refused for want of room or of D1: after how many seconds they may be repeated. */
function retryAfter(results: readonly BulkResult[]): Record<string, string> {
  const seconds = results.map(({ error }) => (error?.status === 503 ? Number(error.headers['Retry-After'] ?? 1) : 0));
  const longest = Math.max(0, ...seconds);
  return longest > 0 ? { 'Retry-After': String(longest) } : {};
}
