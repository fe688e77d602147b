import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
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
if (hasSpace(MEMORY)) {
  const folder = mkdtempSync(join(MEMORY, 'scim-'));
  process.env.TMPDIR = folder;
  process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
}

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

/** A Worker of the tests: that of wrangler.toml, with what its secrets are here. */
const worker = async (d1Databases: Record<string, string> = {}) =>
  cloudflareTest({
    wrangler: { configPath: './wrangler.toml' },
    // The runtime would print each error that a Durable Object answers with, and many tests cut the database off. A caller,
    // and so its test, gets that error all the same.
    verbose: false,
    miniflare: {
      d1Databases,
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
  });

/** Not a measure of speed: on a busy machine a test may wait long for its turn. */
const patience = { testTimeout: 90_000, hookTimeout: 90_000 };

export default defineConfig(async () => ({
  test: {
    // Each runs a Worker, with storage, of its own: two for the cores that a build has, and two for the time that they wait.
    // `npm test` runs two processes, and says how many each has (scripts/test.mjs).
    maxWorkers: 4,
    projects: [
      {
        plugins: [await worker()],
        test: {
          name: 'worker',
          include: ['test/**/*.test.ts'],
          exclude: ['test/http/**', 'test/scripts/**', 'test/shards/**'],
          setupFiles: ['./test/support/setup.ts'],
          // One Worker for all files: a start costs more than most files take. Each file begins with empty storage.
          isolate: false,
          ...patience,
        },
      },
      {
        // Orgs spread over four databases.
        plugins: [await worker({ DB_1: 'test-1', DB_2: 'test-2', DB_3: 'test-3' })],
        test: {
          name: 'shards',
          include: ['test/shards/**/*.test.ts'],
          setupFiles: ['./test/shards/setup.ts'],
          isolate: false,
          ...patience,
        },
      },
      {
        test: {
          name: 'http',
          include: ['test/http/**/*.test.ts', 'test/scripts/**/*.test.mjs'],
          globalSetup: ['./test/support/packed-worker.mjs'],
          // Miniflare, which many of these files start the service with, is loaded once in a process, and not once in a file.
          isolate: false,
          // Tests that are concurrent mostly wait: for the second between two writes of a flag, and for hosts that are slow.
          maxConcurrency: 12,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
}));
