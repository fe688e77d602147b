/**
 * The deactivation limit: how many the identity provider may take out in a window, as statements of the batch that takes somebody out;
 * and whom it has held, for the operator to decide.
 *
 * The window is counted in 60ths, so that a question costs the same however many are allowed. Its oldest 60th counts
 * whole: never too many are let through.
 */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor } from '../../events';
import { foldCase } from '../../scim/fold';
import { expectNone } from '../d1/expect';
import type { Row } from '../d1/rows';
import { orAbsent, rowOf } from '../d1/rows';
import { brakeHeld } from '../d1/tables';
import { count, record, recordEach } from '../journal/record';
import type { OrgStore } from '../org/open';
import { IS_UNLINKED } from './linking';
import { milliseconds } from './policy';

const SLOTS = 60;
const DEFAULT_WINDOW = '1h';
export type Operation = 'deactivate' | 'delete';

// All are expressions on a row of `orgs`.
const MOST = sql.raw(`orgs.settings ->> '$."brake.deactivations"'`);
const SHARE = sql.raw(`orgs.settings ->> '$."brake.percentage"'`);
const IS_SET = sql`(${MOST} IS NOT NULL OR ${SHARE} IS NOT NULL)`;
const WINDOW = milliseconds('brake.window', DEFAULT_WINDOW);
const SLOT = sql`(${WINDOW} / ${sql.raw(String(SLOTS))})`;

const isRecent = ({ now }: OrgStore) => sql`brake_counts.at > ${now} - ${WINDOW} - ${SLOT}`;

const used = (store: OrgStore) =>
  sql`ifnull((SELECT sum(count) FROM brake_counts WHERE org_id = orgs.id AND ${isRecent(store)}), 0)`;

/** Whichever limit is smaller; the share is of who was active when the window began, and one at least may always go. */
const limit = (store: OrgStore) =>
  sql`min(ifnull(${MOST}, 1000000000),
    ifnull(max(1, CAST((active_user_count + ${used(store)}) * ${SHARE} AS INTEGER) / 100), 1000000000))`;

const itsHeld = (store: OrgStore, id: string) => sql`brake_held WHERE org_id = ${store.org} AND user_id = ${id}`;

const isLimitSet = ({ profile: { settings } }: OrgStore): boolean =>
  settings['brake.deactivations'] !== undefined || settings['brake.percentage'] !== undefined;

/** What the identity provider asks for. */
export interface Leaving {
  /** A further condition on the live user: without one that meets it, the batch is refused by this name. */
  readonly only?: SQL;
  readonly otherwise: 'found' | 'version' | SQL;
  /** False: the operator does it. */
  readonly isLimited: boolean;
  /** Read before: false, if the user is held by now, it was overtaken (`version`). Absent: it was not read. */
  readonly wasHeld?: boolean;
}

/**
 * Somebody live is about to be deactivated or deleted by the identity provider, or by the operator for it: it may be. One
 * statement, which names what is in the way: `linking`, `protected`, `rejected` or `brake`. To come before the change.
 */
function expectMayLeave(store: OrgStore, id: string, { only = sql``, otherwise, isLimited, wasHeld }: Leaving): SQL {
  const isClosed = store.profile.settings.linking === 'off' ? sql`WHEN ${IS_UNLINKED} THEN 'linking' ` : sql``;
  const isRejected = sql` WHEN EXISTS (SELECT 1 FROM ${itsHeld(store, id)} AND rejected_until > ${store.now}) THEN 'rejected'`;
  const isOver = sql` WHEN active = 1 AND (SELECT ${used(store)} >= ${limit(store)} FROM orgs WHERE id = ${store.org}) THEN 'brake'`;
  const isHeldNow = sql` WHEN EXISTS (SELECT 1 FROM ${itsHeld(store, id)}) THEN 'version'`;
  const limits = isLimited
    ? sql`${wasHeld === false ? sql`` : isRejected}${isLimitSet(store) ? isOver : sql``}`
    : sql``;
  return expectNone(sql`nullif(ifnull((
    SELECT CASE ${isClosed}WHEN protected = 1 THEN 'protected'${wasHeld === false ? isHeldNow : sql``}${limits} ELSE '' END FROM users
    WHERE org_id = ${store.org} AND id = ${id} AND deleted_at IS NULL${only}), ${otherwise}), '')`);
}

/** Who leaves is counted, and waits no more. To come before the change, too. */
const leave = (store: OrgStore, id: string, { isLimited, wasHeld }: Leaving): SQL[] => [
  ...(isLimited && isLimitSet(store)
    ? [
        sql`DELETE FROM brake_counts WHERE org_id = ${store.org} AND at <= (
          SELECT ${store.now} - ${WINDOW} - ${SLOT} FROM orgs WHERE id = ${store.org})`,
        sql`INSERT INTO brake_counts (org_id, at, count)
          SELECT orgs.id, CAST(${store.now} / ${SLOT} AS INTEGER) * ${SLOT}, 1
          FROM orgs JOIN users ON users.org_id = orgs.id AND users.id = ${id} AND users.deleted_at IS NULL
          WHERE orgs.id = ${store.org} AND users.active = 1
          ON CONFLICT (org_id, at) DO UPDATE SET count = count + 1`,
      ]
    : []),
  ...(wasHeld === false ? [] : [letGo(store, id)]),
];

