/** Moves of orgs that an end of their coordinator left behind, and old copies whose day is over: the org's coordinator goes on. */
import { coordinatorOf } from '../coordinator-stub';
import type { Env } from '../env';
import { type Databases, isSpread, mainDatabase } from '../store/d1/databases';
import { adoptOldCopies, OLD_COPY, waitingMoves } from '../store/operations/moves';

/** Milliseconds without progress. */
const RESTING = 20_000;
const MINUTE = 60_000;
const MOVES_PER_SWEEP = 50;

/** @throws AggregateError of the orgs whose coordinator did not answer. */
export async function remindOfMoves(
  env: Databases & Pick<Env, 'ORG_COORDINATOR' | 'DO_JURISDICTION'>,
  now = Date.now(),
): Promise<void> {
  if (!isSpread(env)) return;
  if (Math.floor(now / MINUTE) % 10 === 0) await adoptOldCopies(env, now);
  const orgs = await waitingMoves(mainDatabase(env), now - RESTING, now - OLD_COPY, MOVES_PER_SWEEP);
  const reminded = await Promise.allSettled(orgs.map(async (orgId) => coordinatorOf(env, orgId).moveSoon()));
  const failed = reminded.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
  if (failed.length > 0) throw new AggregateError(failed, 'coordinators were not reminded of moves');
}
