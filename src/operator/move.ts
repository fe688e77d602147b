/**
 * Moves an org to another database while it is served. Rows are copied in chunks and caught up by the journal; then
 * writes are refused for some seconds, the rest is copied, both sides are compared, and one write of the catalogue says
 * where the org is. Each step can be repeated: killed anywhere, the org's coordinator or the cron goes on.
 */
import type { Actor } from '../events';
import { type Databases, databaseNamed, mainDatabase } from '../store/d1/databases';
import { QueryBudget } from '../store/d1/query-budget';
import { repairCopyIn } from '../store/operations/copies';
import {
  type Copying,
  copyEvents,
  copyPage,
  copySmallTables,
  PARTS,
  removeChunk,
  reserve,
  summaryOf,
} from '../store/operations/move-rows';
import {
  abandonReturn,
  advanceMove,
  arrive,
  cleanUpAfterLeaving,
  copyOutbox,
  findMove,
  forgetMovedOrg,
  freeze,
  holdRetention,
  leave,
  type Move,
  type MoveState,
  obstaclesOf,
  ownerOf,
  type Place,
  readLeft,
  release,
  removeMove,
  switchCatalogue,
  thaw,
} from '../store/operations/moves';
import { catchUp } from './move-changes';

/** Milliseconds of one run. */
const RUN = 20_000;

/** Of the queries that D1 allows in an invocation, those of the largest step: what comes last while writes are refused. */
const LARGEST_STEP = 400;

/** Milliseconds. All that has changed is copied in so little time: writes are refused, and the rest is copied. */
const QUICK = 2_000;
/** After so many rounds that took longer, a longer one will do. */
const PATIENT_ROUNDS = 10;
const LONG = 10_000;
/** After so many, the operator is told. */
const MANY_ROUNDS = 30;
/** Milliseconds for which writes are refused at most. A run that was cut off gives way, and tries again. */
const FROZEN = 30_000;

/** After so many copies that did not match their original, an operator has to look. */
const MAX_ATTEMPTS = 5;

/** What an operator is told when a move waits. */
class Waiting extends Error {}

/** A move with its databases. */
interface Work {
  readonly move: Move;
  readonly main: D1Database;
  readonly source: D1Database;
  readonly target: D1Database;
}

const copyingOf = ({ move, source, target }: Work): Copying => ({
  ...{ source, target, orgId: move.orgId },
  offset: move.place.offset ?? 0,
});

/**
 * Goes on with the move of an org, as far as one run goes.
 *
 * @param doneSince moves that were done before this instant lose their old copy.
 * @returns whether there is more to do at once.
 */
export async function workOnMove(databases: Databases, orgId: string, doneSince: number): Promise<boolean> {
  const budget = new QueryBudget('statements');
  const failed: Failed = { binding: undefined };
  const main = watched(mainDatabase(databases), 'DB', budget, failed);
  const own = new Map<string, D1Database>();
  const bind = async (binding: string) => {
    const found =
      own.get(binding) ?? (await ownDatabase(watched(bound(databases, binding), binding, budget, failed), binding));
    own.set(binding, found);
    return found;
  };
  const end = Date.now() + RUN;
  let move: Move | undefined;
  while (budget.hasRoomFor(LARGEST_STEP) && Date.now() < end) {
    try {
      move = await findMove(main, orgId);
      if (move === undefined) return false;
      if (move.state === 'done' && (move.switchedAt ?? 0) > doneSince) return false;
      const work = { move, main, source: await bind(move.source), target: await bind(move.target) };
      await STEPS[move.state](work, bind, databases);
    } catch (error) {
      if (move) await fail(databases, move, error, failed);
      else throw error;
      return false;
    }
  }
  return true;
}

/** The database whose batch failed last. */
interface Failed {
  binding: string | undefined;
}

/** The same database. Its statements are counted, and that a batch fails is noted. */
function watched(db: D1Database, binding: string, budget: QueryBudget, failed: Failed): D1Database {
  const batch = async (statements: D1PreparedStatement[]) => {
    budget.spend(statements.length);
    try {
      return await db.batch(statements);
    } catch (error) {
      failed.binding = binding;
      throw error;
    }
  };
  return { prepare: (text: string) => db.prepare(text), batch } as D1Database;
}

