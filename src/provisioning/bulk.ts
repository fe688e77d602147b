/** Many operations in one request (RFC 7644 §3.7). Each is the single operation; their round trips are shared. */
import type { ResourceType } from '../scim/attribute';
import { type BulkOperation, type BulkRequest, resolveReferences } from '../scim/bulk';
import { conflict, invalidSyntax, notFound, ScimError, unavailable, uniqueness } from '../scim/error';
import { etagOf, parseCondition } from '../scim/etag';
import { locationOf } from '../scim/representation';
import type { Stored } from '../scim/resource';
import { allTypes, type Types } from '../scim/schema/types';
import { Busy } from '../store/d1/batch';
import { type CountedQueries, QueryBudget } from '../store/d1/query-budget';
import { newest, type Publication } from '../store/journal/outbox';
import type { OrgStore } from '../store/org/open';
import { ProfileChanged } from '../store/org/profile';
import { NotAsPresumed, type Presumption, SharedBatches, Stopped } from '../store/org/shared-batches';
import { joinedBody, type Planned, partsOf, planBulk } from './bulk-plan';
import { createGroup, deleteGroup, patchGroup, replaceGroup } from './groups';
import { publishAll, type TypedOrg } from './org';
import { changing } from './schemas';
import { createUser, deleteUser, patchUser, replaceUser } from './users';

export interface BulkResult {
  readonly operation: BulkOperation;
  readonly status: number;
  readonly location?: string;
  /** Entity-tag of what the resource has become. */
  readonly version?: string;
  readonly error?: ScimError;
}

/** Groups are answered without members here: no client reads them. */
const NO_MEMBERS = { without: new Map([['members', new Map()]]) };

/**
 * In the order of the request, but that what an operation refers to comes before it. One operation's failure is its own.
 *
 * @returns what was carried out, in the order of the request; less than was asked for when `failOnErrors` was reached.
 * @throws what is no refusal of an operation, when all that was begun is over and published: a credential that died on
 *   the way, a bug. Busy, ProfileChanged: nothing is done.
 */
