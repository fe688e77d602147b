/** Catching up: what the journal of a moving org says has changed is copied again, in portions that can be repeated. */
import {
  type Copying,
  changedSince,
  copyEventsOf,
  copyGroup,
  copyNextEvents,
  copyOtherVersions,
  copyUsers,
} from '../store/operations/move-rows';
import type { Changes, Place } from '../store/operations/moves';

/** Portions between two notes of how far it is, and milliseconds. */
const PORTIONS = 10;
const TIME = 2_000;

/** How far it is now. */
export type CaughtUp =
  /** More than single users and groups has changed: the copy has to begin again. */
  | { readonly kind: 'too_much' }
  | { readonly kind: 'on_the_way' | 'caught_up'; readonly place: Place }
  /** All that had changed `took` milliseconds ago is copied. */
  | { readonly kind: 'round'; readonly place: Place; readonly took: number };

/** Copies some of what has changed. */
export async function catchUp(copying: Copying, from: Place): Promise<CaughtUp> {
  const end = Date.now() + TIME;
  let place = from;
  for (let i = 0; i < PORTIONS && Date.now() < end; i++) {
    const { changes, ...rest } = place;
    if (changes === undefined) {
      const since = await changedSince(copying, place.seq ?? 0);
      if (since.isTooMuch) return { kind: 'too_much' };
      if (since.through === (place.seq ?? 0)) return { kind: 'caught_up', place };
      place = { ...place, changes: { ...since, begunAt: Date.now(), versionsAfter: 0 } };
      continue;
    }
    const left = await copySome(copying, changes);
    if (left) {
      place = { ...rest, changes: left };
      continue;
    }
    place = { ...rest, seq: changes.through };
    if (!changes.hasMore) return { kind: 'round', place, took: Date.now() - changes.begunAt };
  }
  return { kind: 'on_the_way', place };
}

/** One portion. @returns what is left; undefined: nothing. */
async function copySome(copying: Copying, changes: Changes): Promise<Changes | undefined> {
  const { users, groups, erased, through, member, versionsAfter, event = 0 } = changes;
  const [group, user] = [groups[0], erased[0]];
  if (users.length > 0) return { ...changes, users: users.slice(await copyUsers(copying, users)) };
  if (group !== undefined) {
    const last = await copyGroup(copying, group, member);
    return { ...changes, member: last, groups: last ? groups : groups.slice(1) };
  }
  if (versionsAfter !== undefined)
    return { ...changes, versionsAfter: await copyOtherVersions(copying, versionsAfter) };
  if (!changes.hasEvents) return { ...changes, hasEvents: !(await copyNextEvents(copying)) };
  if (user === undefined) return undefined;
  const last = await copyEventsOf(copying, user, through, event);
  return { ...changes, event: last, erased: last ? erased : erased.slice(1) };
}
