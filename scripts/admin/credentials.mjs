/**
 * The commands of what an identity provider proves itself with: the same verbs for the org's token and for its password.
 * A secret is printed once, by the command that made it.
 */
import { columns, harmless, heading, paint } from '../terminal.mjs';
import { org, post } from './api.mjs';

const by = { value: 'who', about: 'for whom it is recorded (default: your user name)' };
const expires = { value: 'duration', about: 'after how long the new one expires: 12h, 90d (default: never)' };
const expectGeneration = { value: 'number', about: 'only if this generation is still the current one' };
const grace = {
  value: 'duration',
  about: "how long the old one stays good: 0, 90s, 15m, at most 24h (default: the org's graceDefault, else 24h)",
};
const retireOnUse = { about: 'end the grace shortly after the new one was used first' };

/**
 * @param kind `noun`: of the commands; `word`: what one is called, and the member of an answer that holds its secret;
 *   `path`: of the org's API; `list`: the verb that shows them all.
 */
export function credentialCommands(kind) {
  const { noun, word, path, list } = kind;
  const call = (callAdmin, slug, rest, body) => callAdmin(org(slug, `${path}${rest}`), post(body));
  return [
    {
      name: `${noun} generate`,
      about: `Make the ${word} that the identity provider presents. It is shown this once.`,
      args: ['slug'],
      options: { expires, by },
      run: (callAdmin, { slug, expires, by }) => call(callAdmin, slug, '', { expires, by }),
      show: (made) => showSecret(made, kind),
    },
    {
      name: `${noun} rotate`,
      about: `Replace the ${word}; the old one stays good for a while.`,
      args: ['slug'],
      options: { grace, 'expect-generation': expectGeneration, expires, 'retire-on-use': retireOnUse, by },
      run: (callAdmin, { slug, grace, expires, by, ...input }) =>
        call(callAdmin, slug, '/rotate', {
          grace,
          expires,
          by,
          ...expected(input),
          retireOnUse: input['retire-on-use'],
        }),
      show: (rotated, input) => showRotation(rotated, kind, input),
    },
    {
      name: `${noun} cancel`,
      about: `Go back to the old ${word} while its grace lasts; the new one dies.`,
      args: ['slug'],
      options: { 'expect-generation': expectGeneration, by },
      run: (callAdmin, { slug, by, ...input }) => call(callAdmin, slug, '/cancel', { by, ...expected(input) }),
      show: ({ dead, ...current }) => `${named(current)} is the current one again; ${named(dead)} is dead.`,
    },
    {
      name: `${noun} complete`,
      about: `End the grace of the old ${word} now.`,
      args: ['slug'],
      options: { 'expect-generation': expectGeneration, by },
      run: (callAdmin, { slug, by, ...input }) => call(callAdmin, slug, '/complete', { by, ...expected(input) }),
      show: ({ dead, ...current }) => `${named(dead)} is dead; ${named(current)} is the only one.`,
    },
    {
      name: `${noun} revoke`,
      about: `Revoke every ${word} of an org; the next request with one is refused.`,
      args: ['slug'],
      options: { by },
      run: (callAdmin, { slug, by }) =>
        callAdmin(org(slug, `${path}${by === undefined ? '' : `?${new URLSearchParams({ by })}`}`), {
          method: 'DELETE',
        }),
      show: ({ revoked, [`${word}s`]: dead }) =>
        revoked === 0 ? `There was no ${word} to revoke.` : `Revoked ${dead.map(named).join(' and ')}.`,
    },
    {
      name: `${noun} ${list}`,
      about: `The ${word}s of an org, masked, with their last use and what to take care of.`,
      args: ['slug'],
      run: (callAdmin, { slug }) => callAdmin(org(slug, path)),
      show: (all) => (all.length === 0 ? `No ${word}s.` : showCredentials(all)),
    },
  ];
}

/** What is not a number goes to the API as it is, which says what was expected. */
function expected({ 'expect-generation': text }) {
  return { expectGeneration: /^\d+$/.test(text) ? Number(text) : text };
}

/** The secret, alone on its line, and what to do with it. */
export function showSecret(made, { word }) {
  const title = `${word[0].toUpperCase()}${word.slice(1)}`;
  const until = made.validUntil ? `, good until ${instant(made.validUntil)}` : '';
  return [
    ...(made.userName ? [`User name ${paint('green', harmless(made.userName))}`] : []),
    `${title} ${paint('green', harmless(made[word]))}`,
    '',
    `Generation ${made.generation}, by ${harmless(made.createdBy)}${until}. Copy it now: only its hash is kept.`,
  ].join('\n');
}

/** The new secret, and what becomes of the old one. */
function showRotation({ predecessor, killed, ...made }, kind, { slug, 'retire-on-use': isRetired }) {
  const command = (verb) => `  npm run admin -- ${kind.noun} ${verb} ${slug}`;
  const old = `The old one, ${named(predecessor)},`;
  const fates = {
    grace: [
      `${old} is good until ${instant(endOf(predecessor))}${isRetired ? ', or until shortly after the new one is used first' : ''}.`,
      `${command('complete')}   ends that now`,
      `${command('cancel')}     goes back to the old one; the new one dies`,
    ],
    expired: [`${old} had expired.`],
    replaced: [`${old} is dead.`],
  };
  return [
    showSecret(made, kind),
    '',
    ...fates[predecessor.state],
    ...(killed ? [`${named(killed)}, whose grace still lasted, is dead by this.`] : []),
  ].join('\n');
}

const COLOURS = { current: 'green', grace: 'yellow' };

/** A table, and below it what to take care of. */
export function showCredentials(all) {
  const rows = all.map((it) => [
    it.mask,
    it.generation,
    [COLOURS[it.state] ?? 'dim', it.state],
    instant(it.createdAt),
    it.createdBy,
    instant(it.lastUsedAt),
    [it.lastUsedClient && brief(it.lastUsedClient), it.lastUsedAddress].filter(Boolean).join(', '),
    instant(endOf(it)),
  ]);
  const warnings = all.flatMap((it) => it.warnings.map((warning) => `${named(it)} ${harmless(warning)}`));
  return [
    columns([heading('MASK', 'GENERATION', 'STATE', 'CREATED', 'BY', 'LAST USED', 'FROM', 'GOOD UNTIL'), ...rows]),
    ...(warnings.length > 0 ? ['', ...warnings.map((warning) => paint('yellow', `! ${warning}`))] : []),
  ].join('\n');
}

const named = ({ mask, generation }) => `${harmless(mask)} (generation ${generation})`;

/** When it stopped being good, or will: whatever comes first. ISO instants sort as text. */
const endOf = ({ validUntil, graceUntil, revokedAt }) => [validUntil, graceUntil, revokedAt].filter(Boolean).sort()[0];

/** To the second: a table is read by people. */
const instant = (iso) => iso?.replace(/\.\d+Z$/, 'Z');

/** The first words of a User-Agent. */
const brief = (client) => (client.length > 30 ? `${client.slice(0, 29)}…` : client);
