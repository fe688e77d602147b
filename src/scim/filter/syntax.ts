/** What a filter and a PATCH path are once they are parsed: the trees of RFC 7644 §3.4.2.2 and §3.5.2. Knows no schema. */
export const OPERATORS = ['eq', 'ne', 'co', 'sw', 'ew', 'gt', 'ge', 'lt', 'le'] as const;

export type Operator = (typeof OPERATORS)[number];

/** A comparison value as written. `text` is what stands in the filter, for attributes that are strings. */
export interface Literal {
  readonly value: string | number | boolean | null;
  readonly text: string;
}

export type Syntax =
  | { readonly kind: 'and' | 'or'; readonly terms: readonly Syntax[] }
  | { readonly kind: 'not'; readonly term: Syntax }
  | { readonly kind: 'present'; readonly path: string }
  | { readonly kind: 'compare'; readonly path: string; readonly operator: Operator; readonly literal: Literal }
  | { readonly kind: 'element'; readonly path: string; readonly filter: Syntax };

/** `emails[type eq "work"].value`: attribute, optional value filter, optional sub-attribute. */
export interface PathSyntax {
  readonly path: string;
  readonly filter?: Syntax;
  readonly sub?: string;
}
