/** Users of one org: row <-> resource. No function takes an org's id; the store knows it. */
import { type SQL, sql } from 'drizzle-orm';
import { foldCase } from '../../scim/fold';
import { isWanted, type Projection } from '../../scim/projection';
import type { Query } from '../../scim/query';
import type { Resource, Stored } from '../../scim/resource';
import { userType } from '../../scim/schema/types';
import { ENTERPRISE_USER } from '../../scim/urns';
import type { Row } from '../d1/rows';
import { orAbsent, selected } from '../d1/rows';
import { users } from '../d1/tables';
import type { Publication } from '../journal/outbox';
import type { OrgStore } from '../org/open';
import { type Column, type Columns, columnIn, type NarrowRows } from './columns';
import { groupsOfUsers } from './derived';
import { likenessOf, restorable, withAddress, withExternalId } from './identity';
import { type Before, type List, listed, listOf, readList, withLarge } from './list';
import { GROUPS_OF_USER, groupsIn, SHOWN_GROUPS_OF_USER, usersInGroup } from './memberships';

/** A user with what the product knows besides. */
export interface StoredUser extends Stored {
  /** Place in the order of lists. */
  readonly seq: number;
  readonly isDeleted: boolean;
  /** May sign in. Not the same as the attribute `active`, which a client can leave unassigned. */
  readonly isActive: boolean;
  /** Sessions issued until then are dead; epoch milliseconds. */
  readonly validAfter: number | undefined;
  /**
   * The number of its latest outbox row; undefined: no change of its state waits to be published, or it was not read to be
   * changed.
   */
  readonly unpublished: number | undefined;
  /** Who brought the account, and since when an imported one is the identity provider's; epoch milliseconds. */
  readonly origin: 'idp' | 'host';
  readonly linkedAt: number | undefined;
  /** The application had the account before, and the identity provider has not written to it yet. */
  readonly isUnlinked: boolean;
  /** The identity provider can neither deactivate nor delete it. */
  readonly isProtected: boolean;
  /** The identity provider wants it out, and the org's deactivation limit holds that. False where it was not read to be changed. */
  readonly isHeld: boolean;
}

/** The manager of a user, if it is a live user of the same org: its id and its display name. */
const MANAGER = `(SELECT json_object('id', m.id, 'displayName', json_extract(m.resource, '$.displayName'))
  FROM users AS m WHERE m.org_id = users.org_id AND m.deleted_at IS NULL
    AND m.id = json_extract(users.resource, '$."${ENTERPRISE_USER}".manager.value'))`;
/** The same, without a look into the document of a user that has none. */
const MANAGER_IF_ANY = `iif(instr(users.resource, '"manager"'), ${MANAGER}, NULL)`;
const OWN = selected(
  users,
  ...(['seq', 'id', 'version', 'createdAt', 'modifiedAt', 'validAfter', 'deletedAt'] as const),
  ...(['active', 'origin', 'linkedAt', 'protected'] as const),
);
const columnsWith = (resource: string) =>
  sql`${OWN.sql}, ${sql.raw(`${resource}, ${MANAGER} AS manager, ${GROUPS_OF_USER} AS groups`)}`;
/** Beside the columns of its own. */
interface UserRow {
  readonly resource: string;
  readonly manager: string | null;
  readonly groups: string | null;
  readonly unpublished?: number | null;
  readonly is_held?: number;
}

/** What a change has to know besides. */
const PENDING =
  sql.raw(`(SELECT max(outbox.seq) FROM outbox WHERE outbox.org_id = users.org_id AND outbox.user_id = users.id) AS unpublished,
  EXISTS (SELECT 1 FROM brake_held WHERE brake_held.org_id = users.org_id AND brake_held.user_id = users.id) AS is_held`);
export const SELECT = sql`SELECT ${columnsWith('users.resource')}, ${PENDING} FROM users`;

/** What an answer shows. */
const SHOWN = selected(users, ...(['seq', 'id', 'version', 'createdAt', 'modifiedAt'] as const));

/** The columns of what this projection shows. @param resource the column, or what stands in its place. */
function columnsShown(own: SQL, projection: Projection, resource: string): SQL {
  const manager = isWanted(projection, ENTERPRISE_USER) ? MANAGER_IF_ANY : 'NULL';
  const groups = isWanted(projection, 'groups') ? SHOWN_GROUPS_OF_USER : 'NULL';
  return sql`${own}, ${sql.raw(`${resource}, ${manager} AS manager, ${groups} AS groups`)}`;
}

