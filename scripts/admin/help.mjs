/** The help: one screen of nouns, the verbs of a noun, and one command with all that it takes. 80 columns. */
import { paint, wrap } from '../terminal.mjs';

const RUN = 'npm run admin --';
const WIDTH = 80;

export const GLOBAL_OPTIONS = {
  json: { about: 'print the answer as one JSON value' },
  remote: { about: 'ask the deployed Worker, with the login of wrangler, not the local service' },
  env: { value: 'name', about: 'with --remote: the environment of wrangler.toml, such as eu' },
  url: { value: 'https://…', about: 'ask the service at this address, with the variable ADMIN_TOKEN' },
  help: { about: 'print this help', short: 'h' },
  version: { about: 'print the version', short: 'v' },
};

/** The nouns by what they are about, in the order in which an operator meets them. */
export const NOUN_GROUPS = [
  [
    'Orgs, their administrators, and your applications',
    {
      org: 'create, set up, look at, export and remove orgs',
      scim: 'switch the SCIM API of an org on or off',
      portal: 'links to the portal: for the customer’s administrator, and for you',
      hosts: 'tokens of your applications for the sessions API',
      webhook: 'addresses of your applications that events are posted to',
      shard: 'the databases that orgs are spread over',
    },
  ],
  [
    'Credentials of the identity provider',
    {
      token: 'the bearer token: generate, rotate, revoke',
      basic: 'user name and password, the same verbs',
      oauth: 'OAuth 2 clients, their secrets and approval codes',
      signals: 'Universal Logout and shared signals: in, and out to receivers',
    },
  ],
  [
    'Directory',
    {
      user: 'look up, import, protect, sign out, restore and erase users',
      group: 'list groups and set their permissions',
      schema: 'attributes of the org’s own',
    },
  ],
  [
    'What happened',
    {
      events: 'the journal: every change, and who made it',
      refusals: 'rejected requests, and what to do about them',
      held: 'deactivations above the limit, which wait for a decision',
      sessions: 'check one session; list revocations that wait',
    },
  ],
];

/** What the arguments of commands are. */
export const ARGUMENTS = {
  slug: 'the org, by its slug',
  'key=value…': 'settings; org settings lists them',
  'id|userName': 'the user, by id or userName',
  'id|displayName': 'the group, by id or displayName',
  clientId: 'the OAuth client, by its id',
  file: 'a file on this machine',
  'file.json': 'a file on this machine',
  urn: 'the schema, by its URN',
  id: 'the link, by its id',
  address: 'where your application takes messages, with https',
  webhook: 'the webhook, by its id',
  name: 'the application, by the name that you give it',
};

export const howToSee = (name) => `See: ${RUN} ${name ? `${name} ` : ''}--help`;

const nounOf = ({ name }) => name.split(' ')[0];

/** All nouns, on one screen. A noun without a group is listed all the same. */
export function overview(commands) {
  const nouns = [...new Set(commands.map(nounOf))];
  const listed = NOUN_GROUPS.map(([title, group]) => [
    title,
    Object.entries(group).filter(([it]) => nouns.includes(it)),
  ]);
  const known = new Set(listed.flatMap(([, group]) => group.map(([noun]) => noun)));
  const others = nouns.filter((noun) => !known.has(noun)).map((noun) => [noun, verbsOf(noun, commands)]);
  return [
    `${paint('bold', `${RUN} <noun> <verb> …`)}   all take --json, --remote, --env, --url`,
    ...[...listed, ['Other', others]].flatMap(([title, group]) =>
      group.length === 0
        ? []
        : [paint('bold', title), ...group.map(([noun, about]) => `  ${noun.padEnd(10)}${paint('dim', about)}`)],
    ),
    `${RUN} token --help           the verbs of a noun`,
    `${RUN} token rotate --help    all that one command takes`,
    `${RUN} org create acme --enable --idp okta --token    a start`,
  ].join('\n');
}

const verbsOf = (noun, commands) =>
  commands
    .filter((one) => nounOf(one) === noun)
    .map(({ name }) => name.slice(noun.length + 1))
    .filter(Boolean)
    .join(', ');

/** The commands that begin with these words, and an example of one. */
export function nounHelp(words, commands) {
  const example = commands.find(({ example }) => example)?.example;
  return [
    paint('bold', `${RUN} ${words} <verb> …`),
    '',
    ...table(commands.map((one) => [[one.name, ...(one.args ?? []).map(argument)].join(' '), one.about])),
    ...exampleLines(example),
    '',
    `Options of one verb: ${RUN} ${commands[0].name} --help`,
  ].join('\n');
}

/** One command with its arguments, its options and an example. */
export function commandHelp(command) {
  const { name, about, more, args = [], options = {}, details, example } = command;
  return [
    ...wrap(usageOf(command), WIDTH - 4).map((line, i) => paint('bold', i === 0 ? line : `    ${line}`)),
    '',
    ...wrap(more ? `${about} ${more}` : about, WIDTH),
    ...section(args.map((arg) => [argument(arg), ARGUMENTS[arg.replace(/^\[|\]$/g, '')] ?? 'see the example'])),
    ...section(Object.entries(options).map(optionRow)),
    ...(details ? ['', details()] : []),
    ...exampleLines(example),
    ...section(Object.entries(GLOBAL_OPTIONS).map(optionRow), `With every command, also with ${name}:`),
  ].join('\n');
}

export function usageOf({ name, args = [], options = {} }) {
  const all = Object.entries(options);
  const required = all.filter(([, { required }]) => required);
  return [
    `${RUN} ${name}`,
    ...args.map(argument),
    ...required.map(flag),
    ...(all.length > required.length ? ['[options]'] : []),
  ].join(' ');
}

const argument = (arg) => (arg.startsWith('[') ? `[<${arg.slice(1, -1)}>]` : `<${arg}>`);
const flag = ([name, { value }]) => `--${name}${value ? ` <${value}>` : ''}`;
const optionRow = ([name, option]) => [
  `${option.short ? `-${option.short}, ` : ''}${flag([name, option])}${option.required ? ' (required)' : ''}`,
  option.about,
];
const section = (rows, title) => (rows.length === 0 ? [] : ['', ...(title ? [title] : []), ...table(rows)]);
const exampleLines = (example) =>
  example === undefined ? [] : ['', 'Example:', ...[example].flat().map((text) => `  ${RUN} ${text}`)];

/** Names on the left, sentences on the right, in lines of 80 characters; what takes several lines stays in its column. */
function table(rows) {
  const most = Math.max(...rows.map(([left]) => left.length));
  const width = Math.min(most, 34);
  return rows.flatMap(([left, right]) => {
    const lines = right.split('\n').flatMap((line) => wrap(line, WIDTH - width - 4));
    const isLong = left.length > width;
    return [
      ...(isLong ? [`  ${left}`] : []),
      ...lines.map((line, i) => `  ${(i === 0 && !isLong ? left : '').padEnd(width)}  ${paint('dim', line)}`),
    ];
  });
}