/** A move removes rows: never those of a database that is bound under another name than before. @throws Waiting. */
async function ownDatabase(db: D1Database, binding: string): Promise<D1Database> {
  const owner = await ownerOf(db);
  if (owner === binding || (owner === undefined && binding === 'DB')) return db;
  throw new Waiting(
    `What is bound as ${binding} is ${owner ? `the database ${owner}` : 'a new database'}: bind it as it was`,
  );
}

function bound(databases: Databases, binding: string): D1Database {
  const found = databaseNamed(databases)(binding);
  if (found === undefined) throw new Waiting(`The database ${binding} is missing: bind it again`);
  return found;
}

/** The move waits for the cron. Writes to the org do not wait with it. */
async function fail(databases: Databases, move: Move, error: unknown, { binding }: Failed): Promise<void> {
  const database = binding === undefined ? 'A database' : `The database ${binding}`;
  const why = error instanceof Waiting ? error.message : `${database} did not answer as expected`;
  if (!(error instanceof Waiting)) {
    console.error(
      JSON.stringify({ message: 'a move waits', org: move.orgId, state: move.state, error: String(error) }),
    );
  }
  const state = await stateAfter(databases, move).catch(() => move.state);
  const isNowhere =
    state === 'switching' ? `. The org is on its way to ${move.target}, and gets 503 until it is there` : '';
  await advanceMove(mainDatabase(databases), move, state, move.place, Date.now(), `${why}${isNowhere}`);
}

/** Before the org has left, writes to it are allowed again. @returns where the move goes on. */
async function stateAfter(databases: Databases, { orgId, source, state }: Move): Promise<MoveState> {
  if (state !== 'finishing' && state !== 'switching') return state;
  const db = bound(databases, source);
  if (state === 'switching' && !(await obstaclesOf(db, orgId)).isThere) return state;
  await thaw(db, orgId);
  return 'finishing';
}

const advance = ({ main, move }: Work, next: MoveState, place: Place = move.place, error?: string) =>
  advanceMove(main, move, next, place, Date.now(), error);

type Bind = (binding: string) => Promise<D1Database>;
type Step = (work: Work, bind: Bind, databases: Databases) => Promise<unknown>;

const STEPS: Readonly<Record<MoveState, Step>> = {
  clearing: clear,
  copying: copy,
  finishing: finish,
  switching: switchOver,
  done: removeOldCopy,
  cancelling: async (work, bind) => {
    await release(work.source, work.move.orgId);
    await clear(work, bind);
  },
};

/** Removes what an earlier copy has left in the target, and in the place of the latest move. */
async function clear(work: Work, bind: Bind): Promise<void> {
  const { move, main, target } = work;
  const { old, removal = 0 } = move.place;
  const isElsewhere = old !== undefined && old !== move.target && old !== move.source;
  const db = isElsewhere ? await bind(old).catch(unlessWaiting) : target;
  if (db === undefined) {
    // The move needs nothing from there. The cron finds the old copy when the database is bound again.
    await advance(work, move.state, { attempts: move.place.attempts ?? 0 });
    return;
  }
  const next = await removeChunk(db, move.orgId, removal);
  if (next !== undefined) {
    await advance(work, move.state, { ...move.place, removal: next });
    return;
  }
  await forgetMovedOrg(db, move.orgId);
  if (isElsewhere) await advance(work, move.state, { attempts: move.place.attempts ?? 0 });
  else if (move.state === 'cancelling') await removeMove(main, move.orgId, 'cancelling');
  else await begin(work);
}

function unlessWaiting(error: unknown): undefined {
  if (!(error instanceof Waiting)) throw error;
}

/**
 * @returns the number of the org's latest event; undefined: the org was deleted, or has left already, and the move goes on
 *   with that.
 * @throws Waiting.
 */
async function obstacles(work: Work): Promise<number | undefined> {
  const { source, move } = work;
  const { isThere, hasLeft, isImporting, isRemoving, eventSeq } = await obstaclesOf(source, move.orgId);
  if (!isThere) {
    await advance(work, hasLeft ? 'switching' : 'cancelling', hasLeft ? move.place : {});
    return undefined;
  }
  if (isImporting) throw new Waiting('The org is being imported');
  if (isRemoving)
    throw new Waiting('Values of a removed schema, or members of a deleted group, are still being removed');
  return eventSeq;
}

async function begin(work: Work): Promise<void> {
  const { move, source, target } = work;
  await holdRetention(source, move.orgId);
  const seq = await obstacles(work);
  if (seq === undefined) return;
  const offset = await reserve(source, target, move.orgId);
  await advance(work, 'copying', { offset, part: 0, seq, attempts: move.place.attempts ?? 0 });
}

