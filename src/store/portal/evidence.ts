/** What shows that an identity provider is connected: its credentials' uses, and the first events of each kind. */
import { sql } from 'drizzle-orm';
import { isAlive } from '../credentials/credentials';
import { orAbsent } from '../d1/rows';
import type { OrgStore } from '../org/open';

/** What an identity provider does first. */
export type Deed = 'person' | 'change' | 'deactivation' | 'group';

/** Instants are epoch milliseconds. */
export interface Proof {
  readonly firstAt: number;
  /** The latest of the kind. */
  readonly lastAt: number;
  /** Whom or what the first one was about: a userName or displayName, if it is still there. */
  readonly subject: string | undefined;
  readonly targetId: string | undefined;
  /** User-Agent. */
  readonly client: string | undefined;
}

export interface Evidence {
  /** The latest use of a credential that is not revoked: to five minutes, but for the first one. */
  readonly used: { readonly at: number; readonly client: string; readonly address: string } | undefined;
  readonly firstUsedAt: number | undefined;
  /** Credentials that are not revoked, whether they have expired or not; and OAuth clients. */
  readonly credentials: readonly { readonly kind: string; readonly createdAt: number; readonly createdBy: string }[];
  readonly oauthClients: number;
  readonly deeds: Partial<Record<Deed, Proof>>;
  /** Accounts of the application that the identity provider has not adopted: this many, or one more than are counted. */
  readonly unlinked: number;
}

/** Events that are looked through at each end of the journal. */
const MAX_SCANNED = 500;
const MAX_UNLINKED = 1_000;

/** One round trip, of a bounded size: an open page asks every few seconds. */
export async function readEvidence(store: OrgStore): Promise<Evidence> {
  const kind = sql.raw(`CASE WHEN type IN ('user.created', 'user.linked', 'user.restored') THEN 'person'
    WHEN type IN ('user.updated', 'user.reactivated') THEN 'change'
    WHEN type IN ('user.deactivated', 'user.deleted') THEN 'deactivation'
    WHEN type IN ('group.created', 'group.updated') THEN 'group' END`);
  const end = (order: string) => sql`SELECT * FROM (SELECT seq, at, actor, type FROM events WHERE org_id = ${store.org}
    ORDER BY at ${sql.raw(order)}, seq ${sql.raw(order)} LIMIT ${MAX_SCANNED})`;
  const [deeds, uses, credentials, counts] = await store.read(
    sql<DeedRow>`SELECT found.kind, found.first_at, found.last_at, events.target_id, events.details ->> '$.client' AS client, ifnull(
        (SELECT resource ->> '$.userName' FROM users WHERE users.org_id = ${store.org} AND users.id = events.target_id),
        (SELECT resource ->> '$.displayName' FROM groups WHERE groups.org_id = ${store.org} AND groups.id = events.target_id)
      ) AS subject
      FROM (SELECT kind, min(seq) AS seq, min(at) AS first_at, max(at) AS last_at
        FROM (SELECT seq, at, ${kind} AS kind FROM (${end('ASC')} UNION ${end('DESC')})
          WHERE actor = 'idp' OR actor GLOB 'client:*')
        WHERE kind IS NOT NULL GROUP BY kind) AS found
      JOIN events ON events.org_id = ${store.org} AND events.seq = found.seq`,
    sql<{
      client: string | null;
      address: string | null;
      at: number;
    }>`SELECT last_used_client AS client, last_used_address AS address, last_used_at AS at FROM (
        SELECT * FROM credentials WHERE org_id = ${store.org} AND kind IN ('token', 'basic') AND subject = '' AND ${isAlive}
        UNION ALL SELECT * FROM credentials WHERE org_id = ${store.org} AND subject <> '' AND revoked_at IS NULL)
      WHERE last_used_at IS NOT NULL ORDER BY at DESC LIMIT 50`,
    sql<{
      kind: string;
      created_at: number;
      created_by: string;
    }>`SELECT kind, created_at, created_by FROM credentials WHERE org_id = ${store.org}
      AND kind IN ('token', 'basic', 'oauth_client') AND ${isAlive} ORDER BY created_at DESC LIMIT 20`,
    sql<{
      clients: number;
      unlinked: number;
    }>`SELECT (SELECT count(*) FROM oauth_clients WHERE org_id = ${store.org}) AS clients,
      (SELECT count(*) FROM (SELECT 1 FROM users INDEXED BY users_unlinked WHERE org_id = ${store.org}
        AND origin = 'host' AND linked_at IS NULL AND deleted_at IS NULL LIMIT ${MAX_UNLINKED + 1})) AS unlinked`,
  );
  const latest = uses[0];
  const { clients, unlinked } = counts[0]!;
  return {
    used: latest && { at: latest.at, client: latest.client ?? '', address: latest.address ?? '' },
    firstUsedAt: uses.at(-1)?.at,
    credentials: credentials.map(({ kind, created_at: createdAt, created_by: createdBy }) => ({
      kind,
      createdAt,
      createdBy,
    })),
    oauthClients: clients,
    deeds: Object.fromEntries(deeds.map((row) => [row.kind, proofOf(row)])),
    unlinked,
  };
}

interface DeedRow {
  readonly kind: Deed;
  readonly first_at: number;
  readonly last_at: number;
  readonly subject: string | null;
  readonly target_id: string | null;
  readonly client: string | null;
}

const proofOf = (row: DeedRow): Proof => ({
  firstAt: row.first_at,
  lastAt: row.last_at,
  subject: orAbsent(row.subject),
  targetId: orAbsent(row.target_id),
  client: orAbsent(row.client),
});
