/** A BulkRequest -> operations, their references to each other, and the order these ask for (RFC 7644 §3.7). */
import { invalidSyntax, invalidValue, payloadTooLarge, ScimError, shown } from './error';
import { isObject, type Json, member } from './resource';
import { BULK_REQUEST } from './urns';
import { checkSchemas } from './validate';

/** authentik sends as many operations as ServiceProviderConfig says, so the number is not small. */
export const MAX_BULK_OPERATIONS = 1_000;

export interface BulkOperation {
  readonly method: 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** As sent: `/Users`, `/Users/42`, `/Users/bulkId:ada`. */
  readonly path: string;
  readonly bulkId?: string;
  readonly version?: string;
  readonly data: unknown;
  /** Places of the operations that must be over before this one. */
  readonly after: readonly number[];
  /** Its turn: that of the request, but that what an operation waits for comes before it. */
  readonly turn: number;
  /** What was found wrong with the operation itself; it is not carried out. */
  readonly refusal?: ScimError;
}

export interface BulkRequest {
  /** How many errors end the request; undefined: none do. */
  readonly failOnErrors?: number;
  readonly operations: readonly BulkOperation[];
}

/** @throws ScimError 400, 413 about the request as a whole. */
export function parseBulk(body: unknown): BulkRequest {
  if (!isObject(body)) throw invalidSyntax('A JSON object with a BulkRequest was expected as the body');
  checkSchemas(body, BULK_REQUEST, new Set());
  const failOnErrors = member(body, 'failOnErrors') ?? undefined;
  if (failOnErrors !== undefined && !(Number.isInteger(failOnErrors) && (failOnErrors as number) > 0)) {
    throw invalidValue('failOnErrors: an integer above 0 was expected');
  }
  const list = member(body, 'Operations');
  if (!Array.isArray(list) || list.length === 0) {
    throw invalidSyntax('Operations: a list of at least one operation was expected');
  }
  if (list.length > MAX_BULK_OPERATIONS) {
    throw payloadTooLarge(`Operations: at most ${MAX_BULK_OPERATIONS} are accepted in one bulk request`);
  }
  const parsed = list.map((operation, i) => parseOperation(operation, `Operations[${i}]`));
  return {
    ...(failOnErrors !== undefined && { failOnErrors: failOnErrors as number }),
    operations: withOrder(parsed),
  };
}

type Parsed = Omit<BulkOperation, 'after' | 'turn'>;

function parseOperation(operation: unknown, name: string): Parsed {
  if (!isObject(operation)) throw invalidSyntax(`${name}: an object was expected`);
  const text = (key: string) => {
    const value = member(operation, key) ?? undefined;
    if (value !== undefined && typeof value !== 'string') throw invalidSyntax(`${name}.${key}: a string was expected`);
    return value;
  };
  const method = text('method')?.toUpperCase();
  if (method !== 'POST' && method !== 'PUT' && method !== 'PATCH' && method !== 'DELETE') {
    throw invalidSyntax(`${name}.method: POST, PUT, PATCH or DELETE was expected`);
  }
  const path = text('path');
  if (!path?.startsWith('/')) throw invalidSyntax(`${name}.path: a path such as /Users was expected`);
  const bulkId = text('bulkId');
  if (method === 'POST' && !bulkId) throw invalidSyntax(`${name}.bulkId: POST needs one`);
  const version = text('version');
  return { method, path, data: member(operation, 'data'), ...(bulkId && { bulkId }), ...(version && { version }) };
}

