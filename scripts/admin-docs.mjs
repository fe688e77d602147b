/**
 * `npm run docs:cli`: docs/admin-cli.md from the table of commands (scripts/admin/commands.mjs). A test checks that the page
 * is current.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { commands } from './admin/commands.mjs';
import { ARGUMENTS, GLOBAL_OPTIONS, NOUN_GROUPS, usageOf } from './admin/help.mjs';
import { root } from './project.mjs';

export const PAGE = 'docs/admin-cli.md';

const INTRODUCTION = `# The admin CLI

\`npm run admin -- <noun> <verb> …\` administers orgs. It calls the admin API, so your back end can do the same.
\`npm run admin -- --help\` lists the nouns. \`npm run admin -- token --help\` lists the verbs of one noun.

<!-- Written by npm run docs:cli from scripts/admin/commands.mjs. Do not edit. -->

## Which service

- Without an option: the service that \`npm start\` runs on this machine. \`STATE_DIR\` chooses among several.
- \`--remote\`: the deployed Worker, with the login of wrangler. \`--env eu\` chooses an environment of wrangler.toml.
- \`--url https://scim.example.com\`: the service at this address, with the environment variable \`ADMIN_TOKEN\`.

## Output

- Standard output has the answer alone. With \`--json\` it is exactly one JSON value.
- \`--quiet\` prints one bare value, such as a token: \`TOKEN=$(npm run -s admin -- token generate acme --quiet)\`.
- Errors go to standard error. With \`--json\` they are \`{"error": "…", "detail": "…"}\`.
- Exit codes: 0, everything was done; 2, some lines were refused (imports) or databases are not in the answer; 1, nothing was done.
- Commands that a customer notices, or that cannot be undone, need \`--confirm\`, which repeats the name.
`;

/** The text of the page. */
export function cliPage() {
  return [
    INTRODUCTION,
    '## Options of every command\n',
    ...Object.entries(GLOBAL_OPTIONS).map(optionLine),
    '',
    ...NOUN_GROUPS.flatMap(([, nouns]) => Object.entries(nouns)).flatMap(([noun, about]) => [
      `## ${noun}\n`,
      `${about[0].toUpperCase()}${about.slice(1)}.\n`,
      ...commands.filter(({ name }) => name.split(' ')[0] === noun).map(sectionOf),
    ]),
  ].join('\n');
}

function sectionOf(command) {
  const { name, about, more, args = [], options = {}, example } = command;
  const lines = [
    ...args.map((arg) => `- \`<${bare(arg)}>\`: ${ARGUMENTS[bare(arg)]}`),
    ...Object.entries(options).map(optionLine),
  ];
  const examples = [example].flat().map((text) => `npm run admin -- ${text}`);
  return [
    `### ${name}\n`,
    `${more ? `${about} ${more}` : about}\n`,
    `\`\`\`sh\n${examples.join('\n')}\n\`\`\`\n`,
    `Usage: \`${usageOf(command).replace('npm run admin -- ', '')}\`\n`,
    ...(lines.length > 0 ? [...lines, ''] : []),
  ].join('\n');
}

/** An argument without the brackets that make it optional. */
const bare = (arg) => arg.replace(/^\[|\]$/g, '');

function optionLine([name, { value, about, required }]) {
  const [first, ...others] = about.split('\n');
  const flag = `\`--${name}${value ? ` <${value}>` : ''}\`${required ? ' (required)' : ''}`;
  return [`- ${flag}: ${first}`, ...others.map((line) => `  - ${line}`)].join('\n');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await writeFile(join(root, PAGE), cliPage());
