/** How the time of a function grows with its input: a figure that holds on a busy machine, where seconds do not. */
import { expect } from 'vitest';

const STEP = 4;
const TRIES = 3;
const MOST_TRIES = 60;
const FLOOR = 5;

/** Milliseconds of the shorter of two times. Below FLOOR, the clock and the collector say more than the work. */
function shorter(best: number, run: () => unknown): number {
  const start = performance.now();
  run();
  return Math.max(FLOOR, Math.min(best, performance.now() - start));
}

/**
 * Four times as much input takes about four times as long. Quadratic work would take sixteen times as long. A run that had to
 * wait for its turn is not counted: the shortest of many runs is, and on a busy machine there are more of them.
 *
 * @param size of the larger input.
 * @param label for a failure.
 */
export function expectLinear(run: (size: number) => unknown, size: number, label?: string): void {
  const isLinear = () => large / small < STEP * 2.5;
  let [small, large] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let i = 0; i < TRIES || (i < MOST_TRIES && !isLinear()); i++) {
    small = shorter(small, () => run(Math.floor(size / STEP)));
    large = shorter(large, () => run(size));
  }
  expect(large / small, label).toBeLessThan(STEP * 2.5);
}
