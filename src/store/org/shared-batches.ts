/**
 * Many operations that share their round trips. Each works with a store of its own, a seat, as if it were alone; what
 * the seats ask for while all of them wait travels as one batch. Writes go in the order of the operations' turns.
 */
import type { SQL } from 'drizzle-orm';
import { unavailable } from '../../scim/error';
import { Taken, Unmet } from '../d1/batch';
import type { QueryBudget } from '../d1/query-budget';
import type { Row } from '../d1/rows';
import type { OrgStore } from './open';

/** Requests in one batch: ten statements each, and D1 gives a batch 30 seconds. */
const MAX_GATHERED = 50;

/** Statements that lead every batch (open.ts). */
const LEADING = 2;

const USED_UP = 'The request asks for more than one request can do. This operation was not carried out: send it again';

/** The operation must not be carried out any more: too many before it have failed. */
export class Stopped extends Error {}

/** What an operation builds on: that another one, of this turn, makes a resource with this id. */
export interface Presumption {
  readonly turn: number;
  readonly id: string;
}

/** What an operation was built on has not come true: nothing of it was written. */
export class NotAsPresumed extends Error {}

interface Request {
  readonly turn: number;
  readonly presumed: readonly Presumption[];
  readonly statements: SQL[];
  resolve(rows: Row[][]): void;
  reject(error: unknown): void;
}

export class SharedBatches {
  #reads: Request[] = [];
  #writes: Request[] = [];
  #live = 0;
  /** How many writes are tried together: after one that failed no more than had succeeded since the one before. */
  #together = MAX_GATHERED;
  #succeeded = MAX_GATHERED;
  #isFlushing = false;
  readonly #open: Set<number>;
  /** Of operations that are over: the id of what they made, if they made something. */
  readonly #made = new Map<number, string | undefined>();

  /**
   * @param base does the work, and holds what was found of the caller.
   * @param count of operations; their turns are 0, 1, …, and each is run or skipped.
   * @param budget what the request may still ask of D1: beyond it, operations are refused before they do anything.
   * @param mayWrite whether the operation of this turn may still be carried out.
   */
  constructor(
    private readonly base: OrgStore,
    count: number,
    private readonly budget: QueryBudget,
    private readonly mayWrite: (turn: number) => boolean,
  ) {
    this.#open = new Set(Array(count).keys());
  }

  /**
   * Runs one operation with a seat. Of operations begun in the same turn, all are awaited before a batch goes off.
   *
   * @param presumed writes only where that comes true.
   * @param idOf the id of what it has made.
   */
  async run<T>(
    turn: number,
    presumed: readonly Presumption[],
    operation: (store: OrgStore) => Promise<T>,
    idOf: (result: T) => string | undefined,
  ): Promise<T> {
    this.#live++;
    let made: string | undefined;
    try {
      const result = await operation(this.base.seat((kind, statements) => this.#ask(kind, turn, presumed, statements)));
      made = idOf(result);
      return result;
    } finally {
      this.#live--;
      this.#made.set(turn, made);
      this.skip(turn);
    }
  }

  /** The operation of this turn is over, or will not be run. */
  skip(turn: number): undefined {
    this.#open.delete(turn);
    this.#flushIfAllWait();
  }

  /** The operation of this turn goes on, after another one that it waits for. */
  reopen(turn: number): void {
    this.#open.add(turn);
  }

  #ask(kind: 'read' | 'write', turn: number, presumed: readonly Presumption[], statements: SQL[]): Promise<Row[][]> {
    return new Promise((resolve, reject) => {
      (kind === 'read' ? this.#reads : this.#writes).push({ turn, presumed, statements, resolve, reject });
      this.#flushIfAllWait();
    });
  }

  #flushIfAllWait(): void {
    // In a turn of its own, so that operations begun together are all counted.
    queueMicrotask(() => {
      if (this.#isFlushing || this.#live === 0 || this.#reads.length + this.#writes.length < this.#live) return;
      if (this.#reads.length === 0 && this.#due() === 0) return; // an earlier one is about to begin
      this.#isFlushing = true;
      this.#flush().finally(() => {
        this.#isFlushing = false;
        this.#flushIfAllWait();
      });
    });
  }

  async #flush(): Promise<void> {
    // Reads first: what they find decides what their operations write, and in which place.
    if (this.#reads.length > 0) {
      await this.#read(this.#reads.splice(0, MAX_GATHERED));
      return;
    }
    const stopped = this.#writes.filter(({ turn }) => !this.mayWrite(turn));
    this.#writes = this.#writes.filter((request) => !stopped.includes(request)).sort((a, b) => a.turn - b.turn);
    for (const request of stopped) request.reject(new Stopped());
    if (stopped.length > 0) return;
    const vain = this.#writes.filter(({ presumed }) =>
      presumed.some(({ turn, id }) => this.#made.has(turn) && this.#made.get(turn) !== id),
    );
    this.#writes = this.#writes.filter((request) => !vain.includes(request));
    for (const request of vain) request.reject(new NotAsPresumed());
    if (vain.length > 0) return;
    this.#writes.unshift(...(await this.#write(this.#writes.splice(0, Math.min(this.#due(), this.#together)))));
  }

  /** How many of the writes, in order, have nobody before them who has not yet said what to write. */
  #due(): number {
    const asked = new Set(this.#writes.map(({ turn }) => turn));
    const first = Math.min(...[...this.#open].filter((turn) => !asked.has(turn)), Number.POSITIVE_INFINITY);
    return this.#writes.filter(({ turn }) => turn < first).length;
  }

  async #read(requests: Request[]): Promise<void> {
    const statements = requests.flatMap((request) => request.statements);
    if (!this.#spend(requests, statements.length)) return;
    try {
      hand(requests, await this.base.read(...statements));
    } catch (error) {
      for (const request of requests) request.reject(error);
    }
  }

  /**
   * All in one batch. If one of them cannot be, the batch falls whole: then by halves, the earlier one first, until it
   * is found, and what comes after it waits for its operation to be over.
   *
   * @returns the requests that were not tried.
   */
  async #write(requests: Request[]): Promise<Request[]> {
    if (requests.length === 0) return [];
    const statements = requests.flatMap((request) => request.statements);
    if (!this.#spend(requests, statements.length)) return [];
    try {
      hand(requests, await this.base.write(...statements));
      this.#succeeded += requests.length;
      this.#together = Math.min(Math.max(2 * requests.length, this.#together), MAX_GATHERED);
      return [];
    } catch (error) {
      const isOneOfThem = error instanceof Unmet || error instanceof Taken;
      if (!isOneOfThem || requests.length === 1) {
        for (const request of requests) request.reject(error);
        this.#together = Math.min(Math.max(this.#succeeded, 1), MAX_GATHERED);
        this.#succeeded = 0;
        return [];
      }
    }
    // The second half goes off with a later flush, when a failed operation of the first has been counted.
    const middle = Math.ceil(requests.length / 2);
    return [...(await this.#write(requests.slice(0, middle))), ...requests.slice(middle)];
  }

  /** @returns false: there is no room for them any more, and they are refused. */
  #spend(requests: readonly Request[], statements: number): boolean {
    const all = LEADING + statements;
    if (!this.budget.hasRoomFor(all)) {
      for (const { reject } of requests) reject(unavailable(USED_UP, 1));
      return false;
    }
    this.budget.spend(all);
    return true;
  }
}

/** Each request gets the rows of its own statements. */
function hand(requests: readonly Request[], rows: Row[][]): void {
  let at = 0;
  for (const { statements, resolve } of requests) {
    resolve(rows.slice(at, at + statements.length));
    at += statements.length;
  }
}
