/**
 * Users and groups as an application sees them: with all that comes of groups, direct and through other groups. A page is
 * one round trip, whatever is in it.
 */
import { type SQL, sql } from 'drizzle-orm';
import type { EndCause } from '../../end-cause';
import type { Related, Resource } from '../../scim/resource';
import { orAbsent, type Row, selected } from '../d1/rows';
import { users } from '../d1/tables';
import type { OrgStore } from '../org/open';

/** A user as an application may know it. */
export interface Person {
  readonly id: string;
  readonly resource: Resource;
  readonly version: number;
  /** The user is; whether the org is, the tenant says. */
  readonly isActive: boolean;
  /** The user's own; epoch milliseconds. */
  readonly validAfter: number | undefined;
  /** Why; read where one person is resolved. */
  readonly endedBy?: EndCause | undefined;
  /** Direct and through other groups. */
  readonly groups: readonly Related[];
  /** By each of the groups; each word once, in the order of the words. */
  readonly permissions: readonly string[];
}

/** A group as an application may know it: a role. */
export interface Role {
  readonly id: string;
  readonly displayName: string;
  readonly externalId: string | null;
  /** Of the group itself; its members may do these and more. In the order of the words. */
  readonly permissions: readonly string[];
}

/** Who is directly in which group. */
export interface Membership {
  readonly group: string;
  readonly type: 'User' | 'Group';
  readonly id: string;
}

export interface ListPage<T> {
  readonly entries: readonly T[];
  /** There is more behind the last entry. */
  readonly isCut: boolean;
  /** The org's latest event, when this was so. */
  readonly asOfSeq: number;
}

/** Bytes of the resources of a page: it ends early where they are large, and always has the first. */
const MAX_BYTES = 5_000_000;

/** The first users as far as a page has room for them. @param rows a query for `seq` and `size`. */
export const withinBytes = (rows: SQL, limit: number): SQL => sql`SELECT seq FROM (
    SELECT seq, row_number() OVER (ORDER BY seq) AS place,
      sum(size) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) AS bytes FROM (${rows}))
  WHERE place = 1 OR (place <= ${limit} AND bytes <= ${MAX_BYTES})`;

/** What a page of people is read with, and from. */
export interface PeopleQuery {
  readonly statements: readonly SQL[];
  /** @param results of the statements. In the order of their numbers. */
  read(results: readonly Row[][]): { readonly person: Person; readonly deletedAt: number | undefined }[];
}

const PERSON = selected(users, ...(['id', 'version', 'active', 'validAfter', 'deletedAt', 'resource'] as const));

/**
 * These users, whole. The groups of all of them are read once, however many are in each.
 *
 * @param seqs a query for their `seq`s.
 */
export function selectPeople(store: OrgStore, seqs: SQL): PeopleQuery {
  return {
    statements: [
      sql`SELECT ${PERSON.sql},
          (SELECT json_group_array(group_seq) FROM memberships AS m
            WHERE m.org_id = users.org_id AND m.is_group = 0 AND m.member_seq = users.seq) AS direct
        FROM users WHERE users.seq IN (${seqs}) ORDER BY users.seq`,
      sql`WITH RECURSIVE up (seq) AS (
          SELECT m.group_seq FROM (${seqs}) AS it CROSS JOIN memberships AS m
            ON m.org_id = ${store.org} AND m.is_group = 0 AND m.member_seq = it.seq
          UNION SELECT m.group_seq FROM up CROSS JOIN memberships AS m
            ON m.org_id = ${store.org} AND m.is_group = 1 AND m.member_seq = up.seq)
        SELECT g.seq, g.id, g.resource ->> '$.displayName' AS display,
          (SELECT json_group_array(m.group_seq) FROM memberships AS m
            WHERE m.org_id = ${store.org} AND m.is_group = 1 AND m.member_seq = g.seq) AS above,
          (SELECT json_group_array(permission) FROM group_permissions AS p
            WHERE p.org_id = ${store.org} AND p.group_seq = g.seq) AS permissions
        FROM up CROSS JOIN groups AS g ON g.seq = up.seq`,
    ],
    read([people = [], groups = []]) {
      const known = new Groups(groups as unknown as readonly GroupRow[]);
      return people.map((row) => {
        const { id, version, active, validAfter, deletedAt, resource } = PERSON.rowOf(row);
        return {
          person: {
            id,
            version,
            resource: JSON.parse(resource),
            isActive: active === 1,
            validAfter: orAbsent(validAfter),
            ...known.of(JSON.parse(row['direct'] as string)),
          },
          deletedAt: orAbsent(deletedAt),
        };
      });
    },
  };
}

