/** What a filter of elements asks of one value of the element: an index of the values leaves few rows for the filter. */
import type { Condition } from '../../scim/filter/condition';
import type { AttributePath } from '../../scim/path';
import { type Columns, type NarrowRows, pathKey } from './columns';

export type Element = Extract<Condition, { kind: 'element' }>;
export type Leaf = Extract<Condition, { kind: 'compare' | 'present' }>;

/** Holds of one value of each element that the filter holds of. */
export interface Necessary {
  /** Its paths name the value alone. */
  readonly condition: Condition;
  /** The filter asks for nothing else: where the condition holds, the filter holds. */
  readonly isExact: boolean;
  /** The index finds the values; otherwise it is gone through. */
  readonly isSought: boolean;
}

/** The index that a term of a filter is narrowed by, and what is asked of it; undefined: none. */
export function narrowing(term: Element | Leaf, columns: Columns): (Necessary & { rows: NarrowRows }) | undefined {
  const element = term.kind === 'element' ? term : asElement(term);
  const rows = element && columns.narrow(pathKey(element.path));
  const necessary = rows && necessaryOf(element.filter, rows.name);
  return necessary && { ...necessary, rows };
}

/** `emails co "x"` asks the same as `emails[value co "x"]`. */
function asElement(leaf: Leaf): Element | undefined {
  const { path } = leaf;
  if (path.length < 2) return undefined;
  const [list, value] = [path.slice(0, -1), path.slice(-1)] as unknown as [AttributePath, AttributePath];
  return { kind: 'element', path: list, filter: { ...leaf, path: value } };
}

/**
 * `type eq "work" and value co "x"` holds of an element only if `value co "x"` does. An element without a value stands in no
 * index: what may hold of it, as `ne` and `not`, narrows nothing.
 *
 * @param name of the sub-attribute that the index holds.
 * @returns undefined: the filter may hold whatever the value is.
 */
function necessaryOf(filter: Condition, name: string): Necessary | undefined {
  switch (filter.kind) {
    case 'present':
      return pathKey(filter.path) === name ? { condition: filter, isExact: true, isSought: false } : undefined;
    case 'compare':
      return pathKey(filter.path) === name && filter.operator !== 'ne'
        ? { condition: filter, isExact: true, isSought: filter.operator === 'eq' }
        : undefined;
    case 'and': {
      const terms = filter.terms.flatMap((term) => necessaryOf(term, name) ?? []);
      if (terms.length === 0) return undefined;
      return {
        condition: { kind: 'and', terms: terms.map(({ condition }) => condition) },
        isExact: terms.length === filter.terms.length && terms.every(({ isExact }) => isExact),
        isSought: terms.some(({ isSought }) => isSought),
      };
    }
    case 'or': {
      const terms = filter.terms.flatMap((term) => necessaryOf(term, name) ?? []);
      // One branch without a condition on the value holds whatever the value is.
      if (terms.length < filter.terms.length) return undefined;
      return {
        condition: { kind: 'or', terms: terms.map(({ condition }) => condition) },
        isExact: terms.every(({ isExact }) => isExact),
        isSought: terms.every(({ isSought }) => isSought),
      };
    }
    default:
      return undefined;
  }
}
