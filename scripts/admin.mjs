/**
 * `npm run admin -- <noun> <verb> …`: the operator's shell over the admin API. It adds nothing of its own:
 * admin/commands.mjs names the call of each command, and the vendor's back end can make the same calls.
 *
 * Standard output carries the answer and nothing else, one JSON value with --json. All else goes to standard error.
 * Exit codes: 0 everything was done, 2 some lines were refused or databases are not in the answer, 1 nothing was done.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { readCommandLine } from './admin/command-line.mjs';
import { commands } from './admin/commands.mjs';
import { AdminError, openAdmin } from './admin/transport.mjs';
import { nameOf, root, stateDirOf } from './project.mjs'; // first: it says so if this Node is too old
import { harmlessText, jsonText } from './terminal.mjs';

console.log = console.error; // what a library prints is not the answer

process.stdout.on('error', ({ code }) => process.exit(code === 'EPIPE' ? 0 : 1));

const isJson = process.argv.includes('--json');
/** Databases that the answer lacks. */
const incomplete = new Set();
try {
  for await (const text of answers(process.argv.slice(2))) {
    // A reader may be slower, or go away as `head` does.
    if (!process.stdout.write(`${harmlessText(text)}\n`)) await once(process.stdout, 'drain');
  }
  if (incomplete.size > 0) sayIncomplete([...incomplete]);
} catch (error) {
  if (!(error instanceof AdminError)) throw error;
  const { code, message } = error;
  process.stderr.write(`${isJson ? jsonText({ error: code, detail: message }) : harmlessText(message)}\n`);
  process.exitCode = 1;
}

function sayIncomplete(databases) {
  const names = databases.join(', ');
  const line = `This is not all: orgs of ${names} are left out. See: npm run admin -- shard list`;
  process.stderr.write(`${isJson ? jsonText({ incomplete: databases }) : harmlessText(line)}\n`);
  process.exitCode ||= 2;
}

async function* answers(argv) {
  const { version, help, command, input } = readCommandLine(commands, argv);
  if (version) return yield JSON.parse(readFileSync(`${root}/package.json`, 'utf8')).version;
  const stateDir = stateDirOf(process.env);
  if (help) {
    const isElsewhere = process.env.STATE_DIR !== undefined;
    return yield isElsewhere ? `${help}\n\nThe local service is that of STATE_DIR: ${nameOf(stateDir)}.` : help;
  }

  const { remote: isRemote, env: environment, url } = input;
  const { callAdmin } = command.needsNoService?.(input)
    ? {}
    : await openAdmin({
        ...{ stateDir, isRemote, environment, url },
        onIncomplete: (databases) => databases.forEach((name) => void incomplete.add(name)),
      });
  const lines = command.stream?.(callAdmin, input);
  if (lines) return yield* lines;
  const result = await command.run(callAdmin, input);
  process.exitCode = command.exitCode?.(result) ?? 0;
  yield input.json ? jsonText(result) : input.quiet ? command.quiet(result) : command.show(result, input);
}