async function copy(work: Work): Promise<void> {
  const { part = 0, key, ...rest } = work.move.place;
  if (part < PARTS.length) {
    const next = await copyPage(copyingOf(work), part, key);
    await advance(work, 'copying', next ? { ...rest, part, key: next } : { ...rest, part: part + 1 });
    return;
  }
  if ((await obstacles(work)) === undefined) return;
  const found = await catchUp(copyingOf(work), work.move.place);
  if (found.kind === 'too_much') {
    await startAgain(work);
    return;
  }
  if (found.kind !== 'round') {
    await advance(work, found.kind === 'caught_up' ? 'finishing' : 'copying', found.place, work.move.error);
    return;
  }
  const rounds = (found.place.rounds ?? 0) + 1;
  const isNear = found.took <= QUICK || (rounds >= PATIENT_ROUNDS && found.took <= LONG);
  const slow =
    rounds >= MANY_ROUNDS ? 'The org changes as fast as it is copied. Move it when less is changed' : undefined;
  await advance(work, isNear ? 'finishing' : 'copying', { ...found.place, rounds }, isNear ? undefined : slow);
}

async function startAgain(work: Work): Promise<void> {
  const attempts = (work.move.place.attempts ?? 0) + 1;
  if (attempts >= MAX_ATTEMPTS) throw new Waiting('The copy does not match its original. Cancel the move');
  await advance(work, 'clearing', { attempts });
}

/** While writes are refused. */
async function finish(work: Work): Promise<void> {
  const { move, source, target } = work;
  const copying = copyingOf(work);
  const frozenAt = await freeze(source, move.orgId, Date.now());
  const seq = await obstacles(work);
  if (seq === undefined) return;
  if (move.isReturn) {
    if (seq !== move.switchedSeq) {
      await thaw(source, move.orgId);
      await abandonReturn(work.main, move, 'The org has been written to since it was moved: it stays where it is');
      return;
    }
    await copyEvents(copying);
  } else {
    if (Date.now() - frozenAt > FROZEN) {
      await thaw(source, move.orgId);
      await advance(work, 'copying');
      return;
    }
    const found = await catchUp(copying, move.place);
    if (found.kind === 'too_much') {
      await thaw(source, move.orgId);
      await startAgain(work);
      return;
    }
    if (found.kind !== 'caught_up') {
      await advance(work, 'finishing', found.place);
      return;
    }
  }
  await copySmallTables(copying);
  await copyOutbox(source, target, move.orgId);
  const [here, there] = await Promise.all([summaryOf(source, move.orgId), summaryOf(target, move.orgId)]);
  if (here === there) {
    await advance(work, 'switching');
    return;
  }
  await thaw(source, move.orgId);
  await startAgain(work);
}

/** The org is in neither database for some round trips; requests wait (homes.ts). */
async function switchOver(work: Work, _bind: unknown, databases: Databases): Promise<void> {
  const { move, main, source, target } = work;
  const actor: Actor = { name: 'service', requestId: crypto.randomUUID() };
  const now = Date.now();
  // Asked first: while the target does not answer, the org stays where it is.
  const there = await obstaclesOf(target, move.orgId);
  if ((await obstaclesOf(source, move.orgId)).isThere) {
    // A webhook or stream that the target lacked would begin there anew.
    await repairCopyIn(databases, move.target);
    await leave(source, move.orgId, now);
  }
  const left = await readLeft(source, move.orgId);
  let seq = there.eventSeq;
  if (!there.isThere) {
    // The cron may have written an event in the last moment.
    await copyEvents(copyingOf(work));
    const details = { from: move.source, to: move.target, by: move.by };
    seq = await arrive(target, left, actor, details, move.isReturn);
  }
  await cleanUpAfterLeaving(source, move.orgId);
  await switchCatalogue(main, move, left.org['slug'] as string, seq, now);
}

async function removeOldCopy(work: Work): Promise<void> {
  const { move, main, source } = work;
  const next = await removeChunk(source, move.orgId, move.place.removal ?? 0);
  if (next !== undefined) {
    await advance(work, 'done', { removal: next });
    return;
  }
  await forgetMovedOrg(source, move.orgId);
  await removeMove(main, move.orgId, 'done');
}
