/**
 * The commands of the identity provider's credentials: the same verbs for the org's token and for its password. A secret is
 * printed once, by the command that made it.
 */
import { columns, harmless, heading, paint, wrap } from '../terminal.mjs';
import { org, post } from './api.mjs';
import { by, confirm } from './options.mjs';
import { instant, minute } from './show.mjs';

export const expires = { value: 'duration', about: 'when the new one expires, such as 12h or 90d (default: never)' };
export const expectGeneration = { value: 'number', about: 'only if this generation is still the current one' };
export const grace = {
  value: 'duration',
  about: "how long the old one keeps working: 0, 90s, 15m, at most 24h (default: the org's graceDefault, else 24h)",
};
export const retireOnUse = { about: 'end the grace soon after the first use of the new one' };

/**
 * @param kind `noun`: of the commands; `word`: what one is called, and the member of an answer that holds its secret;
 *   `path`: of the org's API; `list`: the verb that shows them all.
 */
export function credentialCommands(kind) {
  const { noun, word, path, list } = kind;
  const call = (callAdmin, slug, rest, body) => callAdmin(org(slug, `${path}${rest}`), post(body));
  const quiet = (answer) => answer[word];
  return [
    {
      name: `${noun} generate`,
      about: `Generate the ${word} for the identity provider. It is shown once.`,
      args: ['slug'],
      options: { expires, by },
      example: [`${noun} generate acme --expires 90d`, `${noun} generate acme --quiet`],
      run: (callAdmin, { slug, expires, by }) => call(callAdmin, slug, '', { expires, by }),
      show: (made) => showSecret(made, kind),
      quiet,
    },
    {
      name: `${noun} rotate`,
      about: `Replace the ${word}. The old one keeps working for a while.`,
      args: ['slug'],
      options: { grace, 'expect-generation': expectGeneration, expires, 'retire-on-use': retireOnUse, by },
      example: `${noun} rotate acme --grace 12h`,
      run: (callAdmin, { slug, grace, expires, by, ...input }) =>
        call(callAdmin, slug, '/rotate', {
          grace,
          expires,
          by,
          ...expected(input),
          retireOnUse: input['retire-on-use'],
        }),
      show: (rotated, input) => showRotation(rotated, kind, input),
      quiet,
    },
    {
      name: `${noun} cancel`,
      about: `Take a rotation back: the old ${word} stays, the new one is revoked.`,
      args: ['slug'],
      options: { 'expect-generation': expectGeneration, by },
      example: `${noun} cancel acme`,
      run: (callAdmin, { slug, by, ...input }) => call(callAdmin, slug, '/cancel', { by, ...expected(input) }),
      show: ({ dead, ...current }) => `${named(current)} is the current one again. ${named(dead)} is revoked.`,
    },
    {
      name: `${noun} complete`,
      about: `Complete a rotation: revoke the old ${word} now.`,
      args: ['slug'],
      options: { 'expect-generation': expectGeneration, by },
      example: `${noun} complete acme`,
      run: (callAdmin, { slug, by, ...input }) => call(callAdmin, slug, '/complete', { by, ...expected(input) }),
      show: ({ dead, ...current }) => `${named(dead)} is revoked. ${named(current)} is the only one.`,
    },
    {
      name: `${noun} revoke`,
      about: `Revoke every ${word} of an org. The next request with one is refused.`,
      args: ['slug'],
      options: { confirm: confirm('slug', `the identity provider is locked out until it gets a new ${word}`), by },
      example: `${noun} revoke acme --confirm acme`,
      run: (callAdmin, { slug, by }) =>
        callAdmin(org(slug, `${path}${by === undefined ? '' : `?${new URLSearchParams({ by })}`}`), {
          method: 'DELETE',
        }),
      show: ({ revoked, [`${word}s`]: dead }) =>
        revoked === 0 ? `There was no ${word} to revoke.` : `Revoked ${dead.map(named).join(' and ')}.`,
    },
    {
      name: `${noun} ${list}`,
      about: `List the ${word}s of an org, masked: state, last use, warnings.`,
      args: ['slug'],
      example: `${noun} ${list} acme`,
      run: (callAdmin, { slug }) => callAdmin(org(slug, path)),
      show: (all) => (all.length === 0 ? `No ${word}s.` : showCredentials(all)),
    },
  ];
}

