/** Sessions of the portal: found by the hash of their cookie, noted as seen, ended. */

import { sql } from 'drizzle-orm';
import { runBatch } from '../d1/batch';
import type { Database } from '../d1/database';
import { type Link, linkOf, NO_ORG } from './links';

/** Milliseconds. A session is over after so long, whatever happens in it … */
export const SESSION_LIFE = 8 * 3_600_000;
/** … and after so long without a request of its person. */
const SESSION_IDLE = 3_600_000;
/** It is noted as seen so often at most. */
const NOTED = 60_000;

/** Instants are epoch milliseconds. */
export interface Session {
  /** Empty: an operator's, for all orgs. */
  readonly orgId: string;
  /** Of the org; empty: an operator's. */
  readonly slug: string;
  readonly link: Link;
  /** When it ends if nothing else happens in it. */
  readonly endsAt: number;
}

/**
 * The session, if it is good now: neither idle for too long nor expired, its link not revoked, its org still there. One
 * round trip.
 *
 * @param isSeen whether this request is its person's, and not one that a page makes by itself.
 */
export async function findSession(
  db: Database,
  orgId: string,
  hash: string,
  now: number,
  isSeen: boolean,
): Promise<Session | undefined> {
  const one = sql`portal_sessions.org_id = ${orgId} AND portal_sessions.hash = ${hash}
    AND portal_sessions.expires_at > ${now} AND portal_sessions.last_seen_at > ${now - SESSION_IDLE}`;
  const [rows] = await runBatch(db, [
    sql`SELECT portal_links.*, orgs.slug, portal_sessions.last_seen_at, portal_sessions.expires_at AS session_expires_at
      FROM portal_sessions
      JOIN portal_links ON portal_links.org_id = portal_sessions.org_id AND portal_links.id = portal_sessions.link_id
      LEFT JOIN orgs ON orgs.id = portal_sessions.org_id AND orgs.importing IS NULL
      WHERE ${one} AND portal_links.revoked_at IS NULL AND (portal_sessions.org_id = ${NO_ORG} OR orgs.id IS NOT NULL)`,
    ...(isSeen
      ? [
          sql`UPDATE portal_sessions SET last_seen_at = ${now} WHERE ${one} AND portal_sessions.last_seen_at <= ${now - NOTED}`,
        ]
      : []),
  ]);
  const row = rows![0];
  if (row === undefined) return undefined;
  const seen = isSeen ? now : (row['last_seen_at'] as number);
  return {
    orgId,
    slug: (row['slug'] as string | null) ?? '',
    link: linkOf(row),
    endsAt: Math.min(row['session_expires_at'] as number, seen + SESSION_IDLE),
  };
}

export async function endSession(db: Database, orgId: string, hash: string): Promise<void> {
  await runBatch(db, [sql`DELETE FROM portal_sessions WHERE org_id = ${orgId} AND hash = ${hash}`]);
}
