/** Which orgs have verified a domain: the one question of an application that is about no single org. */
import { sql } from 'drizzle-orm';
import { domainKey } from '../../scim/address';
import { unauthorized } from '../../scim/error';
import { foldCase } from '../../scim/fold';
import { runBatch } from '../d1/batch';
import type { Database } from '../d1/database';
import { type Databases, isSpread, mainDatabase } from '../d1/databases';
import { list } from '../d1/incomplete';
import type { Row } from '../d1/rows';
import { isGoodHostToken, isOrgOfHostToken, mayAsk } from '../org/caller';
import { readHostPermission } from '../org/host-permission';
import { outOfScope } from '../org/refusals';
import { type Tenant, tenantOf } from '../org/tenant';

/**
 * By slug. Orgs that are switched off or being imported are left out: nobody can sign in there. One round trip to each database.
 *
 * @param domain as DNS knows it; undefined: none, which no org has.
 * @param token the hash of an application's own one: only orgs that it may ask about are named.
 * @throws ScimError 401, 403: the token is no good, or not for this question.
 */
export async function findOrgsOfDomain(
  databases: Databases,
  domain: string | undefined,
  limit: number,
  token?: string,
): Promise<OrgsOfDomain> {
  const now = Date.now();
  // Where there are several databases, only `DB` knows the token.
  const isSplit = isSpread(databases) && token !== undefined;
  const named = isSplit ? await orgsOf(mainDatabase(databases), token, now) : undefined;
  const isNamed = named ? sql` AND orgs.id IN (SELECT value FROM json_each(${JSON.stringify(named)}))` : sql``;
  const inBatch = isSplit ? undefined : token;
  const isMeant = inBatch
    ? sql` AND EXISTS (SELECT 1 FROM host_tokens WHERE ${isGoodHostToken(inBatch, now)} AND ${mayAsk('resolve')} AND ${isOrgOfHostToken})`
    : isNamed;
  const check = inBatch
    ? [sql`SELECT ${mayAsk('resolve')} AS may_ask FROM host_tokens WHERE ${isGoodHostToken(inBatch, now)}`]
    : [];
  const statement = sql`SELECT orgs.* FROM org_domains CROSS JOIN orgs ON orgs.id = org_domains.org_id
    WHERE org_domains.domain = ${foldCase(domain ?? '')} AND orgs.disabled_at IS NULL AND orgs.importing IS NULL${isMeant}
    ORDER BY orgs.slug LIMIT ${limit}`;
  const ask = (db: Database) => runBatch(db, [statement, ...check]);
  const { answers: found, incomplete } = isSpread(databases)
    ? await list(databases, ask)
    : { answers: [await ask(mainDatabase(databases))], incomplete: [] };
  if (inBatch) expectMayAsk(found[0]!.at(-1)!);
  const orgs = found
    .flatMap(([rows]) => (rows as Row[]).map(tenantOf))
    .filter(({ settings }) => settings.verifiedDomains?.some((one) => domainKey(one) === domain))
    .sort((a, b) => (a.slug < b.slug ? -1 : 1))
    .slice(0, limit);
  return { orgs, isIncomplete: incomplete.length > 0 };
}

export interface OrgsOfDomain {
  readonly orgs: readonly Tenant[];
  /** A database did not answer, or is not bound: its orgs are not among them. */
  readonly isIncomplete: boolean;
}

/** @returns the ids of the orgs that the token may ask about; undefined: every org. @throws ScimError 401, 403. */
async function orgsOf(main: D1Database, token: string, now: number): Promise<readonly string[] | undefined> {
  const permission = await readHostPermission(main, { hash: token, scope: 'resolve' }, now);
  if (permission === undefined) throw unauthorized();
  if (!permission.mayAsk) throw outOfScope('resolve');
  return permission.orgs;
}

function expectMayAsk([row]: readonly Row[]): void {
  if (row === undefined) throw unauthorized();
  if (row['may_ask'] !== 1) throw outOfScope('resolve');
}
