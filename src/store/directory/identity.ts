/**
 * Whom a POST may mean, as conditions of the batch that would make a new account: an account that was deleted, a live one
 * with the same externalId, one of the host app with the same address. A condition may find too many; what is found is
 * judged one by one (provisioning/identity.ts), and passed over in the next attempt.
 *
 * All are conditions beside a row of `orgs`, which is looked up once for all of them.
 */
import { type SQL, sql } from 'drizzle-orm';
import { linkingAddress, storedForms } from '../../scim/address';
import { foldCase } from '../../scim/fold';
import { externalIdOf } from '../../scim/identifying';
import type { Resource } from '../../scim/resource';
import type { Expectation } from '../d1/expect';
import { IS_OPEN, IS_UNLINKED } from './linking';
import { SEATS } from './policy';

/** What a message says of who somebody is, in the forms that are indexed. */
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

const RESTORE = sql.raw(`ifnull(orgs.settings ->> '$.restore', 'same-person')`);
const IS_UNIQUE = sql.raw(`orgs.settings ->> '$.uniqueExternalId' IS 1`);

const some = (most: number): SQL => sql.raw(`LIMIT ${most}`);

/** A condition on `users`: none of these. */
const isNone = (ids: readonly string[]): SQL =>
  ids.length === 0 ? sql`` : sql` AND users.id NOT IN (SELECT value FROM json_each(${JSON.stringify(ids)}))`;

const buried = (condition: SQL): SQL =>
  sql`SELECT seq FROM users WHERE org_id = orgs.id AND deleted_at IS NOT NULL AND ${condition}`;

/**
 * The `seq`s of deleted accounts that may be restored (setting `restore`): by userName only where one of the two has no
 * externalId. Two look-ups: SQLite does not use a partial index inside an OR, and would read all tombstones of the org.
 */
export function restorable({ userNameKey, externalId }: Likeness): SQL {
  const byName = sql`user_name_key = ${userNameKey} AND ${RESTORE} = 'same-person'`;
  if (externalId === null) return buried(byName);
  return sql`${buried(sql`${byName} AND trim(ifnull(external_id, '')) = ''`)}
    UNION ALL ${buried(sql`external_id = ${externalId} AND ${RESTORE} <> 'off'`)}`;
}

/** A part of a statement from FROM on: the live accounts with the externalId. */
export const withExternalId = ({ externalId }: Likeness): SQL =>
  sql`FROM users WHERE users.org_id = orgs.id AND users.deleted_at IS NULL AND users.external_id = ${externalId}`;

/**
 * A part of a statement from FROM on: the live accounts that may have the address, where that links, in a verified domain
 * of the org. CROSS JOIN: an org without such a domain reads no address.
 */
export function withAddress({ addressForms }: Likeness): SQL {
  const domains = addressForms.map((form) => form.slice(form.lastIndexOf('@') + 1));
  return sql`FROM (SELECT 1 WHERE ifnull(orgs.settings ->> '$.linking', 'email') = 'email'
      AND EXISTS (SELECT 1 FROM json_each(orgs.settings, '$.verifiedDomains') AS verified
        WHERE verified.value IN (SELECT value FROM json_each(${JSON.stringify(domains)}))))
    CROSS JOIN json_each(${JSON.stringify(addressForms)}) AS asked
    CROSS JOIN user_emails AS found ON found.org_id = orgs.id AND found.value_key = asked.value
    CROSS JOIN users ON users.seq = found.user_seq WHERE true`;
}

const isNameTaken = ({ userNameKey }: Likeness): SQL =>
  sql`EXISTS (SELECT 1 FROM users WHERE org_id = orgs.id AND deleted_at IS NULL AND user_name_key = ${userNameKey})`;

