/** Rejected requests of an org, with what to do about each. */
import { harmless, paint, wrap } from '../terminal.mjs';
import { org } from './api.mjs';
import { instant } from './show.mjs';

export const refusalCommands = [
  {
    name: 'refusals',
    about: 'List the rejected requests of the last 30 days, the latest first, and what to do about them.',
    args: ['slug'],
    options: { since: { value: 'ISO', about: 'only those since then, such as 2026-11-22T08:00Z' } },
    example: 'refusals acme --since 2026-11-22T08:00Z',
    run: (callAdmin, { slug, since }) =>
      callAdmin(org(slug, `/refusals${since ? `?${new URLSearchParams({ since })}` : ''}`)),
    show: (refusals) => (refusals.length === 0 ? 'No request was rejected.' : refusals.map(showRefusal).join('\n\n')),
  },
];

/** A line of facts, and below it what to do. */
function showRefusal({ lastAt, count, reason, client, address, source, detail }) {
  const from = [source?.issuer, client, address].filter(Boolean).map(harmless).join(', ');
  return [
    `${paint('bold', harmless(reason))}  ${count}×, last ${instant(lastAt)}${from && paint('dim', `  ${from}`)}`,
    ...wrap(harmless(detail), 76).map((line) => `    ${line}`),
  ].join('\n');
}
