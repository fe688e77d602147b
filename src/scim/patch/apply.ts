/** Operations x resource -> resource (RFC 7644 §3.5.2): pure, in order, all or nothing. */
import type { Attribute, ResourceType } from '../attribute';
import { invalidPath, invalidSyntax, invalidValue, mutability, noTarget, printable } from '../error';
import { parsePath } from '../filter/parse';
import { namesUnknown, resolveElementFilter } from '../filter/resolve';
import type { PathSyntax, Syntax } from '../filter/syntax';
import { foldObject } from '../fold';
import { type AttributePath, isDottedUrn, pathName, prefixOf, resolveAttribute, target, within } from '../path';
import {
  idIn,
  isEmptied,
  isNothing,
  normalizeMembers,
  normalizeValue,
  noteUnknownPath,
  type Quirks,
  type Reading,
  type ReadOptions,
} from '../quirks';
import { isObject, isSame, type Json, type JsonObject, type Resource } from '../resource';
import { checkResource, MAX_VALUES, readMembers, readValue } from '../validate';
import { Budget } from './budget';
import { Elements, foldOf } from './elements';
import type { Operation } from './parse';

/** What the reader of a PATCH is told beside its body. */
export interface PatchOptions extends ReadOptions {
  /** What a path to an attribute that the type does not have does: nothing (the default), or 400. */
  readonly unknownAttributes?: 'ignore' | 'reject' | undefined;
  /** Shared with what else of the PATCH is carried out; absent: one of its own. */
  readonly budget?: Budget;
}

/**
 * What the resource would become. The input is left as it is, so a failing operation changes nothing.
 *
 * @param quirks receives the names of the quirks that the operations needed.
 * @throws ScimError 400 invalidPath, invalidValue, noTarget, mutability, tooMany.
 */
export function applyPatch(
  type: ResourceType,
  before: Resource,
  operations: readonly Operation[],
  quirks: Quirks,
  options: PatchOptions = {},
): Resource {
  const resource = structuredClone(before);
  const { baseUrl, unknownAttributes, budget = new Budget() } = options;
  const patching: Patching = {
    type,
    reading: { quirks, ...(baseUrl !== undefined && { baseUrl }) },
    rejectsUnknown: unknownAttributes === 'reject',
    budget,
    lists: new WeakMap(),
    emptied: new Map(),
  };
  for (const { op, path, value } of operations) {
    if (path === undefined) applyMembers(patching, resource, op, value);
    else {
      const at = locate(patching, path);
      if (at) applyAt(patching, resource, op, at, value);
    }
  }
  dropEmptied(patching, resource);
  checkResource(type, resource);
  return resource;
}

type Op = Operation['op'];

/** One PATCH while it is carried out. */
interface Patching {
  readonly type: ResourceType;
  readonly reading: Reading;
  readonly rejectsUnknown: boolean;
  readonly budget: Budget;
  /** By the list in the resource. */
  readonly lists: WeakMap<Json[], Elements>;
  /** Elements whose `value` an operation has taken away, and where they stand. A later operation may give them one. */
  readonly emptied: Map<JsonObject, { readonly holder: JsonObject; readonly attribute: Attribute }>;
}

/** Where an operation points: up to the attribute that holds the value or the list, which elements, which sub-attribute. */
interface Target {
  readonly path: AttributePath;
  readonly filter?: Syntax | undefined;
  readonly sub?: Attribute | undefined;
}

/** @returns undefined for a path that names no attribute here, and is passed over. */
function locate(patching: Patching, syntax: PathSyntax): Target | undefined {
  const { type, budget, reading } = patching;
  if (syntax.filter) budget.addFilter(syntax.filter);
  const path = resolveAttribute(type, syntax.path);
  if (path === undefined) return unknown(patching, syntax.path);
  if (isDottedUrn(type, syntax.path)) reading.quirks.add('dotted-urn');
  const found = syntax.filter === undefined ? splitAtList(path) : withFilter(patching, path, syntax);
  if (found === undefined) return undefined;
  // §3.5.2: an explicit path to what only the service may set.
  const readOnly = [...path, ...(found.sub ? [found.sub] : [])].some((a) => a.mutability === 'readOnly');
  if (readOnly) throw mutability(`${pathName(path)} is readOnly`);
  return found;
}

