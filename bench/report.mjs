/** What the bench prints: ratios above all, for the milliseconds are this machine's. */
import { columns, heading, paint } from '../scripts/terminal.mjs';

/**
 * The figures of one workload, and what they come to.
 *
 * @param sides by name: `{ n, p50, p99, max, perSecond, cpu }`. `small` and `peer` may be missing, `perSecond` and `cpu` too.
 */
export function resultOf(name, { title, goal, growth }, sides) {
  const { floor, full, ours, small, peer } = sides;
  return {
    name,
    title,
    sides,
    ratios: {
      floor: ratio(ours.p50, floor.p50),
      full: ratio(ours.p50, full.p50),
      cpuFloor: ratio(ours.cpu, floor.cpu),
      cpuFull: ratio(ours.cpu, full.cpu),
      peer: ratio(ours.p50, peer?.p50),
      growth: growth ? ratio(ours.p50, small?.p50) : undefined,
    },
    goal,
  };
}

/** The most that any workload may grow by between the two sizes. */
export const GROWTH_GOAL = 1.2;

/** What a result is measured by: the ratio that the goal names, and whether it is reached. Undefined: it was not run. */
export function verdictOf({ goal, ratios, sides }, results) {
  const get = results.find(({ name }) => name === 'get')?.sides.ours.p50;
  const found = goal.of === 'get' ? ratio(sides.ours.p50, get) : ratios[goal.of];
  return found === undefined ? undefined : { ratio: found, isReached: found <= goal.times };
}

function ratio(ours, theirs) {
  return ours === undefined || !theirs ? undefined : Math.round((100 * ours) / theirs) / 100;
}

/** Twelve columns do not fit 80 characters; a ratio must stand in the line of its name. */
const WIDE = Number.POSITIVE_INFINITY;

export function reportOf({ users, rounds, parallel, seconds, results }) {
  const title = `${users} users, ${rounds} rounds of interleaved blocks, in ${seconds} s with the filling. Milliseconds of this machine, with all that runs on it: read the ratios.`;
  return [
    paint('bold', title),
    '',
    columns(
      [
        heading(
          'p50 at one connection',
          'floor',
          'full',
          'ours',
          'p99',
          'peer',
          '÷ floor',
          '÷ full',
          '÷ peer',
          'goal',
          'reached',
          'growth',
        ),
        ...results.map((result) => latencyOf(result, results)),
      ],
      WIDE,
    ),
    '',
    columns(
      [
        heading(
          `requests a second, ${parallel} connections`,
          'floor',
          'full',
          'ours',
          'peer',
          'CPU ms: floor',
          'full',
          'ours',
          'peer',
          '÷ floor',
          '÷ full',
        ),
        ...results.map(costOf),
      ],
      WIDE,
    ),
  ].join('\n');
}

function latencyOf(result, results) {
  const { title, goal, ratios, sides } = result;
  const { floor, full, ours, peer } = sides;
  const verdict = verdictOf(result, results);
  return [
    title,
    short(floor.p50),
    short(full.p50),
    short(ours.p50),
    short(ours.p99),
    short(peer?.p50),
    ratios.floor,
    ratios.full,
    ratios.peer,
    `≤ ${goal.times} × ${goal.of}`,
    verdict && (verdict.isReached ? ['green', 'yes'] : ['yellow', `no: ${verdict.ratio}`]),
    ratios.growth !== undefined && ratios.growth > GROWTH_GOAL ? ['yellow', ratios.growth] : ratios.growth,
  ];
}

function costOf({ title, ratios, sides: { floor, full, ours, peer } }) {
  return [
    title,
    ...[floor, full, ours, peer].map((side) => side?.perSecond),
    ...[floor, full, ours, peer].map((side) => short(side?.cpu)),
    ratios.cpuFloor,
    ratios.cpuFull,
  ];
}

/** Milliseconds with three figures or so. */
const short = (milliseconds) => milliseconds && Number(milliseconds.toFixed(milliseconds < 10 ? 2 : 1));
