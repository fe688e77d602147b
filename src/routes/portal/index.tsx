/**
 * The portal: pages for a customer's administrator, and for the vendor's own. They call what the admin API calls, and have no
 * rule of their own but who may see and change what (visit.ts).
 */
import { type Context, Hono } from 'hono';
import { createMiddleware } from 'hono/factory';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { Misconfigured, settings } from '../../env';
import { ScimError } from '../../scim/error';
import { Busy } from '../../store/d1/batch';
import { databaseOf } from '../../store/d1/databases';
import { endSession } from '../../store/portal/sessions';
import { misconfigured } from '../access/guard';
import { vendorConsole } from './console';
import { readForm } from './form';
import { alone, pathOf } from './layout';
import { open } from './open';
import { orgPages } from './org-pages';
import { headers } from './policy';
import { languageOf, type Texts, textsIn } from './texts';
import { cookieOf, deadLink, dropCookie, notHere, type PortalApp, PortalRefusal, visitOf } from './visit';

export const portal = new Hono<PortalApp>();

const inSession = createMiddleware<PortalApp>(async (c, next) => {
  c.set('visit', await visitOf(c));
  await next();
});

portal.use(headers);

portal.get('/', inSession, (c) => {
  const { scope, session } = c.var.visit;
  return c.redirect(scope === 'operator' ? '/portal/orgs' : pathOf(session.slug), 302);
});

portal.post('/end', inSession, async (c) => {
  await readForm(c);
  const cookie = await cookieOf(c);
  if (cookie) await endSession(databaseOf(c.env, cookie.orgId), cookie.orgId, cookie.hash);
  dropCookie(c);
  return c.redirect('/portal', 303);
});

portal.use('/orgs/*', inSession);
portal.route('/orgs', vendorConsole);
portal.route('/orgs/:slug', orgPages);
portal.all('/orgs/*', () => {
  throw notHere();
});
portal.route('/', open);
portal.all('*', () => {
  throw deadLink();
});

portal.onError((error, c) => {
  const { why, status } = meaning(error, c);
  const { title, text } = textsIn(languageOf(c)).refused[why];
  const { name } = settings(c.env).portal;
  return alone(
    c,
    { title, status, hasEnded: why === 'ended' },
    <>
      <p role="alert">{text(name)}</p>
      {status === 403 || status === 404 || status >= 500 ? (
        <p>
          <a href="/portal">{textsIn(languageOf(c)).startAgain}</a>
        </p>
      ) : null}
    </>,
  );
});

/** What the rest of the house throws, as a page says it. */
function meaning(error: Error, c: Context<PortalApp>): { why: keyof Texts['refused']; status: ContentfulStatusCode } {
  if (error instanceof PortalRefusal) return error;
  if (error instanceof ScimError && error.status === 404) return { why: 'not_found', status: 404 };
  // 409: the org is being imported.
  if (error instanceof Busy || (error instanceof ScimError && (error.status === 503 || error.status === 409)))
    return { why: 'busy', status: 503 };
  if (error instanceof Misconfigured) {
    misconfigured(error);
    return { why: 'failed', status: 503 };
  }
  console.error(JSON.stringify({ message: 'unexpected error', requestId: c.var.requestId, error: String(error) }));
  return { why: 'failed', status: 500 };
}
