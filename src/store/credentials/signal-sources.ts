/** Who may send signals to an org: registered by an administrator, found by the issuer of a token. */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor } from '../../events';
import { expect } from '../d1/expect';
import { orAbsent, type Row, rowOf } from '../d1/rows';
import { signalSources } from '../d1/tables';
import { count, record } from '../journal/record';
import type { OrgStore } from '../org/open';
import type { Once } from './oauth-clients';

export type SourceType = 'global-token-revocation' | 'ssf';

/** Sources of one org. */
export const MAX_SOURCES = 20;

/** What follows from the events of a stream. */
export interface Policy {
  /** Events that end sessions, by the last part of their URI; absent: the usual ones. */
  readonly endsOn?: readonly string[];
  /** Also what a person did without an administrator or a policy, as an ordinary sign-out. */
  readonly anyInitiator?: boolean;
}

/** A stream at a transmitter (SSF 1.0 §8). */
export interface Stream {
  readonly id?: string;
  /** Where its configuration is; absent: somebody made it at the transmitter by hand. */
  readonly configurationUrl?: string;
  /** What its verification is to repeat. */
  readonly state?: string;
}

export interface SignalSource {
  readonly id: string;
  readonly type: SourceType;
  readonly issuer: string;
  readonly jwksUrl: string;
  /** Absent: the address of our endpoint. */
  readonly audience: string | undefined;
  readonly subject: 'externalId' | 'userName' | 'email';
  readonly policy: Policy;
  readonly stream: Stream | undefined;
  readonly status: string | undefined;
  /** Epoch milliseconds. */
  readonly verifiedAt: number | undefined;
  readonly lastSignalAt: number | undefined;
  readonly createdAt: number;
  readonly createdBy: string;
  /** Since when its signals wait at the sender, because an operator said so. */
  readonly pausedAt: number | undefined;
  /** Of a stream that is polled (RFC 8936); absent: its signals are pushed. */
  readonly poll: Polling | undefined;
}

/** Instants are epoch milliseconds. */
export interface Polling {
  readonly url: string;
  /** What opens it, encrypted (signals/transmitter-credentials.ts). */
  readonly credentials: string;
  /** After a failure: not before then. */
  readonly dueAt: number;
  /** The last poll that was answered, to a few minutes. */
  readonly polledAt: number | undefined;
  readonly failures: number;
  readonly failingSince: number | undefined;
  readonly error: string | undefined;
}

export type NewSource = Omit<SignalSource, 'createdAt' | 'verifiedAt' | 'lastSignalAt' | 'pausedAt' | 'poll'> & {
  readonly poll: Pick<Polling, 'url' | 'credentials'> | undefined;
};

const rowOfSource = rowOf(signalSources);

export function sourceOf(row: Row): SignalSource {
  const {
    orgId: _,
    type,
    audience,
    policy,
    stream,
    status,
    verifiedAt,
    lastSignalAt,
    pausedAt,
    ...rest
  } = rowOfSource(row);
  const { pollUrl, credentials, pollDueAt, polledAt, pollFailures, pollFailingSince, pollError, ...own } = rest;
  return {
    ...own,
    type: type as SourceType,
    audience: orAbsent(audience),
    policy: JSON.parse(policy) as Policy,
    stream: stream === null ? undefined : (JSON.parse(stream) as Stream),
    status: orAbsent(status),
    verifiedAt: orAbsent(verifiedAt),
    lastSignalAt: orAbsent(lastSignalAt),
    pausedAt: orAbsent(pausedAt),
    poll:
      pollUrl === null || credentials === null
        ? undefined
        : {
            ...{ url: pollUrl, credentials, dueAt: pollDueAt ?? 0, polledAt: orAbsent(polledAt) },
            ...{ failures: pollFailures, failingSince: orAbsent(pollFailingSince), error: orAbsent(pollError) },
          },
  };
}

/** One of the org, as a condition. */
const one = (store: OrgStore, id: string): SQL => sql`org_id = ${store.org} AND id = ${id}`;

/**
 * @throws Unmet `signal_sources`: the org has as many as it may have.
 * @throws Taken: it has one of this type and issuer.
 */
export async function insertSource(store: OrgStore, source: NewSource, actor: Actor): Promise<void> {
  const { id, type, issuer, jwksUrl, audience, subject, policy, stream, status, poll, createdBy: by } = source;
  await store.write(
    expect(
      'signal_sources',
      sql`(SELECT count(*) FROM signal_sources WHERE org_id = ${store.org}) < CAST(${MAX_SOURCES} AS INTEGER)`,
    ),
    sql`INSERT INTO signal_sources (org_id, id, type, issuer, jwks_url, audience, subject, policy, stream, status, poll_url, credentials, poll_due_at, created_at, created_by)
      SELECT ${store.org}, ${id}, ${type}, ${issuer}, ${jwksUrl}, ${audience ?? null}, ${subject},
        ${JSON.stringify(policy)}, ${stream ? JSON.stringify(stream) : null}, ${status ?? null},
        ${poll?.url ?? null}, ${poll?.credentials ?? null}, ${poll ? store.now : null}, ${store.now}, ${by}`,
    count(store),
    record(store, actor, {
      type: 'signals.added',
      targetId: id,
      details: { by, type, issuer, jwksUrl, subject, ...(poll && { poll: poll.url }) },
    }),
  );
}

