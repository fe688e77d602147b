/** What time does to credentials, across orgs and for the cron: warnings before they expire, and the removal of what is long over. */
import { type SQL, sql } from 'drizzle-orm';
import { DAY } from '../../duration';
import type { Actor } from '../../events';
import { runBatch } from '../d1/batch';
import { isoText } from '../d1/instants';

const HOUR = 3_600_000;

/** What a client was given for a while stays a week: the journal names it, and a late use of it is explained. */
const KEEP_GIVEN = 7 * DAY;
const KEEP_GRANT = 30 * DAY;
const KEEP_LINK = 30 * DAY;
const KEEP_REFUSALS = 30;
/** Longer than any tolerance for a client's clock: an assertion must not be good again because it was forgotten. */
const KEEP_ASSERTION = HOUR;

/**
 * Tells of current credentials that expire within 20, 7 or 1 days: of each once per threshold, and only of the nearest.
 * Mark and event in one batch, so that a crash neither repeats nor loses one; whoever replaced it meanwhile is not told.
 *
 * @param limit how many at most, those that expire first: the next run goes on.
 * @returns how many were told of.
 */
export async function warnOfExpiry(db: D1Database, actor: Actor, now: number, limit: number): Promise<number> {
  const days = sql`CASE WHEN valid_until <= ${now + DAY} THEN 1 WHEN valid_until <= ${now + 7 * DAY} THEN 7 ELSE 20 END`;
  // The numbers of a half imported journal are those of its file. Of an org that is moved just now, the credentials are in
  // two databases: where it arrives it is told.
  const hasJournal = sql`EXISTS (SELECT 1 FROM orgs WHERE orgs.id = credentials.org_id AND importing IS NULL
    AND NOT EXISTS (SELECT 1 FROM frozen_orgs WHERE frozen_orgs.org_id = orgs.id))`;
  // The same ones in each statement, for only the last one changes what this asks for.
  const due = sql`SELECT id, org_id, kind, subject, mask, generation, valid_until, ${days} AS days,
      row_number() OVER (PARTITION BY org_id ORDER BY valid_until, id) AS place
    FROM (SELECT * FROM credentials WHERE kind IN ('token', 'basic', 'oauth_client')
      AND valid_until > ${now} AND valid_until <= ${now + 20 * DAY} AND generation > 0
      AND revoked_at IS NULL AND replaced_at IS NULL AND ${hasJournal} AND (warned_days IS NULL OR warned_days > ${days})
      ORDER BY valid_until, id LIMIT ${limit})`;
  const [, , marked] = await runBatch(db, [
    sql`INSERT INTO events (org_id, seq, at, type, actor, target_id, request_id, details)
      SELECT orgs.id, orgs.event_seq + due.place, ${now},
        CASE due.kind WHEN 'oauth_client' THEN 'client' ELSE due.kind END || '.expiring', ${actor.name}, due.id,
        ${actor.requestId}, json_object('mask', due.mask, 'generation', due.generation, 'days', due.days,
          'validUntil', ${isoText(sql`due.valid_until`)},
          'oauthClient', nullif(due.subject, ''))
      FROM (${due}) AS due JOIN orgs ON orgs.id = due.org_id`,
    sql`UPDATE orgs SET event_seq = event_seq + told.n
      FROM (SELECT org_id, count(*) AS n FROM (${due}) GROUP BY org_id) AS told WHERE orgs.id = told.org_id`,
    sql`UPDATE credentials SET warned_days = due.days FROM (${due}) AS due WHERE credentials.id = due.id
      RETURNING credentials.id`,
  ]);
  return marked!.length;
}

/**
 * Removes what nobody can use or ask for any more. A grant is removed when no token of it is left: one that still has some is
 * looked at again a month later, so that the grants in use are not gone through in every run.
 *
 * @param limit how many rows of each table at most: the next run goes on.
 * @param assertions the same of assertions and signals that were used.
 */
export async function removeExpired(db: D1Database, now: number, limit: number, assertions = limit): Promise<void> {
  const dueGrants = sql`(org_id, id) IN (SELECT org_id, id FROM grants
    WHERE review_at <= ${now} OR (review_at IS NULL AND approved_at <= ${now - KEEP_GRANT}) LIMIT ${limit})`;
  const hasTokens = sql`EXISTS (SELECT 1 FROM credentials
    WHERE credentials.org_id = grants.org_id AND credentials.grant_id = grants.id)`;
  await runBatch(db, [
    some(
      'credentials',
      'id',
      sql`kind IN ('oauth_access', 'oauth_refresh') AND valid_until <= ${now - KEEP_GIVEN}`,
      limit,
    ),
    some('assertions', 'org_id, hash', sql`valid_until <= ${now - KEEP_ASSERTION}`, assertions),
    some(
      'refusals',
      'org_id, day, reason, hint, credential_id, client, address',
      sql`day < ${Math.floor(now / DAY) - KEEP_REFUSALS}`,
      limit,
    ),
    // A link that is over is listed for a while; its session, of hours, is over long before.
    some('portal_sessions', 'org_id, hash', sql`expires_at <= ${now}`, limit),
    some('portal_links', 'org_id, id', sql`expires_at <= ${now - KEEP_LINK}`, limit),
    some(
      'attribute_counts',
      'org_id, day, resource_type, name, is_ignored',
      sql`day < ${Math.floor(now / DAY) - KEEP_REFUSALS}`,
      limit,
    ),
    some('traffic', 'org_id, day, operation', sql`day < ${Math.floor(now / DAY) - KEEP_REFUSALS}`, limit),
    sql`DELETE FROM grants WHERE ${dueGrants} AND NOT ${hasTokens}`,
    sql`UPDATE grants SET review_at = ${now + KEEP_GRANT} WHERE ${dueGrants} AND ${hasTokens}`,
  ]);
}

/** Removes so many rows at once: a flood of them must not make one batch take longer than D1 allows. */
function some(table: string, key: string, isOver: SQL, limit: number): SQL {
  const [from, columns] = [sql.raw(table), sql.raw(key)];
  return sql`DELETE FROM ${from} WHERE (${columns}) IN (SELECT ${columns} FROM ${from} WHERE ${isOver} LIMIT ${limit})`;
}
