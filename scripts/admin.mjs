/**
 * `npm run admin -- <noun> <verb> …`: the operator's shell over the admin API. It adds nothing of its own: what a command
 * calls stands in admin/commands.mjs, and the vendor's back end can call the same.
 *
 * Standard output carries the answer and nothing else, one JSON value with --json; everything else is standard error.
 */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { commands } from './admin/commands.mjs';
import { AdminError, openAdmin } from './admin/transport.mjs';
import { nameOf, stateDirOf } from './project.mjs';
import { harmless, paint } from './terminal.mjs';

const globalOptions = {
  json: { about: 'print the answer as one JSON value' },
  remote: { about: "talk to the deployed Worker, with wrangler's login, instead of the local service" },
  help: { about: 'print this', short: 'h' },
};

console.log = console.error; // whatever a library prints is not the answer

const isJson = process.argv.includes('--json');
try {
  process.stdout.write(`${await answer(process.argv.slice(2))}\n`);
} catch (error) {
  if (!(error instanceof AdminError)) throw error;
  const { code, message } = error;
  process.stderr.write(`${isJson ? JSON.stringify({ error: code, detail: message }) : harmlessLines(message)}\n`);
  process.exitCode = 1;
}

async function answer(argv) {
  const { values, words } = parse(argv);
  if (words.length === 0) {
    if (values.help || argv.length === 0) return help(commands);
    throw usage(`Say what to do. ${howToSee('')}`);
  }
  const noun = commands.filter(({ name }) => name.startsWith(`${words[0]} `));
  if (noun.length === 0) throw usage(`There is no "${words[0]}".${suggest(words[0], nouns())} ${howToSee('')}`);
  const command = noun.find(({ name }) => name === `${words[0]} ${words[1]}`);
  if (values.help) return help(command ? [command] : noun);
  if (!command) {
    const verbs = noun.map(({ name }) => name.split(' ')[1]);
    const problem = words[1]
      ? `"${words[0]}" has no "${words[1]}".${suggest(words[1], verbs)}`
      : `What about "${words[0]}"?`;
    throw usage(`${problem} It has: ${verbs.join(', ')}.`);
  }
  const input = { ...values, ...positionals(command, words.slice(2)) };
  checkOptions(command, values);

  const { callAdmin, close } = await openAdmin({ stateDir: stateDirOf(process.env), isRemote: values.remote });
  try {
    const result = await command.run(callAdmin, input);
    return values.json ? JSON.stringify(result) : command.show(result, input);
  } finally {
    await close();
  }
}

/** All commands' options are known at once, so that flags may stand anywhere, before the noun too. */
function parse(argv) {
  const known = Object.assign({}, globalOptions, ...commands.map(({ options }) => options));
  const { tokens } = parseArgs({
    args: argv,
    strict: false, // its messages are for programmers
    tokens: true,
    options: Object.fromEntries(
      Object.entries(known).map(([name, { value, short }]) => [
        name,
        { type: value ? 'string' : 'boolean', ...(short && { short }) },
      ]),
    ),
  });
  const values = {};
  const words = [];
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind !== 'option') continue;
    const { name, rawName, value, inlineValue } = token;
    const option = Object.hasOwn(known, name) ? known[name] : undefined;
    if (!option) throw usage(`There is no ${rawName}.${suggest(name, Object.keys(known), '--')}`);
    if (option.value && (value === undefined || (!inlineValue && value.startsWith('--')))) {
      throw usage(`${rawName} needs a value: ${rawName}=<${option.value}>`);
    }
    if (!option.value && inlineValue) throw usage(`${rawName} takes no value.`);
    values[name] = option.value ? value : true;
  }
  return { values, words };
}

function positionals({ name, args = [] }, words) {
  const input = {};
  const rest = [...words];
  for (const arg of args) {
    const isMany = arg.endsWith('…');
    const given = isMany ? rest.splice(0) : rest.shift();
    if (given === undefined || given.length === 0) throw usage(`${name} needs <${arg}>. ${howToSee(name)}`);
    input[isMany ? arg.slice(0, -1) : arg] = given;
  }
  if (rest.length > 0) throw usage(`${name} does not take "${rest[0]}". ${howToSee(name)}`);
  return input;
}

function checkOptions({ name, options = {} }, values) {
  for (const given of Object.keys(values)) {
    if (!(given in globalOptions || given in options)) throw usage(`${name} has no --${given}. ${howToSee(name)}`);
  }
  for (const [option, { value, required }] of Object.entries(options)) {
    if (required && values[option] === undefined)
      throw usage(`${name} needs --${option} <${value}>. ${howToSee(name)}`);
  }
}

function help(some) {
  const usageOf = ({ name, args = [], options = {} }) =>
    [
      name,
      ...args.map((arg) => `<${arg}>`),
      ...Object.entries(options).map(([option, { value, required }]) =>
        required ? `--${option} <${value}>` : `[--${option} <${value}>]`,
      ),
    ].join(' ');
  const flags = (options) =>
    Object.entries(options).map(([name, { value, short, about }]) => [
      `${short ? `-${short}, ` : ''}--${name}${value ? ` <${value}>` : ''}`,
      about,
    ]);
  const width = Math.max(...some.map((command) => usageOf(command).length));
  const lines = some.length === commands.length || some.length === 1 ? [] : [''];
  lines.push(paint('bold', 'npm run admin -- <noun> <verb> …'), '');
  for (const command of some) lines.push(`  ${usageOf(command).padEnd(width)}  ${paint('dim', command.about)}`);
  const own = flags(Object.assign({}, ...some.map(({ options }) => options)));
  const all = [...(some.length === commands.length ? [] : own), ...flags(globalOptions)];
  const flagWidth = Math.max(...all.map(([flag]) => flag.length));
  const below = `\n${' '.repeat(flagWidth + 4)}`;
  lines.push(
    '',
    ...all.map(([flag, about]) => `  ${flag.padEnd(flagWidth)}  ${paint('dim', about.replaceAll('\n', below))}`),
  );
  lines.push(
    '',
    `The local service is the one that \`npm start\` runs with ${nameOf(stateDirOf(process.env))} (STATE_DIR).`,
  );
  return lines.join('\n').trim();
}

function nouns() {
  return [...new Set(commands.map(({ name }) => name.split(' ')[0]))];
}

function suggest(word, candidates, prefix = '') {
  const [best] = candidates
    .map((candidate) => ({ candidate, distance: distance(word.toLowerCase(), candidate) }))
    .sort((a, b) => a.distance - b.distance);
  return best && best.distance <= Math.max(1, word.length / 3) ? ` Did you mean ${prefix}${best.candidate}?` : '';
}

/** Levenshtein's: how many letters to add, drop or change. */
function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++)
      next.push(Math.min(next[j] + 1, row[j + 1] + 1, row[j] + (letter === b[j] ? 0 : 1)));
    row = next;
  }
  return row[b.length];
}

function howToSee(name) {
  return `See: npm run admin -- ${name ? `${name} ` : ''}--help`;
}

function usage(message) {
  return new AdminError('usage', message);
}

function harmlessLines(text) {
  return text.split('\n').map(harmless).join('\n');
}
