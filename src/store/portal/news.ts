/** Whether a page of activity would show anything new. */
import { sql } from 'drizzle-orm';
import { DAY } from '../../duration';
import type { OrgStore } from '../org/open';

/** How much of the activity a page shows. */
export interface Shown {
  /** Up to this event. */
  readonly seq: number;
  /** Rejected requests up to this instant; epoch milliseconds. */
  readonly rejectedAt: number;
}

/** One round trip. It reads the org's number of events, and counted rejections of today and yesterday. */
export async function hasNews(store: OrgStore, { seq, rejectedAt }: Shown): Promise<boolean> {
  const yesterday = Math.floor(store.now / DAY) - 1;
  const [rows] = await store.read(
    sql<{ is_new: number }>`SELECT event_seq > ${seq} OR EXISTS (SELECT 1 FROM refusals WHERE org_id = ${store.org}
      AND day >= ${yesterday} AND last_at > ${rejectedAt}) AS is_new FROM orgs WHERE id = ${store.org}`,
  );
  return rows[0]!.is_new === 1;
}
