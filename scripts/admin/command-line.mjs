/**
 * What the operator typed -> a command and what it was given, or the help that was asked for. The commands come as a
 * table (commands.mjs); names of one word to three, and flags in any place, are all the same here.
 */
import { parseArgs } from 'node:util';
import { paint } from '../terminal.mjs';
import { AdminError } from './transport.mjs';

const globalOptions = {
  json: { about: 'print the answer as one JSON value' },
  remote: { about: "talk to the deployed Worker, with wrangler's login, instead of the local service" },
  url: { value: 'https://…', about: 'talk to the service at this address, with the ADMIN_TOKEN of the environment' },
  env: { value: 'name', about: 'which deployed one: an environment of wrangler.toml, such as eu (with --remote)' },
  help: { about: 'print this', short: 'h' },
};

/**
 * @returns `{ command, input }`, the input by the names of arguments and options; or `{ help }`, a text.
 * @throws AdminError `usage`, saying what would have been right.
 */
export function readCommandLine(commands, argv) {
  const { values, words } = parse(commands, argv);
  if (words.length === 0) {
    if (values.help || argv.length === 0) return { help: help(commands, commands) };
    throw usage(`Say what to do. ${howToSee('')}`);
  }
  const { command, among, depth } = find(commands, words);
  if (values.help && depth > 0) return { help: help(commands, among) };
  if (!command) throw unknown(among, words, depth);
  const input = { ...values, ...positionals(command, words.slice(depth)) };
  checkOptions(command, values);
  return { command, input };
}

const partsOf = ({ name }) => name.split(' ');

/** Word by word, until it can only be one command, or none. Where a name begins another one, the longer one is meant. */
function find(commands, words) {
  let among = commands;
  for (const [depth, word] of words.entries()) {
    const next = among.filter((one) => partsOf(one)[depth] === word);
    if (next.length === 0) return { among, depth };
    among = next;
    const command = among.find((one) => partsOf(one).length === depth + 1);
    const goesOn = among.some((one) => partsOf(one)[depth + 1] === words[depth + 1] && one !== command);
    if (command && !(goesOn && depth + 1 < words.length)) return { command, among: [command], depth: depth + 1 };
  }
  return { among, depth: words.length };
}

/** @param depth how many of the words are right; what can follow them, the commands that are left say. */
function unknown(among, words, depth) {
  const choices = [...new Set(among.map((one) => partsOf(one)[depth]))];
  const [said, word] = [words.slice(0, depth).join(' '), words[depth]];
  if (depth === 0) return usage(`There is no "${word}".${suggest(word, choices)} ${howToSee('')}`);
  const problem = word ? `"${said}" has no "${word}".${suggest(word, choices)}` : `What about "${said}"?`;
  return usage(`${problem} It has: ${choices.join(', ')}.`);
}

/** All commands' options are known at once, so that flags may stand anywhere, before the noun too. */
function parse(commands, argv) {
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

/** One command with all that it takes, or some with their options below; of all commands only what each is for. */
function help(commands, some) {
  const isAlone = some.length === 1;
  const flag = ([name, { value }]) => `--${name}${value ? ` <${value}>` : ''}`;
  const usageOf = ({ name, args = [], options = {} }) => {
    const all = Object.entries(options);
    const optional = all.filter(([, { required }]) => !required);
    return [
      name,
      ...args.map((arg) => `<${arg}>`),
      ...all.filter(([, { required }]) => required).map(flag),
      ...(isAlone ? optional.map((option) => `[${flag(option)}]`) : optional.length > 0 ? ['[options]'] : []),
    ].join(' ');
  };
  const about = isAlone
    ? [paint('bold', `npm run admin -- ${usageOf(some[0])}`), '', `  ${some[0].about}`]
    : [paint('bold', 'npm run admin -- <noun> <verb> …'), '', ...table(some.map((one) => [usageOf(one), one.about]))];
  const own = some.length === commands.length ? {} : Object.assign({}, ...some.map(({ options }) => options));
  const flags = Object.entries({ ...own, ...globalOptions }).map(([name, option]) => [
    `${option.short ? `-${option.short}, ` : ''}${flag([name, option])}`,
    option.about,
  ]);
  const details = isAlone && some[0].details ? ['', some[0].details()] : [];
  return [...about, ...details, '', ...table(flags)].join('\n');
}

/** What takes several lines stays in its column. */
function table(rows) {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.flatMap(([left, right]) =>
    right.split('\n').map((line, i) => `  ${(i === 0 ? left : '').padEnd(width)}  ${paint('dim', line)}`),
  );
}

function suggest(word, candidates, prefix = '') {
  const whole = word.length > 1 && candidates.find((candidate) => candidate.startsWith(word.toLowerCase()));
  if (whole) return ` Did you mean ${prefix}${whole}?`;
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
