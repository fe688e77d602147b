/** Users of one org: row <-> resource. No function takes an org's id; the store knows it. */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor, Details, Happening } from '../../events';
import type { ResourceType } from '../../scim/attribute';
import { foldCase, isBlank } from '../../scim/fold';
import { externalIdOf, identityChanges } from '../../scim/identifying';
import type { Query } from '../../scim/query';
import { searchable } from '../../scim/representation';
import type { JsonObject, Resource, Stored } from '../../scim/resource';
import { userType } from '../../scim/schema/types';
import { ENTERPRISE_USER } from '../../scim/urns';
import type { Row } from '../d1/batch';
import { expect, expectEach, expectNone, expectOneChange } from '../d1/expect';
import { only, raised, signedOut, signOut } from '../journal/end-sessions';
import { committedState, type Publication, publishLater, selectCommitted } from '../journal/outbox';
import { count, record, recordAs, toldBy } from '../journal/record';
import type { OrgStore } from '../org/open';
import type { Columns } from './columns';
import { takeOut, withdrawal } from './deactivation-limit';
import { groupsOfUsers } from './derived';
import { likenessOf, restorable, strangers, whyKnown, whyNotKnownAs, withAddress, withExternalId } from './identity';
import { type Before, type List, listed, listOf, readList, withLarge } from './list';
import { GROUPS_OF_USER, groupsIn, usersInGroup } from './memberships';
import { expectAllowed, expectSeat, hasRoom, isRoomy, joinDefaultGroup, takeSeat } from './policy';

/** A user with what the product knows besides. */
export interface StoredUser extends Stored {
  /** Place in the order of lists. */
  readonly seq: number;
  readonly isDeleted: boolean;
  /** May sign in. Not the same as the attribute `active`, which a client can leave unassigned. */
  readonly isActive: boolean;
  /** Sessions issued until then are dead; epoch milliseconds. */
  readonly notBefore: number | undefined;
  /**
   * The number of its latest outbox row; undefined: no change of its state waits to be published, or it was not read to be
   * changed.
   */
  readonly unpublished: number | undefined;
  /** Who brought the account, and since when an imported one is the identity provider's; epoch milliseconds. */
  readonly origin: 'idp' | 'host';
  readonly linkedAt: number | undefined;
  /** The host app had the account before, and the identity provider has not written to it yet. */
  readonly isUnlinked: boolean;
  /** The identity provider can neither deactivate nor delete it. */
  readonly isProtected: boolean;
  /** The identity provider wants it out, and the org's brake holds that. False where it was not read to be changed. */
  readonly isHeld: boolean;
}

/** The manager of a user, if it is a live user of the same org: its id and its display name. */
const MANAGER = `(SELECT json_object('id', m.id, 'displayName', json_extract(m.resource, '$.displayName'))
  FROM users AS m WHERE m.org_id = users.org_id AND m.deleted_at IS NULL
    AND m.id = json_extract(users.resource, '$."${ENTERPRISE_USER}".manager.value'))`;

const columnsWith = (resource: string) =>
  sql.raw(`users.seq, users.id, users.version, users.created_at, users.modified_at,
  users.not_before, users.deleted_at, users.active, users.origin, users.linked_at, users.protected, ${resource}, ${MANAGER} AS manager, ${GROUPS_OF_USER} AS groups`);
/** What a change has to know besides. */
const PENDING =
  sql.raw(`(SELECT max(outbox.seq) FROM outbox WHERE outbox.org_id = users.org_id AND outbox.user_id = users.id) AS unpublished,
  EXISTS (SELECT 1 FROM brake_held WHERE brake_held.org_id = users.org_id AND brake_held.user_id = users.id) AS is_held`);
const SHOWN = sql`SELECT ${columnsWith('users.resource')} FROM users`;
const SELECT = sql`SELECT ${columnsWith('users.resource')}, ${PENDING} FROM users`;
const LISTED = columnsWith(listed('users'));

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
    unpublished: (row['unpublished'] as number | null) ?? undefined,
    origin: row['origin'] as 'idp' | 'host',
    linkedAt: (row['linked_at'] as number | null) ?? undefined,
    isUnlinked: row['origin'] === 'host' && row['linked_at'] === null,
    isProtected: row['protected'] === 1,
    isHeld: row['is_held'] === 1,
    ...(manager && { manager }),
  };
}

/** What is to be published of a user as a batch has found it, or only the id where no row waits. */
export function publicationOf({ id, isActive, isDeleted, notBefore, unpublished }: StoredUser): string | Publication {
  if (unpublished === undefined) return id;
  return { userId: id, isActive: isActive && !isDeleted, notBefore, isGone: false, through: unpublished };
}

/** A condition on `users`. */
export const live = (store: OrgStore, id: string): SQL =>
  sql`users.org_id = ${store.org} AND users.id = ${id} AND users.deleted_at IS NULL`;