function shownOf(row: Row): Stored {
  const { resource, manager, groups } = row as unknown as UserRow;
  return {
    ...SHOWN.rowOf(row),
    resource: JSON.parse(resource),
    groups: groups === null ? [] : groupsIn(groups),
    ...(manager !== null && { manager: JSON.parse(manager) }),
  };
}

/** What an answer shows of a user. One round trip. */
export async function showUser(store: OrgStore, id: string, projection: Projection): Promise<Stored | undefined> {
  const row = await store.find(columnsShown(SHOWN.sql, projection, 'users.resource'), 'users', live(store, id));
  return row && shownOf(row);
}

export function userOf(row: Row): StoredUser {
  const { deletedAt, active, origin, linkedAt, validAfter, protected: isProtected, ...own } = OWN.rowOf(row);
  const { resource, manager, groups, unpublished, is_held } = row as unknown as UserRow;
  return {
    ...own,
    resource: JSON.parse(resource),
    validAfter: orAbsent(validAfter),
    isDeleted: deletedAt !== null,
    isActive: active === 1,
    groups: groups === null ? [] : groupsIn(groups),
    unpublished: unpublished ?? undefined,
    origin,
    linkedAt: orAbsent(linkedAt),
    isUnlinked: origin === 'host' && linkedAt === null,
    isProtected: isProtected === 1,
    isHeld: is_held === 1,
    ...(manager !== null && { manager: JSON.parse(manager) }),
  };
}

/** What is to be published of a user as a batch has found it, or only the id where no row waits. */
export function publicationOf({ id, isActive, isDeleted, validAfter, unpublished }: StoredUser): string | Publication {
  if (unpublished === undefined) return id;
  return { userId: id, isActive: isActive && !isDeleted, notBefore: validAfter, isGone: false, through: unpublished };
}

/** A condition on `users`. */
export const live = (store: OrgStore, id: string): SQL =>
  sql`users.org_id = ${store.org} AND users.id = ${id} AND users.deleted_at IS NULL`;

/** A user as a change has to know it. One round trip. */
export async function getUser(store: OrgStore, id: string): Promise<StoredUser | undefined> {
  const [rows] = await store.read(sql`${SELECT} WHERE ${live(store, id)}`);
  return rows![0] && userOf(rows![0]);
}

/** The live user that an operator means: by the id, else by the userName. Two look-ups: no index serves an OR of both. */
export function meant(store: OrgStore, idOrUserName: string): SQL {
  const one = sql`SELECT seq FROM users WHERE org_id = ${store.org} AND deleted_at IS NULL`;
  return sql`users.seq = ifnull((${one} AND id = ${idOrUserName}), (${one} AND user_name_key = ${foldCase(idOrUserName)}))`;
}

/** By id, else by userName; one round trip. */
export async function findUser(store: OrgStore, idOrUserName: string): Promise<StoredUser | undefined> {
  const [rows] = await store.read(sql`${SELECT} WHERE ${meant(store, idOrUserName)}`);
  return rows![0] && userOf(rows![0]);
}

/** A page of users, and how many there are in all. A cursor goes on from a deleted user too: a tombstone keeps its place. */
export function listUsers(store: OrgStore, query: Query, baseUrl: string, before?: Before): List {
  const source = {
    table: 'users',
    searchIndex: { name: 'users_search', condition: sql`users.org_id <> ''` },
    columns: columnsOf(store, baseUrl),
    select: columnsShown(OWN.sql, query.projection, listed('users')),
    condition: sql`users.org_id = ${store.org} AND users.deleted_at IS NULL`,
    lasting: 'seq',
    key: 'userName',
  } as const;
  const { rows, key, ...list } = listOf(store, query, source, before);
  return {
    ...list,
    page: rows ? [rows] : [],
    ...(key && {
      one: {
        ...{ columns: columnsShown(SHOWN.sql, query.projection, 'users.resource'), table: 'users', condition: key },
        read: shownOf,
      },
    }),
    read: async ([rows = []]) => {
      const { found, total } = readList(rows);
      const { whole, isCut } = await withLarge(store, 'users', found);
      return { resources: whole.map(userOf), values: whole.map((row) => row['sort_value']), isCut, total };
    },
  };
}

