/** The org's token: issued once, listed by mask, revoked. */
import { Hono } from 'hono';
import * as z from 'zod';
import { ScimError } from '../../scim/error';
import { listTokens } from '../../store/credentials';
import type { App } from '../context';
import { body, orgOf, shownToken } from './respond';

export const tokens = new Hono<App>();

tokens.get('/', async (c) => c.json((await listTokens(orgOf(c).store)).map(shownToken)));

tokens.post('/', body(z.strictObject({ by: z.string().trim().min(1).max(100).optional() })), async (c) => {
  const { store, actor } = orgOf(c);
  const tenant = await store.verify();
  const by = c.req.valid('json').by ?? c.var.by;
  const issue = await c.env.ORG_COORDINATOR.getByName(tenant.id).issueToken(by, actor);
  if (!issue.ok) {
    const mask = issue.current ? ` (${issue.current.mask})` : '';
    throw new ScimError(
      409,
      undefined,
      `${tenant.slug} has a token already${mask}. Replacing it is a rotation, "token rotate", which is not there yet; ` +
        'until then "token revoke" first, and the IdP is refused until it has the new one',
    );
  }
  const { token, ...credential } = issue.issued;
  return c.json({ token, ...shownToken(credential) }, 201);
});

tokens.delete('/', async (c) => {
  const { store, actor } = orgOf(c);
  const tenant = await store.verify();
  const revoked = await c.env.ORG_COORDINATOR.getByName(tenant.id).revokeTokens(c.var.by, actor);
  return c.json({ revoked: revoked.length, tokens: revoked.map(shownToken) });
});
