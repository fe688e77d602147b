/** Imported accounts that are not linked yet, and which accounts a user of the identity provider would match. */
import { type SQL, sql } from 'drizzle-orm';
import type { Json, Resource } from '../../scim/resource';
import { jsonChunks } from '../d1/json-parameters';
import { orAbsent } from '../d1/rows';
import type { OrgStore } from '../org/open';
import { IS_LIVE_AND_UNLINKED } from './account-import';
import { likenessOf } from './identity';
import type { Alike } from './users';

/** An unlinked account. */
export interface Unlinked {
  readonly id: string;
  readonly userName: string;
  readonly displayName: string | undefined;
  readonly externalId: string | undefined;
  readonly isActive: boolean;
  readonly isProtected: boolean;
  readonly emails: readonly Json[];
  /** Of each stored form of its addresses, what other live accounts with that form have, some of them. */
  readonly others: readonly { readonly id: string; readonly emails: readonly Json[] }[];
}

/** Other accounts that are read of one address. */
const MAX_OTHERS = 5;

interface UnlinkedRow {
  readonly id: string;
  readonly user_name: string;
  readonly display_name: string | null;
  readonly external_id: string | null;
  readonly active: number;
  readonly protected: number;
  /** JSON, as `others`: a list for each address. */
  readonly emails: string | null;
  readonly others: string;
}

/**
 * A page of them, in the order in which they were brought in. One round trip.
 *
 * @param after the id of the last one of the page before: also one that is linked or deleted by now.
 * @returns undefined when there is no such account.
 */
export async function listUnlinked(
  store: OrgStore,
  after: string | undefined,
  limit: number,
): Promise<Unlinked[] | undefined> {
  const start = sql`SELECT seq FROM users WHERE org_id = ${store.org} AND id = ${after ?? null}`;
  const [anchors, found] = await store.read(
    start,
    sql<UnlinkedRow>`SELECT users.id, users.resource ->> '$.userName' AS user_name, users.resource ->> '$.displayName' AS display_name,
        users.external_id, users.active, users.protected, users.resource -> '$.emails' AS emails,
        (SELECT json_group_array(json((SELECT json_group_array(json_object('id', id, 'emails', json(resource -> '$.emails')))
            FROM (SELECT other.id, other.resource FROM user_emails AS theirs JOIN users AS other ON other.seq = theirs.user_seq
              WHERE theirs.org_id = users.org_id AND theirs.value_key = mine.value_key AND theirs.user_seq <> mine.user_seq
              LIMIT CAST(${MAX_OTHERS} AS INTEGER)))))
          FROM user_emails AS mine INDEXED BY user_emails_user WHERE mine.org_id = users.org_id AND mine.user_seq = users.seq) AS others
      FROM users INDEXED BY users_unlinked WHERE users.org_id = ${store.org} AND ${IS_LIVE_AND_UNLINKED}
        AND users.seq > ifnull((${start}), 0)
      ORDER BY users.seq LIMIT ${limit}`,
  );
  if (after !== undefined && anchors!.length === 0) return undefined;
  return found.map(({ id, user_name, display_name, external_id, active, protected: isProtected, emails, others }) => ({
    ...{ id, userName: user_name, displayName: orAbsent(display_name), externalId: orAbsent(external_id) },
    ...{ isActive: active === 1, isProtected: isProtected === 1 },
    emails: emails === null ? [] : JSON.parse(emails),
    others: JSON.parse(others).flat(),
  }));
}

/** A live or deleted account that a user would match. */
export interface Match {
  readonly id: string;
  readonly resource: Resource;
  readonly isUnlinked: boolean;
  readonly isActive: boolean;
  readonly isProtected: boolean;
}

/** Accounts that are read of each kind: of more of them none is chosen. */
const MAX_MATCHES = 10;

/** The accounts that each of these would match, in their order. One round trip. */
export async function findMatches(store: OrgStore, people: readonly Resource[]): Promise<Alike<Match>[]> {
  const met =
    sql.raw(`json_group_array(json_object('id', id, 'isUnlinked', json(iif(origin = 'host' AND linked_at IS NULL, 'true', 'false')),
    'isActive', json(iif(active = 1, 'true', 'false')), 'isProtected', json(iif(protected = 1, 'true', 'false')),
    'resource', json_object('userName', resource ->> '$.userName', 'externalId', external_id, 'emails', json(resource -> '$.emails'))))`);
  const some = (from: SQL, most = MAX_MATCHES) =>
    sql`(SELECT ${met} FROM (SELECT DISTINCT users.* FROM ${from} LIMIT CAST(${most} AS INTEGER)))`;
  const live = sql`users WHERE users.org_id = ${store.org} AND users.deleted_at IS NULL`;
  const buried = sql`SELECT seq FROM users WHERE org_id = ${store.org} AND deleted_at IS NOT NULL AND erased_at IS NULL`;
  const results = await store.read(
    ...jsonChunks(people.map(likenessOf)).map(
      ({ json }) => sql`SELECT
        ${some(sql`${live} AND users.user_name_key = one.value ->> 'userNameKey'`)} AS named,
        ${some(sql`${live} AND users.external_id = one.value ->> 'externalId'`, 2)} AS same_external_id,
        ${some(sql`users WHERE users.seq IN (${buried} AND user_name_key = one.value ->> 'userNameKey'
          UNION ALL ${buried} AND external_id = one.value ->> 'externalId')
          ORDER BY ifnull(users.external_id = one.value ->> 'externalId', 0) DESC, users.deleted_at DESC, users.seq DESC`)} AS tombstones,
        ${some(sql`json_each(one.value, '$.addressForms') AS asked
          CROSS JOIN user_emails AS email ON email.org_id = ${store.org} AND email.value_key = asked.value
          CROSS JOIN users ON users.seq = email.user_seq`)} AS addressed
        FROM json_each(${json}) AS one ORDER BY one.key`,
    ),
  );
  return results.flat().map((row) => {
    const read = (name: string) => (JSON.parse(row[name] as string) as Match[]).map(assigned);
    const [named] = read('named');
    return {
      named,
      sameExternalId: read('same_external_id'),
      tombstones: read('tombstones'),
      addressed: read('addressed'),
    };
  });
}

/** Without the attributes that it does not have. */
const assigned = ({ resource, ...met }: Match): Match => ({
  ...met,
  resource: Object.fromEntries(Object.entries(resource).filter(([, value]) => value !== null)),
});
