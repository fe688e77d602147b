/**
 * The operations of a PATCH that concern a group's members, as sets of ids (RFC 7644 §3.5.2). A group is not read to be
 * changed: what the operations ask for costs by their number, not by the group's.
 */
import type { Attribute, ResourceType } from '../attribute';
import { invalidPath, invalidValue, mutability } from '../error';
import type { Condition } from '../filter/condition';
import { matches } from '../filter/match';
import { parsePath } from '../filter/parse';
import { resolveElementFilter } from '../filter/resolve';
import type { Syntax } from '../filter/syntax';
import { pathName, resolveAttribute, target, within } from '../path';
import { normalizeMembers, type Quirks, type Reading, type ReadOptions } from '../quirks';
import { derivedReference, referenced } from '../reference';
import { isObject, type JsonObject } from '../resource';
import { readValue } from '../validate';
import { Budget } from './budget';
import type { Operation } from './parse';

/** What the members become. */
export interface MembershipChange {
  /** Present members that are not in `add` leave. */
  readonly isReplaced: boolean;
  readonly add: ReadonlySet<string>;
  readonly remove: ReadonlySet<string>;
}

/** The whole list, as POST and PUT give it. */
export const replacedBy = (ids: Iterable<string>): MembershipChange => ({
  isReplaced: true,
  add: new Set(ids),
  remove: new Set(),
});

export interface Split {
  /** What concerns other attributes, in order. */
  readonly operations: readonly Operation[];
  readonly members: MembershipChange;
}

/** What the members of a PATCH are read with. */
export interface SplitOptions extends ReadOptions {
  /** Shared with what else of the PATCH is carried out; absent: one of its own. */
  readonly budget?: Budget;
}

/**
 * Only a filter by other things than `value` must know who the members are.
 *
 * @throws ScimError 400 as splitMembership does.
 */
export function needsMembers(
  type: ResourceType,
  operations: readonly Operation[],
  options: SplitOptions = {},
): boolean {
  const splitting = splittingOf(type, new Set(), options);
  return operations
    .flatMap((operation) => withPaths(splitting, operation))
    .some((operation) => {
      if (!operation.path?.filter || !isMembers(splitting, operation)) return false;
      return idsOf(elementFilter(splitting, operation)) === undefined;
    });
}

/**
 * @param current the members, folded by their schema; needed only where `needsMembers` says so.
 * @throws ScimError 400: members are added and removed, never edited, for their sub-attributes are immutable.
 */
export function splitMembership(
  type: ResourceType,
  operations: readonly Operation[],
  current: readonly JsonObject[],
  quirks: Quirks,
  options: SplitOptions = {},
): Split {
  const splitting = splittingOf(type, quirks, options);
  const rest: Operation[] = [];
  const change = new MembershipDraft();
  for (const operation of operations.flatMap((one) => withPaths(splitting, one))) {
    if (isMembers(splitting, operation)) applyAt(splitting, operation, current, change);
    else rest.push(operation);
  }
  return {
    operations: rest.filter(({ path, value }) => path || !isObject(value) || Object.keys(value).length > 0),
    members: change,
  };
}

/** One PATCH while its members are read. */
interface Splitting {
  readonly type: ResourceType;
  readonly members: Attribute;
  readonly reading: Reading;
  readonly budget: Budget;
}

function splittingOf(type: ResourceType, quirks: Quirks, { baseUrl, budget = new Budget() }: SplitOptions): Splitting {
  const members = type.attributes.find(({ name }) => name === 'members')!;
  return { type, members, reading: { quirks, ...(baseUrl !== undefined && { baseUrl }) }, budget };
}

/** Later operations win over earlier ones. */
class MembershipDraft implements MembershipChange {
  isReplaced = false;
  readonly add = new Set<string>();
  readonly remove = new Set<string>();

  adds(id: string): void {
    this.remove.delete(id);
    this.add.add(id);
  }

  removes(id: string): void {
    this.add.delete(id);
    this.remove.add(id);
  }

  clears(): void {
    this.isReplaced = true;
    this.add.clear();
    this.remove.clear();
  }
}

/** What names an unknown sub-attribute is no operation on members: it is passed over with the other unknown paths. */
function isMembers({ type, members }: Splitting, { path }: Operation): boolean {
  if (path === undefined || resolveAttribute(type, path.path)?.[0] !== members) return false;
  return path.sub === undefined || within(members.subAttributes, path.sub) !== undefined;
}

/**
 * Without a path the members stand among the other attributes, and become operations with the path that they are named
 * by. A rename does not name them, and leaves them alone.
 */
function withPaths(splitting: Splitting, operation: Operation): Operation[] {
  const { op, path, value } = operation;
  if (path || !isObject(value)) return [operation];
  splitting.budget.spend(Object.keys(value).length * KEY_STEPS);
  const { quirks } = splitting.reading;
  const others: [string, unknown][] = [];
  const members: Operation[] = [];
  for (const [name, given] of normalizeMembers(splitting.type, value, quirks)) {
    const isFiltered = name.includes('[');
    const named = { op, path: isFiltered ? parsePath(name, quirks) : { path: name.trim() }, value: given };
    if (!isMembers(splitting, named)) others.push([name, given]);
    else {
      if (isFiltered) quirks.add('path-key');
      members.push(named);
    }
  }
  return [{ op, value: Object.fromEntries(others) }, ...members];
}

