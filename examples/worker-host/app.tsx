/**
 * A host app on Workers: people sign in, each request asks whether their session is still good, and who is deactivated is
 * out. Reads are checked fast (KV), whatever changes something strictly (the service).
 */
import { type Context, Hono } from 'hono';
import { csrf } from 'hono/csrf';
import { HTTPException } from 'hono/http-exception';
import { secureHeaders } from 'hono/secure-headers';
import { type CheckedVerdict, sessionChecker } from 'scim-worker/sessions';
import { sessionGuard } from 'scim-worker/sessions/hono';
import { find, personOf, Unavailable } from './directory';
import { env } from './env';
import { colleaguesIn, followDirectory } from './mirror';
import {
  colleaguesPage,
  exportPage,
  messagePage,
  personPage,
  portalPage,
  STYLE,
  signedOutPage,
  signInPage,
} from './pages';
import { mayManage, portalLink } from './portal';
import { clearSession, type HostSession, readSession, SESSION_LIFE, writeSession } from './session';

type Host = { Variables: { session: HostSession; sessionVerdict: CheckedVerdict } };

/** One for the isolate: what it remembers is what `last-known` rests on. */
const checker = sessionChecker<Request>({
  flags: env.REVOCATIONS,
  strict: env.SESSIONS,
  mode: 'auto',
  isSensitive: (request) => request.method !== 'GET',
  onUnavailable: 'last-known',
  sessionMaxAge: SESSION_LIFE,
});

const guard = sessionGuard<Context<Host>>({
  checker,
  async sessionOf(c) {
    const session = await readSession(c);
    if (session) c.set('session', session);
    return session;
  },
  onDead: (c, verdict) => (verdict ? dead(c, verdict) : c.redirect('/sign-in', 303)),
});

function dead(c: Context, { reason, from }: Pick<CheckedVerdict, 'reason' | 'from'>): Response | Promise<Response> {
  // Nobody said that the session is over: the cookie stays.
  if (reason === 'unavailable') throw new Unavailable();
  clearSession(c);
  // RFC 9110 §11.6.1 asks for a challenge; browsers pass over a scheme that they do not know.
  return c.html(signedOutPage(reason, from), 401, { 'WWW-Authenticate': 'Cookie cookie-name="session"' });
}

const app = new Hono<Host>();

app.use(
  secureHeaders({
    // With no-referrer, browsers would not name the origin of a form.
    referrerPolicy: 'same-origin',
    xFrameOptions: 'DENY',
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      styleSrc: ["'self'"],
      formAction: ["'self'"],
      frameAncestors: ["'none'"],
      baseUri: ["'none'"],
    },
  }),
);
app.get('/style.css', (c) => c.body(STYLE, 200, { 'Content-Type': 'text/css', 'Cache-Control': 'max-age=3600' }));
app.use(async (c, next) => {
  c.header('Cache-Control', 'no-store');
  await next();
});
// Forms of other sites are refused; the cookie's SameSite is the second lock.
app.use(csrf());

app.get('/sign-in', (c) => c.html(signInPage()));

/** Stands for the vendor's single sign-on: whoever comes from there is who they say, and has proved it. */
app.post('/sign-in', async (c) => {
  const { org, name } = await c.req.parseBody();
  if (typeof org !== 'string' || typeof name !== 'string') throw new HTTPException(400);
  // Before the question: else a revocation between its answer and this line would be older than the session.
  const issuedAt = Date.now();
  const person = await find(org.trim(), name.trim());
  if (!person.found || !person.active) {
    const why = person.found ? 'inactive' : person.ambiguous ? 'ambiguous' : 'unknown';
    return c.html(signInPage({ org, name, why }), 403);
  }
  await writeSession(c, { org: person.org.id, user: person.id, issuedAt });
  c.executionCtx.waitUntil(followDirectory([person.org.slug]));
  return c.redirect('/', 303);
});

/** Ends this cookie alone. Every session of the person: `user sign-out`, or the door /admin/v1. */
app.post('/sign-out', (c) => {
  clearSession(c);
  return c.redirect('/sign-in', 303);
});

app.get('/', guard, async (c) => {
  const person = await personOf(c.var.session);
  // The page asks for the person anyway, which is a strict question: KV may not have heard of it yet.
  if (!person?.active) return dead(c, { reason: person ? 'inactive' : 'unknown', from: 'strict' });
  return c.html(personPage(person, c.var.sessionVerdict, mayManage(person)));
});

/** The list is of our own database, where it can be joined with our other tables. */
app.get('/colleagues', guard, async (c) => {
  const person = await personOf(c.var.session);
  if (!person?.active) return dead(c, { reason: person ? 'inactive' : 'unknown', from: 'strict' });
  return c.html(colleaguesPage(await colleaguesIn(person.org.slug)));
});

/** The portal opens from here, for who may manage the directory. */
app.post('/settings/directory', guard, async (c) => {
  const person = await personOf(c.var.session);
  if (!person?.active) return dead(c, { reason: person ? 'inactive' : 'unknown', from: 'strict' });
  if (!mayManage(person)) {
    return c.html(messagePage('That was refused', 'Ask an administrator of your organization.'), 403);
  }
  return c.html(portalPage(await portalLink(person)));
});

app.post('/export', guard, (c) => c.html(exportPage(c.var.sessionVerdict)));

app.notFound((c) => c.html(messagePage('There is no such page', 'Go back to where you came from.'), 404));

app.onError((error, c) => {
  if (error instanceof HTTPException) {
    return c.html(messagePage('That was refused', 'The form was not sent from a page of this site.'), error.status);
  }
  if (error instanceof Unavailable) {
    const page = messagePage('This cannot be checked just now', 'Nothing has changed. Try again in a moment.');
    return c.html(page, 503, { 'Retry-After': '5' });
  }
  console.error(error);
  return c.html(messagePage('This site has failed', 'Try again later.'), 500);
});

export { OrgMirror } from './mirror';
export default { fetch: app.fetch, scheduled: () => followDirectory() };
