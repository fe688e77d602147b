/** The work on what was deleted at once: right after the answer, and by the cron until nothing is left. */
import { ScimError } from '../scim/error';
import { Unmet } from '../store/d1/batch';
import { allDatabases, type Databases } from '../store/d1/databases';
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
/** Of one database: enough to look into each table of an org, and some more. */
const LEAST_CHUNKS = ROWS_OF_ORG.length + 10;

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
  const all = allDatabases(databases);
  const end = Date.now() + MAX_TIME;
  // One with much to remove leaves something to the others, and each minute another one begins.
  const most = all.length === 1 ? chunks : Math.max(Math.ceil(chunks / all.length), LEAST_CHUNKS);
  const first = Math.floor(Date.now() / 60_000) % all.length;
  let left = chunks;
  for (const db of [...all.slice(first), ...all.slice(0, first)]) {
    const share = Math.min(left, most);
    const budget = { chunks: share, end };
    try {
      failed.push(...(await removeWaitingIn(databases, db, budget)));
    } catch (error) {
      failed.push(error);
    }
    left -= share - budget.chunks;
  }
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
