/**
 * Where sessions are ended. Whatever ends them (promise 2) raises the same `validAfter`, of users or of their org, and asks
 * for its publication in the same batch; the event that tells of it `publishes`.
 */
import { type SQL, sql } from 'drizzle-orm';
import { endCauseOf, endCauseText } from '../../end-cause';
import type { Actor, Details } from '../../events';
import type { Row } from '../d1/rows';
import type { OrgStore } from '../org/open';
import { publishLater, WHOLE_ORG } from './outbox';
import { recordEach } from './record';

/** D1's clock in epoch milliseconds. */
export const CLOCK = sql.raw(`CAST(unixepoch('subsec') * 1000 AS INTEGER)`);

/**
 * Never lowered, and not before the moment of the commit: a request may have waited since it began, and a session issued
 * meanwhile must die too. Nor before the request by its own clock, which may be ahead of D1's.
 */
const raised = (store: OrgStore): SQL => sql`max(ifnull(not_before, 0), ${store.now}, ${CLOCK})`;

/**
 * What an UPDATE of users or orgs sets where it ends their sessions, with the cause (end-cause.ts).
 *
 * @param until epoch milliseconds: sessions that were issued later stay; absent: all until now are over.
 */
export const ended = (store: OrgStore, actor: Actor, until?: number): SQL => endedAs(store, causeOf(actor), until);

const endedAs = (store: OrgStore, cause: SQL, until?: number): SQL =>
  sql`not_before = ${until === undefined ? raised(store) : sql`max(ifnull(not_before, 0), ${until})`}, ended_by = ${cause}`;

const causeOf = (actor: Actor): SQL => sql`${endCauseText(endCauseOf(actor))}`;

/** Of a user who is deactivated, a sign-out ends no session: the application still tells why the user was deactivated. */
const causeOfSignOut = (actor: Actor): SQL =>
  sql`iif(active = 0, ifnull(ended_by, ${causeOf(actor)}), ${causeOf(actor)})`;

/** One user, or WHOLE_ORG, where a query for ids is expected. */
export const only = (userId: string): SQL => sql`SELECT ${userId} AS id`;

/**
 * Every session of these users issued until now is dead.
 *
 * @param whose a query for the `id`s of users of the org.
 * @param until as in `ended`.
 * @param cause an expression on the user.
 */
export const endSessions = (
  store: OrgStore,
  actor: Actor,
  whose: SQL,
  until?: number,
  cause: SQL = causeOf(actor),
): SQL[] => [
  sql`UPDATE users SET ${endedAs(store, cause, until)} WHERE org_id = ${store.org} AND id IN (SELECT id FROM (${whose}))`,
  publishLater(store, whose),
];

/** The same of everybody of the org: one row, and one key in KV, however many people there are. */
export const endAllSessions = (store: OrgStore, actor: Actor): SQL[] => [
  sql`UPDATE orgs SET ${ended(store, actor)} WHERE id = ${store.org}`,
  publishLater(store, only(WHOLE_ORG)),
];

/** As many are published one by one before the answer; of more, the coordinator publishes what waits. */
export const FEW = 50;

/**
 * Signs these users out, each with an event of its own; if they are nobody, nothing happens. To follow `count` and the
 * event of the change that is the cause.
 *
 * @param whose a query for the `id`s of live users of the org, asked before anything here is written.
 * @param until as in `ended`.
 * @param requestId as in `recordEach`.
 * @returns the rows of the first statement are who it is: see `signedOut`.
 */
export function signOut(
  store: OrgStore,
  actor: Actor,
  whose: SQL,
  details: Details,
  until?: number,
  requestId?: SQL,
): SQL[] {
  const event = { type: 'user.signed_out', details, publishes: true } as const;
  const { record, targets, settle } = recordEach(store, actor, whose, event, requestId);
  return [
    sql`SELECT id FROM (${whose}) LIMIT ${FEW + 1}`,
    record,
    ...endSessions(store, actor, targets, until, causeOfSignOut(actor)),
    settle,
  ];
}

/** The ids of who was signed out; more than FEW stand for many. */
export const signedOut = (rows: Row[] | undefined): string[] => (rows ?? []).map((row) => row['id'] as string);
