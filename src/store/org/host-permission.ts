/**
 * What an application's own token may ask, where orgs are in several databases. Such tokens are in `DB` alone: no copy can go on
 * living. The question to `DB` is asked beside the question to the org's database, and both must be answered.
 */
import { sql } from 'drizzle-orm';
import { runBatch } from '../d1/batch';
import { isGoodHostToken, mayAsk, type PresentedHostToken } from './caller';

export interface HostPermission {
  readonly mayAsk: boolean;
  /** The ids of the orgs that it may ask about; undefined: every org. */
  readonly orgs: readonly string[] | undefined;
}

/** @param main `DB`. @returns undefined: the token is not valid. */
export async function readHostPermission(
  main: D1Database,
  { hash, scope }: PresentedHostToken,
  now: number,
): Promise<HostPermission | undefined> {
  const [[row]] = await runBatch(main, [
    sql<{ orgs: string | null; may_ask: number }>`SELECT orgs, ${mayAsk(scope)} AS may_ask FROM host_tokens
      WHERE ${isGoodHostToken(hash, now)}`,
  ]);
  if (row === undefined) return undefined;
  return { mayAsk: row.may_ask === 1, orgs: row.orgs === null ? undefined : (JSON.parse(row.orgs) as string[]) };
}
