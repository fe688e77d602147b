/** Offboarding: what an org's set-up still holds, who is attached to it, and their deactivation. `org offboard` goes through it. */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import { ScimError } from '../../scim/error';
import { Unmet } from '../../store/d1/batch';
import { type Attached, deactivateUsers, listAttached, readOffboarding } from '../../store/operations/offboarding';
import type { App } from '../context';
import { seq } from '../events';
import { iso, shownValidAfter } from '../instants';
import { body, digits, query } from '../validator';
import { by, orgOf } from './respond';

/** Deactivated, or listed, by one request. */
const CHUNK = 200;
const PAGE = 500;

export const offboarding = new Hono<App>();

offboarding.get('/', async (c) => {
  const { store } = orgOf(c);
  const found = await readOffboarding(store);
  const { slug, name, isScimEnabled, disabledAt, validAfter, userCount, activeUserCount, groupCount } = store.tenant;
  const { attached, unlinked, pending, tokens, passwords, clients } = found;
  const left = attached.active - found.protected;
  return c.json({
    slug,
    name,
    scimEnabled: isScimEnabled,
    disabledAt: iso(disabledAt),
    ...shownValidAfter(validAfter),
    users: { total: userCount, active: activeUserCount, attached, protected: found.protected, unlinked, left },
    groups: groupCount,
    sessions: { pending, signedOut: found.isSignedOut },
    credentials: { tokens, passwords, oauthClients: clients },
    steps: [
      { step: 'disable', done: !isScimEnabled },
      { step: 'deactivate', done: left === 0 },
      { step: 'sessions', done: left === 0 && found.isSignedOut && pending === 0 },
      { step: 'credentials', done: tokens + passwords + clients.length === 0 },
      { step: 'delete', done: false },
    ],
  });
});

const attachedAsked = z.strictObject({
  after: z._default(z.pipe(digits, z.int('the cursor of the page before was expected')), 0),
});

offboarding.get('/users', query(attachedAsked), async (c) => {
  const { after } = c.req.valid('query');
  const { users, next } = await listAttached(orgOf(c).store, after, PAGE);
  return c.json({ users: users.map(shown), next: next ?? null });
});

function shown({ id, resource, isActive, isProtected }: Attached) {
  const emails = (resource['emails'] ?? []) as { value?: string; primary?: boolean }[];
  return {
    id,
    userName: resource['userName'],
    externalId: resource['externalId'] ?? null,
    email: (emails.find(({ primary }) => primary) ?? emails[0])?.value ?? null,
    active: isActive,
    protected: isProtected,
  };
}

/** In chunks. A chunk that is sent again, because its answer was lost, does nothing twice. */
offboarding.post('/deactivate', body(z.strictObject({ after: z._default(seq, 0), by })), async (c) => {
  const org = orgOf(c);
  const { after, by = c.var.by } = c.req.valid('json');
  try {
    const { deactivated, next, left } = await deactivateUsers(org.store, after, CHUNK, org.actor, by);
    if (deactivated > 0) await org.publishSoon();
    return c.json({ deactivated, next: next ?? null, left });
  } catch (error) {
    if (!(error instanceof Unmet) || error.expectation !== 'scim_off') throw error;
    throw new ScimError(409, undefined, 'SCIM is on, and would bring the users back: run scim disable first');
  }
});
