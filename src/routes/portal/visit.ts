/** Who is in the portal: the cookie, the session behind it, what it may do, and what proves that a form is ours. */
import type { Context } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import { hashOf, OPERATOR, recognise } from '../../credentials/secret';
import { isLoopback, type PortalLook, settings } from '../../env';
import type { Org } from '../../provisioning/org';
import { databaseOf } from '../../store/d1/databases';
import { type PortalPart, settingOf } from '../../store/org/settings';
import type { Tenant } from '../../store/org/tenant';
import { NO_ORG, type Scope } from '../../store/portal/links';
import { findSession, SESSION_LIFE, type Session } from '../../store/portal/sessions';
import {
  becomeSeen,
  becomeUnknown,
  failedTooOften,
  portalTooOften,
  Recent,
  strangerTooOften,
} from '../access/rate-limits';
import { publicUrl } from '../addresses';
import { scimBaseUrl } from '../admin/respond';
import { type App, actorOf } from '../context';
import { orgFor } from '../org';
import { type Language, languageOf, type Texts, textsIn } from './texts';

declare module 'hono' {
  interface ContextVariableMap {
    /** For pages of the portal that need a session. */
    visit: Visit;
  }
}

export type PortalApp = App;
export type PortalContext = Context<App>;

/** A request of a session that is good. */
export interface Visit {
  readonly session: Session;
  readonly scope: Scope;
  /** Who it is, for the journal and for what is made. */
  readonly contact: string;
  /** Proves that a form was made for this session. */
  readonly csrf: string;
  readonly lang: Language;
  readonly texts: Texts;
  readonly look: PortalLook;
}

/** Why a page cannot be shown: the page that is shown instead says it. */
export class PortalRefusal extends Error {
  constructor(
    readonly why:
      | 'dead_link'
      | 'ended'
      | 'forbidden'
      | 'foreign_form'
      | 'not_found'
      | 'too_many'
      | 'too_large'
      | 'bad_form',
    readonly status: 400 | 401 | 403 | 404 | 413 | 429,
  ) {
    super(why);
  }
}

export const deadLink = () => new PortalRefusal('dead_link', 404);
export const notHere = () => new PortalRefusal('not_found', 404);
export const forbidden = () => new PortalRefusal('forbidden', 403);

const COOKIE = 'scim-portal';

/** On this machine there is no https, and browsers take the prefix for https alone. */
const isLocal = (c: Context): boolean => {
  const { protocol, hostname } = new URL(c.req.url);
  return protocol === 'http:' && isLoopback(hostname);
};

/** A page of another site shows the portal in a frame: a browser keeps a cookie there only apart from all others. */
const isFramed = (c: Context<App>): boolean =>
  c.req.header('Sec-Fetch-Dest') === 'iframe' && settings(c.env).portal.origins.length > 0;

const optionsFor = (c: Context<App>) => {
  const base = { path: '/', httpOnly: true } as const;
  if (isFramed(c)) return { ...base, secure: true, sameSite: 'None', partitioned: true } as const;
  return { ...base, secure: !isLocal(c), sameSite: 'Lax' } as const;
};

export function keepCookie(c: Context<App>, secret: string): void {
  const options = { ...optionsFor(c), maxAge: SESSION_LIFE / 1_000 };
  if (isLocal(c)) setCookie(c, COOKIE, secret, options);
  else setCookie(c, COOKIE, secret, { ...options, secure: true, prefix: 'host' });
}

export function dropCookie(c: Context<App>): void {
  deleteCookie(c, isLocal(c) ? COOKIE : `__Host-${COOKIE}`, { ...optionsFor(c), secure: !isLocal(c) || isFramed(c) });
}

