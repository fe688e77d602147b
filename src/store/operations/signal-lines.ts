/** What streams of signals are still to be sent, org by org, and how that goes: no second copy of the journal. */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor } from '../../events';
import type { Resource } from '../../scim/resource';
import { runBatch } from '../d1/batch';
import { askEach, type Databases, databaseOf, isSpread, mainDatabase } from '../d1/databases';
import { list } from '../d1/incomplete';
import { orAbsent, type Row } from '../d1/rows';
import { type Person, selectPeople } from '../directory/people';
import { count, record } from '../journal/record';
import { openStore } from '../org/open';
import type { Tenant } from '../org/tenant';
import { copyChanges } from './copies';
import {
  type NameChange,
  nameChangesIn,
  type SubjectIssuer,
  selectNameChanges,
  selectSubjectIssuer,
  subjectIssuerIn,
} from './signal-names';
import {
  type ControlEvent,
  HAS_SENDABLE,
  type PushedStream,
  pushedStreamOf,
  queued,
  type ReceiverStore,
  type SignalStream,
  streamOf,
} from './signal-streams';
import { currentKey, type SigningKey, selectSigner, signingKeyOf } from './signing-keys';

/**
 * A place on a line: the number of the event, and which of its tokens. An event has fewer of them, for it names at most
 * 1,000 who joined and 1,000 who left.
 */
export const TOKENS_PER_EVENT = 4_096;
export const placeOf = (seq: number, token: number): number => seq * TOKENS_PER_EVENT + token;
/** Behind all tokens of the event. */
export const endOf = (seq: number): number => placeOf(seq, TOKENS_PER_EVENT - 1);
export const seqOf = (place: number): number => Math.floor(place / TOKENS_PER_EVENT);

/** How far a stream is in one org. Instants are epoch milliseconds. */
export interface SignalLine {
  readonly orgId: string;
  readonly place: number;
  readonly dueAt: number | undefined;
  readonly failures: number;
  readonly failingSince: number | undefined;
  readonly handedOut: HandedOut | undefined;
}

/** What a poll was answered, and is not acknowledged. */
export interface HandedOut {
  readonly places: readonly number[];
  /** Once all of them are acknowledged, everything up to here is delivered. */
  readonly through: number;
}

export interface DueSignalLine extends SignalLine {
  readonly stream: PushedStream;
}

const LINE = sql.raw(`l.org_id AS line_org, l.place AS line_place, l.due_at AS line_due, l.failures AS line_failures,
  l.failing_since AS line_failing, l.handed_out AS line_handed_out`);

const lineOf = (row: Row): SignalLine => ({
  orgId: row['line_org'] as string,
  place: row['line_place'] as number,
  dueAt: orAbsent(row['line_due'] as number | null),
  failures: row['line_failures'] as number,
  failingSince: orAbsent(row['line_failing'] as number | null),
  handedOut: row['line_handed_out'] === null ? undefined : JSON.parse(row['line_handed_out'] as string),
});

const SELECT = sql`SELECT s.*, r.audience, r.algorithm, r.subject, ${LINE} FROM signal_lines AS l
  JOIN signal_streams AS s ON s.id = l.stream_id JOIN signal_receivers AS r ON r.id = s.receiver_id`;

/**
 * All of the org that are pushed, those whose time has not come included. One round trip; two where there are several
 * databases, for `DB` decides about streams.
 */
export async function readDueSignalLines(databases: Databases, orgId: string): Promise<DueSignalLine[]> {
  const [rows] = await runBatch(databaseOf(databases, orgId), [
    sql`${SELECT} WHERE l.org_id = ${orgId} AND l.due_at IS NOT NULL AND l.is_open = 1 AND l.pushes = 1`,
  ]);
  const lines = rows!.map((row) => ({ ...lineOf(row), stream: pushedStreamOf(row) }));
  if (lines.length === 0 || !isSpread(databases)) return lines;
  const [originals] = await runBatch(mainDatabase(databases), [
    sql`SELECT s.*, r.audience, r.algorithm, r.subject FROM json_each(${JSON.stringify(lines.map(({ stream }) => stream.id))}) AS it
      CROSS JOIN signal_streams AS s ON s.id = it.value JOIN signal_receivers AS r ON r.id = s.receiver_id
      WHERE s.method = 'push' AND s.status = 'enabled' AND r.disabled_at IS NULL`,
  ]);
  const streams = new Map(originals!.map((row) => [row['id'] as string, pushedStreamOf(row)]));
  return lines.flatMap((line) => {
    const stream = streams.get(line.stream.id);
    return stream === undefined ? [] : [{ ...line, stream }];
  });
}

