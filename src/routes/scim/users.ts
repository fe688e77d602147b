/** /Users (RFC 7644 §3.3 to §3.6). A handler parses, calls, answers. */
import { type Context, Hono } from 'hono';
import type { TypedOrg } from '../../provisioning/org';
import { underTypes } from '../../provisioning/schemas';
import { searchUsers } from '../../provisioning/search';
import { createUser, deleteUser, patchUser, replaceUser, showUser } from '../../provisioning/users';
import { parseCondition } from '../../scim/etag';
import type { Projection } from '../../scim/projection';
import { projectionFromUrl } from '../../scim/query';
import type { Stored } from '../../scim/resource';
import { readJson } from '../body';
import type { App } from '../context';
import { allowOnly } from '../method';
import { respondIfChanged, respondWith } from '../respond';
import { answerSearch } from './search';

export const users = new Hono<App>();

const asked = (c: Context<App>, { types }: TypedOrg): Projection =>
  projectionFromUrl(types.user, new URL(c.req.url).searchParams);
const ifMatch = (c: Context<App>) => parseCondition(c.req.header('If-Match'));
const answer = (c: Context<App>, org: TypedOrg, user: Stored, status?: 201) =>
  respondWith(c, org.types.user, user, org.baseUrl, asked(c, org), status);

users.get('/', (c) => answerSearch(c, 'url', searchUsers));
users.post('/', async (c) => {
  const body = await readJson(c);
  return underTypes(c.var.org, async (org) => answer(c, org, await createUser(org, body), 201));
});
users.all('/', allowOnly('GET', 'POST'));

users.post('/.search', (c) => answerSearch(c, 'body', searchUsers));
users.all('/.search', allowOnly('POST'));

users.get('/:id', (c) =>
  underTypes(c.var.org, async (org) => {
    const user = await showUser(org, c.req.param('id'), asked(c, org));
    return respondIfChanged(c, user.version, answer(c, org, user));
  }),
);
users.put('/:id', async (c) => {
  const body = await readJson(c);
  return underTypes(c.var.org, async (org) =>
    answer(c, org, await replaceUser(org, c.req.param('id'), body, ifMatch(c))),
  );
});
users.patch('/:id', async (c) => {
  const body = await readJson(c);
  return underTypes(c.var.org, async (org) =>
    answer(c, org, await patchUser(org, c.req.param('id'), body, ifMatch(c))),
  );
});
users.delete('/:id', (c) =>
  underTypes(c.var.org, async (org) => {
    await deleteUser(org, c.req.param('id'), ifMatch(c));
    return c.body(null, 204);
  }),
);
users.all('/:id', allowOnly('GET', 'PUT', 'PATCH', 'DELETE'));
