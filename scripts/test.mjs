/**
 * `npm test`: types, lint, and every test, with one honest count at the end. What stands after `--` goes to vitest:
 * `npm test -- test/scim -t "precedence"`.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { commandOf, root } from './project.mjs';
import { paint } from './terminal.mjs';

const score = { passed: 0, failed: 0 };

const isColoured = process.stdout.isTTY && !process.env.NO_COLOR;
const checks = [
  { name: 'types', args: [commandOf('typescript', 'tsc'), '--noEmit', ...(isColoured ? ['--pretty'] : [])] },
  {
    name: 'lint',
    args: [commandOf('@biomejs/biome', 'biome'), 'check', ...(isColoured ? ['--colors=force'] : []), '.'],
  },
];
// Together, for they wait for nothing; then their output one after the other.
for (const { name, code, said, seconds } of await Promise.all(checks.map(quietly))) {
  count(code === 0);
  const verdict = code === 0 ? paint('green', 'passed') : paint('red', 'failed');
  console.log(`${name.padEnd(6)} ${verdict}  ${paint('dim', `${seconds} s`)}`);
  if (code !== 0 && said.trim()) console.log(said.trim());
}

await vitest(process.argv.slice(2));

console.log(`${score.passed} passed, ${score.failed} failed`);
process.exitCode = score.failed === 0 ? 0 : 1;

function count(isPassed, tests = 1) {
  score[isPassed ? 'passed' : 'failed'] += tests;
}

function quietly({ name, args }) {
  const began = performance.now();
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
  }
  return new Promise((resolve) => {
    child.once('close', (code) =>
      resolve({ name, code, said, seconds: ((performance.now() - began) / 1000).toFixed(1) }),
    );
  });
}

async function vitest(args) {
  const folder = mkdtempSync(join(tmpdir(), 'scim-worker-test-'));
  const report = join(folder, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const child = spawn(process.execPath, [commandOf('vitest', 'vitest'), 'run', ...reporters, ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  const failedBefore = score.failed;
  try {
    for (const { status, assertionResults } of JSON.parse(readFileSync(report, 'utf8')).testResults) {
      const passed = assertionResults.filter((test) => test.status === 'passed').length;
      const failed = assertionResults.filter((test) => test.status === 'failed').length;
      // A test says in its name why it is skipped.
      for (const { fullName } of assertionResults.filter((test) => test.status === 'skipped')) {
        console.log(paint('yellow', `skipped: ${fullName.trim()}`));
      }
      count(true, passed);
      // A file that fails without a failed test did not load, or its set-up broke: none of its tests said anything.
      count(false, failed || (status === 'failed' ? 1 : 0));
    }
  } catch {
    // No report: vitest did not come that far, and its exit code says so.
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  // Unhandled errors, no tests found, a crash: vitest is not content though every test that ran is.
  if (code !== 0 && score.failed === failedBefore) count(false);
}
