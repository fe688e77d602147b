/** Builds the Worker once in a run, for all tests of the project `http` that start the service (server.ts). */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packWorker } from '../../scripts/packed-worker.mjs';

/** @param project of vitest. */
export default async function setup(project) {
  const folder = await mkdtemp(join(tmpdir(), 'scim-worker-packed-'));
  await packWorker(folder);
  project.provide('packedWorker', folder);
  project.onTestsRerun(() => packWorker(folder)); // test:watch
  return () => rm(folder, { recursive: true, force: true });
}
