/**
 * What an org's offboarding finds and does: who is attached, and their deactivation, chunk by chunk. Attached is whom the
 * identity provider has brought or taken over; accounts that only the application knows are its own, and stay as they are.
 */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor } from '../../events';
import type { Resource } from '../../scim/resource';
import { expect } from '../d1/expect';
import { isoText } from '../d1/instants';
import { endSessions } from '../journal/end-sessions';
import { recordEach } from '../journal/record';
import { isGood } from '../org/caller';
import type { OrgStore } from '../org/open';

/** As the index `users_unlinked` has it. */
const UNLINKED = `origin = 'host' AND linked_at IS NULL AND deleted_at IS NULL`;
const IS_ATTACHED = `NOT (origin = 'host' AND linked_at IS NULL)`;

export interface Offboarding {
  readonly attached: { readonly total: number; readonly active: number };
  /** Attached accounts that are active and stay it. */
  readonly protected: number;
  readonly unlinked: { readonly total: number; readonly active: number };
  /** Publications that wait. */
  readonly pending: number;
  /** The latest of what hosts were told is that everybody is signed out. */
  readonly isSignedOut: boolean;
  /** Good ones. */
  readonly tokens: number;
  readonly passwords: number;
  readonly clients: readonly string[];
}

/** Counts, but for the latest event that was published. */
interface Standing {
  readonly unlinked: number;
  readonly unlinked_active: number;
  readonly protected: number;
  readonly pending: number;
  readonly told: string | null;
  readonly tokens: number;
  readonly passwords: number;
}

/** Reads the accounts that are unlinked or protected one by one, and of the others nothing. One round trip. */
export async function readOffboarding(store: OrgStore): Promise<Offboarding> {
  const one = (sentence: SQL) => sql<Standing>`SELECT ${sentence} FROM orgs WHERE id = ${store.org}`;
  const good = (kind: string) => sql`(SELECT count(*) FROM credentials WHERE org_id = ${store.org} AND kind = ${kind}
    AND subject = '' AND generation <> 0 AND ${isGood(store.now)})`;
  const [found, clients] = await store.read(
    one(sql`${count(store, UNLINKED)} AS unlinked, ${count(store, `${UNLINKED} AND active = 1`)} AS unlinked_active,
      ${protectedActive(store)} AS protected,
      (SELECT count(DISTINCT user_id) FROM outbox WHERE org_id = ${store.org}) AS pending,
      (SELECT type FROM events WHERE org_id = ${store.org} AND publishes = 1 ORDER BY seq DESC LIMIT 1) AS told,
      ${good('token')} AS tokens, ${good('basic')} AS passwords`),
    sql<{ id: string }>`SELECT id FROM oauth_clients WHERE org_id = ${store.org} ORDER BY id`,
  );
  const row = found[0]!;
  const { userCount, activeUserCount } = store.tenant;
  const unlinked = { total: row.unlinked, active: row.unlinked_active };
  return {
    attached: { total: userCount - unlinked.total, active: activeUserCount - unlinked.active },
    protected: row.protected,
    unlinked,
    pending: row.pending,
    isSignedOut: row.told === 'org.signed_out',
    tokens: row.tokens,
    passwords: row.passwords,
    clients: clients.map(({ id }) => id),
  };
}

const count = (store: OrgStore, condition: string): SQL =>
  sql`(SELECT count(*) FROM users WHERE org_id = ${store.org} AND ${sql.raw(condition)})`;
const protectedActive = (store: OrgStore) =>
  count(store, `protected = 1 AND active = 1 AND deleted_at IS NULL AND ${IS_ATTACHED}`);

export interface Attached {
  readonly id: string;
  readonly resource: Resource;
  readonly isActive: boolean;
  readonly isProtected: boolean;
}

/** A user who was gone through. */
interface Scanned {
  readonly seq: number;
  readonly id: string;
  readonly active: number;
  readonly protected: number;
  readonly resource: string;
}

/** Users that one page or chunk goes through, meant or not. */
const MAX_SCANNED = 2_000;

