/**
 * The operations of a PATCH that concern a group's members, as sets of ids (RFC 7644 §3.5.2). A group is not read to be
 * changed: what the operations ask for costs by their number, not by the group's.
 */
import type { Attribute, ResourceType } from '../attribute';
import { invalidPath, invalidValue, mutability } from '../error';
import { type Condition, resolveElementFilter } from '../filter/condition';
import { matches } from '../filter/match';
import { parsePath } from '../filter/parse';
import { pathName, resolveAttribute, target } from '../path';
import { type Bends, bendMembers } from '../quirks';
import { isObject, type JsonObject } from '../resource';
import { readValue } from '../validate';
import type { Operation } from './parse';

/** What the members become. */
export interface MembershipChange {
  /** Whoever is a member now and is not in `add` leaves. */
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

/** Only a filter by other things than `value` must know who the members are. */
export function needsMembers(type: ResourceType, operations: readonly Operation[]): boolean {
  return operations
    .flatMap((operation) => withPaths(type, operation, new Set()))
    .some((operation) => {
      const filter = operation.path?.filter && isMembers(type, operation) && elementFilter(type, operation);
      return filter ? idsOf(filter) === undefined : false;
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
  bends: Bends,
): Split {
  const rest: Operation[] = [];
  const change = new Draft();
  for (const operation of operations.flatMap((one) => withPaths(type, one, bends))) {
    if (isMembers(type, operation)) applyAt(type, operation, current, change, bends);
    else rest.push(operation);
  }
  return {
    operations: rest.filter(({ path, value }) => path || !isObject(value) || Object.keys(value).length > 0),
    members: change,
  };
}

/** Later operations win over earlier ones. */
class Draft implements MembershipChange {
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

function isMembers(type: ResourceType, { path }: Operation): boolean {
  return path !== undefined && resolveAttribute(type, path.path)?.[0].name === 'members';
}

function membersOf(type: ResourceType): Attribute {
  return type.attributes.find(({ name }) => name === 'members')!;
}

/**
 * Without a path the members stand among the other attributes, and become operations with the path that they are named
 * by. A rename does not name them, and leaves them alone.
 */
function withPaths(type: ResourceType, operation: Operation, bends: Bends): Operation[] {
  const { op, path, value } = operation;
  if (path || !isObject(value)) return [operation];
  const others: [string, unknown][] = [];
  const members: Operation[] = [];
  for (const [name, given] of bendMembers(type, value, bends)) {
    const isFiltered = name.includes('[');
    const named = { op, path: isFiltered ? parsePath(name) : { path: name }, value: given };
    if (!isMembers(type, named)) others.push([name, given]);
    else {
      if (isFiltered) bends.add('path-key');
      members.push(named);
    }
  }
  return [{ op, value: Object.fromEntries(others) }, ...members];
}

function applyAt(
  type: ResourceType,
  operation: Operation,
  current: readonly JsonObject[],
  change: Draft,
  bends: Bends,
): void {
  const { op, path, value } = operation;
  const resolved = resolveAttribute(type, path!.path)!;
  if (path!.sub !== undefined || resolved.length > 1)
    throw mutability(`${pathName(resolved)} is immutable: add or remove members`);
  if (path!.filter === undefined) {
    if (op === 'remove') removeListed(type, value, change, bends);
    else assign(type, op, value, change, bends);
    return;
  }
  const filter = elementFilter(type, operation);
  const meant = idsOf(filter) ?? matching(filter, current, change);
  // RFC 7643 §4.2: a member is immutable; replacing one is taking it out and putting another in.
  if (op !== 'add') for (const id of meant) change.removes(id);
  if (op !== 'remove') for (const id of idsIn(type, value, bends)) change.adds(id);
}

function elementFilter(type: ResourceType, { path }: Operation): Condition {
  const attribute = target(resolveAttribute(type, path!.path)!);
  if (attribute.name !== 'members') throw invalidPath(`${attribute.name} has no sub-attributes to filter by`);
  return resolveElementFilter(attribute, path!.filter!);
}

/** add keeps who is there, replace does not. */
function assign(type: ResourceType, op: Operation['op'], value: unknown, change: Draft, bends: Bends): void {
  const ids = idsIn(type, value, bends);
  if (op === 'replace') change.clears();
  for (const id of ids) change.adds(id);
}

/**
 * With a list, which the RFC does not define, only those leave: so mean Entra ID, JumpCloud and authentik. Without, or
 * with null, all: so mean the RFC (§3.5.2.2) and Keycloak.
 */
function removeListed(type: ResourceType, value: unknown, change: Draft, bends: Bends): void {
  if (value === undefined || value === null) {
    change.clears();
    return;
  }
  bends.add('remove-value-list');
  for (const id of idsIn(type, value, bends)) change.removes(id);
}

function idsIn(type: ResourceType, value: unknown, bends: Bends): string[] {
  const members = (readValue(membersOf(type), value, 'members', bends) ?? []) as JsonObject[];
  const ids = members.flatMap((member) => (typeof member['value'] === 'string' ? [member['value']] : []));
  if (ids.length < members.length) throw invalidValue('members.value: the id of a member was expected');
  return ids;
}

/** `value eq "a" or value eq "b"` -> those ids; undefined for any other filter. */
function idsOf(filter: Condition): string[] | undefined {
  if (filter.kind === 'or') {
    const parts = filter.terms.map(idsOf);
    return parts.every((part) => part !== undefined) ? parts.flat() : undefined;
  }
  const isValue = filter.kind === 'compare' && filter.operator === 'eq' && pathName(filter.path) === 'value';
  return isValue ? [filter.value as string] : undefined;
}

/** Who is a member at this point of the request: those there were, as far as they still are. */
function matching(filter: Condition, current: readonly JsonObject[], change: Draft): string[] {
  const isThere = (id: string) => !change.isReplaced && !change.remove.has(id) && !change.add.has(id);
  const there = current.filter(({ value }) => isThere(value as string));
  const known = new Map(current.map((member) => [member['value'], member]));
  const added = [...change.add].map((value) => known.get(value) ?? { value });
  return [...there, ...added].filter((member) => matches(filter, member)).map(({ value }) => value as string);
}
