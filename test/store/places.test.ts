/** Where each table's rows are when orgs are in several databases: a new table cannot be forgotten. */
import { getTableConfig, SQLiteTable } from 'drizzle-orm/sqlite-core';
import { expect, it } from 'vitest';
import { COPIED, OF_EACH_DATABASE, ONLY_IN_MAIN } from '../../src/store/d1/places';
import * as tables from '../../src/store/d1/tables';
import { ROWS_OF_ORG } from '../../src/store/directory/removal';

const all = Object.values(tables).flatMap((table) => (table instanceof SQLiteTable ? [getTableConfig(table)] : []));

it('every table has rows of orgs, or is in DB alone, or is copied, or is of each database', () => {
  const ofOrgs = new Set(['orgs', ...ROWS_OF_ORG.map(({ table }) => table)]);
  const classes = (name: string) => [
    ...(ofOrgs.has(name) ? ['of orgs'] : []),
    ...(ONLY_IN_MAIN.some((one) => one === name) ? ['only in DB'] : []),
    ...(OF_EACH_DATABASE.includes(name) ? ['of each database'] : []),
    // An endpoint of all orgs is in the table of those of one org.
    ...(COPIED.some(({ table }) => table === name && name !== 'webhooks') ? ['copied'] : []),
  ];
  const unclear = all.filter(({ name }) => classes(name).length !== 1).map(({ name }) => [name, ...classes(name)]);
  expect(unclear).toEqual([]);
});

it('a copy keeps for itself only columns that its table has', () => {
  for (const { table, key, own } of COPIED) {
    const columns = all.find(({ name }) => name === table)!.columns;
    expect(columns.map(({ name }) => name)).toEqual(expect.arrayContaining([key, ...Object.keys(own)]));
    for (const [name, first] of Object.entries(own)) {
      const { notNull, hasDefault } = columns.find((column) => column.name === name)!;
      expect([table, name, first !== undefined || !notNull || hasDefault]).toEqual([table, name, true]);
    }
  }
});
