/** Which attributes an answer carries: `attributes`, `excludedAttributes` and `returned` (RFC 7644 §3.9, RFC 7643 §7). */
import type { Attribute, ResourceType } from './attribute';
import { resolveAttribute } from './path';
import { isObject, type Json, type JsonObject } from './resource';

/** A tree of attribute names; an empty branch is the whole attribute. */
type Names = Map<string, Names>;

export interface Projection {
  readonly only?: Names;
  readonly without?: Names;
}

/**
 * @param attributes as in the query or a SearchRequest; undefined: not asked for.
 *
 * The URN of the core schema alone names every attribute of that schema. Names that the type does not have are ignored; a value filter in a name (`emails[type eq "work"]`, as Microsoft's
 * reference client sends) is read as the attribute. Where both are given, what is excluded is left out of what is asked for.
 */
export function projection(
  type: ResourceType,
  attributes: readonly string[] | undefined,
  excluded: readonly string[] | undefined,
): Projection {
  return {
    ...(attributes && { only: tree(type, attributes) }),
    ...(excluded && { without: tree(type, excluded) }),
  };
}

/** Whether an answer would carry any of this attribute: what is not asked for need not be read. */
export function isWanted({ only, without }: Projection, attribute: string): boolean {
  return (only === undefined || only.has(attribute)) && without?.get(attribute)?.size !== 0;
}

/** Whether the client named the attribute among those it wants. */
export const isAskedFor = ({ only }: Projection): boolean => only !== undefined;

function tree(type: ResourceType, names: readonly string[]): Names {
  const root: Names = new Map();
  for (const name of names) {
    const text = withoutFilter(name).trim();
    if (text.toLowerCase() === type.schema.id.toLowerCase()) {
      for (const attribute of type.schema.attributes) root.set(attribute.name, new Map());
      continue;
    }
    const path = resolveAttribute(type, text);
    if (path === undefined) continue;
    let branch = root;
    for (const [depth, attribute] of path.entries()) {
      const known = branch.get(attribute.name);
      if (known?.size === 0) break; // the whole of it is named already
      const next: Names = known ?? new Map();
      if (depth === path.length - 1) next.clear();
      branch.set(attribute.name, next);
      branch = next;
    }
  }
  return root;
}

/** By position: a pattern would try every `[` of a long text against all that follows it. */
function withoutFilter(name: string): string {
  const [start, end] = [name.indexOf('['), name.lastIndexOf(']')];
  return start < 0 || end < start ? name : name.slice(0, start) + name.slice(end + 1);
}

/** The representation with what this request may see of it. */
export function project(type: ResourceType, representation: JsonObject, { only, without }: Projection): JsonObject {
  return pick(type.attributes, representation, only, without);
}

function pick(attributes: readonly Attribute[], value: JsonObject, only?: Names, without?: Names): JsonObject {
  const picked: JsonObject = {};
  for (const attribute of attributes) {
    const member = value[attribute.name];
    if (member === undefined || attribute.returned === 'never') continue;
    const asked = only?.get(attribute.name);
    const excluded = without?.get(attribute.name);
    const isLeftOut =
      attribute.returned !== 'always' &&
      ((only ? asked === undefined : attribute.returned === 'request') || excluded?.size === 0);
    // What is always returned is so from within an extension that is not.
    if (isLeftOut && !hasAlways(attribute)) continue;
    const inner = isLeftOut
      ? pickValue(attribute, member, NOTHING)
      : pickValue(attribute, member, asked?.size ? asked : undefined, excluded);
    if (inner !== undefined) picked[attribute.name] = inner;
  }
  return picked;
}

const NOTHING: Names = new Map();

const known = new WeakMap<Attribute, boolean>();

/** Whether an answer carries each sub-attribute, where nothing is asked for or excluded. */
function isShownWhole(attribute: Attribute): boolean {
  let isWhole = known.get(attribute);
  if (isWhole === undefined) {
    const isShown = ({ returned }: Attribute) => returned !== 'never' && returned !== 'request';
    isWhole = attribute.subAttributes?.every((sub) => isShown(sub) && isShownWhole(sub)) ?? true;
    known.set(attribute, isWhole);
  }
  return isWhole;
}

/** Whether nothing in it is an object without members, which no answer shows. */
function isFull(value: Json): boolean {
  if (Array.isArray(value)) return value.every(isFull);
  if (!isObject(value)) return true;
  let hasMembers = false;
  for (const name in value) {
    const member = value[name]!;
    if (typeof member === 'object' && !isFull(member as Json)) return false;
    hasMembers = true;
  }
  return hasMembers;
}

const hasAlways = ({ subAttributes }: Attribute): boolean =>
  subAttributes?.some((sub) => sub.returned === 'always' || hasAlways(sub)) === true;

function pickValue(attribute: Attribute, value: Json, only?: Names, without?: Names): Json | undefined {
  if (!attribute.subAttributes) return value;
  // A group has thousands of members: they are not built anew, one by one, when each is shown whole.
  if (!only && !without && isShownWhole(attribute) && isFull(value)) return value;
  if (Array.isArray(value)) {
    const elements = value.map((element) =>
      isObject(element) ? pick(attribute.subAttributes!, element as JsonObject, only, without) : element,
    );
    return elements.filter((element) => !isObject(element) || Object.keys(element).length > 0);
  }
  const inner = pick(attribute.subAttributes, value as JsonObject, only, without);
  return Object.keys(inner).length > 0 ? inner : undefined;
}