function unknown({ rejectsUnknown, reading }: Patching, name: string): undefined {
  if (rejectsUnknown) throw invalidPath(`The path names ${printable(name)}, which is not an attribute here`);
  noteUnknownPath(printable(name), reading.quirks);
}

/** `emails.value`: the sub-attribute of every element. */
function splitAtList(path: AttributePath): Target {
  const list = path.findIndex((attribute) => attribute.multiValued);
  if (list < 0 || list === path.length - 1) return { path };
  return { path: path.slice(0, list + 1) as unknown as AttributePath, sub: path[list + 1] };
}

function withFilter(patching: Patching, path: AttributePath, { filter, sub: name }: PathSyntax): Target | undefined {
  const attribute = target(path);
  if (attribute.type !== 'complex') throw invalidPath(`${pathName(path)} has no sub-attributes to filter by`);
  // A filter on what no value has selects none. Under `reject` the filter itself is refused where it is read.
  if (filter && !patching.rejectsUnknown && namesUnknown(attribute, filter)) {
    return unknown(patching, `${pathName(path)}[...]`);
  }
  if (name === undefined) return { path, filter };
  const sub = within(attribute.subAttributes, name);
  if (sub === undefined || sub.length > 1) return unknown(patching, `${pathName(path)}.${name}`);
  return { path, filter, sub: sub[0] };
}

/** Without a path, the members of the value name the attributes (§3.5.2.1, §3.5.2.3). */
function applyMembers(patching: Patching, resource: Resource, op: Op, value: unknown): void {
  if (!isObject(value)) throw invalidValue(`${op} without a path: an object with attributes was expected as the value`);
  const named = new Set<string>();
  patching.budget.spend(Object.keys(value).length * KEY_STEPS);
  for (const [name, member] of normalizeMembers(patching.type, value, patching.reading.quirks)) {
    const found = memberTarget(patching, name);
    // As in POST: names that differ in letter case only are one name, and which value is meant cannot be known.
    if (found && named.has(name.toLowerCase())) throw invalidSyntax(`${printable(name)} is given twice`);
    named.add(name.toLowerCase());
    // Okta repeats the readOnly `id` here; unknown attributes are ignored as in POST and PUT.
    if (found === undefined || found.path.some((a) => a.mutability === 'readOnly' || a.name === 'schemas')) continue;
    applyAt(patching, resource, op, found, member);
  }
}

/**
 * Entra ID writes paths as names: `name.givenName`, `urn:…:enterprise:2.0:User:department`, and its validator
 * `emails[type eq "work"].value`. Microsoft Learn, «Known issues», aadOptscim062020.
 */
function memberTarget(patching: Patching, name: string): Target | undefined {
  const { type, reading } = patching;
  const { quirks } = reading;
  if (name.includes('[')) {
    quirks.add('path-key');
    return locate(patching, parsePath(name, quirks));
  }
  const path = resolveAttribute(type, name) ?? resolveAttribute(type, name.trim());
  if (path === undefined) return undefined;
  if (name !== name.trim()) quirks.add('blank-in-path');
  if (isDottedUrn(type, name.trim())) quirks.add('dotted-urn');
  if (path.length > 1 || name.trim().toLowerCase() !== path[0].name.toLowerCase()) {
    quirks.add(name.includes(':') ? 'qualified-key' : 'dotted-key');
  }
  return splitAtList(path);
}

function applyAt(patching: Patching, resource: Resource, op: Op, at: Target, value: unknown): void {
  // `schemas` follows from what the resource holds; a client may name it, and changes nothing.
  if (at.path[0].name === 'schemas') return;
  if (op === 'remove' && at.path.length === 1 && at.path[0].required && !at.filter && !at.sub) {
    throw mutability(`${at.path[0].name} is required and cannot be removed`); // §3.5.2.2
  }
  patching.budget.spend(1);
  const holders = [resource as JsonObject];
  for (const { name } of at.path.slice(0, -1)) {
    const inner = holders.at(-1)![name];
    holders.push(isObject(inner) ? (inner as JsonObject) : {});
  }
  const change = { op, attribute: target(at.path), name: pathName(at.path), patching };
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
  readonly patching: Patching;
}

