/** The states of one org as its stream tells them: who is out, and since when. Monotone, and no larger than it must be. */
import type { Heard, State } from '../check.ts';

/** What a frame says: true when it was sent, after everything up to `seq`. */
export interface StateChange extends State {
  readonly seq: number;
  /** null: the whole org. */
  readonly user: string | null;
}

/** What a host may keep, as JSON, to go on from after a restart without hearing everything again. */
export interface Snapshot {
  readonly v: 1;
  /** The org's id. */
  readonly org: string;
  /** Everything up to here is in it. */
  readonly seq: number;
  /** As of when it was whole; epoch milliseconds. */
  readonly asOf: number;
  readonly states: readonly StateChange[];
}

export class OrgStates {
  readonly #users = new Map<string, StateChange>();
  #org: StateChange | undefined;
  #forgetAt = 1_000;

  get size(): number {
    return this.#users.size + (this.#org ? 1 : 0);
  }

  heard(user: string): Heard {
    return { user: this.#users.get(user), org: this.#org };
  }

  /** @param oldest epoch milliseconds: no session that is still alive was issued before. */
  apply(change: StateChange, oldest: number): void {
    const known = change.user === null ? this.#org : this.#users.get(change.user);
    const { seq, active } = known && known.seq > change.seq ? known : change;
    const next = { user: change.user, seq, active, validAfter: Math.max(change.validAfter, known?.validAfter ?? 0) };
    if (change.user === null) this.#org = next;
    else this.#users.set(change.user, next);
    if (this.#users.size >= this.#forgetAt) this.forget(oldest);
  }

  /** Lets go of those who are active and whose `validAfter` no living session is older than: they are as if never named. */
  forget(oldest: number): void {
    for (const [user, { active, validAfter }] of this.#users) {
      if (active && validAfter < oldest) this.#users.delete(user);
    }
    // Each pass is paid for by as many changes as it looks at.
    this.#forgetAt = 1_000 + 2 * this.#users.size;
  }

  /** The service counts anew (its database was restored): what is known stays, and any new word wins over it. */
  recount(): void {
    for (const [user, state] of this.#users) this.#users.set(user, { ...state, seq: 0 });
    if (this.#org) this.#org = { ...this.#org, seq: 0 };
  }

  all(): StateChange[] {
    return [...(this.#org ? [this.#org] : []), ...this.#users.values()];
  }
}

/** @returns undefined when it is none: it comes from a disk. */
export function parseSnapshot(value: unknown): Snapshot | undefined {
  const { v, org, seq, asOf, states } = (value ?? {}) as Partial<Record<keyof Snapshot, unknown>>;
  const isWhole = v === 1 && typeof org === 'string' && isSeq(seq) && Number.isFinite(asOf) && Array.isArray(states);
  if (!isWhole) return undefined;
  const changes = states.map(parseChange).filter((change) => change !== undefined);
  return changes.length === states.length ? { v, org, seq, asOf: asOf as number, states: changes } : undefined;
}

/** Services of before 0.2 call `validAfter` `notBefore`. */
export function parseChange(value: unknown): StateChange | undefined {
  const {
    seq,
    user,
    active,
    notBefore,
    validAfter = notBefore,
  } = (value ?? {}) as Partial<Record<keyof StateChange | 'notBefore', unknown>>;
  return isSeq(seq) &&
    (user === null || (typeof user === 'string' && user !== '')) &&
    typeof active === 'boolean' &&
    typeof validAfter === 'number' &&
    Number.isFinite(validAfter)
    ? { seq, user, active, validAfter }
    : undefined;
}

export const isSeq = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
