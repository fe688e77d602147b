/**
 * `npm test`: types, lint and every test, with one count at the end. What stands after `--` goes to vitest, and then only
 * those tests run, without types and lint: `npm test -- test/scim -t "precedence"`.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { check } from './check.mjs';
import { commandOf, root } from './project.mjs';
import { paint } from './terminal.mjs';

/**
 * A whole run: two processes of vitest, side by side. The tests over HTTP wait for seconds and hosts much of their time; the
 * others need a core each. One process would run them one after the other, for it starts its Workers anew between them.
 */
const PARTS = [
  ['--project=worker', '--project=shards', '--maxWorkers=2'],
  ['--project=http', '--maxWorkers=2'],
];

const score = { passed: 0, failed: 0 };

// A run that is narrowed down, to a file or a test, is wanted in seconds.
const asked = process.argv.slice(2);
if (asked.length > 0) judge(await vitest(asked));
else {
  for (const isPassed of await check()) count(isPassed);
  // The output of the second comes behind that of the first: they would write over each other.
  const [first, second] = [vitest(PARTS[0]), vitest(PARTS[1], 'pipe')];
  judge(await first);
  judge(await second);
}

console.log(`${score.passed} passed, ${score.failed} failed`);
process.exitCode = score.failed === 0 ? 0 : 1;

function count(isPassed, tests = 1) {
  score[isPassed ? 'passed' : 'failed'] += tests;
}

/** @returns its exit code, its report (undefined: it did not come that far), and its output where that was not shown. */
async function vitest(args, stdio = 'inherit') {
  const folder = mkdtempSync(join(tmpdir(), 'scim-worker-test-'));
  const report = join(folder, 'report.json');
  // Dots for what passes, and the output of failed tests alone: a full run has some thousand tests.
  const reporters = ['--reporter=dot', '--silent=passed-only', '--reporter=json', `--outputFile.json=${report}`];
  const child = spawn(process.execPath, [commandOf('vitest', 'vitest'), 'run', ...reporters, ...args], {
    cwd: root,
    stdio: ['inherit', stdio, stdio],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  const code = await new Promise((resolve) => child.once('close', resolve));
  try {
    return { code, output, report: JSON.parse(readFileSync(report, 'utf8')) };
  } catch {
    return { code, output };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function judge({ code, output, report }) {
  process.stdout.write(output);
  const failedBefore = score.failed;
  for (const { status, assertionResults } of report?.testResults ?? []) {
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
  // Unhandled errors, no tests found, a crash: vitest is not content though every test that ran is.
  if (code !== 0 && score.failed === failedBefore) count(false);
}
