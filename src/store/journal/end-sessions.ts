/**
 * Where sessions are ended. Whatever ends them (promise 2) raises the same not-before, of users or of their org, and asks
 * for its publication in the same batch; the event that tells of it `publishes`.
 */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor, Details } from '../../events';
import type { Row } from '../d1/batch';
import type { OrgStore } from '../org/open';
import { publishLater, WHOLE_ORG } from './outbox';
import { recordEach } from './record';

/** D1's clock in epoch milliseconds. */
export const CLOCK = sql.raw(`CAST(unixepoch('subsec') * 1000 AS INTEGER)`);

/**
 * Never lowered, and not before the moment of the commit: a request may have waited since it began, and a session issued
 * meanwhile must die too. Nor before the request by its own clock, which may be ahead of D1's.
 */
export const raised = (store: OrgStore): SQL => sql`max(ifnull(not_before, 0), ${store.now}, ${CLOCK})`;

/** One user, or WHOLE_ORG, where a query for ids is expected. */
export const only = (userId: string): SQL => sql`SELECT ${userId} AS id`;

/**
 * Every session of these users issued until now is dead.
 *
 * @param whose a query for the `id`s of users of the org.
 */
export const endSessions = (store: OrgStore, whose: SQL): SQL[] => [
  sql`UPDATE users SET not_before = ${raised(store)} WHERE org_id = ${store.org} AND id IN (SELECT id FROM (${whose}))`,
  publishLater(store, whose),
];

/** The same of everybody of the org: one row, and one key in KV, however many people there are. */
export const endAllSessions = (store: OrgStore): SQL[] => [
  sql`UPDATE orgs SET not_before = ${raised(store)} WHERE id = ${store.org}`,
  publishLater(store, only(WHOLE_ORG)),
];

/** As many are published one by one before the answer; of more, the coordinator publishes what waits. */
export const FEW = 50;

/**
 * Signs these users out, each with an event of its own; if they are nobody, nothing happens. To follow `count` and the
 * event of the change that is the cause.
 *
 * @param whose a query for the `id`s of live users of the org, asked before anything here is written.
 * @returns the rows of the first statement are who it is: see `signedOut`.
 */
export function signOut(store: OrgStore, actor: Actor, whose: SQL, details: Details): SQL[] {
  const { record, targets, settle } = recordEach(store, actor, whose, {
    type: 'user.signed_out',
    details,
    publishes: true,
  });
  return [sql`SELECT id FROM (${whose}) LIMIT ${FEW + 1}`, record, ...endSessions(store, targets), settle];
}

/** The ids of who was signed out; more than FEW stand for many. */
export const signedOut = (rows: Row[] | undefined): string[] => (rows ?? []).map((row) => row['id'] as string);
