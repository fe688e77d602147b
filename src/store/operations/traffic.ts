/** How many requests of good credentials an org has had, by day and operation, and how many of them were refused. */
import { sql } from 'drizzle-orm';
import { DAY } from '../../duration';
import { runBatch } from '../d1/batch';
import { BufferedCounter } from '../d1/buffered-counter';

/** Requests that are counted together. */
export interface Requests {
  readonly orgId: string;
  /** The day, UTC: days since 1970. */
  readonly day: number;
  /** Method and kind of resource, `PATCH /Users`, of the few that there are. */
  readonly operation: string;
  readonly count: number;
  /** Of them: answered with a status of 400 to 499, and of 500 or more. */
  readonly refused: number;
  readonly failed: number;
}

export const requestOf = (orgId: string, operation: string, status: number, now: number): Requests => ({
  orgId,
  day: Math.floor(now / DAY),
  operation,
  count: 1,
  refused: Number(status >= 400 && status < 500),
  failed: Number(status >= 500),
});

/** Of one isolate. */
export class Traffic extends BufferedCounter<Requests> {
  protected override keyOf({ orgId, day, operation }: Requests): string {
    return `${orgId} ${day} ${operation}`;
  }

  protected override orgOf({ orgId }: Requests): string {
    return orgId;
  }

  protected override folded(one: Requests): Requests {
    return { ...one, operation: 'other' };
  }

  protected override sum(one: Requests, other: Requests): Requests {
    return {
      ...one,
      count: one.count + other.count,
      refused: one.refused + other.refused,
      failed: one.failed + other.failed,
    };
  }

  /** One statement, so that isolates that count at once all count. Of an org that is gone meanwhile nothing is kept. */
  protected override async write(db: D1Database, all: readonly Requests[]): Promise<void> {
    await runBatch(db, [
      sql`INSERT INTO traffic (org_id, day, operation, count, refused, failed)
        SELECT orgs.id, value ->> '$.day', value ->> '$.operation', value ->> '$.count', value ->> '$.refused',
          value ->> '$.failed'
        FROM json_each(${JSON.stringify(all)}) CROSS JOIN orgs ON orgs.id = value ->> '$.orgId' WHERE true
        ON CONFLICT (org_id, day, operation) DO UPDATE SET count = count + excluded.count,
          refused = refused + excluded.refused, failed = failed + excluded.failed`,
    ]);
  }
}
