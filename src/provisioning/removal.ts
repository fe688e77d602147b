/** The work on what was deleted at once: right after the answer, and by the cron until nothing is left. */
import { ScimError } from '../scim/error';
import { Unmet } from '../store/d1/batch';
import { bindingsOf, type Databases, eachDatabase } from '../store/d1/databases';
import {
  CHUNK,
  clearSchema,
  finishOrgRemoval,
  type Removal,
  ROWS_OF_ORG,
  removeGroupRows,
  removeRows,
  takeRemoval,
} from '../store/directory/removal';
import { openStore } from '../store/org/open';

/**
 * Of one run: a chunk has six statements at most, and D1 may count each of them among the 1,000 queries of an
 * invocation, which the cron's other work shares. Work after an answer has 30 s.
 */
const MAX_CHUNKS = 100;
const MAX_TIME = 20_000;

/** What a run may still use. */
interface Budget {
  chunks: number;
  readonly end: number;
}

const isUsedUp = (budget: Budget) => budget.chunks <= 0 || Date.now() >= budget.end;

/**
 * Removes chunk by chunk what waits longest. What is left, the next run goes on with.
 *
 * @throws AggregateError of what failed, after all the rest was done.
 */
export async function removeWaiting(databases: Databases, chunks = MAX_CHUNKS): Promise<void> {
  const failed: unknown[] = [];
  // Each database has its share: one with much to remove leaves the others theirs.
  const share = 1 / bindingsOf(databases).length;
  const work = async (db: D1Database) => {
    const budget = { chunks: Math.ceil(chunks * share), end: Date.now() + MAX_TIME * share };
    failed.push(...(await removeWaitingIn(databases, db, budget)));
  };
  await eachDatabase(databases, work).catch((error: unknown) => failed.push(error));
  if (failed.length > 0) throw new AggregateError(failed, 'removals were left behind');
}

/** @returns what failed. */
async function removeWaitingIn(databases: Databases, db: D1Database, budget: Budget): Promise<unknown[]> {
  const failed: unknown[] = [];
  const seen = new Set<string>();
  while (!isUsedUp(budget)) {
    const removal = await takeRemoval(db);
    if (removal === undefined) break;
    const key = JSON.stringify([removal.orgId, removal.kind, removal.target]);
    if (seen.has(key)) break;
    seen.add(key);
    try {
      await remove(databases, db, removal, budget);
    } catch (error) {
      // The org was deleted meanwhile, which removes this too; or another run does the same at this moment.
      const isGone = error instanceof ScimError && error.status === 404;
      const isOvertaken = error instanceof Unmet && error.expectation === 'removal';
      if (!isGone && !isOvertaken) failed.push(error);
    }
  }
  return failed;
}

async function remove(databases: Databases, db: D1Database, removal: Removal, budget: Budget): Promise<void> {
  if (removal.kind === 'org') return removeOrg(db, removal.orgId, budget);
  const actor = { name: 'service', requestId: crypto.randomUUID() };
  let left: Removal | undefined = removal;
  while (left !== undefined && !isUsedUp(budget)) {
    budget.chunks--;
    const store = openStore(databases, { kind: 'id', id: left.orgId }, Date.now());
    left = left.kind === 'schema' ? await clearSchema(store, left, actor) : await removeGroupRows(store, left);
  }
}

async function removeOrg(db: D1Database, orgId: string, budget: Budget): Promise<void> {
  for (const rows of ROWS_OF_ORG) {
    let removed = CHUNK;
    while (removed === CHUNK) {
      if (isUsedUp(budget)) return;
      budget.chunks--;
      removed = await removeRows(db, orgId, rows);
    }
  }
  await finishOrgRemoval(db, orgId);
}