/** Exactly one live account has the externalId, and a POST may go on with it: deactivated, or the host app's own. */
const isContinued = (likeness: Likeness, passedOver: readonly string[]): SQL =>
  sql`iif((SELECT count(*) FROM (SELECT 1 ${withExternalId(likeness)} LIMIT 2)) = 1,
    EXISTS (SELECT 1 ${withExternalId(likeness)} AND iif(${IS_UNLINKED}, ${IS_OPEN}, users.active = 0)${isNone(passedOver)}), 0)`;

/**
 * Why this may be no new account, or must not be one: an expression that is NULL if it is one.
 *
 * @param passedOver accounts that were looked at, and are somebody else's.
 * @param needsSeat it would be active.
 */
export function whyKnown(likeness: Likeness, passedOver: readonly string[], needsSeat: boolean): SQL {
  // That the userName is a live user's comes before all but a tombstone: the insert will say it.
  const unlessTaken = (condition: SQL) => sql`${condition} AND NOT ${isNameTaken(likeness)}`;
  const reasons: [condition: SQL, why: Expectation][] = [
    [
      sql`EXISTS (SELECT 1 FROM users WHERE users.seq IN (${restorable(likeness)})${isNone(passedOver)})`,
      'no_tombstone',
    ],
  ];
  if (likeness.externalId !== null) {
    const isShared = sql`${IS_UNIQUE} AND EXISTS (SELECT 1 ${withExternalId(likeness)})`;
    reasons.push([unlessTaken(isContinued(likeness, passedOver)), 'same_external_id']);
    reasons.push([unlessTaken(isShared), 'unique_external_id']);
  }
  if (likeness.addressForms.length > 0) {
    const isLinkable = sql`EXISTS (SELECT 1 ${withAddress(likeness)} AND ${IS_UNLINKED}${isNone(passedOver)})`;
    reasons.push([unlessTaken(isLinkable), 'linkable']);
  }
  if (needsSeat) reasons.push([unlessTaken(sql`ifnull(orgs.active_user_count >= ${SEATS}, 0)`), 'seats']);
  const cases = reasons.map(([condition, why]) => sql` WHEN ${condition} THEN ${sql.raw(`'${why}'`)}`);
  return sql`CASE${sql.join(cases)} END`;
}

/**
 * Another live account has the externalId.
 *
 * @param id the account's own.
 * @param also a further condition on the others.
 */
const isTakenExternalId = (externalId: string, id: string, also: SQL): SQL =>
  sql`EXISTS (SELECT 1 FROM users AS other WHERE other.org_id = orgs.id AND other.deleted_at IS NULL
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
export function whyNotKnownAs({ id, isOther, externalId, isUnique }: IdentityChange): SQL | undefined {
  const cases: SQL[] = [];
  if (isOther) {
    cases.push(sql` WHEN EXISTS (SELECT 1 FROM users WHERE users.org_id = orgs.id AND users.id = ${id} AND users.protected = 1)
      THEN 'protected_identity'`);
  }
  if (externalId !== undefined && isUnique !== undefined) {
    const also = isUnique === 'among-active' ? sql` AND other.active = 1` : sql``;
    const isAsked = isUnique === 'always' ? sql`` : sql`${IS_UNIQUE} AND `;
    cases.push(sql` WHEN ${isAsked}${isTakenExternalId(externalId, id, also)} THEN 'unique_external_id'`);
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
export function strangers(likeness: Likeness, id: string) {
  const { userNameKey, externalId } = likeness;
  const byName = buried(sql`user_name_key = ${userNameKey}`);
  const alike = externalId === null ? byName : sql`${byName} UNION ALL ${buried(sql`external_id = ${externalId}`)}`;
  return {
    notRestored: idsOf(sql`SELECT id FROM users WHERE seq IN (${alike}) ORDER BY deleted_at DESC, seq DESC`),
    sameExternalId:
      externalId === null ? sql`NULL` : idsOf(sql`SELECT id ${withExternalId(likeness)} AND users.id <> ${id}`),
  };
}
