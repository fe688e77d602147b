/** What an org's settings ask of a batch: from the remembered profile, only the statements that this org needs. */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor } from '../../events';
import { expect } from '../d1/expect';
import type { Also, Count } from '../journal/record';
import type { OrgStore } from '../org/open';
import { IS_IN_PLAN } from '../org/plan';
import type { OrgSettings } from '../org/settings';
import { settingOf } from '../org/settings';

/** To stand in the batch that switches SCIM on. */
export const expectInPlan = (store: OrgStore): SQL =>
  expect('plan', sql`(SELECT ${IS_IN_PLAN} FROM orgs WHERE id = ${store.org})`);

/** To follow a change of any of the three in the same batch: where SSO is required and not there, SCIM is off. */
export const expectSso = (store: OrgStore): SQL =>
  expect(
    'sso',
    sql`(SELECT scim_enabled = 0 OR settings ->> '$.ssoRequired' IS NOT 1 OR ifnull(settings ->> '$.sso', 0) IS NOT 0
      FROM orgs WHERE id = ${store.org})`,
  );

/** Of a row of `orgs`: a setting that is a duration (duration.ts), in milliseconds. */
export function milliseconds(setting: keyof OrgSettings, otherwise: string): SQL {
  const text = `ifnull(orgs.settings ->> '$."${setting}"', '${otherwise}')`;
  return sql.raw(`(CAST(${text} AS INTEGER) * CASE substr(${text}, -1)
    WHEN 's' THEN 1000 WHEN 'm' THEN 60000 WHEN 'h' THEN 3600000 ELSE 86400000 END)`);
}

/** How many users may be active, or NULL. */
export const SEATS = sql.raw(`orgs.settings ->> '$."plan.seats"'`);

/** 1 where this number of active users is the first to take nine tenths of the seats, else 0. */
const isWarned = (active: SQL, seats: number) =>
  sql`(${active} * 10 >= ${seats} * 9 AND (${active} - 1) * 10 < ${seats} * 9)`;

/**
 * Before a user becomes active: there is a seat. Who is active already needs none, so a limit that is lowered below their
 * number is in nobody's way but of who comes new.
 */
export function expectedSeat(store: OrgStore): (readonly ['seats', SQL])[] {
  const seats = store.profile.settings['plan.seats'];
  if (seats === undefined) return [];
  return [['seats', sql`(SELECT active_user_count < ${seats} FROM orgs WHERE id = ${store.org})`]];
}

/** How a user who becomes active is counted, and recorded: with a warning if nine tenths of the seats are taken by it. */
export function takeSeat(store: OrgStore, actor: Actor): { readonly count: Count; readonly warning?: Also } {
  const seats = store.profile.settings['plan.seats'];
  if (seats === undefined) return { count: { activeUsers: 1 } };
  return {
    count: { activeUsers: 1, moreEvents: isWarned(sql`(active_user_count + 1)`, seats) },
    warning: {
      type: 'seats.warning',
      details: sql`json_object('seats', ${SEATS}, 'activeUsers', active_user_count, 'client', ${actor.client ?? null})`,
      condition: isWarned(sql`active_user_count`, seats),
    },
  };
}

/** Bytes that the org may store. */
export const storageOf = (settings: OrgSettings): number => settingOf(settings, 'plan.storage');

const isWithin = (store: OrgStore, more: number): SQL =>
  sql`(SELECT stored_bytes + ${more} <= ${storageOf(store.profile.settings)} FROM orgs WHERE id = ${store.org})`;

/** Before documents are written, so many characters in all: there is room for them. */
export const hasRoom = (store: OrgStore, ...documents: readonly string[]): SQL =>
  isWithin(
    store,
    documents.reduce((sum, { length }) => sum + length, 0),
  );

/** After a change: what the org stores is no more than it may. */
export const isRoomy = (store: OrgStore): SQL => isWithin(store, 0);

/** To follow the insert of the user, who is in no group yet. Without a default group nothing happens. */
export function joinDefaultGroup(store: OrgStore, userId: string): SQL[] {
  const { defaultGroup } = store.profile.settings;
  if (defaultGroup === undefined) return [];
  const group = sql`groups.org_id = ${store.org} AND groups.id = ${defaultGroup}`;
  return [
    sql`INSERT INTO memberships (org_id, group_seq, is_group, member_seq)
      SELECT groups.org_id, groups.seq, 0, users.seq FROM groups
        JOIN users ON users.org_id = groups.org_id AND users.id = ${userId} WHERE ${group}`,
    sql`UPDATE groups SET version = version + 1, modified_at = max(modified_at, ${store.now}), member_count = member_count + 1
      WHERE ${group}`,
  ];
}

/** Whether the org ends the sessions of who leaves this group. */
export const isSignOutGroup = ({ profile }: OrgStore, groupId: string): boolean =>
  profile.settings.signOutGroups?.includes(groupId) ?? false;

/**
 * A query for the ids of the users who leave the group.
 *
 * @param userIds absent: all its direct members, while they are it.
 */
export function leaving(store: OrgStore, groupId: string, userIds?: readonly string[]): SQL {
  return userIds
    ? sql`SELECT users.id AS id FROM json_each(${JSON.stringify(userIds)}) AS asked
        CROSS JOIN users ON users.org_id = ${store.org} AND users.id = asked.value AND users.deleted_at IS NULL`
    : sql`SELECT users.id AS id FROM memberships AS m CROSS JOIN users ON users.seq = m.member_seq
        WHERE m.org_id = ${store.org} AND m.is_group = 0
          AND m.group_seq = (SELECT seq FROM groups WHERE org_id = ${store.org} AND id = ${groupId})`;
}

/** A deleted group leaves the settings defaultGroup and signOutGroups. */
export function forgetGroup(store: OrgStore, groupId: string): SQL[] {
  const { defaultGroup, signOutGroups = [] } = store.profile.settings;
  const others = signOutGroups.filter((id) => id !== groupId);
  const changes = {
    ...(defaultGroup === groupId && { defaultGroup: null }),
    ...(others.length < signOutGroups.length && { signOutGroups: others.length > 0 ? others : null }),
  };
  if (Object.keys(changes).length === 0) return [];
  return [sql`UPDATE orgs SET settings = json_patch(settings, ${JSON.stringify(changes)}) WHERE id = ${store.org}`];
}

/** @param roles values that a user is about to get, folded: the org knows all of them, or does not limit them. */
export function areAllowed({ profile }: OrgStore, roles: readonly string[]): boolean {
  const allowed = profile.settings.roles?.map(({ key }) => key);
  return allowed === undefined || roles.every((role) => allowed.includes(role));
}
