/** What an operator asks of moves: what one would take, begin it, how far it is, and take it back (operator/move.ts does the work). */

import type { Env } from '../env';
import { settings } from '../env';
import type { Actor } from '../events';
import { conflict, invalidValue, ScimError } from '../scim/error';
import { bindingsOf, databaseNamed, isSpread, mainDatabase } from '../store/d1/databases';
import { Moving } from '../store/d1/homes';
import { noteMove } from '../store/operations/move-events';
import {
  beginCancelling,
  beginReturn,
  findHome,
  findMove,
  findMoveOf,
  homeOf,
  insertMove,
  type Move,
  OLD_COPY,
  obstaclesOf,
  type Size,
  sizeOfOrg,
  thaw,
} from '../store/operations/moves';
import { adopt, openShard, Unplaceable } from '../store/operations/shards';
import type { OrgStore } from '../store/org/open';
import type { Tenant } from '../store/org/tenant';
import { mayBeIn, regionOfDatabase } from './residency';

/** What a move would take. */
export interface Plan extends Size {
  readonly org: string;
  readonly from: string;
  readonly to: string;
  /** Seconds, about, in which identity providers get 503 and `Retry-After` for writes. */
  readonly writesRefusedFor: number;
}

/** Rows that are copied in a second while writes are refused; a careful guess, for it depends on where the databases are. */
const ROWS_PER_SECOND = 2_000;

/** @throws ScimError 400: the org cannot go there. 409: it cannot be moved now. */
export async function planMove(env: Env, tenant: Tenant, to: string, now: number): Promise<Plan> {
  if (!isSpread(env)) throw invalidValue('to: the only database is DB. Bind another one first');
  const from = await homeOf(mainDatabase(env), tenant.id);
  if (from === to) throw invalidValue(`to: the org is in ${to} already`);
  if (tenant.isImporting) throw conflict('The org is being imported. Move it when the import is finished');
  try {
    await openShard(env, to, now);
  } catch (error) {
    throw error instanceof Unplaceable ? invalidValue(`to: ${error.message}`) : error;
  }
  const { residency = settings(env).region?.label } = tenant.settings;
  if (!mayBeIn(env, to, residency)) {
    const there = regionOfDatabase(env, to) ?? 'no region that DATABASE_RESIDENCY names';
    throw conflict(`The org's residency is ${residency}, and ${to} is in ${there}`);
  }
  const source = databaseNamed(env)(from);
  if (source === undefined) throw conflict(`The database ${from}, which holds the org, is not bound`);
  const size = await sizeOfOrg(source, tenant.id);
  return {
    ...{ org: tenant.slug, from, to },
    ...size,
    writesRefusedFor: 2 + Math.ceil(size.otherRows / ROWS_PER_SECOND),
  };
}

/** @throws ScimError 409: a move is under way. */
export async function startMove(env: Env, store: OrgStore, plan: Plan, actor: Actor, by: string): Promise<Move> {
  const main = mainDatabase(env);
  const orgId = store.tenant.id;
  await adopt(env, plan.to, store.now);
  const begun = await insertMove(main, { orgId, slug: plan.org, source: plan.from, target: plan.to, by }, store.now);
  if (!begun) throw conflict('The org is being moved already: org move --status');
  await noteMove(store, actor, 'org.move_started', { from: plan.from, to: plan.to, by });
  return (await findMove(main, orgId))!;
}

const iso = (at: number | undefined) => (at === undefined ? null : new Date(at).toISOString());

/** For operators. */
export const describeMove = (move: Move) => ({
  org: move.slug,
  from: move.source,
  to: move.target,
  state: move.isReturn && move.state !== 'done' ? 'returning' : move.state,
  by: move.by,
  startedAt: iso(move.startedAt),
  switchedAt: iso(move.switchedAt),
  /** Until then the old copy stays, and the move can be cancelled if nothing is written. */
  oldCopyUntil: iso(move.switchedAt === undefined ? undefined : move.switchedAt + OLD_COPY),
  waitsFor: move.error ?? null,
});

/** Where the org is, and its latest move. */
export async function statusOf(env: Env, tenant: Tenant) {
  const main = mainDatabase(env);
  const move = isSpread(env) ? await findMove(main, tenant.id) : undefined;
  const shard = isSpread(env) ? await homeOf(main, tenant.id) : bindingsOf(env)[0]!;
  return { org: tenant.slug, shard, move: move ? describeMove(move) : null };
}

/**
 * The same of an org that cannot be asked now: its database is missing, or it is on its way between two.
 *
 * @param name its id or slug. @returns undefined: the catalogue has no such org.
 */
export async function statusOfMoving(env: Env, name: string) {
  const main = mainDatabase(env);
  const move = await findMoveOf(main, name);
  if (move === undefined || move.state === 'done') {
    const home = await findHome(main, name);
    // A move that is done may be of an earlier org with this slug.
    const latest = home && move?.orgId === home.orgId ? describeMove(move) : null;
    return home && { org: home.slug, shard: home.binding, move: latest };
  }
  return { org: move.slug, shard: await homeOf(main, move.orgId), move: describeMove(move) };
}

/**
 * Before the switch the copy is removed. After it the org is taken back, as long as nothing was written to it.
 *
 * @throws ScimError 404: there is no move. 409: it cannot be cancelled any more.
 */
export async function cancelMove(env: Env, store: OrgStore, actor: Actor, by: string): Promise<Move> {
  const main = mainDatabase(env);
  const orgId = store.tenant.id;
  const move = isSpread(env) ? await findMove(main, orgId) : undefined;
  if (move === undefined) throw new ScimError(404, undefined, `The org ${store.tenant.slug} is not being moved`);
  if (move.state === 'switching') throw conflict('The move is being finished in this moment: try again');
  if (move.state === 'cancelling') return move;
  if (move.state !== 'done') {
    if (move.isReturn) throw conflict('The org is being taken back already: org move --status');
    if (!(await beginCancelling(main, orgId, store.now))) {
      throw conflict('The move has gone on meanwhile: look at org move --status');
    }
    const note = () => noteMove(store, actor, 'org.move_cancelled', { from: move.source, to: move.target, by });
    try {
      await note();
    } catch (error) {
      if (!(error instanceof Moving)) throw error;
      // The org was frozen for the last part of the move, which does not come any more.
      await thaw(databaseNamed(env)(move.source)!, orgId);
      await note();
    }
  } else {
    const home = databaseNamed(env)(move.target);
    const back = `org move ${store.tenant.slug} --to ${move.source}`;
    const { eventSeq } = home ? await obstaclesOf(home, orgId) : { eventSeq: -1 };
    if (move.isReturn) throw conflict('The org was taken back already. Move it again instead');
    if (eventSeq !== move.switchedSeq) {
      throw conflict(`The org has been written to since it was moved. Move it back instead: ${back}`);
    }
    if (!(await beginReturn(main, move, by, store.now)))
      throw conflict(`The old copy is being removed. Move the org back instead: ${back}`);
  }
  return (await findMove(main, orgId)) ?? move;
}
