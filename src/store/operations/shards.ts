/**
 * The databases that orgs are spread over: what is in each, which one a new org goes to, and how one that is bound for
 * the first time is taken into use. The catalogue in `DB` (store/d1/homes.ts) says which holds what.
 */
import { type SQL, sql } from 'drizzle-orm';
import { Behind, Busy, runBatch, Taken, Unmet } from '../d1/batch';
import { bindingsOf, type Databases, databaseNamed, isSpread, mainDatabase } from '../d1/databases';
import { expect } from '../d1/expect';
import { Foreign } from '../d1/homes';
import { unboundDatabases } from '../d1/incomplete';
import { isBehind, schemaVersionOf } from '../d1/schema-version';
import { firstCopies } from './copies';
import { hastenMove } from './moves';

/** Bytes that D1 lets a database have, and the share of them from which on no org is added. */
export const MAX_BYTES = 10_000_000_000;
const FULL = 0.95;

/** `missing`: not bound. `foreign`: bound under another name before. `failing`: it did not answer. `behind`: migrations are to come. */
export type ShardState = 'open' | 'full' | 'behind' | 'foreign' | 'failing' | 'missing';

export interface Shard {
  /** The name of the binding. */
  readonly name: string;
  readonly state: ShardState;
  /** Orgs and their users. Where the database does not answer: as far as the catalogue knows. */
  readonly orgs: number;
  readonly people: number | undefined;
  readonly bytes: number | undefined;
  /** Since midnight, UTC. */
  readonly requests: number | undefined;
  /** The latest migration. */
  readonly schema: string | undefined;
}

/** Every database that is bound, or that the catalogue names. One round trip to each, side by side. */
export async function listShards(databases: Databases, now: number): Promise<Shard[]> {
  const [listed] = await runBatch(mainDatabase(databases), [
    sql<{
      binding: string;
      n: number;
    }>`SELECT binding, count(*) AS n FROM catalogue WHERE slug IS NOT NULL GROUP BY binding`,
  ]);
  const known = new Map(listed.map(({ binding, n }) => [binding, n]));
  const bound = bindingsOf(databases);
  const names = [...bound, ...[...known.keys()].filter((name) => !bound.includes(name)).sort()];
  return Promise.all(names.map((name) => shardOf(databases, name, known.get(name) ?? 0, now)));
}

async function shardOf(databases: Databases, name: string, known: number, now: number): Promise<Shard> {
  const nothing = { name, orgs: known, people: undefined, bytes: undefined, requests: undefined, schema: undefined };
  const db = databaseNamed(databases)(name);
  if (db === undefined) return { ...nothing, state: 'missing' };
  let schema: string | undefined;
  try {
    schema = await schemaVersionOf(db);
    if (isBehind(schema)) return { ...nothing, schema, state: 'behind' };
    const [bytes, [[counts]]] = await Promise.all([
      bytesOf(db),
      runBatch(db, [
        sql<{ orgs: number; people: number; requests: number; owner: string | null }>`SELECT
          (SELECT count(*) FROM orgs) AS orgs, (SELECT ifnull(sum(user_count), 0) FROM orgs) AS people,
          (SELECT ifnull(sum(count), 0) FROM traffic WHERE day = CAST(${Math.floor(now / 86_400_000)} AS INTEGER)) AS requests,
          (SELECT binding FROM shards) AS owner`,
      ]),
    ]);
    const { orgs, people, requests, owner } = counts!;
    const isForeign = owner !== null && owner !== name;
    const state = isForeign ? 'foreign' : stateBySize(bytes);
    return { name, state, orgs, people, bytes, requests, schema };
  } catch (error) {
    console.error(JSON.stringify({ message: 'a database did not answer', binding: name, error: String(error) }));
    return { ...nothing, schema, state: 'failing' };
  }
}

/** How many databases are in each state, for the cron: it asks little of each, and does not fail. */
export async function countStates(databases: Databases): Promise<Partial<Record<ShardState, number>>> {
  const states: Promise<ShardState>[] = bindingsOf(databases).map((name) =>
    stateOf(databaseNamed(databases)(name)!, name).catch(() => 'failing' as const),
  );
  const missing = await unboundDatabases(databases).catch(() => []);
  const all = [...(await Promise.all(states)), ...missing.map(() => 'missing' as const)];
  return Object.fromEntries(
    [...new Set(all)].sort().map((state) => [state, all.filter((one) => one === state).length]),
  );
}

