/**
 * The streams of a receiver, as its own requests see them: each batch checks the access token, so that no moment lies between the
 * check and the work, and no statement can be given another receiver's stream.
 */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor, EventDraft } from '../../events';
import { forbidden, unauthorized } from '../../scim/error';
import { runBatch, Unmet } from '../d1/batch';
import { type Databases, mainDatabase } from '../d1/databases';
import { expect } from '../d1/expect';
import { orAbsent, type Row, type Rows, rowOf } from '../d1/rows';
import { signalReceivers, signalStreams } from '../d1/tables';
import { recordInOrgs } from '../journal/record';
import { type Algorithm, orgsOfReceiver, type SubjectFormat, tellOthers } from './signal-receivers';

/** Streams of one receiver. */
export const MAX_STREAMS = 5;

/** What an access token may be good for. `ssf.manage` includes the other one. */
export const SCOPES = ['ssf.read', 'ssf.manage'] as const;
export type Scope = (typeof SCOPES)[number];

export type StreamStatus = 'enabled' | 'paused' | 'disabled';

/** An event of the stream itself, which stands in no journal. */
export interface ControlEvent {
  /** Names it in its `jti`. */
  readonly n: string;
  /** The URI of its type. */
  readonly uri: string;
  readonly members: Readonly<Record<string, unknown>>;
  /** When it was asked for; epoch milliseconds. */
  readonly at: number;
  /** The id of the request that caused it, as in the journal. Absent in those of earlier Workers. */
  readonly txn?: string;
}

/** Instants are epoch milliseconds. */
export interface SignalStream {
  readonly id: string;
  readonly receiverId: string;
  readonly issuer: string;
  readonly method: 'push' | 'poll';
  readonly endpointUrl: string | undefined;
  /** Encrypted. */
  readonly authorization: string | undefined;
  /** Undefined: all. */
  readonly eventsRequested: readonly string[] | undefined;
  readonly description: string | undefined;
  readonly status: StreamStatus;
  readonly reason: string | undefined;
  readonly control: readonly ControlEvent[];
  readonly verificationAt: number | undefined;
  readonly verifiedAt: number | undefined;
  readonly refused: number;
  readonly lastRefusal: string | undefined;
  readonly polledAt: number | undefined;
  readonly createdAt: number;
}

/** What a receiver decides of its stream. */
export type StreamDraft = Pick<
  SignalStream,
  'method' | 'endpointUrl' | 'authorization' | 'eventsRequested' | 'description'
>;

const rowOfStream = rowOf(signalStreams);

export function streamOf(row: Row): SignalStream {
  const { eventsRequested, control, controlDueAt: _, ...stream } = rowOfStream(row);
  return {
    ...stream,
    endpointUrl: orAbsent(stream.endpointUrl),
    authorization: orAbsent(stream.authorization),
    eventsRequested: eventsRequested === null ? undefined : JSON.parse(eventsRequested),
    description: orAbsent(stream.description),
    reason: orAbsent(stream.reason),
    control: JSON.parse(control),
    verificationAt: orAbsent(stream.verificationAt),
    verifiedAt: orAbsent(stream.verifiedAt),
    lastRefusal: orAbsent(stream.lastRefusal),
    polledAt: orAbsent(stream.polledAt),
  };
}

/** The receiver that a token turned out to be of. */
export interface Caller {
  readonly id: string;
  readonly name: string;
  readonly audience: string;
  readonly algorithm: Algorithm;
}

interface Found extends Caller {
  readonly may: number;
}

/** What one request of a receiver may read and write. */
export class ReceiverStore {
  /** Stands for the receiver's id: NULL, which equals nothing, when the token is not good for the scope. */
  readonly receiver: SQL;
  readonly #good: SQL;
  #caller: Caller | undefined;
  #isChecked = false;

