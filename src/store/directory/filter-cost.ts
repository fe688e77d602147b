/**
 * What a search costs the database, which all orgs share: one that asks for too much is refused before it is begun.
 *
 * A unit is what one comparison of a column takes over all users of an org: with 30,000 of them about 3 ms. The other
 * figures were measured against it, with users of 830 bytes that have two addresses and ten groups. `MAX_COST` keeps a
 * search of 30,000 users below two seconds.
 */
import { tooMany } from '../../scim/error';
import type { Condition } from '../../scim/filter/condition';
import { isPlural } from '../../scim/filter/match';
import type { AttributePath } from '../../scim/path';
import type { Query } from '../../scim/query';
import { type Columns, inside, pathKey } from './columns';
import { type Element, type Leaf, narrowing } from './narrow';

/** Of one term, each time that the users are gone through. */
const COST = {
  /** Of going through them at all. */
  scan: 30,
  /** Of going through the index that stands beside them. */
  walk: 2,
  column: 1,
  /** A place in the document. */
  document: 4,
  /** A column that reads another row: the manager's name. */
  joined: 25,
  /** A list in the document: it is taken apart for each term about it, and each element is compared. */
  list: 20,
  element: 10,
  /** The index of a list's values, when all that it finds are asked for: a quarter of that if it finds few. */
  values: 25,
  /** All members of one group. */
  members: 20,
  /** `groups` and `members`: all memberships may be gone through. */
  derived: 80,
} as const;

const MAX_COST = 400;
/** An org with more users or groups may ask for less at once. */
const MAX_COST_ROWS = 30_000;
/** So much is answered whatever the size of the org: one term, but for one about `groups` or `members`. */
const ALWAYS = 60;

/** A condition that leaves no more rows makes what stands beside it cheap. */
const FEW_ROWS = 250;

/** How many rows a condition leaves at most, as far as unique indexes say. */
function mostRows(condition: Condition, columns: Columns): number {
  switch (condition.kind) {
    case 'nothing':
      return 0;
    case 'and':
      return Math.min(...condition.terms.map((term) => mostRows(term, columns)));
    case 'or':
      return sum(condition.terms.map((term) => mostRows(term, columns)));
    case 'compare':
      return condition.operator === 'eq' && columns.column(pathKey(condition.path))?.kind === 'unique'
        ? 1
        : Number.POSITIVE_INFINITY;
    default:
      return Number.POSITIVE_INFINITY;
  }
}

/** Whether the condition is that a unique index has this value, and nothing else. */
export const isKeyOf = (condition: Condition, columns: Columns): boolean =>
  condition.kind === 'compare' && mostRows(condition, columns) === 1;

/** Whether the condition leaves only a few rows, found by an index: `userName eq "…"`. */
export const isNarrow = (condition: Condition, columns: Columns): boolean => mostRows(condition, columns) <= FEW_ROWS;

/** Whether an index finds all rows that it leaves. */
function isIndexed(condition: Condition, columns: Columns): boolean {
  switch (condition.kind) {
    case 'nothing':
      return true;
    case 'and':
      return condition.terms.some((term) => isIndexed(term, columns));
    case 'or':
      return condition.terms.every((term) => isIndexed(term, columns));
    case 'element':
      return isIndexedElement(condition, columns);
    case 'compare': {
      const kind = columns.column(pathKey(condition.path))?.kind;
      if (kind === 'unique' || kind === 'indexed') return condition.operator === 'eq' || condition.operator === 'sw';
      return isIndexedLeaf(condition, columns);
    }
    default:
      return false;
  }
}

/** Whether SQLite has something better to do than to go through all rows. */
export const isLookedUp = (condition: Condition, columns: Columns): boolean =>
  isIndexed(condition, columns) || isLookup(condition, columns);

/** Whether a query of another table finds the rows that it leaves: `emails co "…"`. */
export function isLookup(condition: Condition, columns: Columns): boolean {
  switch (condition.kind) {
    case 'and':
      return condition.terms.some((term) => isLookup(term, columns));
    case 'element':
      return isIndexedElement(condition, columns) || narrowing(condition, columns) !== undefined;
    case 'compare':
    case 'present':
      return isIndexedLeaf(condition, columns) || narrowing(condition, columns) !== undefined;
    default:
      return false;
  }
}

/** `emails eq "…"`, `groups.value eq "…"` */
const isIndexedLeaf = (leaf: Leaf, columns: Columns): boolean =>
  leaf.kind === 'compare' &&
  leaf.operator === 'eq' &&
  (isLookupOf(pathKey(leaf.path), columns) || narrowing(leaf, columns) !== undefined);

/** `emails[type eq "work" and value eq "…"]`, `members[value eq "…"]` */
function isIndexedElement(element: Element, columns: Columns): boolean {
  const list = pathKey(element.path);
  const isFound = (filter: Condition): boolean =>
    filter.kind === 'and'
      ? filter.terms.some(isFound)
      : filter.kind === 'compare' && filter.operator === 'eq' && isLookupOf(`${list}.${pathKey(filter.path)}`, columns);
  return isFound(element.filter) || narrowing(element, columns)?.isSought === true;
}

