/** The deactivation limit: how far it is used, which users wait, and the decisions of the operator. */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import { DAY, parseDuration } from '../../duration';
import { type Released, releaseUser } from '../../provisioning/release-held';
import { underTypes } from '../../provisioning/schemas';
import { notFound } from '../../scim/error';
import { type Held, heldFor, listHeld, reject } from '../../store/directory/deactivation-limit';
import { settingOf } from '../../store/org/settings';
import type { App } from '../context';
import { iso } from '../instants';
import { body, query } from '../validator';
import { by, orgOf } from './respond';

const PAGE = 500;
/** Of one call: each takes a few round trips. */
const CHUNK = 20;
const REJECTED_FOR = '24h';
const LIFE = 'a duration of at most 30d was expected: 24h, 7d';

const USER = 'the id or userName of a user was expected';
const user = z.optional(
  z.string(USER).check(z.minLength(1, USER), z.maxLength(1_000, 'at most 1,000 characters are accepted')),
);
const heldAsked = z.strictObject({
  after: z._default(z.string().check(z.maxLength(100, 'the id at which the last page ended was expected')), ''),
});
const releaseBody = z.strictObject({ by, user, after: z.optional(z.string().check(z.maxLength(100))) });
const rejectBody = z.strictObject({
  by,
  user,
  for: z._default(
    z.string(LIFE).check(
      z.refine((text) => {
        const duration = parseDuration(text);
        return duration !== undefined && duration > 0 && duration <= 30 * DAY;
      }, LIFE),
    ),
    REJECTED_FOR,
  ),
});

export const deactivationLimit = new Hono<App>();

deactivationLimit.get('/', query(heldAsked), async (c) => {
  const { store } = orgOf(c);
  const { after } = c.req.valid('query');
  const { usage, total, open, held } = await listHeld(store, after, PAGE);
  const { settings } = store.tenant;
  return c.json({
    isSet: usage.isSet,
    deactivations: settings['brake.deactivations'] ?? null,
    percentage: settings['brake.percentage'] ?? null,
    window: settingOf(settings, 'brake.window'),
    limit: usage.isSet ? usage.limit : null,
    used: usage.used,
    total,
    open,
    held: held.map((one) => shownHeld(one, store.now)),
    next: held.length === PAGE ? held.at(-1)!.user : null,
  });
});

/** A chunk of those that wait, or one; `left`: how many wait behind the last of it (`next`). */
deactivationLimit.post('/release', body(releaseBody), (c) =>
  underTypes(orgOf(c), async (org) => {
    const { by = c.var.by, user, after } = c.req.valid('json');
    const { held, left } = await heldFor(org.store, { user, after, limit: CHUNK });
    if (user !== undefined && held.length === 0) throw notHeld();
    const done: Released[] = [];
    for (const one of held) done.push(await releaseUser(org, one.user, one.operation, by));
    return c.json({
      released: done.filter(({ why }) => why === undefined).map((one) => one.user),
      kept: done.filter(({ why }) => why !== undefined),
      left: left - held.length,
      next: held.at(-1)?.user ?? null,
    });
  }),
);

deactivationLimit.post('/reject', body(rejectBody), async (c) => {
  const { store, actor } = orgOf(c);
  const { by = c.var.by, user, for: duration } = c.req.valid('json');
  const until = store.now + parseDuration(duration)!;
  const rejected = await reject(store, { user, until, by }, actor);
  if (user !== undefined && rejected === 0) throw notHeld();
  return c.json({ rejected, until: iso(until) });
});

const notHeld = () => notFound('Held deactivation');

const shownHeld = (held: Held, now: number) => ({
  user: held.user,
  userName: held.userName,
  operation: held.operation,
  state: (held.rejectedUntil ?? 0) > now ? 'rejected' : 'held',
  since: iso(held.since),
  lastAt: iso(held.lastAt),
  attempts: held.attempts,
  rejectedUntil: iso(held.rejectedUntil),
  rejectedBy: held.rejectedBy ?? null,
});
