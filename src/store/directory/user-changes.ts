/** Changes of users: each is one batch, with its event. */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor, Details, EventDraft } from '../../events';
import type { ResourceType } from '../../scim/attribute';
import { foldObject, isBlank } from '../../scim/fold';
import { externalIdOf, identityChanges } from '../../scim/identifying';
import { searchable } from '../../scim/representation';
import type { JsonObject, Resource, Stored } from '../../scim/resource';
import { ENTERPRISE_USER } from '../../scim/urns';
import { expect, expectEach, expectNone } from '../d1/expect';
import { type Outcome, outcomeOf } from '../d1/outcome';
import { ended, only, signedOut, signOut } from '../journal/end-sessions';
import {
  committedState,
  committedStates,
  type Publication,
  publishCommitted,
  publishLater,
  selectAllCommitted,
  selectCommitted,
} from '../journal/outbox';
import { count, record, recordAs, toldBy } from '../journal/record';
import type { OrgStore } from '../org/open';
import { takeOut, withdrawal } from './deactivation-limit';
import { likenessOf, strangers, whyNotKnownAs, whyRefused } from './identity';
import { areAllowed, expectedSeat, hasRoom, isRoomy, joinDefaultGroup, takeSeat } from './policy';
import { live, meant, SELECT, type StoredUser, seqOf, userOf } from './users';

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

/** Users who are signed out for one reason. */
export interface SignedOut {
  /** A user who is named twice is told of twice. */
  readonly userIds: readonly string[];
  /** Of each of them; absent: that of the actor. */
  readonly requestIds?: readonly string[];
  readonly details: Details;
}

/**
 * Every session of these users issued until now is dead, where they are live; nothing else of them changes.
 *
 * @param each user in one of them.
 * @param until epoch milliseconds: only sessions from before it end, and a user whose sessions have ended since then is
 *   left alone.
 * @param also statements of the same batch.
 * @returns what is to be published.
 */
export async function signOutUsers(
  store: OrgStore,
  each: readonly SignedOut[],
  actor: Actor,
  until?: number,
  also: readonly SQL[] = [],
): Promise<Publication[]> {
  const isNews = until === undefined ? sql`` : sql` AND ifnull(users.not_before, 0) < ${until}`;
  const whose = ({ userIds, requestIds }: SignedOut) => {
    const named = JSON.stringify(userIds.map((id, i) => [id, requestIds?.[i] ?? actor.requestId]));
    return sql`SELECT users.id AS id, named.value ->> 1 AS request_id FROM json_each(${named}) AS named
    CROSS JOIN users ON users.org_id = ${store.org} AND users.id = named.value ->> 0 WHERE users.deleted_at IS NULL${isNews}`;
  };
  const results = await store.write(
    ...each.flatMap((one) => signOut(store, actor, whose(one), one.details, until, sql`target.request_id`)),
    ...also,
    selectAllCommitted(store, [...new Set(each.flatMap(({ userIds }) => userIds))]),
  );
  return committedStates(results.at(-1));
}

/** A user about to be written. */
export interface UserDraft {
  readonly id: string;
  readonly isActive: boolean;
  readonly resource: Resource;
  readonly version: number;
  readonly createdAt: number;
  readonly modifiedAt: number;
}

/** What of a resource has a column of its own. */
export function columnValues(type: ResourceType, draft: UserDraft) {
  const folded: JsonObject = { ...searchable(type, draft), active: draft.isActive };
  return {
    ...keysIn(folded),
    externalId: externalIdOf(draft.resource) ?? null,
    active: draft.isActive ? 1 : 0,
    resource: JSON.stringify(draft.resource),
    folded: JSON.stringify(folded),
  };
}

/** What others find a user by, and the roles: of a folded resource. */
function keysIn(folded: JsonObject) {
  const values = (name: string) => {
    const elements = folded[name] as { value?: string }[] | undefined;
    return [...new Set(elements?.flatMap(({ value }) => value ?? []))];
  };
  return {
    userNameKey: folded['userName'] as string,
    emails: values('emails').filter((email) => !isBlank(email)),
    roles: values('roles'),
  };
}