/** One round trip. @param toChange whether `isUnpublished` and `isHeld` are read, too. */
export async function getUser(store: OrgStore, id: string, toChange = false): Promise<StoredUser | undefined> {
  const [rows] = await store.read(sql`${toChange ? SELECT : SHOWN} WHERE ${live(store, id)}`);
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
    select: LISTED,
    condition: sql`users.org_id = ${store.org} AND users.deleted_at IS NULL`,
    lasting: 'seq',
    key: 'userName',
  } as const;
  const { rows, ...list } = listOf(store, query, source, before);
  return {
    ...list,
    page: rows ? [rows] : [],
    read: async ([rows = []]) => {
      const { found, total } = readList(rows);
      const { whole, isCut } = await withLarge(store, 'users', found);
      return { resources: whole.map(userOf), values: whole.map((row) => row['sort_value']), isCut, total };
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
    externalId: externalIdOf(draft.resource) ?? null,
    active: draft.isActive ? 1 : 0,
    resource: JSON.stringify(draft.resource),
    folded: JSON.stringify(folded),
    emails: values('emails').filter((email) => !isBlank(email)),
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

/**
 * A new user, who joins the org's default group, in one round trip.
 *
 * @param passedOver accounts that it may look like, and is known not to be.
 * @throws Unmet `allowed_roles`: the org does not know one of the roles. Unmet `no_tombstone`, `same_external_id`, `linkable`:
 *   it may be somebody who was deleted, is there under another userName, or was there before the identity provider. Unmet
 *   `unique_external_id`: the org wants it to be. Unmet `seats`: `storage`: the plan has none left.
 * @throws Taken: the userName is a live user's.
 */
export async function insertUser(
  store: OrgStore,
  type: ResourceType,
  draft: Draft,
  actor: Actor,
  happening: Happening,
  passedOver: readonly string[] = [],
): Promise<Stored> {
  const { userNameKey, externalId, active, resource, folded, emails, roles } = columnValues(type, draft);
  expectAllowed(store, roles);
  const likeness = likenessOf(draft.resource);
  const why = whyKnown(store, likeness, passedOver, draft.isActive);
  const seat = draft.isActive ? takeSeat(store, actor) : undefined;
  const { notRestored, sameExternalId } = strangers(store, likeness, draft.id);
  const { defaultGroup } = store.profile.settings;
  const isWhole = defaultGroup === undefined && managerOf(draft.resource) === undefined;
  // A NULL in the patch leaves the details as they are.
  const details = sql`json_patch(${JSON.stringify({ ...toldBy(actor, happening.details), defaultGroup })},
    json_object('notRestored', ${notRestored}, 'sameExternalId', ${sameExternalId}))`;
  const results = await store.write(
    ...(why ? [expectNone(why)] : []),
    // That the userName is a live user's is said first: the insert will say it.
    expect(
      'storage',
      sql`${hasRoom(store, resource, folded)} OR EXISTS (SELECT 1 FROM users
        WHERE org_id = ${store.org} AND deleted_at IS NULL AND user_name_key = ${userNameKey})`,
    ),
    sql`INSERT INTO users (org_id, id, user_name_key, external_id, active, version, created_at, modified_at, resource, folded)
      VALUES (${store.org}, ${draft.id}, ${userNameKey}, ${externalId}, ${active}, ${draft.version},
        ${draft.createdAt}, ${draft.modifiedAt}, ${resource}, ${folded})`,
    ...insertEmails(store, draft.id, emails),
    ...joinDefaultGroup(store, draft.id),
    count(store, { users: 1, ...seat?.count }),
    recordAs(store, actor, happening, details, seat?.warning),
    ...(happening.publishes ? [publishLater(store, only(draft.id))] : []),
    // Of most new users all is known: they are in no group, and have no manager.
    ...(isWhole ? [] : [sql`${SELECT} WHERE ${live(store, draft.id)}`]),
  );
  return isWhole ? { ...draft, groups: [] } : userOf(results.at(-1)![0]!);
}

/** The id that the resource names as its manager. */
const managerOf = ({ [ENTERPRISE_USER]: extension }: Resource): unknown =>
  (extension as { manager?: { value?: unknown } } | undefined)?.manager?.value;

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

/** A deleted user of whom there is more than the id. One round trip. */
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

/** How a user is changed. */
export interface Manner {
  readonly endsSessions: boolean;
  /** The identity provider takes the account over by it. */
  readonly isLinked?: boolean;
  /** False: the operator has released it from the brake. */
  readonly isBraked?: boolean;
  /** The identity provider wants somebody active whom the brake holds: held no more, by the same batch. */
  readonly withdraws?: boolean;
  /** No other live account may have the externalId, whatever the org's settings say. */
  readonly isOneExternalId?: boolean;
}

export interface Replaced {
  /** As answers show it. Of a live user whose sessions were ended, `notBefore` is that of before. */
  readonly user: StoredUser;
  /** The org ends the sessions of who is renamed, and this one was. */
  readonly isSignedOut: boolean;
}

/**
 * A changed user in the place of the one that was read, a restored one in the place of its tombstone. One round trip.
 *
 * @param endsSessions those issued until now; the happening has to publish it.
 * @throws Unmet `version`: it has changed since it was read. Unmet `allowed_roles`: a role that it did not have before is
 *   none that the org knows. Unmet `seats`: it would be active, and the plan has none left. Unmet `protected`, `rejected`,
 *   `brake`: it would be inactive (brake.ts). Unmet `protected_identity`: it would be known by something else. Unmet
 *   `unique_external_id`, `storage`.
 * @throws Taken: the userName is another live user's.
 */
export async function replaceUser(
  store: OrgStore,
  type: ResourceType,
  before: StoredUser,
  draft: Draft,
  actor: Actor,
  happening: Happening,
  { endsSessions, isLinked = false, isBraked = true, withdraws = false, isOneExternalId = false }: Manner,
): Promise<Replaced> {
  const { userNameKey, externalId, active, resource, folded, emails, roles } = columnValues(type, draft);
  const was = columnValues(type, before);
  const seat = draft.isActive && !before.isActive ? takeSeat(store, actor) : undefined;
  const deleted = before.isDeleted ? sql`deleted_at IS NOT NULL` : sql`deleted_at IS NULL`;
  const isRenamed = !before.isDeleted && was.userNameKey !== userNameKey;
  const mayEnd = isRenamed && !endsSessions && store.profile.settings.signOutOnRename;
  const isNewExternalId = before.isDeleted || was.externalId !== externalId;
  const why = whyNotKnownAs(store, {
    id: draft.id,
    isOther: identityChanges(before.resource, draft.resource).length > 0,
    // Who only becomes active again shares it already: of those that have it, one may be active.
    ...(externalId !== null &&
      (isNewExternalId || seat) && {
        externalId,
        isUnique: isOneExternalId ? 'always' : isNewExternalId ? 'among-all' : 'among-active',
      }),
  });
  expectAllowed(
    store,
    roles.filter((role) => !was.roles.includes(role)),
  );
  const hasOtherEmails = before.isDeleted || JSON.stringify(was.emails) !== JSON.stringify(emails);
  // Taking an account over moves no version by itself: two that do so at once must not both have done it.
  const [linked, unlinked] = isLinked ? [sql`, linked_at = ${store.now}`, sql` AND linked_at IS NULL`] : [sql``, sql``];
  const isOut = before.isActive && !draft.isActive;
  const ended = endsSessions ? sql`, not_before = ${raised(store)}` : sql``;
  const change = [
    // First, for whether the user is active still is asked.
    ...(isOut ? takeOut(store, draft.id, { otherwise: 'version', isBraked }) : []),
    sql`UPDATE users SET user_name_key = ${userNameKey}, external_id = ${externalId}, active = ${active},
        version = ${draft.version}, modified_at = ${draft.modifiedAt}, deleted_at = NULL,
        resource = ${resource}, folded = ${folded}${linked}${ended}
      WHERE org_id = ${store.org} AND id = ${before.id} AND version = ${before.version} AND ${deleted}${unlinked}`,
    // A change that takes somebody out needs no room.
    isOut ? expectOneChange('version') : expectEach(['version', sql`changes()`], ['storage', isRoomy(store)]),
    ...(why ? [expectNone(why)] : []),
    ...(withdraws ? withdrawal(store, draft.id, actor) : []),
    ...(hasOtherEmails ? [deleteEmails(store, draft.id), ...insertEmails(store, draft.id, emails)] : []),
    ...(seat ? expectSeat(store) : []),
    count(store, {
      users: before.isDeleted ? 1 : 0,
      activeUsers: active - (before.isActive ? 1 : 0),
      ...seat?.count,
    }),
    record(store, actor, happening, seat?.warning),
    ...(happening.publishes ? [publishLater(store, only(draft.id))] : []),
  ];
  const renamed = mayEnd ? signOut(store, actor, only(draft.id), { cause: 'rename' }) : [];
  // The groups and the manager came with the read, unless it has another manager now.
  const manager = managerOf(draft.resource);
  const isWhole = !before.isDeleted && manager === managerOf(before.resource) && manager !== draft.id;
  const publishes = happening.publishes === true || mayEnd === true;
  const read = isWhole
    ? publishes
      ? [selectCommitted(store, draft.id)]
      : []
    : [sql`${SELECT} WHERE ${live(store, draft.id)}`];
  const results = await store.write(...change, ...renamed, ...read);
  const last = results.at(-1);
  // Where a rename signs nobody out, no row of the outbox waits.
  const committed = isWhole && publishes && last?.[0]?.['id'] != null ? committedState(last) : undefined;
  return {
    user: isWhole
      ? { ...before, ...draft, ...(committed && { notBefore: committed.notBefore, unpublished: committed.through }) }
      : userOf(last![0]!),
    isSignedOut: renamed.length > 0 && signedOut(results[change.length]).length > 0,
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