function put(holder: JsonObject, name: string, value: Json | undefined): void {
  const isUnassigned =
    value === undefined ||
    (Array.isArray(value) ? value.length === 0 : isObject(value) && isEmpty(value as JsonObject));
  if (isUnassigned) delete holder[name];
  else holder[name] = value;
}

/** The elements of a list in the resource; what is changed of them is changed in it. */
function elementsOf({ attribute, patching }: Change, list: Json[]): Elements {
  const known = patching.lists.get(list);
  if (known) return known;
  const elements = new Elements(attribute, list, patching.budget);
  patching.lists.set(list, elements);
  return elements;
}

/** add and replace on a whole attribute (§3.5.2.1, §3.5.2.3). */
function assign(change: Change, holder: JsonObject, raw: unknown): void {
  assignment(change, raw)(holder);
}

/** Steps of the budget: reading one value that was sent, and one name without a path. */
const READ_STEPS = 10;
const KEY_STEPS = 5;

/** The same of any number of holders: the value is read once. */
function assignment(change: Change, raw: unknown): (holder: JsonObject) => void {
  const { op, attribute, name, patching } = change;
  if (attribute.endpoints) return referenceAssignment(change, raw);
  if (attribute.type === 'complex' && !attribute.multiValued) return (holder) => assignComplex(change, holder, raw);
  patching.budget.spend(Array.isArray(raw) ? raw.length * READ_STEPS : READ_STEPS);
  const value = readValue(attribute, raw, name, patching.reading);
  if (attribute.returned === 'never') return () => undefined; // a password is checked and dropped
  if (!attribute.multiValued) return (holder) => put(holder, attribute.name, value);
  const added = (value ?? []) as Json[];
  // Several holders share no list.
  if (op === 'replace') return (holder) => put(holder, attribute.name, [...added]);
  return (holder) => append(change, holder, added);
}

/** A `$ref` that is never stored is another way to write `value`. */
function referenceAssignment({ attribute, name, patching }: Change, raw: unknown): (holder: JsonObject) => void {
  const uri = readValue(attribute, raw, name, patching.reading);
  const id = typeof uri === 'string' && uri !== '' ? idIn(attribute, uri, name, patching.reading) : undefined;
  return (holder) => put(holder, 'value', id);
}

/** A complex attribute keeps the sub-attributes that the value does not name, for replace too (§3.5.2.3). */
function assignComplex({ op, attribute, name, patching }: Change, holder: JsonObject, raw: unknown): void {
  const value = readComplex(attribute, raw, name, patching.reading);
  if (value === undefined) {
    delete holder[attribute.name];
    return;
  }
  const current = holder[attribute.name];
  const inner = isObject(current) ? (current as JsonObject) : {};
  for (const sub of attribute.subAttributes ?? []) {
    const member = value.get(sub.name.toLowerCase());
    // A `$ref` alone has become `value`.
    if (member === undefined || sub.mutability === 'readOnly' || sub.endpoints) continue;
    assign({ op, attribute: sub, name: prefixOf(attribute, name) + sub.name, patching }, inner, member);
  }
  put(holder, attribute.name, inner);
}

/** The members of an object as sent, by lower-case name: a null among them is meant, not absent. */
function readComplex(
  attribute: Attribute,
  raw: unknown,
  name: string,
  reading: Reading,
): Map<string, unknown> | undefined {
  const normalized = normalizeValue(attribute, raw, name, reading);
  // Checks the whole value first, so that the order of its members cannot matter.
  readValue(attribute, normalized, name, reading);
  return isObject(normalized)
    ? new Map(Object.entries(normalized).map(([member, value]) => [member.toLowerCase(), value]))
    : undefined;
}

