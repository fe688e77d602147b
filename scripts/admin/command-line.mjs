/**
 * What the operator typed -> a command and its input, or the help that was asked for. The commands come as a table
 * (commands.mjs): names of one to three words. Flags may stand anywhere, before the noun too.
 */
import { parseArgs } from 'node:util';
import { commandHelp, GLOBAL_OPTIONS, howToSee, nounHelp, overview } from './help.mjs';
import { suggest } from './suggest.mjs';
import { AdminError } from './transport.mjs';

/**
 * @returns `{ command, input }`, the input by the names of arguments and options; `{ help }`, a text; or `{ version: true }`.
 * @throws AdminError `usage`, which says what is wrong and the command that helps.
 */
export function readCommandLine(commands, argv) {
  const { values, words } = parse(commands, argv);
  if (values.version) return { version: true };
  const isHelp = values.help || words[0] === 'help';
  if (words[0] === 'help') words.shift();
  if (words.length === 0) {
    if (isHelp || argv.length === 0) return { help: overview(commands) };
    throw usage(`A command is missing. ${howToSee('')}`);
  }
  useNewName(words);
  const { command, among, depth } = find(commands, words);
  if (isHelp && depth > 0) {
    const said = words.slice(0, depth).join(' ');
    return { help: command ? commandHelp(command) : nounHelp(said, among) };
  }
  if (!command) throw unknown(among, words, depth);
  const input = { ...values, ...positionals(command, words.slice(depth)) };
  checkOptions(command, values, input);
  return { command, input };
}

/** What commands were called before 0.2. The names are taken for one more release. */
const FORMER_NAMES = { 'brake show': 'held list', brake: 'held', 'org exit': 'org offboard' };

function useNewName(words) {
  for (const [former, name] of Object.entries(FORMER_NAMES)) {
    const length = former.split(' ').length;
    if (words.slice(0, length).join(' ') === former) return words.splice(0, length, ...name.split(' '));
  }
}

const partsOf = ({ name }) => name.split(' ');

/** Word by word, until only one command is left, or none. Where a name begins another one, the longer one is meant. */
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

/** @param depth how many of the words are right; the commands that are left say what can follow them. */
function unknown(among, words, depth) {
  const choices = [...new Set(among.map((one) => partsOf(one)[depth]))];
  const [said, word] = [words.slice(0, depth).join(' '), words[depth]];
  if (depth === 0) return usage(`There is no command "${word}".${suggest(word, choices)} ${howToSee('')}`);
  const meant = word && suggest(word, choices);
  const problem = word ? `"${said}" has no verb "${word}".` : `"${said}" needs a verb.`;
  return usage(`${problem}${meant || ` It has: ${choices.join(', ')}.`} ${howToSee(said)}`);
}

/** All commands' options are known at once, so that flags may stand anywhere. */
function parse(commands, argv) {
  const known = Object.assign({}, GLOBAL_OPTIONS, ...commands.map(({ options }) => options));
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
    if (!option) throw usage(`There is no option ${rawName}.${suggest(name, Object.keys(known), '--')}`);
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
    const isOptional = arg.startsWith('[');
    const isMany = arg.endsWith('…');
    const key = arg.replace(/^\[|\]$|…$/g, '');
    const given = isMany ? rest.splice(0) : rest.shift();
    if (given === undefined || given.length === 0) {
      if (isOptional) continue;
      throw usage(`${name} needs <${arg}>. ${howToSee(name)}`);
    }
    input[key] = given;
  }
  if (rest.length > 0) throw usage(`${name} does not take "${rest[0]}". ${howToSee(name)}`);
  return input;
}

function checkOptions({ name, args = [], options = {} }, values, input) {
  for (const given of Object.keys(values)) {
    if (!(given in GLOBAL_OPTIONS || given in options)) {
      throw usage(`${name} has no --${given}.${suggest(given, Object.keys(options), '--')} ${howToSee(name)}`);
    }
  }
  for (const [option, { value, required, repeats, because }] of Object.entries(options)) {
    const given = values[option];
    if (repeats && (required || given !== undefined) && given !== input[repeats]) {
      const words = [...args.flatMap((arg) => input[arg] ?? []), `--${option}`, input[repeats]];
      const why = given === undefined ? `needs --${option}` : `got another --${option} than ${input[repeats]}`;
      throw usage(`${name} ${why}: ${because}. Run: npm run admin -- ${name} ${words.join(' ')}`);
    }
    if (required && given === undefined) throw usage(`${name} needs --${option} <${value}>. ${howToSee(name)}`);
  }
}

function usage(message) {
  return new AdminError('usage', message);
}
