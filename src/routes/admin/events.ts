/** The journal for the administrator: all events of an org, and the history of one user. */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import { parseDuration } from '../../duration';
import { groupsNamedIn, tell } from '../../operator/history';
import { invalidValue, notFound } from '../../scim/error';
import { findSubject, namesOfGroups, type Subject } from '../../store/directory/subjects';
import { type EventQuery, type Recorded, readEvents } from '../../store/journal/read';
import type { App } from '../context';
import { outcomeOf, queriedPage, refuseFuture, shownEvent } from '../events';
import { iso, queriedInstant, shownValidAfter } from '../instants';
import { query } from '../validator';
import { orgOf } from './respond';

const text = z
  .string()
  .check(z.minLength(1, 'a value was expected'), z.maxLength(1_000, 'at most 1,000 characters are accepted'));
const INSTANT = 'an instant such as 2026-11-22T08:00:00Z was expected, or how long ago, such as 7d or 12h';
const historyAsked = z.strictObject({ ...queriedPage, since: z.optional(text), until: z.optional(text) });
const eventsAsked = z.extend(historyAsked, { user: z.optional(text) });

export const events = new Hono<App>();

events.get('/', query(eventsAsked, 'type'), async (c) => {
  const { store } = orgOf(c);
  const { user, ...question } = c.req.valid('query');
  const asked = pageOf(question, store.now);
  const subject = user === undefined ? undefined : await findSubject(store, user);
  if (user !== undefined && subject === undefined) throw notFound('User');
  const found = await readEvents(store, { ...asked, user: subject?.id, withNames: true });
  refuseFuture(asked.after, found);
  const { next, current, pruned } = found;
  const events = found.events.map((event) => ({ ...shownToAdmin(event), targetName: event.targetName ?? null }));
  return c.json({ events, next, current, pruned });
});

/** One user's events, each with a sentence that tells it. */
export const history = new Hono<App>();

history.get('/', query(historyAsked, 'type'), async (c) => {
  const { store } = orgOf(c);
  const asked = pageOf(c.req.valid('query'), store.now);
  const subject = await findSubject(store, c.req.param('user') ?? '');
  if (subject === undefined) throw notFound('User');
  const found = await readEvents(store, { ...asked, user: subject.id });
  refuseFuture(asked.after, found);
  const all = found.events.map(shownToAdmin);
  const names = await namesOfGroups(store, [...new Set(all.flatMap(groupsNamedIn))]);
  return c.json({
    user: shownSubject(subject),
    events: all.map((event) => ({ ...event, told: tell(event, subject.id, names) })),
    next: found.next,
    current: found.current,
    pruned: found.pruned,
  });
});

function shownToAdmin(recorded: Recorded) {
  const { details, ...event } = shownEvent(recorded);
  const outcome = outcomeOf({ ...event, details });
  return { ...event, credential: recorded.credential ?? null, outcome, details };
}

const shownSubject = ({ id, now }: Subject) => ({
  id,
  ...(now && {
    userName: now.userName,
    active: now.isActive,
    deletedAt: iso(now.deletedAt),
    erasedAt: iso(now.erasedAt),
    ...shownValidAfter(now.validAfter),
    groups: now.groups.map(({ id, display, type }) => ({ id, displayName: display, type })),
  }),
});

/** @throws ScimError 400 naming the parameter. */
function pageOf({ type, since, until, ...page }: z.output<typeof historyAsked>, now: number): EventQuery {
  return { ...page, types: type, since: instantOf('since', since, now), until: instantOf('until', until, now) };
}

/** An instant, or how long ago. @throws ScimError 400. */
function instantOf(name: string, text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined;
  const ago = parseDuration(text);
  if (ago !== undefined) return now - ago;
  try {
    return queriedInstant(name, text);
  } catch {
    throw invalidValue(`${name}: ${INSTANT}`);
  }
}
