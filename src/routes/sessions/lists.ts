/**
 * The present state of an org for an application's own database: everything in pages, and what has changed since. Unknown
 * input -> a question -> the answer. Each is one D1 round trip.
 */
import * as z from 'zod/mini';
import { invalidCursor } from '../../scim/error';
import { MAX_PAGE } from '../../scim/query';
import { cursorText, expectOrg, type Given, type Kind, parseCursor } from '../../sessions/list-cursor';
import { type ShownPerson, shownPerson } from '../../sessions/person';
import { type Progress, readChanges } from '../../store/directory/changes';
import {
  type ListPage,
  listMemberships,
  listPeople,
  listRoles,
  type Membership,
  type Role,
} from '../../store/directory/people';
import type { OrgStore } from '../../store/org/open';
import { refuseFuture, seq } from '../events';
import { iso } from '../instants';
import { pageSize, readAs } from '../validator';
import { type Host, org, storeFor, text } from './host';

/** Memberships are short: more of them make a page. */
const MAX_MEMBERSHIPS = 5_000;
/** An id has at most so many characters. */
const MAX_CURSOR = 2_000;

const cursor = z.optional(text(MAX_CURSOR));
const usersAsked = z.strictObject({
  org,
  cursor,
  limit: z._default(pageSize(MAX_PAGE), MAX_PAGE),
  active: z.optional(z.boolean('true or false was expected')),
});
const groupsAsked = z.strictObject({ org, cursor, limit: z._default(pageSize(MAX_PAGE), MAX_PAGE) });
const membershipsAsked = z.strictObject({ org, cursor, limit: z._default(pageSize(MAX_MEMBERSHIPS), MAX_MEMBERSHIPS) });
const changesAsked = z.strictObject({
  org,
  after: z.union([seq, text(MAX_CURSOR)], 'the number of an event, or the `next` of an earlier answer, was expected'),
  limit: z._default(pageSize(MAX_PAGE), MAX_PAGE),
});

/** For docs/openapi.yaml. */
export const listQuestions = {
  users: usersAsked,
  groups: groupsAsked,
  memberships: membershipsAsked,
  changes: changesAsked,
};

export type UsersAsked = z.input<typeof usersAsked>;
export type GroupsAsked = z.input<typeof groupsAsked>;
export type MembershipsAsked = z.input<typeof membershipsAsked>;
export type ChangesAsked = z.input<typeof changesAsked>;

interface OfOrg {
  readonly org: { readonly id: string; readonly slug: string };
  /** The org's latest event when this was true: what `changes` is asked after, once all pages have been read. */
  readonly asOfSeq: number;
}

interface Paged extends OfOrg {
  /** For the next page; null: this is the last one. */
  readonly cursor: string | null;
}

export interface Users extends Paged {
  readonly users: readonly ShownPerson[];
}
export interface Groups extends Paged {
  readonly groups: readonly Role[];
}
export interface Memberships extends Paged {
  readonly memberships: readonly Membership[];
}

/**
 * All users that are not deleted, page by page, in a lasting order.
 *
 * @throws ScimError 400, 404.
 */
export async function users(host: Host, asked: unknown): Promise<Users> {
  const { org, cursor, limit, active } = readAs(usersAsked, asked, 'question');
  const given = cursor === undefined ? undefined : parseCursor('users', cursor);
  const [after, filter = null] = given?.place ?? [undefined, active ?? null];
  if (given !== undefined && (typeof after !== 'string' || filter !== (active ?? null))) throw invalidCursor();
  const store = storeFor(host, org, 'lists');
  const options = { after: after as string | undefined, limit };
  let page = await listPeople(store, { ...options, isActive: active });
  expectOrg(given, store.tenant.id);
  if (active !== undefined && store.tenant.disabledAt !== undefined) {
    // Nobody of an org that is switched off may sign in, whatever their own state is.
    page = active
      ? { entries: [], isCut: false, asOfSeq: page.asOfSeq }
      : await listPeople(store, { ...options, isActive: undefined });
  }
  return {
    users: page.entries.map((person) => shownPerson(store.tenant, person)),
    ...ended(store, 'users', page, ({ id }) => [id, active ?? null]),
  };
}

