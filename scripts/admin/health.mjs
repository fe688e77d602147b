/** The state of an org's provisioning for people: first what to do, then the facts behind it. */
import { columns, harmless, heading, paint, wrap } from '../terminal.mjs';
import { org } from './api.mjs';
import { minute, onOff } from './show.mjs';

export const healthCommands = [
  {
    name: 'org health',
    about: "Show the state of an org's provisioning, and what to do about it.",
    more: 'Last requests, changes, rejected requests, credentials, seats and storage.',
    args: ['slug'],
    example: 'org health acme',
    run: (callAdmin, { slug }) => callAdmin(org(slug, '/health')),
    show,
  },
];

const megabytes = (bytes) => (bytes / 1_000_000).toFixed(1);

function show({
  scimEnabled,
  disabledAt,
  users,
  activeUsers,
  seats,
  storage,
  clients,
  changes,
  refusals,
  requests,
  pending,
  held,
  credentials,
  signals = [],
  advice,
}) {
  const all = { operation: 'all', ...requests };
  return [
    ...(advice.length === 0 ? [paint('green', 'Nothing to do.')] : advice.flatMap(adviceLines)),
    '',
    columns([
      [['dim', 'scim'], disabledAt ? ['red', 'org disabled'] : onOff(scimEnabled)],
      [['dim', 'active users'], `${activeUsers} of ${users}${seats === null ? '' : `, ${seats} seats`}`],
      [['dim', 'storage'], `${megabytes(storage.used)} of ${megabytes(storage.limit)} MB`],
      [['dim', 'last change'], changes.lastAt === null ? 'none in 14 days' : minute(changes.lastAt)],
      [['dim', `changes in ${changes.days.length} days`], changesText(changes)],
      [['dim', 'revocations that wait'], pending.users === 0 ? 'none' : `${pending.users} since ${pending.since}`],
      ...(held.users > 0
        ? [
            [
              ['dim', 'deactivations that wait'],
              ['yellow', `${held.users} since ${minute(held.since)}`],
            ],
          ]
        : []),
    ]),
    ...table(
      'Clients with a valid credential',
      ['CLIENT', 'ADDRESS', 'LAST REQUEST'],
      clients.map((it) => [it.client, it.address, minute(it.lastRequestAt)]),
    ),
    ...table(
      'Credentials',
      ['KIND', 'MASK', 'AGE', 'EXPIRES', 'LAST USED'],
      credentials.map((it) => [
        it.oauthClient ?? it.kind,
        it.mask,
        `${it.ageDays} days`,
        minute(it.graceUntil ?? it.validUntil) ?? 'never',
        minute(it.lastUsedAt) ?? 'never',
      ]),
    ),
    ...table(
      'Sources of signals',
      ['ISSUER', 'TYPE', 'STATE', 'VERIFIED', 'LAST SIGNAL'],
      signals.map((it) => [
        it.issuer,
        it.type === 'ssf' ? (it.poll ? 'shared, polled' : 'shared, pushed') : 'Universal Logout',
        it.pausedAt ? 'paused' : it.poll?.failures ? 'poll fails' : (it.status ?? '-'),
        it.type === 'ssf' ? (minute(it.verifiedAt) ?? 'never') : '-',
        minute(it.lastSignalAt) ?? 'never',
      ]),
    ),
    ...table(
      'Requests with a valid credential, and those of them that failed',
      ['OPERATION', 'TODAY', 'FAILED', '%', '7 DAYS', 'FAILED', '%'],
      [...requests.operations, ...(requests.operations.length > 1 ? [all] : [])].map((it) => [
        it.operation,
        ...counts(it.today),
        ...counts(it.week),
      ]),
    ),
    ...table(
      'What failed requests got',
      ['OPERATION AND STATUS', 'TODAY', '7 DAYS', 'LAST'],
      requests.errors.map((it) => [it.kind, it.today, it.week, minute(it.lastAt)]),
    ),
    ...table(
      'Rejected requests, also those without a valid credential (see: refusals)',
      ['REASON', 'TODAY', '7 DAYS', 'LAST'],
      refusals.map((it) => [it.reason, it.today, it.week, minute(it.lastAt)]),
    ),
  ].join('\n');
}

function adviceLines({ says, command }) {
  const [first, ...others] = wrap(harmless(says), 78);
  return [
    `${paint('yellow', '!')} ${first}`,
    ...others.map((line) => `  ${line}`),
    `    ${harmless(`npm run admin -- ${command}`)}`,
  ];
}

/** The total, and each day that had changes. */
function changesText({ days, isComplete }) {
  const total = days.reduce((sum, { count }) => sum + count, 0);
  const busy = days.filter(({ count }) => count > 0).map(({ day, count }) => `${day}:\u00a0${count}`);
  return `${isComplete ? '' : 'more than '}${total}${busy.length > 0 ? ` (${busy.join(', ')})` : ''}`;
}

const counts = ({ count, refused, failed, errorPercent }) => [count, refused + failed, errorPercent ?? '-'];

const table = (title, names, rows) =>
  rows.length === 0 ? [] : ['', paint('bold', title), columns([heading(...names), ...rows])];
