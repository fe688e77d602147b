/** Users of one org: row <-> resource. No function takes an org's id; the store knows it. */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor, Details, Happening } from '../events';
import type { ResourceType } from '../scim/attribute';
import { foldCase } from '../scim/fold';
import type { Query } from '../scim/query';
import { searchable } from '../scim/representation';
import type { JsonObject, Resource, Stored } from '../scim/resource';
import { userType } from '../scim/schema/types';
import { ENTERPRISE_USER } from '../scim/urns';
import type { Row } from './batch';
import { takeOut } from './brake';
import type { Columns } from './columns';
import { groupsOfUsers } from './derived';
import { endSessions, only, signedOut, signOut } from './epoch';
import { count, record, recordAs } from './events';
import { expect, expectEach, expectOneChange } from './expect';
import { isNobodysAddress, sameAddress } from './link';
import { type Before, type List, listOf, readList } from './list';
import type { OrgStore } from './open';
import { publishLater } from './outbox';
import {
  defaultGroup,
  expectAllowed,
  hasRoom,
  hasSeat,
  isRoomy,
  joinDefaultGroup,
  signedOutByRename,
  takeSeat,
} from './policy';
import { GROUPS_OF_USER, groupsIn, usersInGroup } from './related';

/** A user with what the product knows besides. */
export interface StoredUser extends Stored {
  /** Place in the order of lists. */
  readonly seq: number;
  readonly isDeleted: boolean;
  /** May sign in. Not the same as the attribute `active`, which a client can leave unassigned. */
  readonly isActive: boolean;
  /** Sessions issued until then are dead; epoch milliseconds. */
  readonly notBefore: number | undefined;
  /** A change of it is committed, but not yet published. */
  readonly isUnpublished: boolean;
  /** Who brought the account, and since when an imported one is the identity provider's; epoch milliseconds. */
  readonly origin: 'idp' | 'host';
  readonly linkedAt: number | undefined;
  /** The host app had the account before, and the identity provider has not written to it yet. */
  readonly isUnlinked: boolean;
  /** The identity provider can neither deactivate nor delete it. */
  readonly isProtected: boolean;
  /** The identity provider wants it out, and the org's brake holds that. */
  readonly isHeld: boolean;
}

/** The manager of a user, if it is a live user of the same org: its id and its display name. */
const MANAGER = `(SELECT json_object('id', m.id, 'displayName', json_extract(m.resource, '$.displayName'))
  FROM users AS m WHERE m.org_id = users.org_id AND m.deleted_at IS NULL
    AND m.id = json_extract(users.resource, '$."${ENTERPRISE_USER}".manager.value'))`;

const COLUMNS = sql.raw(`users.seq, users.id, users.version, users.created_at, users.modified_at,
  users.not_before, users.deleted_at, users.active, users.origin, users.linked_at, users.protected, users.resource, ${MANAGER} AS manager, ${GROUPS_OF_USER} AS groups,
  EXISTS (SELECT 1 FROM outbox WHERE outbox.org_id = users.org_id AND outbox.user_id = users.id) AS is_unpublished,
  EXISTS (SELECT 1 FROM brake_held WHERE brake_held.org_id = users.org_id AND brake_held.user_id = users.id) AS is_held`);
const SELECT = sql`SELECT ${COLUMNS} FROM users`;

function userOf(row: Row): StoredUser {
  const manager = row['manager'] === null ? undefined : (JSON.parse(row['manager'] as string) as Stored['manager']);
  return {
    seq: row['seq'] as number,
    id: row['id'] as string,
    resource: JSON.parse(row['resource'] as string) as Resource,
    version: row['version'] as number,
    createdAt: row['created_at'] as number,
    modifiedAt: row['modified_at'] as number,
    notBefore: (row['not_before'] as number | null) ?? undefined,
    isDeleted: row['deleted_at'] !== null,
    isActive: row['active'] === 1,
    groups: groupsIn(row['groups']),
    isUnpublished: row['is_unpublished'] === 1,
    origin: row['origin'] as 'idp' | 'host',
    linkedAt: (row['linked_at'] as number | null) ?? undefined,
    isUnlinked: row['origin'] === 'host' && row['linked_at'] === null,
    isProtected: row['protected'] === 1,
    isHeld: row['is_held'] === 1,
    ...(manager && { manager }),
  };
}