interface Group {
  readonly seq: number;
  readonly id: string;
  readonly display: string | null;
  readonly above: readonly number[];
  readonly permissions: readonly string[];
}

/** The lists as JSON. */
type GroupRow = Pick<Group, 'seq' | 'id' | 'display'> & { readonly above: string; readonly permissions: string };

/** The groups of a page, and what comes of them. A group that is being deleted is in no row, and counts for nothing. */
class Groups {
  readonly #bySeq: ReadonlyMap<number, Group>;
  readonly #found = new Map<string, Pick<Person, 'groups' | 'permissions'>>();

  constructor(rows: readonly GroupRow[]) {
    this.#bySeq = new Map(
      rows.map(({ seq, id, display, above, permissions }) => [
        seq,
        { seq, id, display, above: JSON.parse(above), permissions: JSON.parse(permissions) },
      ]),
    );
  }

  /** Of a user who is directly in these groups. Many users are in the same ones. */
  of(direct: readonly number[]): Pick<Person, 'groups' | 'permissions'> {
    const key = direct.toSorted((a, b) => a - b).join();
    const known = this.#found.get(key);
    if (known !== undefined) return known;
    const found = this.#resolve(direct);
    this.#found.set(key, found);
    return found;
  }

  #resolve(direct: readonly number[]): Pick<Person, 'groups' | 'permissions'> {
    const all = new Set(direct);
    for (const seq of all) for (const above of this.#bySeq.get(seq)?.above ?? []) all.add(above);
    const groups = [...all].sort((a, b) => a - b).flatMap((seq) => this.#bySeq.get(seq) ?? []);
    const isDirect = new Set(direct);
    return {
      groups: groups.map(({ seq, id, display }) => ({ id, display, type: isDirect.has(seq) ? 'direct' : 'indirect' })),
      permissions: [...new Set(groups.flatMap(({ permissions }) => permissions))].sort(),
    };
  }
}

const selectCurrent = (store: OrgStore) =>
  sql<{ event_seq: number }>`SELECT event_seq FROM orgs WHERE id = ${store.org}`;

/**
 * Live users in a lasting order: of one who was there all the time, each is in exactly one page. One round trip.
 *
 * @param after the id of the last one of the page before; who was deleted since keeps their place.
 * @param isActive only those whose own state is so.
 */
export async function listPeople(
  store: OrgStore,
  { after, limit, isActive }: { after: string | undefined; limit: number; isActive: boolean | undefined },
): Promise<ListPage<Person>> {
  const which = isActive === undefined ? sql`` : sql.raw(` AND active = ${isActive ? 1 : 0}`);
  const from =
    after === undefined ? sql`` : sql` AND seq > (SELECT seq FROM users WHERE org_id = ${store.org} AND id = ${after})`;
  const rows = (most: number) => sql`SELECT seq, octet_length(resource) AS size FROM users
    WHERE org_id = ${store.org} AND deleted_at IS NULL${which}${from} ORDER BY seq LIMIT CAST(${most} AS INTEGER)`;
  const query = selectPeople(store, withinBytes(rows(limit), limit));
  const [current, ahead, ...results] = await store.read(
    selectCurrent(store),
    sql<{ n: number }>`SELECT count(*) AS n FROM (${rows(limit + 1)})`,
    ...query.statements,
  );
  const entries = query.read(results).map(({ person }) => person);
  return { entries, isCut: ahead[0]!.n > entries.length, asOfSeq: current[0]!.event_seq };
}

const ROLE = sql.raw(`groups.id, groups.external_id, groups.resource ->> '$.displayName' AS display,
  (SELECT json_group_array(permission) FROM (SELECT permission FROM group_permissions AS p
    WHERE p.org_id = groups.org_id AND p.group_seq = groups.seq ORDER BY permission)) AS permissions`);

