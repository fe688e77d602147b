/** How the time of a function grows with its input: a figure that holds on a busy machine, where seconds do not. */
import { expect } from 'vitest';

const STEP = 4;
const TRIES = 5;
const FLOOR = 5;

/** The shortest of several runs, in milliseconds: a run that had to wait for its turn is not counted. */
function shortest(run: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TRIES; i++) {
    const start = performance.now();
    run();
    best = Math.min(best, performance.now() - start);
  }
  // Below this the clock and the collector say more than the work.
  return Math.max(best, FLOOR);
}

/**
 * Four times as much input takes about four times as long. Quadratic work would take sixteen times as long.
 *
 * @param size of the larger input.
 * @param label for a failure.
 */
export function expectLinear(run: (size: number) => unknown, size: number, label?: string): void {
  const small = shortest(() => run(Math.floor(size / STEP)));
  const large = shortest(() => run(size));
  expect(large / small, label).toBeLessThan(STEP * 2.5);
}
