/** /Groups (RFC 7644 §3.3 to §3.6). A handler parses, calls, answers. */
import { type Context, Hono } from 'hono';
import { createGroup, deleteGroup, getGroup, patchGroup, replaceGroup } from '../../provisioning/groups';
import type { TypedOrg } from '../../provisioning/org';
import { underTypes } from '../../provisioning/schemas';
import { searchGroups } from '../../provisioning/search';
import { parseCondition } from '../../scim/etag';
import { isWanted, type Projection } from '../../scim/projection';
import { projectionFromUrl } from '../../scim/query';
import type { StoredGroup } from '../../store/directory/groups';
import { readJson } from '../body';
import type { App } from '../context';
import { allowOnly } from '../method';
import { respondIfChanged, respondWith } from '../respond';
import { answerSearch } from './search';

export const groups = new Hono<App>();

const asked = (c: Context<App>, { types }: TypedOrg): Projection =>
  projectionFromUrl(types.group, new URL(c.req.url).searchParams);
const ifMatch = (c: Context<App>) => parseCondition(c.req.header('If-Match'));
const answer = (c: Context<App>, org: TypedOrg, group: StoredGroup, projection: Projection, status?: 201) =>
  respondWith(c, org.types.group, group, org.baseUrl, projection, status);

/** Of a PATCH (RFC 7644 §3.5.2): 200 with the group, or 204 where its members are too many for the answer. */
function answerPatch(c: Context<App>, org: TypedOrg, group: StoredGroup, projection: Projection): Response {
  const isLeftOut = group.members === undefined && group.memberCount > 0 && isWanted(projection, 'members');
  if (!isLeftOut) return answer(c, org, group, projection);
  return c.body(null, 204, { ETag: answer(c, org, group, projection).headers.get('ETag')! });
}

groups.get('/', (c) => answerSearch(c, 'url', searchGroups));
groups.post('/', async (c) => {
  const body = await readJson(c);
  return underTypes(c.var.org, async (org) =>
    answer(c, org, await createGroup(org, body, asked(c, org)), asked(c, org), 201),
  );
});
groups.all('/', allowOnly('GET', 'POST'));

groups.post('/.search', (c) => answerSearch(c, 'body', searchGroups));
groups.all('/.search', allowOnly('POST'));

groups.get('/:id', (c) =>
  underTypes(c.var.org, async (org) => {
    const projection = asked(c, org);
    const group = await getGroup(org, c.req.param('id'), projection);
    return respondIfChanged(c, group.version, answer(c, org, group, projection));
  }),
);
groups.put('/:id', async (c) => {
  const body = await readJson(c);
  return underTypes(c.var.org, async (org) => {
    const projection = asked(c, org);
    return answer(c, org, await replaceGroup(org, c.req.param('id'), body, ifMatch(c), projection), projection);
  });
});
groups.patch('/:id', async (c) => {
  const body = await readJson(c);
  return underTypes(c.var.org, async (org) => {
    const projection = asked(c, org);
    return answerPatch(c, org, await patchGroup(org, c.req.param('id'), body, ifMatch(c), projection), projection);
  });
});
groups.delete('/:id', (c) =>
  underTypes(c.var.org, async (org) => {
    await deleteGroup(org, c.req.param('id'), ifMatch(c));
    return c.body(null, 204);
  }),
);
groups.all('/:id', allowOnly('GET', 'PUT', 'PATCH', 'DELETE'));
