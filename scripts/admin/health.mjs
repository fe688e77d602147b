/** The state of an org's provisioning for people: first what to do, then what that is taken from. */
import { columns, harmless, heading, paint } from '../terminal.mjs';
import { org } from './api.mjs';

export const healthCommands = [
  {
    name: 'org health',
    about:
      "How an org's provisioning is doing: last requests, changes, refusals, credentials, and what to do about it.",
    args: ['slug'],
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
  advice,
}) {
  const total = changes.days.reduce((sum, { count }) => sum + count, 0);
  return [
    ...(advice.length === 0
      ? [paint('green', 'Nothing to do.')]
      : advice.map(
          ({ says, command }) =>
            `${paint('yellow', '!')} ${harmless(says)}\n    ${harmless(`npm run admin -- ${command}`)}`,
        )),
    '',
    columns([
      [['dim', 'scim'], disabledAt ? ['red', 'org disabled'] : scimEnabled ? ['green', 'on'] : ['yellow', 'off']],
      [['dim', 'active users'], `${activeUsers} of ${users}${seats === null ? '' : `, ${seats} seats`}`],
      [['dim', 'storage'], `${megabytes(storage.used)} of ${megabytes(storage.limit)} MB`],
      [['dim', 'last change'], changes.lastAt ?? 'none in 14 days'],
      [
        ['dim', `changes in ${changes.days.length} days`],
        `${changes.isComplete ? '' : 'more than '}${total}: ${changes.days.map(({ count }) => count).join(' ')}`,
      ],
      [['dim', 'to be published'], pending.users === 0 ? 'nothing' : `${pending.users} since ${pending.since}`],
      ...(held.users > 0
        ? [
            [
              ['dim', 'held by the brake'],
              ['yellow', `${held.users} since ${held.since}`],
            ],
          ]
        : []),
    ]),
    ...table(
      ['CLIENT', 'ADDRESS', 'LAST REQUEST'],
      clients.map((it) => [it.client, it.address, it.lastRequestAt]),
    ),
    ...table(
      ['CREDENTIAL', 'MASK', 'AGE', 'VALID UNTIL', 'LAST USED'],
      credentials.map((it) => [
        it.oauthClient ?? it.kind,
        it.mask,
        `${it.ageDays} d`,
        it.graceUntil ?? it.validUntil,
        it.lastUsedAt,
      ]),
    ),
    ...table(
      ['REQUESTS', 'TODAY', 'ERRORS', '%', '7 DAYS', 'ERRORS', '%'],
      [...requests.operations, ...(requests.operations.length > 1 ? [{ operation: 'all', ...requests }] : [])].map(
        (it) => [it.operation, ...counts(it.today), ...counts(it.week)],
      ),
    ),
    ...table(
      ['ERRORS', 'TODAY', '7 DAYS', 'LAST'],
      requests.errors.map((it) => [it.kind, it.today, it.week, it.lastAt]),
    ),
    ...table(
      ['REFUSED', 'TODAY', '7 DAYS', 'LAST'],
      refusals.map((it) => [it.reason, it.today, it.week, it.lastAt]),
    ),
  ].join('\n');
}

const counts = ({ count, refused, failed, errorPercent }) => [count, refused + failed, errorPercent ?? '-'];

const table = (names, rows) => (rows.length === 0 ? [] : ['', columns([heading(...names), ...rows])]);
