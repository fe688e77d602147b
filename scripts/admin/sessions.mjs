/** The commands of sessions: whether one is valid, and which revocations wait to be published. */
import { columns, heading } from '../terminal.mjs';
import { org } from './api.mjs';
import { endedSessions, leaves, minute } from './show.mjs';

export const sessionCommands = [
  {
    name: 'sessions check',
    about: 'Check whether a session of a user is valid.',
    args: ['slug', 'id|userName'],
    options: {
      'issued-at': {
        value: 'instant',
        about: 'when the session began: ISO 8601 with Z or an offset, or epoch milliseconds',
        required: true,
      },
      mode: {
        value: 'fast|strict|auto',
        about: [
          'how your application would ask (default: strict)',
          'strict: reads D1, never stale; also shows what KV says',
          'fast: reads KV, which lags: usually under a minute, without an upper bound',
          'auto: reads KV, then D1 unless KV refuses',
        ].join('\n'),
      },
    },
    example: 'sessions check acme ada --issued-at 2026-11-22T08:00Z',
    run: (callAdmin, { slug, 'id|userName': user, 'issued-at': issuedAt, mode }) =>
      callAdmin(org(slug, `/sessions/check?${new URLSearchParams({ user, issuedAt, ...(mode && { mode }) })}`)),
    show: ({ valid, reason, validAfter, ...rest }) =>
      columns([
        [['dim', 'session'], valid ? ['green', 'valid'] : ['red', 'over']],
        [['dim', 'reason'], REASONS[reason] ?? reason],
        ...(validAfter === undefined ? [] : [[['dim', 'sessions'], endedSessions(validAfter)]]),
        ...leaves(rest),
      ]),
  },
  {
    name: 'sessions pending',
    about: 'List the revocations that are stored, but not in KV yet.',
    args: ['slug'],
    example: 'sessions pending acme',
    run: (callAdmin, { slug }) => callAdmin(org(slug, '/sessions/pending')),
    show: ({ total, pending }) =>
      total === 0
        ? 'Nothing waits: every revocation is published.'
        : [
            columns([
              heading('USER NAME', 'SINCE', 'SECONDS', 'CHANGES', 'ID'),
              ...pending.map((it) => [
                it.user === null ? 'all users' : it.userName,
                minute(it.since),
                it.waiting,
                it.changes,
                it.user,
              ]),
            ]),
            ...(total > pending.length ? [`… and ${total - pending.length} more`] : []),
          ].join('\n'),
  },
];

const REASONS = {
  inactive: 'inactive: the user or the org is not active',
  revoked: 'revoked: the session was issued before a sign-out or a deactivation',
  unknown: 'unknown: the org has no such user',
};
