/** Lists and searches (RFC 7644 §3.4.2, §3.4.3), and those across all resource types from the root. */
import { type Context, Hono } from 'hono';
import type { TypedOrg } from '../../provisioning/org';
import { underTypes } from '../../provisioning/schemas';
import { type Found, searchAll } from '../../provisioning/search';
import { listResponse } from '../../scim/list';
import { project } from '../../scim/projection';
import { type Search, searchFromBody, searchFromUrl } from '../../scim/query';
import { represent } from '../../scim/representation';
import { readJson } from '../body';
import type { App } from '../context';
import { allowOnly } from '../method';
import { scimJson } from '../respond';

export const search = new Hono<App>();

search.get('/', (c) => answerSearch(c, 'url', searchAll));
search.all('/', allowOnly('GET'));
search.post('/.search', (c) => answerSearch(c, 'body', searchAll));
search.all('/.search', allowOnly('POST'));

/** @param from where the question stands. */
export async function answerSearch(
  c: Context<App>,
  from: 'url' | 'body',
  find: (org: TypedOrg, search: Search) => Promise<Found>,
): Promise<Response> {
  const asked = from === 'url' ? searchFromUrl(new URL(c.req.url).searchParams) : searchFromBody(await readJson(c, {}));
  const { total, resources, paging } = await underTypes(c.var.org, (org) => find(org, asked));
  const page = resources.map(({ type, stored, projection }) =>
    project(type, represent(type, stored, c.var.org.baseUrl), projection),
  );
  return scimJson(c, listResponse(page, total, paging));
}
