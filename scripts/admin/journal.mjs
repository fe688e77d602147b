/** The journal: listed, written out, followed, and the history of one user. */
import { setTimeout as pause } from 'node:timers/promises';
import { columns, harmless, jsonText, paint, wrap } from '../terminal.mjs';
import { org } from './api.mjs';
import { csvRow } from './csv.mjs';
import { endedSessions, instant } from './show.mjs';
import { AdminError } from './transport.mjs';

const MAX_PAGE = 500;
/** What people are shown unless they say how many. */
const FEW = 100;
/** Milliseconds between two looks; with --remote, each look opens a way to the deployed Worker and closes it. */
const PATIENCE = 1_000;
const REMOTE_PATIENCE = 15_000;
/** How many events `tail` begins with. */
const LATEST = 10;

const FILTERS = {
  type: { value: 'type', about: 'only these types, such as user.deactivated or user.*, with commas between them' },
  since: { value: 'ISO|7d', about: 'only from then on: an instant with Z or an offset, or how long ago' },
  until: { value: 'ISO|1d', about: 'only before then' },
};
const USER = { value: 'id|userName', about: 'only what happened to this user, also through groups and the org' };

export const journalCommands = [
  {
    name: 'events',
    about: 'List the journal of an org, the oldest event first.',
    more: 'Each event says when, what, of which user or group, and who did it.',
    args: ['slug'],
    options: {
      after: { value: 'seq', about: 'only events after this number, where the last page ended' },
      limit: { value: 'n', about: `at most this many (default: ${FEW}; all with --format)` },
      ...FILTERS,
      user: USER,
      format: { value: 'ndjson|csv', about: 'all events, one on each line, as they are read' },
    },
    example: ['events acme --since 7d --type user.*', 'events acme --user ada@example.com'],
    async run(callAdmin, { slug, after, limit, type, since, until, user }) {
      const query = { after, type, since, until, user };
      const events = [];
      const wanted = countOf(limit) ?? FEW;
      let page;
      for await (page of pages(callAdmin, slug, query, wanted)) events.push(...page.events);
      return { events, next: page.next, current: page.current, pruned: page.pruned };
    },
    show: ({ events, next, current, pruned }, { after = 0 }) =>
      [
        ...goneEvents(pruned > after ? pruned : 0),
        ...(events.length === 0 ? ['No events.'] : events.map(showEvent)),
        ...(next < current ? [paint('dim', `There are more, up to ${current}: add --after ${next}`)] : []),
      ].join('\n'),
    stream(callAdmin, { slug, after, limit, type, since, until, user, format }) {
      if (format === undefined) return undefined;
      if (!Object.hasOwn(FORMATS, format)) throw new AdminError('usage', '--format: ndjson or csv was expected.');
      return formatted(FORMATS[format], pages(callAdmin, slug, { after, type, since, until, user }, countOf(limit)));
    },
  },
  {
    name: 'events tail',
    about: 'Follow the journal of an org: the latest events, then each new one. Ctrl-C ends it.',
    args: ['slug'],
    example: 'events tail acme',
    options: { type: FILTERS.type, user: USER },
    stream: (callAdmin, input) => followed(callAdmin, input),
  },
  {
    name: 'user history',
    about: 'Tell what happened to a user, in sentences: why the user is out, or in a group.',
    more: 'Deleted users have a history, too.',
    args: ['slug', 'id|userName'],
    options: FILTERS,
    example: 'user history acme ada@example.com',
    async run(callAdmin, { slug, 'id|userName': user, type, since, until }) {
      const events = [];
      let page;
      const path = `/users/${encodeURIComponent(user)}/history`;
      for await (page of pages(callAdmin, slug, { type, since, until }, undefined, path)) events.push(...page.events);
      return { user: page.user, events, pruned: page.pruned };
    },
    show: ({ user, events, pruned }) =>
      [
        ...stateOf(user),
        '',
        ...goneEvents(pruned),
        ...(events.length === 0
          ? ['No events.']
          : events.map(({ at, seq, told, requestId }) =>
              [
                paint('dim', `${instant(at)}  #${seq}  request ${requestId}`),
                ...wrap(harmless(told), 76).map((line) => `    ${line}`),
              ].join('\n'),
            )),
      ].join('\n'),
  },
];

