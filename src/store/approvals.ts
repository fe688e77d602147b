/** The code that approves a client of the org: one at a time, good once, for minutes. What is kept is its hash. */
import { sql } from 'drizzle-orm';
import type { Actor } from '../events';
import { count, record } from './events';
import type { OrgStore } from './open';

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

/** Who asks for an approval, as the person who gives it is told. */
export interface Asker {
  readonly name: string;
  readonly redirectUris: readonly string[];
}

/** @throws ScimError 401: there is no such client. 403: SCIM is off for its org. */
export async function findAsker(store: OrgStore, clientId: string): Promise<Asker> {
  const [rows] = await store.read(
    sql`SELECT name, redirect_uris FROM oauth_clients WHERE org_id = ${store.org} AND id = ${clientId}`,
  );
  const row = rows![0]!; // the store's own look-up has just found it, in the same batch
  return { name: row['name'] as string, redirectUris: JSON.parse(row['redirect_uris'] as string) as string[] };
}
