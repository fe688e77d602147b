/** /Users (RFC 7644 §3.3 to §3.6). A handler parses, calls, answers. */
import { type Context, Hono } from 'hono';
import { searchUsers } from '../../provisioning/search';
import { createUser, deleteUser, getUser, patchUser, replaceUser } from '../../provisioning/users';
import { parseTags } from '../../scim/etag';
import type { Projection } from '../../scim/projection';
import { projectionFromUrl } from '../../scim/query';
import type { Stored } from '../../scim/resource';
import { userType } from '../../scim/schema/types';
import { readJson } from '../body';
import type { App } from '../context';
import { allowOnly } from '../method';
import { respondIfChanged, respondWith } from '../respond';
import { answerSearch } from './search';

export const users = new Hono<App>();

const asked = (c: Context<App>): Projection => projectionFromUrl(userType, new URL(c.req.url).searchParams);
const ifMatch = (c: Context<App>) => parseTags(c.req.header('If-Match'));
const answer = (c: Context<App>, user: Stored, projection: Projection, status?: 201) =>
  respondWith(c, userType, user, c.var.org.baseUrl, projection, status);

users.get('/', (c) => answerSearch(c, 'url', searchUsers));
users.post('/', async (c) => {
  const projection = asked(c);
  return answer(c, await createUser(c.var.org, await readJson(c)), projection, 201);
});
users.all('/', allowOnly('GET', 'POST'));

users.post('/.search', (c) => answerSearch(c, 'body', searchUsers));
users.all('/.search', allowOnly('POST'));

users.get('/:id', async (c) => {
  const projection = asked(c);
  const user = await getUser(c.var.org, c.req.param('id'));
  return respondIfChanged(c, user.version, answer(c, user, projection));
});
users.put('/:id', async (c) => {
  const projection = asked(c);
  return answer(c, await replaceUser(c.var.org, c.req.param('id'), await readJson(c), ifMatch(c)), projection);
});
users.patch('/:id', async (c) => {
  const projection = asked(c);
  return answer(c, await patchUser(c.var.org, c.req.param('id'), await readJson(c), ifMatch(c)), projection);
});
users.delete('/:id', async (c) => {
  await deleteUser(c.var.org, c.req.param('id'), ifMatch(c));
  return c.body(null, 204);
});
users.all('/:id', allowOnly('GET', 'PUT', 'PATCH', 'DELETE'));
