/** What many measurements come to. */

/**
 * Nearest-rank percentiles: each figure is one that was measured.
 *
 * @param durations milliseconds, at least one.
 * @param digits that are kept behind the point.
 */
export function figuresOf(durations, digits = 1) {
  const sorted = [...durations].sort((a, b) => a - b);
  const at = (share) => rounded(sorted[Math.ceil(share * sorted.length) - 1], digits);
  return { n: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

const rounded = (milliseconds, digits) => Number(milliseconds.toFixed(digits));

/** Does something with each of them, so many at a time, and gives the results in their order. */
export async function each(things, parallel, work) {
  const results = [];
  const queue = things.entries();
  const worker = async () => {
    for (const [i, thing] of queue) results[i] = await work(thing);
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  return results;
}