/** What is not a number goes to the API as it is: the error of the API says what was expected. */
export function expected({ 'expect-generation': text }) {
  return { expectGeneration: /^\d+$/.test(text) ? Number(text) : text };
}

/** The secret, alone on its line, and what to do with it. */
export function showSecret(made, { word }) {
  const title = `${word[0].toUpperCase()}${word.slice(1)}`;
  const until = made.validUntil ? ` It expires at ${instant(made.validUntil)}.` : '';
  return [
    ...(made.userName ? [`User name ${paint('green', harmless(made.userName))}`] : []),
    `${title} ${paint('green', harmless(made[word]))}`,
    '',
    `Generation ${made.generation}, made by ${harmless(made.createdBy)}.${until}`,
    'Copy it now: it is not shown again, only its hash is stored.',
  ].join('\n');
}

/** The new secret, and what becomes of the old one. */
export function showRotation({ predecessor, killed, ...made }, kind, { slug, 'retire-on-use': isRetired }) {
  const command = (verb) => `  npm run admin -- ${kind.noun} ${verb} ${slug}`;
  const old = `The old one, ${named(predecessor)},`;
  const fates = {
    grace: [
      ...wrap(
        `${old} works until ${instant(endOf(predecessor))}${isRetired ? ', or until soon after the first use of the new one' : ''}.`,
        80,
      ),
      `${command('complete')}   revokes the old one now`,
      `${command('cancel')}     revokes the new one, and keeps the old one`,
    ],
    expired: [`${old} had expired.`],
    replaced: [`${old} is revoked.`],
  };
  return [
    showSecret(made, kind),
    '',
    ...fates[predecessor.state],
    ...(killed ? [`${named(killed)} was still in its grace period, and is revoked too.`] : []),
  ].join('\n');
}

const COLOURS = { current: 'green', grace: 'yellow' };

/** A table, and below it the warnings. */
export function showCredentials(all) {
  const rows = all.map((it) => [
    it.mask,
    it.generation,
    [COLOURS[it.state] ?? 'dim', stateOf(it)],
    `${minute(it.createdAt)} by ${it.createdBy}`,
    it.lastUsedAt
      ? [minute(it.lastUsedAt), it.lastUsedClient && brief(it.lastUsedClient), it.lastUsedAddress]
          .filter(Boolean)
          .join(' ')
      : 'never',
  ]);
  const warnings = all.flatMap((it) => it.warnings.map((warning) => `${named(it)} ${harmless(warning)}`));
  return [
    columns([heading('MASK', 'GEN', 'STATE', 'CREATED', 'LAST USED'), ...rows]),
    ...(warnings.length > 0
      ? ['', ...warnings.flatMap((warning) => wrap(`! ${warning}`, 80).map((line) => paint('yellow', line)))]
      : []),
  ].join('\n');
}

/** The state with its instant: an end in the future is `until`, one in the past `since`. */
function stateOf(credential) {
  const end = endOf(credential);
  if (end === undefined) return credential.state;
  const isLive = credential.state in COLOURS;
  return `${credential.state} ${isLive ? 'until' : 'since'} ${minute(end)}`;
}

export const named = ({ mask, generation }) => `${harmless(mask)} (generation ${generation})`;

/** When it stopped working, or will: the earliest end. ISO instants sort as text. */
const endOf = ({ validUntil, graceUntil, revokedAt }) => [validUntil, graceUntil, revokedAt].filter(Boolean).sort()[0];

/** The first words of a User-Agent. */
const brief = (client) => (client.length > 30 ? `${client.slice(0, 29)}…` : client);
