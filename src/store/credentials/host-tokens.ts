/**
 * Tokens of the vendor's applications for the sessions API, each with a name and limited to orgs and questions. They are in `DB`
 * alone. The check rides in the batch of the question (store/org/open.ts), or beside it, where the org is in another database
 * (store/org/host-permission.ts). Here they are made, replaced, listed and removed.
 */
import { sql } from 'drizzle-orm';
import { runBatch } from '../d1/batch';
import { bindingsOf, type Databases, isSpread, mainDatabase } from '../d1/databases';
import { expect } from '../d1/expect';
import { orAbsent, type Row, selected } from '../d1/rows';
import { hostTokens } from '../d1/tables';
import { type HostScope, isGoodHostToken, isOrgOfHostToken, mayAsk } from '../org/caller';

/** Instants are epoch milliseconds. */
export interface HostToken {
  readonly name: string;
  readonly mask: string;
  /** The slugs of the orgs that it may ask about, as far as they are there; undefined: every org. */
  readonly orgs: readonly string[] | undefined;
  readonly scopes: readonly HostScope[];
  readonly createdAt: number;
  readonly createdBy: string;
  /** A successor took its place then; it is good no longer than `graceUntil`. */
  readonly replacedAt: number | undefined;
  readonly graceUntil: number | undefined;
}

export interface NewSecret {
  readonly hash: string;
  readonly mask: string;
  readonly by: string;
  readonly now: number;
}

const OWN = selected(hostTokens, 'name', 'mask', 'scopes', 'createdAt', 'createdBy', 'replacedAt', 'graceUntil');
const SELECT = sql`SELECT ${OWN.sql}, orgs IS NOT NULL AS is_limited,
  (SELECT json_group_array(slug) FROM (SELECT slug FROM orgs WHERE id IN (SELECT value FROM json_each(host_tokens.orgs))
    UNION SELECT slug FROM catalogue WHERE org_id IN (SELECT value FROM json_each(host_tokens.orgs)) AND slug IS NOT NULL
    ORDER BY slug)) AS slugs FROM host_tokens`;

function tokenOf(row: Row): HostToken {
  const { scopes, replacedAt, graceUntil, ...own } = OWN.rowOf(row);
  return {
    ...own,
    orgs: row['is_limited'] === 1 ? (JSON.parse(row['slugs'] as string) as string[]) : undefined,
    scopes: JSON.parse(scopes) as HostScope[],
    replacedAt: orAbsent(replacedAt),
    graceUntil: orAbsent(graceUntil),
  };
}

/** By name; of one name the current token first. */
export async function listHostTokens(databases: Databases): Promise<HostToken[]> {
  const [rows] = await runBatch(mainDatabase(databases), [sql`${SELECT} ORDER BY name, replaced_at IS NOT NULL`]);
  return rows!.map(tokenOf);
}

/**
 * @param limits `orgs`: ids or slugs; absent: every org.
 * @throws Taken: the name is another token's. Unmet `found`: there is no such org.
 */
export async function insertHostToken(
  databases: Databases,
  name: string,
  { orgs, scopes }: { readonly orgs: readonly string[] | undefined; readonly scopes: readonly HostScope[] },
  { hash, mask, by, now }: NewSecret,
): Promise<HostToken> {
  const names = JSON.stringify(orgs ?? []);
  const org = (column: string) => sql`(SELECT id FROM orgs WHERE ${sql.raw(column)} = it.value)`;
  const listed = (column: string) => sql`(SELECT org_id FROM catalogue WHERE ${sql.raw(column)} = it.value)`;
  const ids = sql`SELECT coalesce(${org('id')}, ${listed('org_id')}, ${org('slug')}, ${listed('slug')}) AS id FROM json_each(${names}) AS it`;
  const results = await runBatch(mainDatabase(databases), [
    expect('found', sql`NOT EXISTS (SELECT 1 FROM (${ids}) WHERE id IS NULL)`),
    sql`INSERT INTO host_tokens (hash, name, mask, orgs, scopes, created_at, created_by) VALUES (${hash}, ${name}, ${mask},
      ${orgs ? sql`(SELECT json_group_array(DISTINCT id) FROM (${ids}))` : sql`NULL`}, ${JSON.stringify(scopes)}, ${now}, ${by})`,
    sql`${SELECT} WHERE hash = ${hash}`,
  ]);
  return tokenOf(results[2]![0]!);
}

