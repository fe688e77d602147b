/**
 * Moves an org to another database while it is served. Rows are copied in chunks and caught up by the journal; then
 * writes are refused for some seconds, the rest is copied, both sides are compared, and one write of the catalogue says
 * where the org is. Each step can be repeated: killed anywhere, the org's coordinator or the cron goes on.
 */
import type { Actor } from '../events';
import { type Databases, databaseNamed, mainDatabase } from '../store/d1/databases';
import {
  type Copying,
  changedSince,
  copyEvents,
  copyGroup,
  copyPage,
  copySmallTables,
  copyUsers,
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
  leave,
  type Move,
  type MoveState,
  obstaclesOf,
  type Place,
  readLeft,
  removeMove,
  switchCatalogue,
  thaw,
} from '../store/operations/moves';

/** Milliseconds, and chunks, of one run: D1 allows 1,000 queries in an invocation. */
const RUN = 20_000;
const CHUNKS = 150;

/** So few changed users and groups are left for the time in which writes are refused. */
const FEW = 50;

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
  const main = mainDatabase(databases);
  const end = Date.now() + RUN;
  for (let chunk = 0; chunk < CHUNKS && Date.now() < end; chunk++) {
    const move = await findMove(main, orgId);
    if (move === undefined) return false;
    if (move.state === 'done' && (move.switchedAt ?? 0) > doneSince) return false;
    try {
      const work = { move, main, source: bound(databases, move.source), target: bound(databases, move.target) };
      await STEPS[move.state](work, databases);
    } catch (error) {
      await fail(databases, move, error);
      return false;
    }
  }
  return true;
}

function bound(databases: Databases, binding: string): D1Database {
  const found = databaseNamed(databases)(binding);
  if (found === undefined) throw new Waiting(`The database ${binding} is not bound`);
  return found;
}

/** The move waits for the cron. Whoever writes to the org must not wait with it. */
async function fail(databases: Databases, move: Move, error: unknown): Promise<void> {
  const why = error instanceof Waiting ? error.message : 'A database did not answer as expected';
  if (!(error instanceof Waiting)) {
    console.error(
      JSON.stringify({ message: 'a move waits', org: move.orgId, state: move.state, error: String(error) }),
    );
  }
  const isFrozen = move.state === 'finishing';
  if (isFrozen) await thaw(bound(databases, move.source), move.orgId).catch(() => undefined);
  await advanceMove(mainDatabase(databases), move, move.state, move.place, Date.now(), why);
}

const advance = ({ main, move }: Work, next: MoveState, place: Place = move.place) =>
  advanceMove(main, move, next, place, Date.now());

const STEPS: Readonly<Record<MoveState, (work: Work, databases: Databases) => Promise<unknown>>> = {
  clearing: clear,
  copying: copy,
  finishing: finish,
  switching: switchOver,
  done: removeOldCopy,
  cancelling: async (work, databases) => {
    await thaw(work.source, work.move.orgId);
    await clear(work, databases);
  },
};

/** Removes what an earlier copy has left in the target, and in the place of the latest move. */
async function clear(work: Work, databases: Databases): Promise<void> {
  const { move, main, target } = work;
  const { old, removal = 0 } = move.place;
  const isElsewhere = old !== undefined && old !== move.target && old !== move.source;
  const db = isElsewhere ? bound(databases, old) : target;
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

/** @throws Waiting. @returns the number of the org's latest event; undefined: the org was deleted. */
async function obstacles({ source, move }: Work): Promise<number | undefined> {
  const { isThere, isImporting, isRemoving, eventSeq } = await obstaclesOf(source, move.orgId);
  if (!isThere) return undefined;
  if (isImporting) throw new Waiting('The org is being imported');
  if (isRemoving)
    throw new Waiting('Values of a removed schema, or members of a deleted group, are still being removed');
  return eventSeq;
}

async function begin(work: Work): Promise<void> {
  const { move, source, target } = work;
  const seq = await obstacles(work);
  if (seq === undefined) {
    await advance(work, 'cancelling', {});
    return;
  }
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
  if ((await obstacles(work)) === undefined) {
    await advance(work, 'cancelling', {});
    return;
  }
  const { changed, place } = await catchUp(work);
  if (place === undefined) await startAgain(work);
  else await advance(work, changed > FEW ? 'copying' : 'finishing', place);
}

/** Copies what has changed since. @returns how much that was; `place` undefined: more than can be caught up with. */
async function catchUp(work: Work): Promise<{ readonly changed: number; readonly place: Place | undefined }> {
  const copying = copyingOf(work);
  const { users, groups, through, hasMore, isTooMuch } = await changedSince(copying, work.move.place.seq ?? 0);
  if (isTooMuch) return { changed: 0, place: undefined };
  await copyUsers(copying, users);
  for (const id of groups) await copyGroup(copying, id);
  await copyEvents(copying);
  const changed = hasMore ? Number.POSITIVE_INFINITY : users.length + groups.length;
  return { changed, place: { ...work.move.place, seq: through } };
}

/** All of it: nobody writes any more. @returns whether it could be. */
async function catchUpWith(work: Work): Promise<boolean> {
  for (let place: Place | undefined = work.move.place; ; ) {
    const caught: Awaited<ReturnType<typeof catchUp>> = await catchUp({ ...work, move: { ...work.move, place } });
    if (caught.place === undefined) return false;
    if (caught.changed === 0) return true;
    place = caught.place;
  }
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
  await freeze(source, move.orgId, Date.now());
  const seq = await obstacles(work);
  if (seq === undefined) {
    await advance(work, 'cancelling', {});
    return;
  }
  if (move.isReturn) {
    if (seq !== move.switchedSeq) {
      await thaw(source, move.orgId);
      await abandonReturn(work.main, move, 'The org has been written to since it was moved: it stays where it is');
      return;
    }
    await copyEvents(copying);
  } else {
    const isCaught = await catchUpWith(work);
    if (!isCaught) {
      await thaw(source, move.orgId);
      await startAgain(work);
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
async function switchOver(work: Work): Promise<void> {
  const { move, main, source, target } = work;
  const actor: Actor = { name: 'service', requestId: crypto.randomUUID() };
  const now = Date.now();
  if ((await obstaclesOf(source, move.orgId)).isThere) await leave(source, move.orgId, now);
  const left = await readLeft(source, move.orgId);
  const there = await obstaclesOf(target, move.orgId);
  let seq = there.eventSeq;
  if (!there.isThere) {
    // The cron may have written an event in the last moment.
    await copyEvents(copyingOf(work));
    const details = { from: move.source, to: move.target, by: move.by };
    seq = await arrive(target, left, actor, details);
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
