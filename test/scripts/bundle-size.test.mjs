// How large the deployed Worker is: what it grows by is seen in the build that adds it. docs/bench.md says what it consists of.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, inject, it } from 'vitest';

/** Kilobytes of the script as it is uploaded, compressed. */
const MOST = 319;

it(`the Worker has at most ${MOST} KB, minified and compressed`, () => {
  const script = readFileSync(join(inject('packedWorker'), 'index.js'));
  expect(Math.ceil(gzipSync(script, { level: 9 }).length / 1_000)).toBeLessThanOrEqual(MOST);
});
