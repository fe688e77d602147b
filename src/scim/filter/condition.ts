/** A filter whose names and values have a meaning: the tree that both evaluators read. */
import type { AttributePath } from '../path';
import type { Operator } from './syntax';

export type Condition =
  | { readonly kind: 'and' | 'or'; readonly terms: readonly Condition[] }
  | { readonly kind: 'not'; readonly term: Condition }
  /** The attribute has a value that is not empty. */
  | { readonly kind: 'present'; readonly path: AttributePath }
  /**
   * `value` is folded like the stored one; dates are canonical text. On several values it holds if it holds of one of
   * them; `ne` on a single value holds also where there is none.
   */
  | {
      readonly kind: 'compare';
      readonly path: AttributePath;
      readonly operator: Operator;
      readonly value: string | number | boolean;
    }
  /** Asks for an attribute that this type of resource does not have (a search across types). */
  | { readonly kind: 'nothing' }
  /** One element of `path` satisfies `filter`, whose paths start at the element's sub-attributes. */
  | { readonly kind: 'element'; readonly path: AttributePath; readonly filter: Condition };
