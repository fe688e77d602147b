/** Work that must follow a commit: publishing the state of a user or an org as a revocation flag (promise 2). */

import { type SQL, sql } from 'drizzle-orm';
import { runBatch } from '../d1/batch';
import { confirmAbsence, type Database } from '../d1/database';
import type { Row } from '../d1/rows';
import { orAbsent } from '../d1/rows';
import type { OrgStore } from '../org/open';

/** Stands for the org itself where a user's id is expected. */
export const WHOLE_ORG = '';

/** Rides in the batch of the change. @param whose a query for the `id`s of users, or for WHOLE_ORG. */
export function publishLater(store: OrgStore, whose: SQL): SQL {
  return sql`INSERT INTO outbox (org_id, user_id, requested_at) SELECT ${store.org}, id, ${store.now} FROM (${whose})`;
}

/** A state of a user or an org as one batch of D1 has found it, which is what a flag must say. */
export interface Publication {
  /** A user of the org, or WHOLE_ORG. */
  readonly userId: string;
  readonly isActive: boolean;
  /**
   * Its `validAfter`, under the first name: Workers tell it to coordinators, and in a deployment one of them may be older.
   */
  readonly notBefore: number | undefined;
  /** A user of an org that is gone: its own flag refuses everybody. */
  readonly isGone: boolean;
  /**
   * The number of the subject's latest outbox row: publishing this state settles the rows up to it. Each change of a state adds a
   * row, and numbers only grow, so of two states of a subject the one with the higher number is the newer one. 0: no row waits.
   */
  readonly through: number;
}

/** `publishLater` of one user, for `committedState`. It must follow all changes of the user in the batch. */
export function publishCommitted(store: OrgStore, userId: string): SQL {
  const state = (column: string) =>
    sql`(SELECT ${sql.raw(column)} FROM users WHERE users.org_id = outbox.org_id AND users.id = outbox.user_id) AS ${sql.raw(column)}`;
  return sql`INSERT INTO outbox (org_id, user_id, requested_at) VALUES (${store.org}, ${userId}, ${store.now})
    RETURNING seq AS through, user_id AS id, ${state('active')}, ${state('deleted_at')}, ${state('not_before')}`;
}

/** The state of a user whose sessions the batch may have ended, for `committedState`. It must follow all changes of the batch. */
export const selectCommitted = (store: OrgStore, userId: string): SQL =>
  sql`SELECT max(outbox.seq) AS through, users.id, users.active, users.deleted_at, users.not_before
    FROM outbox JOIN users ON users.org_id = outbox.org_id AND users.id = outbox.user_id
    WHERE outbox.org_id = ${store.org} AND outbox.user_id = ${userId}`;

/** @param rows of `publishCommitted` or `selectCommitted`. */
export function committedState(rows: readonly Row[] | undefined): Publication {
  const row = rows![0] as unknown as Committed;
  return publicationOf(row.id, row, row.through);
}

/** Of several users the states that the batch has changed, for `committedStates`. */
export const selectAllCommitted = (store: OrgStore, userIds: readonly string[]): SQL =>
  sql`SELECT max(outbox.seq) AS through, users.id, users.active, users.deleted_at, users.erased_at, users.not_before
    FROM json_each(${JSON.stringify(userIds)}) AS named
    CROSS JOIN users ON users.org_id = ${store.org} AND users.id = named.value
    CROSS JOIN outbox ON outbox.org_id = ${store.org} AND outbox.user_id = users.id GROUP BY users.id`;

/** @param rows what `selectAllCommitted` has found. */
export const committedStates = (rows: readonly Row[] | undefined): Publication[] =>
  (rows as unknown as readonly Committed[]).map((row) => publicationOf(row.id, row, row.through));

/** Of a user or of the org, as a batch has found it. */
interface State {
  readonly active: number;
  readonly deleted_at: number | null;
  readonly not_before: number | null;
}

interface Committed extends State {
  readonly id: string;
  readonly through: number;
}

const publicationOf = (userId: string, row: State, through: number): Publication => ({
  userId,
  isActive: row.active === 1 && row.deleted_at === null,
  notBefore: orAbsent(row.not_before),
  isGone: false,
  through,
});

/** Of two publications of one subject, the one that includes the other. One that is but an id is read later, and includes both. */
export function newest(a: string | Publication | undefined, b: string | Publication): string | Publication {
  if (a === undefined || typeof b === 'string') return b;
  return typeof a === 'string' || a.through > b.through ? a : b;
}

