/**
 * Two clocks. The wall clock stamps sessions and revocations, and anybody may set it. Ages need one that only goes
 * forward: else a clock set back by an hour would keep a dead stream good for that hour.
 */

export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Milliseconds from any beginning, never set back. */
  monotonic(): number;
}

export interface ClockOptions {
  /** Instead of Date.now. */
  readonly now?: () => number;
  /** Instead of performance.now, by which ages are measured; where only `now` is given, instead of that, too. */
  readonly monotonic?: () => number;
}

/** When something was so, by both clocks. */
export interface Moment {
  /** Epoch milliseconds. */
  readonly asOf: number;
  /** By the monotonic clock. */
  readonly at: number;
}

/** It was never so, or nobody can say when. */
export const NEVER: Moment = { asOf: 0, at: Number.NEGATIVE_INFINITY };

export const clockOf = ({ now, monotonic }: ClockOptions): Clock => ({
  now: now ?? Date.now,
  monotonic: monotonic ?? now ?? (() => performance.now()),
});

export const momentOf = (clock: Clock): Moment => ({ asOf: clock.now(), at: clock.monotonic() });

/** The moment of so many milliseconds ago. Of a negative age nothing is known: a clock was set. */
export const momentBefore = (clock: Clock, asOf: number, age: number): Moment => ({
  asOf,
  at: age >= 0 ? clock.monotonic() - age : Number.NEGATIVE_INFINITY,
});

/**
 * Milliseconds: the older of what the two clocks say, for a monotonic one may stand still while the machine sleeps.
 * Infinity where the monotonic one says less than nothing.
 */
export function ageOf(clock: Clock, { asOf, at }: Moment): number {
  const age = clock.monotonic() - at;
  return age >= 0 ? Math.max(age, clock.now() - asOf) : Number.POSITIVE_INFINITY;
}