/** Before a user is deactivated or deleted, in any way. */
export const takeOut = (store: OrgStore, id: string, how: Leaving): SQL[] => [
  expectMayLeave(store, id, how),
  ...leave(store, id, how),
];

/** Who is out, or wanted back, is held no more. */
export const letGo = (store: OrgStore, id: string): SQL => sql`DELETE FROM ${itsHeld(store, id)}`;

/** How far the limit is used. */
export interface DeactivationUsage {
  readonly isSet: boolean;
  /** Who may be taken out in the window. */
  readonly limit: number;
  readonly used: number;
  /** Milliseconds. */
  readonly window: number;
  /** Milliseconds until the first counted user counts no more; 0: none is counted. */
  readonly room: number;
}

const selectUsage = (store: OrgStore): SQL<UsageRow> =>
  sql`SELECT ${IS_SET} AS is_set, ${limit(store)} AS most, ${used(store)} AS used, ${WINDOW} AS window,
      (SELECT min(brake_counts.at) FROM brake_counts WHERE org_id = orgs.id AND ${isRecent(store)}) + ${WINDOW} + ${SLOT} - ${store.now} AS room
    FROM orgs WHERE id = ${store.org}`;

interface UsageRow {
  readonly is_set: number;
  readonly most: number;
  readonly used: number;
  readonly window: number;
  readonly room: number | null;
}

const usageOf = ({ is_set, most, used, window, room }: UsageRow): DeactivationUsage => ({
  isSet: is_set === 1,
  limit: most,
  used,
  window,
  room: room ?? 0,
});

/**
 * What was refused waits for the operator, or for the next time it is asked for. Of each person it is told once, however
 * often it is asked for.
 */
export async function hold(
  store: OrgStore,
  id: string,
  operation: Operation,
  actor: Actor,
): Promise<DeactivationUsage> {
  const isNew = sql`NOT EXISTS (SELECT 1 FROM ${itsHeld(store, id)})`;
  const targets = sql`SELECT id FROM users WHERE org_id = ${store.org} AND id = ${id} AND deleted_at IS NULL AND ${isNew}`;
  const { record, settle } = recordEach(store, actor, targets, { type: 'brake.held', details: { operation } });
  const results = await store.write(
    record,
    settle,
    sql`INSERT INTO brake_held (org_id, user_id, operation, since, last_at, attempts)
      SELECT org_id, id, ${operation}, ${store.now}, ${store.now}, 1 FROM users
      WHERE org_id = ${store.org} AND id = ${id} AND deleted_at IS NULL
      ON CONFLICT (org_id, user_id) DO UPDATE SET operation = excluded.operation, last_at = excluded.last_at, attempts = attempts + 1`,
    selectUsage(store),
  );
  return usageOf(results[3][0]!);
}

/**
 * The identity provider says that somebody held is to stay. Nothing happens if nobody is held. In the batch of a change it
 * comes before that is counted.
 */
export function withdrawal(store: OrgStore, id: string, actor: Actor): SQL[] {
  const targets = sql`SELECT user_id AS id FROM ${itsHeld(store, id)}`;
  const { record, settle } = recordEach(store, actor, targets, { type: 'brake.withdrawn', details: {} });
  return [record, settle, letGo(store, id)];
}

/** The same, where nothing else changes. */
export async function withdraw(store: OrgStore, id: string, actor: Actor): Promise<void> {
  await store.write(...withdrawal(store, id, actor));
}

export interface Held {
  readonly user: string;
  readonly userName: string;
  readonly operation: Operation;
  /** Epoch milliseconds: first and last asked for. */
  readonly since: number;
  readonly lastAt: number;
  readonly attempts: number;
  readonly rejectedUntil: number | undefined;
  readonly rejectedBy: string | undefined;
}

const rowOfHeld = rowOf(brakeHeld);
type HeldRow = Row & { readonly user_name: string | null };

function heldOf(row: HeldRow): Held {
  const { userId, operation, since, lastAt, attempts, rejectedUntil, rejectedBy } = rowOfHeld(row);
  return {
    ...{ user: userId, userName: row.user_name ?? '', operation, since, lastAt, attempts },
    rejectedUntil: orAbsent(rejectedUntil),
    rejectedBy: orAbsent(rejectedBy),
  };
}

/** Those that wait for a decision, by id. */
const isOpen = ({ now }: OrgStore) => sql`(rejected_until IS NULL OR rejected_until <= ${now})`;

