// How large the deployed Worker is: what it grows by is seen in the build that adds it. docs/bench.md says what it consists of.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { root } from '../../scripts/project.mjs';
import { build } from '../../scripts/start/build.mjs';

/** Kilobytes of the script as it is uploaded, compressed. */
const MOST = 310;

it(`the Worker has at most ${MOST} KB, minified and compressed`, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'scim-worker-size-'));
  try {
    const [{ contents }] = await build(join(root, 'wrangler.toml'), join(folder, 'build'));
    expect(Math.ceil(gzipSync(contents, { level: 9 }).length / 1_000)).toBeLessThanOrEqual(MOST);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
