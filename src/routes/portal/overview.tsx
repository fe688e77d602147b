/** How the org's provisioning is doing. */
import { Hono } from 'hono';
import { render } from './layout';
import { Card } from './parts';
import { orgOf, type PortalApp } from './visit';

export const overview = new Hono<PortalApp>();

overview.get('/', async (c) => {
  const { texts } = c.var.visit;
  const tenant = await orgOf(c).store.verify();
  return render(c, { name: 'overview', title: texts.titles.overview, tenant }, <Card>{tenant.userCount}</Card>);
});
