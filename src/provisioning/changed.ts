/**
 * What an event keeps of the attributes that a change has changed. Its size follows that of the change, not that of the
 * resource: of a large list only the elements that came and went, of a large complex attribute only what differs in it,
 * and never more than `MAX_CHANGED`. Pure.
 */
import type { Changed } from '../events';
import { isObject, isSame, type Json, type JsonObject } from '../scim/resource';

/** Bytes of all values that an event keeps. What is beyond is named, with its size. */
export const MAX_CHANGED = 16_384;
/** Bytes up to which a value is kept whole, as it was and as it is. */
const MAX_WHOLE = 1_024;

export interface Difference {
  readonly changed: Record<string, Changed>;
  /** Names of attributes whose values were too much, each with how many bytes they were. */
  readonly leftOut?: Record<string, number>;
}

/** Small ones first: a large attribute does not push out the others. */
export function differenceOf(before: JsonObject, after: JsonObject): Difference {
  const all = changesOf(before, after, '').map(([name, change]) => ({ name, change, bytes: bytesOf(change) }));
  const kept = new Set<string>();
  let total = 0;
  for (const { name, bytes } of all.toSorted((a, b) => a.bytes - b.bytes)) {
    total += bytes;
    if (total > MAX_CHANGED) break;
    kept.add(name);
  }
  const leftOut = all.filter(({ name }) => !kept.has(name)).map(({ name, bytes }) => [name, bytes] as const);
  return {
    changed: Object.fromEntries(all.filter(({ name }) => kept.has(name)).map(({ name, change }) => [name, change])),
    ...(leftOut.length > 0 && { leftOut: Object.fromEntries(leftOut) }),
  };
}

/** By their names, as a filter writes them: `emails`, `name.givenName`, `urn:…:User:department`. */
function changesOf(before: JsonObject, after: JsonObject, prefix: string): [string, Changed][] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) => {
    const [was, is] = [before[key], after[key]];
    // Only an extension's own name, which is its URN, is followed by a colon.
    const separator = prefix === '' && key.includes(':') ? ':' : '.';
    return isSame(was, is) ? [] : changeOf(prefix + key, separator, was ?? null, is ?? null);
  });
}

function changeOf(name: string, separator: string, before: Json, after: Json): [string, Changed][] {
  const whole = { before, after };
  if (bytesOf(whole) <= MAX_WHOLE) return [[name, whole]];
  if (Array.isArray(before) || Array.isArray(after)) {
    const [was, is] = [listOf(before), listOf(after)];
    return [[name, { added: missingIn(was, is), removed: missingIn(is, was) }]];
  }
  if (isObject(before) || isObject(after)) {
    return changesOf(objectOf(before), objectOf(after), name + separator);
  }
  return [[name, whole]];
}

const listOf = (value: Json): readonly Json[] => (Array.isArray(value) ? value : value === null ? [] : [value]);
const objectOf = (value: Json): JsonObject => (isObject(value) ? (value as JsonObject) : {});

/** The elements of a list that another one does not have, as often as it lacks them. */
function missingIn(list: readonly Json[], elements: readonly Json[]): Json[] {
  const there = new Map<string, number>();
  for (const element of list) there.set(textOf(element), (there.get(textOf(element)) ?? 0) + 1);
  return elements.filter((element) => {
    const text = textOf(element);
    const left = there.get(text) ?? 0;
    if (left > 0) there.set(text, left - 1);
    return left === 0;
  });
}

/** Equal for equal values: the order of an object's members does not count. */
const textOf = (value: Json): string =>
  JSON.stringify(value, (_, inner) =>
    isObject(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );

const encoder = new TextEncoder();
const bytesOf = (value: unknown): number => encoder.encode(JSON.stringify(value)).length;
