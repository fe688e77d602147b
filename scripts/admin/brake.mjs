/** The brake for people: who waits, and the operator's decision. */
import { columns, heading, paint } from '../terminal.mjs';
import { org, post } from './api.mjs';

const USER = { value: 'id|userName', about: 'only this one (default: all that wait)' };
const BY = { value: 'who', about: 'for whom it is recorded (default: your user name)' };

export const brakeCommands = [
  {
    name: 'brake show',
    about: 'Whom the identity provider would deactivate or delete beyond the limit, and how far that is used.',
    args: ['slug'],
    run: showAll,
    show,
  },
  {
    name: 'brake release',
    about: 'Carry out now what the brake holds: all of it, or of one user.',
    args: ['slug'],
    options: { user: USER, by: BY },
    run: releaseAll,
    show: ({ released, kept }) =>
      [
        `${released.length} released: they are out.`,
        ...kept.map(({ user, why }) => paint('yellow', `${user} stays: ${why}`)),
      ].join('\n'),
  },
  {
    name: 'brake reject',
    about: 'Refuse what the brake holds: all of it, or of one user. The identity provider hears 403 for a while.',
    args: ['slug'],
    options: { user: USER, for: { value: '24h', about: 'for how long (default: 24h, at most 30d)' }, by: BY },
    run: (callAdmin, { slug, user, by, for: duration }) =>
      callAdmin(org(slug, '/brake/reject'), post({ user, by, for: duration })),
    show: ({ rejected, until }) => `${rejected} rejected until ${until}: they stay active.`,
  },
];

async function showAll(callAdmin, { slug }) {
  const held = [];
  let after = '';
  for (;;) {
    const { next, ...page } = await callAdmin(org(slug, `/brake?${new URLSearchParams({ after })}`));
    held.push(...page.held);
    if (next === null) return { ...page, held };
    after = next;
  }
}

/** Portion by portion; what may not be carried out stays, and is passed over. */
async function releaseAll(callAdmin, { slug, user, by }) {
  const [released, kept] = [[], []];
  let after;
  for (;;) {
    const page = await callAdmin(org(slug, '/brake/release'), post({ user, by, after }));
    released.push(...page.released);
    kept.push(...page.kept);
    if (page.left <= 0) return { released, kept };
    after = page.next;
  }
}

function show({ isSet, limit, used, window, held, open }) {
  return [
    isSet
      ? `${used} of ${limit} in ${window} are used.`
      : 'There is no limit: org set <slug> deactivationLimit.deactivations=20 deactivationLimit.window=1h sets one.',
    held.length === 0
      ? 'Nobody is held.'
      : columns([
          heading('USER', 'USER NAME', 'WOULD', 'STATE', 'SINCE', 'LAST', 'TIMES'),
          ...held.map((it) => [
            it.user,
            it.userName,
            it.operation,
            it.state === 'held' ? ['yellow', 'held'] : `rejected until ${it.rejectedUntil}`,
            it.since,
            it.lastAt,
            it.attempts,
          ]),
        ]),
    ...(open > 0 ? [paint('dim', `${open} wait: brake release carries it out, brake reject refuses it.`)] : []),
  ].join('\n');
}
