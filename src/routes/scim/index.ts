/** The SCIM API, /scim/v2 (RFC 7644 §3.2): every path behind the credential check, every answer SCIM JSON. */
import { Hono } from 'hono';
import { notFound, ScimError } from '../../scim/error';
import { mediaTypesOf } from '../../scim/quirks';
import { authenticate } from '../access/authenticate';
import type { App } from '../context';
import { bulk } from './bulk';
import { discovery } from './discovery';
import { groups } from './groups';
import { quirksOfPath } from './path';
import { search } from './search';
import { users } from './users';

export const scim = new Hono<App>();

scim.use(authenticate);
scim.use(async (c, next) => {
  const quirks = [
    ...quirksOfPath(c.req.raw, c.req.path),
    ...(mediaTypesOf(c.req.header('Content-Type')).length > 1 ? (['repeated-media-type'] as const) : []),
  ];
  if (quirks.length > 0) c.set('org', { ...c.var.org, actor: { ...c.var.org.actor, quirks } });
  await next();
});
scim.route('/Users', users);
scim.route('/Groups', groups);
scim.route('/Bulk', bulk);
scim.route('/', search);
scim.route('/', discovery);

// RFC 7644 §3.11: a token stands for an org, not for a person.
scim.all('/Me', () => {
  throw new ScimError(501, undefined, '/Me is not supported: the credential belongs to an organization, not to a user');
});

scim.all('*', () => {
  throw notFound('Endpoint');
});
