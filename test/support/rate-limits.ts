/**
 * Rate limiters that count in memory, as the local runtime counts: a key has so many calls in a window of the clock. The
 * runtime's own limiter writes each count to a database on disk, which costs more than the request it counts.
 * `test/routes/rate-limits.test.ts` uses the runtime's, by `countInRuntime`.
 */

/** The fields of the runtime's limiter. */
interface Limiter {
  readonly limitVal: number;
  /** Seconds. */
  readonly period: number;
}

type Limit = (this: Limiter, options: { key?: string }) => Promise<{ success: boolean }>;

const now = Date.now.bind(Date); // a test may have another clock
const windows = new Map<string, { epoch: number; count: number }>();
let isInRuntime = false;

/** For a file whose subject is the limits: from here on the runtime's own limiters count. Ends with the file. */
export function countInRuntime(): void {
  isInRuntime = true;
}

/** To be called before each test file. */
export function resetRateLimits(): void {
  windows.clear();
  isInRuntime = false;
}

export const inMemory = (inner: Limit): Limit =>
  async function (options) {
    if (isInRuntime) return inner.call(this, options);
    const epoch = Math.floor(now() / (this.period * 1_000));
    // No two limiters of wrangler.toml have the same limit and period.
    const name = JSON.stringify([this.limitVal, this.period, options.key]);
    const window = windows.get(name);
    const count = window?.epoch === epoch ? window.count : 0;
    if (count >= this.limitVal) return { success: false };
    windows.set(name, { epoch, count: count + 1 });
    return { success: true };
  };
