/**
 * A filter on a `$ref` that is never stored, as a filter on what it is made of: base URL, endpoint, and the `value` of its
 * element. So no list of URIs is computed to be searched, and an index on `value` serves `$ref` as well.
 */
import { type Attribute, type Endpoint, findAttribute } from '../attribute';
import { compareStrings, foldString } from '../fold';
import { type AttributePath, target } from '../path';
import { referenced } from '../reference';
import type { Condition } from './condition';
import type { Operator } from './syntax';

/** Where a filter stands. */
export interface Scope {
  /** Of the request, without a slash at the end. */
  readonly baseUrl?: string | undefined;
  /** Inside of a value path: the attribute before the bracket. */
  readonly owner?: Attribute;
}

/** How a list whose elements are of several kinds names them, folded. */
const TYPES: Readonly<Record<Endpoint, string>> = { Users: 'user', Groups: 'group' };

/** @returns undefined where the path ends at no such `$ref`, or at the manager's, which the store has a column for. */
export function referenceCondition(
  path: AttributePath,
  operator: Operator | 'pr',
  text: string,
  { baseUrl, owner }: Scope,
): Condition | undefined {
  const { endpoints } = target(path);
  if (endpoints === undefined || baseUrl === undefined) return undefined;
  if (path.length === 1) return owner && inElement(owner, endpoints, operator, text, baseUrl);
  const holder = path.slice(0, -1) as unknown as AttributePath;
  if (!target(holder).multiValued) return undefined;
  return { kind: 'element', path: holder, filter: inElement(target(holder), endpoints, operator, text, baseUrl) };
}

function inElement(
  owner: Attribute,
  endpoints: readonly Endpoint[],
  operator: Operator | 'pr',
  text: string,
  baseUrl: string,
): Condition {
  const value = findAttribute(owner.subAttributes, 'value')!;
  const type = findAttribute(owner.subAttributes, 'type');
  if (operator === 'pr') return { kind: 'present', path: [value] };
  if (operator === 'ne') return { kind: 'not', term: inElement(owner, endpoints, 'eq', text, baseUrl) };
  // A relative URI is compared as what it names.
  const named = operator === 'eq' ? referenced(text, endpoints, baseUrl) : undefined;
  const wanted = named ? `${baseUrl}/${named.endpoint}/${named.id}` : text;
  const ofEach = endpoints.map((endpoint): Condition => {
    const holds = behind(`${baseUrl}/${endpoint}/`, operator, wanted, value);
    if (endpoints.length === 1 || type === undefined || holds.kind === 'nothing') return holds;
    const isOfType: Condition = { kind: 'compare', path: [type], operator: 'eq', value: TYPES[endpoint] };
    return { kind: 'and', terms: [holds, isOfType] };
  });
  return either(ofEach);
}

/** What must hold of an id for `prefix + id` to compare so with the text. */
function behind(prefix: string, operator: Operator, text: string, value: Attribute): Condition {
  const is = (op: Operator, id: string): Condition => ({
    kind: 'compare',
    path: [value],
    operator: op,
    value: foldString(value, id),
  });
  const always: Condition = { kind: 'present', path: [value] };
  const nothing: Condition = { kind: 'nothing' };
  const rest = text.startsWith(prefix) ? text.slice(prefix.length) : undefined;
  switch (operator) {
    case 'eq':
    case 'ne':
      return rest ? is('eq', rest) : nothing;
    case 'sw':
      return prefix.startsWith(text) ? always : rest === undefined ? nothing : is('sw', rest);
    case 'ew':
      return prefix.length === 0 || text === '' ? always : either([is('ew', text), ...acrossEnd('eq')]);
    case 'co':
      return prefix.includes(text) ? always : either([is('co', text), ...acrossEnd('sw')]);
    default: {
      if (rest !== undefined) return is(operator, rest);
      const isAfter = prefix.startsWith(text) || compareStrings(prefix, text) > 0;
      return isAfter === (operator === 'gt' || operator === 'ge') ? always : nothing;
    }
  }

  /** The text begins in the prefix and goes on in the id. */
  function acrossEnd(op: Operator): Condition[] {
    const found: Condition[] = [];
    for (let length = 1; length <= Math.min(prefix.length, text.length); length++) {
      if (prefix.endsWith(text.slice(0, length))) found.push(is(op, text.slice(length)));
    }
    return found;
  }
}

function either(conditions: readonly Condition[]): Condition {
  const possible = conditions.filter(({ kind }) => kind !== 'nothing');
  if (possible.length === 0) return { kind: 'nothing' };
  return possible.length === 1 ? possible[0]! : { kind: 'or', terms: possible };
}
