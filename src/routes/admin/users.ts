/** The org's users, as the administrator sees them: SCIM's representation, and when their sessions were last ended. */
import { Hono } from 'hono';
import type { TypedOrg } from '../../provisioning/org';
import { underTypes } from '../../provisioning/schemas';
import { searchUsers } from '../../provisioning/search';
import { notFound } from '../../scim/error';
import { project } from '../../scim/projection';
import { searchFromUrl } from '../../scim/query';
import { represent } from '../../scim/representation';
import { findUser, type StoredUser } from '../../store/users';
import type { App } from '../context';
import { orgOf } from './respond';

export const users = new Hono<App>();

users.get('/', (c) => {
  const search = searchFromUrl(new URL(c.req.url).searchParams);
  return underTypes(orgOf(c), async (org) => {
    const { total, resources, paging } = await searchUsers(org, search);
    return c.json({
      totalResults: total,
      ...paging,
      itemsPerPage: resources.length,
      users: resources.map(({ stored }) => shownUser(org, stored as StoredUser)),
    });
  });
});

users.get('/:user', (c) =>
  underTypes(orgOf(c), async (org) => {
    const user = await findUser(org.store, c.req.param('user'));
    if (user === undefined) throw notFound('User');
    return c.json(shownUser(org, user));
  }),
);

const shownUser = ({ types, baseUrl }: TypedOrg, user: StoredUser) => ({
  ...project(types.user, represent(types.user, user, baseUrl), {}),
  notBefore: user.notBefore === undefined ? null : new Date(user.notBefore).toISOString(),
});
