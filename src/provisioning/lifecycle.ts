/** What a change of a user means: active before x active after -> created, updated, deactivated, … Pure. */
import type { Details, EventType } from '../events';
import type { Quirks } from '../scim/quirks';
import type { Resource } from '../scim/resource';
import { differenceOf } from './changed';

export interface Change {
  readonly type: EventType;
  /** Sessions issued until now must die. */
  readonly endsSessions: boolean;
  /** The state that applications see has changed: a flag must be written. */
  readonly isPublished: boolean;
}

/** A user who is created inactive is published as well, for applications that read KV alone. */
export function creation(isActive: boolean): Change {
  return { type: 'user.created', endsSessions: false, isPublished: !isActive };
}

export function replacement(was: boolean, is: boolean): Change {
  if (was && !is) return { type: 'user.deactivated', endsSessions: true, isPublished: true };
  // Reactivation leaves `validAfter` where it is: old sessions stay dead.
  if (!was && is) return { type: 'user.reactivated', endsSessions: false, isPublished: true };
  return { type: 'user.updated', endsSessions: false, isPublished: false };
}

export function restoration(isActive: boolean): Change {
  return { type: 'user.restored', endsSessions: !isActive, isPublished: true };
}

/** What the event says of a change: each attribute that differs, and the quirks that its message needed. */
export const detailsOf = (before: Resource, after: Resource, quirks: Quirks): Details => ({
  ...differenceOf(before, after),
  ...(quirks.size > 0 && { quirks: [...quirks] }),
});