function columnsOf(store: OrgStore, baseUrl: string): Columns {
  const manager = (member: string) => sql.raw(`json_extract(${MANAGER}, '$.${member}')`);
  // Those that are `isBeside` stand in the index users_search, expressions to the letter.
  const columns: Record<string, Column> = {
    id: { kind: 'unique', sql: () => sql`users.id` },
    userName: { kind: 'unique', isBeside: true, sql: () => sql`users.user_name_key` },
    externalId: { kind: 'indexed', isBeside: true, sql: () => sql`users.external_id` },
    displayName: { kind: 'own', isBeside: true, sql: () => sql.raw(`json_extract(users.folded, '$."displayName"')`) },
    active: { kind: 'own', sql: () => sql`users.active` },
    'meta.location': { kind: 'own', sql: () => sql`${`${baseUrl}${userType.endpoint}/`} || users.id` },
    [`${ENTERPRISE_USER}.manager.$ref`]: {
      kind: 'joined',
      sql: () => sql`${`${baseUrl}${userType.endpoint}/`} || ${manager('id')}`,
    },
    [`${ENTERPRISE_USER}.manager.displayName`]: {
      kind: 'joined',
      sql: () =>
        sql.raw(`(SELECT json_extract(m.folded, '$.displayName') FROM users AS m WHERE m.org_id = users.org_id
          AND m.deleted_at IS NULL AND m.id = json_extract(users.folded, '$."${ENTERPRISE_USER}".manager.value'))`),
    },
  };
  const emails: NarrowRows = {
    name: 'value',
    where: (test) => sql`SELECT user_seq FROM user_emails WHERE org_id = ${store.org} AND ${test(sql`value_key`)}`,
  };
  return {
    document: sql`users.folded`,
    seq: sql`users.seq`,
    column: (path) => columnIn(columns, path),
    lookup: (path, value) => (path === 'groups.value' ? usersInGroup(store, value) : undefined),
    narrow: (path) => (path === 'emails' ? emails : undefined),
    derived: (attribute) => (attribute === 'groups' ? groupsOfUsers(store, baseUrl) : undefined),
  };
}

export const seqOf = (store: OrgStore, id: string) =>
  sql`(SELECT seq FROM users WHERE org_id = ${store.org} AND id = ${id})`;

/** Accounts of each kind that are read: of more of them none is chosen. */
const MAX_ALIKE = 10;

/** The accounts that a POST with this resource may mean. */
export interface Alike<A> {
  /** The live one with its userName. */
  readonly named: A | undefined;
  /** Live, with its externalId; two stand for more. */
  readonly sameExternalId: readonly A[];
  /** Deleted, with its userName or externalId: those with the externalId first, then the latest. */
  readonly tombstones: readonly A[];
  /** Live, with something like its address, where addresses link. */
  readonly addressed: readonly A[];
}

/** One round trip. @param passedOver deleted accounts that it is known not to be. */
export async function readAlike(
  store: OrgStore,
  resource: Resource,
  passedOver: readonly string[],
): Promise<Alike<StoredUser>> {
  const likeness = likenessOf(resource);
  const { userNameKey, externalId } = likeness;
  const most = sql.raw(`LIMIT ${MAX_ALIKE}`);
  const select = (found: SQL, also = sql``) => sql`${SELECT} WHERE users.seq IN (${found})${also}`;
  const isNew = sql` AND users.id NOT IN (SELECT value FROM json_each(${JSON.stringify(passedOver)}))`;
  const [tombstones, address] = [restorable(store, likeness), withAddress(store, likeness)];
  const results = await store.read(
    sql`${SELECT} WHERE users.org_id = ${store.org} AND users.deleted_at IS NULL AND users.user_name_key = ${userNameKey}`,
    select(sql`SELECT users.seq ${withExternalId(store, likeness)} LIMIT 2`),
    ...(tombstones
      ? [
          sql`${select(tombstones, isNew)}
            ORDER BY ifnull(users.external_id = ${externalId}, 0) DESC, users.deleted_at DESC, users.seq DESC ${most}`,
        ]
      : []),
    ...(address ? [select(sql`SELECT users.seq ${address} ${most}`)] : []),
  );
  const found = results.map((rows) => rows.map(userOf));
  return {
    named: found[0]![0],
    sameExternalId: found[1]!,
    tombstones: tombstones ? found[2]! : [],
    addressed: address ? found.at(-1)! : [],
  };
}

/** A deleted user who was not erased. One round trip. */
export async function getTombstone(store: OrgStore, id: string): Promise<StoredUser | undefined> {
  const [rows] = await store.read(
    sql`${SELECT} WHERE users.org_id = ${store.org} AND users.id = ${id}
      AND users.deleted_at IS NOT NULL AND users.erased_at IS NULL`,
  );
  return rows![0] && userOf(rows![0]);
}

/** Of a user nothing is left but the id. One round trip. */
export async function isErased(store: OrgStore, id: string): Promise<boolean> {
  const [rows] = await store.read(
    sql`SELECT 1 FROM users WHERE org_id = ${store.org} AND id = ${id} AND erased_at IS NOT NULL`,
  );
  return rows!.length > 0;
}
