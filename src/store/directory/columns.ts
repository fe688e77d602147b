/** Where a table keeps what a filter may ask for: a document, columns beside it, indexes, and lists in other tables. */
import { type SQL, sql } from 'drizzle-orm';
import type { AttributePath } from '../../scim/path';

/** Paths are written with dots: `name.givenName`. */
export interface Columns {
  /** The folded document. */
  readonly document: SQL;
  /** What stands for the attribute in place of the document. */
  column(path: string): Column | undefined;
  /** The number of the row, by which look-ups find it. */
  readonly seq: SQL;
  /** Of a list in another table: a query for the numbers of the rows whose list has this value, answered by an index. */
  lookup(path: string, value: SQL): SQL | undefined;
  /** Of a list in the document: the index of its values. */
  narrow(path: string): NarrowRows | undefined;
  /** A top-level attribute whose list stands in no document. */
  derived(attribute: string): DerivedList | undefined;
}

export interface Column {
  /** An index finds a value in it, at most once or several times; or there is none; or it reads another row. */
  readonly kind: 'unique' | 'indexed' | 'own' | 'joined';
  /** It stands in the index that a search goes through. */
  readonly isBeside?: true;
  readonly sql: () => SQL;
}

/** The column of this path, in a table of columns by their paths. */
export const columnIn = (columns: Readonly<Record<string, Column>>, path: string): Column | undefined =>
  Object.hasOwn(columns, path) ? columns[path] : undefined;

/** A row for each distinct value of a list that is not empty. It is read instead of the documents. */
export interface NarrowRows {
  /** The sub-attribute that stands in it. */
  readonly name: string;
  /** A query for the numbers of the resources of which one value passes the test. */
  where(test: (value: SQL) => SQL): SQL;
}

/** What an element of a derived list has: an expression for each sub-attribute. */
export type Element = Readonly<Record<string, SQL>>;

export interface DerivedList {
  /** That of a single row may be as long as the org is large. Who is in it, an index says. */
  readonly isLong: boolean;
  /**
   * A condition on the row: one of the elements passes the test.
   *
   * @param isNarrow only a few rows are asked.
   * @param asks the sub-attributes that the test looks at.
   */
  some(test: (element: Element) => SQL, isNarrow: boolean, asks: ReadonlySet<string>): SQL;
}

export const pathKey = (path: AttributePath): string => path.map(({ name }) => name).join('.');

/** The columns as seen from inside a singular complex attribute: `manager[displayName eq "…"]`. */
export const inside = (columns: Columns, path: AttributePath): Columns => {
  const prefix = `${pathKey(path)}.`;
  return {
    document: columns.document,
    seq: columns.seq,
    column: (path) => columns.column(prefix + path),
    lookup: (path, value) => columns.lookup(prefix + path, value),
    narrow: (path) => columns.narrow(prefix + path),
    derived: () => undefined,
  };
};

/** The columns as seen from inside an element of a derived list. */
export const columnsOfElement = (element: Element): Columns => ({
  document: sql`NULL`,
  seq: sql`NULL`,
  column: (path) => (Object.hasOwn(element, path) ? { kind: 'own', sql: () => element[path]! } : undefined),
  lookup: () => undefined,
  narrow: () => undefined,
  derived: () => undefined,
});
