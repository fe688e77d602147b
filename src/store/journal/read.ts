/** The journal as it is read: after a number, page by page, all of it or what bears on a type, a user, a time. */
import { type SQL, sql } from 'drizzle-orm';
import { orAbsent } from '../d1/rows';
import type { OrgStore } from '../org/open';
import { MAX_NOTED } from './record';

/** An event as it was recorded. */
export interface Recorded {
  readonly seq: number;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly type: string;
  readonly actor: string;
  /** The id of the credential that was presented, where there was one. */
  readonly credential: string | undefined;
  readonly target: string | undefined;
  /** The userName of the user, deleted or not, or the displayName of the group, if it was asked for and is there. */
  readonly targetName?: string | undefined;
  readonly requestId: string;
  /** JSON. */
  readonly details: string;
}

export interface Page {
  readonly events: readonly Recorded[];
  /** Everything up to here has been looked at: what to ask after next. */
  readonly next: number;
  /** The latest event of the org. */
  readonly current: number;
  /** Events up to this one may be gone by their age; 0: none is. */
  readonly pruned: number;
}

/** What is asked for: events after a number, and of them … */
export interface EventQuery {
  readonly after: number;
  readonly limit: number;
  /** … those of these types: names, or beginnings of names and `.*`; none: all. */
  readonly types: readonly string[];
  /** … what happened to the user with this id: its own events, those of groups that name it, those that bear on everybody. */
  readonly user?: string | undefined;
  /** … from this instant on; epoch milliseconds. */
  readonly since?: number | undefined;
  /** … before this one. */
  readonly until?: number | undefined;
  /** … each with the name of its target, which is one more row for each. */
  readonly withNames?: boolean;
}

/** Events that are looked at for those of a type or a user: a page costs no more, however rare they are. */
export const MAX_SCANNED = 2_000;
/** Characters of details on a page, beyond which it ends with the event that passed them. */
export const MAX_DETAILS = 1_000_000;
/** Events are numbered as they are committed and dated as their requests began: so many may have changed places. */
const MAX_OVERTAKEN = 500;

/** Events of an org that concern all its users: who may be signed in, or whether SCIM is on. */
const OF_EVERYBODY = sql.raw(
  `type IN ('org.disabled', 'org.enabled', 'org.signed_out', 'scim.disabled', 'scim.enabled')`,
);

/** Events in their order and without a gap. One round trip. */
export async function readEvents(store: OrgStore, asked: EventQuery): Promise<Page> {
  const { limit, types, user } = asked;
  const isBounded = types.length > 0 || user !== undefined;
  const sources = user === undefined ? [rangeOf(store, asked)] : sourcesOfUser(store, within(store, asked), user);
  const union = sql.join(
    sources.map(({ scanned, isMeant }) => sql`SELECT * FROM (${scanned}) WHERE ${isOfTypes(types)} AND ${isMeant}`),
    sql` UNION ALL `,
  );
  // One more than the page has room for tells whether there is one. What comes after too many details comes without.
  const [heads, rows, ...ends] = await store.read(
    sql<{
      event_seq: number;
      pruned_through: number;
      start: number | null;
    }>`SELECT event_seq, pruned_through, (${startOf(store, asked)}) AS start FROM orgs WHERE id = ${store.org}`,
    sql<EventRow>`SELECT seq, at, type, actor, credential_id, target_id, request_id,
      iif(before < ${MAX_DETAILS}, details, NULL) AS details${asked.withNames ? targetName(store) : sql``} FROM (
        SELECT *, sum(length(details)) OVER (ORDER BY seq) - length(details) AS before
        FROM (${union} ORDER BY seq LIMIT ${limit + 1}))`,
    // Where a source was cut, if it was: what other sources have beyond that is for the next page.
    ...(user === undefined
      ? []
      : sources.map(
          ({ scanned }) => sql<{ seq: number }>`SELECT seq FROM (${scanned}) LIMIT 1 OFFSET ${MAX_SCANNED - 1}`,
        )),
  );
  const { event_seq: current, pruned_through: pruned, ...head } = heads[0]!;
  const start = head.start ?? current;
  const cuts = ends.flatMap((found) => found.map(({ seq }) => seq));
  if (isBounded && user === undefined) cuts.push(start + MAX_SCANNED);
  const looked = Math.min(current, ...cuts);
  const here = rows.filter(({ seq }) => seq <= looked);
  const page = here.slice(0, limit).filter(({ details }) => details !== null);
  return {
    events: page.map(recordedOf),
    next: page.length < here.length ? page.at(-1)!.seq : looked,
    current,
    pruned,
  };
}

/** @param types names, or beginnings of names and `.*`; none: all. */
export const isOfTypes = (types: readonly string[]): SQL =>
  types.length === 0
    ? sql`true`
    : sql`(${sql.join(
        types.map((type) => sql`type GLOB ${type}`),
        sql` OR `,
      )})`;

/** A column: user and group ids are UUIDs of their own, so one of the two look-ups finds nothing. */
export const targetName = (store: OrgStore): SQL => sql`, coalesce(
  (SELECT resource ->> '$.userName' FROM users WHERE org_id = ${store.org} AND id = target_id),
  (SELECT resource ->> '$.displayName' FROM groups WHERE org_id = ${store.org} AND id = target_id)) AS target_name`;

