/** How an org's provisioning is doing: what is asked for a summary, in one round trip and of a bounded size. */
import { sql } from 'drizzle-orm';
import { DAY } from '../../duration';
import { isAlive } from '../credentials/credentials';
import { type SignalSource, selectSources, sourcesIn } from '../credentials/signal-sources';
import { orAbsent, type Row, selected } from '../d1/rows';
import { isBehind, selectSchemaVersion } from '../d1/schema-version';
import { credentials } from '../d1/tables';
import { selectOpen } from '../directory/deactivation-limit';
import type { OrgStore } from '../org/open';
import { LINE, type Line, lineOf } from './webhooks';

export const DAYS = 14;
/** Events that the changes of the last days are counted among. */
const MAX_COUNTED = 20_000;
const MAX_CREDENTIALS = 100;
const MAX_CLIENTS = 20;
const MAX_ERRORS = 30;

/** Instants are epoch milliseconds. */
export interface Health {
  /** The org's database lacks migrations. */
  readonly isBehind: boolean;
  /** Who has sent requests with a good credential, by User-Agent, the latest first: to five minutes. */
  readonly clients: readonly { readonly client: string; readonly address: string | undefined; readonly at: number }[];
  /** Who may send signals. */
  readonly signals: readonly SignalSource[];
  /** Tokens, passwords and secrets that are not revoked. */
  readonly credentials: readonly {
    readonly kind: string;
    /** The OAuth client's id; else empty. */
    readonly subject: string;
    readonly mask: string;
    readonly createdAt: number;
    readonly validUntil: number | undefined;
    readonly replacedAt: number | undefined;
    readonly graceUntil: number | undefined;
    readonly lastUsedAt: number | undefined;
  }[];
  readonly oauthClients: number;
  /** Users and groups that the IdP changed, by days (UTC, since 1970); days without any are not there. */
  readonly changes: readonly { readonly day: number; readonly count: number; readonly lastAt: number }[];
  /** There was more in these days than is counted. */
  readonly isCut: boolean;
  /** By reason: of this day (UTC), and of the last seven. */
  readonly refusals: readonly {
    readonly reason: string;
    readonly today: number;
    readonly week: number;
    readonly lastAt: number;
  }[];
  /** Of good credentials, by operation: all, and how many of them were answered with 4xx and 5xx; the most first. */
  readonly requests: readonly {
    readonly operation: string;
    readonly today: Requests;
    readonly week: Requests;
  }[];
  /** What they were refused for, by operation, status and scimType; the most first. */
  readonly errors: readonly {
    readonly kind: string;
    readonly today: number;
    readonly week: number;
    readonly lastAt: number;
  }[];
  readonly pending: { readonly users: number; readonly since: number | undefined };
  /** Deactivations above the limit that wait for a decision. */
  readonly held: { readonly users: number; readonly since: number | undefined };
  /** Streams that its events are told to (docs/signals-out.md), at most MAX_STREAMS_SHOWN of them. */
  readonly streams: readonly OrgStream[];
  /** Webhooks that are disabled or whose latest message failed. */
  readonly webhooks: readonly FailingWebhook[];
}

/** A stream of signals, as one org sees it. */
export interface OrgStream {
  readonly id: string;
  readonly receiver: string;
  readonly method: 'push' | 'poll';
  readonly status: string;
  readonly reason: string | undefined;
  readonly isReceiverDisabled: boolean;
  /** There is something that was not delivered, or not acknowledged. */
  readonly isBehind: boolean;
  readonly failures: number;
  readonly failingSince: number | undefined;
  readonly lastError: string | undefined;
  readonly deliveredAt: number | undefined;
  readonly lostThrough: number | undefined;
  /** When its receiver last polled, or when the stream was made. */
  readonly polledAt: number;
  readonly refused: number;
  readonly lastRefusal: string | undefined;
}

const MAX_STREAMS_SHOWN = 50;

export interface FailingWebhook {
  readonly id: string;
  /** Of its address. */
  readonly host: string;
  readonly failures: number;
  readonly failingSince: number | undefined;
  readonly lastError: string | undefined;
  readonly disabledAt: number | undefined;
  readonly disabledWhy: Line['disabledWhy'];
}

