/** The pages of one org. */
import { Hono } from 'hono';
import { activity } from './activity';
import { attributes } from './attributes';
import { switchScim } from './changes';
import { credentials } from './credentials';
import { domains } from './domains';
import { readForm } from './form';
import { groups } from './groups';
import { held } from './held';
import { pathOf } from './layout';
import { overview } from './overview';
import { people } from './people';
import { setUp } from './set-up';
import { switchOff } from './switch-off';
import { expectMay, orgOf, type PortalApp } from './visit';

export const orgPages = new Hono<PortalApp>();

orgPages.post('/scim', async (c) => {
  const form = await readForm(c);
  const org = orgOf(c);
  const tenant = await org.store.verify();
  expectMay(c.var.visit, tenant, 'scim');
  const enabled = form('enabled') === 'true';
  const why = await switchScim(org, enabled);
  const back = form('back') === 'set-up/connect' ? 'set-up/connect' : '';
  return c.redirect(`${pathOf(tenant.slug, back)}?done=${why ?? (enabled ? 'on' : 'off')}`, 303);
});

orgPages.route('/set-up', setUp);
orgPages.route('/credentials', credentials);
orgPages.route('/people', people);
orgPages.route('/groups', groups);
orgPages.route('/attributes', attributes);
orgPages.route('/activity', activity);
orgPages.route('/domains', domains);
orgPages.route('/held', held);
orgPages.route('/switch-off', switchOff);
orgPages.route('/', overview);