/** @param after the cursor. @returns undefined for `next` at the end. One round trip. */
export async function listAttached(
  store: OrgStore,
  after: number,
  limit: number,
): Promise<{ readonly users: Attached[]; readonly next: number | undefined }> {
  const scanned = scan(store, after, ', resource');
  const [rows, ends] = await store.read(
    sql<Scanned>`SELECT seq, id, active, protected, resource FROM (${scanned}) WHERE ${sql.raw(IS_ATTACHED)} ORDER BY seq LIMIT ${limit}`,
    sql<{ seq: number }>`SELECT seq FROM (${scanned}) LIMIT 1 OFFSET ${MAX_SCANNED - 1}`,
  );
  return {
    users: rows.map((row) => ({
      id: row.id,
      resource: JSON.parse(row.resource),
      isActive: row.active === 1,
      isProtected: row.protected === 1,
    })),
    next: nextOf(
      rows.map(({ seq }) => seq),
      limit,
      ends[0]?.seq,
    ),
  };
}

const scan = (
  store: OrgStore,
  after: number,
  also = '',
): SQL => sql`SELECT seq, id, active, protected, origin, linked_at${sql.raw(also)}
  FROM users WHERE org_id = ${store.org} AND deleted_at IS NULL AND seq > ${after} ORDER BY seq LIMIT ${MAX_SCANNED}`;

/** Behind the last one of a full page, else where the scan was cut, if it was. */
const nextOf = (seqs: readonly number[], limit: number, cut: number | undefined): number | undefined =>
  seqs.length === limit ? seqs.at(-1) : cut;

export interface Deactivated {
  readonly deactivated: number;
  /** Where to go on; undefined: everybody has been looked at. */
  readonly next: number | undefined;
  /** Who is still active and is to be deactivated. */
  readonly left: number;
}

/**
 * Deactivates a chunk of the attached users, each with its event; every session of theirs is dead. Protected ones stay.
 * One round trip.
 *
 * @throws Unmet `scim_off`: the identity provider could bring them back.
 */
export async function deactivateUsers(
  store: OrgStore,
  after: number,
  limit: number,
  actor: Actor,
  by: string,
): Promise<Deactivated> {
  const scanned = scan(store, after);
  const meant = sql`SELECT seq, id FROM (${scanned}) WHERE active = 1 AND protected = 0 AND ${sql.raw(IS_ATTACHED)}
    ORDER BY seq LIMIT ${limit}`;
  const { record, targets, settle } = recordEach(store, actor, meant, {
    type: 'user.deactivated',
    details: { changed: { active: { before: true, after: false } }, cause: 'exit', by },
    publishes: true,
  });
  const later = sql`max(modified_at, ${store.now})`;
  const inactive = sql`'$.active', json('false')`;
  const [, seqs, ends, ...rest] = await store.write(
    expect('scim_off', sql`(SELECT scim_enabled = 0 FROM orgs WHERE id = ${store.org})`),
    sql<{ seq: number }>`SELECT seq FROM (${meant})`,
    sql<{ seq: number }>`SELECT seq FROM (${scanned}) LIMIT 1 OFFSET ${MAX_SCANNED - 1}`,
    record,
    sql`UPDATE orgs SET active_user_count = active_user_count - (SELECT count(*) FROM (${targets})) WHERE id = ${store.org}`,
    sql`UPDATE users SET active = 0, version = version + 1, modified_at = ${later},
        resource = json_set(resource, ${inactive}),
        folded = json_set(folded, ${inactive}, '$.meta.version', 'W/"' || (version + 1) || '"',
          '$.meta.lastModified', ${isoText(later)})
      WHERE org_id = ${store.org} AND id IN (${targets})`,
    // What the deactivation limit has held of them has come about.
    sql`DELETE FROM brake_held WHERE org_id = ${store.org} AND operation = 'deactivate' AND user_id IN (${targets})`,
    ...endSessions(store, actor, targets),
    settle,
    sql`SELECT active_user_count - ${count(store, `${UNLINKED} AND active = 1`)} - ${protectedActive(store)} AS n
      FROM orgs WHERE id = ${store.org}`,
  );
  const found = seqs.map(({ seq }) => seq);
  return {
    deactivated: found.length,
    next: nextOf(found, limit, ends[0]?.seq),
    left: (rest.at(-1)![0]! as { readonly n: number }).n,
  };
}
