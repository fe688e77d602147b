/**
 * Which database holds what: the only file that knows the bindings. `DB` alone holds all orgs. With `DB_1` … `DB_n`, each
 * org is in one of them (homes.ts). Whatever works for one org takes its database from here, and whatever works across
 * orgs takes all of them.
 */
import { Busy } from './batch';
import type { Database } from './database';
import { type BindingOf, OnlyDatabase, OrgDatabase, type OrgKey } from './homes';

/** What a Worker is bound to. */
export interface Databases {
  readonly DB: D1Database;
  readonly [more: `DB_${number}`]: D1Database | undefined;
}

/** Names of bindings. */
export const BINDING = /^DB(?:_([1-9]\d{0,3}))?$/;

const named = new WeakMap<object, readonly string[]>();

/** The names of the bindings, `DB` first and then by number. */
export function bindingsOf(databases: Databases): readonly string[] {
  const known = named.get(databases);
  if (known) return known;
  const bound = Object.entries(databases).flatMap(([name, db]) => (db === undefined ? [] : name));
  const numbers = bound.flatMap((name) => BINDING.exec(name)?.[1] ?? []);
  const names = ['DB', ...numbers.sort((a, b) => Number(a) - Number(b)).map((number) => `DB_${number}`)];
  named.set(databases, names);
  return names;
}

export const isSpread = (databases: Databases): boolean => bindingsOf(databases).length > 1;

/** The one of this name; undefined: none is bound so. */
export const databaseNamed =
  (databases: Databases): BindingOf =>
  (binding) =>
    BINDING.test(binding) ? (databases as unknown as Record<string, D1Database | undefined>)[binding] : undefined;

/** Where what is of no org is kept, and the catalogue. */
export const mainDatabase = ({ DB }: Databases): D1Database => DB;

const homeOf = (databases: Databases, org: OrgKey): Database =>
  isSpread(databases) ? new OrgDatabase(databaseNamed(databases), org) : new OnlyDatabase(databases.DB, org);

/** Holds every row of this org. */
export const databaseOf = (databases: Databases, orgId: string): Database =>
  orgId === '' ? databases.DB : homeOf(databases, { id: orgId });

/** Holds the org that is called so, if there is one. @param name a slug, or what may be an id. */
export const databaseOfName = (databases: Databases, name: string): Database => homeOf(databases, { name });

/** The same, found now: for work that is for many orgs at once. An org that moves meanwhile is not in it any more. */
export const located = (databases: Databases, name: string): D1Database | Promise<D1Database> =>
  isSpread(databases) ? new OrgDatabase(databaseNamed(databases), { name }).locate() : databases.DB;

/** Hold all orgs together, each org in one of them. */
export const allDatabases = (databases: Databases): readonly D1Database[] =>
  bindingsOf(databases).map((name) => databaseNamed(databases)(name)!);

/**
 * Work on all of them, one after the other. One that fails does not stop the others.
 *
 * @returns what each has answered.
 * @throws what failed, after all others were done: Busy where all of it is, or an AggregateError.
 */
export async function eachDatabase<T>(databases: Databases, work: (db: D1Database) => Promise<T>): Promise<T[]> {
  const answers: T[] = [];
  const failed: unknown[] = [];
  for (const db of allDatabases(databases)) {
    try {
      answers.push(await work(db));
    } catch (error) {
      failed.push(error);
    }
  }
  if (failed.length === 1) throw failed[0];
  if (failed.length > 1) {
    const why = `${failed.length} databases failed: ${failed.map(String).join('; ')}`;
    throw failed.every((error) => error instanceof Busy) ? new Busy(why) : new AggregateError(failed, why);
  }
  return answers;
}

/** What several databases have answered. */
export interface Gathered<T> {
  readonly answers: readonly T[];
  /** The names of those that have not. */
  readonly failed: readonly string[];
}

/** Asks all of them, side by side. What failed is logged. @throws what failed, where there is one database. */
export async function gather<T>(
  databases: Databases,
  question: (db: D1Database, name: string) => Promise<T>,
): Promise<Gathered<T>> {
  const names = bindingsOf(databases);
  // Of one database a failure is the answer.
  if (names.length === 1) return { answers: [await question(databases.DB, 'DB')], failed: [] };
  const done = await Promise.allSettled(names.map((name) => question(databaseNamed(databases)(name)!, name)));
  const failed = names.filter((_, i) => done[i]!.status === 'rejected');
  const answers = done.flatMap((one, i) => {
    if (one.status === 'fulfilled') return [one.value];
    const error = String(one.reason);
    console.error(JSON.stringify({ message: 'a database did not answer', binding: names[i], error }));
    return [];
  });
  return { answers, failed };
}

/** What those answer that can: for questions whose answer is still right when a database is missing. */
export const askEach = async <T>(
  databases: Databases,
  question: (db: D1Database) => Promise<T>,
): Promise<readonly T[]> => (await gather(databases, question)).answers;
