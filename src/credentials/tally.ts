/**
 * Refusals of one isolate on their way to D1: gathered, and written about once a second however many there are, so that
 * a flood of bad tokens is not a flood of writes.
 *
 * What is not exact: an isolate that dies takes with it what has waited for its second, and a write whose answer is lost
 * is written again. Beyond so many different refusals in a second those that come are counted without what tells them
 * apart, and beyond twice as many orgs and reasons, which takes made-up orgs, not at all.
 */
import { countRefusals, findPresenters, OTHERS } from '../store/refusals';
import { accountOf, type Occurrence } from './refusal';

/** Different refusals that wait: of one org, so that a flood of its is not another's, and of all. */
const MAX_OF_ORG = 100;
const MAX_KEYS = 500;
const ATTEMPTS = 3;
const DAY = 86_400_000;

const keyOf = ({ count: _, firstAt, lastAt: __, ...of }: Occurrence) =>
  JSON.stringify([Math.floor(firstAt / DAY), ...Object.entries(of).sort()]);

export class Tally {
  /** Milliseconds between two writes. */
  interval = 1_000;
  readonly #waiting = new Map<string, Occurrence>();
  readonly #ofOrg = new Map<string, number>();
  #nextAt = 0;
  /** How many were ever put here, and how many of them a write has taken with it. */
  #added = 0;
  #taken = 0;

  /** How many different ones wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /**
   * To be awaited off the answer's path. Returns when the refusal is written, or has been taken along by another request
   * that writes. What a request opens in Workers is its own, so each waits for its turn by itself, a second at most, and
   * whoever comes first writes for all; only plain values are shared.
   *
   * @throws what D1 said at the last of a few attempts; the count waits for the next refusal.
   */
  async add(occurrence: Occurrence, db: D1Database): Promise<void> {
    this.#put(occurrence);
    const mine = ++this.#added;
    await pause(0); // the answer first
    for (let attempt = 1; mine > this.#taken || attempt > 1; ) {
      // Never longer than that: a clock that is set back must not hold up a request.
      const early = Math.min(this.#nextAt - Date.now(), this.interval);
      if (early > 0) {
        await pause(early);
        continue;
      }
      this.#nextAt = Date.now() + this.interval;
      this.#taken = this.#added;
      const all = [...this.#waiting.values()];
      this.#waiting.clear();
      this.#ofOrg.clear();
      if (all.length === 0) return; // this one, too, was written meanwhile
      try {
        return await write(db, all);
      } catch (error) {
        for (const one of all) this.#put(one);
        if (++attempt > ATTEMPTS) throw error;
      }
    }
  }

  #put(occurrence: Occurrence): void {
    const key = keyOf(occurrence);
    const { orgId, slug, userName, reason = 'unknown', count, firstAt, lastAt } = occurrence;
    const org = orgId ?? slug ?? userName ?? '';
    const ofOrg = this.#ofOrg.get(org) ?? 0;
    const isNew = !this.#waiting.has(key);
    if (!isNew || (ofOrg < MAX_OF_ORG && this.#waiting.size < MAX_KEYS)) {
      if (isNew) this.#ofOrg.set(org, ofOrg + 1);
      this.#merge(key, occurrence);
      return;
    }
    const folded = { orgId, slug, userName, reason, hint: OTHERS, client: '', address: '', count, firstAt, lastAt };
    const other = keyOf(folded);
    if (this.#waiting.has(other) || this.#waiting.size < 2 * MAX_KEYS) this.#merge(other, folded);
  }

  #merge(key: string, occurrence: Occurrence): void {
    const { count = 0, firstAt = occurrence.firstAt, lastAt = occurrence.lastAt } = this.#waiting.get(key) ?? {};
    this.#waiting.set(key, {
      ...occurrence,
      count: count + occurrence.count,
      firstAt: Math.min(firstAt, occurrence.firstAt),
      lastAt: Math.max(lastAt, occurrence.lastAt),
    });
  }
}

/** What the hashes are of is asked first, at once for all. */
async function write(db: D1Database, occurrences: readonly Occurrence[]): Promise<void> {
  const hashes = [...new Set(occurrences.flatMap(({ hash }) => hash ?? []))];
  const presenters = hashes.length > 0 ? await findPresenters(db, hashes) : new Map();
  await countRefusals(
    db,
    occurrences.map((one) => accountOf(one, presenters.get(one.hash))),
  );
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
