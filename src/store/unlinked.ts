/** Accounts that the identity provider has not taken over, and whom of all accounts one of its people would meet. */
import { sql } from 'drizzle-orm';
import type { Row } from './batch';
import type { OrgStore } from './open';
import { IS_LIVE_AND_UNLINKED } from './people';
import { jsonPortions } from './portions';

/** An unlinked account. */
export interface Unlinked {
  readonly id: string;
  readonly userName: string;
  readonly displayName: string | undefined;
  readonly isActive: boolean;
  readonly isProtected: boolean;
  /** Folded, and whether another live account has the address, too. */
  readonly addresses: readonly { readonly value: string; readonly isShared: boolean }[];
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
    sql`SELECT users.id, users.resource ->> '$.userName' AS user_name, users.resource ->> '$.displayName' AS display_name,
        users.active, users.protected,
        (SELECT json_group_array(json_object('value', mine.value_key, 'isShared', json(iif(EXISTS (
            SELECT 1 FROM user_emails AS other WHERE other.org_id = users.org_id AND other.value_key = mine.value_key
              AND other.user_seq <> mine.user_seq), 'true', 'false'))))
          FROM user_emails AS mine INDEXED BY user_emails_user WHERE mine.org_id = users.org_id AND mine.user_seq = users.seq) AS addresses
      FROM users INDEXED BY users_unlinked WHERE users.org_id = ${store.org} AND ${IS_LIVE_AND_UNLINKED}
        AND users.seq > ifnull((${start}), 0)
      ORDER BY users.seq LIMIT ${limit}`,
  );
  if (after !== undefined && anchors!.length === 0) return undefined;
  return found!.map((row) => ({
    id: row['id'] as string,
    userName: row['user_name'] as string,
    displayName: (row['display_name'] as string | null) ?? undefined,
    isActive: row['active'] === 1,
    isProtected: row['protected'] === 1,
    addresses: JSON.parse(row['addresses'] as string) as Unlinked['addresses'],
  }));
}

/** Somebody as the identity provider would send them. */
export interface Expected {
  /** Folded, as the addresses. */
  readonly userNameKey: string;
  readonly externalId: string | undefined;
  readonly addresses: readonly string[];
}

/** A live account that somebody would meet. */
export interface Met {
  readonly id: string;
  readonly userName: string;
  readonly externalId: string | undefined;
  readonly isUnlinked: boolean;
}

export interface Meeting {
  /** Whose userName it is. */
  readonly named: Met | undefined;
  /** Who has one of the addresses, at most so many that there are several. */
  readonly addressed: readonly Met[];
  /** A deleted account has the userName or externalId. */
  readonly isBuried: boolean;
}

/** Whom each of them would meet, in their order. One round trip. */
export async function meet(store: OrgStore, people: readonly Expected[]): Promise<Meeting[]> {
  const met = sql.raw(`json_object('id', users.id, 'userName', users.resource ->> '$.userName',
    'externalId', users.external_id, 'isUnlinked', json(iif(users.origin = 'host' AND users.linked_at IS NULL, 'true', 'false')))`);
  const buried = (column: string, name: string) => sql`EXISTS (SELECT 1 FROM users WHERE users.org_id = ${store.org}
    AND users.deleted_at IS NOT NULL AND ${sql.raw(`users.${column}`)} = one.value ->> ${name})`;
  const results = await store.read(
    ...jsonPortions(people).map(
      ({ json }) => sql`SELECT
        (SELECT ${met} FROM users WHERE users.org_id = ${store.org} AND users.deleted_at IS NULL
          AND users.user_name_key = one.value ->> 'userNameKey') AS named,
        (SELECT json_group_array(json(account)) FROM (SELECT DISTINCT ${met} AS account
          FROM json_each(one.value, '$.addresses') AS address
          CROSS JOIN user_emails AS email ON email.org_id = ${store.org} AND email.value_key = address.value
          CROSS JOIN users ON users.seq = email.user_seq LIMIT 3)) AS addressed,
        ${buried('user_name_key', 'userNameKey')} OR ${buried('external_id', 'externalId')} AS is_buried
        FROM json_each(${json}) AS one ORDER BY one.key`,
    ),
  );
  return results.flat().map(meetingOf);
}

function meetingOf(row: Row): Meeting {
  const metOf = ({ externalId, ...rest }: Met & { readonly externalId: string | null | undefined }): Met => ({
    ...rest,
    externalId: externalId ?? undefined,
  });
  return {
    named: row['named'] === null ? undefined : metOf(JSON.parse(row['named'] as string) as Met),
    addressed: (JSON.parse(row['addressed'] as string) as Met[]).map(metOf),
    isBuried: row['is_buried'] === 1,
  };
}
