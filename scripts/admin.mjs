/**
 * `npm run admin -- <noun> <verb> …`: the operator's shell over the admin API. It adds nothing of its own: what a command
 * calls stands in admin/commands.mjs, and the vendor's back end can call the same.
 *
 * Standard output carries the answer and nothing else, one JSON value with --json; everything else is standard error.
 */
import { once } from 'node:events';
import process from 'node:process';
import { readCommandLine } from './admin/command-line.mjs';
import { commands } from './admin/commands.mjs';
import { AdminError, openAdmin } from './admin/transport.mjs';
import { nameOf, stateDirOf } from './project.mjs';
import { harmlessText, jsonText } from './terminal.mjs';

console.log = console.error; // whatever a library prints is not the answer

process.stdout.on('error', ({ code }) => process.exit(code === 'EPIPE' ? 0 : 1));

const isJson = process.argv.includes('--json');
try {
  for await (const text of answers(process.argv.slice(2))) {
    // A reader that is slower, or has gone away, as `head` does.
    if (!process.stdout.write(`${harmlessText(text)}\n`)) await once(process.stdout, 'drain');
  }
} catch (error) {
  if (!(error instanceof AdminError)) throw error;
  const { code, message } = error;
  process.stderr.write(`${isJson ? jsonText({ error: code, detail: message }) : harmlessText(message)}\n`);
  process.exitCode = 1;
}

async function* answers(argv) {
  const { help, command, input } = readCommandLine(commands, argv);
  const stateDir = stateDirOf(process.env);
  if (help) {
    yield `${help}\n\nThe local service is the one that \`npm start\` runs with ${nameOf(stateDir)} (STATE_DIR).`;
    return;
  }

  const { remote: isRemote, env: environment, url } = input;
  const { callAdmin } = await openAdmin({ stateDir, isRemote, environment, url });
  const lines = command.stream?.(callAdmin, input);
  if (lines) return yield* lines;
  const result = await command.run(callAdmin, input);
  yield input.json ? jsonText(result) : command.show(result, input);
}