export async function performBulk(
  org: TypedOrg,
  { operations, failOnErrors = Number.POSITIVE_INFINITY }: BulkRequest,
  counted: CountedQueries = 'batches',
): Promise<BulkResult[]> {
  const failed: number[] = [];
  // How many before it have failed, not how many in all: an operation is not called off by a later one's mistake.
  const mayGoOn = (turn: number) => failed.filter((other) => other < turn).length < failOnErrors;
  const plan = await planBulk(org, operations, failOnErrors === Number.POSITIVE_INFINITY);
  const gathering = new SharedBatches(org.store, operations.length, new QueryBudget(counted), mayGoOn);
  let isBegun = false;
  let busy: Busy | undefined;
  /** By user: of several states of one, the last. */
  const published = new Map<string, string | Publication>();
  let hasMany = false;
  const results: Promise<BulkResult | undefined>[] = [];
  /** Of a PATCH that is carried out with an earlier one. */
  const leaders = new Map(plan.flatMap(({ together }, leader) => together.map((i) => [i, leader] as const)));
  const outcomes = new Map<number, Promise<(BulkResult | undefined)[]>>();

  const begin = (index: number): Promise<BulkResult | undefined> => {
    results[index] ??= perform(index);
    return results[index];
  };
  const perform = async (index: number): Promise<BulkResult | undefined> => {
    const leader = leaders.get(index);
    if (leader !== undefined) {
      gathering.skip(operations[index]!.turn);
      await begin(leader);
      return (await outcomes.get(leader))?.[1 + plan[leader]!.together.indexOf(index)];
    }
    const operation = operations[index]!;
    const { waitsFor, together } = plan[index]!;
    // An operation that refers to itself in a circle would wait for ever, so it is refused at once.
    if (operation.refusal) return run(index, [], []);
    // What a new resource's id will be is known before it is made. A POST needs no more: the others read the resource first.
    const isPost = operation.method === 'POST';
    const presumed = operation.refersTo.flatMap((place) => {
      const newId = isPost ? plan[place]!.newId : undefined;
      return newId === undefined ? [] : [{ turn: operations[place]!.turn, id: newId }];
    });
    for (const place of operation.refersTo) void begin(place).catch(() => undefined);
    await Promise.all(operation.refersTo.map((place) => (!isPost || plan[place]!.newId === undefined) && begin(place)));
    await Promise.all([operation.follows, waitsFor].map((i) => i !== undefined && begin(i)));
    try {
      return await run(index, together, presumed);
    } catch (error) {
      if (!(error instanceof NotAsPresumed)) throw error;
      // It has got another id, or none: by now that is known.
      await Promise.all(operation.refersTo.map(begin));
      gathering.reopen(operation.turn);
      return run(index, together, []);
    }
  };
  const run = async (
    index: number,
    together: readonly number[],
    presumed: readonly Presumption[],
  ): Promise<BulkResult | undefined> => {
    const operation = operations[index]!;
    if (!mayGoOn(operation.turn)) return gathering.skip(operation.turn);
    const { newId } = plan[index]!;
    const { follows } = operation;
    // Deleted a moment ago: the second time it is not there.
    const isGone =
      operation.method === 'DELETE' &&
      !plan[index]!.mayComeBack &&
      follows !== undefined &&
      operations[follows]!.method === 'DELETE' &&
      [204, 404].includes((await results[follows])?.status ?? 0);
    // Where an id is presumed, its operation need not be over.
    const known = await Promise.all(
      operation.refersTo.map(async (place) => {
        const { bulkId } = operations[place]!;
        const presumption = presumed.find(({ turn }) => turn === operations[place]!.turn);
        return { bulkId, id: presumption?.id ?? idIn(await results[place]) };
      }),
    );
    // Counted before the seat is given back: what waits behind it must see the failure.
    const perform = async (store: OrgStore): Promise<BulkResult | undefined> => {
      const seat: TypedOrg = {
        ...org,
        store,
        ...(newId !== undefined && { newId }),
        publish: async (subject) => {
          const userId = typeof subject === 'string' ? subject : subject.userId;
          published.set(userId, newest(published.get(userId), subject));
          return false; // when all is over, with the others
        },
        publishPending: async () => {
          hasMany = true;
        },
      };
      const one = async (operation: BulkOperation, attempt: () => Promise<Omit<BulkResult, 'operation'>>) => {
        try {
          const done = await attempt();
          isBegun = true;
          return { operation, ...done };
        } catch (error) {
          return fail(operation, error);
        }
      };
      if (together.length === 0) {
        const planned = isGone ? { ...plan[index]!, isVain: true } : plan[index]!;
        return one(operation, async () => performOne(seat, resolve(operation, known), planned));
      }
      const members = [operation, ...together.map((i) => operations[i]!)];
      const all = performTogether(seat, members, plan[index]!, one);
      outcomes.set(index, all);
      return (await all)[0];
    };
    return gathering.run(operation.turn, presumed, perform, idIn);
  };
  const fail = (operation: BulkOperation, error: unknown): BulkResult | undefined => {
    if (error instanceof Stopped) return undefined;
    if (error instanceof NotAsPresumed) throw error;
    // Too late to begin the whole request again: the client repeats what was not done.
    const refusal =
      error instanceof ProfileChanged && isBegun ? changing() : error instanceof Busy ? tryAgain() : error;
    if (error instanceof Busy) busy = error;
    if (!(refusal instanceof ScimError) || org.store.refusal !== undefined) throw refusal;
    failed.push(operation.turn);
    return { operation, status: refusal.status, error: refusal };
  };
  const resolve = (
    operation: BulkOperation,
    known: readonly { readonly bulkId?: string | undefined; readonly id: string | undefined }[],
  ): BulkOperation => {
    if (operation.refusal) throw operation.refusal;
    if (known.some(({ id }) => id === undefined)) throw conflict('An operation that this one refers to has failed');
    const ids = new Map(known.map(({ bulkId, id }) => [bulkId, id]));
    const idOf = (bulkId: string) => ids.get(bulkId);
    return {
      ...operation,
      path: resolveReferences(operation.path, idOf) as string,
      data: resolveReferences(operation.data, idOf),
    };
  };

  const settled = await Promise.allSettled(operations.map((_, index) => begin(index)));
  // Whatever became of the others: who is deactivated is out before anybody is told of it (promise 2).
  await publishAll(org, [...published.values()]);
  if (hasMany) await org.publishPending();
  if (busy && !isBegun) throw busy;
  const all = settled.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
  // What only read, and so could not be called off in time, is not told of either.
  return all.filter((result, i) => result !== undefined && mayGoOn(operations[i]!.turn)) as BulkResult[];
}

