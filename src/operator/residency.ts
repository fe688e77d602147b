/** In which region a database is, and which orgs may be there. */
import { type Env, settings } from '../env';
import { bindingsOf, isSpread, mainDatabase } from '../store/d1/databases';
import { homeOf } from '../store/operations/moves';
import type { Tenant } from '../store/org/tenant';
import type { Advice } from './advice';

/** The label of the region that a database is in; undefined: it is not told. */
export function regionOfDatabase(env: Env, database: string): string | undefined {
  const { databaseRegions, region } = settings(env);
  return databaseRegions.get(database) ?? region?.label;
}

/**
 * Whether an org may be in a database. Where no database is said to be elsewhere, each may be in any.
 *
 * @param residency of the org; absent: the Worker's region.
 */
export function mayBeIn(env: Env, database: string, residency: string | undefined): boolean {
  const { databaseRegions, region } = settings(env);
  const wanted = residency ?? region?.label;
  return databaseRegions.size === 0 || wanted === undefined || regionOfDatabase(env, database) === wanted;
}

/** Whether an org goes there unasked: one without a residency does not leave the region of the Worker. */
export const suits = (env: Env, residency: string | undefined) => (database: string) => {
  const { databaseRegions, region } = settings(env);
  return databaseRegions.size === 0 || regionOfDatabase(env, database) === (residency ?? region?.label);
};

/** The bound databases that an org of this residency may be in. */
export const databasesFor = (env: Env, residency: string): string[] =>
  bindingsOf(env).filter((database) => mayBeIn(env, database, residency));

/** What to do about an org whose database is in another region than its residency. One round trip to `DB`, if regions are told. */
export async function adviseResidency(env: Env, { id, slug, settings: own }: Tenant): Promise<Advice[]> {
  const { databaseRegions, region } = settings(env);
  if (databaseRegions.size === 0 || !isSpread(env)) return [];
  const home = await homeOf(mainDatabase(env), id);
  const residency = own.residency ?? region?.label;
  if (residency === undefined || mayBeIn(env, home, residency)) return [];
  const [to = 'DB_1'] = databasesFor(env, residency);
  const there = regionOfDatabase(env, home) ?? 'no region that DATABASE_RESIDENCY names';
  const says = `The org's residency is ${residency}, and its database ${home} is in ${there}.`;
  return [{ says, command: `org move ${slug} --to ${to}` }];
}
