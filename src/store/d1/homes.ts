/**
 * Where orgs are, when there are several databases. `DB` holds the catalogue: a row for each org that is, or was, in
 * another one. An isolate remembers what it was told. Each batch begins with a guard that aborts it where the org is not,
 * so what is remembered can be old and is never believed.
 */
import { type SQL, sql } from 'drizzle-orm';
import { Busy, runBatch, Unmet } from './batch';
import type { Attempt, Located } from './database';
import { expect } from './expect';

/** Which org: by its id, or by what may be its id or its slug. */
export type OrgKey = { readonly id: string } | { readonly name: string };

/** The database by the name of its binding; undefined: it is not bound. */
export type BindingOf = (binding: string) => D1Database | undefined;

/** What the catalogue says. */
interface Entry {
  /** Absent: no org is called so, or one that was deleted from `DB`. */
  readonly binding: string | undefined;
  /** Just now the org is in neither of two databases, for some round trips. */
  readonly isSwitching: boolean;
}

/** Milliseconds. A switch takes some round trips; a request waits for it so often, so long each time. */
const PAUSE = 150;
const PAUSES = 12;

/** Orgs that an isolate remembers. */
const MAX_REMEMBERED = 10_000;

/** The org is being moved and cannot be written to for some seconds. Nothing has happened. */
export class Moving extends Busy {
  override readonly told = 'The organization is being moved to another database: try again in some seconds';
  override readonly retryAfter = 5;
}

/** Its database is not bound. Nothing has happened. */
export class Unbound extends Busy {
  override readonly told = 'The database that holds the organization is not available: try again in a minute';
  override readonly retryAfter = 60;
  override readonly toldOperator: string;

  /** @param org as the operator called it. */
  constructor(binding: string, org?: string) {
    super(`the database ${binding} holds the org, and is not bound`);
    const which = org === undefined ? 'the organization' : `the org ${org}`;
    this.toldOperator = `The database ${binding}, which holds ${which}, is missing: bind it again (shard list)`;
  }
}

/** What is bound under the name of its database is another one. Nothing has happened. */
export class Foreign extends Busy {
  override readonly told = 'The database of the organization is bound to another one: try again in a minute';
  override readonly retryAfter = 60;
  override readonly toldOperator: string;

  constructor(binding: string, is?: string) {
    super(`the database that is bound as ${binding} is ${is ?? 'another one'}`);
    const which = is === undefined ? 'another database' : `the database ${is}`;
    this.toldOperator = `What is bound as ${binding} is ${which}: bind it as it was (shard list)`;
  }
}

/** Milliseconds for which an isolate that is bound to `DB` alone believes that no org is elsewhere. */
const BELIEVED = 60_000;

class Homes {
  readonly #known = new Map<string, string>();
  /** When the catalogue was last seen without an org in another database; epoch milliseconds. */
  emptyAt = Number.NEGATIVE_INFINITY;

  get(key: string): string | undefined {
    return this.#known.get(key);
  }

  keep(key: string, binding: string): void {
    if (this.#known.get(key) === binding) return;
    this.#known.set(key, binding);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MAX_REMEMBERED) break;
      this.#known.delete(oldest);
    }
  }

  forget(key: string): void {
    this.#known.delete(key);
  }

  clear(): void {
    this.#known.clear();
    this.emptyAt = Number.NEGATIVE_INFINITY;
  }
}

/** What this isolate remembers. */
export const homes = new Homes();

/** The catalogue is asked again for the org of this id or slug. */
export function forgetHome(name: string): void {
  homes.forget(`id:${name}`);
  homes.forget(`name:${name}`);
}

/**
 * `DB`, where no other database is bound. Once there may have been others: before an org that is not found is taken for one that
 * does not exist, the catalogue is asked. Where it is empty it is asked once a minute at most.
 */
export class OnlyDatabase implements Located {
  constructor(
    private readonly db: D1Database,
    private readonly org: OrgKey,
  ) {}

  send<T>(_writes: () => boolean, attempt: Attempt<T>): Promise<T> {
    return attempt(this.db, []);
  }

  /** @throws Unbound: it is in a database that is not bound any more. Foreign: what is bound as `DB` is another database. */
  async confirmAbsence(): Promise<void> {
    const now = Date.now();
    if (Math.abs(now - homes.emptyAt) < BELIEVED) return;
    const isElsewhere = sql`binding <> 'DB' AND slug IS NOT NULL`;
    const binding = (column: string, text: string) =>
      sql`(SELECT binding FROM catalogue WHERE ${sql.raw(column)} = ${text} AND ${isElsewhere})`;
    const found =
      'id' in this.org
        ? binding('org_id', this.org.id)
        : sql`coalesce(${binding('org_id', this.org.name)}, ${binding('slug', this.org.name)})`;
    const [[row]] = await runBatch(this.db, [
      sql<{ binding: string | null; owner: string | null; is_spread: number }>`SELECT ${found} AS binding,
        (SELECT binding FROM shards) AS owner, EXISTS (SELECT 1 FROM catalogue WHERE ${isElsewhere}) AS is_spread`,
    ]);
    if (typeof row?.owner === 'string' && row.owner !== 'DB') throw new Foreign('DB', row.owner);
    if (row?.is_spread === 0) homes.emptyAt = now;
    if (typeof row?.binding === 'string') throw new Unbound(row.binding);
  }
}

