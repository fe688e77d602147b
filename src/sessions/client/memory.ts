/**
 * What was last heard of each user and org, in the memory of this process: bounded, and monotone. It lives as long as
 * the checker does; another process, another isolate and a restart begin with nothing known.
 */
import type { Heard, State } from '../check.ts';
import { statesOf } from '../check.ts';
import type { Moment } from './clock.ts';

/** A state, and as of when it was true. Which of two is the later one, the monotonic clock says. */
export interface Known extends State, Moment {}

export class LastKnown {
  readonly #known = new Map<string, Known>();
  readonly #limit: number;
  readonly #forgetAfter: number;

  /**
   * @param limit how many users and orgs are remembered; of more, those that were longest not asked for are forgotten.
   * @param forgetAfter milliseconds, the longest life of a session: what was heard before is no argument against an
   * answer. A flag of someone who came back goes after that time, and its absence must not look like an old answer.
   */
  constructor(limit: number, forgetAfter: number) {
    this.#limit = limit;
    this.#forgetAfter = forgetAfter;
  }

  /** Takes in what KV or a stream says; what then is known of the user (with the org's part in it), and of the org. */
  hear(org: string, user: string, heard: Heard, moment: Moment): Known[] {
    const ofOrg = this.#merge(org, heard.org ?? NOTHING, moment);
    return [this.#merge(`${org}:${user}`, together(statesOf(heard)), moment), ofOrg];
  }

  /**
   * Takes in a strict answer, which does not say which part of it is the org's. It comes from where the truth is: what it
   * says of `validAfter` can be missing, but a refusal is never the older state.
   */
  hearStrict(org: string, user: string, active: boolean, validAfter: number | undefined, moment: Moment): Known[] {
    const key = `${org}:${user}`;
    const known = this.#known.get(key)?.validAfter ?? 0;
    const heard = { active, validAfter: active ? (validAfter ?? known) : Math.max(known, validAfter ?? 0) };
    return [this.#merge(key, heard, moment), this.#known.get(org)].filter((it) => it !== undefined);
  }

  recall(org: string, user: string): { readonly user: Known | undefined; readonly org: Known | undefined } {
    return { user: this.#known.get(`${org}:${user}`), org: this.#known.get(org) };
  }

  get size(): number {
    return this.#known.size;
  }

  #merge(key: string, { active, validAfter }: State, { asOf, at }: Moment): Known {
    const known = this.#known.get(key);
    const heard = { active, validAfter, asOf, at };
    const merged = known && at - known.at < this.#forgetAfter ? later(known, heard) : heard;
    // The Map keeps the order of insertion: who is asked for goes to its end.
    this.#known.delete(key);
    this.#known.set(key, merged);
    if (this.#known.size > this.#limit) this.#known.delete(this.#known.keys().next().value!);
    return merged;
  }
}

const NOTHING: State = { active: true, validAfter: 0 };

function together(states: readonly State[]): State {
  return {
    active: states.every((state) => state.active),
    validAfter: Math.max(0, ...states.map((state) => state.validAfter)),
  };
}

/**
 * Whoever is deactivated has `validAfter` raised, and nothing lowers it: a state with a lower one is an older state, that a
 * cache still had. It revives nobody. Of two with the same, the one heard later counts: it may be a reactivation.
 */
function later(known: Known, heard: Known): Known {
  const isOlder = heard.validAfter < known.validAfter || (heard.validAfter === known.validAfter && heard.at < known.at);
  if (!isOlder) return heard;
  // An old answer that agrees still says that nothing newer came between.
  if (!known.active || !heard.active || heard.at <= known.at) return known;
  return { ...known, asOf: heard.asOf, at: heard.at };
}