const REFERENCE = /bulkId:([^"\s\])/]+)/g;
/** A whole value, or a whole path: the bulkId may be of any characters there. */
const WHOLE = /^(\/\w+\/)?bulkId:(.+)$/s;

/** The bulkIds that a value names, wherever they stand in it (§3.7.2). */
export function referencesIn(value: unknown, found = new Set<string>()): Set<string> {
  if (typeof value === 'string') {
    const whole = WHOLE.exec(value)?.[2];
    if (whole !== undefined) found.add(whole);
    for (const [, id] of value.matchAll(REFERENCE)) found.add(id!);
  } else if (Array.isArray(value)) for (const element of value) referencesIn(element, found);
  else if (isObject(value)) for (const element of Object.values(value)) referencesIn(element, found);
  return found;
}

/** The value with ids in the place of references. @param idOf undefined: not a reference, but text that looks like one. */
export function resolveReferences(value: unknown, idOf: (bulkId: string) => string | undefined): unknown {
  if (typeof value === 'string') {
    const [, endpoint = '', bulkId] = WHOLE.exec(value) ?? [];
    const id = bulkId === undefined ? undefined : idOf(bulkId);
    if (id !== undefined) return endpoint + id;
    return value.replace(REFERENCE, (text, inner: string) => idOf(inner) ?? text);
  }
  if (Array.isArray(value)) return value.map((element) => resolveReferences(element, idOf));
  if (!isObject(value)) return value as Json;
  return Object.fromEntries(Object.entries(value).map(([name, element]) => [name, resolveReferences(element, idOf)]));
}

/** What each operation waits for: those it refers to, and earlier ones on the same resource. */
function withOrder(operations: readonly Parsed[]): BulkOperation[] {
  const places = new Map<string, number>();
  operations.forEach(({ bulkId, method }, i) => {
    if (!bulkId || method !== 'POST') return;
    if (places.has(bulkId)) throw invalidValue(`Operations[${i}].bulkId: the bulkId of another operation`);
    places.set(bulkId, i);
  });
  const referred = operations.map(({ path, data }) =>
    [...referencesIn([path, data])].flatMap((bulkId) => places.get(bulkId) ?? []),
  );
  const circular = onCircles(referred);
  const lastOn = new Map<string, number>();
  const after = operations.map(({ path, method }, i) => {
    const earlier = method === 'POST' ? undefined : lastOn.get(path);
    if (method !== 'POST') lastOn.set(path, i);
    return earlier === undefined ? referred[i]! : [...referred[i]!, earlier];
  });
  const turns = turnsOf(after.map((places, i) => (circular.has(i) ? [] : places)));
  return operations.map((operation, i) => ({
    ...operation,
    after: after[i]!,
    turn: turns[i]!,
    ...refusalOf(operation, i),
  }));

  function refusalOf({ path, data }: Parsed, i: number): { refusal?: ScimError } {
    // §3.7.1 lets a service refuse what it cannot resolve.
    if (circular.has(i)) return { refusal: conflict('The operation refers to itself through other operations') };
    const unknown = unknownReference([path, data]);
    return unknown === undefined ? {} : { refusal: conflict(`No operation has the bulkId ${shown(unknown)}`) };
  }

  /** A whole value, or one that a filter compares with: other text may happen to hold "bulkId:". */
  function unknownReference(value: unknown): string | undefined {
    if (typeof value === 'string') {
      const whole = WHOLE.exec(value)?.[2];
      if (whole !== undefined && places.has(whole)) return undefined;
      const compared = [...value.matchAll(/\seq\s+"bulkId:([^"\s\])/]+)"/gi)].map(([, bulkId]) => bulkId!);
      const single = whole !== undefined && /^[^"\s\])/]+$/.test(whole) ? [whole] : [];
      return [...single, ...compared].find((bulkId) => !places.has(bulkId));
    }
    const inner = Array.isArray(value) ? value : isObject(value) ? Object.values(value) : [];
    for (const element of inner) {
      const found = unknownReference(element);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** @param after without circles. */
function turnsOf(after: readonly (readonly number[])[]): number[] {
  const turns: number[] = [];
  let next = 0;
  const take = (i: number) => {
    if (turns[i] !== undefined) return;
    for (const place of after[i]!) take(place);
    turns[i] = next++;
  };
  for (let i = 0; i < after.length; i++) take(i);
  return turns;
}

/** RFC 7644 §3.7.1: 409 for references that cannot be resolved. */
export const conflict = (detail: string) => new ScimError(409, undefined, detail);

/** Places that can be reached from themselves; found without recursion, for a thousand may stand in one chain. */
function onCircles(after: readonly (readonly number[])[]): Set<number> {
  // Whatever waits for nothing is over; whatever then waits for nothing, too; what is left waits in a circle, or for one.
  const waiting = new Map(after.map((places, i) => [i, new Set(places)]));
  for (let isChanged = true; isChanged; ) {
    isChanged = false;
    for (const [i, places] of waiting) {
      for (const place of places) if (!waiting.has(place)) places.delete(place);
      if (places.size > 0) continue;
      waiting.delete(i);
      isChanged = true;
    }
  }
  return new Set(waiting.keys());
}
