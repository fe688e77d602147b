/** What the tests' Worker is bound to. */
import type { D1Migration } from '@cloudflare/vitest-pool-workers';
import type { OrgCoordinator } from '../../src/coordinator';
import type { Env } from '../../src/env';

declare global {
  namespace Cloudflare {
    interface Env extends Bindings {
      TEST_MIGRATIONS: D1Migration[];
      PROPERTY_SEED: string;
      /** `1`: the meter prints its table. */
      METER: string;
    }
    interface GlobalProps {
      mainModule: typeof import('../../src/index');
    }
  }
  interface Bindings extends Omit<Env, 'ORG_COORDINATOR'> {
    readonly ORG_COORDINATOR: DurableObjectNamespace<OrgCoordinator>;
  }
}
