/** Gives the names and values of a filter a meaning: syntax tree x schema -> condition. */
import type { Attribute, ResourceType } from '../attribute';
import { dateTime } from '../datetime';
import { invalidFilter, printable } from '../error';
import { foldString } from '../fold';
import { type AttributePath, pathName, resolveAttribute, target, within } from '../path';
import { booleanOf } from '../quirks';
import type { Condition } from './condition';
import { referenceCondition, type Scope } from './reference';
import type { Literal, Operator, Syntax } from './syntax';

/** How a name in the filter finds its attribute; `elsewhere`: only another type has it; undefined: none has. */
type Resolve = (name: string) => AttributePath | 'elsewhere' | undefined;

/**
 * @param others types that the same search asks as well: what only they have holds of nothing here (RFC 7644 §3.4.2.1).
 * @param baseUrl of the request, which the `$ref` of members and groups begin with.
 * @throws ScimError 400 invalidFilter: an unknown attribute, or an operator or a value that does not fit its type.
 */
export function resolveFilter(
  type: ResourceType,
  syntax: Syntax,
  others: readonly ResourceType[] = [],
  baseUrl?: string,
): Condition {
  const isElsewhere = (name: string) => others.some((other) => resolveAttribute(other, name) !== undefined);
  const find = (name: string) => resolveAttribute(type, name) ?? (isElsewhere(name) ? 'elsewhere' : undefined);
  return resolve(syntax, find, { baseUrl });
}

/** The filter of a value path, against the sub-attributes of the attribute before the bracket. */
export function resolveElementFilter(attribute: Attribute, syntax: Syntax, baseUrl?: string): Condition {
  return resolve(syntax, (name) => within(attribute.subAttributes, name), { baseUrl, owner: attribute });
}

/** Whether a value path's filter names a sub-attribute that the attribute before the bracket does not have. */
export function namesUnknown(attribute: Attribute, syntax: Syntax): boolean {
  switch (syntax.kind) {
    case 'and':
    case 'or':
      return syntax.terms.some((term) => namesUnknown(attribute, term));
    case 'not':
      return namesUnknown(attribute, syntax.term);
    default:
      return within(attribute.subAttributes, syntax.path) === undefined;
  }
}

function resolve(syntax: Syntax, find: Resolve, scope: Scope): Condition {
  switch (syntax.kind) {
    case 'and':
    case 'or':
      return { kind: syntax.kind, terms: syntax.terms.map((term) => resolve(term, find, scope)) };
    case 'not':
      return { kind: 'not', term: resolve(syntax.term, find, scope) };
    default: {
      const path = known(syntax.path, find);
      return path === 'elsewhere' ? { kind: 'nothing' } : leaf(syntax, path, scope);
    }
  }
}

type Leaf = Exclude<Syntax, { kind: 'and' | 'or' | 'not' }>;

function leaf(syntax: Leaf, path: AttributePath, scope: Scope): Condition {
  switch (syntax.kind) {
    case 'present':
      return referenceCondition(path, 'pr', '', scope) ?? { kind: 'present', path };
    case 'element':
      if (target(path).type !== 'complex') throw invalidFilter(`${pathName(path)} has no sub-attributes to filter by`);
      return { kind: 'element', path, filter: resolveElementFilter(target(path), syntax.filter, scope.baseUrl) };
    case 'compare': {
      const { operator, literal } = syntax;
      if (literal.value !== null) {
        const ofReference = referenceCondition(path, operator, literal.text, scope);
        if (ofReference) return ofReference;
      }
      return comparison(path, operator, literal, scope);
    }
  }
}

function known(name: string, find: Resolve): AttributePath | 'elsewhere' {
  const path = find(name);
  if (path === undefined) throw invalidFilter(`The filter names ${printable(name)}, which is not an attribute here`);
  if (path !== 'elsewhere' && path.some((a) => a.returned === 'never')) {
    throw invalidFilter(`${pathName(path)} cannot be filtered by`);
  }
  return path;
}

function comparison(written: AttributePath, operator: Operator, literal: Literal, scope: Scope): Condition {
  const path = valued(written);
  const attribute = target(path);
  if (literal.value === null) {
    const present: Condition = referenceCondition(path, 'pr', '', scope) ?? { kind: 'present', path };
    if (operator === 'eq') return { kind: 'not', term: present };
    if (operator === 'ne') return present;
    throw invalidFilter(`null can be compared with eq and ne only`);
  }
  if (!isOrdered(attribute) && operator !== 'eq' && operator !== 'ne' && !isText(attribute, operator)) {
    throw invalidFilter(`${pathName(path)} is ${attribute.type}: the operator ${operator} does not apply to it`);
  }
  return { kind: 'compare', path, operator, value: operand(path, operator, literal) };
}

/** RFC 7644 §3.4.2.2: a complex attribute compared without a sub-attribute means its `value` (`emails co "example"`). */
function valued(path: AttributePath): AttributePath {
  if (target(path).type !== 'complex') return path;
  const value = within(target(path).subAttributes, 'value');
  if (value === undefined) throw invalidFilter(`${pathName(path)} is complex: a sub-attribute of it was expected`);
  return [...path, ...value];
}

/** RFC 7644 §3.4.2.2, table 3: boolean and binary values have no order. */
const isOrdered = (attribute: Attribute) => attribute.type !== 'boolean' && attribute.type !== 'binary';

const isSubstring = (operator: Operator) => operator === 'co' || operator === 'sw' || operator === 'ew';

const isText = (attribute: Attribute, operator: Operator) =>
  isSubstring(operator) && attribute.type !== 'boolean' && attribute.type !== 'integer' && attribute.type !== 'decimal';

function operand(path: AttributePath, operator: Operator, literal: Literal): string | number | boolean {
  const attribute = target(path);
  const refuse = (expected: string): never => {
    throw invalidFilter(`${pathName(path)} is ${attribute.type}: ${expected} was expected as its value`);
  };
  switch (attribute.type) {
    case 'boolean':
      // Entra ID asks for `roles[primary eq "True"]`.
      return booleanOf(literal.value) ?? refuse('true or false');
    case 'integer':
    case 'decimal':
      if (isSubstring(operator)) return refuse('another operator (eq, ne, gt, ge, lt, le)');
      return typeof literal.value === 'number' && Number.isFinite(literal.value) ? literal.value : refuse('a number');
    case 'dateTime':
      if (isSubstring(operator)) return literal.text;
      return dateTime(literal.text) ?? refuse('a date and time such as "2026-01-31T10:00:00Z"');
    default:
      return foldString(attribute, literal.text);
  }
}
