/** Refused requests that can be attributed to an org, counted by day, reason, credential, client and address. */
import { sql } from 'drizzle-orm';
import { runBatch } from '../d1/batch';
import { orAbsent, type Row, rowOf } from '../d1/rows';
import { credentials, refusals } from '../d1/tables';
import type { OrgStore } from '../org/open';
import { type Credential, credentialOf } from './credentials';
import type { SignalSource } from './signal-sources';

export type Reason =
  | 'missing'
  /** At an address that is none of SCIM's, with a secret of ours. */
  | 'path'
  | 'malformed'
  | 'unknown'
  | 'expired'
  | 'replaced'
  | 'revoked'
  | 'disabled'
  /** Of a good credential: the org's plan has no SCIM. */
  | 'plan'
  /** Also with a valid credential: a user would have become active, and the plan has no seat left. */
  | 'seats'
  | 'storage'
  /** A protected user, or one above the deactivation limit, would have been deactivated or deleted. */
  | 'protected'
  | 'brake'
  | 'misdirected'
  | 'wrong_org'
  | 'wrong_kind'
  | 'rate_limited'
  /** At the token endpoint: the client could not be authenticated, its signed assertion, the code of an approval. */
  | 'client'
  | 'assertion'
  | 'approval'
  /** Of a client that is good: its authorization code or refresh token is not. */
  | 'grant'
  /** A signal was not accepted, or came to nothing: the hint says why. */
  | 'signal'
  /** Of a good credential: refused for what it asked for, or failed. The hint is of words of ours alone. */
  | 'request';

/** In the place of a hint: what was beyond the bound, counted together. */
export const OTHERS = 'others';
/** Rows of their own that an org has for a day and reason, whatever the hints; the rest is one row more. */
const MAX_ROWS = 50;
/**
 * The same for a day and hint of signals. Anybody can send those, so that no hint takes the place of another one, and the rest is one
 * row for each source: it leaves out the client and the address alone.
 */
const MAX_ROWS_OF_HINT = 10;
/** Of those that name a credential or a source, and of the others: nobody has to prove anything for these. */
const MAX_LISTED = 150;

/** What is counted; text that is not known is empty. Instants are epoch milliseconds. */
export interface Counted {
  /** What the request named: an org is looked for by id, then by slug, and where there is none nothing is counted. */
  readonly orgId: string;
  readonly slug: string;
  readonly reason: Reason;
  readonly hint: string;
  /** Of a signal: the id of its source. */
  readonly credentialId: string;
  /** In place of `credentialId`: the source that the token of a signal names. It is kept only if it is registered. */
  readonly claimed?: ClaimedSource | undefined;
  readonly client: string;
  readonly address: string;
  readonly count: number;
  readonly firstAt: number;
  readonly lastAt: number;
}

/** The source that the token of a signal names. Nobody may have checked it. */
export type ClaimedSource = Pick<SignalSource, 'type' | 'issuer'>;

/** A credential with facts that its holder must not learn. */
export interface Held extends Credential {
  readonly kind: string;
}

/** A credential that was presented, and the org that it is of. */
export interface Presenter {
  readonly orgId: string;
  readonly slug: string;
  readonly credential: Held;
}

const rowOfPresented = rowOf(credentials, 'hash', 'orgId', 'kind');

const heldOf = (row: Row): Held => ({ ...credentialOf(row), kind: rowOfPresented(row).kind });

/** @returns what is known, by hash: dead ones, too. One round trip. */
export async function findPresenters(db: D1Database, hashes: readonly string[]): Promise<Map<string, Presenter>> {
  const [rows] = await runBatch(db, [
    sql<
      Row & { readonly org_slug: string }
    >`SELECT credentials.*, orgs.slug AS org_slug FROM json_each(${JSON.stringify(hashes)}) AS presented
      CROSS JOIN credentials ON credentials.hash = presented.value JOIN orgs ON orgs.id = credentials.org_id`,
  ]);
  return new Map(
    rows!.map((row) => {
      const { hash, orgId } = rowOfPresented(row);
      return [hash, { orgId, slug: row.org_slug, credential: heldOf(row) }];
    }),
  );
}

const KEY = sql.raw('org_id, day, reason, hint, credential_id, client, address');
const isSameKey = sql.raw(
  ['org_id', 'day', 'reason', 'hint', 'credential_id', 'client', 'address']
    .map((column) => `kept.${column} = merged.${column}`)
    .join(' AND '),
);

