/** Users whom a stream leaves out, because its receiver has removed them (SSF 1.0 §8.1.3). */
import { type SQL, sql } from 'drizzle-orm';
import { runBatch, Unmet } from '../d1/batch';
import { eachDatabase, isSpread } from '../d1/databases';
import { expect } from '../d1/expect';
import type { ReceiverStore } from './signal-streams';

/** Users of one stream that it leaves out. */
export const MAX_EXCLUSIONS = 10_000;

/** How a user is found: by one of these. */
export interface Wanted {
  readonly id?: string;
  readonly externalId?: string;
  readonly email?: string;
  /** Of the org, or its slug; absent: of any org of the receiver. */
  readonly org?: string | undefined;
}

/** More than these share an address or an externalId in the orgs of one receiver: it is not acted on. */
const MAX_FOUND = 100;

/**
 * Leaves a user out of the stream, or takes them in again.
 *
 * @returns how many users it was about; undefined: the receiver is of all orgs, and the org has to be said.
 * @throws Unmet `signal_stream`; `found`: there is nobody like that in its orgs; `signal_streams`: it leaves out as many as it may.
 */
export async function includeSubject(
  store: ReceiverStore,
  streamId: string,
  wanted: Wanted,
  isIncluded: boolean,
): Promise<boolean> {
  const isIts = sql`EXISTS (SELECT 1 FROM signal_streams WHERE id = ${streamId} AND receiver_id = ${store.receiver})`;
  const isAll = sql`(SELECT all_orgs FROM signal_receivers WHERE id = ${store.receiver})`;
  const { org } = wanted;
  // Of a receiver of all orgs only one org is looked into: it costs no more where there are more orgs.
  const orgsOf = (receiver: SQL) =>
    org === undefined
      ? sql`SELECT org_id AS id FROM signal_receiver_orgs WHERE receiver_id = ${receiver}`
      : sql`SELECT o.id FROM orgs AS o WHERE o.id = ifnull((SELECT id FROM orgs WHERE id = ${org}), (SELECT id FROM orgs WHERE slug = ${org}))
          AND EXISTS (SELECT 1 FROM signal_lines AS l WHERE l.org_id = o.id AND l.stream_id = ${streamId})`;
  const isWanted =
    wanted.id !== undefined
      ? sql`u.id = ${wanted.id}`
      : wanted.externalId !== undefined
        ? sql`u.external_id = ${wanted.externalId} AND u.deleted_at IS NULL`
        : sql`u.seq IN (SELECT e.user_seq FROM user_emails AS e WHERE e.org_id = o.id AND e.value_key = ${wanted.email ?? ''})`;
  const users = (receiver: SQL) => sql`SELECT u.org_id, u.id FROM (${orgsOf(receiver)}) AS o
    CROSS JOIN users AS u ON u.org_id = o.id AND ${isWanted} LIMIT CAST(${MAX_FOUND} AS INTEGER)`;
  const [[found]] = (await store.read(
    sql`SELECT ${isIts} AS its, ${org === undefined ? isAll : sql`0`} AS is_all`,
  )) as [[{ its: number; is_all: number }]];
  if (found.its === 1 && found.is_all === 1) return false;
  // Where there are several databases, `DB` alone knows the token, and has just checked it.
  const receiver = isSpread(store.databases) ? sql`${store.caller.id}` : store.receiver;
  const hasRoom = expect(
    'signal_streams',
    sql`(SELECT count(*) FROM signal_exclusions WHERE stream_id = ${streamId}) < CAST(${MAX_EXCLUSIONS} AS INTEGER)`,
  );
  const change = isIncluded
    ? [sql`DELETE FROM signal_exclusions WHERE stream_id = ${streamId} AND (org_id, user_id) IN (${users(receiver)})`]
    : [
        hasRoom,
        sql`INSERT OR IGNORE INTO signal_exclusions (org_id, stream_id, user_id) SELECT org_id, ${streamId}, id FROM (${users(receiver)})`,
      ];
  if (!isSpread(store.databases)) {
    await store.write(expect('signal_stream', isIts), expect('found', sql`EXISTS (${users(receiver)})`), ...change);
    return true;
  }
  if (found.its !== 1) throw new Unmet('signal_stream');
  const done = await eachDatabase(store.databases, (db) =>
    runBatch(db, [sql`SELECT 1 FROM (${users(receiver)}) LIMIT 1`, ...change]),
  );
  if (!done.some(([rows]) => rows!.length > 0)) throw new Unmet('found');
  return true;
}
