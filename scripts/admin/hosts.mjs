/** The commands of the vendor's own applications: each has a token of its own for the sessions API. */
import { columns, harmless, heading, paint } from '../terminal.mjs';
import { post } from './api.mjs';
import { by } from './options.mjs';
import { instant } from './show.mjs';

const path = (name, rest = '') => `/hosts/${encodeURIComponent(name)}${rest}`;
const grace = { value: 'duration', about: 'how long the old one keeps working: 0, 15m, at most 24h (default: 24h)' };
const list = (text) => text?.split(',').map((item) => item.trim());

export const hostCommands = [
  {
    name: 'hosts add',
    about: 'Make a token for an application that asks the sessions API. It is shown once.',
    args: ['name'],
    options: {
      org: { value: 'slugs', about: 'only these orgs, with commas between them (default: every org)' },
      scope: { value: 'scopes', about: 'only these questions: check,resolve,lists (default: all of them)' },
      by,
    },
    example: ['hosts add crm --org acme --scope check,resolve', 'hosts add crm --quiet'],
    quiet: ({ token }) => token,
    run: (callAdmin, { name, org, scope, by }) =>
      callAdmin('/hosts', post({ name, orgs: list(org), scopes: list(scope), by })),
    show: showToken,
  },
  {
    name: 'hosts rotate',
    about: 'Replace the token of an application. The old one keeps working for a while.',
    args: ['name'],
    options: { grace, by },
    example: 'hosts rotate crm --grace 12h',
    quiet: ({ token }) => token,
    run: (callAdmin, { name, grace, by }) => callAdmin(path(name, '/rotate'), post({ grace, by })),
    show: (rotated) => `${showToken(rotated)}\nThe old one is good until ${instant(rotated.predecessorGoodUntil)}.`,
  },
  {
    name: 'hosts remove',
    about: 'Remove an application and its tokens. The next request with one is refused.',
    args: ['name'],
    example: 'hosts remove crm',
    run: (callAdmin, { name }) => callAdmin(path(name), { method: 'DELETE' }),
    show: ({ removed }) => `Removed ${harmless(removed)}.`,
  },
  {
    name: 'hosts list',
    about: 'List the applications that have a token: masked tokens, orgs and scopes.',
    example: 'hosts list',
    run: (callAdmin) => callAdmin('/hosts'),
    show: (all) =>
      all.length === 0
        ? 'No applications have a token of their own. HOST_TOKEN is good for all questions.'
        : columns([
            heading('NAME', 'MASK', 'STATE', 'ORGS', 'SCOPES', 'CREATED', 'BY', 'GOOD UNTIL'),
            ...all.map((it) => [
              ...[it.name, it.mask, it.state, it.orgs?.join(', ') ?? 'all', it.scopes.join(', ')],
              ...[instant(it.createdAt), it.createdBy, instant(it.graceUntil)],
            ]),
          ]),
  },
];

function showToken({ token, name, orgs, scopes }) {
  return [
    `Token ${paint('green', harmless(token))}`,
    '',
    `For ${harmless(name)}: ${scopes.join(', ')} of ${orgs?.map(harmless).join(', ') ?? 'every org'}. Copy it now: only its hash is kept.`,
  ].join('\n');
}