/** The oldest first; at most MAX_SOURCES. */
export const selectSources = (store: OrgStore): SQL =>
  sql`SELECT * FROM signal_sources WHERE org_id = ${store.org} ORDER BY created_at, id LIMIT CAST(${MAX_SOURCES} AS INTEGER)`;

/** @param rows what `selectSources` has found. */
export const sourcesIn = (rows: readonly Row[] | undefined): SignalSource[] => rows!.map(sourceOf);

/** One round trip. */
export async function listSources(store: OrgStore): Promise<SignalSource[]> {
  const [rows] = await store.read(selectSources(store));
  return sourcesIn(rows);
}

/** One round trip. */
export async function findSource(store: OrgStore, type: SourceType, issuer: string): Promise<SignalSource | undefined> {
  const [rows] = await store.read(
    sql`SELECT * FROM signal_sources WHERE org_id = ${store.org} AND type = ${type} AND issuer = ${issuer}`,
  );
  return rows![0] && sourceOf(rows![0]);
}

/** @throws Unmet `signal_source`: there is no such source. */
export async function deleteSource(store: OrgStore, id: string, by: string, actor: Actor): Promise<SignalSource> {
  const results = await store.write(
    expect('signal_source', sql`EXISTS (SELECT 1 FROM signal_sources WHERE ${one(store, id)})`),
    sql`SELECT * FROM signal_sources WHERE ${one(store, id)}`,
    count(store),
    record(store, actor, { type: 'signals.removed', targetId: id, details: { by } }),
    sql`DELETE FROM signal_sources WHERE ${one(store, id)}`,
  );
  return sourceOf(results[1]![0]!);
}

/**
 * Pauses the source, or goes on with it.
 *
 * @param credentials what opens its poll from now on, encrypted; absent: as before.
 * @throws Unmet `signal_source`: there is no such source.
 */
export async function switchSource(
  store: OrgStore,
  id: string,
  { isPaused, credentials }: { readonly isPaused: boolean; readonly credentials?: string | undefined },
  by: string,
  actor: Actor,
): Promise<SignalSource> {
  const results = await store.write(
    expect('signal_source', sql`EXISTS (SELECT 1 FROM signal_sources WHERE ${one(store, id)})`),
    count(store),
    record(store, actor, {
      type: isPaused ? 'signals.paused' : 'signals.resumed',
      targetId: id,
      details: { by, ...(credentials !== undefined && { credentials: 'replaced' }) },
    }),
    isPaused
      ? sql`UPDATE signal_sources SET paused_at = ifnull(paused_at, ${store.now}), poll_due_at = NULL WHERE ${one(store, id)}`
      : sql`UPDATE signal_sources SET paused_at = NULL, credentials = ifnull(${credentials ?? null}, credentials),
          poll_due_at = iif(poll_url IS NULL, NULL, ${store.now}), poll_failures = 0, poll_failing_since = NULL, poll_error = NULL
        WHERE ${one(store, id)}`,
    sql`SELECT * FROM signal_sources WHERE ${one(store, id)}`,
  );
  return sourceOf(results.at(-1)![0]!);
}

/** The source that a signal came by was removed or paused: the signal counts for nothing. */
export class SourceGone extends Error {}

/** What a batch changes of its source. */
export interface Noted {
  readonly verified?: boolean;
  readonly status?: string;
}

/**
 * The same store, for what signals of one source ask for. Each batch makes sure that the source is there and not paused. A write
 * uses the signals up, so that each acts once, whatever its sender repeats.
 *
 * @param signals to be used up; none for a store that only reads.
 * @throws (its batches) SourceGone. Taken (`assertions.…`): one of the signals was used up. Unmet `signal_source`.
 */
export function receiving(
  store: OrgStore,
  { id }: Pick<SignalSource, 'id'>,
  signals: readonly Once[],
  { verified, status }: Noted = {},
): OrgStore {
  const isThere = sql`EXISTS (SELECT 1 FROM signal_sources WHERE ${one(store, id)} AND paused_at IS NULL)`;
  const used = JSON.stringify(signals.map(({ hash, validUntil }) => [hash, validUntil]));
  return store.seat(async (kind, statements) => {
    if (kind === 'read') {
      const [found, ...rows] = await store.read(sql`SELECT ${isThere} AS there`, ...statements);
      if (found![0]!['there'] !== 1) throw new SourceGone('the source was removed or paused');
      return rows;
    }
    const leading = [
      expect('signal_source', isThere),
      sql`INSERT INTO assertions (org_id, hash, valid_until)
        SELECT ${store.org}, value ->> 0, value ->> 1 FROM json_each(${used})`,
      sql`UPDATE signal_sources SET last_signal_at = ${store.now}, status = ifnull(${status ?? null}, status),
        verified_at = iif(${verified ? 1 : 0}, ${store.now}, verified_at) WHERE ${one(store, id)}`,
    ];
    const rows = await store.write(...leading, ...statements);
    return rows.slice(leading.length);
  });
}
