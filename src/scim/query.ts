/** What a list or search asks for (RFC 7644 §3.4.2, §3.4.3; RFC 9865), from a query string or a SearchRequest body. */
import type { ResourceType } from './attribute';
import { invalidCount, invalidCursor, invalidSyntax, invalidValue, printable } from './error';
import type { Condition } from './filter/condition';
import { parseFilter } from './filter/parse';
import { resolveFilter } from './filter/resolve';
import { type AttributePath, pathName, resolveAttribute, target, within } from './path';
import { type Projection, projection } from './projection';
import { isObject } from './resource';
import { SEARCH_REQUEST } from './urns';
import { checkSchemas } from './validate';

/** A page is never longer; what ServiceProviderConfig calls filter.maxResults and pagination.maxPageSize. */
export const MAX_PAGE = 500;
/** Names in `attributes` or `excludedAttributes`. */
const MAX_NAMES = 500;
/** Without `count`. */
export const DEFAULT_PAGE = 100;

/** A request as written, before a resource type gives its names a meaning. */
export interface Search {
  readonly filter?: string;
  readonly sortBy?: string;
  readonly isDescending: boolean;
  /** 1-based; without a cursor only. */
  readonly startIndex: number;
  readonly count: number;
  /** RFC 9865: empty for the first page. Absent: paging by index, which stays the default (§2.4). */
  readonly cursor?: string;
  readonly attributes?: readonly string[];
  readonly excludedAttributes?: readonly string[];
}

export interface Query {
  readonly filter?: Condition;
  readonly sort?: { readonly path: AttributePath; readonly isDescending: boolean };
  readonly startIndex: number;
  readonly count: number;
  /** Paging by cursor. */
  readonly cursorPaging?: CursorPaging;
  readonly projection: Projection;
}

export interface CursorPaging {
  /** The id of the resource at which the last page ended; absent: from the first one on. */
  readonly after?: string;
  /** An earlier page had the last resource of this type. */
  readonly isPast: boolean;
}

/** Parameter names are read without case: Microsoft's reference client sends `startindex`. The first of two counts. */
function byLowerName(parameters: URLSearchParams): Map<string, string> {
  const byName = new Map<string, string>();
  for (const [name, value] of parameters) if (!byName.has(name.toLowerCase())) byName.set(name.toLowerCase(), value);
  return byName;
}

/** `attributes` and `excludedAttributes` of a request for one resource (RFC 7644 §3.9). */
export function projectionFromUrl(type: ResourceType, parameters: URLSearchParams): Projection {
  const byName = byLowerName(parameters);
  return projection(type, namesIn(byName.get('attributes')), namesIn(byName.get('excludedattributes')));
}

/** Attribute names. An empty list means that the parameter is absent: Java clients send `attributes=` and `[]`. */
function namesIn(list: string | readonly string[] | undefined): readonly string[] | undefined {
  const names = (typeof list === 'string' ? list.split(',') : list)?.filter((name) => name.trim() !== '');
  return names?.length ? names : undefined;
}

/** RFC 9865 §2.1 has a word of its own for a bad count beside a cursor. */
const noInteger = (name: string, cursor: string | undefined) =>
  (name === 'count' && cursor !== undefined ? invalidCount : invalidValue)(`${name}: an integer was expected`);

/** An integer as text. Blank text counts as absent. */
function integerIn(text: string, name: string, cursor: string | undefined, absent: number): number {
  if (text.trim() === '') return absent;
  if (!/^[+-]?\d+$/.test(text.trim())) throw noInteger(name, cursor);
  return Number(text);
}

/** @throws ScimError 400 invalidValue or invalidCount naming the parameter. */
export function searchFromUrl(parameters: URLSearchParams): Search {
  const byName = byLowerName(parameters);
  const cursor = byName.get('cursor');
  const integer = (name: string, absent: number) => {
    const text = byName.get(name.toLowerCase());
    return text === undefined ? absent : integerIn(text, name, cursor, absent);
  };
  const names = (name: string) => namesIn(byName.get(name.toLowerCase()));
  return search({
    filter: byName.get('filter'),
    sortBy: byName.get('sortby'),
    sortOrder: byName.get('sortorder'),
    startIndex: integer('startIndex', 1),
    count: integer('count', DEFAULT_PAGE),
    cursor,
    attributes: names('attributes'),
    excludedAttributes: names('excludedAttributes'),
  });
}