/** A condition on `users`. */
export const live = (store: OrgStore, id: string): SQL =>
  sql`users.org_id = ${store.org} AND users.id = ${id} AND users.deleted_at IS NULL`;

/** One round trip. */
export async function getUser(store: OrgStore, id: string): Promise<StoredUser | undefined> {
  const [rows] = await store.read(sql`${SELECT} WHERE ${live(store, id)}`);
  return rows![0] && userOf(rows![0]);
}

/** By userName alone; one round trip. */
export async function getUserByName(store: OrgStore, userName: string): Promise<StoredUser | undefined> {
  const [rows] = await store.read(
    sql`${SELECT} WHERE users.org_id = ${store.org} AND users.deleted_at IS NULL
      AND users.user_name_key = ${foldCase(userName)}`,
  );
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

/**
 * Every session of the user issued until now is dead; nothing else of the user changes. By id, else by userName.
 *
 * @throws Unmet `found`: there is no such user.
 */
export async function signOutUser(
  store: OrgStore,
  idOrUserName: string,
  actor: Actor,
  details: Details,
): Promise<StoredUser> {
  const user = meant(store, idOrUserName);
  const results = await store.write(
    expect('found', sql`EXISTS (SELECT 1 FROM users WHERE ${user})`),
    ...signOut(store, actor, sql`SELECT users.id AS id FROM users WHERE ${user}`, details),
    sql`${SELECT} WHERE ${user}`,
  );
  return userOf(results.at(-1)![0]!);
}

/** A page of users, and how many there are in all. A cursor goes on from a deleted user too: a tombstone keeps its place. */
export function listUsers(store: OrgStore, query: Query, baseUrl: string, before?: Before): List {
  const source = {
    table: 'users',
    columns: columnsOf(store, baseUrl),
    select: COLUMNS,
    condition: sql`users.org_id = ${store.org} AND users.deleted_at IS NULL`,
    lasting: 'seq',
    key: 'userName',
  } as const;
  const { rows, ...list } = listOf(store, query, source, before);
  return {
    ...list,
    page: rows ? [rows] : [],
    read: ([rows = []]) => {
      const { found, total } = readList(rows);
      return { resources: found.map(userOf), values: found.map((row) => row['sort_value']), isCut: false, total };
    },
  };
}

function columnsOf(store: OrgStore, baseUrl: string): Columns {
  const manager = (member: string) => sql.raw(`json_extract(${MANAGER}, '$.${member}')`);
  const joined: Record<string, () => SQL> = {
    [`${ENTERPRISE_USER}.manager.$ref`]: () => sql`${`${baseUrl}${userType.endpoint}/`} || ${manager('id')}`,
    [`${ENTERPRISE_USER}.manager.displayName`]: () =>
      sql.raw(`(SELECT json_extract(m.folded, '$.displayName') FROM users AS m WHERE m.org_id = users.org_id
        AND m.deleted_at IS NULL AND m.id = json_extract(users.folded, '$."${ENTERPRISE_USER}".manager.value'))`),
  };
  const unique: Record<string, () => SQL> = { id: () => sql`users.id`, userName: () => sql`users.user_name_key` };
  const expressions: Record<string, () => SQL> = {
    ...unique,
    ...joined,
    externalId: () => sql`users.external_id`,
    active: () => sql`users.active`,
    'meta.location': () => sql`${`${baseUrl}${userType.endpoint}/`} || users.id`,
  };
  return {
    document: sql`users.folded`,
    seq: sql`users.seq`,
    column: (path) => (Object.hasOwn(expressions, path) ? expressions[path]!() : undefined),
    kindOf: (path) => {
      if (Object.hasOwn(unique, path)) return 'unique';
      if (Object.hasOwn(joined, path)) return 'joined';
      if (path === 'externalId') return 'indexed';
      return Object.hasOwn(expressions, path) ? 'own' : undefined;
    },
    lookup: (path, value) => {
      if (path === 'groups.value') return usersInGroup(store, value);
      return path === 'emails.value'
        ? sql`SELECT user_seq FROM user_emails WHERE org_id = ${store.org} AND value_key = ${value}`
        : undefined;
    },
    derived: (attribute) => (attribute === 'groups' ? groupsOfUsers(store, baseUrl) : undefined),
  };
}

/** A user about to be written. */
export interface Draft {
  readonly id: string;
  readonly isActive: boolean;
  readonly resource: Resource;
  readonly version: number;
  readonly createdAt: number;
  readonly modifiedAt: number;
}

/** What of a resource has a column of its own. */
export function columnValues(type: ResourceType, draft: Draft) {
  const folded: JsonObject = { ...searchable(type, draft), active: draft.isActive };
  const values = (name: string) => {
    const elements = folded[name] as { value?: string }[] | undefined;
    return [...new Set(elements?.flatMap(({ value }) => value ?? []))];
  };
  return {
    userNameKey: folded['userName'] as string,
    externalId: (draft.resource['externalId'] as string | undefined) ?? null,
    active: draft.isActive ? 1 : 0,
    resource: JSON.stringify(draft.resource),
    folded: JSON.stringify(folded),
    emails: values('emails'),
    roles: values('roles'),
  };
}

export const seqOf = (store: OrgStore, id: string) =>
  sql`(SELECT seq FROM users WHERE org_id = ${store.org} AND id = ${id})`;

const insertEmails = (store: OrgStore, id: string, emails: readonly string[]): SQL[] =>
  emails.length === 0
    ? []
    : [
        sql`INSERT INTO user_emails (org_id, value_key, user_seq)
          SELECT ${store.org}, value, ${seqOf(store, id)} FROM json_each(${JSON.stringify(emails)})`,
      ];

export const deleteEmails = (store: OrgStore, id: string): SQL =>
  sql`DELETE FROM user_emails WHERE org_id = ${store.org} AND user_seq = ${seqOf(store, id)}`;

/** Two look-ups: SQLite does not use a partial index inside an OR, and would read all tombstones of the org. */
function lookLikeTombstoneOf(store: OrgStore, userNameKey: string, externalId: string | null): SQL {
  const tombstone = sql`SELECT seq FROM users WHERE org_id = ${store.org} AND deleted_at IS NOT NULL`;
  return sql`users.seq IN (${tombstone} AND user_name_key = ${userNameKey}
    UNION ALL ${tombstone} AND external_id = ${externalId})`;
}

const isNameTaken = (store: OrgStore, userNameKey: string) =>
  sql`EXISTS (SELECT 1 FROM users WHERE org_id = ${store.org} AND deleted_at IS NULL AND user_name_key = ${userNameKey})`;

/**
 * A new user, who joins the org's default group, in one round trip.
 *
 * @param isNew whether it is known that nobody unlinked with one of the addresses is meant.
 * @throws Unmet `allowed_roles`: the org does not know one of the roles. Unmet `no_tombstone`: a deleted user with this
 *   userName or externalId is there to be restored. Unmet `linkable`: somebody unlinked may be meant. Unmet `seats`,
 *   `storage`: the plan has none left.
 * @throws Taken: the userName is a live user's.
 */
export async function insertUser(
  store: OrgStore,
  type: ResourceType,
  draft: Draft,
  actor: Actor,
  happening: Happening,
  isNew = false,
): Promise<StoredUser> {
  const { userNameKey, externalId, active, resource, folded, emails, roles } = columnValues(type, draft);
  const tombstone = lookLikeTombstoneOf(store, userNameKey, externalId);
  const seat = draft.isActive ? takeSeat(actor) : undefined;
  // A NULL in the patch leaves the details as they are.
  const details = sql`json_patch(${JSON.stringify({ ...happening.details, client: actor.client })},
    json_object('defaultGroup', ${defaultGroup(store)}))`;
  const results = await store.write(
    ...expectAllowed(store, roles),
    expectEach(
      ['no_tombstone', sql`NOT EXISTS (SELECT 1 FROM users WHERE ${tombstone})`],
      // Whose userName it is comes before whose address it is.
      ...(isNew
        ? []
        : [['linkable', sql`${isNobodysAddress(store, emails)} OR ${isNameTaken(store, userNameKey)}`] as const]),
      // That the userName is a live user's is said first, seat or not: the insert will say it.
      ...(seat ? [['seats', sql`${hasSeat(store)} OR ${isNameTaken(store, userNameKey)}`] as const] : []),
      ['storage', sql`${hasRoom(store, resource, folded)} OR ${isNameTaken(store, userNameKey)}`],
    ),
    sql`INSERT INTO users (org_id, id, user_name_key, external_id, active, version, created_at, modified_at, resource, folded)
      VALUES (${store.org}, ${draft.id}, ${userNameKey}, ${externalId}, ${active}, ${draft.version},
        ${draft.createdAt}, ${draft.modifiedAt}, ${resource}, ${folded})`,
    ...insertEmails(store, draft.id, emails),
    ...joinDefaultGroup(store, draft.id),
    count(store, { users: 1, ...seat?.count }),
    recordAs(store, actor, happening, details, seat?.warning),
    ...(happening.publishes ? [publishLater(store, only(draft.id))] : []),
    sql`${SELECT} WHERE ${live(store, draft.id)}`,
  );
  return userOf(results.at(-1)![0]!);
}

/** The deleted user whom a POST with these means: by externalId before userName, the latest before older ones. */
export async function findTombstone(store: OrgStore, resource: Resource): Promise<StoredUser | undefined> {
  const userNameKey = foldCase(resource['userName'] as string);
  const externalId = (resource['externalId'] as string | undefined) ?? null;
  const [rows] = await store.read(
    sql`${SELECT} WHERE ${lookLikeTombstoneOf(store, userNameKey, externalId)}
      ORDER BY ifnull(users.external_id = ${externalId}, 0) DESC, users.deleted_at DESC, users.seq DESC LIMIT 1`,
  );
  return rows![0] && userOf(rows![0]);
}

/** Live users with an address of this resource by which the org links; two stand for more. One round trip. */
export async function usersWithAddress(store: OrgStore, resource: Resource): Promise<StoredUser[]> {
  const [rows] = await store.read(
    sql`${SELECT} WHERE users.org_id = ${store.org} AND users.deleted_at IS NULL AND ${sameAddress(store, resource)}`,
  );
  return rows!.map(userOf);
}

/** How a user is changed. */
export interface Manner {
  readonly endsSessions: boolean;
  /** The identity provider takes the account over by it. */
  readonly isLinked?: boolean;
  /** False: the operator has released it from the brake. */
  readonly isBraked?: boolean;
}

export interface Replaced {
  readonly user: StoredUser;
  /** The org ends the sessions of who is renamed, and this one was. */
  readonly isSignedOut: boolean;
}

/**
 * A changed user in the place of the one that was read, a restored one in the place of its tombstone. One round trip.
 *
 * @param endsSessions those issued until now; the happening has to publish it.
 * @throws Unmet `version`: it has changed since it was read. Unmet `allowed_roles`: a role that it did not have before is
 *   none that the org knows. Unmet `seats`: it would be active, and the plan has none left. Unmet `storage`. Unmet `protected`, `rejected`,
 *   `brake`: it would be inactive (brake.ts).
 * @throws Taken: the userName is another live user's.
 */
export async function replaceUser(
  store: OrgStore,
  type: ResourceType,
  before: StoredUser,
  draft: Draft,
  actor: Actor,
  happening: Happening,
  { endsSessions, isLinked = false, isBraked = true }: Manner,
): Promise<Replaced> {
  const { userNameKey, externalId, active, resource, folded, emails, roles } = columnValues(type, draft);
  const was = columnValues(type, before);
  const seat = draft.isActive && !before.isActive ? takeSeat(actor) : undefined;
  const deleted = before.isDeleted ? sql`deleted_at IS NOT NULL` : sql`deleted_at IS NULL`;
  const isRenamed = !before.isDeleted && was.userNameKey !== userNameKey;
  const mayEnd = isRenamed && !endsSessions && store.tenant.settings.signOutOnRename;
  const hasOtherEmails = before.isDeleted || JSON.stringify(was.emails) !== JSON.stringify(emails);
  // Taking an account over moves no version by itself: two that do so at once must not both have done it.
  const [linked, unlinked] = isLinked ? [sql`, linked_at = ${store.now}`, sql` AND linked_at IS NULL`] : [sql``, sql``];
  const isOut = before.isActive && !draft.isActive;
  const change = [
    // First, for whether the user is active still is asked.
    ...(isOut ? takeOut(store, draft.id, isBraked) : []),
    sql`UPDATE users SET user_name_key = ${userNameKey}, external_id = ${externalId}, active = ${active},
        version = ${draft.version}, modified_at = ${draft.modifiedAt}, deleted_at = NULL,
        resource = ${resource}, folded = ${folded}${linked}
      WHERE org_id = ${store.org} AND id = ${before.id} AND version = ${before.version} AND ${deleted}${unlinked}`,
    // A change that takes somebody out needs no room.
    isOut ? expectOneChange('version') : expectEach(['version', sql`changes()`], ['storage', isRoomy(store)]),
    ...expectAllowed(
      store,
      roles.filter((role) => !was.roles.includes(role)),
    ),
    ...(hasOtherEmails ? [deleteEmails(store, draft.id), ...insertEmails(store, draft.id, emails)] : []),
    ...(seat ? [expect('seats', hasSeat(store))] : []),
    count(store, {
      users: before.isDeleted ? 1 : 0,
      activeUsers: active - (before.isActive ? 1 : 0),
      ...seat?.count,
    }),
    record(store, actor, happening, seat?.warning),
    ...(endsSessions
      ? endSessions(store, only(draft.id))
      : happening.publishes
        ? [publishLater(store, only(draft.id))]
        : []),
  ];
  const ended = mayEnd ? signOut(store, actor, signedOutByRename(store, draft.id), { cause: 'rename' }) : [];
  const results = await store.write(...change, ...ended, sql`${SELECT} WHERE ${live(store, draft.id)}`);
  return {
    user: userOf(results.at(-1)![0]!),
    isSignedOut: ended.length > 0 && signedOut(results[change.length]).length > 0,
  };
}

/** What the strict session check needs: zero staleness, from the primary. One round trip. */
export interface SessionState {
  readonly isKnown: boolean;
  /** The user, and the org. */
  readonly isActive: boolean;
  /** The later of the user's and the org's; epoch milliseconds. */
  readonly notBefore: number | undefined;
}

export async function readSessionState(store: OrgStore, userId: string): Promise<SessionState> {
  const [rows] = await store.read(
    sql`SELECT active, deleted_at, not_before FROM users WHERE org_id = ${store.org} AND id = ${userId}`,
  );
  const row = rows![0];
  const instants = [row?.['not_before'] as number | null | undefined, store.tenant.notBefore].filter(
    (at) => at != null,
  );
  return {
    isKnown: row !== undefined,
    isActive:
      row !== undefined && row['active'] === 1 && row['deleted_at'] === null && store.tenant.disabledAt === undefined,
    notBefore: instants.length > 0 ? Math.max(...instants) : undefined,
  };
}
