/**
 * Before a bulk request is carried out: what its operations name is looked up in one read, operations on the same name wait
 * for each other, and PATCHes that follow each other on one resource become one. So what is refused for a name or an id
 * that is known at the start costs no batch of its own. What only D1 can refuse (a taken new name, a policy) still does.
 */
import type { BulkOperation } from '../scim/bulk';
import { foldCase } from '../scim/fold';
import { externalIdOf } from '../scim/identifying';
import { MAX_OPERATIONS } from '../scim/patch/parse';
import { canonicalPath } from '../scim/quirks';
import { isObject, member, type Resource } from '../scim/resource';
import { lookUpNamed, type Present } from '../store/directory/bulk-lookup';
import type { TypedOrg } from './org';

/** What is known of an operation before it begins. */
export interface Planned {
  /** A POST: a user has its name or externalId already, or an earlier operation asks for them. */
  readonly mayBeKnown: boolean;
  /** A DELETE, or a POST of a group: it cannot succeed, for there is no such resource, or the name is taken. */
  readonly isVain: boolean;
  /** A POST of the request may restore a deleted user, so a second DELETE can find one. */
  readonly mayComeBack: boolean;
  /** The place of an operation before it that asks for the same name or externalId. */
  readonly waitsFor: number | undefined;
  /** Places of the PATCHes that are carried out with it. */
  readonly together: readonly number[];
  /** A POST that makes a new resource, for all that is known: what refers to it need not wait for its id. */
  readonly newId: string | undefined;
}

/** The endpoint and the id that a path names. */
export const partsOf = (path: string): readonly string[] => canonicalPath(path).split('/').slice(1);

interface Claim {
  readonly userName?: string;
  readonly externalId?: string;
  readonly displayName?: string;
  readonly userId?: string;
  readonly groupId?: string;
}

/** One read, and none where no operation names what could be looked up. */
export async function planBulk(
  org: TypedOrg,
  operations: readonly BulkOperation[],
  mayJoin: boolean,
): Promise<Planned[]> {
  const claims = operations.map(claimOf);
  const all = (key: keyof Claim) => claims.flatMap((claim) => claim[key] ?? []);
  const isAsked = claims.some((claim) => Object.keys(claim).length > 0);
  const present: Present | undefined = isAsked
    ? await lookUpNamed(org.store, {
        userNames: all('userName'),
        externalIds: all('externalId'),
        displayNames: all('displayName'),
        userIds: all('userId'),
        groupIds: all('groupId'),
      })
    : undefined;
  const known = claims.map(
    ({ userName, externalId }) =>
      (userName !== undefined && present?.userNames.has(userName) === true) ||
      (externalId !== undefined && present?.externalIds.has(externalId) === true),
  );
  // A POST may bring back a deleted user; a DELETE or a new name may free a name for those after it.
  const restores = known.some(Boolean);
  const mayBeThere = (id: string) =>
    present?.userIds.has(id) === true || (restores && present?.deletedIds.has(id) === true);
  const frees = operations.findIndex(({ method, data }, i) => {
    const { userId, groupId } = claims[i]!;
    if (method === 'DELETE') {
      return userId !== undefined ? mayBeThere(userId) : groupId === undefined || present?.groupIds.has(groupId);
    }
    return (method === 'PUT' || method === 'PATCH') && NAMES.test(JSON.stringify(data) ?? '');
  });
  const firstFreeing = frees === -1 ? Number.POSITIVE_INFINITY : operations[frees]!.turn;
  const firstWith = new Map<string, number>();
  const together = mayJoin ? joined(operations) : new Map<number, number[]>();
  const waits = new Map<number, number>();
  // By turn: what an operation waits for never waits for it.
  for (const i of [...operations.keys()].sort((a, b) => operations[a]!.turn - operations[b]!.turn)) {
    const { userName, externalId, displayName } = claims[i]!;
    for (const [kind, name] of Object.entries({ userName, externalId, displayName })) {
      if (name === undefined) continue;
      const key = `${kind}:${name}`;
      const earlier = firstWith.get(key);
      if (earlier === undefined) firstWith.set(key, i);
      else if (!waits.has(i)) waits.set(i, earlier);
    }
  }
  const isNew = (i: number) =>
    operations[i]!.method === 'POST' &&
    !operations[i]!.refusal &&
    !known[i] &&
    !waits.has(i) &&
    Object.keys(claims[i]!).length > 0;
  return claims.map(({ displayName, userId, groupId }, i) => {
    const waitsFor = waits.get(i);
    // What was looked up still holds when it is its turn.
    const isSettled = operations[i]!.turn < firstFreeing;
    const isNameOfGroup = displayName !== undefined && present?.displayNames.has(displayName) === true;
    return {
      mayBeKnown: isSettled && (known[i]! || (waitsFor !== undefined && displayName === undefined)),
      isVain:
        (userId !== undefined && !mayBeThere(userId)) ||
        (groupId !== undefined && present?.groupIds.has(groupId) === false) ||
        (isNameOfGroup && isSettled),
      mayComeBack: restores,
      waitsFor,
      together: together.get(i) ?? [],
      newId: mayJoin && isNew(i) ? crypto.randomUUID() : undefined,
    };
  });
}

