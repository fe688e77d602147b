/** The journal as host apps read it: all of it after a number, or what of it bears on sessions, as states. */
import { type SQL, sql } from 'drizzle-orm';
import { type Row, runBatch } from './batch';
import type { OrgStore } from './open';

/** An event as it was recorded. */
export interface Recorded {
  readonly seq: number;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly type: string;
  readonly actor: string;
  readonly target: string | undefined;
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
}

/** Events that are looked at for those of a type: a page costs no more, however rare they are. */
const MAX_SCANNED = 2_000;
/** Characters of details on a page, beyond which it ends with the event that passed them. */
const MAX_DETAILS = 1_000_000;

/**
 * Events after a number, in their order and without a gap. One round trip.
 *
 * @param types names, or beginnings of names and `.*`; none: all.
 */
export async function readEvents(store: OrgStore, after: number, limit: number, types: string[]): Promise<Page> {
  const scanned = sql`SELECT * FROM events WHERE org_id = ${store.org} AND seq > ${after} ORDER BY seq`;
  const wanted =
    types.length === 0
      ? scanned
      : sql`SELECT * FROM (${scanned} LIMIT ${MAX_SCANNED}) WHERE ${sql.join(
          types.map((type) => sql`type GLOB ${type}`),
          sql` OR `,
        )} ORDER BY seq`;
  // One more than the page has room for tells whether there is one. What comes after too many details comes without.
  const [heads, rows] = await store.read(
    currentOf(store.org),
    sql`SELECT seq, at, type, actor, target_id, request_id, iif(before < ${MAX_DETAILS}, details, NULL) AS details FROM (
      SELECT *, sum(length(details)) OVER (ORDER BY seq) - length(details) AS before FROM (${wanted} LIMIT ${limit + 1}))`,
  );
  const current = heads![0]!['event_seq'] as number;
  const page = rows!.filter((row, i) => i < limit && row['details'] !== null);
  const looked = types.length === 0 ? current : Math.min(current, after + MAX_SCANNED);
  return {
    events: page.map(recordedOf),
    next: page.length < rows!.length ? (page.at(-1)!['seq'] as number) : looked,
    current,
  };
}

const recordedOf = (row: Row): Recorded => ({
  seq: row['seq'] as number,
  at: row['at'] as number,
  type: row['type'] as string,
  actor: row['actor'] as string,
  target: (row['target_id'] as string | null) ?? undefined,
  requestId: row['request_id'] as string,
  details: row['details'] as string,
});

const currentOf = (org: SQL): SQL => sql`SELECT event_seq FROM orgs WHERE id = ${org}`;

/** The number of the org's latest event; 0 when there is none. One round trip. */
export async function readCurrent(store: OrgStore): Promise<number> {
  const [rows] = await store.read(currentOf(store.org));
  return rows![0]!['event_seq'] as number;
}

/** What is true of a user, or of the whole org, by the event after which hosts are told. */
export interface State {
  readonly seq: number;
  readonly user: string | null;
  readonly active: boolean;
  /** Epoch milliseconds; 0: none. */
  readonly notBefore: number;
}

/** The states that changed after `from`, up to and with `through`. */
export interface Portion {
  readonly from: number;
  readonly through: number;
  /** By seq; of each subject once, by the latest of its events. */
  readonly states: readonly State[];
}

export interface Published {
  readonly current: number;
  /** One for each of the numbers that were asked for. */
  readonly portions: readonly Portion[];
}

/** Events that one portion goes through. */
export const PORTION = 500;

/**
 * What hosts are told after each of these numbers: the states as they are now, not as they were. One round trip.
 *
 * An event that a later one of the same subject follows is passed over: its state comes with the later one.
 *
 * @returns undefined when the org is not there any more.
 */
export async function readPublished(
  db: D1Database,
  orgId: string,
  after: readonly number[],
): Promise<Published | undefined> {
  const [orgs, ...found] = await runBatch(db, [
    sql`SELECT event_seq, not_before, disabled_at FROM orgs WHERE id = ${orgId}`,
    ...after.map(
      (seq) => sql`SELECT e.seq, e.target_id, users.active, users.deleted_at, users.not_before,
          EXISTS (SELECT 1 FROM events AS later WHERE later.org_id = ${orgId} AND later.target_id IS e.target_id
            AND later.seq > e.seq AND later.publishes = 1) AS is_passed
        FROM (SELECT seq, target_id FROM events WHERE org_id = ${orgId} AND publishes = 1 AND seq > ${seq}
          ORDER BY seq LIMIT ${PORTION}) AS e
        LEFT JOIN users ON users.org_id = ${orgId} AND users.id = e.target_id ORDER BY e.seq`,
    ),
  ]);
  const org = orgs![0];
  if (org === undefined) return undefined;
  const current = org['event_seq'] as number;
  return {
    current,
    portions: found.map((rows, i) => ({
      from: after[i]!,
      through: rows.length < PORTION ? current : (rows.at(-1)!['seq'] as number),
      states: rows.filter((row) => row['is_passed'] === 0).map((row) => stateOf(row, org)),
    })),
  };
}

/** Who is in no table any more cannot be signed in. */
function stateOf(row: Row, org: Row): State {
  const user = row['target_id'] as string | null;
  const subject = user === null ? { active: org['disabled_at'] === null ? 1 : 0, deleted_at: null } : row;
  return {
    seq: row['seq'] as number,
    user,
    active: subject['active'] === 1 && subject['deleted_at'] === null,
    notBefore: ((user === null ? org : row)['not_before'] as number | null) ?? 0,
  };
}
