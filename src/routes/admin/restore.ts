/** A user whom the identity provider has deleted is brought back by the operator. */
import { Hono } from 'hono';
import * as z from 'zod';
import { restoreUser } from '../../provisioning/restore';
import { underTypes } from '../../provisioning/schemas';
import type { App } from '../context';
import { body } from '../validator';
import { by, orgOf, reason } from './respond';
import { shownUser } from './users';

export const restore = new Hono<App>();

restore.post('/', body(z.strictObject({ by, reason })), (c) =>
  underTypes(orgOf(c), async (org) => {
    const { by = c.var.by, reason } = c.req.valid('json');
    const { user, isPublished } = await restoreUser(org, c.req.param('id') ?? '', { by, reason });
    return c.json({ ...shownUser(org, user), published: isPublished });
  }),
);
