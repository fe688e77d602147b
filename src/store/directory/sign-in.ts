/** The login gate: who somebody is to the host app, whether they may sign in, and what they may do then. */
import { type SQL, sql } from 'drizzle-orm';
import { addressesOf, addressKey, storedForms } from '../../scim/address';
import { foldCase, isBlank } from '../../scim/fold';
import type { Related, Resource } from '../../scim/resource';
import type { OrgStore } from '../org/open';
import { GROUPS_OF_USER, groupsIn, PERMISSIONS_OF_USER } from './memberships';

/** What a host app may know somebody by. */
export type Key = 'id' | 'userName' | 'email' | 'externalId';

export interface Person {
  readonly id: string;
  readonly resource: Resource;
  /** The user is; whether the org is, the tenant says. */
  readonly isActive: boolean;
  /** The user's own; epoch milliseconds. */
  readonly notBefore: number | undefined;
  /** Direct and through other groups. */
  readonly groups: readonly Related[];
  /** By each of the groups; each word once, in the order of the words. */
  readonly permissions: readonly string[];
}

/** People who are read of an address: its index holds it in a form that other addresses share. Of more, none is chosen. */
const MAX_ALIKE = 3;

/**
 * Who is meant: nobody who was deleted. The userName is compared as SCIM compares it, without case; an e-mail address as
 * mail would (scim/address.ts), and it is anyone's who has it, whichever of theirs it is. A blank value means nobody.
 *
 * @returns at most two: an address or an externalId can be several people's, and it does not matter how many.
 */
export async function findPeople(store: OrgStore, key: Key, value: string): Promise<Person[]> {
  const most = key === 'email' ? MAX_ALIKE : 2;
  const [rows] = await store.read(
    sql`SELECT users.id, users.resource, users.active, users.not_before, ${sql.raw(GROUPS_OF_USER)} AS groups,
        ${sql.raw(PERMISSIONS_OF_USER)} AS permissions
      FROM users WHERE users.seq IN (${seqsOf(store, key, isBlank(value) ? '' : value)} LIMIT CAST(${most} AS INTEGER))`,
  );
  const people = rows!.map((row) => ({
    id: row['id'] as string,
    resource: JSON.parse(row['resource'] as string) as Resource,
    isActive: row['active'] === 1,
    notBefore: (row['not_before'] as number | null) ?? undefined,
    groups: groupsIn(row['groups']),
    permissions: JSON.parse(row['permissions'] as string) as string[],
  }));
  if (isBlank(value)) return [];
  if (key !== 'email') return people;
  const holders = people.filter(({ resource }) => hasAddress(resource, value)).slice(0, 2);
  return people.length < MAX_ALIKE || holders.length > 1 ? holders : people.slice(0, 2);
}

function hasAddress(resource: Resource, address: string): boolean {
  const key = addressKey(address);
  return addressesOf(resource).some((one) => addressKey(one) === key);
}

/** Each by its own index. */
function seqsOf(store: OrgStore, key: Key, value: string): SQL {
  if (key === 'email') {
    const forms = storedForms(value).map((form) => sql`${form}`);
    return sql`SELECT user_seq FROM user_emails WHERE org_id = ${store.org} AND value_key IN (${sql.join(forms, sql`, `)})`;
  }
  const live = sql`SELECT seq FROM users WHERE org_id = ${store.org} AND deleted_at IS NULL`;
  if (key === 'id') return sql`${live} AND id = ${value}`;
  if (key === 'userName') return sql`${live} AND user_name_key = ${foldCase(value)}`;
  return sql`${live} AND external_id = ${value}`;
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