export interface Requests {
  readonly count: number;
  readonly refused: number;
  readonly failed: number;
}

interface Operations extends Requests {
  readonly operation: string;
  readonly count_today: number;
  readonly refused_today: number;
  readonly failed_today: number;
}

const CREDENTIAL = selected(
  credentials,
  ...(['kind', 'subject', 'mask', 'createdAt', 'validUntil', 'replacedAt', 'graceUntil', 'lastUsedAt'] as const),
);

interface Waiting {
  readonly users: number;
  readonly since: number | null;
}

interface Counted {
  readonly today: number;
  readonly week: number;
  readonly last_at: number;
}

export async function readHealth(store: OrgStore): Promise<Health> {
  const today = Math.floor(store.now / DAY);
  const recent = sql`SELECT at, actor, type FROM events
    WHERE org_id = ${store.org} AND at >= ${(today - DAYS + 1) * DAY} ORDER BY at DESC LIMIT ${MAX_COUNTED}`;
  const [clients, current, oauth, days, refusals, pending, requests, errors, held, webhooks, sources, streams, schema] =
    await store.read(
      sql<{
        client: string;
        address: string | null;
        at: number;
      }>`SELECT ifnull(last_used_client, '') AS client, last_used_address AS address, max(last_used_at) AS at FROM (
        SELECT * FROM credentials WHERE org_id = ${store.org} AND kind IN ('token', 'basic') AND subject = '' AND ${isAlive}
        UNION ALL SELECT * FROM credentials WHERE org_id = ${store.org} AND subject <> '')
      WHERE last_used_at IS NOT NULL GROUP BY 1 ORDER BY at DESC LIMIT CAST(${MAX_CLIENTS} AS INTEGER)`,
      sql<Row>`SELECT ${CREDENTIAL.sql} FROM credentials WHERE org_id = ${store.org} AND kind IN ('token', 'basic', 'oauth_client') AND ${isAlive}
      ORDER BY kind, subject, generation DESC LIMIT CAST(${MAX_CREDENTIALS} AS INTEGER)`,
      sql<{ n: number }>`SELECT count(*) AS n FROM oauth_clients WHERE org_id = ${store.org}`,
      sql<{
        day: number;
        count: number;
        last_at: number | null;
        counted: number;
      }>`SELECT CAST(at / 86400000 AS INTEGER) AS day, sum(is_its) AS count, max(iif(is_its, at, NULL)) AS last_at,
        count(*) AS counted
      FROM (SELECT at, (actor = 'idp' OR actor GLOB 'client:*') AND (type GLOB 'user.*' OR type GLOB 'group.*') AS is_its
        FROM (${recent})) GROUP BY 1 ORDER BY 1`,
      sql<
        Counted & { reason: string }
      >`SELECT reason, sum(iif(day = ${today}, count, 0)) AS today, sum(count) AS week, max(last_at) AS last_at FROM refusals
      WHERE org_id = ${store.org} AND day > ${today - 7} GROUP BY reason ORDER BY week DESC`,
      sql<Waiting>`SELECT count(DISTINCT user_id) AS users, min(requested_at) AS since FROM outbox WHERE org_id = ${store.org}`,
      sql<Operations>`SELECT operation, sum(count) AS count, sum(refused) AS refused, sum(failed) AS failed,
        sum(iif(day = ${today}, count, 0)) AS count_today, sum(iif(day = ${today}, refused, 0)) AS refused_today,
        sum(iif(day = ${today}, failed, 0)) AS failed_today
      FROM traffic WHERE org_id = ${store.org} AND day > ${today - 7} GROUP BY operation ORDER BY count DESC, operation`,
      sql<
        Counted & { kind: string }
      >`SELECT hint AS kind, sum(iif(day = ${today}, count, 0)) AS today, sum(count) AS week, max(last_at) AS last_at FROM refusals
      WHERE org_id = ${store.org} AND day > ${today - 7} AND reason = 'request' GROUP BY hint
      ORDER BY week DESC, kind LIMIT CAST(${MAX_ERRORS} AS INTEGER)`,
      selectOpen(store),
      sql<
        Row & { id: string; url: string }
      >`SELECT w.id, w.url, ${LINE} FROM webhook_lines AS l JOIN webhooks AS w ON w.id = l.webhook_id
      WHERE l.org_id = ${store.org} AND (l.disabled_at IS NOT NULL OR l.failures > 0) ORDER BY w.id`,
      selectSources(store),
      sql<StreamRow>`SELECT s.id, r.name, s.method, s.status, s.reason, r.disabled_at, l.due_at, l.failures, l.failing_since,
          l.last_error, l.delivered_at, l.lost_through, ifnull(s.polled_at, s.created_at) AS polled_at, s.refused, s.last_refusal
        FROM signal_lines AS l JOIN signal_streams AS s ON s.id = l.stream_id JOIN signal_receivers AS r ON r.id = s.receiver_id
        WHERE l.org_id = ${store.org} ORDER BY r.name, s.created_at, s.id LIMIT CAST(${MAX_STREAMS_SHOWN} AS INTEGER)`,
      selectSchemaVersion,
    );
  return {
    isBehind: isBehind(schema[0]?.name),
    clients: clients.map(({ client, address, at }) => ({ client, address: orAbsent(address), at })),
    credentials: current.map(credentialOf),
    oauthClients: oauth[0]!.n,
    changes: days.flatMap(({ day, count, last_at: lastAt }) => (lastAt === null ? [] : [{ day, count, lastAt }])),
    isCut: days.reduce((sum, { counted }) => sum + counted, 0) >= MAX_COUNTED,
    refusals: refusals.map(({ reason, today, week, last_at: lastAt }) => ({ reason, today, week, lastAt })),
    requests: requests.map(({ operation, count_today, refused_today, failed_today, ...week }) => ({
      operation,
      today: { count: count_today, refused: refused_today, failed: failed_today },
      week,
    })),
    errors: errors.map(({ kind, today, week, last_at: lastAt }) => ({ kind, today, week, lastAt })),
    pending: waitingIn(pending),
    held: waitingIn(held),
    webhooks: webhooks.map((row) => ({ ...lineOf(row), id: row.id, host: new URL(row.url).host })),
    signals: sourcesIn(sources),
    streams: streams.map(streamOf),
  };
}