/**
 * PATCHes of one resource as one: one read, one write, one event. If they cannot be carried out together, each is tried by
 * itself, so that one that is refused does not take its neighbours along.
 */
async function performTogether(
  org: TypedOrg,
  members: readonly BulkOperation[],
  planned: Planned,
  one: (
    operation: BulkOperation,
    attempt: () => Promise<Omit<BulkResult, 'operation'>>,
  ) => Promise<BulkResult | undefined>,
): Promise<(BulkResult | undefined)[]> {
  const [first] = members;
  let done: Omit<BulkResult, 'operation'>;
  try {
    done = await performOne(org, { ...first!, data: joinedBody(members.map(({ data }) => data)) }, planned);
  } catch (error) {
    if (!(error instanceof ScimError) || error.status >= 500 || error.status === 404) {
      return Promise.all(members.map((member) => one(member, () => Promise.reject(error))));
    }
    const results: (BulkResult | undefined)[] = [];
    for (const member of members) results.push(await one(member, () => performOne(org, member, planned)));
    return results;
  }
  return Promise.all(members.map((member) => one(member, async () => done)));
}

/** The id of what an operation has made or changed. */
const idIn = (result: BulkResult | undefined): string | undefined =>
  result?.location?.slice(result.location.lastIndexOf('/') + 1);

/** D1 could not do this operation now, and has done others: the client repeats the one. */
const tryAgain = () => unavailable('The directory is busy: try again in a moment', 2);

/** One operation, as its own request would do it. */
async function performOne(
  org: TypedOrg,
  { method, path, version, data }: BulkOperation,
  { mayBeKnown, isVain }: Planned,
): Promise<Omit<BulkResult, 'operation'>> {
  const { type, id } = targetOf(org.types, path);
  const ifMatch = parseCondition(version);
  const isUser = type === org.types.user;
  if (method === 'POST') {
    if (id !== undefined) throw invalidSyntax('path: POST takes the endpoint of a resource type, without an id');
    if (isUser) return done(org, type, 201, await createUser(org, data, mayBeKnown));
    if (isVain) throw uniqueness('displayName');
    return done(org, type, 201, await createGroup(org, data, NO_MEMBERS));
  }
  if (id === undefined) throw invalidSyntax(`path: ${method} takes the path of one resource`);
  if (method === 'DELETE') {
    if (isVain) throw notFound(type.name);
    await (isUser ? deleteUser(org, id, ifMatch) : deleteGroup(org, id, ifMatch));
    return { status: 204, location: locationOf(type, org.baseUrl, id) };
  }
  const change = isUser
    ? (method === 'PUT' ? replaceUser : patchUser)(org, id, data, ifMatch)
    : (method === 'PUT' ? replaceGroup : patchGroup)(org, id, data, ifMatch, NO_MEMBERS);
  return done(org, type, 200, await change);
}

const done = (org: TypedOrg, type: ResourceType, status: number, stored: Stored) => ({
  status,
  location: locationOf(type, org.baseUrl, stored.id),
  version: etagOf(stored.version),
});

function targetOf(types: Types, path: string): { type: ResourceType; id: string | undefined } {
  const [endpoint, id, ...more] = partsOf(path);
  const type = allTypes(types).find((candidate) => candidate.endpoint === `/${endpoint}`);
  if (type === undefined || more.length > 0) throw notFound('Endpoint');
  return { type, id: id || undefined };
}
