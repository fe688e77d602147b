/** Streams that are polled, and how that goes. The org's coordinator alone polls. */
import { sql } from 'drizzle-orm';
import { runBatch } from '../d1/batch';
import { askEach, type Databases, databaseOf } from '../d1/databases';
import { type Polling, type SignalSource, sourceOf } from './signal-sources';

export type PolledSource = SignalSource & { readonly poll: Polling };

/** All of the org that are not paused. One round trip. */
export async function readPolledSources(databases: Databases, orgId: string): Promise<PolledSource[]> {
  const [rows] = await runBatch(databaseOf(databases, orgId), [
    sql`SELECT * FROM signal_sources WHERE org_id = ${orgId} AND poll_url IS NOT NULL AND paused_at IS NULL
      ORDER BY created_at, id`,
  ]);
  return rows!.map(sourceOf).filter((source): source is PolledSource => source.poll !== undefined);
}

/** Orgs whose coordinator is to be reminded, the longest wait first. */
export async function orgsWithDuePolls(databases: Databases, now: number, limit: number): Promise<string[]> {
  const found = await askEach(databases, (db) =>
    runBatch(db, [
      sql`SELECT DISTINCT org_id FROM (SELECT org_id FROM signal_sources
        WHERE poll_due_at IS NOT NULL AND poll_due_at <= ${now} ORDER BY poll_due_at LIMIT ${limit})`,
    ]),
  );
  return found.flatMap(([rows]) => rows!.map((row) => row['org_id'] as string));
}

/** It was asked for under these credentials: the operator has neither paused it nor entered others. */
const isSame = (orgId: string, { id, poll }: PolledSource) =>
  sql`org_id = ${orgId} AND id = ${id} AND credentials = ${poll.credentials} AND paused_at IS NULL`;

/** The transmitter has answered. @param dueAt when the cron reminds of it, if the coordinator has not polled until then. */
export async function notePoll(
  databases: Databases,
  orgId: string,
  source: PolledSource,
  now: number,
  dueAt: number,
): Promise<void> {
  await runBatch(databaseOf(databases, orgId), [
    sql`UPDATE signal_sources SET polled_at = ${now}, poll_due_at = ${dueAt}, poll_failures = 0, poll_failing_since = NULL,
      poll_error = NULL WHERE ${isSame(orgId, source)}`,
  ]);
}

/** The poll has failed, and waits. */
export async function noteFailedPoll(
  databases: Databases,
  orgId: string,
  source: PolledSource,
  failed: { readonly failures: number; readonly since: number; readonly error: string; readonly until: number },
): Promise<void> {
  const { failures, since, error, until } = failed;
  await runBatch(databaseOf(databases, orgId), [
    sql`UPDATE signal_sources SET poll_due_at = ${until}, poll_failures = ${failures}, poll_failing_since = ${since},
      poll_error = ${error} WHERE ${isSame(orgId, source)}`,
  ]);
}
