/**
 * Whom a POST may mean, as conditions of the batch that would make a new account: an account that was deleted, a live one
 * with the same externalId, one of the application with the same address. A condition may find too many; what is found is
 * judged one by one (provisioning/identity.ts), and passed over in the next attempt. What the org's profile rules out is
 * not asked.
 */
import { type SQL, sql } from 'drizzle-orm';
import { linkingAddress, storedForms } from '../../scim/address';
import { foldCase } from '../../scim/fold';
import { externalIdOf } from '../../scim/identifying';
import type { Resource } from '../../scim/resource';
import type { Expectation } from '../d1/expect';
import type { OrgStore } from '../org/open';
import { IS_UNLINKED, mayLink } from './linking';

/** The identifiers in a message, in the forms that are indexed. */
export interface Likeness {
  readonly userNameKey: string;
  readonly externalId: string | null;
  /** Of the address by which it may link. */
  readonly addressForms: readonly string[];
}

export function likenessOf(resource: Resource): Likeness {
  const address = linkingAddress(resource);
  return {
    userNameKey: foldCase(resource['userName'] as string),
    externalId: externalIdOf(resource) ?? null,
    addressForms: address === undefined ? [] : storedForms(address),
  };
}

const some = (most: number): SQL => sql.raw(`LIMIT ${most}`);

/** A condition on `users`: none of these. */
const isNone = (ids: readonly string[]): SQL =>
  ids.length === 0 ? sql`` : sql` AND users.id NOT IN (SELECT value FROM json_each(${JSON.stringify(ids)}))`;

const buried = (store: OrgStore, condition: SQL): SQL =>
  sql`SELECT seq FROM users WHERE org_id = ${store.org} AND deleted_at IS NOT NULL AND ${condition}`;

/**
 * The `seq`s of deleted accounts that may be restored (setting `restore`): by userName only where one of the two has no
 * externalId. Two look-ups: SQLite does not use a partial index inside an OR, and would read all tombstones of the org.
 *
 * @returns undefined when there can be none.
 */
export function restorable(store: OrgStore, { userNameKey, externalId }: Likeness): SQL | undefined {
  const { restore = 'same-person' } = store.profile.settings;
  if (restore === 'off') return undefined;
  const byId = externalId === null ? [] : [buried(store, sql`external_id = ${externalId}`)];
  if (restore === 'externalId') return byId[0];
  const blank = externalId === null ? sql`` : sql` AND trim(ifnull(external_id, '')) = ''`;
  return sql.join([buried(store, sql`user_name_key = ${userNameKey}${blank}`), ...byId], sql` UNION ALL `);
}

/** A part of a statement from FROM on: the live accounts with the externalId. */
export const withExternalId = (store: OrgStore, { externalId }: Likeness): SQL =>
  sql`FROM users WHERE users.org_id = ${store.org} AND users.deleted_at IS NULL AND users.external_id = ${externalId}`;

/**
 * A part of a statement from FROM on: the live accounts that may have the address.
 *
 * @returns undefined when addresses do not link, or not in this domain.
 */
export function withAddress(store: OrgStore, { addressForms }: Likeness): SQL | undefined {
  const { linking = 'email', verifiedDomains = [] } = store.profile.settings;
  const domains = addressForms.map((form) => form.slice(form.lastIndexOf('@') + 1));
  if (linking !== 'email' || !verifiedDomains.some((verified) => domains.includes(verified))) return undefined;
  return sql`FROM json_each(${JSON.stringify(addressForms)}) AS asked
    CROSS JOIN user_emails AS found ON found.org_id = ${store.org} AND found.value_key = asked.value
    CROSS JOIN users ON users.seq = found.user_seq WHERE true`;
}

/** Exactly one live account has the externalId, and a POST may go on with it: deactivated, or the application's own. */
function isContinued(store: OrgStore, likeness: Likeness, passedOver: readonly string[]): SQL {
  const found = withExternalId(store, likeness);
  const mayGoOn = mayLink(store.profile.settings)
    ? sql`(users.active = 0 OR ${IS_UNLINKED})`
    : sql`users.active = 0 AND NOT ${IS_UNLINKED}`;
  return sql`(SELECT count(*) FROM (SELECT 1 ${found} LIMIT 2)) = 1
    AND EXISTS (SELECT 1 ${found} AND ${mayGoOn}${isNone(passedOver)})`;
}

/** What else a new account depends on. */
export interface Newcomer {
  /** Accounts that were looked at, and are somebody else's. */
  readonly passedOver: readonly string[];
  /** It would be active. */
  readonly needsSeat: boolean;
  /** A condition: the org has room for it. */
  readonly hasRoom: SQL;
}

