/** The latest events, the newest first, and page by page back to the oldest. A page is one round trip of bounded cost. */
import { type SQL, sql } from 'drizzle-orm';
import type { OrgStore } from '../org/open';
import {
  type EventRow,
  firstSince,
  isOfTypes,
  MAX_DETAILS,
  MAX_SCANNED,
  type Recorded,
  recordedOf,
  type Source,
  sourcesOfUser,
  targetName,
} from './read';

export interface LatestQuery {
  /** Only events before this one; absent: from the latest on. */
  readonly before?: number | undefined;
  readonly limit: number;
  /** Only of these types: names, or beginnings of names and `.*`; none: all. */
  readonly types: readonly string[];
  /** Only what happened to the user with this id. */
  readonly user?: string | undefined;
  /** Only from this instant on; epoch milliseconds. */
  readonly since?: number | undefined;
  /** Each with the name of its target, which is one more row for each. */
  readonly withNames?: boolean;
}

export interface Latest {
  /** The newest first. */
  readonly events: readonly Recorded[];
  /** What to ask before for older ones; undefined: there are none. Pages between may be empty. */
  readonly before: number | undefined;
  /** The org's latest event. */
  readonly current: number;
}

/** Of those of a type or a user it looks at a bounded number of events, however rare they are. One round trip. */
export async function readLatest(store: OrgStore, asked: LatestQuery): Promise<Latest> {
  const { limit, types, user, since } = asked;
  const start = since === undefined ? sql`0` : firstSince(store, since);
  const next = sql`(SELECT event_seq + 1 FROM orgs WHERE id = ${store.org})`;
  const end = asked.before === undefined ? next : sql`min(${asked.before}, ${next})`;
  const isBounded = types.length > 0 && user === undefined;
  const least = isBounded ? sql`max(ifnull(${start}, ${end}), ${end} - ${MAX_SCANNED + 1})` : start;
  const mostOwn = types.length > 0 ? MAX_SCANNED : limit + 1;
  const range = sql`AND seq > ${least} AND seq < ${end}${since === undefined ? sql`` : sql` AND at >= ${since}`}`;
  const sources =
    user === undefined
      ? [rangeOf(store, range)]
      : sourcesOfUser(store, range, user, { order: sql` DESC`, most: mostOwn });
  const union = sql.join(
    sources.map(({ scanned, isMeant }) => sql`SELECT * FROM (${scanned}) WHERE ${isOfTypes(types)} AND ${isMeant}`),
    sql` UNION ALL `,
  );
  const [heads, rows, ...cuts] = await store.read(
    sql<{ event_seq: number; start: number | null; least: number | null }>`SELECT event_seq, start,
      ${isBounded ? sql`max(start, ${end} - ${MAX_SCANNED + 1})` : sql`start`} AS least
      FROM orgs, (SELECT ${start} AS start) WHERE id = ${store.org}`,
    sql<EventRow>`SELECT seq, at, type, actor, credential_id, target_id, request_id,
      iif(before < ${MAX_DETAILS}, details, NULL) AS details${asked.withNames ? targetName(store) : sql``} FROM (
        SELECT *, sum(length(details)) OVER (ORDER BY seq DESC) - length(details) AS before
        FROM (${union} ORDER BY seq DESC LIMIT ${limit + 1})) ORDER BY seq DESC`,
    ...(user === undefined
      ? []
      : sources.map(
          ({ scanned }, i) =>
            sql<{ seq: number }>`SELECT seq FROM (${scanned}) LIMIT 1 OFFSET ${(i === 0 ? mostOwn : MAX_SCANNED) - 1}`,
        )),
  );
  const { event_seq: current, start: first, ...head } = heads[0]!;
  if (first === null) return { events: [], before: undefined, current }; // nothing has happened since then
  // Everything after this one has been looked at.
  const looked = Math.max(head.least ?? first, ...cuts.flatMap((found) => found.map(({ seq }) => seq - 1)));
  const here = rows.filter(({ seq }) => seq > looked);
  const page = here.slice(0, limit).filter(({ details }) => details !== null);
  const isCut = page.length < here.length;
  return {
    events: page.map(recordedOf),
    before: isCut ? page.at(-1)!.seq : looked > first ? looked + 1 : undefined,
    current,
  };
}

const rangeOf = (store: OrgStore, range: SQL): Source => ({
  scanned: sql`SELECT * FROM events WHERE org_id = ${store.org} ${range} ORDER BY seq DESC`,
  isMeant: sql`true`,
});
