/** The commands of signals out: who receives them, and the keys that sign them. */
import { columns, harmless, heading, paint } from '../terminal.mjs';
import { post } from './api.mjs';
import { grace } from './credentials.mjs';
import { by } from './options.mjs';
import { facts, instant, minute } from './show.mjs';

const path = (name, rest = '') => `/signals/receivers/${encodeURIComponent(name)}${rest}`;
const list = (text) => text?.split(',').map((item) => item.trim());

export const receiverCommands = [
  {
    name: 'signals receiver add',
    about: 'Let a program receive signals: shared signals and SCIM events. Its client secret is shown once.',
    more: 'The Worker secret WEBHOOK_KEY must be set. docs/signals-out.md says what is sent.',
    args: ['name'],
    options: {
      org: { value: 'slugs|all', about: 'events of these orgs, with commas between them (default: all orgs)' },
      audience: { value: 'aud', about: 'the aud of what it is sent (default: its client id)' },
      algorithm: { value: 'RS256|ES256', about: 'how its tokens are signed (default: RS256)' },
      subject: { value: 'scim|email|iss_sub', about: 'how CAEP and RISC events name a user (default: scim)' },
      by,
    },
    example: [
      'signals receiver add soc --org acme',
      'signals receiver add soc --subject email',
      'signals receiver add soc --quiet',
    ],
    run: (callAdmin, { name, org, audience, algorithm, subject, by }) =>
      callAdmin(
        '/signals/receivers',
        post({ name, orgs: org === 'all' ? undefined : list(org), audience, algorithm, subject, by }),
      ),
    quiet: ({ clientSecret }) => clientSecret,
    show: (added) => `${showOne(added)}\n\n${showSecret(added)}`,
  },
  {
    name: 'signals receiver list',
    about: 'List the programs that receive signals.',
    example: 'signals receiver list',
    run: (callAdmin) => callAdmin('/signals/receivers'),
    show: (all) =>
      all.length === 0
        ? 'No receivers of signals. Add one: npm run admin -- signals receiver add <name>'
        : columns([
            heading('NAME', 'ORGS', 'CLIENT', 'AUDIENCE', 'SUBJECT', 'STATE'),
            ...all.map((it) => [
              ...[it.name, it.orgs?.join(',') ?? 'all', it.clientId, it.audience, it.subject],
              it.disabledAt ? ['yellow', 'disabled'] : ['green', 'good'],
            ]),
          ]),
  },
  {
    name: 'signals receiver show',
    about: 'Show a receiver, its streams, and how their delivery goes.',
    args: ['name'],
    example: 'signals receiver show soc',
    run: (callAdmin, { name }) => callAdmin(path(name)),
    show: (receiver) => [showOne(receiver), ...receiver.streams.map(showStream)].join('\n\n'),
  },
  {
    name: 'signals receiver update',
    about: 'Change how the CAEP and RISC events of a receiver name a user.',
    more: 'It holds for all events that are sent from now on, also for those that have waited.',
    args: ['name'],
    options: { subject: { value: 'scim|email|iss_sub', about: 'the format of the subject', required: true }, by },
    example: 'signals receiver update soc --subject email',
    run: (callAdmin, { name, subject, by }) => callAdmin(path(name), { method: 'PATCH', body: { subject, by } }),
    show: showOne,
  },
  {
    name: 'signals receiver rotate-secret',
    about: 'Replace the client secret. The old one keeps working for a while.',
    args: ['name'],
    options: { grace, by },
    example: 'signals receiver rotate-secret soc --grace 12h',
    run: (callAdmin, { name, grace, by }) => callAdmin(path(name, '/rotate-secret'), post({ grace, by })),
    quiet: ({ clientSecret }) => clientSecret,
    show: (rotated) =>
      `${showSecret(rotated)}${rotated.previousSecretUntil ? `\nThe old one is good until ${instant(rotated.previousSecretUntil)}.` : ''}`,
  },
  {
    name: 'signals receiver disable',
    about: 'Refuse a receiver and send it nothing for now. What happens meanwhile is kept.',
    args: ['name'],
    options: { by },
    example: 'signals receiver disable soc',
    run: (callAdmin, { name, by }) => callAdmin(path(name, '/disable'), post({ by })),
    show: showOne,
  },
  {
    name: 'signals receiver enable',
    about: 'Serve a receiver again, beginning with what has not been delivered.',
    args: ['name'],
    options: { by },
    example: 'signals receiver enable soc',
    run: (callAdmin, { name, by }) => callAdmin(path(name, '/enable'), post({ by })),
    show: showOne,
  },
  {
    name: 'signals receiver remove',
    about: 'Remove a receiver with its streams.',
    args: ['name'],
    options: { by },
    example: 'signals receiver remove soc',
    run: (callAdmin, { name, by }) =>
      callAdmin(path(name, by === undefined ? '' : `?${new URLSearchParams({ by })}`), { method: 'DELETE' }),
    show: ({ removed }) => `Removed ${harmless(removed)}.`,
  },
  {
    name: 'signals keys list',
    about: 'List the keys that sign signals: those that are published.',
    example: 'signals keys list',
    run: (callAdmin) => callAdmin('/signals/keys'),
    show: showKeys,
  },
  {
    name: 'signals keys rotate',
    about: 'Sign with the next key from now on. The one before stays published for 24 hours.',
    more: 'Within these 24 hours a second rotation is refused. After a leak, rotate twice, the second time with --force.',
    options: {
      algorithm: { value: 'RS256|ES256', about: 'only this one (default: each that is in use)' },
      force: { about: 'withdraw the key before at once: what it has signed cannot be verified any more' },
      by,
    },
    example: ['signals keys rotate', 'signals keys rotate --force'],
    run: (callAdmin, { algorithm, force, by }) => callAdmin('/signals/keys/rotate', post({ algorithm, force, by })),
    show: showKeys,
  },
];