/** The database of one org among several. */
export class OrgDatabase implements Located {
  readonly #memory: string;
  readonly #isHere: SQL;

  constructor(
    private readonly bindingOf: BindingOf,
    private readonly org: OrgKey,
  ) {
    const text = sql`${'id' in org ? org.id : org.name}`;
    this.#memory = 'id' in org ? `id:${org.id}` : `name:${org.name}`;
    this.#isHere = 'id' in org ? sql`id = ${text}` : sql`(id = ${text} OR slug = ${text})`;
  }

  /** @throws Moving: it is a write, and the org is being moved. Busy: the database is not bound, or the catalogue does not answer. */
  async send<T>(writes: () => boolean, attempt: Attempt<T>): Promise<T> {
    const remembered = homes.get(this.#memory);
    let entry: Entry = remembered === undefined ? await this.#look() : { binding: remembered, isSwitching: false };
    for (let pauses = 0; ; ) {
      if (entry.binding !== undefined) {
        try {
          const answer = await attempt(this.#bound(entry.binding), this.#guards(writes()));
          homes.keep(this.#memory, entry.binding);
          return answer;
        } catch (error) {
          if (!(error instanceof Unmet)) throw error;
          if (error.expectation === 'unmoved') throw new Moving('the org is being moved to another database');
          if (error.expectation !== 'here') throw error;
          homes.forget(this.#memory);
        }
        const before = entry.binding;
        entry = await this.#look();
        // It is nobody's any more: what is asked is answered as for an org that never was.
        if (!entry.isSwitching && entry.binding === before) return this.#ask(before, attempt);
      } else if (!entry.isSwitching) {
        return this.#ask('DB', attempt);
      }
      if (!entry.isSwitching) continue;
      if (++pauses > PAUSES) throw new Moving('the org is being moved to another database');
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
      entry = await this.#look();
    }
  }

  /** Of an org that is nowhere. A database that is bound under another name than before cannot know. */
  async #ask<T>(binding: string, attempt: Attempt<T>): Promise<T> {
    const isForeign = sql`EXISTS (SELECT 1 FROM shards WHERE binding <> ${binding})`;
    try {
      return await attempt(this.#bound(binding), [expect('here', sql`NOT ${isForeign}`)]);
    } catch (error) {
      if (!(error instanceof Unmet) || error.expectation !== 'here') throw error;
      throw new Foreign(binding);
    }
  }

  /** An org that was not found where the catalogue says was asked for in `#ask`: nothing is left to ask. */
  async confirmAbsence(): Promise<void> {}

  /** The database that holds the org now, as far as is known without asking it. */
  async locate(): Promise<D1Database> {
    const remembered = homes.get(this.#memory);
    const binding = remembered ?? (await this.#look()).binding ?? 'DB';
    return this.#bound(binding);
  }

  #guards(writes: boolean): readonly SQL[] {
    const here = expect('here', sql`EXISTS (SELECT 1 FROM orgs WHERE ${this.#isHere})`);
    if (!writes) return [here];
    const isFrozen = sql`SELECT 1 FROM frozen_orgs WHERE org_id IN (SELECT id FROM orgs WHERE ${this.#isHere})`;
    return [here, expect('unmoved', sql`NOT EXISTS (${isFrozen})`)];
  }

  #bound(binding: string): D1Database {
    const database = this.bindingOf(binding);
    if (database === undefined) throw new Unbound(binding);
    return database;
  }

  #look(): Promise<Entry> {
    return lookUp(this.bindingOf, this.org);
  }
}

/** Asks the catalogue. An id goes before a slug: no slug can be chosen so that it takes the place of another org's id. */
async function lookUp(bindingOf: BindingOf, org: OrgKey): Promise<Entry> {
  const text = 'id' in org ? org.id : org.name;
  const found = (column: 'id' | 'slug') => {
    const listed = column === 'id' ? sql`org_id` : sql`slug`;
    return sql`(SELECT binding FROM catalogue WHERE ${listed} = ${text}),
      (SELECT 'DB' FROM orgs WHERE ${sql.raw(column)} = ${text})`;
  };
  const moving = 'id' in org ? sql`org_id = ${text}` : sql`(org_id = ${text} OR slug = ${text})`;
  const binding = 'id' in org ? found('id') : sql`${found('id')}, ${found('slug')}`;
  const [[row]] = await runBatch(bindingOf('DB')!, [
    sql<{ binding: string | null; switching: number }>`SELECT coalesce(${binding}) AS binding,
      EXISTS (SELECT 1 FROM moves WHERE ${moving} AND state = 'switching') AS switching`,
  ]);
  return { binding: row?.binding ?? undefined, isSwitching: row?.switching === 1 };
}
