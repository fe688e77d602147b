/** What of the journal bears on sessions, as applications are told it: as states. */
import { sql } from 'drizzle-orm';
import { type EndCause, endCauseIn } from '../../end-cause';
import { runBatch } from '../d1/batch';
import type { Database } from '../d1/database';

/** What is true of a user, or of the whole org, by the event after which hosts are told. */
export interface State {
  readonly seq: number;
  readonly user: string | null;
  readonly active: boolean;
  /** Epoch milliseconds; 0: none. */
  readonly validAfter: number;
  /** Why the sessions until then are over, where it is known. */
  readonly endedBy?: EndCause;
}

/** The states that changed after `from`, up to and with `through`. */
export interface Chunk {
  readonly from: number;
  readonly through: number;
  /** By seq; of each subject once, by the latest of its events. */
  readonly states: readonly State[];
}

export interface Published {
  readonly current: number;
  /** One for each of the numbers that were asked for. */
  readonly chunks: readonly Chunk[];
}

/** Events that one chunk goes through. */
export const CHUNK = 500;

/**
 * What hosts are told after each of these numbers: the states as they are now, not as they were. One round trip.
 *
 * An event that a later one of the same subject follows is passed over: its state comes with the later one.
 *
 * @returns undefined when the org is not there any more.
 */
export async function readPublished(
  db: Database,
  orgId: string,
  after: readonly number[],
): Promise<Published | undefined> {
  const [orgs, ...found] = await runBatch(db, [
    sql<OrgRow>`SELECT event_seq, not_before, ended_by, disabled_at FROM orgs WHERE id = ${orgId}`,
    ...after.map(
      (
        seq,
      ) => sql<EventRow>`SELECT e.seq, e.target_id, users.active, users.deleted_at, users.not_before, users.ended_by,
          EXISTS (SELECT 1 FROM events AS later WHERE later.org_id = ${orgId} AND later.target_id IS e.target_id
            AND later.seq > e.seq AND later.publishes = 1) AS is_passed
        FROM (SELECT seq, target_id FROM events WHERE org_id = ${orgId} AND publishes = 1 AND seq > ${seq}
          ORDER BY seq LIMIT ${CHUNK}) AS e
        LEFT JOIN users ON users.org_id = ${orgId} AND users.id = e.target_id ORDER BY e.seq`,
    ),
  ]);
  const org = orgs[0];
  if (org === undefined) return undefined;
  const current = org.event_seq;
  return {
    current,
    chunks: found.map((rows, i) => ({
      from: after[i]!,
      through: rows.length < CHUNK ? current : rows.at(-1)!.seq,
      states: rows.filter((row) => row.is_passed === 0).map((row) => stateOf(row, org)),
    })),
  };
}

interface OrgRow {
  readonly event_seq: number;
  readonly not_before: number | null;
  readonly ended_by: string | null;
  readonly disabled_at: number | null;
}

interface EventRow {
  readonly seq: number;
  /** null: the whole org. */
  readonly target_id: string | null;
  /** Of the user; null: it is in no table any more. */
  readonly active: number | null;
  readonly deleted_at: number | null;
  readonly not_before: number | null;
  readonly ended_by: string | null;
  /** 1: a later event of the same target publishes, too. */
  readonly is_passed: number;
}

/** Who is in no table any more cannot be signed in. */
function stateOf(row: EventRow, org: OrgRow): State {
  const isOfOrg = row.target_id === null;
  const endedBy = endCauseIn((isOfOrg ? org : row).ended_by);
  return {
    seq: row.seq,
    user: row.target_id,
    active: isOfOrg ? org.disabled_at === null : row.active === 1 && row.deleted_at === null,
    validAfter: (isOfOrg ? org : row).not_before ?? 0,
    ...(endedBy && { endedBy }),
  };
}
