/** Deactivations above the limit: which deactivations wait, and the operator's decision. */
import { columns, harmless, heading, paint } from '../terminal.mjs';
import { org, post } from './api.mjs';
import { by } from './options.mjs';
import { instant, minute } from './show.mjs';

const USER = { value: 'id|userName', about: 'only this user (default: all that wait)' };

export const heldCommands = [
  {
    name: 'held list',
    about: 'List the deactivations and deletions above the limit, and how much of it is used.',
    more: 'The settings deactivationLimit.… set the limit.',
    args: ['slug'],
    example: 'held list acme',
    run: showAll,
    show,
  },
  {
    name: 'held release',
    about: 'Carry out the deactivations that wait, all of them or that of one user.',
    args: ['slug'],
    options: { user: USER, by },
    example: 'held release acme --user ada@example.com',
    run: releaseAll,
    exitCode: ({ released, kept }) => (kept.length === 0 ? 0 : released.length > 0 ? 2 : 1),
    show: ({ released, kept }) =>
      [
        `Carried out for ${released.length} users: they are signed out.`,
        ...kept.map(({ user, why }) => paint('yellow', `Not for ${harmless(user)}: ${harmless(why)}`)),
      ].join('\n'),
  },
  {
    name: 'held reject',
    about: 'Refuse the deactivations that wait, all of them or that of one user.',
    more: 'The users stay active. Until then the identity provider gets 403 for the same request.',
    args: ['slug'],
    options: { user: USER, for: { value: 'duration', about: 'for how long (default: 24h, at most 30d)' }, by },
    example: 'held reject acme --for 7d',
    run: (callAdmin, { slug, user, by, for: duration }) =>
      callAdmin(org(slug, '/held-deactivations/reject'), post({ user, by, for: duration })),
    show: ({ rejected, until }) => `Refused for ${rejected} users until ${instant(until)}. They stay active.`,
  },
];

async function showAll(callAdmin, { slug }) {
  const held = [];
  let after = '';
  for (;;) {
    const { next, ...page } = await callAdmin(org(slug, `/held-deactivations?${new URLSearchParams({ after })}`));
    held.push(...page.held);
    if (next === null) return { ...page, held };
    after = next;
  }
}

/** Page by page. What may not be carried out stays. */
async function releaseAll(callAdmin, { slug, user, by }) {
  const [released, kept] = [[], []];
  let after;
  for (;;) {
    const page = await callAdmin(org(slug, '/held-deactivations/release'), post({ user, by, after }));
    released.push(...page.released);
    kept.push(...page.kept);
    if (page.left <= 0) return { released, kept };
    after = page.next;
  }
}

function show({ isSet, limit, used, window, held, open }, { slug }) {
  const set = `npm run admin -- org set ${slug} deactivationLimit.deactivations=20 deactivationLimit.window=1h`;
  return [
    isSet ? `${used} of ${limit} deactivations in ${window} are used.` : `No limit is set. Set one:\n  ${set}`,
    held.length === 0
      ? 'No deactivation waits.'
      : columns([
          heading('USER NAME', 'WOULD', 'STATE', 'SINCE', 'TIMES', 'ID'),
          ...held.map((it) => [
            it.userName,
            it.operation,
            it.state === 'held' ? ['yellow', 'waits'] : `rejected until ${minute(it.rejectedUntil)}`,
            minute(it.since),
            it.attempts,
            it.user,
          ]),
        ]),
    ...(open > 0
      ? [
          `${open} wait. Carry them out, or refuse them:`,
          `  npm run admin -- held release ${slug}`,
          `  npm run admin -- held reject ${slug}`,
        ]
      : []),
  ].join('\n');
}
