/** The operator restores a user that the identity provider has deleted. */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import { restoreUser } from '../../provisioning/restore';
import { underTypes } from '../../provisioning/schemas';
import { ScimError } from '../../scim/error';
import { deletedWithUserName } from '../../store/directory/subjects';
import { getTombstone } from '../../store/directory/users';
import type { OrgStore } from '../../store/org/open';
import type { App } from '../context';
import { body } from '../validator';
import { by, orgOf, reason } from './respond';
import { shownUser } from './users';

export const restore = new Hono<App>();

restore.post('/', body(z.strictObject({ by, reason })), (c) =>
  underTypes(orgOf(c), async (org) => {
    const { by = c.var.by, reason } = c.req.valid('json');
    const id = await deletedUser(org.store, c.req.param('id') ?? '');
    const { user, isPublished } = await restoreUser(org, id, { by, reason });
    return c.json({ ...shownUser(org, user), published: isPublished });
  }),
);

/** By id, else by userName. @throws ScimError 409 if several deleted users have the userName. */
async function deletedUser(store: OrgStore, idOrUserName: string): Promise<string> {
  if (await getTombstone(store, idOrUserName)) return idOrUserName;
  const [id, another] = await deletedWithUserName(store, idOrUserName);
  if (another !== undefined) {
    throw new ScimError(
      409,
      undefined,
      'Several deleted users have this userName: name the user by id (events show it)',
    );
  }
  return id ?? idOrUserName;
}
