/** The audit journal: statements that ride in the batch of the change they tell of (promise 6). */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor, Details, EventDraft, EventType } from '../../events';
import { jsonChunks } from '../d1/json-parameters';
import type { OrgStore } from '../org/open';

/** How the org's counters move with an event. */
export interface Count {
  readonly users?: SQL | number;
  readonly activeUsers?: SQL | number;
  readonly groups?: number;
  /** How many events the batch records beyond one; `active_user_count` is still what it was. */
  readonly moreEvents?: SQL;
}

/**
 * The next number of the org's journal, taken together with the counters. Alone, but for `recordEach`, to move that
 * number, so that there is no gap: an aborted batch gives its number back.
 */
export function count(store: OrgStore, { users = 0, activeUsers = 0, groups = 0, moreEvents }: Count = {}): SQL {
  const more = moreEvents ? sql` + ${moreEvents}` : sql``;
  return sql`UPDATE orgs SET event_seq = event_seq + 1${more}, user_count = user_count + ${users},
    active_user_count = active_user_count + ${activeUsers}, group_count = group_count + ${groups} WHERE id = ${store.org}`;
}

/** The details with what the request itself adds to them. */
export function toldBy({ client, quirks: ofRequest = [] }: Actor, details: Details): Details {
  const quirks = [...new Set([...(details.quirks ?? []), ...ofRequest])];
  return { ...details, ...(quirks.length > 0 && { quirks }), client };
}

/** To follow `count` in the same batch. */
export function record(store: OrgStore, actor: Actor, happening: EventDraft, also?: Also): SQL {
  return recordAs(store, actor, happening, sql`${JSON.stringify(toldBy(actor, happening.details))}`, also);
}

/** A second event of the same batch, where a condition on the org holds once its counters have moved. */
export interface Also {
  readonly type: EventType;
  readonly details: SQL;
  /** 1 or 0: as many as `moreEvents` has counted. */
  readonly condition: SQL;
}

/** `record` with details that only the database knows. */
export function recordAs(
  store: OrgStore,
  actor: Actor,
  {
    type,
    targetId,
    publishes = false,
  }: Omit<EventDraft, 'details' | 'type'> & { readonly type: EventType | SQL<EventType> },
  details: SQL,
  also?: Also,
): SQL {
  const one = (seq: SQL, name: EventType | SQL, target: string | null, said: SQL, publishes: boolean) =>
    sql`SELECT id, ${seq}, ${store.now}, ${name}, ${actor.name}, ${store.credential}, ${target},
      ${actor.requestId}, ${said}, ${publishes ? 1 : 0} FROM orgs WHERE id = ${store.org}`;
  const seq = also ? sql`event_seq - ${also.condition}` : sql`event_seq`;
  const first = sql`INSERT INTO ${COLUMNS} ${one(seq, type, targetId ?? null, details, publishes)}`;
  if (also === undefined) return first;
  return sql`${first} UNION ALL ${one(sql`event_seq`, also.type, null, also.details, false)} AND ${also.condition}`;
}

/**
 * One event that the database decides on, and its number: without `count`. The second statement changes one row if there is
 * an event, else none.
 *
 * @param details a query for the `details` of the event; no row: nothing has happened.
 */
export const recordIfAny = (
  store: OrgStore,
  actor: Actor,
  { type, targetId }: Omit<EventDraft, 'details'>,
  details: SQL,
): SQL[] => [
  sql`INSERT INTO ${COLUMNS}
    SELECT orgs.id, orgs.event_seq + 1, ${store.now}, ${type}, ${actor.name}, ${store.credential}, ${targetId ?? null},
      ${actor.requestId}, it.details, 0
    FROM (${details}) AS it CROSS JOIN orgs ON orgs.id = ${store.org}`,
  sql`UPDATE orgs SET event_seq = event_seq + 1 WHERE id = ${store.org} AND changes() > 0`,
];

/** The same thing happened to many: each has an event. How many, the database alone knows. */
export interface RecordEach {
  /** Writes the events, beyond the number that the org has counted to. */
  readonly record: SQL;
  /** Between the other two: a query for the `id`s of their targets. */
  readonly targets: SQL;
  /** Counts them. */
  readonly settle: SQL;
}

