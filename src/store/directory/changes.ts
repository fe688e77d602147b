/**
 * What has changed since a number of the journal, as it is now: each user and each group that an event bears on, once. The
 * events are gone through in windows. What a window bears on comes in pages, so that a group of any size can be renamed.
 */
import { type SQL, sql } from 'drizzle-orm';
import { MAX_NOTED } from '../journal/record';
import type { OrgStore } from '../org/open';
import { type Person, type Role, rolesIn, selectPeople, selectRoles, withinBytes } from './people';

/** How far a reader is. */
export interface Progress {
  /** Everything up to this event has been told. */
  readonly after: number;
  /** In the middle of a window: where it ends, and the last user that was told. */
  readonly within?: { readonly through: number; readonly user: string } | undefined;
}

export interface Changes {
  /** Empty when `isLost`. */
  readonly users: readonly { readonly person: Person; readonly deletedAt: number | undefined }[];
  /** undefined: it was deleted. */
  readonly groups: readonly { readonly id: string; readonly role: Role | undefined }[];
  readonly next: Progress;
  /** The org's latest event. */
  readonly current: number;
  /** What changed cannot be told: events are gone by their age, or everybody changed at once. The lists have to be read. */
  readonly isLost: boolean;
}

/** Events of one window. */
const WINDOW = 500;
/** Characters of the details of groups' events, which name members, beyond which a window ends. */
const MAX_NAMES = 400_000;

/** Of the whole org: with these, everybody's state is another one. */
const IS_OF_EVERYBODY = sql.raw(`(type IN ('org.disabled', 'org.enabled', 'org.imported')
  OR (type = 'org.changed' AND json_type(details, '$.settings.authentication') IS NOT NULL))`);
/** More left than the event names, so that it cannot be told who. */
const IS_UNTOLD = sql.raw(
  `(type >= 'group.' AND type < 'group/' AND ifnull(details ->> '$.leftCount', 0) > ${MAX_NOTED})`,
);
/** Something of the group that shows in each of its members, or more joined than the event names. */
const IS_OF_MEMBERS = sql.raw(`(type = 'group.permissions' OR json_type(details, '$.changed.displayName') IS NOT NULL
  OR json_type(details, '$.leftOut.displayName') IS NOT NULL OR ifnull(details ->> '$.joinedCount', 0) > ${MAX_NOTED})`);

/**
 * One round trip. Nothing is missed: what changes while a window is read is in a later one.
 *
 * @param limit users of a page.
 */
export async function readChanges(store: OrgStore, { after, within }: Progress, limit: number): Promise<Changes> {
  const through =
    within === undefined
      ? sql`ifnull((SELECT max(seq) FROM (
          SELECT seq, sum(iif(type >= 'group.' AND type < 'group/', length(details), 0)) OVER (ORDER BY seq)
            - iif(type >= 'group.' AND type < 'group/', length(details), 0) AS before
          FROM (SELECT seq, type, details FROM events WHERE org_id = ${store.org} AND seq > ${after}
            ORDER BY seq LIMIT ${WINDOW}))
          WHERE before < ${MAX_NAMES}), ${after})`
      : sql`${within.through}`;
  const events = sql`recent AS MATERIALIZED (SELECT type, target_id, iif(type GLOB 'user.*', NULL, details) AS details
    FROM events WHERE org_id = ${store.org} AND seq > ${after} AND seq <= ${through})`;
  const query = selectPeople(store, withinBytes(touched(store, events, within?.user, limit), limit));
  const [heads, windows, roles, ids, ...people] = await store.read(
    sql<{
      event_seq: number;
      pruned_through: number;
    }>`SELECT event_seq, pruned_through FROM orgs WHERE id = ${store.org}`,
    sql<{ n: number; through: number; is_lost: number }>`WITH ${events} SELECT count(*) AS n, ${through} AS through,
      ifnull(max(${IS_OF_EVERYBODY} OR ${IS_UNTOLD}), 0) AS is_lost FROM recent`,
    // Groups come with the first page of their window.
    within === undefined
      ? selectRoles(
          store,
          sql`WITH ${events} SELECT DISTINCT target_id AS id FROM recent
            WHERE type >= 'group.' AND type < 'group/' AND target_id IS NOT NULL`,
        )
      : sql<never>`SELECT 1 WHERE false`,
    sql<{ n: number }>`SELECT count(*) AS n FROM (${touched(store, events, within?.user, limit + 1)})`,
    ...query.statements,
  );
  const { event_seq: current, pruned_through: pruned } = heads[0]!;
  const { n: found, through: end, is_lost } = windows[0]!;
  // The journal has no gap, unless events are gone by their age.
  const isLost = after < pruned || (after < current && (end === after || found < end - after)) || is_lost === 1;
  if (isLost) return { users: [], groups: [], next: { after }, current, isLost };
  const users = query.read(people);
  const hasMore = ids[0]!.n > users.length && users.length > 0;
  return {
    users,
    groups: rolesIn(roles),
    next: hasMore ? { after, within: { through: end, user: users.at(-1)!.person.id } } : { after: end },
    current,
    isLost,
  };
}

/**
 * The users that these events bear on: their targets, who joined or left a group, and who is below a group that changed, or
 * that joined or left another one. Who left a group since then has a later event of their own.
 */
function touched(store: OrgStore, events: SQL, after: string | undefined, limit: number): SQL {
  const from =
    after === undefined
      ? sql``
      : sql`WHERE touched.seq > (SELECT seq FROM users WHERE org_id = ${store.org} AND id = ${after})`;
  return sql`WITH RECURSIVE ${events},
    named (id) AS MATERIALIZED (
      SELECT json_each.value FROM recent, json_each(recent.details, '$.joined') WHERE recent.type >= 'group.' AND recent.type < 'group/'
      UNION SELECT json_each.value FROM recent, json_each(recent.details, '$.left') WHERE recent.type >= 'group.' AND recent.type < 'group/'),
    down (is_group, seq) AS (
      SELECT 1, g.seq FROM (SELECT target_id AS id FROM recent WHERE type >= 'group.' AND type < 'group/' AND ${IS_OF_MEMBERS}
          UNION SELECT id FROM named) AS it
        CROSS JOIN groups AS g ON g.org_id = ${store.org} AND g.id = it.id
      UNION SELECT m.is_group, m.member_seq FROM down CROSS JOIN memberships AS m
        ON down.is_group = 1 AND m.org_id = ${store.org} AND m.group_seq = down.seq),
    touched (seq) AS (
      SELECT u.seq FROM (SELECT target_id AS id FROM recent WHERE target_id IS NOT NULL UNION SELECT id FROM named) AS it
        CROSS JOIN users AS u ON u.org_id = ${store.org} AND u.id = it.id
      UNION SELECT seq FROM down WHERE is_group = 0)
    SELECT touched.seq, (SELECT octet_length(resource) FROM users WHERE users.seq = touched.seq) AS size
    FROM touched ${from} ORDER BY touched.seq LIMIT CAST(${limit} AS INTEGER)`;
}