function claimOf({ method, path, data, refusal, refersTo }: BulkOperation): Claim {
  if (refusal) return {};
  const [endpoint, id, ...more] = partsOf(path);
  if (method === 'POST' && !id) {
    if (!isObject(data)) return {};
    if (endpoint === 'Users') {
      const userName = member(data, 'userName');
      const externalId = externalIdOf({ externalId: member(data, 'externalId') } as Resource);
      return {
        ...(typeof userName === 'string' && { userName: foldCase(userName) }),
        ...(externalId !== undefined && { externalId }),
      };
    }
    const displayName = endpoint === 'Groups' ? member(data, 'displayName') : undefined;
    return typeof displayName === 'string' ? { displayName: foldCase(displayName) } : {};
  }
  if (method !== 'DELETE' || !id || more.length > 0 || refersTo.length > 0) return {};
  return endpoint === 'Users' ? { userId: id } : endpoint === 'Groups' ? { groupId: id } : {};
}

/** PATCHes of one resource with nothing on that resource between them: each by the place of the first of them. */
function joined(operations: readonly BulkOperation[]): Map<number, number[]> {
  const first = new Map<number, number>(); // of a PATCH that can be joined: the first of its row
  const sizes = new Map<number, number>();
  const rows = new Map<number, number[]>();
  const schemasOf = (i: number) => JSON.stringify(member(operations[i]!.data as Record<string, unknown>, 'schemas'));
  operations.forEach((operation, i) => {
    const size = sizeOf(operation);
    if (size === undefined) return;
    const leader = operation.follows === undefined ? undefined : first.get(operation.follows);
    const total = leader === undefined ? size : sizes.get(leader)! + size;
    if (leader === undefined || total > MAX_OPERATIONS || schemasOf(leader) !== schemasOf(i)) {
      first.set(i, i);
      sizes.set(i, size);
      return;
    }
    first.set(i, leader);
    sizes.set(leader, total);
    rows.set(leader, [...(rows.get(leader) ?? []), i]);
  });
  return rows;
}

const NAMES = /username|displayname|externalid/i;
/** What a policy or a unique index may refuse is tried by each PATCH itself, so that it is refused, and recorded, once. */
const ALONE = /username|displayname|externalid|emails|active|roles/i;

/** How many operations a PATCH has, if it can be joined with others. */
function sizeOf({ method, data, version, refusal, refersTo }: BulkOperation): number | undefined {
  if (method !== 'PATCH' || refusal || version !== undefined || refersTo.length > 0 || !isObject(data))
    return undefined;
  const list = member(data, 'Operations');
  return Array.isArray(list) && !ALONE.test(JSON.stringify(list)) ? list.length : undefined;
}

/** One PATCH body with the operations of several. */
export const joinedBody = (bodies: readonly unknown[]): unknown => ({
  ...(bodies[0] as object),
  Operations: bodies.flatMap((body) => member(body as Record<string, unknown>, 'Operations') as unknown[]),
});
