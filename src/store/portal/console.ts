/** What the vendor's console tells of many orgs at once. Each is asked for by its own keys. */
import { sql } from 'drizzle-orm';
import { DAY } from '../../duration';
import { runBatch } from '../d1/batch';
import { askEach, type Databases } from '../d1/databases';

export interface Glance {
  /** Requests that were refused since yesterday. */
  readonly refused: number;
  /** Deactivations that wait for a decision. */
  readonly held: number;
  /** When a token or password was last used. */
  readonly usedAt: number | undefined;
}

/** By the ids of the orgs. One round trip. */
export async function glances(databases: Databases, ids: readonly string[], now: number): Promise<Map<string, Glance>> {
  const question = sql`SELECT asked.value AS id,
        (SELECT ifnull(sum(count), 0) FROM refusals WHERE org_id = asked.value AND day >= ${Math.floor(now / DAY) - 1}
          AND reason <> 'missing' AND hint NOT GLOB 'GET * 404*') AS refused,
        (SELECT count(*) FROM brake_held WHERE org_id = asked.value AND (rejected_until IS NULL OR rejected_until <= ${now})) AS held,
        (SELECT max(last_used_at) FROM credentials WHERE org_id = asked.value AND kind IN ('token', 'basic') AND subject = ''
          AND generation <> 0 AND revoked_at IS NULL) AS used_at
      FROM json_each(${JSON.stringify(ids)}) AS asked WHERE EXISTS (SELECT 1 FROM orgs WHERE id = asked.value)`;
  const found = await askEach(databases, (db) => runBatch(db, [question]));
  const rows = found.flatMap(([all]) => all!);
  return new Map(
    rows.map((row) => [
      row['id'] as string,
      {
        refused: row['refused'] as number,
        held: row['held'] as number,
        usedAt: (row['used_at'] as number | null) ?? undefined,
      },
    ]),
  );
}
