/** A resource as the service keeps it, and how its JSON is read and compared. */

export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [name: string]: Json };

/**
 * Attributes under their canonical names, extensions under their URN. Only what is assigned: no null, no empty
 * array, no empty object (RFC 7643 §2.5). Without `id`, `meta` and `schemas`, which the service derives.
 */
export type Resource = JsonObject;

/** A resource with what the store knows about it. Instants are epoch milliseconds. */
export interface Stored<R extends Resource = Resource> {
  readonly id: string;
  readonly resource: R;
  readonly version: number;
  readonly createdAt: number;
  readonly modifiedAt: number;
  /** Of a user: its manager, where that is a live user of the org. `displayName` is null when it has none. */
  readonly manager?: { readonly id: string; readonly displayName: string | null };
  /** Of a user: the groups it is in; of a group: its members. Absent: not read. */
  readonly groups?: readonly Related[];
  readonly members?: readonly Related[];
}

/** One end of a membership, as the other end shows it. */
export interface Related {
  readonly id: string;
  /** Of a member: its resource type. Of a user's group: whether the membership is direct or through another group. */
  readonly type: 'User' | 'Group' | 'direct' | 'indirect';
  readonly display: string | null;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Equality of JSON values; the order of an object's members does not count. */
export function isSame(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return (
      Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((element, i) => isSame(element, b[i]))
    );
  }
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && isSame(a[name], b[name]))
  );
}

/** A member of a message. Their names, too, are read without case, as attribute names are (RFC 7643 §2.1). */
export function member(object: Record<string, unknown>, name: string): unknown {
  const exact = Object.hasOwn(object, name) ? object[name] : undefined;
  if (exact !== undefined) return exact;
  const wanted = name.toLowerCase();
  return Object.entries(object).find(([key]) => key.toLowerCase() === wanted)?.[1];
}