/** Of what was read: nothing else of it has to be folded. */
function keysOf(type: ResourceType, { userName, emails, roles }: Resource) {
  const known = { userName, ...(emails !== undefined && { emails }), ...(roles !== undefined && { roles }) };
  return keysIn(foldObject(type.attributes, known as JsonObject));
}

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
 * `taken`: the userName is a live user's. `no_tombstone`, `same_external_id`, `linkable`: it may be somebody who was
 * deleted, is there under another userName, or was there before the identity provider. `unique_external_id`: the org wants
 * it to be. `allowed_roles`: the org does not know one of the roles. `seats`, `storage`: the plan has none left.
 */
const NEW_USER_REFUSALS = [
  ...(['taken', 'no_tombstone', 'same_external_id', 'linkable', 'unique_external_id'] as const),
  ...(['allowed_roles', 'seats', 'storage'] as const),
] as const;
export type NewUserRefusal = (typeof NEW_USER_REFUSALS)[number];

/**
 * A new user, who joins the org's default group, in one round trip.
 *
 * @param passedOver accounts that it may look like, and is known not to be.
 */
export async function insertUser(
  store: OrgStore,
  type: ResourceType,
  draft: UserDraft,
  actor: Actor,
  happening: EventDraft,
  passedOver: readonly string[] = [],
): Promise<Outcome<Stored, NewUserRefusal>> {
  const { userNameKey, externalId, active, resource, folded, emails, roles } = columnValues(type, draft);
  if (!areAllowed(store, roles)) return { refused: 'allowed_roles' };
  const likeness = likenessOf(draft.resource);
  const why = whyRefused(store, likeness, {
    passedOver,
    needsSeat: draft.isActive,
    hasRoom: hasRoom(store, resource, folded),
  });
  const seat = draft.isActive ? takeSeat(store, actor) : undefined;
  const { notRestored, sameExternalId } = strangers(store, likeness, draft.id);
  const { defaultGroup } = store.profile.settings;
  const isWhole = defaultGroup === undefined && managerOf(draft.resource) === undefined;
  // A NULL in the patch leaves the details as they are.
  const details = sql`json_patch(${JSON.stringify({ ...toldBy(actor, happening.details), defaultGroup })},
    json_object('notRestored', ${notRestored}, 'sameExternalId', ${sameExternalId}))`;
  const write = store.write(
    expectNone(why),
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
  const outcome = await outcomeOf(write, NEW_USER_REFUSALS, 'user_name_key');
  if ('refused' in outcome) return outcome;
  return { done: isWhole ? { ...draft, groups: [] } : userOf(outcome.done.at(-1)![0]!) };
}

/** The id that the resource names as its manager. */
const managerOf = ({ [ENTERPRISE_USER]: extension }: Resource): unknown =>
  (extension as { manager?: { value?: unknown } } | undefined)?.manager?.value;

/** How a user is changed. */
export interface UserChangeOptions {
  readonly endsSessions: boolean;
  /** The identity provider takes the account over by it. */
  readonly isLinked?: boolean;
  /** False: the operator has released it from the deactivation limit. */
  readonly isLimited?: boolean;
  /** The identity provider wants somebody active whom the deactivation limit holds: held no more, by the same batch. */
  readonly withdraws?: boolean;
  /** No other live account may have the externalId, whatever the org's settings say. */
  readonly isOneExternalId?: boolean;
}

export interface Replaced {
  /** As answers show it. Of a live user whose sessions were ended, `validAfter` is that of before. */
  readonly user: StoredUser;
  /** The org ends the sessions of who is renamed, and this one was. */
  readonly isSignedOut: boolean;
}

/**
 * `taken`: the userName is another live user's. `version`: it has changed since it was read. `allowed_roles`: a role that it
 * did not have before is none that the org knows. `seats`: it would be active, and the plan has none left. `linking`,
 * `protected`, `rejected`, `brake`: it would be inactive (deactivation-limit.ts). `protected_identity`: it would be known by
 * something else.
 */
const CHANGE_REFUSALS = [
  ...(['taken', 'version', 'allowed_roles', 'seats', 'storage', 'unique_external_id'] as const),
  ...(['linking', 'protected', 'rejected', 'brake', 'protected_identity'] as const),
] as const;
export type ChangeRefusal = (typeof CHANGE_REFUSALS)[number];

/**
 * A changed user in the place of the one that was read, a restored one in the place of its tombstone. One round trip.
 *
 * @param endsSessions those issued until now; the happening has to publish it.
 */
export async function replaceUser(
  store: OrgStore,
  type: ResourceType,
  before: StoredUser,
  draft: UserDraft,
  actor: Actor,
  happening: EventDraft,
  { endsSessions, isLinked = false, isLimited = true, withdraws = false, isOneExternalId = false }: UserChangeOptions,
): Promise<Outcome<Replaced, ChangeRefusal>> {
  const { userNameKey, externalId, active, resource, folded, emails, roles } = columnValues(type, draft);
  const was = keysOf(type, before.resource);
  const seat = draft.isActive && !before.isActive ? takeSeat(store, actor) : undefined;
  const deleted = before.isDeleted ? sql`deleted_at IS NOT NULL` : sql`deleted_at IS NULL`;
  const isRenamed = !before.isDeleted && was.userNameKey !== userNameKey;
  const mayEnd = isRenamed && !endsSessions && store.profile.settings.signOutOnRename;
  const isNewExternalId = before.isDeleted || (externalIdOf(before.resource) ?? null) !== externalId;
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
  const added = roles.filter((role) => !was.roles.includes(role));
  if (!areAllowed(store, added)) return { refused: 'allowed_roles' };
  const hasOtherEmails = before.isDeleted || JSON.stringify(was.emails) !== JSON.stringify(emails);
  // Taking an account over moves no version by itself: two that do so at once must not both have done it.
  const [linked, unlinked] = isLinked ? [sql`, linked_at = ${store.now}`, sql` AND linked_at IS NULL`] : [sql``, sql``];
  const isOut = before.isActive && !draft.isActive;
  const ending = endsSessions ? sql`, ${ended(store, actor)}` : sql``;
  // A change that deactivates a user needs no room, and `takeOut` has made sure of the version.
  const insisted = [
    ...(isOut ? [] : [['version', sql`changes()`] as const, ['storage', isRoomy(store)] as const]),
    ...(why ? [why] : []),
    ...(seat ? expectedSeat(store) : []),
  ];
  const change = [
    // First, for whether the user is active still is asked.
    ...(isOut
      ? takeOut(store, draft.id, {
          only: sql` AND version = ${before.version}${unlinked}`,
          otherwise: 'version',
          isLimited,
          // The operator's release does not read it.
          ...(isLimited && { wasHeld: before.isHeld }),
        })
      : []),
    sql`UPDATE users SET user_name_key = ${userNameKey}, external_id = ${externalId}, active = ${active},
        version = ${draft.version}, modified_at = ${draft.modifiedAt}, deleted_at = NULL,
        resource = ${resource}, folded = ${folded}${linked}${ending}
      WHERE org_id = ${store.org} AND id = ${before.id} AND version = ${before.version} AND ${deleted}${unlinked}`,
    ...(insisted.length > 0 ? [expectEach(...insisted)] : []),
    ...(withdraws ? withdrawal(store, draft.id, actor) : []),
    ...(hasOtherEmails ? [deleteEmails(store, draft.id), ...insertEmails(store, draft.id, emails)] : []),
    count(store, {
      users: before.isDeleted ? 1 : 0,
      activeUsers: active - (before.isActive ? 1 : 0),
      ...seat?.count,
    }),
    record(store, actor, happening, seat?.warning),
    ...(happening.publishes ? [publishCommitted(store, draft.id)] : []),
  ];
  const renamed = mayEnd ? signOut(store, actor, only(draft.id), { cause: 'rename' }) : [];
  // The groups and the manager came with the read, unless it has another manager now.
  const manager = managerOf(draft.resource);
  const isWhole = !before.isDeleted && manager === managerOf(before.resource) && manager !== draft.id;
  const read = [
    ...(isWhole ? [] : [sql`${SELECT} WHERE ${live(store, draft.id)}`]),
    ...(isWhole && mayEnd ? [selectCommitted(store, draft.id)] : []),
  ];
  const outcome = await outcomeOf(store.write(...change, ...renamed, ...read), CHANGE_REFUSALS, 'user_name_key');
  if ('refused' in outcome) return outcome;
  const results = outcome.done;
  const last = results.at(-1);
  const published = mayEnd ? last : happening.publishes ? results[change.length - 1] : undefined;
  // If a rename ends no sessions, no row of the outbox waits.
  const committed = isWhole && published?.[0]?.['id'] != null ? committedState(published) : undefined;
  const user = isWhole
    ? { ...before, ...draft, ...(committed && { validAfter: committed.notBefore, unpublished: committed.through }) }
    : userOf(last![0]!);
  return { done: { user, isSignedOut: renamed.length > 0 && signedOut(results[change.length]).length > 0 } };
}