function applyAt(
  splitting: Splitting,
  operation: Operation,
  current: readonly JsonObject[],
  change: MembershipDraft,
): void {
  const { op, path, value } = operation;
  const resolved = resolveAttribute(splitting.type, path!.path)!;
  if (path!.sub !== undefined || resolved.length > 1)
    throw mutability(`${pathName(resolved)} is immutable: add or remove members`);
  if (path!.filter === undefined) {
    if (op === 'remove') removeListed(splitting, value, change);
    else assign(splitting, op, value, change);
    return;
  }
  const filter = elementFilter(splitting, operation);
  const meant = idsOf(filter) ?? matching(splitting, filter, current, change);
  // RFC 7643 §4.2: a member is immutable; replacing one is taking it out and putting another in.
  if (op !== 'add') for (const id of meant) change.removes(id);
  if (op !== 'remove') for (const id of idsIn(splitting, value)) change.adds(id);
}

function elementFilter({ type, members, reading, budget }: Splitting, { path }: Operation): Condition {
  const attribute = target(resolveAttribute(type, path!.path)!);
  if (attribute !== members) throw invalidPath(`${attribute.name} has no sub-attributes to filter by`);
  budget.addFilter(path!.filter!);
  return resolveElementFilter(attribute, byId(members, path!.filter!, reading.baseUrl), reading.baseUrl);
}

/**
 * `$ref eq "…/Users/1"` names the member with that id, as the `$ref` of a member that is added does: an id belongs to one
 * resource, so the group need not be read.
 */
function byId(members: Attribute, filter: Syntax, baseUrl: string | undefined): Syntax {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return { ...filter, terms: filter.terms.map((term) => byId(members, term, baseUrl)) };
    case 'compare': {
      const reference = derivedReference(members);
      const isReference = within(members.subAttributes, filter.path)?.[0] === reference && filter.operator === 'eq';
      const found = isReference && referenced(filter.literal.text, reference?.endpoints ?? [], baseUrl);
      return found ? { ...filter, path: 'value', literal: { value: found.id, text: found.id } } : filter;
    }
    default:
      return filter;
  }
}

/** add keeps who is there, replace does not. */
function assign(splitting: Splitting, op: Operation['op'], value: unknown, change: MembershipDraft): void {
  const ids = idsIn(splitting, value);
  if (op === 'replace') change.clears();
  for (const id of ids) change.adds(id);
}

/**
 * With a list, which the RFC does not define, only those leave: so mean Entra ID, JumpCloud and authentik. Without, or
 * with null, all: so mean the RFC (§3.5.2.2) and Keycloak.
 */
function removeListed(splitting: Splitting, value: unknown, change: MembershipDraft): void {
  if (value === undefined || value === null) {
    change.clears();
    return;
  }
  splitting.reading.quirks.add('remove-value-list');
  for (const id of idsIn(splitting, value)) change.removes(id);
}

/** Steps of the budget: reading one member, and one name without a path. */
const READ_STEPS = 10;
const KEY_STEPS = 5;

function idsIn({ members, reading, budget }: Splitting, value: unknown): string[] {
  budget.spend(Array.isArray(value) ? value.length * READ_STEPS : READ_STEPS);
  const given = (readValue(members, value, 'members', reading) ?? []) as JsonObject[];
  const ids = given.flatMap((member) => (typeof member['value'] === 'string' ? [member['value']] : []));
  if (ids.length < given.length) throw invalidValue('members.value: the id of a member was expected');
  return ids;
}

/** `value eq "a" or value eq "b"` -> those ids; undefined for any other filter. */
function idsOf(filter: Condition): string[] | undefined {
  if (filter.kind === 'or') {
    const parts = filter.terms.map(idsOf);
    return parts.every((part) => part !== undefined) ? parts.flat() : undefined;
  }
  // A `$ref` that is not one of ours names no member.
  if (filter.kind === 'nothing') return [];
  const isValue = filter.kind === 'compare' && filter.operator === 'eq' && pathName(filter.path) === 'value';
  return isValue ? [filter.value as string] : undefined;
}

/** Who is a member at this point of the request: those there were, as far as they still are. */
function matching(
  { budget }: Splitting,
  filter: Condition,
  current: readonly JsonObject[],
  change: MembershipDraft,
): string[] {
  budget.spend(current.length + change.add.size);
  const isThere = (id: string) => !change.isReplaced && !change.remove.has(id) && !change.add.has(id);
  const there = current.filter(({ value }) => isThere(value as string));
  const known = new Map(current.map((member) => [member['value'], member]));
  const added = [...change.add].map((value) => known.get(value) ?? { value });
  return [...there, ...added]
    .filter((member) => matches(filter, member, budget.spend))
    .map(({ value }) => value as string);
}
