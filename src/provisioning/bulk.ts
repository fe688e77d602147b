/** Many operations in one request (RFC 7644 §3.7). Each is the single operation; their round trips are shared. */

import type { ResourceType } from '../scim/attribute';
import { type BulkOperation, type BulkRequest, conflict, resolveReferences } from '../scim/bulk';
import { invalidSyntax, notFound, ScimError, unavailable } from '../scim/error';
import { etagOf, parseCondition } from '../scim/etag';
import { locationOf } from '../scim/representation';
import type { Stored } from '../scim/resource';
import { allTypes, type Types } from '../scim/schema/types';
import { Busy } from '../store/d1/batch';
import { ProfileChanged } from '../store/org/profile';
import { Gathering, Stopped } from '../store/org/shared-batches';
import { createGroup, deleteGroup, patchGroup, replaceGroup } from './groups';
import type { TypedOrg } from './org';
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

/** An answered group carries no members here: nobody reads them. */
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
): Promise<BulkResult[]> {
  const failed: number[] = [];
  // How many before it have failed, not how many in all: an operation is not called off by a later one's mistake.
  const mayGoOn = (turn: number) => failed.filter((other) => other < turn).length < failOnErrors;
  const gathering = new Gathering(org.store, operations.length, mayGoOn);
  let isBegun = false;
  let busy: Busy | undefined;
  const published = new Set<string>();
  let hasMany = false;
  const results: Promise<BulkResult | undefined>[] = [];

  const begin = (index: number): Promise<BulkResult | undefined> => {
    results[index] ??= perform(index);
    return results[index];
  };
  const perform = async (index: number): Promise<BulkResult | undefined> => {
    const operation = operations[index]!;
    // One that refers to itself in a circle would wait for ever: it is refused, and waits for nobody.
    const before = operation.refusal ? [] : await Promise.all(operation.after.map(begin));
    if (!mayGoOn(operation.turn)) return gathering.skip(operation.turn);
    const fail = (error: unknown): BulkResult | undefined => {
      if (error instanceof Stopped) return undefined;
      // Too late to begin the whole request again: the client repeats what it hears was not done.
      const refusal =
        error instanceof ProfileChanged && isBegun ? changing() : error instanceof Busy ? tryAgain() : error;
      if (error instanceof Busy) busy = error;
      if (!(refusal instanceof ScimError) || org.store.refusal !== undefined) throw refusal;
      failed.push(operation.turn);
      return { operation, status: refusal.status, error: refusal };
    };
    // Counted before the seat is given back: what waits behind it must see the failure.
    return gathering.run(operation.turn, async (store) => {
      try {
        const seat: TypedOrg = {
          ...org,
          store,
          publish: async (userId) => {
            published.add(userId);
            return false; // when all is over, with the others
          },
          publishPending: async () => {
            hasMany = true;
          },
        };
        const done = await performOne(seat, resolve(operation, before));
        isBegun = true;
        return { operation, ...done };
      } catch (error) {
        return fail(error);
      }
    });
  };
  const resolve = (operation: BulkOperation, before: (BulkResult | undefined)[]): BulkOperation => {
    if (operation.refusal) throw operation.refusal;
    const known = new Map<string, string>();
    for (const result of before) {
      const { bulkId } = result?.operation ?? {};
      const id = result?.location?.slice(result.location.lastIndexOf('/') + 1);
      if (bulkId && id) known.set(bulkId, id);
    }
    const missing = operation.after.some(
      (place, i) => operations[place]!.method === 'POST' && before[i]?.location === undefined,
    );
    if (missing) throw conflict('An operation that this one refers to has failed');
    const idOf = (bulkId: string) => known.get(bulkId);
    return {
      ...operation,
      path: resolveReferences(operation.path, idOf) as string,
      data: resolveReferences(operation.data, idOf),
    };
  };

  const settled = await Promise.allSettled(operations.map((_, index) => begin(index)));
  // Whatever became of the others: who is deactivated is out before anybody is told of it (promise 2).
  await Promise.all([...published].map((userId) => org.publish(userId)));
  if (hasMany) await org.publishPending();
  if (busy && !isBegun) throw busy;
  const all = settled.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
  // What only read, and so could not be called off in time, is not told of either.
  return all.filter((result, i) => result !== undefined && mayGoOn(operations[i]!.turn)) as BulkResult[];
}

/** D1 could not do this operation now, and has done others: the client repeats the one. */
const tryAgain = () => unavailable('The directory is busy: try again in a moment', 2);

/** One operation, as its own request would do it. */
async function performOne(
  org: TypedOrg,
  { method, path, version, data }: BulkOperation,
): Promise<Omit<BulkResult, 'operation'>> {
  const { type, id } = targetOf(org.types, path);
  const ifMatch = parseCondition(version);
  const isUser = type === org.types.user;
  if (method === 'POST') {
    if (id !== undefined) throw invalidSyntax('path: POST takes the endpoint of a resource type, without an id');
    return done(org, type, 201, isUser ? await createUser(org, data) : await createGroup(org, data, NO_MEMBERS));
  }
  if (id === undefined) throw invalidSyntax(`path: ${method} takes the path of one resource`);
  if (method === 'DELETE') {
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
  const [, endpoint, id, ...more] = path.split('/');
  const type = allTypes(types).find((candidate) => candidate.endpoint === `/${endpoint}`);
  if (type === undefined || more.length > 0) throw notFound('Endpoint');
  return { type, id: id || undefined };
}
