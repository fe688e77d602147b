/** The pages of one org. */
import { Hono } from 'hono';
import { switchScim } from './changes';
import { credentials } from './credentials';
import { readForm } from './form';
import { pathOf } from './layout';
import { overview } from './overview';
import { setUp } from './set-up';
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
orgPages.route('/', overview);
