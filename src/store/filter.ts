/**
 * A filter as SQL. It reads the folded document of a row (scim/fold.ts), as `scim/filter/match.ts` does in memory, and
 * the columns and look-up tables where a question has a cheaper place to be answered. The two agree on every filter.
 */
import { type SQL, sql } from 'drizzle-orm';
import { invalidFilter } from '../scim/error';
import type { Condition } from '../scim/filter/condition';
import { isPlural } from '../scim/filter/match';
import type { Operator } from '../scim/filter/parse';
import type { AttributePath } from '../scim/path';
import type { Query } from '../scim/query';
import { lengthOf } from './batch';

/** Where a table keeps what a filter may ask for. */
export interface Columns {
  /** The folded document. */
  readonly document: SQL;
  /** A document for a top-level attribute that the folded one does not hold: `{"members": […]}`. */
  documentOf?(attribute: string): SQL | undefined;
  /** An expression instead of a place in the document, by the attribute's path (`name.givenName`). */
  column(path: string): SQL | undefined;
  /** A condition on the row for "one value of this attribute equals", answered by an index. */
  lookup(path: string, value: SQL): SQL | undefined;
}

/**
 * SQLite on D1 takes expressions nested to 100; what else stands around the condition has room above this. The most stands
 * around it in a page by cursor across all types.
 */
const MAX_HEIGHT = 65;

/** A statement on D1 has 100,000 characters at most; what else stands in it has room above this. */
export const MAX_LENGTH = 95_000;

/** @throws ScimError 400 invalidFilter when the database could not take it. */
export function filterSql(condition: Condition, columns: Columns): SQL {
  const { own, inside } = heightOf(condition, columns);
  if (own + inside > MAX_HEIGHT) throw invalidFilter('The filter nests too deeply');
  const compiled = new Compiler(columns).condition(condition);
  if (lengthOf(compiled) > MAX_LENGTH) throw invalidFilter('The filter has too many terms of a kind that takes long');
  return compiled;
}

/** The value to sort by; of several, the primary's or the first (RFC 7644 §3.4.2.3). */
function sortSql(path: AttributePath, columns: Columns): { readonly value: SQL; readonly isColumn: boolean } {
  const column = columns.column(pathKey(path));
  if (column !== undefined) return { value: column, isColumn: true };
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
  readonly by: SQL;
  /** What is sorted by; NULL where nothing is. */
  readonly value: SQL;
  /**
   * Holds of the rows that come after a certain one, so that a page by cursor begins where the last one ended.
   *
   * @param at the value of that row.
   * @param isLater holds of the rows after it in the lasting order.
   */
  after(at: SQL, isLater: SQL): SQL;
}

/**
 * RFC 7644 §3.4.2.3: who has no value comes last in ascending order, first in descending order.
 *
 * The "+" keeps SQLite from walking an index just because it is in order, past every row that a filter leaves out.
 *
 * @param lasting the column that orders rows without a sort, and those that sort alike.
 * @param key the attribute that has a unique index and always a value: sorting by it is reading the index.
 * @param isWalked as isIndexOrder says.
 */
export function order(sort: Query['sort'], columns: Columns, lasting: SQL, key: string, isWalked: boolean): Order {
  const plus = sql.raw(isWalked ? '' : '+');
  if (sort === undefined) return { by: sql`${plus}${lasting}`, value: sql`NULL`, after: (_, isLater) => isLater };
  const { value, isColumn } = sortSql(sort.path, columns);
  const direction = sql.raw(sort.isDescending ? 'DESC' : 'ASC');
  const beyond = sql.raw(sort.isDescending ? '<' : '>');
  if (isColumn && isKey(sort, key)) {
    return { by: sql`${plus}${value} ${direction}`, value, after: (at) => sql`${value} ${beyond} ${at}` };
  }
  return {
    by: sql`${value} IS NULL ${direction}, ${value} ${direction}, ${lasting}`,
    value,
    after: (at, isLater) => {
      const among = sql`${value} ${beyond} ${at} OR (${value} = ${at} AND ${isLater})`;
      return sort.isDescending
        ? sql`CASE WHEN ${at} IS NULL THEN ${value} IS NOT NULL OR ${isLater} ELSE ${among} END`
        : sql`CASE WHEN ${at} IS NULL THEN ${value} IS NULL AND ${isLater} ELSE ${value} IS NULL OR ${among} END`;
    },
  };
}

const isKey = (sort: NonNullable<Query['sort']>, key: string) => sort.path.length === 1 && sort.path[0].name === key;

/** Whether an index of the org's rows is in the order that is asked for, so that a page is a walk along it. */
export const isIndexOrder = ({ sort, filter, walk }: Query, key: string) =>
  // By cursor, too: a page is what comes next, and stops when it is full.
  (filter === undefined || walk !== undefined) && (sort === undefined || isKey(sort, key));

const pathKey = (path: AttributePath) => path.map((attribute) => attribute.name).join('.');

type Names = readonly { readonly name: string }[];

/** A path in a JSON document, as an SQL literal: the names come from schemas, whose grammar has no quote in it. */
function jsonPath(names: Names, suffix = '', more: Names = []): SQL {
  const steps = (part: Names) => part.map(({ name }) => `."${name.replaceAll(/["'?]/g, '')}"`).join('');
  return sql.raw(`'$${steps(names)}${suffix}${steps(more)}'`);
}

