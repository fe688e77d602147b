/** The look-up for a sign-in: which user it is, whether the user may sign in, and with which permissions. */
import { type SQL, sql } from 'drizzle-orm';
import { endCauseIn } from '../../end-cause';
import { addressesOf, addressKey, storedForms } from '../../scim/address';
import { foldCase, isBlank } from '../../scim/fold';
import type { Resource } from '../../scim/resource';
import { orAbsent } from '../d1/rows';
import type { OrgStore } from '../org/open';
import { GROUPS_OF_USER, groupsIn, PERMISSIONS_OF_USER } from './memberships';
import type { Person } from './people';

/** By what an application may know a user. */
export type Key = 'id' | 'userName' | 'email' | 'externalId';

/** People who are read of an address: its index holds it in a form that other addresses share. Of more, none is chosen. */
const MAX_ALIKE = 3;
/** The same of those who were deleted: an address may have belonged to many. */
const MAX_TOMBSTONES = 20;

/** Who is meant by a key. */
export interface Found {
  /** At most two: an address or an externalId can be several people's, and it does not matter how many. */
  readonly people: readonly Person[];
  /** When the user was deleted, if no live user is meant; epoch milliseconds. Of several the latest. */
  readonly removedAt: number | undefined;
}

interface PersonRow {
  readonly id: string;
  readonly resource: string;
  readonly version: number;
  readonly active: number;
  readonly not_before: number | null;
  readonly ended_by: string | null;
  readonly groups: string;
  readonly permissions: string;
}

/**
 * The userName is compared as SCIM compares it, without case; an e-mail address as mail would (scim/address.ts), and it is
 * anyone's who has it, whichever of theirs it is. A blank value means nobody. Somebody erased is known by the id alone.
 * One round trip.
 */
export async function findPeople(store: OrgStore, key: Key, value: string): Promise<Found> {
  const most = key === 'email' ? MAX_ALIKE : 2;
  const sought = isBlank(value) ? '' : value;
  const [rows, deleted] = await store.read(
    sql<PersonRow>`SELECT users.id, users.resource, users.version, users.active, users.not_before, users.ended_by, ${sql.raw(GROUPS_OF_USER)} AS groups,
        ${sql.raw(PERMISSIONS_OF_USER)} AS permissions
      FROM users WHERE users.seq IN (${seqsOf(store, key, sought)} LIMIT CAST(${most} AS INTEGER))`,
    sql<{
      deleted_at: number;
      emails: string | null;
    }>`SELECT users.deleted_at, users.resource -> '$.emails' AS emails FROM users WHERE users.seq IN (
        ${deletedSeqsOf(store, key, sought)} LIMIT ${MAX_TOMBSTONES})`,
  );
  if (isBlank(value)) return { people: [], removedAt: undefined };
  const people = rows.map(
    (row): Person => ({
      id: row.id,
      resource: JSON.parse(row.resource),
      version: row.version,
      isActive: row.active === 1,
      validAfter: orAbsent(row.not_before),
      endedBy: endCauseIn(row.ended_by),
      groups: groupsIn(row.groups),
      permissions: JSON.parse(row.permissions),
    }),
  );
  const meant = key === 'email' ? holdersOf(people, value) : people;
  const instants = deleted
    .filter(({ emails }) => key !== 'email' || hasAddress({ emails: JSON.parse(emails ?? '[]') }, value))
    .map((row) => row.deleted_at);
  return { people: meant, removedAt: meant.length === 0 && instants.length > 0 ? Math.max(...instants) : undefined };
}

function holdersOf(people: readonly Person[], address: string): readonly Person[] {
  const holders = people.filter(({ resource }) => hasAddress(resource, address)).slice(0, 2);
  return people.length < MAX_ALIKE || holders.length > 1 ? holders : people.slice(0, 2);
}

export function hasAddress(resource: Resource, address: string): boolean {
  const key = addressKey(address);
  return addressesOf(resource).some((one) => addressKey(one) === key);
}

/** The `seq`s of those with this name, each by its own index. */
export function seqsOf(store: OrgStore, key: Key, value: string): SQL {
  if (key === 'email') return seqsWithAddress(store, 'user_emails', value);
  return sql`SELECT seq FROM users WHERE org_id = ${store.org} AND deleted_at IS NULL AND ${isCalled(key, value)}`;
}

function deletedSeqsOf(store: OrgStore, key: Key, value: string): SQL {
  if (key === 'email') return seqsWithAddress(store, 'deleted_emails', value);
  return sql`SELECT seq FROM users WHERE org_id = ${store.org} AND deleted_at IS NOT NULL AND ${isCalled(key, value)}`;
}

function seqsWithAddress(store: OrgStore, table: 'user_emails' | 'deleted_emails', value: string): SQL {
  const forms = storedForms(value).map((form) => sql`${form}`);
  return sql`SELECT user_seq FROM ${sql.raw(table)} WHERE org_id = ${store.org} AND value_key IN (${sql.join(forms, sql`, `)})`;
}

function isCalled(key: Exclude<Key, 'email'>, value: string): SQL {
  if (key === 'id') return sql`id = ${value}`;
  return key === 'userName' ? sql`user_name_key = ${foldCase(value)}` : sql`external_id = ${value}`;
}

/** What the strict session check needs: zero staleness, from the primary. One round trip. */
export interface SessionState {
  readonly isKnown: boolean;
  /** The user, and the org. */
  readonly isActive: boolean;
  /** The later of the user's and the org's; epoch milliseconds. */
  readonly validAfter: number | undefined;
}

export async function readSessionState(store: OrgStore, userId: string): Promise<SessionState> {
  const [rows] = await store.read(
    sql`SELECT active, deleted_at, not_before FROM users WHERE org_id = ${store.org} AND id = ${userId}`,
  );
  const row = rows![0];
  const instants = [row?.['not_before'] as number | null | undefined, store.tenant.validAfter].filter(
    (at) => at != null,
  );
  return {
    isKnown: row !== undefined,
    isActive:
      row !== undefined && row['active'] === 1 && row['deleted_at'] === null && store.tenant.disabledAt === undefined,
    validAfter: instants.length > 0 ? Math.max(...instants) : undefined,
  };
}
