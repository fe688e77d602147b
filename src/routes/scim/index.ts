/** The IdP's door, /scim/v2 (RFC 7644 §3.2): every path behind the credential check, every answer SCIM JSON. */
import { Hono } from 'hono';
import { notFound, ScimError } from '../../scim/error';
import { authenticate } from '../authenticate';
import type { App } from '../context';
import { bulk } from './bulk';
import { discovery } from './discovery';
import { groups } from './groups';
import { search } from './search';
import { users } from './users';

export const scim = new Hono<App>();

scim.use(authenticate);
scim.route('/Users', users);
scim.route('/Groups', groups);
scim.route('/Bulk', bulk);
scim.route('/', search);
scim.route('/', discovery);

// RFC 7644 §3.11: a token stands for an org, not for a person.
scim.all('/Me', () => {
  throw new ScimError(501, undefined, '/Me is not supported: the credential is of an organization, not of a person');
});

scim.all('*', () => {
  throw notFound('Endpoint');
});
