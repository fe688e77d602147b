/** Operations x resource -> resource (RFC 7644 §3.5.2): pure, in order, all or nothing. */
import type { Attribute, ResourceType } from '../attribute';
import { invalidPath, invalidSyntax, invalidValue, mutability, noTarget, shown, tooMany } from '../error';
import { resolveElementFilter } from '../filter/condition';
import { matches } from '../filter/match';
import { countTerms, type PathSyntax, parsePath, type Syntax } from '../filter/parse';
import { foldObject, foldString } from '../fold';
import { type AttributePath, pathName, prefixOf, resolveAttribute, target, within } from '../path';
import { type Bends, bendMembers, bendValue } from '../quirks';
import { isObject, isSame, type Json, type JsonObject, type Resource } from '../resource';
import { checkResource, MAX_VALUES, readMembers, readValue } from '../validate';
import type { Operation } from './parse';

/**
 * What the resource would become. The input is left as it is, so a failing operation changes nothing.
 *
 * @param bends receives the names of the bends that the operations needed.
 * @throws ScimError 400 invalidPath, invalidValue, noTarget, mutability.
 */
export function applyPatch(
  type: ResourceType,
  before: Resource,
  operations: readonly Operation[],
  bends: Bends,
): Resource {
  const resource = structuredClone(before);
  const budget = { terms: MAX_PATH_TERMS };
  for (const { op, path, value } of operations) {
    if (path) applyAt(resource, op, locate(type, path, budget), value, bends);
    else applyMembers(type, resource, op, value, bends, budget);
  }
  checkResource(type, resource);
  return resource;
}

type Op = Operation['op'];

/** Terms in the filters of all paths of one PATCH: each is tried on every value of an attribute. */
export const MAX_PATH_TERMS = 5_000;

/** Where an operation points: up to the attribute that holds the value or the list, which elements, which sub-attribute. */
interface Target {
  readonly path: AttributePath;
  readonly filter?: Syntax | undefined;
  readonly sub?: Attribute | undefined;
}

function locate(type: ResourceType, syntax: PathSyntax, budget: { terms: number }): Target {
  if (syntax.filter) budget.terms -= countTerms(syntax.filter);
  if (budget.terms < 0) throw tooMany(`The filters of the paths have more than ${MAX_PATH_TERMS} terms together`);
  const path = resolveAttribute(type, syntax.path);
  if (path === undefined) throw invalidPath(`The path names ${shown(syntax.path)}, which is no attribute here`);
  const found = syntax.filter === undefined ? splitAtList(path) : withFilter(path, syntax);
  // §3.5.2: an explicit path to what only the service may set.
  const readOnly = [...path, ...(found.sub ? [found.sub] : [])].some((a) => a.mutability === 'readOnly');
  if (readOnly) throw mutability(`${pathName(path)} is readOnly`);
  return found;
}

/** `emails.value`: the sub-attribute of every element. */
function splitAtList(path: AttributePath): Target {
  const list = path.findIndex((attribute) => attribute.multiValued);
  if (list < 0 || list === path.length - 1) return { path };
  return { path: path.slice(0, list + 1) as unknown as AttributePath, sub: path[list + 1] };
}

function withFilter(path: AttributePath, { filter, sub: name }: PathSyntax): Target {
  const attribute = target(path);
  if (attribute.type !== 'complex') throw invalidPath(`${pathName(path)} has no sub-attributes to filter by`);
  if (name === undefined) return { path, filter };
  const sub = within(attribute.subAttributes, name);
  if (sub === undefined || sub.length > 1) {
    throw invalidPath(`The path names ${shown(name)}, which is no sub-attribute of ${pathName(path)}`);
  }
  return { path, filter, sub: sub[0] };
}

/** Without a path, the members of the value name the attributes (§3.5.2.1, §3.5.2.3). */
function applyMembers(
  type: ResourceType,
  resource: Resource,
  op: Op,
  value: unknown,
  bends: Bends,
  budget: { terms: number },
): void {
  if (!isObject(value)) throw invalidValue(`${op} without a path: an object with attributes was expected as the value`);
  const named = new Set<string>();
  for (const [name, member] of bendMembers(type, value, bends)) {
    const found = memberTarget(type, name, bends, budget);
    // As in POST: names that differ in letter case only are one name, and which value is meant cannot be known.
    if (found && named.has(name.toLowerCase())) throw invalidSyntax(`${shown(name)} is given twice`);
    named.add(name.toLowerCase());
    // Okta repeats the readOnly `id` here; unknown attributes are ignored as in POST and PUT.
    if (found === undefined || found.path.some((a) => a.mutability === 'readOnly' || a.name === 'schemas')) continue;
    applyAt(resource, op, found, member, bends);
  }
}

