/** A BulkRequest -> operations, their references to each other, and the order these ask for (RFC 7644 §3.7). */
import { conflict, invalidSyntax, invalidValue, payloadTooLarge, printable, type ScimError } from './error';
import { isObject, type Json, member } from './resource';
import { BULK_REQUEST } from './urns';
import { checkSchemas } from './validate';

/** authentik sends as many operations as ServiceProviderConfig says, so the number is not small. */
export const MAX_BULK_OPERATIONS = 1_000;

const METHODS = ['POST', 'PUT', 'PATCH', 'DELETE'] as const;
export type BulkMethod = (typeof METHODS)[number];

export interface BulkOperation {
  /** undefined: none that a bulk request can have, and the operation is refused. */
  readonly method: BulkMethod | undefined;
  /** As sent: `/Users`, `/Users/42`, `/Users/bulkId:ada`. */
  readonly path: string;
  readonly bulkId?: string;
  readonly version?: string;
  readonly data: unknown;
  /** What the answer repeats of it, so far as it was sent as text. */
  readonly sent: { readonly method?: string; readonly path?: string };
  /** Places of the POSTs whose resources it refers to. */
  readonly refersTo: readonly number[];
  /** The place of the operation before it on the same resource. */
  readonly follows?: number;
  /** Its turn: that of the request, except that an operation comes after those that it refers to or follows. */
  readonly turn: number;
  /** What was found wrong with the operation itself; it is not carried out. */
  readonly refusal?: ScimError;
}

export interface BulkRequest {
  /** How many errors end the request; undefined: none do. */
  readonly failOnErrors?: number;
  readonly operations: readonly BulkOperation[];
}

/**
 * What is wrong with one operation is told as its outcome. Of the request as a whole only that is refused without which it
 * cannot be told what is asked for.
 *
 * @throws ScimError 400, 413 about the request as a whole.
 */
export function parseBulk(body: unknown): BulkRequest {
  if (!isObject(body)) throw invalidSyntax('A JSON object with a BulkRequest was expected as the body');
  checkSchemas(body, BULK_REQUEST, new Set());
  const failOnErrors = member(body, 'failOnErrors') ?? undefined;
  if (failOnErrors !== undefined && !(Number.isInteger(failOnErrors) && (failOnErrors as number) >= 0)) {
    throw invalidValue('failOnErrors: an integer, 0 or above, was expected');
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
    // §3.7: how many errors are accepted before the request ends. With 0, as with 1, the first one ends it.
    ...(failOnErrors !== undefined && { failOnErrors: Math.max(failOnErrors as number, 1) }),
    operations: withOrder(parsed),
  };
}

type Parsed = Omit<BulkOperation, 'refersTo' | 'follows' | 'turn'>;

/** @throws ScimError 400 for what is no operation at all. */
function parseOperation(operation: unknown, name: string): Parsed {
  if (!isObject(operation)) throw invalidSyntax(`${name}: an object was expected`);
  let refusal: ScimError | undefined;
  const refuse = (member: string, expected: string) => {
    refusal ??= invalidSyntax(`${name}.${member}: ${expected}`);
  };
  const text = (key: string) => {
    const value = member(operation, key) ?? undefined;
    if (value === undefined || typeof value === 'string') return value;
    refuse(key, 'a string was expected');
    return undefined;
  };
  const [sentMethod, path, bulkId, version] = [text('method'), text('path'), text('bulkId'), text('version')];
  const method = METHODS.find((one) => one === sentMethod?.toUpperCase());
  if (method === undefined) refuse('method', 'POST, PUT, PATCH or DELETE was expected');
  if (!path?.startsWith('/')) refuse('path', 'a path such as /Users was expected');
  if (method === 'POST' && !bulkId) refuse('bulkId', 'POST needs one');
  return {
    method,
    path: path ?? '',
    data: member(operation, 'data'),
    sent: {
      ...(sentMethod !== undefined && { method: method ?? printable(sentMethod) }),
      ...(path?.startsWith('/') && { path }),
    },
    ...(bulkId && { bulkId }),
    ...(version && { version }),
    ...(refusal && { refusal }),
  };
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

/** What each operation refers to, and the one before it on the same resource. */
function withOrder(operations: readonly Parsed[]): BulkOperation[] {
  const places = new Map<string, number>();
  operations.forEach(({ bulkId, method }, i) => {
    if (!bulkId || method !== 'POST') return;
    // Of the whole request: what refers to it could mean either, and its answers could not be told apart.
    if (places.has(bulkId)) throw invalidValue(`Operations[${i}].bulkId: another operation has the same bulkId`);
    places.set(bulkId, i);
  });
  const referred = operations.map(({ path, data, refusal }) =>
    refusal ? [] : [...referencesIn([path, data])].flatMap((bulkId) => places.get(bulkId) ?? []),
  );
  const circular = onCircles(referred);
  const lastOn = new Map<string, number>();
  const followed = operations.map(({ path, method, refusal }, i) => {
    if (method === 'POST' || refusal) return undefined;
    const earlier = lastOn.get(path);
    lastOn.set(path, i);
    return earlier;
  });
  const after = referred.map((others, i) => {
    const earlier = followed[i];
    return [...(circular.has(i) ? [] : others), ...(earlier === undefined || circular.has(i) ? [] : [earlier])];
  });
  const turns = turnsOf(after);
  return operations.map((operation, i) => {
    const follows = followed[i];
    return {
      ...operation,
      refersTo: referred[i]!,
      ...(follows !== undefined && { follows }),
      turn: turns[i]!,
      ...(operation.refusal === undefined && refusalOf(operation, i)),
    };
  });

  function refusalOf({ path, data }: Parsed, i: number): { refusal?: ScimError } {
    // §3.7.1 lets a service refuse what it cannot resolve.
    if (circular.has(i)) return { refusal: conflict('The operation refers to itself through other operations') };
    const unknown = unknownReference([path, data]);
    return unknown === undefined ? {} : { refusal: conflict(`No operation has the bulkId ${printable(unknown)}`) };
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

/**
 * Places on a circle, and those that wait for one. Each reference is looked at once (Kahn's algorithm), and without
 * recursion: a thousand operations may stand in one chain.
 */
function onCircles(after: readonly (readonly number[])[]): Set<number> {
  const waiting = after.map((places) => places.length);
  const waitedForBy: number[][] = after.map(() => []);
  after.forEach((places, i) => {
    for (const place of places) waitedForBy[place]!.push(i);
  });
  const free = [...after.keys()].filter((i) => waiting[i] === 0);
  // Grows while it is gone through.
  for (const place of free) {
    for (const i of waitedForBy[place]!) if (--waiting[i]! === 0) free.push(i);
  }
  return new Set([...after.keys()].filter((i) => waiting[i]! > 0));
}