  /** @param hash of the token. */
  constructor(
    readonly databases: Databases,
    hash: string,
    private readonly scope: Scope,
    readonly now: number,
  ) {
    this.#good = sql`FROM signal_receiver_tokens AS t JOIN signal_receivers AS r ON r.id = t.receiver_id
      WHERE t.hash = ${hash} AND t.valid_until > ${now} AND r.disabled_at IS NULL`;
    this.receiver = sql`(SELECT r.id ${this.#good} AND ${this.#may})`;
  }

  get #may(): SQL {
    return sql`EXISTS (SELECT 1 FROM json_each(t.scopes) WHERE value IN (${this.scope}, 'ssf.manage'))`;
  }

  /** As the latest batch found it. */
  get caller(): Caller {
    if (this.#caller === undefined) throw new Error('the receiver is asked for before a batch has found it');
    return this.#caller;
  }

  /** Whether a batch has checked the token. It has refused one that is not good. */
  get isChecked(): boolean {
    return this.#isChecked;
  }

  get #lookup(): SQL<Found> {
    return sql<Found>`SELECT r.id, r.name, r.audience, r.algorithm, ${this.#may} AS may ${this.#good}`;
  }

  #admit(row: Found | undefined): void {
    this.#isChecked = true;
    if (row === undefined) throw unauthorized();
    if (row.may !== 1) throw forbidden(`The token has not the scope ${this.scope}`);
    const { may: _, ...caller } = row;
    this.#caller = caller;
  }