/** Whether it is answered without the rows: by the index beside them, and by other tables. */
function isBeside(condition: Condition, columns: Columns): boolean {
  switch (condition.kind) {
    case 'nothing':
      return true;
    case 'and':
    case 'or':
      return condition.terms.every((term) => isBeside(term, columns));
    case 'not':
      return isBeside(condition.term, columns);
    default:
      return isColumnBeside(condition.path, columns) || narrowing(condition, columns)?.isExact === true;
  }
}

const isColumnBeside = (path: AttributePath, columns: Columns): boolean =>
  columns.column(pathKey(path))?.isBeside === true;

const isLookupOf = (key: string, columns: Columns): boolean => columns.lookup(key, columns.document) !== undefined;

/**
 * Of a search, in units, when all users or groups of the org are gone through once.
 *
 * @param sort absent: an index is in the order that is asked for.
 */
export function costOfSearch({ filter, sort }: Pick<Query, 'filter' | 'sort'>, columns: Columns): number {
  if (filter && isIndexed(filter, columns)) return costOf(filter, columns);
  if (filter === undefined && sort === undefined) return 0;
  const isWalk = (!filter || isBeside(filter, columns)) && (!sort || isColumnBeside(sort.path, columns));
  const through = isWalk ? COST.walk : COST.scan;
  return through + (filter ? costOf(filter, columns) : 0) + (sort ? costOfValue(sort.path, columns) : 0);
}

/** In units, without the scan. */
export function costOf(condition: Condition, columns: Columns): number {
  switch (condition.kind) {
    case 'nothing':
      return 0;
    case 'and': {
      const narrow = condition.terms.filter((term) => isNarrow(term, columns));
      if (narrow.length === 0) return sum(condition.terms.map((term) => costOf(term, columns)));
      return sum(condition.terms.map((term) => (narrow.includes(term) ? costOf : costOfRow)(term, columns)));
    }
    case 'or':
      return sum(condition.terms.map((term) => costOf(term, columns)));
    case 'not':
      return costOf(condition.term, columns);
    case 'element': {
      const isDerived = columns.derived(condition.path[0].name) !== undefined;
      if (isIndexedElement(condition, columns)) return isDerived ? COST.members : COST.column;
      if (narrowing(condition, columns)?.isExact) return COST.values;
      if (isDerived) return COST.derived + COST.document * termsIn(condition.filter);
      if (isPlural(condition.path)) return COST.list + COST.element * termsIn(condition.filter);
      return costOf(condition.filter, inside(columns, condition.path));
    }
    case 'present':
    case 'compare':
      if (isIndexedLeaf(condition, columns)) {
        return columns.derived(condition.path[0].name)?.isLong === false ? COST.members : COST.column;
      }
      if (narrowing(condition, columns)) return COST.values;
      return costOfValue(condition.path, columns);
  }
}

/** Where only a few rows are asked: nothing, but for lists that are long in a single row. */
function costOfRow(condition: Condition, columns: Columns): number {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return sum(condition.terms.map((term) => costOfRow(term, columns)));
    case 'not':
      return costOfRow(condition.term, columns);
    case 'nothing':
      return 0;
    default:
      return columns.derived(condition.path[0].name)?.isLong ? costOf(condition, columns) : 0;
  }
}

/** Of reading a value, and comparing it. */
function costOfValue(path: AttributePath, columns: Columns): number {
  if (columns.derived(path[0].name)) return COST.derived + COST.document;
  const kind = columns.column(pathKey(path))?.kind;
  if (kind !== undefined) return kind === 'joined' ? COST.joined : COST.column;
  return isPlural(path) ? COST.list + COST.element : COST.document;
}

/** How many users or groups an org may have for a search of this cost. */
export const mostRowsFor = (cost: number): number =>
  cost <= ALWAYS ? Number.POSITIVE_INFINITY : Math.floor((MAX_COST * MAX_COST_ROWS) / cost);

/** @throws ScimError 400 tooMany when no org may ask for it. */
export function expectAffordable(cost: number): void {
  if (cost > MAX_COST) throw tooCostly(`The filter costs ${Math.ceil(cost)} units; at most ${MAX_COST} are accepted`);
}

/** Said where the org has too many users or groups for it. */
export const tooCostlyHere = () => tooCostly('The filter costs more than is accepted for so many users and groups');

const tooCostly = (sentence: string) =>
  tooMany(
    `${sentence}. A term about groups or members costs ${COST.derived}, one about another list ${COST.list + COST.element}, any other at most ${COST.joined}. ` +
      'Send fewer terms in one request, or join them by "and" with userName eq or id eq.',
  );

/**
 * How many requests a search counts for, before the database is asked: 1 if it takes no longer than one that an index
 * answers.
 *
 * @param cost of all its parts.
 * @param rows users and groups of the org.
 */
export const weightOf = (cost: number, rows: number): number =>
  Math.min(MAX_WEIGHT, Math.max(1, Math.ceil((cost * rows) / (COST_OF_ONE * MAX_COST_ROWS))));
const MAX_WEIGHT = 20;
const COST_OF_ONE = 20;

const sum = (costs: readonly number[]): number => costs.reduce((all, one) => all + one, 0);

function termsIn(condition: Condition): number {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return sum(condition.terms.map(termsIn));
    case 'not':
      return termsIn(condition.term);
    case 'element':
      return termsIn(condition.filter);
    default:
      return 1;
  }
}
