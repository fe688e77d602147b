/**
 * A filter as SQL. It reads the folded document of a row (scim/fold.ts), as `scim/filter/match.ts` does in memory, and
 * the columns and look-up tables where a question has a cheaper place to be answered. The two agree on every filter.
 */
import { type SQL, sql } from 'drizzle-orm';
import { invalidFilter } from '../../scim/error';
import type { Condition } from '../../scim/filter/condition';
import { isPlural } from '../../scim/filter/match';
import type { Operator } from '../../scim/filter/syntax';
import type { AttributePath } from '../../scim/path';
import type { Query } from '../../scim/query';
import { lengthOf } from '../d1/batch';
import { type Columns, columnsOfElement, inside, pathKey } from './columns';
import { costOf, isLookup, isNarrow } from './filter-cost';
import { isTooDeep } from './filter-depth';
import { type Element, type Leaf, narrowing } from './narrow';

/** A statement on D1 has 100,000 characters at most; what else stands in it has room above this. */
export const MAX_LENGTH = 95_000;

/** @throws ScimError 400 invalidFilter when the database could not take it. */
export function filterSql(condition: Condition, columns: Columns): SQL {
  if (isTooDeep(condition, columns)) throw invalidFilter('The filter nests too deeply');
  const compiled = new Compiler(columns).condition(condition);
  if (lengthOf(compiled) > MAX_LENGTH) throw invalidFilter('The filter has too many terms that are slow to search for');
  return compiled;
}

/** The value to sort by; of several, the primary's or the first (RFC 7644 §3.4.2.3). */
function sortSql(path: AttributePath, columns: Columns): { readonly value: SQL; readonly isColumn: boolean } {
  const column = columns.column(pathKey(path));
  if (column !== undefined) return { value: column.sql(), isColumn: true };
  const list = path.findIndex((attribute) => attribute.multiValued);
  if (list < 0) return { value: sql`json_extract(${columns.document}, ${jsonPath(path)})`, isColumn: false };
  const elements = path.slice(0, list + 1);
  const inner = jsonPath(path.slice(list + 1));
  const first = sql`json_extract(${columns.document}, ${jsonPath(elements, '[0]', path.slice(list + 1))})`;
  const primary = sql`(SELECT json_extract(e.value, ${inner}) FROM json_each(${columns.document}, ${jsonPath(elements)}) AS e
    WHERE json_extract(e.value, '$."primary"') = 1 LIMIT 1)`;
  return { value: elements.length === path.length ? first : sql`coalesce(${primary}, ${first})`, isColumn: false };
}

/** The order of a list. */
export interface Order {
  /** What is sorted by; NULL where nothing is. */
  readonly value: SQL;
  /**
   * @param value of the row, as above or where it has been put meanwhile.
   * @param lasting orders the rows without a sort, and those that sort alike.
   */
  by(value: SQL, lasting: SQL): SQL;
  /**
   * Holds of the rows that come after a certain one, so that a page by cursor begins where the last one ended.
   *
   * @param value of the row.
   * @param at the value of that row.
   * @param isLater holds of the rows after it in the lasting order.
   */
  after(value: SQL, at: SQL, isLater: SQL): SQL;
}

/**
 * RFC 7644 §3.4.2.3: who has no value comes last in ascending order, first in descending order.
 *
 * The "+" keeps SQLite from walking an index just because it is in order, past every row that a filter leaves out.
 *
 * @param key the attribute that has a unique index and always a value: sorting by it is reading the index.
 * @param isWalked as isIndexOrder says.
 */
