/** The journal: listed, written out, followed, and told of one user. */
import { setTimeout as pause } from 'node:timers/promises';
import { columns, harmless, heading, jsonText, paint } from '../terminal.mjs';
import { org } from './api.mjs';
import { csvRow } from './csv.mjs';
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
  type: { value: 'type', about: 'only these, such as user.deactivated or user.*; several with commas' },
  since: { value: 'ISO|7d', about: 'only from then on: an instant with Z or an offset, or how long ago' },
  until: { value: 'ISO|1d', about: 'only before that' },
};
const USER = { value: 'id|userName', about: 'only what happened to this user, through groups and the org too' };

export const journalCommands = [
  {
    name: 'events',
    about: 'The journal of an org, the oldest first: who did what to whom, and what came of it.',
    args: ['slug'],
    options: {
      after: { value: 'seq', about: 'only what follows this number: where the last page ended' },
      limit: { value: 'n', about: `at most so many (default: ${FEW}; with --format all)` },
      ...FILTERS,
      user: USER,
      format: { value: 'ndjson|csv', about: 'all of it, an event each line, as it is read' },
    },
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
        ...(pruned > after ? [paint('dim', `Events up to ${pruned} may be gone by their age (retainEvents).`)] : []),
        events.length === 0 ? 'No events.' : columns([HEADING, ...events.map(rowOf)]),
        ...(next < current ? [paint('dim', `Go on with --after ${next}; the latest is ${current}.`)] : []),
      ].join('\n'),
    stream(callAdmin, { slug, after, limit, type, since, until, user, format }) {
      if (format === undefined) return undefined;
      if (!Object.hasOwn(FORMATS, format)) throw new AdminError('usage', '--format: ndjson or csv was expected.');
      return formatted(FORMATS[format], pages(callAdmin, slug, { after, type, since, until, user }, countOf(limit)));
    },
  },
  {
    name: 'events tail',
    about: 'The latest events of an org, and every new one as it comes. Ctrl-C ends it.',
    args: ['slug'],
    options: { type: FILTERS.type, user: USER },
    stream: (callAdmin, input) => followed(callAdmin, input),
  },
  {
    name: 'user history',
    about: 'What happened to a user, in sentences: why somebody is out, or in a group. Deleted users, too.',
    args: ['slug', 'id|userName'],
    options: FILTERS,
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
        ...(pruned > 0 ? [paint('dim', `Events up to ${pruned} may be gone by their age (retainEvents).`)] : []),
        ...(events.length === 0
          ? ['No events.']
          : events.map(
              ({ at, seq, told, requestId }) =>
                `${paint('dim', `${at}  #${seq}`)}  ${harmless(told)} ${paint('dim', `[${requestId}]`)}`,
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
  if (!/^[1-9]\d{0,8}$/.test(limit)) throw new AdminError('usage', '--limit: a whole number from 1 was expected.');
  return Number(limit);
}

async function* formatted({ head, line }, found) {
  if (head) yield head;
  for await (const { events } of found) yield* events.map(line);
}

/** The latest come first, then what is new, at each look. */
async function* followed(callAdmin, { slug, type, user, json, remote }) {
  const { current } = await callAdmin(org(slug, '/events?limit=1'));
  let after = String(Math.max(0, current - LATEST));
  for (;;) {
    for await (const page of pages(callAdmin, slug, { after, type, user })) {
      for (const event of page.events) yield json ? jsonText(event) : lineOf(event);
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

const HEADING = heading('SEQ', 'AT', 'TYPE', 'OUTCOME', 'ACTOR', 'TARGET', 'WHAT');
const rowOf = ({ seq, at, type, outcome, actor, target, details }) => [
  seq,
  at,
  type,
  outcome,
  actor,
  target,
  summary(details),
];
const lineOf = (event) =>
  rowOf(event)
    .map((cell) => harmless(cell ?? '-') || '-')
    .join('  ');

/** The attributes that changed, who came and went; all of it is in --json. */
function summary({ changed = {}, joinedCount, leftCount, unknownMembers, bends, ...more }) {
  return [
    Object.keys(changed).join(', '),
    joinedCount ? `+${joinedCount} members` : '',
    leftCount ? `-${leftCount} members` : '',
    unknownMembers ? `${unknownMembers.length} unknown` : '',
    typeof more.cause === 'string' ? `cause: ${more.cause}` : '',
    bends ? `bends: ${bends.join(', ')}` : '',
  ]
    .filter(Boolean)
    .join('; ');
}

function stateOf({ id, userName, active, deletedAt, erasedAt, notBefore, groups }) {
  if (erasedAt) return [`${id}: erased ${erasedAt}; nothing is left of this user but these events.`];
  if (userName === undefined) return [`${id}: nothing is left of this user but these events.`];
  const state = deletedAt ? ['red', `deleted ${deletedAt}`] : active ? ['green', 'active'] : ['yellow', 'deactivated'];
  const names = groups.map(
    ({ displayName, type }) => `${displayName}${type === 'indirect' ? ' (through a group in it)' : ''}`,
  );
  return [
    columns([
      [['dim', 'user'], userName],
      [['dim', 'id'], id],
      [['dim', 'now'], state],
      [['dim', 'sessions dead until'], notBefore],
      [['dim', 'groups'], names.join(', ')],
    ]),
  ];
}