/** RFC 7644 §3.5.2.1: a value that is there already is not added again; a new primary takes over from the old one. */
function append(change: Change, holder: JsonObject, added: Json[]): void {
  const { attribute } = change;
  if (added.length === 0) return;
  const list = (holder[attribute.name] as Json[] | undefined) ?? [];
  const elements = elementsOf(change, list);
  const touched = new Set<Json>();
  for (const element of added) {
    const present = elements.same(element);
    if (present === undefined) elements.add(element);
    else if (isObject(present)) {
      Object.assign(present, element);
      elements.changed(present as JsonObject);
    }
    touched.add(present ?? element);
  }
  settle(change, holder, elements, touched);
}

const isPrimary = (element: Json): element is JsonObject => isObject(element) && element['primary'] === true;

/** Stores a changed list: at most one primary, and the touched one wins (RFC 7644 §3.5.2). */
function settle({ attribute, name, patching }: Change, holder: JsonObject, elements: Elements, touched: Set<Json>) {
  const { list } = elements;
  let hasPrimary = false;
  for (const element of touched) hasPrimary ||= isPrimary(element);
  if (hasPrimary) {
    patching.budget.spend(list.length);
    const winner = list.find((element) => isPrimary(element) && touched.has(element));
    for (const element of list) {
      if (!isPrimary(element) || element === winner) continue;
      element['primary'] = false;
      elements.changed(element);
    }
  }
  if (list.length > MAX_VALUES) throw invalidValue(`${name}: at most ${MAX_VALUES} values are accepted`);
  put(holder, attribute.name, list);
}

/**
 * remove on a whole attribute (§3.5.2.2). With a list as its value, which the RFC does not define, only those elements:
 * so mean Entra ID, JumpCloud and authentik, and taking it for "all" is how groups were emptied.
 */
function remove(change: Change, holder: JsonObject, raw: unknown): void {
  const { attribute, name, patching } = change;
  const { reading, budget } = patching;
  if (attribute.endpoints) {
    delete holder['value'];
    return;
  }
  const list = holder[attribute.name];
  if (!attribute.multiValued || raw === undefined || raw === null || !Array.isArray(list)) {
    delete holder[attribute.name];
    return;
  }
  reading.quirks.add('remove-value-list');
  const listed = Array.isArray(raw) ? raw : [raw];
  if (listed.length > MAX_VALUES) throw invalidValue(`${name}: at most ${MAX_VALUES} values are accepted`);
  budget.spend(listed.length * READ_STEPS);
  const elements = elementsOf(change, list);
  const gone = new Set<Json>();
  for (const element of listed) for (const found of listedBy(change, elements, element)) gone.add(found);
  elements.remove(gone);
  settle(change, holder, elements, new Set());
}

/** The elements that one entry of the list in a remove means. */
function listedBy({ attribute, name, patching }: Change, elements: Elements, entry: unknown): Iterable<Json> {
  const { reading, budget } = patching;
  if (attribute.type !== 'complex') {
    const value = entry === null ? undefined : readOne(attribute, entry, name, reading);
    if (value === undefined) throw invalidValue(`${name}: values to remove were expected`);
    return elements.withValue(foldOf(attribute, value));
  }
  const object =
    typeof entry === 'string'
      ? { value: entry }
      : isObject(entry) && normalizeValue({ ...attribute, multiValued: false }, entry, name, reading);
  if (!isObject(object)) throw invalidValue(`${name}: objects with the values to remove were expected`);
  const subAttributes = attribute.subAttributes ?? [];
  const wanted = foldObject(subAttributes, readMembers(subAttributes, Object.entries(object), `${name}.`, reading));
  // The value decides; what else the client repeats of the element may be out of date.
  if (wanted['value'] !== undefined) return elements.withValue(wanted['value']);
  const names = Object.keys(wanted);
  if (names.length === 0) return [];
  budget.spend(elements.list.length * names.length);
  return elements.list.filter((element) => {
    const folded = elements.folded(element) as JsonObject;
    return names.every((key) => isSame(folded[key], wanted[key]));
  });
}