/** The state of a database that is bound. @throws what it fails with. */
export async function stateOf(db: D1Database, name: string): Promise<ShardState> {
  if (isBehind(await schemaVersionOf(db))) return 'behind';
  const { results, meta } = await db.prepare('SELECT binding FROM shards').run<{ binding: string }>();
  const owner = results[0]?.binding ?? name;
  return owner !== name ? 'foreign' : stateBySize(meta.size_after);
}

const stateBySize = (bytes: number): ShardState => (bytes >= FULL * MAX_BYTES ? 'full' : 'open');

/** What the database takes. */
async function bytesOf(db: D1Database): Promise<number> {
  const { meta } = await db.prepare('SELECT 1').run();
  return meta.size_after;
}

/**
 * Takes a database into use: it gets what every database holds, and its name. Done once; to repeat it does no harm.
 *
 * @throws Foreign: it belongs to another binding. Busy: it is not bound.
 */
export async function adopt(databases: Databases, name: string, now: number): Promise<void> {
  const db = databaseNamed(databases)(name);
  if (db === undefined) throw new Busy(`the database ${name} is not bound`);
  const [[shard]] = await runBatch(db, [sql<{ binding: string }>`SELECT binding FROM shards`]);
  if (shard?.binding === name) return;
  if (shard !== undefined) throw new Foreign(name, shard.binding);
  const copies = name === 'DB' ? [] : await firstCopies(mainDatabase(databases), db);
  try {
    await runBatch(db, [
      expect('found', sql`NOT EXISTS (SELECT 1 FROM shards)`),
      ...copies,
      sql`INSERT INTO shards (binding, adopted_at) VALUES (${name}, ${now})`,
    ]);
  } catch (error) {
    if (!(error instanceof Unmet) || error.expectation !== 'found') throw error;
    // Another request, or the cron, was quicker: whose it is now is asked anew.
    await adopt(databases, name, now);
  }
}

/** Takes every database into use that is bound for the first time. @throws AggregateError of those that could not be, after all others were. */
export async function adoptAll(databases: Databases, now = Date.now()): Promise<void> {
  if (!isSpread(databases)) return;
  const done = await Promise.allSettled(bindingsOf(databases).map((name) => adopt(databases, name, now)));
  // Its migrations come first, and the next run after them takes it into use.
  const failed = done.flatMap((one) =>
    one.status === 'rejected' && !(one.reason instanceof Behind) ? [one.reason] : [],
  );
  if (failed.length > 0) throw new AggregateError(failed, 'databases could not be taken into use');
}

/** Bytes. Databases that differ by less have the same room. */
const SAME_ROOM = 100_000_000;

/** The database with most room among these; of several, the one with the fewest orgs. */
function roomiest(shards: readonly Shard[]): Shard | undefined {
  const rank = ({ bytes = 0, orgs }: Shard) => Math.floor(bytes / SAME_ROOM) * 1e9 + orgs;
  const open = shards.filter(({ state }) => state === 'open');
  const least = Math.min(...open.map(rank));
  const best = open.filter((shard) => rank(shard) === least);
  // Orgs that are created at the same moment see the same figures.
  return best[Math.floor(Math.random() * best.length)];
}

/** An org cannot be there. The message says what was expected. */
export class Unplaceable extends Error {}

/** The name of the database that is asked for; or which databases will do, of which the one with most room is taken. */
export type Asked = string | ((database: string) => boolean);

/**
 * Where a new org goes, with its slug kept for it there. Nothing is asked where there is one database.
 *
 * @param asked what is left of a deleted org with this id decides first.
 * @throws Unplaceable. Taken: the slug is another org's.
 */
export async function placeFor(
  databases: Databases,
  org: { readonly id: string; readonly slug: string },
  asked: Asked,
  now: number,
): Promise<D1Database> {
  if (!isSpread(databases)) {
    if (typeof asked === 'string' && asked !== 'DB') throw new Unplaceable('the only database is DB');
    return mainDatabase(databases);
  }
  const [[before]] = await runBatch(mainDatabase(databases), [
    sql<{ binding: string }>`SELECT binding FROM catalogue WHERE org_id = ${org.id}`,
  ]);
  const chosen = () => (typeof asked === 'string' ? openShard(databases, asked, now) : anyShard(databases, asked, now));
  const name = before?.binding ?? (await chosen());
  await adopt(databases, name, now);
  if (name !== 'DB' && !(await reserveSlug(databases, org, name, now))) throw new Taken('orgs.slug');
  return databaseNamed(databases)(name)!;
}

