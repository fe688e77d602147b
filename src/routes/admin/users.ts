/** The org's users, as the administrator sees them: SCIM's representation, and when their sessions were last ended. */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import type { TypedOrg } from '../../provisioning/org';
import { underTypes } from '../../provisioning/schemas';
import { searchUsers } from '../../provisioning/search';
import { notFound } from '../../scim/error';
import { project } from '../../scim/projection';
import { represent } from '../../scim/representation';
import { Unmet } from '../../store/d1/batch';
import { signOutUser } from '../../store/directory/user-changes';
import { findUser, publicationOf, type StoredUser } from '../../store/directory/users';
import type { App } from '../context';
import { iso, shownValidAfter } from '../instants';
import { body } from '../validator';
import { by, orgOf, searchOf } from './respond';

export const users = new Hono<App>();

users.get('/', (c) => {
  const search = searchOf(c);
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

/** Every session of the user issued until now is dead, as far as D1 is asked; `published`: for who asks KV, too. */
users.post('/:user/sign-out', body(z.strictObject({ by })), async (c) => {
  const org = orgOf(c);
  const { by = c.var.by } = c.req.valid('json');
  try {
    const user = await signOutUser(org.store, c.req.param('user'), org.actor, { cause: 'operator', by });
    const published = await org.publish(publicationOf(user));
    const { userName } = user.resource;
    return c.json({ id: user.id, userName, active: user.isActive, ...shownValidAfter(user.validAfter), published });
  } catch (error) {
    throw error instanceof Unmet && error.expectation === 'found' ? notFound('User') : error;
  }
});

export const shownUser = ({ types, baseUrl }: TypedOrg, user: StoredUser) => ({
  ...project(types.user, represent(types.user, user, baseUrl), {}),
  ...shownValidAfter(user.validAfter),
  origin: user.origin,
  linked: iso(user.linkedAt),
  protected: user.isProtected,
});