/** Operations that select elements by a filter, or mean one sub-attribute of all of them. */
function applyToElements(change: Change, holder: JsonObject, at: Target, raw: unknown): void {
  const { attribute, op, patching } = change;
  const { reading, budget } = patching;
  const current = holder[attribute.name];
  const list = (Array.isArray(current) ? current : current === undefined ? [] : [current]) as JsonObject[];
  const elements = elementsOf(change, list);
  const condition = at.filter && resolveElementFilter(attribute, at.filter, reading.baseUrl);
  const meant = condition ? elements.matching(condition) : new Set(list);
  budget.spend(meant.size);
  if (op === 'remove') removeElements(change, holder, elements, meant, at.sub);
  else if (meant.size > 0) changeElements(change, holder, elements, meant, at, raw);
  else {
    const created = create(change, elements, at, raw);
    if (created === undefined) return;
    elements.add(created);
    noteEmptied(change, holder, created, false);
    store(change, holder, elements, new Set([created]));
  }
}

/** Removing what is not there is success: an IdP repeats what it is not sure of. */
function removeElements(
  change: Change,
  holder: JsonObject,
  elements: Elements,
  meant: Set<JsonObject>,
  sub: Attribute | undefined,
): void {
  if (sub === undefined) elements.remove(meant);
  else {
    const name = sub.endpoints ? 'value' : sub.name;
    const isValue = name === 'value';
    for (const element of meant) {
      const hadValue = isValue && element[name] !== undefined;
      delete element[name];
      elements.changed(element);
      noteEmptied(change, holder, element, hadValue);
    }
    elements.remove(withoutMembers(meant));
  }
  store(change, holder, elements, new Set());
}

function withoutMembers(elements: Iterable<JsonObject>): Set<Json> {
  const found = new Set<Json>();
  for (const element of elements) if (isEmpty(element)) found.add(element);
  return found;
}

function isEmpty(object: JsonObject): boolean {
  for (const _ in object) return false;
  return true;
}

function changeElements(
  change: Change,
  holder: JsonObject,
  elements: Elements,
  meant: Set<JsonObject>,
  at: Target,
  raw: unknown,
): void {
  const { attribute, op, name, patching } = change;
  if (at.sub) {
    const assignTo = assignment({ ...change, attribute: at.sub, name: `${name}.${at.sub.name}` }, raw);
    const isValue = at.sub.name === 'value';
    for (const element of meant) {
      assignTo(element);
      elements.changed(element);
      if (isValue) noteEmptied(change, holder, element, true);
    }
  } else {
    const value = readElement(attribute, raw, name, patching.reading);
    const seed = (at.filter && seedOf(attribute, at.filter, name, patching.reading)) ?? {};
    patching.budget.spend(meant.size * Object.keys({ ...seed, ...value }).length);
    for (const element of meant) {
      const hadValue = element['value'] !== undefined;
      // replace takes the place of the element (§3.5.2.3), which still is the one that the filter describes.
      if (op === 'replace') {
        for (const key of Object.keys(element)) delete element[key];
        Object.assign(element, seed);
      }
      Object.assign(element, withCopies(value));
      elements.changed(element);
      noteEmptied(change, holder, element, hadValue);
    }
  }
  elements.remove(withoutMembers(meant));
  store(change, holder, elements, meant);
}

/** An element has no members that are objects; its lists are its own. */
const withCopies = (element: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(element).map(([name, value]) => [name, Array.isArray(value) ? [...value] : value]));

/** Remembers an element that an operation leaves without a value. */
function noteEmptied(
  { attribute, patching }: Change,
  holder: JsonObject,
  element: JsonObject,
  hadValue: boolean,
): void {
  const value = element['value'];
  const isMeant = value === undefined ? hadValue : isNothing(value);
  if (attribute.multiValued && isMeant) patching.emptied.set(element, { holder, attribute });
}