export function order(sort: Query['sort'], columns: Columns, key: string, isWalked: boolean): Order {
  const plus = sql.raw(isWalked ? '' : '+');
  if (sort === undefined) {
    return { value: sql`NULL`, by: (_, lasting) => sql`${plus}${lasting}`, after: (_, __, isLater) => isLater };
  }
  const { value, isColumn } = sortSql(sort.path, columns);
  const direction = sql.raw(sort.isDescending ? 'DESC' : 'ASC');
  const beyond = sql.raw(sort.isDescending ? '<' : '>');
  if (isColumn && isKey(sort, key)) {
    return {
      value,
      by: (value) => sql`${plus}${value} ${direction}`,
      after: (value, at) => sql`${value} ${beyond} ${at}`,
    };
  }
  return {
    value,
    by: (value, lasting) => sql`${value} IS NULL ${direction}, ${value} ${direction}, ${lasting}`,
    after: (value, at, isLater) => {
      const among = sql`${value} ${beyond} ${at} OR (${value} = ${at} AND ${isLater})`;
      return sort.isDescending
        ? sql`CASE WHEN ${at} IS NULL THEN ${value} IS NOT NULL OR ${isLater} ELSE ${among} END`
        : sql`CASE WHEN ${at} IS NULL THEN ${value} IS NULL AND ${isLater} ELSE ${value} IS NULL OR ${among} END`;
    },
  };
}

const isKey = (sort: NonNullable<Query['sort']>, key: string) => sort.path.length === 1 && sort.path[0].name === key;

/** Whether an index of the org's rows is in the order that is asked for, so that a page is a walk along it. */
export const isIndexOrder = ({ sort, filter, cursorPaging }: Query, key: string) =>
  // By cursor from the second page on, too: a page is what comes next, and stops when it is full.
  (filter === undefined || cursorPaging?.after !== undefined) && (sort === undefined || isKey(sort, key));

type Names = readonly { readonly name: string }[];

/** A path in a JSON document, as an SQL literal: the names come from schemas, whose grammar has no quote in it. */
function jsonPath(names: Names, suffix = '', more: Names = []): SQL {
  const steps = (part: Names) => part.map(({ name }) => `."${name.replaceAll(/["'?]/g, '')}"`).join('');
  return sql.raw(`'$${steps(names)}${suffix}${steps(more)}'`);
}

/** What the compiler is inside of: the row, or one element of a list. */
interface Scope {
  readonly document: SQL;
  readonly columns?: Columns;
  /** An index has left only a few rows. */
  readonly isNarrow?: boolean;
  /** A look-up beside this condition finds the rows. */
  readonly isFound?: boolean;
}

class Compiler {
  readonly #values: (string | number | boolean)[] = [];
  #elements = 0;

  constructor(private readonly columns: Columns) {}

  condition(condition: Condition): SQL {
    return this.#in({ document: this.columns.document, columns: this.columns }, condition);
  }