/**
 * To follow `count`, whose number stays its event's, or alone where nothing else is told: these have the next numbers.
 *
 * @param targets a query for their `id`s, in the order of the events.
 * @param requestId an expression on `target`; absent: all of them are of one request.
 */
export function recordEach(
  store: OrgStore,
  actor: Actor,
  targets: SQL,
  { type, details, publishes = false }: Omit<EventDraft, 'targetId'>,
  requestId: SQL = sql`${actor.requestId}`,
): RecordEach {
  return {
    record: sql`INSERT INTO ${COLUMNS}
      SELECT orgs.id, orgs.event_seq + row_number() OVER (), ${store.now}, ${type}, ${actor.name}, ${store.credential},
        target.id, ${requestId}, ${JSON.stringify(toldBy(actor, details))}, ${publishes ? 1 : 0}
      FROM (${targets}) AS target CROSS JOIN orgs ON orgs.id = ${store.org}`,
    targets: sql`SELECT target_id AS id FROM events
      WHERE org_id = ${store.org} AND seq > (SELECT event_seq FROM orgs WHERE id = ${store.org})`,
    // Never back: where nobody was meant, the latest events may be gone by their age.
    settle: sql`UPDATE orgs SET event_seq = max(event_seq, ifnull((SELECT max(seq) FROM events WHERE org_id = ${store.org}), 0))
      WHERE id = ${store.org}`,
  };
}

/**
 * Different things that happened in one batch, but for the last of them: that one has a `record` of its own. To follow
 * `count`, which has counted all of them.
 *
 * @param also 1 or 0: whether an event follows the last one.
 */
export function recordBefore(store: OrgStore, actor: Actor, happenings: readonly EventDraft[], also: SQL): SQL[] {
  const numbered = happenings.map(({ details, ...happening }, i) => ({
    ...happening,
    number: happenings.length - i,
    details: toldBy(actor, details),
  }));
  return jsonChunks(numbered).map(
    ({ json }) => sql`INSERT INTO ${COLUMNS}
      SELECT orgs.id, orgs.event_seq - ${also} - (listed.value ->> 'number'), ${store.now}, listed.value ->> 'type',
        ${actor.name}, ${store.credential}, listed.value ->> 'targetId', ${actor.requestId}, listed.value -> 'details',
        ifnull(listed.value ->> 'publishes', 0)
      FROM json_each(${json}) AS listed CROSS JOIN orgs ON orgs.id = ${store.org}`,
  );
}

/**
 * The same event in several orgs, for what is of no org and concerns them. A batch of its own, for which no store is open.
 *
 * @param orgs a query for their `id`s. One that is being imported has no such event.
 */
export const recordInOrgs = (orgs: SQL, actor: Actor, now: number, { type, targetId, details }: EventDraft): SQL[] => [
  sql`UPDATE orgs SET event_seq = event_seq + 1 WHERE id IN (${orgs}) AND importing IS NULL`,
  sql`INSERT INTO ${COLUMNS} SELECT id, event_seq, ${now}, ${type}, ${actor.name}, NULL, ${targetId ?? null},
    ${actor.requestId}, ${JSON.stringify(toldBy(actor, details))}, 0 FROM orgs WHERE id IN (${orgs}) AND importing IS NULL`,
];

/** Bytes of a whole resource that the event of its deletion keeps. */
const MAX_BEFORE = 16_384;

/**
 * Of the event of a deletion, what was deleted: `{"before": …}`. Of a large one its name, and how many bytes are left out.
 *
 * @param resource the column.
 * @param named what is kept of a large one.
 */
export const beforeIn = (resource: SQL, named: SQL): SQL =>
  sql`iif(octet_length(${resource}) <= ${MAX_BEFORE}, json_object('before', json(${resource})),
    json_object('before', ${named}, 'leftOut', json_object('before', octet_length(${resource}))))`;

const COLUMNS = sql.raw(
  'events (org_id, seq, at, type, actor, credential_id, target_id, request_id, details, publishes)',
);

/** Ids that an event names; it counts the rest. */
export const MAX_NOTED = 1_000;