/** Page by page to the end, or until there are as many as wanted. */
async function* pages(
  callAdmin,
  slug,
  { after = '0', type, ...filters },
  wanted = Number.POSITIVE_INFINITY,
  path = '/events',
) {
  let next = after;
  let left = wanted;
  for (;;) {
    const query = new URLSearchParams({ after: next, limit: Math.min(MAX_PAGE, left) });
    for (const one of type?.split(',') ?? []) query.append('type', one.trim());
    for (const [name, value] of Object.entries(filters)) if (value !== undefined) query.set(name, value);
    const page = await callAdmin(org(slug, `${path}?${query}`));
    yield page;
    left -= page.events.length;
    if (page.next >= page.current || left <= 0) return;
    next = String(page.next);
  }
}

function countOf(limit) {
  if (limit === undefined) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(limit))
    throw new AdminError('usage', '--limit: a whole number from 1 was expected, such as 500.');
  return Number(limit);
}

async function* formatted({ head, line }, found) {
  if (head) yield head;
  for await (const { events } of found) yield* events.map(line);
}

/** First the latest events, then the new ones of each look. */
async function* followed(callAdmin, { slug, type, user, json, remote }) {
  const { current } = await callAdmin(org(slug, '/events?limit=1'));
  let after = String(Math.max(0, current - LATEST));
  for (;;) {
    for await (const page of pages(callAdmin, slug, { after, type, user })) {
      for (const event of page.events) yield json ? jsonText(event) : showEvent(event);
      after = String(page.next);
    }
    await pause(remote ? REMOTE_PATIENCE : PATIENCE);
  }
}

const FIELDS = ['seq', 'at', 'type', 'outcome', 'actor', 'credential', 'target', 'requestId', 'details'];
const FORMATS = {
  ndjson: { line: jsonText },
  csv: { head: FIELDS.join(','), line: (event) => csvRow(FIELDS.map((field) => event[field])) },
};

/** A line with number, instant, type and name; below it ids and what changed. */
function showEvent({ seq, at, type, outcome, actor, target, targetName, details }) {
  const what = [type, outcome === 'applied' ? undefined : outcome].filter(Boolean).join(', ');
  const about = [target, `by ${actor}`, summary(details)].filter(Boolean).join('  ');
  return [
    `${paint('dim', `#${seq}  ${instant(at)}`)}  ${harmless(what)}${targetName ? `  ${paint('bold', harmless(targetName))}` : ''}`,
    ...wrap(harmless(about), 76).map((line) => paint('dim', `    ${line}`)),
  ].join('\n');
}

/** The attributes that changed, how many members joined and left; --json has all of it. */
function summary({ changed = {}, joinedCount, leftCount, unknownMembers, quirks, ...more }) {
  return [
    Object.keys(changed).length > 0 ? `attributes: ${Object.keys(changed).join(', ')}` : '',
    joinedCount ? `${joinedCount} members joined` : '',
    leftCount ? `${leftCount} members left` : '',
    unknownMembers ? `${unknownMembers.length} unknown members skipped` : '',
    typeof more.cause === 'string' ? `cause: ${more.cause}` : '',
    quirks ? `tolerated: ${quirks.map(words).join(', ')}` : '',
  ]
    .filter(Boolean)
    .join('; ');
}

/** The name of a quirk as words. */
const words = (name) => name.replaceAll('-', ' ');

const goneEvents = (pruned) =>
  pruned > 0 ? [paint('dim', `Events up to ${pruned} may be deleted because of their age (retainEvents).`)] : [];

function stateOf({ id, userName, active, deletedAt, erasedAt, validAfter, groups }) {
  if (erasedAt) return [`${id}: erased ${instant(erasedAt)}. Only these events remain.`];
  if (userName === undefined) return [`${id}: only these events remain of this user.`];
  const state = deletedAt
    ? ['red', `deleted ${instant(deletedAt)}`]
    : active
      ? ['green', 'active']
      : ['yellow', 'deactivated'];
  const names = groups.map(
    ({ displayName, type }) => `${displayName}${type === 'indirect' ? ' (through a group in it)' : ''}`,
  );
  return [
    columns([
      [['dim', 'user'], userName],
      [['dim', 'id'], id],
      [['dim', 'now'], state],
      [['dim', 'sessions'], endedSessions(validAfter)],
      [['dim', 'groups'], names.join(', ') || 'none'],
    ]),
  ];
}
