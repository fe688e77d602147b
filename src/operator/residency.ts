/** In which region a database is, and which orgs may be there. */
import { type Env, settings } from '../env';

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
