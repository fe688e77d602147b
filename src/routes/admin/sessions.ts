/**
 * Would this session be let in? By each of the ways that a host has (`src/sessions/client/checker.ts`):
 *
 * - `strict`, the default: D1's primary, with zero staleness after the commit. `fromKv` is what a host hears that asks
 *   KV alone.
 * - `fast`: KV alone. At once where the flag was written, elsewhere usually within about a minute, with no upper bound.
 * - `auto`: KV, and D1 unless KV refuses. A session that it accepts is checked as with `strict`.
 */
import { type Context, Hono } from 'hono';
import * as z from 'zod/mini';
import { notFound } from '../../scim/error';
import { checkSession, decideNow, type Verdict } from '../../sessions/check';
import { type Mode, sessionChecker } from '../../sessions/client/checker';
import { readSessionState, type SessionState } from '../../store/directory/sign-in';
import { findSubject, namesOfUsers } from '../../store/directory/subjects';
import { listPending, WHOLE_ORG } from '../../store/journal/outbox';
import type { OrgStore } from '../../store/org/open';
import type { App } from '../context';
import { iso, queriedInstant, shownValidAfter } from '../instants';
import { query } from '../validator';
import { orgOf } from './respond';

export const sessions = new Hono<App>();

const USER = 'the id or userName of a user was expected';
const ID = /^[\w.-]{1,100}$/;
const checkAsked = z.strictObject({
  user: z.string(USER).check(z.minLength(1, USER), z.maxLength(1_000, 'at most 1,000 characters are accepted')),
  issuedAt: z.pipe(
    z.optional(z.string()),
    z.transform((text = '') => queriedInstant('issuedAt', text)),
  ),
  mode: z._default(z.enum(['strict', 'fast', 'auto'], 'fast, strict or auto was expected'), 'strict'),
});

sessions.get('/check', query(checkAsked), async (c) => {
  const { store } = orgOf(c);
  const { user: asked, issuedAt, mode } = c.req.valid('query');
  const { user, state } = await findSessionState(store, asked);
  const session = { org: store.tenant.id, user, issuedAt };
  if (mode !== 'strict') return c.json(await asHost(c, mode, session, state));
  return c.json({
    ...strictVerdict(state, issuedAt),
    ...shownValidAfter(state.validAfter),
    fromKv: await checkSession(c.env.REVOCATIONS, session),
  });
});

/** By id, else by userName. In every mode: it also says which org the slug is. @throws ScimError 404 for another name. */
async function findSessionState(store: OrgStore, idOrUserName: string): Promise<{ user: string; state: SessionState }> {
  if (ID.test(idOrUserName)) {
    const state = await readSessionState(store, idOrUserName);
    if (state.isKnown) return { user: idOrUserName, state };
  }
  const subject = await findSubject(store, idOrUserName);
  if (subject !== undefined) return { user: subject.id, state: await readSessionState(store, subject.id) };
  if (!ID.test(idOrUserName)) throw notFound('User');
  return { user: idOrUserName, state: await readSessionState(store, idOrUserName) };
}

/** What is committed and not in KV yet, the longest wait first. */
sessions.get('/pending', async (c) => {
  const { store } = orgOf(c);
  const { total, pending } = await listPending(store, MAX_SHOWN);
  const names = await namesOfUsers(
    store,
    pending.map(({ userId }) => userId),
  );
  return c.json({
    total,
    pending: pending.map(({ userId, since, changes }) => ({
      user: userId === WHOLE_ORG ? null : userId,
      userName: names.get(userId) ?? null,
      since: iso(since),
      waiting: Math.max(0, Math.round((Date.now() - since) / 1_000)),
      changes,
    })),
  });
});

const MAX_SHOWN = 500;
/** By the very code that hosts run, with everything marked as sensitive. */
async function asHost(c: Context<App>, mode: Mode, session: SessionQuestion, state: SessionState) {
  const checker = sessionChecker({
    flags: c.env.REVOCATIONS,
    strict: {
      check: async ({ issuedAt }) => ({ ...strictVerdict(state, issuedAt), validAfter: state.validAfter ?? null }),
    },
    mode,
    onUnavailable: 'deny',
    // The host has its own; here the question is what the sources say.
    sessionMaxAge: Number.POSITIVE_INFINITY,
  });
  const { asOf, ...verdict } = await checker.check(session, { isSensitive: true });
  return { ...verdict, asOf: iso(asOf ?? undefined) };
}

interface SessionQuestion {
  readonly org: string;
  readonly user: string;
  readonly issuedAt: number;
}

function strictVerdict({ isKnown, isActive, validAfter }: SessionState, issuedAt: number): Verdict {
  return isKnown
    ? decideNow([{ active: isActive, validAfter: validAfter ?? 0 }], issuedAt, Date.now())
    : { valid: false, reason: 'unknown' };
}
