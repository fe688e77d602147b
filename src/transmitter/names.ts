/**
 * What a user was called when something happened: receivers are told in order, so that is what they know the user by. The journal
 * tells what has changed since. Pure.
 */
import { addressKey, calledBy } from '../scim/address';
import { isSame, type Json, type Resource } from '../scim/resource';
import type { JournalEvent } from '../store/operations/signal-journal';
import type { NameChange } from '../store/operations/signal-names';

const NAMES = ['userName', 'emails', 'externalId'] as const;
type Name = (typeof NAMES)[number];

/** As in a resource. */
export type Names = Readonly<Partial<Record<Name, Json>>>;

/** A user by name: what the resource is now, and what changed since the first event that is asked for. */
export interface Named {
  readonly resource: Resource | undefined;
  /** In the order of the events. */
  readonly changes: readonly NameChange[];
}

/** As the event found the user. Of an event that made the user, or brought the user back: as it left the user. */
export function namesAt(user: Named, { seq, type }: Pick<JournalEvent, 'seq' | 'type'>): Names {
  const before = namesBefore(user, seq);
  return (before.userName ?? null) === null || type === 'user.restored' ? namesBefore(user, seq + 1) : before;
}

/**
 * By which address the receiver knew the user before the event, and knows the user after it, if they are two. Without `after` the user
 * has none any more: the address may become somebody else's.
 */
export function addressChange(user: Named, { seq }: Pick<JournalEvent, 'seq'>) {
  const [before, after] = [namesBefore(user, seq), namesBefore(user, seq + 1)].map(calledBy);
  if (before === undefined) return undefined;
  if (after === undefined) return { before };
  return addressKey(before) === addressKey(after) ? undefined : { before, after };
}

const namesBefore = ({ resource, changes }: Named, seq: number): Names => {
  const later = changes.filter((change) => change.seq >= seq);
  return Object.fromEntries(NAMES.map((name) => [name, valueBefore(resource?.[name] as Json, name, later)]));
};

/** Back from what is known of a later time: the value of now, or one that an event has kept whole. */
function valueBefore(now: Json | undefined, name: Name, later: readonly NameChange[]): Json {
  const changes = later.flatMap((change) => change[name] ?? []);
  const whole = changes.findIndex((change) => 'before' in change);
  const known = changes[whole];
  const value = known !== undefined && 'before' in known ? known.before : (now ?? null);
  return changes
    .slice(0, whole < 0 ? undefined : whole)
    .reduceRight((list, change) => ('added' in change ? undone(list, change) : list), value);
}

/** Of a large list an event keeps what came and what went. */
function undone(
  list: Json,
  { added, removed }: { readonly added: readonly Json[]; readonly removed: readonly Json[] },
) {
  const kept = (Array.isArray(list) ? (list as Json[]) : []).filter(
    (element) => !added.some((one) => isSame(one, element)),
  );
  return [...kept, ...removed];
}
