/** The way into the portal: a page with one button. Only the button opens, so that what fetches links in mails opens nothing. */
import { Hono } from 'hono';
import { hashOf, newSecret, OPERATOR } from '../../credentials/secret';
import { settings } from '../../env';
import { ScimError } from '../../scim/error';
import { databaseOf } from '../../store/d1/databases';
import { isLinkGood, type Link, NO_ORG, openLink, operatorLinks } from '../../store/portal/links';
import { SESSION_LIFE } from '../../store/portal/sessions';
import { failedTooOften } from '../access/rate-limits';
import { type App, actorOf } from '../context';
import { storeFor } from '../org';
import { alone } from './layout';
import { languageOf, textsIn } from './texts';
import { deadLink, expectOwnOrigin, keepCookie, PortalRefusal, read } from './visit';

export const open = new Hono<App>();

// Before anything is looked up: a person needs two requests, and a program may try many.
open.use('/:secret', async (c, next) => {
  if ((await failedTooOften(c)) !== undefined) throw new PortalRefusal('too_many', 429);
  await next();
});

open.get('/:secret', async (c) => {
  const link = await read(c.req.param('secret'), 'portal_link');
  if (!link || !(await isLinkGood(databaseOf(c.env, link.orgId), link.orgId, link.hash, Date.now()))) throw deadLink();
  const { open } = textsIn(languageOf(c));
  return alone(
    c,
    { title: open.title(settings(c.env).portal.name) },
    <>
      <p class="soft">{open.text}</p>
      <form method="post">
        <button class="main" type="submit">
          {open.button}
        </button>
      </form>
    </>,
  );
});

open.post('/:secret', async (c) => {
  expectOwnOrigin(c);
  const asked = await read(c.req.param('secret'), 'portal_link');
  if (!asked) throw deadLink();
  const secret = await newSecret('portal_session', asked.orgId || OPERATOR);
  const session = { hash: await hashOf(secret), expiresAt: Date.now() + SESSION_LIFE };
  const link = await opened(asked.orgId, asked.hash, session);
  if (link === undefined) throw deadLink();
  keepCookie(c, secret);
  return c.redirect('/portal', 303);

  async function opened(
    orgId: string,
    hash: string,
    session: { hash: string; expiresAt: number },
  ): Promise<Link | undefined> {
    if (orgId === NO_ORG) return operatorLinks.open(databaseOf(c.env, NO_ORG), hash, session, Date.now());
    try {
      const store = storeFor(c, { kind: 'id', id: orgId });
      return await openLink(store, hash, session, (contact) => actorOf(c, `portal:${contact}`));
    } catch (error) {
      // The org is gone, or its import is not finished: the same answer.
      if (error instanceof ScimError && (error.status === 404 || error.status === 409)) return undefined;
      throw error;
    }
  }
});