/** Why this may be no new account, or must not be one: an expression that is NULL if it is one. */
export function whyRefused(store: OrgStore, likeness: Likeness, { passedOver, needsSeat, hasRoom }: Newcomer): SQL {
  const reasons: [condition: SQL, why: Expectation][] = [];
  const { uniqueExternalId, 'plan.seats': seats } = store.profile.settings;
  if (likeness.externalId !== null) {
    reasons.push([isContinued(store, likeness, passedOver), 'same_external_id']);
    if (uniqueExternalId)
      reasons.push([sql`EXISTS (SELECT 1 ${withExternalId(store, likeness)})`, 'unique_external_id']);
  }
  const addressed = withAddress(store, likeness);
  if (addressed)
    reasons.push([sql`EXISTS (SELECT 1 ${addressed} AND ${IS_UNLINKED}${isNone(passedOver)})`, 'linkable']);
  if (needsSeat && seats !== undefined)
    reasons.push([sql`(SELECT active_user_count >= ${seats} FROM orgs WHERE id = ${store.org})`, 'seats']);
  reasons.push([sql`NOT ${hasRoom}`, 'storage']);
  const cases = reasons.map(([condition, why]) => sql` WHEN ${condition} THEN ${sql.raw(`'${why}'`)}`);
  const tombstones = restorable(store, likeness);
  const isBuried = tombstones
    ? sql` WHEN EXISTS (SELECT 1 FROM users WHERE seq IN (${tombstones})${isNone(passedOver)}) THEN 'no_tombstone'`
    : sql``;
  // That the userName is a live user's comes before all but a tombstone: the insert will say it.
  return sql`CASE${isBuried}
    WHEN EXISTS (SELECT 1 FROM users WHERE org_id = ${store.org} AND deleted_at IS NULL AND user_name_key = ${likeness.userNameKey}) THEN NULL${sql.join(cases)} END`;
}

/**
 * Another live account has the externalId.
 *
 * @param id the account's own.
 * @param also a further condition on the others.
 */
const isTakenExternalId = (store: OrgStore, externalId: string, id: string, also: SQL): SQL =>
  sql`EXISTS (SELECT 1 FROM users AS other WHERE other.org_id = ${store.org} AND other.deleted_at IS NULL
    AND other.external_id = ${externalId} AND other.id <> ${id}${also})`;

/** What a change of an account by the identity provider must not do to who it is. */
export interface IdentityChange {
  readonly id: string;
  /** It would be known by another userName, externalId or address. */
  readonly isOther: boolean;
  /** That must be no other live account's: `always`, or where the org says so (setting `uniqueExternalId`). */
  readonly externalId?: string;
  readonly isUnique?: 'always' | 'among-all' | 'among-active';
}

/** Why not: an expression that is NULL if it may. @returns undefined when nothing can be in the way. */
export function whyNotKnownAs(store: OrgStore, { id, isOther, externalId, isUnique }: IdentityChange): SQL | undefined {
  const cases: SQL[] = [];
  if (isOther) {
    cases.push(sql` WHEN EXISTS (SELECT 1 FROM users WHERE org_id = ${store.org} AND id = ${id} AND protected = 1)
      THEN 'protected_identity'`);
  }
  const isAsked = isUnique === 'always' || store.profile.settings.uniqueExternalId;
  if (externalId !== undefined && isUnique !== undefined && isAsked) {
    const also = isUnique === 'among-active' ? sql` AND other.active = 1` : sql``;
    cases.push(sql` WHEN ${isTakenExternalId(store, externalId, id, also)} THEN 'unique_external_id'`);
  }
  return cases.length > 0 ? sql`CASE${sql.join(cases)} END` : undefined;
}

/** Accounts that an event names. */
const NAMED = some(5);

const idsOf = (accounts: SQL): SQL =>
  sql`json((SELECT nullif(json_group_array(id), '[]') FROM (${accounts} ${NAMED})))`;

/**
 * For the event of a new account, each NULL where there are none: the deleted accounts that have its userName or externalId
 * and are not it, and the other live ones with its externalId.
 */
export function strangers(store: OrgStore, likeness: Likeness, id: string) {
  const { userNameKey, externalId } = likeness;
  const byName = buried(store, sql`user_name_key = ${userNameKey}`);
  const alike =
    externalId === null ? byName : sql`${byName} UNION ALL ${buried(store, sql`external_id = ${externalId}`)}`;
  return {
    notRestored: idsOf(sql`SELECT id FROM users WHERE seq IN (${alike}) ORDER BY deleted_at DESC, seq DESC`),
    sameExternalId:
      externalId === null ? sql`NULL` : idsOf(sql`SELECT id ${withExternalId(store, likeness)} AND users.id <> ${id}`),
  };
}
