/** Links that open the portal: made for a customer's administrator, or for the vendor's own operator; listed, revoked. */
import { type Context, Hono } from 'hono';
import * as z from 'zod/mini';
import { hashOf, newSecret, OPERATOR } from '../../credentials/secret';
import { DAY, parseDuration } from '../../duration';
import { isSafe } from '../../env';
import { PLAIN_TEXT } from '../../plain-text';
import { notFound } from '../../scim/error';
import { Unmet } from '../../store/d1/batch';
import { databaseOf } from '../../store/d1/databases';
import {
  insertLink,
  type Link,
  type LinkDraft,
  listLinks,
  NO_ORG,
  operatorLinks,
  revokeLink,
} from '../../store/portal/links';
import { publicUrl } from '../addresses';
import type { App } from '../context';
import { iso } from '../instants';
import { body, query } from '../validator';
import { by, orgOf } from './respond';

const MAX_LIFE = 30 * DAY;
const LIFE = 'a duration of at most 30d was expected: 7d, 12h';
const OPERATOR_LIFE = 600_000;
const CONTACT = 'a contact of at most 100 characters was expected: it@acme.com';
const RETURN = 'an https address was expected';

const contact = z
  .string(CONTACT)
  .check(z.trim(), z.minLength(1, CONTACT), z.maxLength(100, CONTACT), z.regex(PLAIN_TEXT, CONTACT));

const linkBody = z.strictObject({
  by,
  scope: z._default(z.enum(['setup', 'read'], 'setup or read was expected'), 'setup'),
  contact: z._default(contact, 'administrator'),
  expires: z._default(
    z.string(LIFE).check(
      z.refine((text) => {
        const life = parseDuration(text);
        return life !== undefined && life > 0 && life <= MAX_LIFE;
      }, LIFE),
    ),
    '7d',
  ),
  returnUrl: z.optional(z.string(RETURN).check(z.maxLength(1_000, RETURN), z.refine(isSafe, RETURN))),
});
const operatorBody = z.strictObject({ by, contact: z.optional(contact) });

export const portalLinks = new Hono<App>();

portalLinks.get('/', async (c) => c.json((await listLinks(orgOf(c).store)).map((link) => shownLink(link, Date.now()))));

portalLinks.post('/', body(linkBody), async (c) => {
  const { store, actor } = orgOf(c);
  const { by = c.var.by, expires, ...asked } = c.req.valid('json');
  const { id: orgId } = await store.verify(); // the secret names the org
  const made = { ...asked, returnUrl: asked.returnUrl, createdBy: by, expiresAt: store.now + parseDuration(expires)! };
  const { draft, url } = await newLink(c, orgId, made);
  await insertLink(store, draft, actor);
  return c.json(answerOf(draft, url), 201);
});

portalLinks.delete('/:id', query(z.strictObject({ by })), async (c) => {
  const { store, actor } = orgOf(c);
  const { by = c.var.by } = c.req.valid('query');
  const id = c.req.param('id');
  try {
    await revokeLink(store, id, by, actor);
    return c.json({ revoked: id });
  } catch (error) {
    throw error instanceof Unmet && error.expectation === 'portal_link' ? notFound('Link') : error;
  }
});

/** The vendor's own console: a link of ten minutes, for all orgs. */
export const operatorLink = new Hono<App>();

operatorLink.post('/', body(operatorBody), async (c) => {
  const { by = c.var.by, contact = by } = c.req.valid('json');
  const now = Date.now();
  const made = {
    scope: 'operator' as const,
    contact,
    returnUrl: undefined,
    createdBy: by,
    expiresAt: now + OPERATOR_LIFE,
  };
  const { draft, url } = await newLink(c, OPERATOR, made);
  await operatorLinks.insert(databaseOf(c.env, NO_ORG), draft, now);
  return c.json(answerOf(draft, url), 201);
});

async function newLink(c: Context<App>, orgId: string, made: Omit<LinkDraft, 'id' | 'hash'>) {
  const secret = await newSecret('portal_link', orgId);
  const draft: LinkDraft = { ...made, id: crypto.randomUUID(), hash: await hashOf(secret) };
  return { draft, url: `${publicUrl(c)}/portal/${secret}` };
}

/** The address is shown once. */
const answerOf = ({ id, scope, contact, expiresAt }: LinkDraft, url: string) => ({
  id,
  url,
  scope,
  contact,
  expiresAt: iso(expiresAt),
});

const stateOf = (link: Link, now: number): string => {
  if (link.revokedAt !== undefined) return 'revoked';
  if (link.openedAt !== undefined) return 'opened';
  return link.expiresAt > now ? 'open' : 'expired';
};

const shownLink = (link: Link, now: number) => ({
  id: link.id,
  scope: link.scope,
  contact: link.contact,
  state: stateOf(link, now),
  returnUrl: link.returnUrl ?? null,
  createdAt: iso(link.createdAt),
  createdBy: link.createdBy,
  expiresAt: iso(link.expiresAt),
  openedAt: iso(link.openedAt),
  revokedAt: iso(link.revokedAt),
  revokedBy: link.revokedBy ?? null,
});