/** @throws ScimError 400 invalidSyntax, invalidValue, invalidCursor or invalidCount naming the member of the SearchRequest. */
export function searchFromBody(body: unknown): Search {
  if (!isObject(body)) throw invalidSyntax('A JSON object with a SearchRequest was expected as the body');
  checkSchemas(body, SEARCH_REQUEST, new Set());
  const byName = new Map(Object.entries(body).map(([name, value]) => [name.toLowerCase(), value]));
  const get = (name: string) => byName.get(name.toLowerCase()) ?? undefined;
  const text = (name: string) => {
    const value = get(name);
    if (value !== undefined && typeof value !== 'string') throw invalidValue(`${name}: a string was expected`);
    return value;
  };
  const cursor = get('cursor');
  if (cursor !== undefined && typeof cursor !== 'string') throw invalidCursor();
  const integer = (name: string, absent: number) => {
    const value = get(name) ?? absent;
    if (typeof value === 'string') return integerIn(value, name, cursor, absent);
    if (!Number.isInteger(value)) throw noInteger(name, cursor);
    return value as number;
  };
  const names = (name: string) => {
    const value = get(name);
    if (value === undefined || typeof value === 'string') return namesIn(value);
    if (!Array.isArray(value) || !value.every((item): item is string => typeof item === 'string')) {
      throw invalidValue(`${name}: a list of attribute names was expected`);
    }
    return namesIn(value);
  };
  return search({
    filter: text('filter'),
    sortBy: text('sortBy'),
    sortOrder: text('sortOrder'),
    startIndex: integer('startIndex', 1),
    count: integer('count', DEFAULT_PAGE),
    cursor,
    attributes: names('attributes'),
    excludedAttributes: names('excludedAttributes'),
  });
}

interface ListParameters {
  filter: string | undefined;
  sortBy: string | undefined;
  sortOrder: string | undefined;
  startIndex: number;
  count: number;
  cursor: string | undefined;
  attributes: readonly string[] | undefined;
  excludedAttributes: readonly string[] | undefined;
}

function search({
  filter,
  sortBy,
  sortOrder,
  startIndex,
  count,
  cursor,
  attributes,
  excludedAttributes,
}: ListParameters): Search {
  const order = sortOrder?.toLowerCase() || 'ascending';
  for (const [name, list] of Object.entries({ attributes, excludedAttributes })) {
    if (list && list.length > MAX_NAMES) throw invalidValue(`${name}: at most ${MAX_NAMES} names are accepted`);
  }
  if (order !== 'ascending' && order !== 'descending') {
    throw invalidValue('sortOrder: ascending or descending was expected');
  }
  return {
    ...(filter !== undefined && { filter }),
    ...(sortBy && { sortBy }),
    isDescending: order === 'descending',
    // §3.4.2.4: below 1 counts as 1, a negative count as 0; RFC 9865 §2 says the latter too.
    startIndex: Math.min(Math.max(startIndex, 1), Number.MAX_SAFE_INTEGER),
    count: Math.min(Math.max(count, 0), MAX_PAGE),
    ...(cursor !== undefined && { cursor }),
    ...(attributes && { attributes }),
    ...(excludedAttributes && { excludedAttributes }),
  };
}

/**
 * @param others types that the same search asks as well (RFC 7644 §3.4.2.1).
 * @param cursorPaging paging by cursor.
 * @param baseUrl of the request, for filters on `$ref`.
 * @throws ScimError 400 invalidFilter, or invalidValue for sortBy.
 */
export function queryOf(
  type: ResourceType,
  search: Search,
  others: readonly ResourceType[] = [],
  cursorPaging: CursorPaging | undefined = undefined,
  baseUrl?: string,
): Query {
  const { filter, sortBy, isDescending, startIndex, count } = search;
  const isSorted = sortBy !== undefined && !isElsewhere(type, sortBy, others);
  return {
    ...(filter !== undefined && { filter: resolveFilter(type, parseFilter(filter), others, baseUrl) }),
    ...(isSorted && { sort: { path: sortPath(type, sortBy), isDescending } }),
    startIndex,
    count,
    ...(cursorPaging && { cursorPaging }),
    projection: projection(type, search.attributes, search.excludedAttributes),
  };
}

const isElsewhere = (type: ResourceType, name: string, others: readonly ResourceType[]) =>
  resolveAttribute(type, name.trim()) === undefined && others.some((other) => resolveAttribute(other, name.trim()));

/** §3.4.2.3: a simple attribute or sub-attribute; a multi-valued one means the `value` of its primary or first element. */
function sortPath(type: ResourceType, sortBy: string): AttributePath {
  const path = resolveAttribute(type, sortBy.trim());
  if (path === undefined)
    throw invalidValue(`sortBy names ${printable(sortBy)}, which is not an attribute of a ${type.name}`);
  if (path.some((a) => a.returned === 'never')) throw invalidValue(`sortBy: ${pathName(path)} cannot be sorted by`);
  if (target(path).type !== 'complex') return path;
  const value = within(target(path).subAttributes, 'value');
  if (value === undefined)
    throw invalidValue(`sortBy: ${pathName(path)} is complex, and a sub-attribute of it was expected`);
  return [...path, ...value];
}