/**
 * Entra ID writes paths as names: `name.givenName`, `urn:…:enterprise:2.0:User:department`, and its validator
 * `emails[type eq "work"].value`. Microsoft Learn, «Known issues», aadOptscim062020.
 */
function memberTarget(type: ResourceType, name: string, bends: Bends, budget: { terms: number }): Target | undefined {
  if (name.includes('[')) {
    bends.add('path-key');
    return locate(type, parsePath(name), budget);
  }
  const path = resolveAttribute(type, name);
  if (path === undefined) return undefined;
  if (path.length > 1 || name.toLowerCase() !== path[0].name.toLowerCase()) {
    bends.add(name.includes(':') ? 'qualified-key' : 'dotted-key');
  }
  return splitAtList(path);
}

function applyAt(resource: Resource, op: Op, at: Target, value: unknown, bends: Bends): void {
  // `schemas` follows from what the resource holds; a client may name it, and changes nothing.
  if (at.path[0].name === 'schemas') return;
  if (op === 'remove' && at.path.length === 1 && at.path[0].required && !at.filter && !at.sub) {
    throw mutability(`${at.path[0].name} is required and cannot be removed`); // §3.5.2.2
  }
  const holders = [resource as JsonObject];
  for (const { name } of at.path.slice(0, -1)) {
    const inner = holders.at(-1)![name];
    holders.push(isObject(inner) ? (inner as JsonObject) : {});
  }
  const change = { op, attribute: target(at.path), name: pathName(at.path), bends };
  if (at.filter || at.sub) applyToElements(change, holders.at(-1)!, at, value);
  else if (op === 'remove') remove(change, holders.at(-1)!, value);
  else assign(change, holders.at(-1)!, value);
  // Inwards out: a complex attribute left without members is unassigned (RFC 7643 §2.5).
  for (let i = holders.length - 1; i > 0; i--) put(holders[i - 1]!, at.path[i - 1]!.name, holders[i]);
}

/** One operation on one attribute of whatever holds it. */
interface Change {
  readonly op: Op;
  readonly attribute: Attribute;
  /** The attribute as the client knows it, for details. */
  readonly name: string;
  readonly bends: Bends;
}

function put(holder: JsonObject, name: string, value: Json | undefined): void {
  const isEmpty =
    value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);
  if (isEmpty) delete holder[name];
  else holder[name] = value;
}

/** add and replace on a whole attribute (§3.5.2.1, §3.5.2.3). */
function assign(change: Change, holder: JsonObject, raw: unknown): void {
  const { op, attribute, name, bends } = change;
  if (attribute.type === 'complex' && !attribute.multiValued) {
    assignComplex(change, holder, raw);
    return;
  }
  const value = readValue(attribute, raw, name, bends);
  if (attribute.returned === 'never') return; // a password is checked and dropped
  if (!attribute.multiValued || op === 'replace') put(holder, attribute.name, value);
  else if (value !== undefined) append(change, holder, value as Json[]);
}

/** A complex attribute keeps the sub-attributes that the value does not name, for replace too (§3.5.2.3). */
function assignComplex({ op, attribute, name, bends }: Change, holder: JsonObject, raw: unknown): void {
  const value = readComplex(attribute, raw, name, bends);
  if (value === undefined) {
    delete holder[attribute.name];
    return;
  }
  const current = holder[attribute.name];
  const inner = isObject(current) ? (current as JsonObject) : {};
  for (const sub of attribute.subAttributes ?? []) {
    const member = value.get(sub.name.toLowerCase());
    if (member === undefined || sub.mutability === 'readOnly') continue;
    assign({ op, attribute: sub, name: prefixOf(attribute, name) + sub.name, bends }, inner, member);
  }
  put(holder, attribute.name, inner);
}

/** The members of an object as sent, by lower-case name: a null among them is meant, not absent. */
function readComplex(attribute: Attribute, raw: unknown, name: string, bends: Bends): Map<string, unknown> | undefined {
  const bent = bendValue(attribute, raw, bends);
  // Checks the whole value first, so that the order of its members cannot matter.
  readValue(attribute, bent, name, bends);
  return isObject(bent)
    ? new Map(Object.entries(bent).map(([member, value]) => [member.toLowerCase(), value]))
    : undefined;
}

/** RFC 7644 §3.5.2.1: a value that is there already is not added again; a new primary takes over from the old one. */
function append(change: Change, holder: JsonObject, added: Json[]): void {
  const elements = [...((holder[change.attribute.name] as Json[] | undefined) ?? [])];
  const byKey = new Map(elements.map((element) => [keyOf(change.attribute, element), element]));
  const touched = new Set<Json>();
  for (const element of added) {
    const key = keyOf(change.attribute, element);
    // By key and not by identity: equal strings are one and the same.
    const present = byKey.get(key) ?? element;
    if (!byKey.has(key)) elements.push(element);
    else if (isObject(present)) Object.assign(present, element);
    byKey.set(key, present);
    touched.add(present);
  }
  settle(change, holder, elements, touched);
}

