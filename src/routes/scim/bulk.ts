/** /Bulk (RFC 7644 §3.7). */
import { type Context, Hono } from 'hono';
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
  const results = await underTypes(c.var.org, (org) => performBulk(org, request));
  c.set(
    'operations',
    results.map(({ operation: { method, path }, status, error }) => ({ method, path, status, error })),
  );
  return scimJson(c, {
    schemas: [BULK_RESPONSE],
    Operations: results.map((result) => shown(result, c.var.org.baseUrl)),
  });
});
bulk.all('/', allowOnly('POST'));

/** §3.7.3: a POST that failed has no location; any other operation's is where its path leads. */
function shown({ operation, status, location, version, error }: BulkResult, baseUrl: string): JsonObject {
  const { method, path, bulkId } = operation;
  const where = location ?? (method === 'POST' ? undefined : `${baseUrl}${path}`);
  return {
    method,
    ...(bulkId !== undefined && { bulkId }),
    ...(where !== undefined && { location: where }),
    ...(version !== undefined && { version }),
    status: String(status),
    ...(error && { response: errorBody(error) }),
  };
}