/** All groups with what they allow. @throws ScimError 400, 404. */
export async function groups(host: Host, asked: unknown): Promise<Groups> {
  const { org, cursor, limit } = readAs(groupsAsked, asked, 'question');
  const given = cursor === undefined ? undefined : parseCursor('groups', cursor);
  const after = given?.place[0];
  if (given !== undefined && typeof after !== 'string') throw invalidCursor();
  const store = storeFor(host, org, 'lists');
  const page = await listRoles(store, { after: after as string | undefined, limit });
  expectOrg(given, store.tenant.id);
  return { groups: page.entries, ...ended(store, 'groups', page, ({ id }) => [id]) };
}

/** Who is directly in which group: users and groups. @throws ScimError 400, 404. */
export async function memberships(host: Host, asked: unknown): Promise<Memberships> {
  const { org, cursor, limit } = readAs(membershipsAsked, asked, 'question');
  const given = cursor === undefined ? undefined : parseCursor('memberships', cursor);
  const after = given && membershipOf(given);
  const store = storeFor(host, org, 'lists');
  const page = await listMemberships(store, { after, limit });
  expectOrg(given, store.tenant.id);
  return {
    memberships: page.entries,
    ...ended(store, 'memberships', page, ({ group, type, id }) => [group, type, id]),
  };
}

function membershipOf({ place: [group, type, id] }: Given): Membership {
  if (typeof group !== 'string' || typeof id !== 'string') throw invalidCursor();
  if (type !== 'User' && type !== 'Group') throw invalidCursor();
  return { group, type, id };
}

function ended<T>(
  store: OrgStore,
  kind: Kind,
  { entries, isCut, asOfSeq }: ListPage<T>,
  placeOf: (last: T) => readonly unknown[],
): Paged {
  const { id, slug } = store.tenant;
  const last = entries.at(-1);
  const cursor = isCut && last !== undefined ? cursorText(kind, id, placeOf(last)) : null;
  return { org: { id, slug }, asOfSeq, cursor };
}

/** A user or group that was deleted. */
interface Gone {
  readonly id: string;
  readonly removed: true;
}

export interface Changed extends OfOrg {
  /** As they are now, each once in a page. */
  readonly users: readonly (ShownPerson | (Gone & { readonly removedAt: string | null }))[];
  readonly groups: readonly (Role | Gone)[];
  /** What to ask after next. */
  readonly next: string;
  /** There is more to be asked for at once. */
  readonly more: boolean;
  /**
   * What has changed cannot be told one by one: events are gone by their age, or the state of everybody is another one.
   * Read the lists again, and go on after the `asOfSeq` of the first of their pages.
   */
  readonly resync: boolean;
}

/**
 * The present state of every user and every group that has changed since that event. Nothing is missed: what changes while
 * pages are read is in a later one.
 *
 * @throws ScimError 400 when `after` is later than the org's latest event, or of another org; 404.
 */
export async function changes(host: Host, asked: unknown): Promise<Changed> {
  const { org, after, limit } = readAs(changesAsked, asked, 'question');
  const given = typeof after === 'string' ? progressCursor(after) : undefined;
  const progress = given ? progressOf(given) : { after: after as number };
  const store = storeFor(host, org, 'lists');
  const found = await readChanges(store, progress, limit);
  const { tenant } = store;
  if (given && given.org !== '') expectOrg(given, tenant.id);
  refuseFuture(progress.within?.through ?? progress.after, found);
  const { after: next, within } = found.next;
  return {
    org: { id: tenant.id, slug: tenant.slug },
    users: found.users.map(({ person, deletedAt }) =>
      deletedAt === undefined
        ? shownPerson(tenant, person)
        : { id: person.id, removed: true as const, removedAt: iso(deletedAt) },
    ),
    groups: found.groups.map(({ id, role }) => role ?? { id, removed: true as const }),
    next: cursorText('changes', tenant.id, within ? [next, within.through, within.user] : [next]),
    more: !found.isLost && (within !== undefined || next < found.current),
    resync: found.isLost,
    asOfSeq: found.current,
  };
}

/** A number may come as text, as it does in a query. */
const progressCursor = (text: string): Given =>
  /^\d{1,15}$/.test(text) ? { org: '', place: [Number(text)] } : parseCursor('changes', text);

function progressOf({ place: [after, through, user, ...more] }: Given): Progress {
  const isSeq = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (!isSeq(after) || more.length > 0) throw invalidCursor();
  if (through === undefined) return { after };
  if (!isSeq(through) || through < after || typeof user !== 'string') throw invalidCursor();
  return { after, within: { through, user } };
}
