/** `npm run check`: types and lint, without tests. `npm test` runs it first. */
import { spawn } from 'node:child_process';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { commandOf, root } from './project.mjs';
import { paint } from './terminal.mjs';

const isColoured = process.stdout.isTTY && !process.env.NO_COLOR;
const CHECKS = [
  { name: 'types', args: [commandOf('typescript', 'tsc'), '--noEmit', ...(isColoured ? ['--pretty'] : [])] },
  {
    name: 'lint',
    args: [commandOf('@biomejs/biome', 'biome'), 'check', ...(isColoured ? ['--colors=force'] : []), '.'],
  },
];

/** Runs both at once, and prints their output one after the other. @returns for each check, whether it passed. */
export async function check() {
  const results = await Promise.all(CHECKS.map(quietly));
  return results.map(({ name, code, output, seconds }) => {
    const verdict = code === 0 ? paint('green', 'passed') : paint('red', 'failed');
    console.log(`${name.padEnd(6)} ${verdict}  ${paint('dim', `${seconds} s`)}`);
    if (code !== 0 && output.trim()) console.log(output.trim());
    return code === 0;
  });
}

function quietly({ name, args }) {
  const began = performance.now();
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  return new Promise((resolve) => {
    child.once('close', (code) =>
      resolve({ name, code, output, seconds: ((performance.now() - began) / 1000).toFixed(1) }),
    );
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.exitCode = (await check()).every(Boolean) ? 0 : 1;
}
