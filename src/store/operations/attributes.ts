/** Which attributes an identity provider sends, counted by day: what is kept, and what the schemas do not have. Names alone. */
import { sql } from 'drizzle-orm';
import { DAY } from '../../duration';
import { runBatch } from '../d1/batch';
import { BufferedCounter } from '../d1/buffered-counter';
import type { OrgStore } from '../org/open';

/** Names of an org that have a row of their own on a day. */
const MAX_NAMES = 200;

/** Arrivals that are counted together. Epoch milliseconds. */
export interface Arrivals {
  readonly orgId: string;
  readonly day: number;
  readonly resourceType: 'User' | 'Group';
  readonly name: string;
  readonly isIgnored: boolean;
  readonly count: number;
  readonly lastAt: number;
}

/** Of one isolate. */
export class AttributeCounter extends BufferedCounter<Arrivals> {
  protected override keyOf({ orgId, day, resourceType, name, isIgnored }: Arrivals): string {
    return `${orgId} ${day} ${resourceType} ${isIgnored} ${name}`;
  }

  protected override orgOf({ orgId }: Arrivals): string {
    return orgId;
  }

  protected override folded(one: Arrivals): Arrivals {
    return { ...one, name: '' };
  }

  protected override sum(one: Arrivals, other: Arrivals): Arrivals {
    return { ...one, count: one.count + other.count, lastAt: Math.max(one.lastAt, other.lastAt) };
  }

  /** One statement. Of an org that is gone meanwhile nothing is kept; beyond the bound names are counted together. */
  protected override async write(db: D1Database, all: readonly Arrivals[]): Promise<void> {
    await runBatch(db, [
      sql`INSERT INTO attribute_counts (org_id, day, resource_type, name, is_ignored, count, last_at)
        SELECT org_id, day, resource_type, iif(has_place, name, '') AS kept, is_ignored, sum(n), max(last_at) FROM (
          SELECT orgs.id AS org_id, value ->> '$.day' AS day, value ->> '$.resourceType' AS resource_type,
            value ->> '$.name' AS name, value ->> '$.isIgnored' AS is_ignored, value ->> '$.count' AS n,
            value ->> '$.lastAt' AS last_at,
            (SELECT count(*) FROM attribute_counts AS kept WHERE kept.org_id = orgs.id AND kept.day = value ->> '$.day')
              + row_number() OVER (PARTITION BY orgs.id ORDER BY key) <= CAST(${MAX_NAMES} AS INTEGER)
            OR EXISTS (SELECT 1 FROM attribute_counts AS kept WHERE kept.org_id = orgs.id AND kept.day = value ->> '$.day'
              AND kept.resource_type = value ->> '$.resourceType' AND kept.name = value ->> '$.name'
              AND kept.is_ignored = value ->> '$.isIgnored') AS has_place
          FROM json_each(${JSON.stringify(all)}) CROSS JOIN orgs ON orgs.id = value ->> '$.orgId')
        WHERE true GROUP BY 1, 2, 3, 4, 5
        ON CONFLICT (org_id, day, resource_type, name, is_ignored)
        DO UPDATE SET count = count + excluded.count, last_at = max(last_at, excluded.last_at)`,
    ]);
  }
}

export const dayOf = (now: number): number => Math.floor(now / DAY);

/** What arrived in the last days, by name. */
export interface Arrived {
  readonly resourceType: 'User' | 'Group';
  /** Empty: those beyond the bound. */
  readonly name: string;
  readonly isIgnored: boolean;
  readonly today: number;
  readonly week: number;
  readonly lastAt: number;
}

interface ArrivedRow extends Pick<Arrived, 'name' | 'today' | 'week'> {
  readonly resource_type: Arrived['resourceType'];
  readonly is_ignored: number;
  readonly last_at: number;
}

/** Of the last seven days. One round trip. */
export async function readArrivals(store: OrgStore): Promise<Arrived[]> {
  const today = dayOf(store.now);
  const [rows] = await store.read(
    sql<ArrivedRow>`SELECT resource_type, name, is_ignored, sum(iif(day = ${today}, count, 0)) AS today, sum(count) AS week,
        max(last_at) AS last_at
      FROM attribute_counts WHERE org_id = ${store.org} AND day > ${today - 7}
      GROUP BY resource_type, name, is_ignored ORDER BY is_ignored DESC, week DESC, name LIMIT 500`,
  );
  return rows.map(({ resource_type: resourceType, is_ignored, last_at: lastAt, ...row }) => ({
    ...row,
    resourceType,
    isIgnored: is_ignored === 1,
    lastAt,
  }));
}
