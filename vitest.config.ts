import { statfsSync } from 'node:fs';
import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-pool-workers';
import { defineConfig } from 'vitest/config';

/** Nothing leaves the test process: a request to the outside gets this answer. */
const blocked = {
  name: 'blocked',
  modules: true,
  compatibilityDate: '2026-10-20',
  script: "export default { fetch: () => new Response('blocked', { status: 599 }) }",
};

/**
 * The local runtime waits for the disk after each write to D1, KV and Durable Objects. Where there is memory enough to write
 * to, as on most Linux machines, it writes there: nothing of a test is to outlive it.
 */
const MEMORY = '/dev/shm';
if (hasSpace(MEMORY)) process.env.TMPDIR = MEMORY;

function hasSpace(folder: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize > 4_000_000_000;
  } catch {
    return false;
  }
}

/**
 * What the property tests make their choices from. The same in each run, so that a failure is of the change and can be
 * repeated; `PROPERTY_SEED=random npm test` looks further, and prints the seed when it finds something.
 */
const asked = process.env.PROPERTY_SEED ?? '20261122';
const seed = asked === 'random' ? String(Date.now() % 1_000_000_000) : asked;

export default defineConfig(async () => ({
  test: {
    // Each runs a Worker, with storage, of its own: two for the cores that a build has, and one for the time that they wait.
    maxWorkers: 3,
    projects: [
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: './wrangler.toml' },
            miniflare: {
              bindings: {
                TEST_MIGRATIONS: await readD1Migrations('./migrations'),
                ADMIN_TOKEN: 'test-admin-token-0123456789abcdef',
                HOST_TOKEN: 'test-host-token-0123456789abcdef',
                WEBHOOK_KEY: 'test-webhook-key-0123456789abcdef',
                PROPERTY_SEED: seed,
                METER: process.env.METER ?? '',
              },
              outboundService: 'blocked',
              workers: [blocked],
            },
          }),
        ],
        test: {
          name: 'worker',
          include: ['test/**/*.test.ts'],
          exclude: ['test/http/**', 'test/scripts/**'],
          setupFiles: ['./test/support/setup.ts'],
          // One Worker for all files: a start costs more than most files take. Each file begins with empty storage.
          isolate: false,
          // Not a measure of speed: on a busy machine a test may wait long for its turn.
          testTimeout: 90_000,
          hookTimeout: 90_000,
        },
      },
      {
        test: {
          name: 'http',
          include: ['test/http/**/*.test.ts', 'test/scripts/**/*.test.mjs'],
          // wrangler, which many of these files start the service with, is loaded once in a process, and not once in a file.
          isolate: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
}));