const showSecret = ({ clientSecret }) =>
  `Client secret ${paint('green', harmless(clientSecret))}\nIt is not shown again. The receiver needs it to get access tokens.`;

function showOne({ name, clientId, mask, orgs, audience, algorithm, subject, metadataUrl, tokenUrl, ...it }) {
  return facts([
    ['name', name],
    ['orgs', orgs?.join(', ') ?? 'all'],
    ['client id', clientId],
    ['client secret', mask],
    ['metadata', metadataUrl],
    ['token endpoint', tokenUrl],
    ['audience', audience],
    ['signed by', algorithm],
    ['subject', subject],
    ['state', it.disabledAt ? ['yellow', 'disabled'] : ['green', 'good']],
    ['added', `${instant(it.createdAt)} by ${it.createdBy}`],
  ]);
}

function showStream({ id, method, host, status, reason, ...it }) {
  return facts([
    ['stream', id],
    ['delivery', host === null ? method : `${method} to ${host}`],
    ['status', [status, reason].filter(Boolean).join(': ')],
    ['verified', instant(it.verifiedAt) ?? 'not yet'],
    ['last delivery', instant(it.deliveredAt) ?? 'none yet'],
    ['behind', `in ${it.behind} orgs`],
    ...(it.failing > 0 ? [['failing', `in ${it.failing} orgs since ${minute(it.failingSince)}: ${it.lastError}`]] : []),
    ...(it.refused > 0 ? [['refused', `${it.refused}, the last one ${it.lastRefusal}`]] : []),
    ...(method === 'poll' ? [['last poll', instant(it.polledAt) ?? 'none yet']] : []),
  ]);
}

function showKeys(keys) {
  if (keys.length === 0) return 'No keys. The first receiver makes them.';
  return columns([
    heading('KEY', 'ALGORITHM', 'STATE', 'MADE', 'PUBLISHED UNTIL'),
    ...keys.map((it) => [it.kid, it.algorithm, it.state, minute(it.createdAt), minute(it.publishedUntil) ?? '-']),
  ]);
}
