/**
 * Authorization header -> a presented credential. No D1 call: the check itself rides in the first batch of the work
 * (store/open.ts), and here it is made sure that no answer leaves without that check.
 */
import { createMiddleware } from 'hono/factory';
import { hashOf, isWellFormed } from '../credentials/secret';
import { unauthorized } from '../scim/error';
import { type App, actorOf, orgFor } from './context';

/**
 * `Bearer <token>`, `<token>` alone (Okta's Header template sends it verbatim), or a token behind another scheme's name
 * (Ping's header type is free text). Whatever is wrong with it, the caller hears the same 401.
 */
async function presented(header: string | undefined): Promise<string> {
  const token = /^\s*(?:[\w-]+\s+)?(\S+)\s*$/.exec(header ?? '')?.[1];
  if (token === undefined || !(await isWellFormed(token))) throw unauthorized();
  return hashOf(token);
}

/** The IdP's door. A slug in the path must be that of the credential's org, or the credential is no good here. */
export const authenticate = createMiddleware<App>(async (c, next) => {
  const hash = await presented(c.req.header('Authorization'));
  const slug = c.req.param('slug');
  // Not cut from the path, which may be written with escapes (`/%73cim/v2`).
  const baseUrl = `${new URL(c.req.url).origin}${slug === undefined ? '' : `/orgs/${slug}`}/scim/v2`;
  c.set('org', orgFor(c, { kind: 'credential', hash, slug }, actorOf(c, 'idp'), baseUrl));
  await next();
  // Where nothing was read (a 404, a body that is not JSON, a discovery page), a bad credential still hears its 401.
  if (c.var.org.store.isChecked) return;
  try {
    await c.var.org.store.verify();
  } catch (refusal) {
    c.res = undefined; // or Hono would keep its headers: the Allow of a 405 tells a stranger which paths there are
    throw refusal;
  }
});
