/** Which orgs have verified a domain: the one question of an application that is about no single org. */
import { sql } from 'drizzle-orm';
import { domainKey } from '../../scim/address';
import { foldCase } from '../../scim/fold';
import { runBatch } from '../d1/batch';
import { allDatabases, type Databases } from '../d1/databases';
import { type Tenant, tenantOf } from '../org/tenant';

/**
 * By slug. Orgs that are switched off or being imported are left out: nobody can sign in there. One round trip to each database.
 *
 * @param domain as DNS knows it; undefined: none, which no org has.
 */
export async function findOrgsOfDomain(
  databases: Databases,
  domain: string | undefined,
  limit: number,
): Promise<Tenant[]> {
  if (domain === undefined) return [];
  const statement = sql`SELECT orgs.* FROM org_domains CROSS JOIN orgs ON orgs.id = org_domains.org_id
    WHERE org_domains.domain = ${foldCase(domain)} AND orgs.disabled_at IS NULL AND orgs.importing IS NULL
    ORDER BY orgs.slug LIMIT ${limit}`;
  const found = await Promise.all(allDatabases(databases).map((db) => runBatch(db, [statement])));
  return found
    .flatMap(([rows]) => rows!.map(tenantOf))
    .filter(({ settings }) => settings.verifiedDomains?.some((one) => domainKey(one) === domain))
    .sort((a, b) => (a.slug < b.slug ? -1 : 1))
    .slice(0, limit);
}
