/**
 * The filter evaluator in memory. It reads the folded form (fold.ts), as `store/directory/filter.ts` does in SQL; the two agree
 * on every filter and resource.
 */
import type { Attribute } from '../attribute';
import { compareStrings } from '../fold';
import type { AttributePath } from '../path';
import type { Json, JsonObject } from '../resource';
import type { Condition } from './condition';
import type { Operator } from './syntax';

/** Told how much work each comparison was: 1, and more for long texts. */
export type Spend = (steps: number) => void;

/**
 * @param folded a folded resource, or a folded element for the filter of a value path.
 * @param spend may throw: then the filter is tried on nothing more.
 */
export function matches(condition: Condition, folded: JsonObject, spend?: Spend): boolean {
  switch (condition.kind) {
    case 'and':
      return condition.terms.every((term) => matches(term, folded, spend));
    case 'or':
      return condition.terms.some((term) => matches(term, folded, spend));
    case 'not':
      return !matches(condition.term, folded, spend);
    case 'nothing':
      return false;
    case 'present':
      spend?.(1);
      return values(condition.path, folded).some(isPresent);
    case 'element':
      return values(condition.path, folded).some((element) => matches(condition.filter, element as JsonObject, spend));
    case 'compare': {
      const found = values(condition.path, folded);
      if (spend) for (const value of found) spend(stepsOf(value, condition.operator, condition.value));
      if (found.length === 0) {
        spend?.(1);
        return condition.operator === 'ne' && !isPlural(condition.path);
      }
      return found.some((value) => holds(value, condition.operator, condition.value));
    }
  }
}

/** Searching a text for another one can take as long as both lengths multiplied. */
function stepsOf(value: Json | undefined, operator: Operator, wanted: string | number | boolean): number {
  if (typeof value !== 'string' || typeof wanted !== 'string') return 1;
  const characters = operator === 'co' ? value.length * wanted.length : Math.min(value.length, wanted.length);
  return 1 + Math.floor(characters / CHARACTERS_A_STEP);
}

const CHARACTERS_A_STEP = 64;

export const isPlural = (path: AttributePath) => path.some((attribute: Attribute) => attribute.multiValued);

/** Every value at the end of the path; for a single-valued sub-attribute of many elements, one entry per element. */
function values(path: AttributePath, folded: JsonObject): (Json | undefined)[] {
  const [first] = path;
  // The common case of one step needs none of what follows.
  if (path.length === 1 && !first.multiValued) {
    const value = Object.hasOwn(folded, first.name) ? folded[first.name] : undefined;
    return value === undefined ? [] : [value];
  }
  let found: (Json | undefined)[] = [folded];
  path.forEach(({ name, multiValued }, depth) => {
    found = found.flatMap((value) => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
      const member = Object.hasOwn(value, name) ? value[name] : undefined;
      if (member !== undefined) return member as Json | Json[];
      // An element without the sub-attribute still differs from any value: `emails.type ne "work"`.
      return depth === path.length - 1 && !multiValued && isPlural(path) ? [undefined] : [];
    });
  });
  return found;
}

function isPresent(value: Json | undefined): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value === 'object') return Object.keys(value).length > 0;
  return value !== '';
}

function holds(value: Json | undefined, operator: Operator, wanted: string | number | boolean): boolean {
  if (operator === 'ne') return value !== wanted;
  if (operator === 'eq') return value === wanted;
  if (typeof value === 'string' && typeof wanted === 'string') {
    switch (operator) {
      case 'co':
        return value.includes(wanted);
      case 'sw':
        return value.startsWith(wanted);
      case 'ew':
        return value.endsWith(wanted);
      default:
        return inOrder(compareStrings(value, wanted), operator);
    }
  }
  return typeof value === 'number' && typeof wanted === 'number' && inOrder(value - wanted, operator);
}

function inOrder(difference: number, operator: Operator): boolean {
  switch (operator) {
    case 'gt':
      return difference > 0;
    case 'ge':
      return difference >= 0;
    case 'lt':
      return difference < 0;
    default:
      return difference <= 0;
  }
}
