/**
 * `scim-worker/testing`: the service for an application's own tests, and identity providers to play against it
 * (docs/testing.md). `startScim` needs the package miniflare; `simulate` needs nothing.
 */
import { readPackedWorker } from './packed-worker.ts';
import { type Scim, type ScimOptions, startService } from './start.ts';

export { type Seed, SeedError, type SeedGroup, type SeedOrg, type SeedUser, type SeedWebhook } from './seed.ts';
export {
  type ExpectedGroup,
  type ExpectedUser,
  type GroupOptions,
  IDP_NAMES,
  type IdpName,
  type PersonOptions,
  PHASES,
  type Phase,
  type PhaseReport,
  SimulationError,
  type SimulationOptions,
  type SimulationReport,
  simulate,
} from './simulate/index.ts';
export { AdminError, type ScimOrg } from './sow.ts';
export type { OrgSimulation, Scim, ScimOptions } from './start.ts';

/**
 * Starts the service in memory, on a free port, with the orgs of the seed.
 *
 * @throws SeedError for a wrong seed, before anything is started; Error when miniflare is missing or does not start.
 */
export async function startScim(options: ScimOptions = {}): Promise<Scim> {
  return startService(await readPackedWorker(), options);
}
