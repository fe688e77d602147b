/** Rows of D1 with the types that tables.ts gives their columns, so that no reader of a row repeats them. */
import { getTableColumns, getTableName, type InferSelectModel, type SQL, sql } from 'drizzle-orm';
import type { SQLiteTable } from 'drizzle-orm/sqlite-core';

/** As D1 answers: by the names in the statement. */
export type Row = Record<string, unknown>;

/** What a batch answers: of each statement its rows, typed where the statement says what they are (`sql<…>`). */
export type Rows<S extends readonly SQL[]> = {
  -readonly [I in keyof S]: S[I] extends SQL<infer R> ? (unknown extends R ? Row[] : R[]) : Row[];
};

/** Reads a row in which the table's columns have their own names, all of them or those that are named. */
export function rowOf<T extends SQLiteTable, K extends keyof InferSelectModel<T> & string>(
  table: T,
  ...keys: readonly K[]
): (row: Row) => Pick<InferSelectModel<T>, K> {
  const columns = Object.entries(getTableColumns(table)).filter(
    ([key]) => keys.length === 0 || keys.includes(key as K),
  );
  return (row) => {
    const read: Row = {};
    for (const [key, { name }] of columns) read[key] = row[name];
    return read as Pick<InferSelectModel<T>, K>;
  };
}

/** Some columns of a table: `sql` for the SELECT, and `rowOf` for what it answers. */
export function selected<T extends SQLiteTable, K extends keyof InferSelectModel<T> & string>(
  table: T,
  ...keys: readonly K[]
): { readonly sql: SQL; readonly rowOf: (row: Row) => Pick<InferSelectModel<T>, K> } {
  const columns = getTableColumns(table);
  const names = keys.map((key) => `${getTableName(table)}.${columns[key]!.name}`);
  return { sql: sql.raw(names.join(', ')), rowOf: rowOf(table, ...keys) };
}

/** The absent value of TypeScript in the place of SQL's. */
export const orAbsent = <V>(value: V | null): V | undefined => value ?? undefined;
