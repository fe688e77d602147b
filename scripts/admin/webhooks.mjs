/** The commands of webhooks: where events are posted to, and how that goes. */
import { columns, harmless, heading, paint } from '../terminal.mjs';
import { listAll, post } from './api.mjs';
import { grace } from './credentials.mjs';
import { by } from './options.mjs';
import { facts, instant, minute } from './show.mjs';

const path = (id, rest = '') => `/webhooks/${encodeURIComponent(id)}${rest}`;
const slugOf = (org) => (org === 'all' ? undefined : org);

export const webhookCommands = [
  {
    name: 'webhook add',
    about: 'Post events to an address of yours from now on. The secret is shown once.',
    more: 'The Worker secret WEBHOOK_KEY must be set. docs/webhooks.md says what is sent.',
    args: ['address'],
    options: {
      org: { value: 'slug|all', about: 'events of this org (default: all orgs)' },
      type: { value: 'types', about: 'only these, with commas between them (default: user.*,group.*,org.*)' },
      by,
    },
    example: [
      'webhook add https://app.example.com/hooks --org acme',
      'webhook add https://app.example.com/hooks --quiet',
    ],
    run: (callAdmin, { address, org, type, by }) =>
      callAdmin(
        '/webhooks',
        post({ url: address, org: slugOf(org), types: type?.split(',').map((one) => one.trim()), by }),
      ),
    show: (added) => `${showOne(added)}\n\n${showSecret(added)}`,
    quiet: ({ secret }) => secret,
  },
  {
    name: 'webhook list',
    about: 'List the webhooks, and how their delivery goes.',
    options: { org: { value: 'slug', about: 'those that get the events of this org (default: every one)' } },
    example: 'webhook list --org acme',
    run: (callAdmin, { org }) =>
      org === undefined
        ? listAll(callAdmin, '/webhooks', ({ id }) => id)
        : callAdmin(`/webhooks?${new URLSearchParams({ org })}`),
    show: (all) =>
      all.length === 0
        ? 'No webhooks. Add one: npm run admin -- webhook add <address>'
        : columns([
            heading('ID', 'ORG', 'ADDRESS', 'TYPES', 'STATE', 'DELIVERED'),
            ...all.map((it) => [
              ...[it.id, it.org ?? 'all', it.url, it.types.join(','), stateOf(it)],
              minute(it.delivery?.deliveredAt) ?? '-',
            ]),
          ]),
  },
  {
    name: 'webhook show',
    about: 'Show one webhook: its address, types, and how its delivery goes.',
    args: ['webhook'],
    example: 'webhook show wh_4tGbX0sJq2LmN8aP',
    run: (callAdmin, { webhook: id }) => callAdmin(path(id)),
    show: showOne,
  },
  {
    name: 'webhook test',
    about: 'Send one test message now, and say what came of it.',
    args: ['webhook'],
    example: 'webhook test wh_4tGbX0sJq2LmN8aP',
    run: (callAdmin, { webhook: id }) => callAdmin(path(id, '/test'), post({})),
    exitCode: ({ delivered }) => (delivered ? 0 : 1),
    show: ({ delivered, status, error, milliseconds }) =>
      delivered
        ? paint('green', `Delivered: it answered ${status} after ${milliseconds} ms.`)
        : paint('red', `Not delivered: ${harmless(error)}.`),
  },
  {
    name: 'webhook rotate-secret',
    about: 'Replace the secret. Messages are signed by both for a while.',
    args: ['webhook'],
    options: {
      grace: { ...grace, about: 'how long the old one signs as well: 0, 15m, at most 24h (default: 24h)' },
      by,
    },
    example: 'webhook rotate-secret wh_4tGbX0sJq2LmN8aP --grace 12h',
    run: (callAdmin, { webhook: id, grace, by }) => callAdmin(path(id, '/rotate-secret'), post({ grace, by })),
    show: (rotated) =>
      `${showSecret(rotated)}${rotated.previousSecretUntil ? `\nThe old one signs as well until ${instant(rotated.previousSecretUntil)}.` : ''}`,
    quiet: ({ secret }) => secret,
  },
  {
    name: 'webhook disable',
    about: 'Send nothing for now. What happens meanwhile is sent after webhook enable.',
    args: ['webhook'],
    options: { by },
    example: 'webhook disable wh_4tGbX0sJq2LmN8aP',
    run: (callAdmin, { webhook: id, by }) => callAdmin(path(id, '/disable'), post({ by })),
    show: showOne,
  },
  {
    name: 'webhook enable',
    about: 'Send again, beginning with what has not been delivered. Also after the service gave up.',
    args: ['webhook'],
    options: { by },
    example: 'webhook enable wh_4tGbX0sJq2LmN8aP',
    run: (callAdmin, { webhook: id, by }) => callAdmin(path(id, '/enable'), post({ by })),
    show: showOne,
  },
  {
    name: 'webhook replay',
    about: 'Send the events of an org again, beginning with this one.',
    more: 'The messages have new ids and the present state. The numbers of events are in: events <slug>.',
    args: ['webhook'],
    options: {
      from: { value: 'number', about: 'the number of the first event', required: true },
      org: { value: 'slug', about: 'in this org; required for a webhook of all orgs' },
      by,
    },
    example: 'webhook replay wh_4tGbX0sJq2LmN8aP --org acme --from 120',
    run: (callAdmin, { webhook: id, from, org, by }) =>
      callAdmin(path(id, '/replay'), post({ from: /^\d+$/.test(from) ? Number(from) : from, org, by })),
    show: ({ org, from, through }) => `Events ${from} to ${through} of ${harmless(org)} are sent again.`,
  },
  {
    name: 'webhook remove',
    about: 'Remove a webhook and its secret.',
    args: ['webhook'],
    options: { by },
    example: 'webhook remove wh_4tGbX0sJq2LmN8aP',
    run: (callAdmin, { webhook: id, by }) =>
      callAdmin(path(id, by === undefined ? '' : `?${new URLSearchParams({ by })}`), { method: 'DELETE' }),
    show: ({ removed }) => `Removed ${harmless(removed)}.`,
  },
];

const showSecret = ({ secret }) =>
  `Secret ${paint('green', harmless(secret))}\nIt is not shown again. Your application needs it to verify messages (docs/webhooks.md).`;

function stateOf({ disabledAt, disabled, failing, delivery }) {
  if (disabledAt) return ['yellow', 'disabled'];
  if (delivery?.disabledAt) return ['red', `gave up: ${delivery.disabledWhy}`];
  if (delivery?.failures > 0) return ['red', `failing since ${minute(delivery.failingSince)}`];
  if (disabled + failing > 0) return ['red', `failing in ${disabled + failing} orgs`];
  return ['green', delivery?.behind > 0 ? `${delivery.behind} behind` : 'good'];
}

function showOne(webhook) {
  const { id, org, url, types, mask, delivery } = webhook;
  return facts([
    ['id', id],
    ['org', org ?? 'all'],
    ['address', url],
    ['types', types.join(', ')],
    ['secret', mask],
    ['state', stateOf(webhook)],
    ...(delivery
      ? [
          ['delivered through', `event ${delivery.seq}, ${delivery.behind} behind`],
          ['last delivery', instant(delivery.deliveredAt) ?? 'none yet'],
        ]
      : []),
    ...(delivery?.lastError ? [['last error', delivery.lastError]] : []),
    ...(delivery?.nextAttemptAt ? [['next attempt', instant(delivery.nextAttemptAt)]] : []),
  ]);
}
