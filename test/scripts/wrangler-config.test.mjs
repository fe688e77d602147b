// What is deployed for each region: as much as without one, in places of its own, and within reach of the operator.

import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { unstable_readConfig as readConfig } from 'wrangler';
import { openAdmin } from '../../scripts/admin/transport.mjs';

const at = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const of = (env) => readConfig({ config: at('wrangler.toml'), env }, { hideWarnings: true });
const plain = of('');

/** All that a Worker can do: environments inherit no bindings. */
const bindings = (config) => ({
  databases: config.d1_databases.map((it) => [it.binding, it.migrations_dir]),
  namespaces: config.kv_namespaces.map((it) => it.binding),
  objects: config.durable_objects.bindings,
  brakes: config.ratelimits.map((it) => [it.name, it.simple]),
  crons: config.triggers.crons,
  migrations: config.migrations,
  observability: config.observability,
  placement: config.placement,
});
const ENVIRONMENTS = ['us', 'eu', 'dedicated'];

describe.each(ENVIRONMENTS)('the environment %s', (name) => {
  const config = of(name);
  const { SESSION_MAX_AGE, PUBLIC_URL, REGION, REGION_URLS } = config.vars;

  it('can do what the service without a region can', () => {
    expect(plain.d1_databases).toHaveLength(1);
    expect(plain.placement).toEqual({ mode: 'smart' });
    expect(bindings(config)).toEqual(bindings(plain));
    expect(SESSION_MAX_AGE).toBe(plain.vars.SESSION_MAX_AGE);
  });

  it('is a Worker with a database and brakes of its own', () => {
    expect(config.name).toBe(`scim-worker-${name}`);
    const others = ['', ...ENVIRONMENTS].filter((other) => other !== name).map(of);
    for (const other of others) {
      expect(config.d1_databases[0].database_name).not.toBe(other.d1_databases[0].database_name);
      const taken = new Set(other.ratelimits.map((it) => it.namespace_id));
      expect(config.ratelimits.filter((it) => taken.has(it.namespace_id))).toEqual([]);
    }
  });

  it('knows its region, its address, and those of the others', () => {
    expect(REGION).toBe(name);
    const urls = JSON.parse(REGION_URLS);
    expect(urls[REGION]).toBe(PUBLIC_URL);
    expect(Object.keys(urls)).toEqual(ENVIRONMENTS);
    expect(config.routes).toEqual([{ pattern: new URL(PUBLIC_URL).host, custom_domain: true }]);
    expect(PUBLIC_URL).not.toContain('_'); // Okta takes no such base URL
  });

  it('keeps its Durable Objects where its data is kept, and a host of one customer wherever that one says', () => {
    expect(config.vars.DO_JURISDICTION).toBe(name === 'dedicated' ? undefined : name);
    expect(plain.vars).not.toHaveProperty('DO_JURISDICTION'); // workerd, which runs locally, knows no jurisdictions
  });

  it('is what the admin commands reach with --remote --env', () => {
    const { services } = readConfig({ config: at('scripts/admin/wrangler.toml'), env: name }, { hideWarnings: true });
    expect(services).toEqual([
      expect.objectContaining({ binding: 'ADMIN', service: config.name, entrypoint: 'Admin' }),
    ]);
  });
});

it('an environment that is asked for without --remote is a mistake, and not the local service', async () => {
  await expect(openAdmin({ stateDir: '.', environment: 'eu' })).rejects.toMatchObject({
    code: 'usage',
    message: '--env needs --remote. See: npm run admin -- --help',
  });
});