  #in(scope: Scope, condition: Condition): SQL {
    switch (condition.kind) {
      case 'and':
      case 'or': {
        const isNarrowed = condition.kind === 'and' && scope.columns && isNarrow(condition, scope.columns);
        let inner = isNarrowed ? { ...scope, isNarrow: true } : scope;
        const terms = cheapFirst(condition.terms, scope.columns).map((term) => {
          const compiled = this.#in(inner, term);
          const finds = condition.kind === 'and' && scope.columns && isLookup(term, scope.columns);
          if (finds) inner = { ...inner, isFound: true };
          return compiled;
        });
        return this.#joined(condition.kind, terms);
      }
      case 'not':
        // SQL's NULL is "unknown", and not unknown is unknown: here it is false, and not false is true.
        return sql`NOT ifnull(${this.#in(scope, condition.term)}, 0)`;
      case 'present':
        return this.#narrowed(scope, condition)?.found ?? this.#present(scope, condition.path);
      case 'compare': {
        const value = this.#value(condition.value);
        // Of the few groups of one user each is quicker asked than found among the users of a group.
        const isAsked = scope.isNarrow && scope.columns?.derived(condition.path[0].name)?.isLong === false;
        const isEqual = condition.operator === 'eq' && !isAsked;
        const lookup = isEqual && scope.columns?.lookup(pathKey(condition.path), value);
        if (lookup) return this.#found(scope, lookup);
        const narrowed = this.#narrowed(scope, condition);
        if (narrowed) return narrowed.found;
        return this.#compare(scope, condition.path, condition.operator, value, condition.value);
      }
      case 'element':
        return this.#element(scope, condition);
      case 'nothing':
        return sql`0`;
    }
  }

  /** A balanced tree: a chain of two hundred "or" would be two hundred levels deep. */
  #joined(word: 'and' | 'or', terms: SQL[]): SQL {
    if (terms.length === 1) return terms[0]!;
    const middle = Math.ceil(terms.length / 2);
    const [left, right] = [this.#joined(word, terms.slice(0, middle)), this.#joined(word, terms.slice(middle))];
    return word === 'and' ? sql`(${left} AND ${right})` : sql`(${left} OR ${right})`;
  }

  /** All values travel as one JSON parameter, of which each takes its place: a statement takes 100 parameters. */
  #value(value: string | number | boolean): SQL {
    const index = this.#values.push(value) - 1;
    const all = sql.param(this.#values, { mapToDriverValue: (values) => JSON.stringify(values) });
    return sql`json_extract(${all}, ${sql.raw(`'$[${index}]'`)})`;
  }

  /** The "+" keeps SQLite from finding rows by two look-ups at once: it would try each of one with each of the other. */
  #found(scope: Scope, query: SQL): SQL {
    return sql`${sql.raw(scope.isFound ? '+' : '')}${scope.columns!.seq} IN (${query})`;
  }

  #present(scope: Scope, path: AttributePath): SQL {
    const column = scope.columns?.column(pathKey(path));
    if (column !== undefined) return sql`ifnull(${column.sql()}, '') <> ''`;
    const derived = this.#derived(scope, path, (inner, rest) => (rest ? this.#present(inner, rest) : sql`1`));
    if (derived !== undefined) return derived;
    if (path.at(-1)!.multiValued) {
      return this.#where(scope, path, (document, inner) => sql`json_array_length(${document}, ${inner}) > 0`, true);
    }
    if (path.at(-1)!.type === 'complex') {
      return this.#where(scope, path, (document, inner) => sql`json_type(${document}, ${inner}) IS NOT NULL`, true);
    }
    return this.#where(scope, path, (document, inner) => sql`ifnull(json_extract(${document}, ${inner}), '') <> ''`);
  }

  #compare(scope: Scope, path: AttributePath, operator: Operator, value: SQL, wanted: string | number | boolean): SQL {
    const column = scope.columns?.column(pathKey(path));
    if (column !== undefined) {
      // Of a column a range, which an index serves. There is none for a column that reads another row.
      const isRange = operator === 'sw' && column.kind !== 'joined';
      const end = isRange && typeof wanted === 'string' ? afterPrefix(wanted) : undefined;
      return compare(column.sql(), operator, value, end === undefined ? undefined : this.#value(end));
    }
    const derived = this.#derived(scope, path, (inner, rest) => this.#compare(inner, rest!, operator, value, wanted));
    if (derived !== undefined) return derived;
    return this.#where(scope, path, (document, inner) =>
      compare(sql`json_extract(${document}, ${inner})`, operator, value, undefined),
    );
  }

  /** A test of the place where a path ends: of each element's, when a list is on the way. */
  #where(scope: Scope, path: AttributePath, test: (document: SQL, inner: SQL) => SQL, asWhole = false): SQL {
    const list = path.findIndex(({ multiValued }, i) => multiValued && !(asWhole && i === path.length - 1));
    if (list < 0) return test(scope.document, jsonPath(path));
    return this.#some(scope, path.slice(0, list + 1), (element) =>
      list === path.length - 1
        ? test(sql`json_array(${element})`, sql.raw(`'$[0]'`))
        : test(element, jsonPath(path.slice(list + 1))),
    );
  }

  #some(scope: Scope, list: Names, test: (element: SQL) => SQL): SQL {
    const alias = sql.raw(`e${++this.#elements}`);
    return sql`EXISTS (SELECT 1 FROM json_each(${scope.document}, ${jsonPath(list)}) AS ${alias}
      WHERE ${test(sql`${alias}.value`)})`;
  }

  /**
   * A test of each element of a list that stands in no document.
   *
   * @param test of an element, and of the path from there on.
   * @returns undefined: it is no such list.
   */
  #derived(
    scope: Scope,
    path: AttributePath,
    test: (element: Scope, rest: AttributePath | undefined) => SQL,
    asks: ReadonlySet<string> = new Set(path.slice(1).map(({ name }) => name)),
  ): SQL | undefined {
    const [first, ...rest] = path;
    const list = scope.columns?.derived(first.name);
    return list?.some(
      (element) => {
        const columns = columnsOfElement(element);
        return test({ document: columns.document, columns }, rest.length > 0 ? (rest as never) : undefined);
      },
      scope.isNarrow === true,
      asks,
    );
  }

  #element(scope: Scope, element: Element): SQL {
    const { path, filter } = element;
    const derived = this.#derived(scope, path, (element) => this.#in(element, filter), new Set(namesIn(filter)));
    if (derived !== undefined) return derived;
    if (!isPlural(path)) {
      const object =
        scope.columns?.column(pathKey(path))?.sql() ?? sql`json_extract(${scope.document}, ${jsonPath(path)})`;
      const columns = scope.columns && inside(scope.columns, path);
      return sql`(${object} IS NOT NULL AND ${this.#in({ ...scope, document: object, ...(columns && { columns }) }, filter)})`;
    }
    const narrowed = this.#narrowed(scope, element);
    if (narrowed?.isExact) return narrowed.found;
    const holds = this.#some(scope, path, (element) => this.#in({ document: element }, filter));
    return narrowed ? sql`(${narrowed.found} AND ${holds})` : holds;
  }

  /** `emails[type eq "work" and value co "…"]`: an index finds the rows that the whole term is tried on. */
  #narrowed(scope: Scope, term: Element | Leaf): { readonly found: SQL; readonly isExact: boolean } | undefined {
    const found = scope.columns && narrowing(term, scope.columns);
    // Few rows are quicker asked than the whole index.
    if (!found || (scope.isNarrow && !found.isSought)) return undefined;
    const { rows, condition, isExact } = found;
    const query = rows.where((value) => {
      const columns = columnsOfElement({ [rows.name]: value });
      return this.#in({ document: columns.document, columns }, condition);
    });
    return { found: this.#found(scope, query), isExact };
  }
}