/** Events among which those that are asked for are. */
export interface Source {
  /** In the order of their numbers. */
  readonly scanned: SQL;
  /** Those of them that are asked for. */
  readonly isMeant: SQL;
}

/** All events, or with types those of as many numbers as are gone through at once. */
function rangeOf(store: OrgStore, asked: EventQuery): Source {
  const end = asked.types.length > 0 ? sql` AND seq <= (${startOf(store, asked)}) + ${MAX_SCANNED}` : sql``;
  return {
    scanned: sql`SELECT * FROM events WHERE org_id = ${store.org} ${within(store, asked)}${end} ORDER BY seq`,
    isMeant: sql`true`,
  };
}

/**
 * What happened to one user.
 *
 * @param range ` AND …` on the columns of events. @param order ` DESC`: the latest first. @param most of the user's own
 *   events, which are all meant.
 */
export function sourcesOfUser(
  store: OrgStore,
  range: SQL,
  user: string,
  { order = sql``, most = MAX_SCANNED }: { readonly order?: SQL; readonly most?: number } = {},
): Source[] {
  const some = (where: SQL, index = sql``, limit = MAX_SCANNED) => sql`SELECT * FROM events${index}
    WHERE org_id = ${store.org} ${range} AND ${where} ORDER BY seq${order} LIMIT CAST(${limit} AS INTEGER)`;
  const named = (list: string) => sql`EXISTS (SELECT 1 FROM json_each(details, ${`$.${list}`}) WHERE value = ${user})`;
  const isUncertain = sql`(details ->> '$.joinedCount' > ${MAX_NOTED} OR details ->> '$.leftCount' > ${MAX_NOTED})`;
  return [
    { scanned: some(sql`target_id = ${user}`, sql` INDEXED BY events_target`, most), isMeant: sql`true` },
    {
      scanned: some(sql`target_id IS NULL`, sql` INDEXED BY events_target`),
      // What happened to everybody before there was this user has not happened to it.
      isMeant: sql`(${OF_EVERYBODY} AND at >= ifnull((SELECT created_at FROM users WHERE org_id = ${store.org} AND id = ${user}), 0))`,
    },
    {
      scanned: some(sql`type >= 'group.' AND type < 'group/'`, sql` INDEXED BY events_groups`),
      // The text first: most events of groups name others, and their lists need not be read.
      isMeant: sql`((instr(details, ${user}) > 0 AND (${named('joined')} OR ${named('left')} OR ${named('unknownMembers')}))
        OR ${isUncertain})`,
    },
  ];
}

/** The number after which events can be asked for; NULL: after all of them. */
function startOf(store: OrgStore, { after, since, types }: EventQuery): SQL {
  // What is gone through by numbers begins with the next that is there: those before it may be gone by their age.
  const first =
    types.length > 0
      ? sql`, ifnull((SELECT min(seq) FROM events WHERE org_id = ${store.org} AND seq > ${after}), 1) - 1`
      : sql``;
  const found = since === undefined ? sql`` : sql`, ${firstSince(store, since)}`;
  return types.length > 0 || since !== undefined ? sql`max(${after}${first}${found})` : sql`${after}`;
}

/** The number before those of an instant and later; NULL: there are none. */
export const firstSince = (store: OrgStore, since: number): SQL => sql`(SELECT min(seq) - 1 FROM (SELECT seq FROM events
  WHERE org_id = ${store.org} AND at >= ${since} ORDER BY at LIMIT ${MAX_OVERTAKEN}))`;

/** By numbers, which are what pages go by, and which the instants only find. */
function within(store: OrgStore, asked: EventQuery): SQL {
  const { since, until } = asked;
  const from = since === undefined ? sql`` : sql` AND at >= ${since}`;
  const to =
    until === undefined
      ? sql``
      : sql` AND at < ${until} AND seq <= (SELECT max(seq) FROM (SELECT seq FROM events
          WHERE org_id = ${store.org} AND at < ${until} ORDER BY at DESC LIMIT ${MAX_OVERTAKEN}))`;
  return sql`AND seq > (${startOf(store, asked)})${from}${to}`;
}

/** As a page reads it. */
export interface EventRow {
  readonly seq: number;
  readonly at: number;
  readonly type: string;
  readonly actor: string;
  readonly credential_id: string | null;
  readonly target_id: string | null;
  /** Where names are asked for. */
  readonly target_name?: string | null;
  readonly request_id: string;
  /** null: there was no more room on the page. */
  readonly details: string | null;
}

export const recordedOf = ({
  credential_id,
  target_id,
  target_name,
  request_id,
  details,
  ...event
}: EventRow): Recorded => ({
  ...event,
  credential: orAbsent(credential_id),
  target: orAbsent(target_id),
  targetName: target_name ?? undefined,
  requestId: request_id,
  details: details!,
});

/** The number of the org's latest event; 0 when there is none. One round trip. */
export async function readCurrent(store: OrgStore): Promise<number> {
  const [rows] = await store.read(sql<{ event_seq: number }>`SELECT event_seq FROM orgs WHERE id = ${store.org}`);
  return rows[0]!.event_seq;
}