/** How many wait for a decision, and since when. */
export const selectOpen = (store: OrgStore): SQL<{ readonly users: number; readonly since: number | null }> =>
  sql`SELECT count(*) AS users, min(since) AS since FROM brake_held WHERE org_id = ${store.org} AND ${isOpen(store)}`;

/** @param after the id where the last page ended. */
export async function listHeld(
  store: OrgStore,
  after: string,
  limit: number,
): Promise<{
  readonly usage: DeactivationUsage;
  readonly total: number;
  readonly open: number;
  readonly held: Held[];
}> {
  const [usages, totals, rows] = await store.read(
    selectUsage(store),
    sql<{
      total: number;
      open: number;
    }>`SELECT count(*) AS total, count(iif(${isOpen(store)}, 1, NULL)) AS open FROM brake_held WHERE org_id = ${store.org}`,
    sql<HeldRow>`SELECT brake_held.*, users.resource ->> '$.userName' AS user_name FROM brake_held
      LEFT JOIN users ON users.org_id = brake_held.org_id AND users.id = brake_held.user_id
      WHERE brake_held.org_id = ${store.org} AND user_id > ${after} ORDER BY user_id LIMIT ${limit}`,
  );
  return {
    usage: usageOf(usages[0]!),
    ...totals[0]!,
    held: rows.map(heldOf),
  };
}

/** By id, or by the userName of a live user. */
const isMeant = (store: OrgStore, user: string) =>
  sql`user_id IN (${user}, (SELECT id FROM users
    WHERE org_id = ${store.org} AND deleted_at IS NULL AND user_name_key = ${foldCase(user)}))`;

/** A chunk of those that wait for a decision, or the one that is named, decided or not; and how many wait in all. */
export async function heldFor(
  store: OrgStore,
  {
    user,
    after = '',
    limit,
  }: { readonly user?: string | undefined; readonly after?: string | undefined; readonly limit: number },
): Promise<{ readonly held: Held[]; readonly left: number }> {
  const meant = user === undefined ? sql`user_id > ${after} AND ${isOpen(store)}` : isMeant(store, user);
  const [rows, counts] = await store.read(
    sql<HeldRow>`SELECT brake_held.*, NULL AS user_name FROM brake_held WHERE org_id = ${store.org} AND ${meant} ORDER BY user_id LIMIT ${limit}`,
    sql<{ n: number }>`SELECT count(*) AS n FROM brake_held WHERE org_id = ${store.org} AND ${meant}`,
  );
  return { held: rows.map(heldOf), left: counts[0]!.n };
}

/**
 * Until that instant the identity provider is refused what it asked for; then its word counts again, for who has left
 * must not stay for a decision that was about another day.
 *
 * @param user absent: all that wait, in chunks.
 * @returns how many.
 */
export async function reject(
  store: OrgStore,
  { user, until, by }: { readonly user?: string | undefined; readonly until: number; readonly by: string },
  actor: Actor,
): Promise<number> {
  let rejected = 0;
  for (;;) {
    const chunk = await rejectSome(store, user, until, by, actor);
    rejected += chunk;
    if (chunk < REJECTED_AT_ONCE) return rejected;
  }
}

/** As many as one batch rejects: each has an event. */
const REJECTED_AT_ONCE = 2_000;

async function rejectSome(store: OrgStore, user: string | undefined, until: number, by: string, actor: Actor) {
  const meant = user === undefined ? isOpen(store) : isMeant(store, user);
  const targets = sql`SELECT user_id AS id FROM brake_held WHERE org_id = ${store.org} AND ${meant}
    ORDER BY user_id LIMIT ${REJECTED_AT_ONCE}`;
  const details = { by, until: new Date(until).toISOString() };
  const { record, settle } = recordEach(store, actor, targets, { type: 'brake.rejected', details });
  const results = await store.write(
    record,
    settle,
    sql`UPDATE brake_held SET rejected_until = ${until}, rejected_by = ${by}
      WHERE org_id = ${store.org} AND user_id IN (SELECT id FROM (${targets})) RETURNING user_id`,
  );
  return results.at(-1)!.length;
}

/** Records that a change of a protected user was refused. */
export async function recordProtection(store: OrgStore, id: string, operation: Operation, actor: Actor): Promise<void> {
  const type = operation === 'delete' ? 'user.deletion_refused' : 'user.deactivation_refused';
  await store.write(count(store), record(store, actor, { type, targetId: id, details: { operation } }));
}

/** The same for identity attributes. @param attributes that would have changed. */
export async function recordProtectedIdentity(
  store: OrgStore,
  id: string,
  attributes: readonly string[],
  actor: Actor,
): Promise<void> {
  const happening = { type: 'user.change_refused', targetId: id, details: { refused: attributes } } as const;
  await store.write(count(store), record(store, actor, happening));
}