/** The columns as seen from inside a singular complex attribute: `manager[displayName eq "…"]`. */
const inside = (columns: Columns, prefix: string): Columns => ({
  document: columns.document,
  column: (path) => columns.column(prefix + path),
  lookup: (path, value) => columns.lookup(prefix + path, value),
});

/** What the compiler is inside of: the row, or one element of a list. */
interface Scope {
  readonly document: SQL;
  readonly columns?: Columns;
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
      case 'or':
        return this.#joined(
          condition.kind,
          condition.terms.map((term) => this.#in(scope, term)),
        );
      case 'not':
        // SQL's NULL is "unknown", and not unknown is unknown: here it is false, and not false is true.
        return sql`NOT ifnull(${this.#in(scope, condition.term)}, 0)`;
      case 'present':
        return this.#present(scope, condition.path);
      case 'compare': {
        const value = this.#value(condition.value);
        const lookup = condition.operator === 'eq' && scope.columns?.lookup(pathKey(condition.path), value);
        return lookup || this.#compare(scope, condition.path, condition.operator, value, condition.value);
      }
      case 'element':
        return this.#element(scope, condition.path, condition.filter);
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

  #present(scope: Scope, path: AttributePath): SQL {
    const column = scope.columns?.column(pathKey(path));
    if (column !== undefined) return sql`ifnull(${column}, '') <> ''`;
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
      const end = operator === 'sw' && typeof wanted === 'string' ? afterPrefix(wanted) : undefined;
      return compare(column, operator, value, end === undefined ? undefined : this.#value(end));
    }
    return this.#where(scope, path, (document, inner) =>
      compare(sql`json_extract(${document}, ${inner})`, operator, value, undefined),
    );
  }

  /** A test of the place where a path ends: of each element's, when a list is on the way. */
  #where(outer: Scope, path: AttributePath, test: (document: SQL, inner: SQL) => SQL, asWhole = false): SQL {
    const scope = this.#holding(outer, path);
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

  #holding(scope: Scope, path: AttributePath): Scope {
    const document = scope.columns?.documentOf?.(path[0].name);
    return document ? { ...scope, document } : scope;
  }

  #element(outer: Scope, path: AttributePath, filter: Condition): SQL {
    const scope = this.#holding(outer, path);
    if (!isPlural(path)) {
      const object = sql`json_extract(${scope.document}, ${jsonPath(path)})`;
      const columns = scope.columns && inside(scope.columns, `${pathKey(path)}.`);
      return sql`(${object} IS NOT NULL AND ${this.#in({ document: object, ...(columns && { columns }) }, filter)})`;
    }
    const lookup = scope.columns && this.#narrowed(scope.columns, pathKey(path), filter);
    if (lookup && filter.kind === 'compare') return lookup; // there is nothing more to it
    const holds = this.#some(scope, path, (element) => this.#in({ document: element }, filter));
    return lookup ? sql`(${lookup} AND ${holds})` : holds;
  }

  /** `emails[type eq "work" and value eq "…"]`: the index finds the few rows that the whole condition is tried on. */
  #narrowed(columns: Columns, path: string, filter: Condition): SQL | undefined {
    if (filter.kind === 'and') {
      for (const term of filter.terms) {
        const lookup = this.#narrowed(columns, path, term);
        if (lookup) return lookup;
      }
    }
    if (filter.kind !== 'compare' || filter.operator !== 'eq') return undefined;
    return columns.lookup(`${path}.${pathKey(filter.path)}`, this.#value(filter.value));
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

/**
 * What SQLite counts when it resolves an expression: its height, which includes that of its subqueries, and then once
 * more the height of each subquery on the way in.
 */
interface Height {
  readonly own: number;
  readonly inside: number;
}

const deeper = ({ own, inside }: Height, levels: number): Height => ({ own: own + levels, inside });

/** @param columns of the row; undefined inside of an element. */
function heightOf(condition: Condition, columns?: Columns): Height {
  switch (condition.kind) {
    case 'and':
    case 'or': {
      const terms = condition.terms.map((term) => heightOf(term, columns));
      const [own, inside] = [Math.max(...terms.map((t) => t.own)), Math.max(...terms.map((t) => t.inside))];
      return { own: own + Math.ceil(Math.log2(terms.length)), inside };
    }
    case 'not':
      return deeper(heightOf(condition.term, columns), 2);
    case 'element': {
      const filter = heightOf(condition.filter);
      if (!isPlural(condition.path)) return deeper(filter, 3);
      // The look-up beside it, or the list that stands in no document.
      const beside = columns ? LOOKUP : { own: 0, inside: 0 };
      return {
        own: Math.max(filter.own + 2, beside.own) + 1,
        inside: Math.max(filter.own + 2 + filter.inside, beside.inside),
      };
    }
    case 'nothing':
      return { own: 1, inside: 0 };
    default: {
      const key = pathKey(condition.path);
      const isLookup = condition.kind === 'compare' && columns?.lookup(key, sql`1`) !== undefined;
      if (isLookup || columns?.documentOf?.(condition.path[0].name)) return LOOKUP;
      if (columns?.column(key)) return COLUMN;
      return isPlural(condition.path) ? { own: 8, inside: 7 } : { own: 6, inside: 0 };
    }
  }
}

/** Look-ups ask other tables, in the caller's org: the largest is that for the members of a group. */
const LOOKUP: Height = { own: 14, inside: 22 };
/** A column may be a question to another row: the manager's name. */
const COLUMN: Height = { own: 10, inside: 10 };
