/** Users and groups as the journal names them: present, deleted, erased, or known to their events alone. */
import { sql } from 'drizzle-orm';
import { foldCase } from '../../scim/fold';
import type { Related } from '../../scim/resource';
import { orAbsent } from '../d1/rows';
import type { OrgStore } from '../org/open';
import { GROUPS_OF_USER, groupsIn } from './memberships';

/** The user that events are about. */
export interface Subject {
  readonly id: string;
  /** As it is now; absent: nothing but its events is left. */
  readonly now?: {
    readonly userName: string;
    readonly isActive: boolean;
    /** Epoch milliseconds. */
    readonly deletedAt: number | undefined;
    /** Nothing but the id is left. */
    readonly erasedAt: number | undefined;
    readonly validAfter: number | undefined;
    readonly groups: readonly Related[];
  };
}

interface SubjectRow {
  readonly id: string;
  /** null: it is in no table any more. */
  readonly user_id: string | null;
  readonly user_name: string | null;
  readonly active: number;
  readonly deleted_at: number | null;
  readonly erased_at: number | null;
  readonly not_before: number | null;
  readonly groups: string;
}

/**
 * The user that an operator means: by id, else by userName, who may be deleted, or known to the journal alone. One round
 * trip; look-ups of their own, for no index serves an OR of them.
 */
export async function findSubject(store: OrgStore, idOrUserName: string): Promise<Subject | undefined> {
  const one = sql`SELECT id FROM users WHERE org_id = ${store.org}`;
  const named = sql`user_name_key = ${foldCase(idOrUserName)}`;
  const [rows] = await store.read(
    sql<SubjectRow>`SELECT subject.id, users.id AS user_id, users.resource ->> '$.userName' AS user_name, users.active,
        users.deleted_at, users.erased_at, users.not_before, ${sql.raw(GROUPS_OF_USER)} AS groups
      FROM (SELECT coalesce((${one} AND id = ${idOrUserName}), (${one} AND deleted_at IS NULL AND ${named}),
        (${one} AND deleted_at IS NOT NULL AND ${named} ORDER BY deleted_at DESC LIMIT 1),
        (SELECT target_id FROM events WHERE org_id = ${store.org} AND target_id = ${idOrUserName}
          AND type GLOB 'user.*' LIMIT 1)) AS id) AS subject
      LEFT JOIN users ON users.org_id = ${store.org} AND users.id = subject.id WHERE subject.id IS NOT NULL`,
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  const { id } = row;
  if (row.user_id === null) return { id };
  return {
    id,
    now: {
      userName: row.user_name ?? '',
      isActive: row.active === 1,
      deletedAt: orAbsent(row.deleted_at),
      erasedAt: orAbsent(row.erased_at),
      validAfter: orAbsent(row.not_before),
      groups: groupsIn(row.groups),
    },
  };
}

/** The displayNames of groups by their ids, deleted ones by what their last event says. One round trip. */
export async function namesOfGroups(store: OrgStore, ids: readonly string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  const [rows] = await store.read(
    sql<{ id: string; name: string | null }>`SELECT asked.value AS id, ifnull(
        (SELECT resource ->> '$.displayName' FROM groups WHERE org_id = ${store.org} AND id = asked.value),
        (SELECT details ->> '$.before.displayName' FROM events
          WHERE org_id = ${store.org} AND target_id = asked.value ORDER BY seq DESC LIMIT 1)) AS name
      FROM json_each(${JSON.stringify(ids)}) AS asked`,
  );
  return new Map(rows.flatMap(({ id, name }) => (name === null ? [] : [[id, name] as const])));
}

/** The userNames of users by their ids, deleted users too. An id without a name is left out. One round trip. */
export async function namesOfUsers(store: OrgStore, ids: readonly string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  const [rows] = await store.read(
    sql`SELECT users.id, users.resource ->> '$.userName' AS name FROM json_each(${JSON.stringify(ids)}) AS asked
      JOIN users ON users.org_id = ${store.org} AND users.id = asked.value`,
  );
  return new Map(rows!.flatMap((row) => (row['name'] === null ? [] : [[row['id'], row['name']] as [string, string]])));
}

/** The deleted users with a userName, at most two: more than one is ambiguous. Erased users have no name. One round trip. */
export async function deletedWithUserName(store: OrgStore, userName: string): Promise<string[]> {
  const [rows] = await store.read(
    sql`SELECT id FROM users WHERE org_id = ${store.org} AND deleted_at IS NOT NULL AND erased_at IS NULL
      AND user_name_key = ${foldCase(userName)} ORDER BY deleted_at DESC LIMIT 2`,
  );
  return rows!.map((row) => row['id'] as string);
}