/** An event of the journal, as signals are made of it. */
export interface SignalSource {
  readonly seq: number;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly type: string;
  readonly actor: string;
  readonly target: string | undefined;
  readonly requestId: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export interface SourcePage {
  readonly tenant: Tenant;
  readonly events: readonly SignalSource[];
  /** Once all of it is delivered, everything up to here is. */
  readonly through: number;
  /** Nothing follows in the journal. */
  readonly isEnd: boolean;
  /** Events up to this one may be gone, and some of them were not delivered. */
  readonly lostThrough: number | undefined;
}

/** Events that are looked through at once for those of the right types, and those of them that are read. */
const SCANNED = 500;
const READ = 20;

/**
 * The events behind a place. One round trip.
 *
 * @param types of the journal that signals are made of.
 * @throws ScimError 404: the org is gone.
 */
export async function readSources(
  databases: Databases,
  orgId: string,
  place: number,
  types: readonly string[],
): Promise<SourcePage> {
  const store = openStore(databases, { kind: 'id', id: orgId }, Date.now());
  const from = place === endOf(seqOf(place)) ? seqOf(place) + 1 : seqOf(place);
  const recent = sql`SELECT seq, type FROM events WHERE org_id = ${store.org} AND seq >= ${from} ORDER BY seq LIMIT ${SCANNED}`;
  const [heads, ends, rows] = await store.read(
    sql`SELECT pruned_through, event_seq FROM orgs WHERE id = ${store.org}`,
    sql`SELECT max(seq) AS through, count(*) AS n FROM (${recent})`,
    sql`SELECT e.* FROM (SELECT seq FROM (${recent}) WHERE type IN (SELECT value FROM json_each(${JSON.stringify(types)}))
        ORDER BY seq LIMIT ${READ + 1}) AS it
      CROSS JOIN events AS e ON e.org_id = ${store.org} AND e.seq = it.seq ORDER BY e.seq`,
  );
  const [{ pruned_through: pruned, event_seq: current }] = heads as unknown as [
    { pruned_through: number; event_seq: number },
  ];
  const isCut = rows!.length > READ;
  const looked = ends![0]!['n'] === SCANNED ? (ends![0]!['through'] as number) : current;
  const events = rows!.slice(0, READ).map(
    (row): SignalSource => ({
      seq: row['seq'] as number,
      at: row['at'] as number,
      type: row['type'] as string,
      actor: row['actor'] as string,
      target: orAbsent(row['target_id'] as string | null),
      requestId: row['request_id'] as string,
      details: JSON.parse(row['details'] as string) as Record<string, unknown>,
    }),
  );
  return {
    tenant: store.tenant,
    events,
    through: endOf(isCut ? events.at(-1)!.seq : Math.max(looked, from - 1)),
    isEnd: !isCut && looked >= current,
    lostThrough: from <= pruned ? pruned : undefined,
  };
}

/** What tokens say of whom they are about: the present state, and what users were called before. */
export interface Subjects {
  readonly users: ReadonlyMap<string, Person>;
  /** The externalIds of groups that are there. */
  readonly groups: ReadonlyMap<string, string | undefined>;
  /** Users whom the receiver has removed from the stream. */
  readonly excluded: ReadonlySet<string>;
  /** What changed of the names of users since the first event that tells of them. Empty where they are named by `scim`. */
  readonly names: ReadonlyMap<string, readonly NameChange[]>;
  /** Undefined also where nobody is named by `iss_sub`. */
  readonly subjectIssuer: SubjectIssuer | undefined;
  /** What signs; undefined: there is no key. */
  readonly signer: SigningKey | undefined;
}

/**
 * One round trip. Users and groups that are not there are left out.
 *
 * @param since by the ids of users: the first event that tells of them.
 * @param groups ids.
 */
export async function readSubjects(
  databases: Databases,
  orgId: string,
  { id: streamId, algorithm, subject }: Pick<PushedStream, 'id' | 'algorithm' | 'subject'>,
  since: ReadonlyMap<string, number>,
  groups: readonly string[],
): Promise<Subjects> {
  const store = openStore(databases, { kind: 'id', id: orgId }, Date.now());
  const asked = sql`SELECT value FROM json_each(${JSON.stringify([...since.keys()])})`;
  const people = selectPeople(store, sql`SELECT seq FROM users WHERE org_id = ${store.org} AND id IN (${asked})`);
  const isSplit = isSpread(databases);
  const reading = store.read(
    isSplit ? sql`SELECT 1 WHERE false` : selectSigner(algorithm),
    sql`SELECT user_id AS id FROM signal_exclusions WHERE org_id = ${store.org} AND stream_id = ${streamId} AND user_id IN (${asked})`,
    sql`SELECT id, external_id FROM groups WHERE org_id = ${store.org}
      AND id IN (SELECT value FROM json_each(${JSON.stringify(groups)}))`,
    ...people.statements,
    ...(subject === 'scim' ? [] : [selectNameChanges(store, since)]),
    ...(subject === 'iss_sub' ? [selectSubjectIssuer(sql`${store.org}`)] : []),
  );
  const [[signers, left, found, ...rows], key] = await Promise.all([
    reading,
    isSplit ? currentKey(databases, algorithm) : undefined,
  ]);
  const [changes = [], issuers = []] = rows.splice(people.statements.length);
  return {
    users: new Map(people.read(rows).map(({ person }) => [person.id, person])),
    groups: new Map(found!.map((row) => [row['id'] as string, orAbsent(row['external_id'] as string | null)])),
    excluded: new Set(left!.map((row) => row['id'] as string)),
    names: nameChangesIn(changes),
    subjectIssuer: subjectIssuerIn(issuers),
    signer: key ?? (signers![0] && signingKeyOf(signers![0])),
  };
}

/** A user's externalId, if there is one. */
export const externalIdOf = (resource: Resource | undefined): string | undefined =>
  resource?.['externalId'] as string | undefined;

/** The line as it was read: nobody has moved or closed it. */
const isSame = ({ orgId, place, stream }: DueSignalLine): SQL =>
  sql`org_id = ${orgId} AND stream_id = ${stream.id} AND place = ${place} AND is_open = 1`;

/** Whether the org has events behind a place, or tokens of the event that the place is in. */
export const isBehind = (orgId: SQL | string, place: number): SQL =>
  sql`(SELECT event_seq * 4096 + 4095 FROM orgs WHERE id = ${orgId}) > ${place}`;

/** What the receiver said that it cannot read, since the line was last moved. */
export interface Refusals {
  readonly count: number;
  /** What it said of the last one. */
  readonly last: string;
}

const refusedIn = (streamId: string, refusals: Refusals | undefined): SQL[] =>
  refusals === undefined
    ? []
    : [
        sql`UPDATE signal_streams SET refused = refused + ${refusals.count}, last_refusal = ${refusals.last} WHERE id = ${streamId}`,
      ];

/** @param through a place. @returns as `Kind.advance` (webhooks/deliveries.ts). */
export async function advanceSignalLine(
  databases: Databases,
  line: DueSignalLine,
  through: number,
  deliveredAt: number | undefined,
  lostThrough: number | undefined,
  refusals: Refusals | undefined,
): Promise<'more' | 'done' | 'other'> {
  const good =
    deliveredAt === undefined
      ? sql``
      : sql`, delivered_at = ${deliveredAt}, failures = 0, failing_since = NULL, last_error = NULL`;
  const [rows] = await runBatch(databaseOf(databases, line.orgId), [
    // An event that is committed meanwhile is seen here, or finds the line not due, and makes it so.
    sql`UPDATE signal_lines SET place = ${through}${good}, lost_through = ifnull(${lostThrough ?? null}, lost_through),
        due_at = iif(${isBehind(line.orgId, through)}, 0, NULL)
      WHERE ${isSame(line)} RETURNING due_at`,
    ...refusedIn(line.stream.id, refusals),
  ]);
  if (rows!.length === 0) return 'other';
  return rows![0]!['due_at'] === null ? 'done' : 'more';
}

/** A token was not delivered: the line waits. */
export async function pauseSignalLine(
  databases: Databases,
  line: DueSignalLine,
  failed: {
    readonly through: number;
    readonly failures: number;
    readonly since: number;
    readonly error: string;
    readonly until: number;
  },
  refusals: Refusals | undefined,
): Promise<void> {
  const { through, failures, since, error, until } = failed;
  await runBatch(databaseOf(databases, line.orgId), [
    sql`UPDATE signal_lines SET place = ${through}, failures = ${failures}, failing_since = ${since}, last_error = ${error},
      due_at = ${until} WHERE ${isSame(line)}`,
    ...refusedIn(line.stream.id, refusals),
  ]);
}

/** The whole stream waits, until its receiver says otherwise: nothing is dropped. The journal of the org says so. */
export async function pauseStream(
  databases: Databases,
  line: DueSignalLine,
  { through, error, reason, event }: { through: number; error: string; reason: string; event: ControlEvent },
): Promise<void> {
  const store = openStore(databases, { kind: 'id', id: line.orgId }, Date.now());
  const { id, endpointUrl } = line.stream;
  const actor: Actor = { name: 'service', requestId: event.txn ?? crypto.randomUUID() };
  const details = { why: 'failing', error, ...(endpointUrl !== undefined && { host: new URL(endpointUrl).host }) };
  const pausing = [
    sql`UPDATE signal_streams SET reason = ${reason}, ${queued(event)} WHERE id = ${id} AND status = 'enabled'`,
    sql`UPDATE signal_streams SET status = 'paused' WHERE id = ${id} AND status = 'enabled'`,
  ];
  const isSplit = isSpread(databases);
  if (isSplit) await runBatch(mainDatabase(databases), pausing);
  await store.write(
    sql`UPDATE signal_lines SET place = ${through}, last_error = ${error} WHERE ${isSame(line)}`,
    count(store),
    record(store, actor, { type: 'signals.stream_paused', targetId: id, details }),
    ...(isSplit ? [] : pausing),
  );
  if (isSplit) await copyChanges(databases);
}

/** A stream with how its delivery goes, in all orgs together or in one. */
export interface WatchedStream extends SignalStream {
  /** Orgs of which something is still to be sent, and orgs whose latest attempt failed. */
  readonly behind: number;
  readonly failing: number;
  readonly failingSince: number | undefined;
  readonly lastError: string | undefined;
  readonly deliveredAt: number | undefined;
}

const watchedOf = (row: Row): WatchedStream => ({
  ...streamOf(row),
  behind: row['behind'] as number,
  failing: row['failing'] as number,
  failingSince: orAbsent(row['failing_since'] as number | null),
  lastError: orAbsent(row['last_error'] as string | null),
  deliveredAt: orAbsent(row['delivered_at'] as number | null),
});

const WATCHED =
  sql.raw(`count(l.due_at) AS behind, total(l.failures > 0) AS failing, min(l.failing_since) AS failing_since,
  max(l.last_error) AS last_error, max(l.delivered_at) AS delivered_at`);

/** The oldest first. How delivery goes is told by those databases that answer. */
export async function listStreamsOfReceiver(
  databases: Databases,
  receiverId: string,
): Promise<{ readonly streams: readonly WatchedStream[]; readonly incomplete: readonly string[] }> {
  const query = sql`SELECT s.*, ${WATCHED} FROM signal_streams AS s LEFT JOIN signal_lines AS l ON l.stream_id = s.id
    WHERE s.receiver_id = ${receiverId} GROUP BY s.id ORDER BY s.created_at, s.id`;
  if (!isSpread(databases)) {
    const { answers, incomplete } = await list(databases, (db) => runBatch(db, [query]));
    return { streams: answers.flatMap(([rows]) => rows!.map(watchedOf)), incomplete };
  }
  const [[decided], { answers, incomplete }] = await Promise.all([
    runBatch(mainDatabase(databases), [sql`SELECT id, refused FROM signal_streams WHERE receiver_id = ${receiverId}`]),
    list(databases, async (db, isMain) => ({ isMain, rows: (await runBatch(db, [query]))[0]! })),
  ]);
  const isThere = new Set(decided!.map((row) => row['id']));
  const found = new Map<string, WatchedStream>();
  for (const { isMain, rows } of answers) {
    for (const stream of rows.filter(({ id }) => isThere.has(id)).map(watchedOf)) {
      const other = found.get(stream.id);
      found.set(stream.id, other ? together(stream, other, isMain) : stream);
    }
  }
  const streams = [...found.values()].sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
  return { streams, incomplete };
}

/** @param isDecided the first is what `DB` says. */
function together(one: WatchedStream, other: WatchedStream, isDecided: boolean): WatchedStream {
  const latest = (a: number | undefined, b: number | undefined) => (a === undefined || (b ?? 0) > a ? b : a);
  const earliest = (a: number | undefined, b: number | undefined) => (a === undefined || (b ?? a) < a ? b : a);
  return {
    ...(isDecided ? one : other),
    refused: one.refused + other.refused,
    lastRefusal: one.lastRefusal ?? other.lastRefusal,
    behind: one.behind + other.behind,
    failing: one.failing + other.failing,
    failingSince: earliest(one.failingSince, other.failingSince),
    lastError: one.lastError ?? other.lastError,
    deliveredAt: latest(one.deliveredAt, other.deliveredAt),
  };
}

/** What a poll reads first: its stream, the lines of what it acknowledges, and those with something to hand out. */
export interface Polled {
  readonly stream: PushedStream;
  readonly acknowledged: readonly SignalLine[];
  readonly due: readonly SignalLine[];
}

/** Orgs of which one poll is handed out something. */
export const LINES_PER_POLL = 10;

/**
 * One round trip; where there are several databases, one to `DB` and then one to each, side by side.
 *
 * @returns undefined: the receiver has no such stream that is polled.
 */
export async function readPolled(
  store: ReceiverStore,
  streamId: string,
  orgs: readonly string[],
): Promise<Polled | undefined> {
  const its = sql`SELECT s.id FROM signal_streams AS s
    WHERE s.id = ${streamId} AND s.receiver_id = ${store.receiver} AND s.method = 'poll'`;
  const stream = sql`SELECT s.*, r.audience, r.algorithm, r.subject FROM signal_streams AS s JOIN signal_receivers AS r ON r.id = s.receiver_id
    WHERE s.id = (${its})`;
  const linesOf = (id: SQL) => [
    orgs.length === 0
      ? sql`SELECT 1 WHERE false`
      : sql`SELECT ${LINE} FROM json_each(${JSON.stringify(orgs)}) AS it
          CROSS JOIN signal_lines AS l ON l.org_id = it.value AND l.stream_id = ${id} WHERE l.handed_out IS NOT NULL`,
    // Who was handed something out last comes last.
    sql`SELECT ${LINE} FROM signal_lines AS l WHERE l.stream_id = ${id} AND l.due_at IS NOT NULL AND l.is_open = 1
      ORDER BY l.due_at, l.org_id LIMIT CAST(${LINES_PER_POLL + 1} AS INTEGER)`,
  ];
  if (!isSpread(store.databases)) {
    const [streams, acknowledged, due] = await store.read(stream, ...linesOf(sql`(${its})`));
    if (streams![0] === undefined) return undefined;
    return {
      stream: pushedStreamOf(streams![0]),
      acknowledged: acknowledged!.map(lineOf),
      due: due!.map(lineOf),
    };
  }
  const [streams] = await store.read(stream);
  if (streams![0] === undefined) return undefined;
  const found = pushedStreamOf(streams![0]);
  const answers = await askEach(store.databases, (db) => runBatch(db, linesOf(sql`${streamId}`)));
  // A copy of the stream may not know yet that it is paused.
  const due = found.status === 'enabled' ? answers.flatMap(([, rows]) => rows!.map(lineOf)) : [];
  return {
    stream: found,
    acknowledged: answers.flatMap(([rows]) => rows!.map(lineOf)),
    due: due.sort((a, b) => a.dueAt! - b.dueAt!).slice(0, LINES_PER_POLL + 1),
  };
}

/** What becomes of a line by a poll. */
export interface PolledLine {
  /** As it was read. */
  readonly line: SignalLine;
  readonly place: number;
  /** Undefined: everything is acknowledged. */
  readonly handedOut: HandedOut | undefined;
  readonly lostThrough?: number | undefined;
}

/**
 * Moves lines, each unless somebody else has moved it. One round trip; where there are several databases, one more to each of
 * those that hold the lines.
 *
 * @param settled events of the stream itself that were acknowledged.
 */
export async function moveLines(
  store: ReceiverStore,
  { id, control }: SignalStream,
  lines: readonly PolledLine[],
  settled: readonly string[],
  refusals: Refusals | undefined,
): Promise<void> {
  const isVerified = control.some(({ n, uri }) => settled.includes(n) && uri.endsWith('/verification'));
  const statements = lines.map(
    ({ line, place, handedOut, lostThrough }) => sql`UPDATE signal_lines SET place = ${place},
      handed_out = ${handedOut ? JSON.stringify(handedOut) : null}, lost_through = ifnull(${lostThrough ?? null}, lost_through),
      delivered_at = iif(place < ${place}, ${store.now}, delivered_at),
      due_at = iif(is_open = 1, iif(${handedOut ? 1 : 0} OR ${isBehind(line.orgId, place)}, ${store.now}, NULL), NULL)
      WHERE org_id = ${line.orgId} AND stream_id = ${id} AND place = ${line.place}
        AND handed_out IS ${line.handedOut ? JSON.stringify(line.handedOut) : null}`,
  );
  const isSplit = isSpread(store.databases);
  await store.write(
    ...(isSplit ? [] : statements),
    sql`UPDATE signal_streams SET polled_at = ${store.now}, verified_at = iif(${isVerified ? 1 : 0}, ${store.now}, verified_at),
      control = (SELECT json_group_array(json(value)) FROM json_each(control)
        WHERE value ->> '$.n' NOT IN (SELECT value FROM json_each(${JSON.stringify(settled)}))) WHERE id = ${id}`,
    ...refusedIn(id, refusals),
  );
  if (isSplit)
    await Promise.all(lines.map(({ line }, i) => runBatch(databaseOf(store.databases, line.orgId), [statements[i]!])));
}

/** Whether a poll of the stream may have something to hand out. One round trip; two where there are several databases. */
export async function hasTokens(store: ReceiverStore, streamId: string): Promise<boolean> {
  const [rows] = await store.read(
    sql`SELECT ${HAS_SENDABLE} OR EXISTS (SELECT 1 FROM signal_lines AS l
        WHERE l.stream_id = s.id AND l.due_at IS NOT NULL AND l.is_open = 1) AS has
      FROM signal_streams AS s WHERE s.id = ${streamId} AND s.receiver_id = ${store.receiver}`,
  );
  if (rows![0]?.['has'] !== 0 || !isSpread(store.databases)) return rows![0]?.['has'] !== 0;
  const others = await askEach(store.databases, (db) =>
    runBatch(db, [
      sql`SELECT 1 FROM signal_lines WHERE stream_id = ${streamId} AND due_at IS NOT NULL AND is_open = 1 LIMIT 1`,
    ]),
  );
  return others.some(([found]) => found!.length > 0);
}

/** Orgs of which something is to be pushed to streams of this receiver, at most so many. */
export async function orgsToPush(databases: Databases, receiverId: string, limit: number): Promise<string[]> {
  const found = await askEach(databases, (db) =>
    runBatch(db, [
      sql`SELECT DISTINCT l.org_id FROM signal_streams AS s CROSS JOIN signal_lines AS l
        ON l.stream_id = s.id AND l.due_at IS NOT NULL AND l.pushes = 1
      WHERE s.receiver_id = ${receiverId} LIMIT CAST(${limit} AS INTEGER)`,
    ]),
  );
  return found.flatMap(([rows]) => rows!.map((row) => row['org_id'] as string)).slice(0, limit);
}
