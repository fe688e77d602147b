/** Would this session be let in? Asked of D1, which knows, with what a host that asks KV alone would hear beside it. */
import { Hono } from 'hono';
import { invalidValue } from '../../scim/error';
import { checkSession, decide, instant } from '../../sessions/check';
import { listPending, WHOLE_ORG } from '../../store/outbox';
import { readSessionState } from '../../store/users';
import type { App } from '../context';
import { iso, orgOf } from './respond';

export const sessions = new Hono<App>();

sessions.get('/check', async (c) => {
  const { store } = orgOf(c);
  const user = c.req.query('user');
  if (!user || user.length > 100) throw invalidValue('user: the id of a user was expected');
  const issuedAt = readInstant(c.req.query('issuedAt'));
  const state = await readSessionState(store, user);
  const verdict = state.isKnown
    ? decide([{ active: state.isActive, notBefore: state.notBefore ?? 0 }], issuedAt)
    : { valid: false, reason: 'unknown' };
  return c.json({
    ...verdict,
    notBefore: state.notBefore === undefined ? null : new Date(state.notBefore).toISOString(),
    fromKv: await checkSession(c.env.REVOCATIONS, { org: store.tenant.id, user, issuedAt }),
  });
});

/** What is committed and not in KV yet, the longest wait first. */
sessions.get('/pending', async (c) => {
  const { total, pending } = await listPending(orgOf(c).store, MAX_SHOWN);
  return c.json({
    total,
    pending: pending.map(({ userId, since, changes }) => ({
      user: userId === WHOLE_ORG ? null : userId,
      since: iso(since),
      waiting: Math.max(0, Math.round((Date.now() - since) / 1_000)),
      changes,
    })),
  });
});

const MAX_SHOWN = 500;

function readInstant(text: string | undefined): number {
  try {
    if (!text) throw new Error('issuedAt: epoch milliseconds or ISO text was expected');
    return instant(/^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text);
  } catch (error) {
    throw invalidValue((error as Error).message);
  }
}