  /** One round trip, to `DB`. @throws ScimError 401, 403. */
  async read<S extends readonly SQL[]>(...statements: S): Promise<Rows<S>> {
    const [found, ...rows] = await runBatch(mainDatabase(this.databases), [this.#lookup, ...statements]);
    this.#admit(found![0]);
    return rows as Rows<S>;
  }

  /** One round trip to `DB`, atomic. @throws ScimError 401, 403. Unmet. */
  async write<S extends readonly SQL[]>(...statements: S): Promise<Rows<S>> {
    try {
      const guard = expect('receiver', sql`${this.receiver} IS NOT NULL`);
      const [found, , ...rows] = await runBatch(mainDatabase(this.databases), [this.#lookup, guard, ...statements]);
      this.#admit(found![0]);
      return rows as Rows<S>;
    } catch (error) {
      // What was refused after the guard was refused to a good caller.
      if (error instanceof Unmet && error.expectation !== 'receiver') this.#isChecked = true;
      if (!(error instanceof Unmet) || error.expectation !== 'receiver') throw error;
      await this.read(); // says which refusal it is
      throw unauthorized();
    }
  }
}

/** One of the caller's, as a condition. */
const one = (store: ReceiverStore, id: string): SQL => sql`id = ${id} AND receiver_id = ${store.receiver}`;
const isThere = (store: ReceiverStore, id: string): SQL =>
  expect('signal_stream', sql`EXISTS (SELECT 1 FROM signal_streams WHERE ${one(store, id)})`);

const noted = (store: ReceiverStore, actor: Actor, event: EventDraft): SQL[] =>
  recordInOrgs(orgsOfReceiver(store.receiver), actor, store.now, event);

/** The same in the orgs of the other databases, with the change of the stream. */
const tell = (store: ReceiverStore, actor: Actor, event: EventDraft): Promise<void> =>
  tellOthers(store.databases, recordInOrgs(orgsOfReceiver(store.caller.id), actor, store.now, event));

/** The oldest first. One round trip. */
export async function listStreams(store: ReceiverStore): Promise<SignalStream[]> {
  const [rows] = await store.read(
    sql`SELECT * FROM signal_streams WHERE receiver_id = ${store.receiver}
      ORDER BY created_at, id LIMIT CAST(${MAX_STREAMS} AS INTEGER)`,
  );
  return rows!.map(streamOf);
}

/** One round trip. @returns undefined also for another receiver's. */
export async function findStream(store: ReceiverStore, id: string): Promise<SignalStream | undefined> {
  const [rows] = await store.read(sql`SELECT * FROM signal_streams WHERE ${one(store, id)}`);
  return rows![0] && streamOf(rows![0]);
}

/** It is sent what happens from now on, in each org of the receiver (a trigger makes its lines). @throws Unmet `signal_streams`. */
export async function insertStream(
  store: ReceiverStore,
  id: string,
  issuer: string,
  draft: StreamDraft,
  actor: Actor,
): Promise<SignalStream> {
  const { method, endpointUrl, authorization, eventsRequested, description } = draft;
  const event: EventDraft = { type: 'signals.stream_created', targetId: id, details: hostOf(draft) };
  const results = await store.write(
    expect(
      'signal_streams',
      sql`(SELECT count(*) FROM signal_streams WHERE receiver_id = ${store.receiver}) < CAST(${MAX_STREAMS} AS INTEGER)`,
    ),
    ...noted(store, actor, event),
    sql`INSERT INTO signal_streams (id, receiver_id, issuer, method, endpoint_url, authorization, events_requested, description,
        status, created_at)
      SELECT ${id}, ${store.receiver}, ${issuer}, ${method}, ${endpointUrl ?? null}, ${authorization ?? null},
        ${eventsRequested ? JSON.stringify(eventsRequested) : null}, ${description ?? null}, 'enabled', ${store.now}`,
    sql`SELECT * FROM signal_streams WHERE ${one(store, id)}`,
  );
  await tell(store, actor, event);
  return streamOf(results.at(-1)![0]!);
}

/** An operator may see where it goes; what else an address holds may be secret. */
const hostOf = ({ method, endpointUrl }: Pick<StreamDraft, 'method' | 'endpointUrl'>) => ({
  method,
  ...(endpointUrl !== undefined && { host: new URL(endpointUrl).host }),
});

/** @throws Unmet `signal_stream`: there is none, or it is another receiver's. */
export async function changeStream(
  store: ReceiverStore,
  id: string,
  draft: StreamDraft,
  actor: Actor,
): Promise<SignalStream> {
  const { method, endpointUrl, authorization, eventsRequested, description } = draft;
  const event: EventDraft = { type: 'signals.stream_changed', targetId: id, details: hostOf(draft) };
  const results = await store.write(
    isThere(store, id),
    ...noted(store, actor, event),
    // What is under way is made anew by each poll: of other events it would not be the same.
    sql`UPDATE signal_lines SET handed_out = NULL WHERE stream_id IN (SELECT id FROM signal_streams WHERE ${one(store, id)}
      AND events_requested IS NOT ${eventsRequested ? JSON.stringify(eventsRequested) : null})`,
    sql`UPDATE signal_streams SET authorization = ${authorization ?? null}, description = ${description ?? null},
      events_requested = ${eventsRequested ? JSON.stringify(eventsRequested) : null} WHERE ${one(store, id)}`,
    // A trigger begins anew with it, so only where it is another one.
    sql`UPDATE signal_streams SET method = ${method}, endpoint_url = ${endpointUrl ?? null},
        control_due_at = iif(${method} = 'push' AND control <> '[]', 0, NULL)
      WHERE ${one(store, id)} AND (method <> ${method} OR endpoint_url IS NOT ${endpointUrl ?? null})`,
    sql`SELECT * FROM signal_streams WHERE ${one(store, id)}`,
  );
  await tell(store, actor, event);
  return streamOf(results.at(-1)![0]!);
}

/** With what was still to be sent. @throws Unmet `signal_stream`. */
export async function deleteStream(store: ReceiverStore, id: string, actor: Actor): Promise<void> {
  const event: EventDraft = { type: 'signals.stream_deleted', targetId: id, details: {} };
  await store.write(
    isThere(store, id),
    ...noted(store, actor, event),
    sql`DELETE FROM signal_streams WHERE ${one(store, id)}`,
  );
  await tell(store, actor, event);
}

/** What an UPDATE of `signal_streams` sets to have this sent; it takes the place of one of its type. */
export const queued = (event: ControlEvent): SQL => sql`control = (SELECT json_group_array(json(value)) FROM (
    SELECT value FROM json_each(control) WHERE value ->> '$.uri' <> ${event.uri} UNION ALL SELECT ${JSON.stringify(event)})),
  control_due_at = iif(method = 'push', 0, NULL)`;

/**
 * As the receiver asks, so that no event tells it (SSF 1.0 §8.1.2). A disabled stream holds nothing.
 *
 * @throws Unmet `signal_stream`.
 */
export async function setStatus(
  store: ReceiverStore,
  id: string,
  status: StreamStatus,
  reason: string | undefined,
  actor: Actor,
): Promise<SignalStream> {
  const results = await store.write(
    isThere(store, id),
    ...noted(store, actor, { type: 'signals.stream_changed', targetId: id, details: { status } }),
    sql`UPDATE signal_streams SET reason = ${reason ?? null},
        control = iif(${status} = 'disabled', '[]', control), control_due_at = iif(${status} = 'disabled', NULL, control_due_at)
      WHERE ${one(store, id)}`,
    sql`UPDATE signal_streams SET status = ${status} WHERE ${one(store, id)} AND status <> ${status}`,
    sql`SELECT * FROM signal_streams WHERE ${one(store, id)}`,
  );
  await tell(store, actor, { type: 'signals.stream_changed', targetId: id, details: { status } });
  return streamOf(results.at(-1)![0]!);
}

/**
 * Queues the event, unless the stream is disabled: such a stream drops what happens.
 *
 * @param before it must have been asked for before this instant, or never.
 * @returns `queued`: it will be sent; an instant: when it was asked for last, which is too short ago.
 * @throws Unmet `signal_stream`.
 */
export async function askVerification(
  store: ReceiverStore,
  id: string,
  event: ControlEvent,
  before: number,
): Promise<'queued' | 'disabled' | number> {
  const [, rows, changed] = await store.write(
    isThere(store, id),
    sql<{
      at: number;
      status: StreamStatus;
    }>`SELECT verification_at AS at, status FROM signal_streams WHERE ${one(store, id)}`,
    sql`UPDATE signal_streams SET ${queued(event)}, verification_at = ${store.now}
      WHERE ${one(store, id)} AND ifnull(verification_at, 0) <= ${before} AND status <> 'disabled' RETURNING id`,
  );
  if (changed!.length > 0) return 'queued';
  const { at, status } = rows[0]!;
  return status === 'disabled' ? 'disabled' : at;
}

/** One that is pushed to, with what its receiver is. */
export interface PushedStream extends SignalStream {
  readonly audience: string;
  readonly algorithm: Algorithm;
  readonly subject: SubjectFormat;
}

const rowOfReceiver = rowOf(signalReceivers, 'audience', 'algorithm', 'subject');

export const pushedStreamOf = (row: Row): PushedStream => ({ ...streamOf(row), ...rowOfReceiver(row) });

/** What the service itself has changed about a stream is told in any status (SSF 1.0 §8.1.5), all else while it is enabled. */
const UPDATED = '/stream-updated';

/** The stream's own events that may be sent now. */
export const sendable = ({ control, status }: Pick<SignalStream, 'control' | 'status'>): readonly ControlEvent[] =>
  status === 'enabled' ? control : control.filter(({ uri }) => uri.endsWith(UPDATED));

/** Whether there is one, of the stream `s`. */
export const HAS_SENDABLE: SQL = sql`(CASE WHEN s.status = 'enabled' THEN s.control <> '[]'
  ELSE EXISTS (SELECT 1 FROM json_each(s.control) WHERE value ->> '$.uri' LIKE ${`%${UPDATED}`}) END)`;

/** Streams whose own events are to be pushed now. */
export async function streamsWithControl(databases: Databases, now: number, limit: number): Promise<string[]> {
  const [rows] = await runBatch(mainDatabase(databases), [
    sql<{
      id: string;
    }>`SELECT s.id FROM signal_streams AS s JOIN signal_receivers AS r ON r.id = s.receiver_id AND r.disabled_at IS NULL
      WHERE s.control_due_at IS NOT NULL AND s.control_due_at <= ${now} AND ${HAS_SENDABLE}
      ORDER BY s.control_due_at LIMIT CAST(${limit} AS INTEGER)`,
  ]);
  return rows.map(({ id }) => id);
}

/** Undefined also while its receiver is switched off. */
export async function readPushedStream(databases: Databases, id: string): Promise<PushedStream | undefined> {
  const [rows] = await runBatch(mainDatabase(databases), [
    sql`SELECT s.*, r.audience, r.algorithm, r.subject FROM signal_streams AS s JOIN signal_receivers AS r ON r.id = s.receiver_id
      WHERE s.id = ${id} AND s.method = 'push' AND r.disabled_at IS NULL`,
  ]);
  return rows![0] && pushedStreamOf(rows![0]);
}

/** These are delivered, or given up: what is left of them is tried again then. */
export async function settleControl(
  databases: Databases,
  id: string,
  done: readonly string[],
  { verifiedAt, refusal, dueAt }: { verifiedAt?: number; refusal?: string; dueAt: number },
): Promise<void> {
  const rest = sql`(SELECT json_group_array(json(value)) FROM json_each(control)
    WHERE value ->> '$.n' NOT IN (SELECT value FROM json_each(${JSON.stringify(done)})))`;
  await runBatch(mainDatabase(databases), [
    sql`UPDATE signal_streams SET control = ${rest}, verified_at = ifnull(${verifiedAt ?? null}, verified_at),
        last_refusal = ifnull(${refusal ?? null}, last_refusal),
        control_due_at = iif(method = 'push' AND ${rest} <> '[]', ${dueAt}, NULL) WHERE id = ${id}`,
  ]);
}
