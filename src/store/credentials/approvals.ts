/** The code that approves a client of the org: one at a time, good once, for minutes. What is kept is its hash. */
import { sql } from 'drizzle-orm';
import type { Actor } from '../../events';
import { count, record } from '../journal/record';
import type { OrgStore } from '../org/open';

/** Takes the place of the org's last one, used or not. @param validUntil epoch milliseconds. */
export async function putApproval(
  store: OrgStore,
  hash: string,
  validUntil: number,
  by: string,
  actor: Actor,
): Promise<void> {
  const details = { by, validUntil: new Date(validUntil).toISOString() };
  await store.write(
    sql`INSERT INTO approvals (org_id, hash, created_at, created_by, valid_until)
      SELECT ${store.org}, ${hash}, ${store.now}, ${by}, ${validUntil} WHERE true
      ON CONFLICT (org_id) DO UPDATE SET hash = excluded.hash, created_at = excluded.created_at,
        created_by = excluded.created_by, valid_until = excluded.valid_until`,
    count(store),
    record(store, actor, { type: 'approval.issued', details }),
  );
}