interface RoleRow {
  readonly id: string;
  readonly external_id: string | null;
  readonly display: string | null;
  readonly permissions: string;
}

const roleOf = ({ id, external_id: externalId, display, permissions }: RoleRow): Role => ({
  id,
  displayName: display ?? '',
  externalId,
  permissions: JSON.parse(permissions),
});

/** Groups by id, for of a deleted one nothing stays that would say where it stood. One round trip. */
export async function listRoles(
  store: OrgStore,
  { after = '', limit }: { after: string | undefined; limit: number },
): Promise<ListPage<Role>> {
  const [current, rows] = await store.read(
    selectCurrent(store),
    sql<RoleRow>`SELECT ${ROLE} FROM groups WHERE groups.org_id = ${store.org} AND groups.id > ${after}
      ORDER BY groups.id LIMIT CAST(${limit + 1} AS INTEGER)`,
  );
  return { entries: rows.slice(0, limit).map(roleOf), isCut: rows.length > limit, asOfSeq: current[0]!.event_seq };
}

type AskedRole = { readonly asked: string } & (RoleRow | { readonly id: null });

/** For a list of groups by their ids: those that are there. @param ids a query for `id`s. */
export const selectRoles = (store: OrgStore, ids: SQL) =>
  sql<AskedRole>`SELECT it.id AS asked, ${ROLE} FROM (${ids}) AS it LEFT JOIN groups ON groups.org_id = ${store.org} AND groups.id = it.id`;

/** What `selectRoles` has found; undefined: it is not there any more. */
export const rolesIn = (rows: readonly AskedRole[]): { readonly id: string; readonly role: Role | undefined }[] =>
  rows.map((row) => ({ id: row.asked, role: row.id === null ? undefined : roleOf(row) }));

/**
 * Direct memberships by the group's id. One round trip. If a group that was the last member of a page is deleted, the next
 * page begins again with the groups in that group: some memberships come twice, and none is missing.
 */
export async function listMemberships(
  store: OrgStore,
  { after, limit }: { after: Membership | undefined; limit: number },
): Promise<ListPage<Membership>> {
  const most = sql`CAST(${limit + 1} AS INTEGER)`;
  const select = (where: SQL) => sql`SELECT g.id AS group_id, m.is_group, m.member_seq
    FROM groups AS g CROSS JOIN memberships AS m ON m.org_id = g.org_id AND m.group_seq = g.seq
    WHERE g.org_id = ${store.org} AND ${where} ORDER BY g.id, m.is_group, m.member_seq LIMIT ${most}`;
  const member = sql.raw(after?.type === 'Group' ? 'groups' : 'users');
  const rest = after && [
    select(sql`g.id = ${after.group} AND (m.is_group, m.member_seq) > (${sql.raw(after.type === 'Group' ? '1' : '0')},
      ifnull((SELECT seq FROM ${member} WHERE org_id = ${store.org} AND id = ${after.id}), 0))`),
    select(sql`g.id > ${after.group}`),
  ];
  const found = rest
    ? sql`SELECT * FROM (SELECT * FROM (${rest[0]!}) UNION ALL SELECT * FROM (${rest[1]!}))
        ORDER BY group_id, is_group, member_seq LIMIT ${most}`
    : select(sql`true`);
  const [current, rows] = await store.read(
    selectCurrent(store),
    sql<{
      group_id: string;
      is_group: number;
      id: string;
    }>`SELECT found.group_id, found.is_group, ifnull(u.id, g.id) AS id FROM (${found}) AS found
      LEFT JOIN users AS u ON found.is_group = 0 AND u.seq = found.member_seq
      LEFT JOIN groups AS g ON found.is_group = 1 AND g.seq = found.member_seq
      ORDER BY found.group_id, found.is_group, found.member_seq`,
  );
  const entries = rows.slice(0, limit).map(({ group_id, is_group, id }) => ({
    group: group_id,
    type: is_group === 1 ? ('Group' as const) : ('User' as const),
    id,
  }));
  return { entries, isCut: rows.length > limit, asOfSeq: current[0]!.event_seq };
}
