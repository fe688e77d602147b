/** The commands of databases: how full each is, and an org's move from one to another. */
import { columns, harmless, heading, paint } from '../terminal.mjs';
import { org, post } from './api.mjs';
import { by } from './options.mjs';
import { facts, instant } from './show.mjs';
import { AdminError } from './transport.mjs';

/** As docs/shards.md has them: the colour of each state, what it means, and what to do. */
export const STATES = {
  open: ['green', 'new orgs may go there', ''],
  full: ['yellow', '95 % of the 10 GB are used', 'move orgs away'],
  behind: ['yellow', 'migrations are to come', '`npm run migrate`'],
  failing: ['red', 'it did not answer', "look at Cloudflare's status; try again"],
  missing: ['red', 'the catalogue names it, and it is not bound', 'bind it again'],
  foreign: ['red', 'it was bound under another name before', 'bind it as it was'],
};

const stateOf = ({ state }) => (STATES[state] ? [STATES[state][0], state] : state);

/** A line for each database that needs something. */
const explained = (all) =>
  all
    .filter(({ state }) => state !== 'open' && STATES[state])
    .map(({ name, state }) => {
      const [color, meaning, remedy] = STATES[state];
      return paint(color, `${harmless(name)} is ${state}: ${meaning}. To do: ${remedy.replaceAll('`', '')}.`);
    });

const size = (bytes) => (bytes === null ? undefined : `${(bytes / 1e6).toFixed(1)}\u00a0MB`);
const percent = (share) => (share === null ? undefined : `${(share * 100).toFixed(1)}\u00a0%`);

export const shardCommands = [
  {
    name: 'shard list',
    about: 'List the databases that orgs are spread over.',
    more: 'Each can hold 10 GB.',
    example: 'shard list',
    run: (callAdmin) => callAdmin('/shards'),
    show: (all) =>
      [
        columns([
          heading('DATABASE', 'STATE', 'ORGS', 'PEOPLE', 'SIZE', 'OF 10 GB', 'REQUESTS TODAY', 'LATEST MIGRATION'),
          ...all.map((it) => [
            ...[it.name, stateOf(it), it.orgs, it.people ?? undefined, size(it.bytes)],
            ...[percent(it.share), it.requestsToday ?? undefined, it.schema ?? undefined],
          ]),
        ]),
        ...explained(all),
      ].join('\n'),
  },
  {
    name: 'org move',
    about: 'Move an org to another database while it is served.',
    more: 'For some seconds at the end, writes are refused with 503 and Retry-After. The old copy stays for a day.',
    args: ['slug'],
    options: {
      to: { value: 'database', about: 'where its data goes: DB_3' },
      'dry-run': { about: 'say what would be moved and for how long writes would be refused; nothing is changed' },
      status: { about: 'show where the org is and how far its move is' },
      cancel: { about: 'stop the move. After it: take the org back, if nothing was written to it since' },
      by,
    },
    example: ['org move acme --to DB_3 --dry-run', 'org move acme --to DB_3', 'org move acme --status'],
    run: move,
    show,
  },
];

function move(callAdmin, { slug, to, 'dry-run': dryRun, status, cancel, by }) {
  const path = org(slug, '/move');
  if ([to !== undefined, status, cancel].filter(Boolean).length !== 1) {
    throw new AdminError('usage', 'One of --to, --status and --cancel was expected.');
  }
  if (dryRun && to === undefined) throw new AdminError('usage', '--dry-run: --to was expected beside it.');
  if (status) return callAdmin(path);
  if (cancel) return callAdmin(path, { method: 'DELETE', body: { by } });
  return callAdmin(path, post({ to, dryRun: dryRun === true, by }));
}

function show(answer, { slug, to, 'dry-run': dryRun, status }) {
  if (dryRun) {
    return facts([
      ['org', answer.org],
      ['from', answer.from],
      ['to', answer.to],
      ['users', answer.users],
      ['groups', answer.groups],
      ['events', answer.events],
      ['size', size(answer.bytes)],
      ['writes refused for', `about ${answer.writesRefusedFor} s`],
    ]);
  }
  if (!status) {
    const what =
      to === undefined
        ? `The move of ${slug} is being cancelled.`
        : `${slug} is being moved from ${answer.from} to ${answer.to}.`;
    return `${what}\nHow far it is: npm run admin -- org move ${slug} --status`;
  }
  const { move } = answer;
  return facts([
    ['org', answer.org],
    ['database', answer.shard],
    ...(move
      ? [
          ['latest move', `${move.from} to ${move.to}, by ${move.by}`],
          ['state', move.state],
          ['started', instant(move.startedAt)],
          ['finished', instant(move.switchedAt)],
          ['old copy until', instant(move.oldCopyUntil)],
          ['waits for', move.waitsFor ?? undefined],
        ]
      : [['latest move', 'none']]),
  ]);
}