/** What tells one value of an attribute from another: `value` and `type` together (RFC 7643 §2.4), else all of it. */
function keyOf(attribute: Attribute, element: Json): string {
  if (!isObject(element)) return JSON.stringify(foldOf(attribute, element));
  const folded = foldObject(attribute.subAttributes ?? [], element as JsonObject);
  return JSON.stringify(folded['value'] === undefined ? folded : [folded['value'], folded['type'] ?? null]);
}

/** Stores a changed list: at most one primary, and the touched one wins (RFC 7644 §3.5.2). */
function settle({ attribute, name }: Change, holder: JsonObject, elements: Json[], touched: ReadonlySet<Json>): void {
  const isPrimary = (element: Json): element is JsonObject => isObject(element) && element['primary'] === true;
  const winner = elements.find((element) => touched.has(element) && isPrimary(element));
  if (winner !== undefined) {
    for (const element of elements) if (isPrimary(element) && element !== winner) element['primary'] = false;
  }
  if (elements.length > MAX_VALUES) throw invalidValue(`${name}: at most ${MAX_VALUES} values are accepted`);
  put(holder, attribute.name, elements);
}

/**
 * remove on a whole attribute (§3.5.2.2). With a list as its value, which the RFC does not define, only those elements:
 * so mean Entra ID, JumpCloud and authentik, and taking it for "all" is how groups were emptied.
 */
function remove({ attribute, name, bends, op }: Change, holder: JsonObject, raw: unknown): void {
  const elements = holder[attribute.name];
  if (!attribute.multiValued || raw === undefined || raw === null || !Array.isArray(elements)) {
    delete holder[attribute.name];
    return;
  }
  bends.add('remove-value-list');
  const fold = (element: JsonObject) => foldObject(attribute.subAttributes ?? [], element);
  const values = new Set<Json>();
  const others: JsonObject[] = [];
  const listed = Array.isArray(raw) ? raw : [raw];
  if (listed.length > MAX_VALUES) throw invalidValue(`${name}: at most ${MAX_VALUES} values are accepted`);
  for (const element of listed) {
    const object = attribute.type !== 'complex' || typeof element === 'string' ? { value: element } : element;
    if (!isObject(object)) throw invalidValue(`${name}: objects with the values to remove were expected`);
    const wanted = fold(readMembers(attribute.subAttributes ?? [], Object.entries(object), `${name}.`, bends));
    // The value decides; what else the client repeats of the element may be out of date.
    if (attribute.type !== 'complex') values.add(foldOf(attribute, readOne(attribute, element, name, bends) ?? null));
    else if (wanted['value'] !== undefined) values.add(wanted['value']);
    else if (Object.keys(wanted).length > 0) others.push(wanted);
  }
  const isListed = (element: Json) => {
    if (!isObject(element)) return values.has(foldOf(attribute, element));
    const folded = fold(element as JsonObject);
    if (folded['value'] !== undefined && values.has(folded['value'])) return true;
    return others.some((wanted) => Object.keys(wanted).every((key) => isSame(folded[key], wanted[key])));
  };
  settle(
    { attribute, name, bends, op },
    holder,
    elements.filter((element) => !isListed(element)),
    new Set(),
  );
}

/** Operations that select elements by a filter, or mean one sub-attribute of all of them. */
function applyToElements(change: Change, holder: JsonObject, at: Target, raw: unknown): void {
  const { attribute, op } = change;
  const current = holder[attribute.name];
  const elements = (Array.isArray(current) ? current : current === undefined ? [] : [current]) as JsonObject[];
  const condition = at.filter && resolveElementFilter(attribute, at.filter);
  const meant = new Set(
    elements.filter(
      (element) => condition === undefined || matches(condition, foldObject(attribute.subAttributes ?? [], element)),
    ),
  );
  if (op === 'remove') store(change, holder, without(elements, meant, at.sub), new Set());
  else if (meant.size > 0) changeElements(change, holder, elements, meant, at, raw);
  else {
    const created = create(change, elements, at, raw);
    if (created) store(change, holder, [...elements, created], new Set([created]));
  }
}

/** Removing what is not there is success: an IdP repeats what it is not sure of. */
function without(elements: JsonObject[], meant: ReadonlySet<JsonObject>, sub: Attribute | undefined): JsonObject[] {
  if (sub === undefined) return elements.filter((element) => !meant.has(element));
  for (const element of meant) delete element[sub.name];
  return elements.filter((element) => Object.keys(element).length > 0);
}

