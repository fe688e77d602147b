/**
 * What one isolate counts on its way to D1: gathered, and written about once a second however much there is, so that a
 * flood of requests is not a flood of writes.
 *
 * What is not exact: an isolate that dies takes with it what has waited for its second, and a write whose answer is lost
 * is written again. If the request that was to write dies, the next one after some seconds writes. Beyond so many
 * different ones in a second those that come are counted without what tells them apart, and beyond twice as many that
 * differ even so, which takes made-up orgs, not at all.
 */
import { sql } from 'drizzle-orm';
import { runBatch } from './batch';
import { type Databases, isSpread, located } from './databases';
import { forgetHome, Moving } from './homes';

/** Different ones that wait: of one org, so that a flood of its is not another's, and of all. */
const MAX_OF_ORG = 100;
const MAX_KEYS = 500;
const ATTEMPTS = 3;
/** Milliseconds after its turn until a request that has not written is taken for dead. */
const OVERDUE = 5_000;

export abstract class BufferedCounter<T> {
  /** Milliseconds between two writes; Infinity: nothing is counted. */
  interval = 1_000;
  readonly #waiting = new Map<string, T>();
  readonly #ofOrg = new Map<string, number>();
  #nextAt = 0;
  /** Until then a request that waits is relied on to write for all; epoch milliseconds. */
  #reliedUntil = 0;

  /** What has the same key is counted together. */
  protected abstract keyOf(one: T): string;
  /** Its id or its slug. */
  protected abstract orgOf(one: T): string;
  /** It without what tells it from others of its org. */
  protected abstract folded(one: T): T;
  protected abstract sum(one: T, other: T): T;
  protected abstract write(db: D1Database, all: readonly T[]): Promise<void>;

  get isOff(): boolean {
    return this.interval === Number.POSITIVE_INFINITY;
  }

  /** How many different ones wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /**
   * To be awaited off the answer's path. Returns when it is written, or at once where another request of this isolate waits
   * for its second and will take it along: one timer for all, and only plain values are shared.
   *
   * @throws what D1 said at the last of a few attempts; the count waits for the next one.
   */
  async add(databases: Databases, ...all: readonly T[]): Promise<void> {
    if (this.isOff) return;
    for (const one of all) this.#put(one);
    if (this.#isRelied) return;
    for (let attempt = 1; ; attempt++) {
      // Never longer than that: a clock that is set back must not hold up a request.
      const early = Math.max(0, Math.min(this.#nextAt - Date.now(), this.interval));
      this.#reliedUntil = Date.now() + early + OVERDUE;
      await pause(early); // the answer first
      this.#nextAt = Date.now() + this.interval;
      this.#reliedUntil = 0;
      const waiting = [...this.#waiting.values()];
      this.#waiting.clear();
      this.#ofOrg.clear();
      const { left, failed } = await this.#writeAll(databases, waiting);
      if (left.length === 0) return;
      for (const one of left) this.#put(one);
      if (attempt === ATTEMPTS) throw failed[0];
      if (this.#isRelied) return;
    }
  }

  /** A database that fails holds up no count of another. @returns what is not written, and why. */
  async #writeAll(databases: Databases, waiting: readonly T[]): Promise<{ left: T[]; failed: unknown[] }> {
    const left: T[] = [];
    const failed: unknown[] = [];
    const byDatabase = new Map<D1Database, T[]>();
    for (const one of waiting) {
      try {
        const db = await located(databases, this.orgOf(one));
        const ones = byDatabase.get(db);
        if (ones) ones.push(one);
        else byDatabase.set(db, [one]);
      } catch (error) {
        left.push(one);
        failed.push(error);
      }
    }
    for (const [db, all] of byDatabase) {
      const waits = new Set(all);
      try {
        const ones = isSpread(databases) ? await this.#settled(db, all) : all;
        await this.write(db, ones);
        for (const one of ones) waits.delete(one);
        if (waits.size > 0) failed.push(new Moving('orgs are being moved: their counts wait'));
      } catch (error) {
        failed.push(error);
      }
      left.push(...waits);
    }
    return { left, failed };
  }

  /** Without those of orgs that are being moved, or were since this isolate last asked where they are. */
  async #settled(db: D1Database, all: readonly T[]): Promise<T[]> {
    const names = JSON.stringify([...new Set(all.map((one) => this.orgOf(one)))]);
    const [rows] = await runBatch(db, [
      sql<{ name: string }>`SELECT value AS name FROM json_each(${names}) AS asked
        WHERE EXISTS (SELECT 1 FROM frozen_orgs WHERE org_id IN (SELECT id FROM orgs WHERE id = value OR slug = value))
          OR (EXISTS (SELECT 1 FROM moved_orgs WHERE org_id = value OR org ->> '$.org.slug' = value)
            AND NOT EXISTS (SELECT 1 FROM orgs WHERE id = value OR slug = value))`,
    ]);
    const moving = new Set(rows.map(({ name }) => name));
    for (const name of moving) forgetHome(name);
    return all.filter((one) => !moving.has(this.orgOf(one)));
  }

  /** Whether another request is about to write. One that is overdue may have died. */
  get #isRelied(): boolean {
    const left = this.#reliedUntil - Date.now();
    return left > 0 && left <= this.interval + OVERDUE;
  }

  #put(one: T): void {
    const key = this.keyOf(one);
    const org = this.orgOf(one);
    const ofOrg = this.#ofOrg.get(org) ?? 0;
    const isNew = !this.#waiting.has(key);
    if (!isNew || (ofOrg < MAX_OF_ORG && this.#waiting.size < MAX_KEYS)) {
      if (isNew) this.#ofOrg.set(org, ofOrg + 1);
      this.#merge(key, one);
      return;
    }
    const folded = this.folded(one);
    const other = this.keyOf(folded);
    if (this.#waiting.has(other) || this.#waiting.size < 2 * MAX_KEYS) this.#merge(other, folded);
  }

  #merge(key: string, one: T): void {
    const kept = this.#waiting.get(key);
    this.#waiting.set(key, kept === undefined ? one : this.sum(kept, one));
  }
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
