/**
 * The values of one multi-valued attribute while the operations of a PATCH change them. Each is folded once and again only
 * when it has changed; values are found by an index. The list is changed in place.
 */
import type { Attribute } from '../attribute';
import type { Condition } from '../filter/condition';
import { matches } from '../filter/match';
import { foldObject, foldString } from '../fold';
import { isObject, type Json, type JsonObject } from '../resource';
import type { Budget } from './budget';

/** Steps of the budget: folding one value and finding its place in the index. */
const FOLD_STEPS = 20;

export class Elements {
  readonly #folded = new Map<Json, Json>();
  /** By what tells values apart; built when it is first asked for. */
  #index: Map<string, Set<Json>> | undefined;
  /** In the index under what they were; undefined: not in it yet. */
  readonly #places = new Map<Json, string>();
  readonly #stale = new Set<Json>();

  constructor(
    private readonly attribute: Attribute,
    readonly list: Json[],
    private readonly budget: Budget,
  ) {}

  add(element: Json): void {
    this.list.push(element);
    if (this.#index) this.#stale.add(element);
  }

  /** To be said of every element whose members have changed. */
  changed(element: Json): void {
    if (this.#folded.size > 0) this.#folded.delete(element);
    if (this.#index) this.#stale.add(element);
  }

  remove(gone: ReadonlySet<Json>): void {
    if (gone.size === 0) return;
    this.budget.spend(this.list.length);
    let kept = 0;
    for (const element of this.list) if (!gone.has(element)) this.list[kept++] = element;
    this.list.length = kept;
    for (const element of gone) {
      this.#forget(element);
      this.#folded.delete(element);
      this.#stale.delete(element);
    }
  }

  /** What an `add` of this element means: RFC 7643 §2.4 tells values apart by `value` and `type`, others by all of it. */
  same(element: Json): Json | undefined {
    const folded = this.#fold(element);
    const candidates = this.#indexed().get(placeOf(folded));
    if (candidates === undefined) return undefined;
    let last: Json | undefined;
    for (const candidate of candidates) {
      this.budget.spend(1);
      if (keyOf(this.folded(candidate)) === keyOf(folded)) last = candidate;
    }
    return last;
  }

  /** Those with this `value`, folded; of a simple attribute those that are it. */
  withValue(value: Json): ReadonlySet<Json> {
    return this.#indexed().get(placeOfValue(value)) ?? NONE;
  }

  matching(condition: Condition): Set<JsonObject> {
    const candidates = this.#candidates(condition) ?? this.list;
    const found = new Set<JsonObject>();
    for (const element of candidates) {
      if (matches(condition, this.folded(element) as JsonObject, this.budget.spend)) found.add(element as JsonObject);
    }
    return found;
  }

  folded(element: Json): Json {
    const known = this.#folded.get(element);
    if (known !== undefined) return known;
    const folded = this.#fold(element);
    this.#folded.set(element, folded);
    return folded;
  }

  #fold(element: Json): Json {
    const { attribute, budget } = this;
    budget.spend(FOLD_STEPS + charactersToFold(attribute, element));
    return isObject(element)
      ? foldObject(attribute.subAttributes ?? [], element as JsonObject)
      : foldOf(attribute, element);
  }

  /** A few that the condition can hold of, if it asks for a `value`. */
  #candidates(condition: Condition): Iterable<Json> | undefined {
    if (condition.kind === 'and') {
      for (const term of condition.terms) {
        const found = this.#candidates(term);
        if (found) return found;
      }
      return undefined;
    }
    if (condition.kind === 'or') {
      const all = new Set<Json>();
      for (const term of condition.terms) {
        const found = this.#candidates(term);
        if (found === undefined) return undefined;
        for (const element of found) all.add(element);
      }
      return all;
    }
    const isValue = condition.kind === 'compare' && condition.operator === 'eq' && condition.path.length === 1;
    return isValue && condition.path[0].name === 'value' ? this.withValue(condition.value) : undefined;
  }

  #indexed(): Map<string, Set<Json>> {
    if (this.#index === undefined) {
      this.#index = new Map();
      for (const element of this.list) this.#place(element);
    }
    for (const element of this.#stale) {
      this.#forget(element);
      this.#place(element);
    }
    this.#stale.clear();
    return this.#index;
  }

  #place(element: Json): void {
    const place = placeOf(this.folded(element));
    const there = this.#index!.get(place);
    if (there) there.add(element);
    else this.#index!.set(place, new Set([element]));
    this.#places.set(element, place);
  }

  #forget(element: Json): void {
    const place = this.#places.get(element);
    if (place === undefined) return;
    const there = this.#index?.get(place);
    there?.delete(element);
    if (there?.size === 0) this.#index?.delete(place);
    this.#places.delete(element);
  }
}

const NONE: ReadonlySet<Json> = new Set();

const placeOfValue = (value: Json) => `v${typeof value === 'string' ? `"${value}` : JSON.stringify(value)}`;

const placeOf = (folded: Json): string => {
  const value = isObject(folded) ? (folded['value'] as Json | undefined) : folded;
  return value === undefined ? `o${JSON.stringify(folded)}` : placeOfValue(value);
};

const keyOf = (folded: Json): string => {
  if (!isObject(folded) || folded['value'] === undefined) return placeOf(folded);
  const type = folded['type'];
  return typeof type === 'string' ? `t${type}` : JSON.stringify(type ?? null);
};

/** Only texts without case take long to fold. */
function charactersToFold(attribute: Attribute, value: Json): number {
  if (typeof value === 'string') return attribute.caseExact || attribute.type !== 'string' ? 0 : value.length;
  if (Array.isArray(value)) return value.reduce<number>((sum, inner) => sum + charactersToFold(attribute, inner), 0);
  if (!isObject(value)) return 0;
  return (attribute.subAttributes ?? []).reduce((sum, sub) => {
    const inner = value[sub.name] as Json | undefined;
    return inner === undefined ? sum : sum + charactersToFold(sub, inner);
  }, 0);
}

/** A value as others of its attribute are compared with it. */
export const foldOf = <T extends Json | undefined>(attribute: Attribute, value: T): T | string =>
  typeof value === 'string' ? foldString(attribute, value) : value;
