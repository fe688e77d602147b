/** What people are called, for pages that tell of many of them. */
import { sql } from 'drizzle-orm';
import type { OrgStore } from '../org/open';

/** The userNames of users by their ids; of those that are gone none. One round trip. */
export async function namesOfUsers(store: OrgStore, ids: readonly string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  const [rows] = await store.read(
    sql`SELECT users.id, users.resource ->> '$.userName' AS name FROM json_each(${JSON.stringify([...new Set(ids)])}) AS asked
      CROSS JOIN users ON users.org_id = ${store.org} AND users.id = asked.value`,
  );
  return new Map(rows!.flatMap((row) => (row['name'] === null ? [] : [[row['id'], row['name']] as [string, string]])));
}