/** One statement, so that isolates that count at once all count; what finds no place of its own counts as one of the others. */
export async function countRefusals(db: D1Database, refusals: readonly Counted[]): Promise<void> {
  await runBatch(db, [
    sql`INSERT INTO refusals (${KEY}, count, first_at, last_at)
      WITH given AS (
        SELECT ifnull((SELECT id FROM orgs WHERE id = value ->> '$.orgId'),
            (SELECT id FROM orgs WHERE slug = value ->> '$.slug')) AS org_id,
          (value ->> '$.firstAt') / 86400000 AS day, value ->> '$.reason' AS reason, value ->> '$.hint' AS hint,
          value ->> '$.credentialId' AS credential_id, value ->> '$.claimed.type' AS type, value ->> '$.claimed.issuer' AS issuer,
          value ->> '$.client' AS client, value ->> '$.address' AS address,
          value ->> '$.count' AS n, value ->> '$.firstAt' AS first_at, value ->> '$.lastAt' AS last_at
        FROM json_each(${JSON.stringify(refusals)})
      ), named AS (
        SELECT org_id, day, reason, hint, iif(issuer IS NULL, credential_id, ifnull((SELECT id FROM signal_sources AS source
            WHERE source.org_id = given.org_id AND source.type = given.type AND source.issuer = given.issuer), '')) AS credential_id,
          client, address, n, first_at, last_at
        FROM given WHERE org_id IS NOT NULL
      ), merged AS MATERIALIZED (
        SELECT ${KEY}, iif(reason = 'signal', hint, '') AS part, sum(n) AS n, min(first_at) AS first_at, max(last_at) AS last_at
        FROM named GROUP BY ${KEY}
      ), used AS MATERIALIZED (
        SELECT org_id, day, reason, part, count(*) AS places FROM (SELECT DISTINCT org_id, day, reason, part FROM merged)
        JOIN refusals USING (org_id, day, reason) WHERE hint <> ${OTHERS} AND part IN ('', hint) GROUP BY org_id, day, reason, part
      ), seen AS (
        SELECT merged.*, merged.hint = ${OTHERS} OR EXISTS (SELECT 1 FROM refusals AS kept WHERE ${isSameKey}) AS has_place
        FROM merged
      ), placed AS (
        SELECT seen.*, has_place OR ifnull(used.places, 0) + row_number() OVER (
            PARTITION BY org_id, day, reason, part, has_place ORDER BY first_at, hint, credential_id, client, address
          ) <= iif(part = '', CAST(${MAX_ROWS} AS INTEGER), CAST(${MAX_ROWS_OF_HINT} AS INTEGER)) AS is_own
        FROM seen LEFT JOIN used USING (org_id, day, reason, part)
      )
      SELECT org_id, day, reason, iif(is_own OR part <> '', hint, ${OTHERS}), iif(is_own OR part <> '', credential_id, ''),
        iif(is_own, client, ''), iif(is_own, address, ''), sum(n), min(first_at), max(last_at)
      FROM placed GROUP BY 1, 2, 3, 4, 5, 6, 7
      ON CONFLICT (${KEY}) DO UPDATE SET count = count + excluded.count,
        first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at)`,
  ]);
}

/** As it is kept. Instants are epoch milliseconds. */
export interface Refusal {
  readonly reason: Reason;
  readonly hint: string;
  readonly client: string;
  readonly address: string;
  readonly count: number;
  readonly firstAt: number;
  readonly lastAt: number;
  /** What was presented, where it is known and still there. */
  readonly credential: Held | undefined;
  /** Of a signal: the source that its token names, if it is one of the org and still there. */
  readonly source: ClaimedSource | undefined;
  /** The generation that took its place, if one has. */
  readonly successor: number | undefined;
}

const rowOfRefusal = rowOf(refusals, 'reason', 'hint', 'client', 'address', 'count', 'firstAt', 'lastAt');

/**
 * The latest first, a few hundred at most. Those that name nobody do not crowd out the others.
 *
 * @param since epoch milliseconds: those that have happened since.
 */
export async function listRefusals(store: OrgStore, since: number): Promise<Refusal[]> {
  const [rows] = await store.read(
    sql<
      Row & {
        readonly successor: number | null;
        readonly source_type: SignalSource['type'] | null;
        readonly source_issuer: string;
      }
    >`SELECT refusals.*, credentials.*, source.type AS source_type, source.issuer AS source_issuer, (SELECT min(next.generation) FROM credentials AS next
        WHERE next.org_id = credentials.org_id AND next.kind = credentials.kind AND next.subject = credentials.subject
        AND next.generation > credentials.generation AND next.created_at >= credentials.replaced_at) AS successor
      FROM (SELECT *, row_number() OVER (PARTITION BY credential_id = '' ORDER BY last_at DESC, count DESC) AS place FROM refusals
          WHERE org_id = ${store.org} AND last_at >= ${since}) AS refusals
        LEFT JOIN credentials ON credentials.org_id = refusals.org_id AND credentials.id = refusals.credential_id
        LEFT JOIN signal_sources AS source
          ON refusals.reason = 'signal' AND source.org_id = refusals.org_id AND source.id = refusals.credential_id
      WHERE refusals.place <= CAST(${MAX_LISTED} AS INTEGER) ORDER BY last_at DESC, count DESC`,
  );
  return rows!.map((row) => {
    const { reason, ...counted } = rowOfRefusal(row);
    return {
      ...counted,
      reason: reason as Reason,
      credential: row['id'] === null ? undefined : heldOf(row),
      source: row.source_type === null ? undefined : { type: row.source_type, issuer: row.source_issuer },
      successor: orAbsent(row.successor),
    };
  });
}