/** The org that the text of a link or cookie names, and what is looked for. Nothing of it is checked in D1. */
export async function read(
  secret: string,
  kind: 'portal_link' | 'portal_session',
): Promise<{ readonly orgId: string; readonly hash: string } | undefined> {
  const recognised = await recognise(secret.slice(0, 200));
  if (!recognised.ok || recognised.kind !== kind) return undefined;
  return { orgId: recognised.orgId === OPERATOR ? NO_ORG : recognised.orgId, hash: await hashOf(secret) };
}

/** The cookie, as far as it can be one of ours. */
export const cookieOf = (c: Context<App>) =>
  read((isLocal(c) ? getCookie(c, COOKIE) : getCookie(c, COOKIE, 'host')) ?? '', 'portal_session');

/** The page has asked for itself again: nobody has done anything. */
export const isLive = (c: Context<App>): boolean => c.req.header('X-Portal-Live') !== undefined;

/** Sessions that were good in this isolate: they never wait for strangers of the same address. */
const known = new Recent<true>(5_000);

/** @throws PortalRefusal: there is no session, or it is over, whichever way. */
export async function visitOf(c: Context<App>): Promise<Visit> {
  const cookie = await cookieOf(c);
  const isKnown = cookie !== undefined && known.get(cookie.hash) === true;
  // Forged ones must not cost a look into the database each.
  if (cookie && !isKnown && (await strangerTooOften(c, cookie.hash)) !== undefined)
    throw new PortalRefusal('too_many', 429);
  const session =
    cookie && (await findSession(databaseOf(c.env, cookie.orgId), cookie.orgId, cookie.hash, Date.now(), !isLive(c)));
  if (!cookie || !session) {
    if (cookie) {
      known.forget(cookie.hash);
      becomeUnknown(c, cookie.hash);
    }
    const isCounted = cookie ? !isKnown : c.req.header('Cookie') === undefined;
    if (!isCounted && (await failedTooOften(c)) !== undefined) throw new PortalRefusal('too_many', 429);
    throw new PortalRefusal('ended', 401);
  }
  known.keep(cookie.hash, true);
  if (!isKnown) becomeSeen(c, cookie.hash);
  if (await portalTooOften(c, session.link.id)) throw new PortalRefusal('too_many', 429);
  const lang = languageOf(c);
  return {
    session,
    scope: session.link.scope,
    contact: session.link.contact,
    csrf: await hashOf(`csrf:${cookie.hash}`),
    lang,
    texts: textsIn(lang),
    look: settings(c.env).portal,
  };
}

/** The org that the path names, if it is the session's; of an operator any. @throws PortalRefusal 404. */
export function orgOf(c: PortalContext): Org {
  const { session, scope, contact } = c.var.visit;
  const slug = c.req.param('slug') ?? '';
  if (scope !== 'operator' && slug !== session.slug) throw notHere();
  const caller =
    scope === 'operator' ? ({ kind: 'slug', slug } as const) : ({ kind: 'id', id: session.orgId } as const);
  return orgFor(c, caller, actorOf(c, `portal:${contact}`), scimBaseUrl(c));
}

/** Whether this session may change this part of the org. */
export function may({ scope }: Visit, { settings }: Pick<Tenant, 'settings'>, part: PortalPart): boolean {
  if (scope === 'operator') return true;
  return scope === 'setup' && settingOf(settings, 'portal.allow').includes(part);
}

/** What is not allowed is refused, whatever was shown. @throws PortalRefusal 403. */
export function expectMay(visit: Visit, tenant: Pick<Tenant, 'settings'>, part: PortalPart): void {
  if (!may(visit, tenant, part)) throw forbidden();
}

/** A form comes from a page of ours: the browser's word for it. @throws PortalRefusal 403. */
export function expectOwnOrigin(c: Context<App>): void {
  const origin = c.req.header('Origin');
  const own = [new URL(c.req.url).origin, new URL(publicUrl(c)).origin];
  if (origin === undefined ? c.req.header('Sec-Fetch-Site') !== 'same-origin' : !own.includes(origin)) {
    throw new PortalRefusal('foreign_form', 403);
  }
}