/** At the end, and not at once: Entra ID gives an element its members one operation after the other. */
function dropEmptied({ emptied, lists, reading }: Patching, resource: Resource): void {
  const dropped = new Map<Elements, { holder: JsonObject; name: string; gone: Set<Json> }>();
  for (const [element, { holder, attribute }] of emptied) {
    const list = holder[attribute.name];
    const elements = Array.isArray(list) ? lists.get(list) : undefined;
    if (elements === undefined || !isEmptied(attribute, element)) continue;
    const known = dropped.get(elements);
    if (known) known.gone.add(element);
    else dropped.set(elements, { holder, name: attribute.name, gone: new Set([element]) });
  }
  for (const [elements, { holder, name, gone }] of dropped) {
    const before = elements.list.length;
    elements.remove(gone);
    if (elements.list.length < before) reading.quirks.add('empty-value');
    put(holder, name, elements.list);
  }
  // An extension that had nothing else.
  if (dropped.size > 0) for (const [name, value] of Object.entries(resource)) put(resource, name, value);
}

/** Back into the list, or into the one object of a singular complex attribute. */
function store(change: Change, holder: JsonObject, elements: Elements, touched: Set<Json>): void {
  if (change.attribute.multiValued) settle(change, holder, elements, touched);
  else put(holder, change.attribute.name, elements.list[0]);
}

/**
 * A filter without a match. RFC 7644 §3.5.2.3 answers noTarget; Entra ID then never gets the value in, for it sends
 * `emails[type eq "work"].value` first and expects the element made, `type` included. wireapp/wire-server issue 5419.
 */
function create(change: Change, elements: Elements, at: Target, raw: unknown): JsonObject | undefined {
  const { attribute, name, patching } = change;
  const { reading } = patching;
  const seed = at.filter ? seedOf(attribute, at.filter, name, reading) : {};
  if (seed === undefined || (!attribute.multiValued && elements.list.length > 0)) {
    throw noTarget(`No value of ${name} matches the filter of the path`);
  }
  const given: JsonObject = {};
  if (at.sub) assign({ ...change, attribute: at.sub, name: `${name}.${at.sub.name}` }, given, raw);
  else Object.assign(given, readElement(attribute, raw, name, reading));
  if (Object.keys(given).length === 0) return undefined; // a null: there is nothing to unassign
  if (at.filter) reading.quirks.add('created-by-filter');
  return { ...seed, ...given };
}

/** `type eq "work" and primary eq "True"` -> `{type: "work", primary: true}`; undefined for any other kind of filter. */
function seedOf(attribute: Attribute, filter: Syntax, name: string, reading: Reading): JsonObject | undefined {
  const terms = filter.kind === 'and' ? filter.terms : [filter];
  const seed: JsonObject = {};
  for (const term of terms) {
    if (term.kind === 'and') {
      const inner = seedOf(attribute, term, name, reading);
      if (inner === undefined) return undefined;
      Object.assign(seed, inner);
      continue;
    }
    if (term.kind !== 'compare' || term.operator !== 'eq' || term.literal.value === null) return undefined;
    const path = within(attribute.subAttributes, term.path);
    // A `$ref` that follows from `value` describes nothing that could be stored.
    if (path === undefined || path.length > 1 || path[0].mutability === 'readOnly' || path[0].endpoints)
      return undefined;
    const { literal } = term;
    const written = path[0].type === 'string' || path[0].type === 'reference' ? literal.text : literal.value;
    const value = readValue(path[0], written, `${name}.${path[0].name}`, reading);
    if (value === undefined) return undefined;
    // Two different values for one sub-attribute can describe no element.
    const isOther = seed[path[0].name] !== undefined && foldOf(path[0], seed[path[0].name]) !== foldOf(path[0], value);
    if (isOther) return undefined;
    seed[path[0].name] = value;
  }
  return seed;
}

/** One element as the value of an operation; a list of one is read as that one. */
const readElement = (attribute: Attribute, raw: unknown, name: string, reading: Reading): JsonObject =>
  (readOne(attribute, raw, name, reading) ?? {}) as JsonObject;

/** One value of an attribute that may have several. */
const readOne = (attribute: Attribute, raw: unknown, name: string, reading: Reading): Json | undefined =>
  readValue({ ...attribute, multiValued: false }, raw, name, reading);
