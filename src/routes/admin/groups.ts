/** The org's groups as the application's roles: who is in them is the identity provider's, what they allow the administrator's. */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import { underTypes } from '../../provisioning/schemas';
import { notFound } from '../../scim/error';
import { queryOf } from '../../scim/query';
import { isSame } from '../../scim/resource';
import { Unmet } from '../../store/d1/batch';
import {
  findGroup,
  type GroupWithPermissions,
  listWithPermissions,
  setPermissions,
} from '../../store/directory/permissions';
import type { App } from '../context';
import { iso } from '../instants';
import { body } from '../validator';
import { orgOf, searchOf } from './respond';

const MAX_PERMISSIONS = 100;
/** Words that an application compares. A comma parts them on a command line, so none has one. */
export const permission = z
  .string('a string was expected')
  .check(
    z.maxLength(100, 'at most 100 characters are accepted'),
    z.regex(/^[A-Za-z0-9._:/*-]+$/, 'letters a-z, digits and . _ : / * - were expected'),
  );
const permissions = z.pipe(
  z
    .array(permission, 'a list of strings was expected')
    .check(z.maxLength(MAX_PERMISSIONS, `at most ${MAX_PERMISSIONS} are accepted`)),
  z.transform((words) => [...new Set(words)].sort()),
);

export const groups = new Hono<App>();

groups.get('/', async (c) => {
  const search = searchOf(c);
  const { total, groups: found } = await underTypes(orgOf(c), ({ store, types, baseUrl }) =>
    listWithPermissions(store, queryOf(types.group, search, [], undefined, baseUrl), baseUrl),
  );
  return c.json({
    totalResults: total,
    startIndex: search.startIndex,
    itemsPerPage: found.length,
    groups: found.map(shownGroup),
  });
});

groups.get('/:group', async (c) => {
  const found = await findGroup(orgOf(c).store, c.req.param('group'));
  if (found === undefined) throw notFound('Group');
  const members = (found.group.members ?? []).map(({ id, type, display }) => ({ id, type, display }));
  return c.json({ ...shownGroup(found), members });
});

groups.put('/:group/permissions', body(z.strictObject({ permissions })), async (c) => {
  const { store, actor } = orgOf(c);
  const { permissions } = c.req.valid('json');
  const found = await findGroup(store, c.req.param('group'));
  if (found === undefined) throw notFound('Group');
  if (isSame([...found.permissions], permissions)) return c.json(shownGroup(found));
  try {
    return c.json(shownGroup(await setPermissions(store, found.group.id, permissions, actor)));
  } catch (error) {
    throw error instanceof Unmet && error.expectation === 'found' ? notFound('Group') : error;
  }
});

const shownGroup = ({
  group: { id, resource, memberCount, createdAt, modifiedAt },
  permissions,
}: GroupWithPermissions) => ({
  id,
  displayName: resource['displayName'],
  externalId: resource['externalId'] ?? null,
  memberCount,
  permissions,
  created: iso(createdAt),
  lastModified: iso(modifiedAt),
});