/**
 * The first of these names that is neither an id nor a slug of an org. If there is none, the first one whose org is in a
 * database that is not bound, with the name of that database.
 */
export async function firstWithoutOrg(
  databases: Databases,
  names: readonly string[],
): Promise<{ readonly name: string; readonly binding: string | undefined } | undefined> {
  const listed = (column: 'org_id' | 'slug') =>
    sql`(SELECT binding FROM catalogue WHERE ${sql.raw(column)} = it.value AND slug IS NOT NULL)`;
  const bound = JSON.stringify(bindingsOf(databases));
  const [rows] = await runBatch(mainDatabase(databases), [
    sql<{ name: string; binding: string | null }>`SELECT name, binding FROM (SELECT it.key, it.value AS name,
        coalesce(${listed('org_id')}, ${listed('slug')}) AS binding FROM json_each(${JSON.stringify(names)}) AS it
        WHERE NOT EXISTS (SELECT 1 FROM orgs WHERE id = it.value) AND NOT EXISTS (SELECT 1 FROM orgs WHERE slug = it.value))
      WHERE binding IS NULL OR binding NOT IN (SELECT value FROM json_each(${bound}))
      ORDER BY binding IS NOT NULL, key LIMIT 1`,
  ]);
  const found = rows[0];
  return found && { name: found.name, binding: found.binding ?? undefined };
}

/**
 * A new secret with the same limits. The old one stays good for the grace; one that was in its grace is dead.
 *
 * @param grace milliseconds. @throws Unmet `found`: there is no token of this name.
 */
export async function rotateHostToken(
  databases: Databases,
  name: string,
  grace: number,
  { hash, mask, by, now }: NewSecret,
): Promise<HostToken> {
  const results = await runBatch(mainDatabase(databases), [
    sql`DELETE FROM host_tokens WHERE name = ${name} AND replaced_at IS NOT NULL`,
    sql`UPDATE host_tokens SET replaced_at = ${now}, grace_until = ${now + grace} WHERE name = ${name} AND replaced_at IS NULL`,
    expect('found', sql`changes() = 1`),
    sql`INSERT INTO host_tokens (hash, name, mask, orgs, scopes, created_at, created_by)
      SELECT ${hash}, name, ${mask}, orgs, scopes, ${now}, ${by} FROM host_tokens WHERE name = ${name}`,
    sql`${SELECT} WHERE hash = ${hash}`,
  ]);
  return tokenOf(results[4]![0]!);
}

/** The next request with it is refused. @returns whether there was one. */
export async function removeHostToken(databases: Databases, name: string): Promise<boolean> {
  const [rows] = await runBatch(mainDatabase(databases), [
    sql`DELETE FROM host_tokens WHERE name = ${name} RETURNING name`,
  ]);
  return rows!.length > 0;
}

/** Whether the token is good now, whatever it may ask. One round trip: for requests that ask nothing of an org. */
export async function isHostTokenGood(databases: Databases, hash: string, now: number): Promise<boolean> {
  const [rows] = await runBatch(mainDatabase(databases), [
    sql`SELECT 1 AS is_good FROM host_tokens WHERE ${isGoodHostToken(hash, now)}`,
  ]);
  return rows!.length > 0;
}

/** Those of these tokens, by their hashes, that may be told who is out in the org: streams are open for long. */
export async function tokensThatMayCheck(
  databases: Databases,
  orgId: string,
  hashes: readonly string[],
  now: number,
): Promise<ReadonlySet<string>> {
  // With several databases the org may be in another one.
  const org = isSpread(databases) ? sql`(SELECT ${orgId} AS id) AS orgs` : sql`orgs`;
  const [rows] = await runBatch(mainDatabase(databases), [
    sql`SELECT asked.value AS hash FROM json_each(${JSON.stringify(hashes)}) AS asked
      JOIN host_tokens ON ${isGoodHostToken(sql`asked.value`, now)} AND ${mayAsk('check')}
      JOIN ${org} ON orgs.id = ${orgId} AND ${isOrgOfHostToken}`,
  ]);
  return new Set(rows!.map((row) => row['hash'] as string));
}