interface StreamRow extends Pick<OrgStream, 'id' | 'method' | 'status' | 'failures' | 'refused'> {
  readonly name: string;
  readonly reason: string | null;
  readonly disabled_at: number | null;
  readonly due_at: number | null;
  readonly failing_since: number | null;
  readonly last_error: string | null;
  readonly delivered_at: number | null;
  readonly lost_through: number | null;
  readonly polled_at: number;
  readonly last_refusal: string | null;
}

const streamOf = ({ id, method, status, failures, refused, ...row }: StreamRow): OrgStream => ({
  ...{ id, receiver: row.name, method, status, failures, refused },
  reason: orAbsent(row.reason),
  isReceiverDisabled: row.disabled_at !== null,
  isBehind: row.due_at !== null,
  failingSince: orAbsent(row.failing_since),
  lastError: orAbsent(row.last_error),
  deliveredAt: orAbsent(row.delivered_at),
  lostThrough: orAbsent(row.lost_through),
  polledAt: row.polled_at,
  lastRefusal: orAbsent(row.last_refusal),
});

const waitingIn = ([row]: readonly Waiting[]) => ({ users: row!.users, since: orAbsent(row!.since) });

function credentialOf(row: Row): Health['credentials'][number] {
  const { validUntil, replacedAt, graceUntil, lastUsedAt, ...credential } = CREDENTIAL.rowOf(row);
  return {
    ...credential,
    validUntil: orAbsent(validUntil),
    replacedAt: orAbsent(replacedAt),
    graceUntil: orAbsent(graceUntil),
    lastUsedAt: orAbsent(lastUsedAt),
  };
}
