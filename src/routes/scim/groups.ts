/** /Groups (RFC 7644 §3.3 to §3.6). A handler parses, calls, answers. */
import { type Context, Hono } from 'hono';
import { createGroup, deleteGroup, getGroup, patchGroup, replaceGroup } from '../../provisioning/groups';
import { searchGroups } from '../../provisioning/search';
import { parseTags } from '../../scim/etag';
import { isAskedFor, isWanted, type Projection } from '../../scim/projection';
import { projectionFromUrl } from '../../scim/query';
import { groupType } from '../../scim/schema/types';
import type { StoredGroup } from '../../store/groups';
import { readJson } from '../body';
import type { App } from '../context';
import { allowOnly } from '../method';
import { respondIfChanged, respondWith } from '../respond';
import { answerSearch } from './search';

export const groups = new Hono<App>();

const asked = (c: Context<App>): Projection => projectionFromUrl(groupType, new URL(c.req.url).searchParams);
const ifMatch = (c: Context<App>) => parseTags(c.req.header('If-Match'));
const answer = (c: Context<App>, group: StoredGroup, projection: Projection, status?: 201) =>
  respondWith(c, groupType, group, c.var.org.baseUrl, projection, status);

/** RFC 7644 §3.5.2: 200 with the group, or 204 where it would be large and nothing of it was asked for. */
function answerChange(c: Context<App>, group: StoredGroup, projection: Projection): Response {
  const isLeftOut = group.members === undefined && group.memberCount > 0 && isWanted(projection, 'members');
  if (!isLeftOut || isAskedFor(projection)) return answer(c, group, projection);
  return c.body(null, 204, { ETag: answer(c, group, projection).headers.get('ETag')! });
}

groups.get('/', (c) => answerSearch(c, 'url', searchGroups));
groups.post('/', async (c) => {
  const projection = asked(c);
  return answer(c, await createGroup(c.var.org, await readJson(c)), projection, 201);
});
groups.all('/', allowOnly('GET', 'POST'));

groups.post('/.search', (c) => answerSearch(c, 'body', searchGroups));
groups.all('/.search', allowOnly('POST'));

groups.get('/:id', async (c) => {
  const projection = asked(c);
  const group = await getGroup(c.var.org, c.req.param('id'), projection);
  return respondIfChanged(c, group.version, answer(c, group, projection));
});
groups.put('/:id', async (c) => {
  const projection = asked(c);
  const body = await readJson(c);
  return answerChange(c, await replaceGroup(c.var.org, c.req.param('id'), body, ifMatch(c), projection), projection);
});
groups.patch('/:id', async (c) => {
  const projection = asked(c);
  const body = await readJson(c);
  return answerChange(c, await patchGroup(c.var.org, c.req.param('id'), body, ifMatch(c), projection), projection);
});
groups.delete('/:id', async (c) => {
  await deleteGroup(c.var.org, c.req.param('id'), ifMatch(c));
  return c.body(null, 204);
});
groups.all('/:id', allowOnly('GET', 'PUT', 'PATCH', 'DELETE'));
