/** Lists and searches (RFC 7644 §3.4.2, §3.4.3): /Users, /Users/.search, and across all resource types from the root. */
import { type Context, Hono } from 'hono';
import { queryUsers } from '../../provisioning/users';
import { listResponse } from '../../scim/list';
import { project } from '../../scim/projection';
import { queryOf, searchFromBody, searchFromUrl } from '../../scim/query';
import { represent } from '../../scim/representation';
import { userType } from '../../scim/schema/types';
import { readJson } from '../body';
import type { App } from '../context';
import { allowOnly } from '../method';
import { scimJson } from '../respond';

export const search = new Hono<App>();

// Users are the only resource type there is.
search.get('/', (c) => searchUsers(c, 'url'));
search.all('/', allowOnly('GET'));
search.post('/.search', (c) => searchUsers(c, 'body'));
search.all('/.search', allowOnly('POST'));

/** @param from where the question stands. */
export async function searchUsers(c: Context<App>, from: 'url' | 'body'): Promise<Response> {
  const asked = from === 'url' ? searchFromUrl(new URL(c.req.url).searchParams) : searchFromBody(await readJson(c));
  const query = queryOf(userType, asked);
  const { org } = c.var;
  const { total, users } = await queryUsers(org, query);
  const resources = users.map((user) => project(userType, represent(userType, user, org.baseUrl), query.projection));
  return scimJson(c, listResponse(resources, total, query.startIndex));
}