/** The state of one subject of the org. One round trip. Who is not there any more is inactive since it was asked for. */
export async function readPublication(db: Database, orgId: string, userId: string): Promise<Publication> {
  const state =
    userId === WHOLE_ORG
      ? sql<State>`SELECT disabled_at IS NULL AS active, NULL AS deleted_at, not_before FROM orgs WHERE id = ${orgId}`
      : sql<State>`SELECT active, deleted_at, not_before FROM users WHERE org_id = ${orgId} AND id = ${userId}`;
  const [pending, found] = await runBatch(db, [
    sql<{
      through: number | null;
      requested_at: number | null;
    }>`SELECT max(seq) AS through, max(requested_at) AS requested_at FROM outbox
      WHERE org_id = ${orgId} AND user_id = ${userId}`,
    state,
  ]);
  const through = pending[0]?.through ?? 0;
  const row = found[0];
  if (row === undefined) {
    if (pending[0]?.through == null) await confirmAbsence(db); // a user of an org elsewhere is not gone
    const requestedAt = pending[0]?.requested_at ?? undefined;
    return { userId, isActive: false, notBefore: requestedAt, isGone: userId !== WHOLE_ORG, through };
  }
  return publicationOf(userId, row, through);
}

/**
 * These publications have reached KV: their rows go. A change that came meanwhile has a later row, and stays. One round trip.
 *
 * @param published a few thousand subjects at most, each with the number of the latest row that its flag includes.
 */
export async function settle(db: Database, orgId: string, published: ReadonlyMap<string, number>): Promise<void> {
  await runBatch(db, [
    sql`DELETE FROM outbox WHERE seq IN (SELECT outbox.seq FROM json_each(${JSON.stringify([...published])}) AS one
      CROSS JOIN outbox ON outbox.org_id = ${orgId} AND outbox.user_id = one.value ->> 0 AND outbox.seq <= one.value ->> 1)`,
    ...(published.has(WHOLE_ORG)
      ? [
          sql`UPDATE orgs SET flag_published_at = CAST(unixepoch('subsec') * 1000 AS INTEGER) WHERE id = ${orgId} AND flag_published_at IS NULL`,
        ]
      : []),
  ]);
}

const IS_UNFLAGGED = sql.raw('flag_published_at IS NULL');

/**
 * Asks for the flags of orgs that have none: after an upgrade, all that there are. A run goes no further than the first ones,
 * so that it reads no more than that and the outbox stays short; those that are published make room for the next ones.
 */
export async function askForOrgFlags(db: Database, now: number, limit: number): Promise<void> {
  await runBatch(db, [
    sql`INSERT INTO outbox (org_id, user_id, requested_at) SELECT id, ${WHOLE_ORG}, ${now}
      FROM (SELECT id FROM orgs WHERE ${IS_UNFLAGGED} ORDER BY id LIMIT ${limit}) AS it
      WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.org_id = it.id AND outbox.user_id = ${WHOLE_ORG})`,
  ]);
}

/** How many orgs have no flag in KV yet; counts no further than `most`. */
export async function countUnflagged(db: Database, most: number): Promise<number> {
  const [rows] = await runBatch(db, [
    sql<{ n: number }>`SELECT count(*) AS n FROM (SELECT 1 FROM orgs WHERE ${IS_UNFLAGGED} LIMIT ${most})`,
  ]);
  return rows[0]!.n;
}

/**
 * Users of one org (or WHOLE_ORG, which comes first) whose state waits to be published, by id. Reads the index no further
 * than the last of them, however many wait.
 *
 * @param after the last one of the chunk before.
 */
export async function pendingPublications(
  db: Database,
  orgId: string,
  after: string | undefined,
  limit: number,
): Promise<string[]> {
  const beyond = after === undefined ? sql`` : sql`AND user_id > ${after}`;
  const [rows] = await runBatch(db, [
    sql<{
      user_id: string;
    }>`SELECT DISTINCT user_id FROM outbox WHERE org_id = ${orgId} ${beyond} ORDER BY user_id LIMIT ${limit}`,
  ]);
  return rows.map((row) => row.user_id);
}

/** What is committed and has not reached KV yet. */
export interface Pending {
  /** A user of the org, or WHOLE_ORG. */
  readonly userId: string;
  /** Epoch milliseconds: of the oldest change that waits. */
  readonly since: number;
  /** How many changes the one publication will settle. */
  readonly changes: number;
}

/** The longest wait first, at most so many, and how many there are in all. */
export async function listPending(
  store: OrgStore,
  limit: number,
): Promise<{ readonly total: number; readonly pending: Pending[] }> {
  const [totals, rows] = await store.read(
    sql<{ total: number }>`SELECT count(DISTINCT user_id) AS total FROM outbox WHERE org_id = ${store.org}`,
    sql<{
      user_id: string;
      since: number;
      changes: number;
    }>`SELECT user_id, min(requested_at) AS since, count(*) AS changes FROM outbox WHERE org_id = ${store.org}
      GROUP BY user_id ORDER BY min(seq) LIMIT ${limit}`,
  );
  return {
    total: totals[0]!.total,
    pending: rows.map(({ user_id: userId, since, changes }) => ({ userId, since, changes })),
  };
}

/** Orgs with something to publish, the longest wait first. */
export async function orgsWithPending(db: Database, limit: number): Promise<string[]> {
  const [rows] = await runBatch(db, [
    sql<{ org_id: string }>`SELECT org_id FROM outbox GROUP BY org_id ORDER BY min(seq) LIMIT ${limit}`,
  ]);
  return rows.map((row) => row.org_id);
}