async function anyShard(databases: Databases, suits: (database: string) => boolean, now: number): Promise<string> {
  const candidates = (await listShards(databases, now)).filter(({ name }) => suits(name));
  const found = roomiest(candidates);
  if (found !== undefined) return found.name;
  if (candidates.length === 0) throw new Unplaceable("no database is in the org's region: bind one there");
  // Only a full one asks for another database: the others are to be repaired.
  const states = candidates.map(({ name, state }) => `${name} is ${state}`).join(', ');
  throw new Unplaceable(`no database of the org's region takes new orgs: ${states} (shard list)`);
}

/** @throws Unplaceable: no org can go there. */
export async function openShard(databases: Databases, name: string, now: number): Promise<string> {
  const shards = await listShards(databases, now);
  const found = shards.find((shard) => shard.name === name);
  const open = shards.filter(({ state }) => state === 'open').map((shard) => shard.name);
  if (found?.state === 'open') return name;
  const instead = open.length > 0 ? `one of ${open.join(', ')} was expected` : 'no other takes orgs (shard list)';
  throw new Unplaceable(`${name} is ${found?.state ?? 'not bound'}: ${instead}`);
}

/**
 * Keeps the slug for a new org of this database.
 *
 * @returns whether it was free.
 */
async function reserveSlug(
  databases: Databases,
  org: { readonly id: string; readonly slug: string },
  name: string,
  now: number,
): Promise<boolean> {
  const main = mainDatabase(databases);
  await dropStaleReservation(databases, org.slug, now);
  const [rows] = await runBatch(main, [
    sql`INSERT INTO catalogue (org_id, slug, binding, since) SELECT ${org.id}, ${org.slug}, ${name}, ${now}
      WHERE NOT EXISTS (SELECT 1 FROM orgs WHERE slug = ${org.slug})
        AND NOT EXISTS (SELECT 1 FROM catalogue WHERE slug = ${org.slug} AND org_id <> ${org.id})
      ON CONFLICT (org_id) DO UPDATE SET slug = excluded.slug, binding = excluded.binding, since = excluded.since
      RETURNING org_id`,
  ]);
  return rows!.length > 0;
}

/** Milliseconds after which a slug whose org never came is free again. */
const RESERVED = 60_000;

/** A creation that was cut off between its two databases. */
async function dropStaleReservation(databases: Databases, slug: string, now: number): Promise<void> {
  const main = mainDatabase(databases);
  const [[entry]] = await runBatch(main, [
    sql<{ org_id: string; binding: string }>`SELECT org_id, binding FROM catalogue
      WHERE slug = ${slug} AND since <= ${now - RESERVED} AND NOT EXISTS (SELECT 1 FROM moves WHERE moves.org_id = catalogue.org_id)`,
  ]);
  const db = entry && databaseNamed(databases)(entry.binding);
  if (!entry || !db) return;
  const [there] = await runBatch(db, [sql`SELECT 1 FROM orgs WHERE id = ${entry.org_id}`]);
  if (there!.length === 0) await freeSlug(databases, entry.org_id);
}

/** The slug is free again. The catalogue still says where what is left of the org is. */
const freeSlug = (databases: Databases, orgId: string): Promise<unknown> =>
  runBatch(mainDatabase(databases), [sql`UPDATE catalogue SET slug = NULL WHERE org_id = ${orgId}`]);

/** The org is deleted. Its slug is free, and an old copy of it goes with the next run of the cron. */
export async function forgetOrg(databases: Databases, orgId: string): Promise<void> {
  if (!isSpread(databases)) return;
  await freeSlug(databases, orgId);
  await hastenMove(mainDatabase(databases), orgId);
}

/**
 * Aborts a batch in `DB` that adds an org whose slug or id is that of an org in another database, whether that is bound now or
 * not.
 */
export const expectFreeSlug = (
  databases: Databases,
  db: D1Database,
  { id, slug }: { readonly id: string; readonly slug: string },
): SQL[] =>
  db === mainDatabase(databases)
    ? [
        expect(
          'slug',
          sql`NOT EXISTS (SELECT 1 FROM catalogue WHERE slug = ${slug} OR (org_id = ${id} AND binding <> 'DB'))`,
        ),
      ]
    : [];
