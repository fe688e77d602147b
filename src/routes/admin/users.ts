/** The org's users, as the administrator sees them: SCIM's representation, and when their sessions were last ended. */
import { type Context, Hono } from 'hono';
import { searchUsers } from '../../provisioning/search';
import { notFound } from '../../scim/error';
import { project } from '../../scim/projection';
import { searchFromUrl } from '../../scim/query';
import { represent } from '../../scim/representation';
import { userType } from '../../scim/schema/types';
import { findUser, type StoredUser } from '../../store/users';
import type { App } from '../context';
import { orgOf, scimBaseUrl } from './respond';

export const users = new Hono<App>();

users.get('/', async (c) => {
  const search = searchFromUrl(new URL(c.req.url).searchParams);
  const { total, resources, paging } = await searchUsers(orgOf(c), search);
  return c.json({
    totalResults: total,
    ...paging,
    itemsPerPage: resources.length,
    users: resources.map(({ stored }) => shownUser(c, stored as StoredUser)),
  });
});

users.get('/:user', async (c) => {
  const user = await findUser(orgOf(c).store, c.req.param('user'));
  if (user === undefined) throw notFound('User');
  return c.json(shownUser(c, user));
});

const shownUser = (c: Context<App>, user: StoredUser) => ({
  ...project(userType, represent(userType, user, scimBaseUrl(c)), {}),
  notBefore: user.notBefore === undefined ? null : new Date(user.notBefore).toISOString(),
});