function changeElements(
  change: Change,
  holder: JsonObject,
  elements: JsonObject[],
  meant: ReadonlySet<JsonObject>,
  at: Target,
  raw: unknown,
): void {
  const { attribute, op, name, bends } = change;
  if (at.sub) {
    for (const element of meant) assign({ ...change, attribute: at.sub, name: `${name}.${at.sub.name}` }, element, raw);
    const kept = elements.filter((element) => Object.keys(element).length > 0);
    store(change, holder, kept, meant);
    return;
  }
  const value = readElement(attribute, raw, name, bends);
  const seed = at.filter ? seedOf(attribute, at.filter, name, bends) : {};
  const touched = new Set<JsonObject>();
  const next = elements.map((element) => {
    if (!meant.has(element)) return element;
    // replace takes the place of the element (§3.5.2.3), which still is the one that the filter describes.
    const changed = op === 'add' ? { ...element, ...value } : { ...seed, ...structuredClone(value) };
    touched.add(changed);
    return changed;
  });
  store(change, holder, next, touched);
}

/** Back into the list, or into the one object of a singular complex attribute. */
function store(change: Change, holder: JsonObject, elements: JsonObject[], touched: ReadonlySet<Json>): void {
  if (change.attribute.multiValued) settle(change, holder, elements, touched);
  else put(holder, change.attribute.name, elements[0]);
}

/**
 * A filter without a match. RFC 7644 §3.5.2.3 answers noTarget; Entra ID then never gets the value in, for it sends
 * `emails[type eq "work"].value` first and expects the element made, `type` included. wireapp/wire-server issue 5419.
 */
function create(change: Change, elements: JsonObject[], at: Target, raw: unknown): JsonObject | undefined {
  const { attribute, name, bends } = change;
  const seed = at.filter ? seedOf(attribute, at.filter, name, bends) : {};
  if (seed === undefined || (!attribute.multiValued && elements.length > 0)) {
    throw noTarget(`No value of ${name} matches the filter of the path`);
  }
  const given: JsonObject = {};
  if (at.sub) assign({ ...change, attribute: at.sub, name: `${name}.${at.sub.name}` }, given, raw);
  else Object.assign(given, readElement(attribute, raw, name, bends));
  if (Object.keys(given).length === 0) return undefined; // a null: there is nothing to unassign
  if (at.filter) bends.add('created-by-filter');
  return { ...seed, ...given };
}

/** `type eq "work" and primary eq "True"` -> `{type: "work", primary: true}`; undefined for any other kind of filter. */
function seedOf(attribute: Attribute, filter: Syntax, name: string, bends: Bends): JsonObject | undefined {
  const terms = filter.kind === 'and' ? filter.terms : [filter];
  const seed: JsonObject = {};
  for (const term of terms) {
    if (term.kind === 'and') {
      const inner = seedOf(attribute, term, name, bends);
      if (inner === undefined) return undefined;
      Object.assign(seed, inner);
      continue;
    }
    if (term.kind !== 'compare' || term.operator !== 'eq' || term.literal.value === null) return undefined;
    const path = within(attribute.subAttributes, term.path);
    if (path === undefined || path.length > 1 || path[0].mutability === 'readOnly') return undefined;
    const { literal } = term;
    const written = path[0].type === 'string' || path[0].type === 'reference' ? literal.text : literal.value;
    const value = readValue(path[0], written, `${name}.${path[0].name}`, bends);
    if (value === undefined) return undefined;
    // Two different values for one sub-attribute can describe no element.
    const isOther = seed[path[0].name] !== undefined && foldOf(path[0], seed[path[0].name]) !== foldOf(path[0], value);
    if (isOther) return undefined;
    seed[path[0].name] = value;
  }
  return seed;
}

const foldOf = <T extends Json | undefined>(attribute: Attribute, value: T): T | string =>
  typeof value === 'string' ? foldString(attribute, value) : value;

/** One element as the value of an operation; a list of one is read as that one. */
function readElement(attribute: Attribute, raw: unknown, name: string, bends: Bends): JsonObject {
  return (readOne(attribute, oneOf(raw, bends), name, bends) ?? {}) as JsonObject;
}

/** One value of an attribute that may have several. */
const readOne = (attribute: Attribute, raw: unknown, name: string, bends: Bends): Json | undefined =>
  readValue({ ...attribute, multiValued: false }, raw, name, bends);

function oneOf(raw: unknown, bends: Bends): unknown {
  if (!Array.isArray(raw) || raw.length !== 1) return raw;
  bends.add('list-of-one');
  return raw[0];
}