/** Inside brackets SQLite goes through them as they stand, and stops at the first that decides. */
function cheapFirst(terms: readonly Condition[], columns: Columns | undefined): readonly Condition[] {
  if (columns === undefined) return terms;
  const priced = terms.map((term) => ({ term, cost: costOf(term, columns) }));
  return priced.sort((a, b) => a.cost - b.cost).map(({ term }) => term);
}

/** The first names of all paths in it. */
function namesIn(condition: Condition): string[] {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return condition.terms.flatMap(namesIn);
    case 'not':
      return namesIn(condition.term);
    case 'nothing':
      return [];
    default:
      return [condition.path[0].name];
  }
}

/** LIKE is of no use: its patterns end at 50 bytes on D1, and `%` and `_` in a value are letters like others. */
function compare(stored: SQL, operator: Operator, value: SQL, end: SQL | undefined): SQL {
  switch (operator) {
    case 'eq':
      return sql`${stored} = ${value}`;
    case 'ne':
      return sql`NOT ifnull(${stored} = ${value}, 0)`;
    case 'gt':
      return sql`${stored} > ${value}`;
    case 'ge':
      return sql`${stored} >= ${value}`;
    case 'lt':
      return sql`${stored} < ${value}`;
    case 'le':
      return sql`${stored} <= ${value}`;
    case 'co':
      return sql`instr(${stored}, ${value}) > 0`;
    case 'sw':
      // Of a column a range, so that an index serves it.
      return end === undefined
        ? sql`substr(${stored}, 1, length(${value})) = ${value}`
        : sql`(${stored} >= ${value} AND ${stored} < ${end})`;
    case 'ew':
      // From the end, where an empty text would count from the beginning: it ends every text that there is.
      return sql`substr(${stored}, -length(${value}), length(${value})) = ${value}`;
  }
}

/** The first string in code point order that does not begin with this one; undefined when there is none. */
function afterPrefix(prefix: string): string | undefined {
  const points = [...prefix].map((character) => character.codePointAt(0)!);
  const last = points.pop();
  if (last === undefined || last === 0x10ffff) return undefined;
  return String.fromCodePoint(...points, last + 1 === 0xd800 ? 0xe000 : last + 1);
}
