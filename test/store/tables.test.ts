/** Every table is keyed by org first: no question about one org reads another's rows, and none grows with the other orgs. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';

interface Table {
  readonly name: string;
  readonly columns: string[];
  /** The columns of each key and index, in order. */
  readonly indexes: { readonly name: string; readonly columns: string[] }[];
}

async function tables(): Promise<Table[]> {
  const { results } = await env.DB.prepare(
    `SELECT t.name AS name,
      (SELECT json_group_array(c.name) FROM pragma_table_info(t.name) AS c) AS columns,
      (SELECT json_group_array(json_object('name', i.name, 'columns',
        (SELECT json_group_array(x.name) FROM pragma_index_info(i.name) AS x))) FROM pragma_index_list(t.name) AS i) AS indexes
    FROM sqlite_master AS t WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE '\\_cf%' ESCAPE '\\'
      AND t.name <> 'd1_migrations' ORDER BY t.name`,
  ).all<Record<'name' | 'columns' | 'indexes', string>>();
  return results.map((row) => ({
    name: row.name,
    columns: JSON.parse(row.columns),
    indexes: JSON.parse(row.indexes).map((index: { name: string; columns: string | string[] }) => ({
      name: index.name,
      columns: typeof index.columns === 'string' ? JSON.parse(index.columns) : index.columns,
    })),
  }));
}

describe('the tables', () => {
  it('are those that are known to this test', async () => {
    const names = (await tables()).map(({ name }) => name);
    expect(names).toEqual([
      'credentials',
      'events',
      'group_permissions',
      'groups',
      'memberships',
      'orgs',
      'outbox',
      'schemas',
      'user_emails',
      'users',
    ]);
  });

  it('all have org_id, but for the orgs themselves', async () => {
    const without = (await tables()).filter(({ columns }) => !columns.includes('org_id'));
    expect(without.map(({ name }) => name)).toEqual(['orgs']);
  });

  it('have keys and indexes that begin with org_id, but for the hash that says which org a credential is of', async () => {
    const others: string[] = [];
    for (const { name, columns, indexes } of await tables()) {
      if (!columns.includes('org_id')) continue;
      expect(
        indexes.some((index) => index.columns[0] === 'org_id'),
        name,
      ).toBe(true);
      for (const index of indexes)
        if (index.columns[0] !== 'org_id') others.push(`${name}: ${index.columns.join(', ')}`);
    }
    // The ids of credentials are random, and nobody is asked for them by id alone but the row that was just written.
    expect(others.sort()).toEqual(['credentials: hash', 'credentials: id']);
  });

  it('let a userName be taken once among the live users of an org, and again elsewhere or after a deletion', async () => {
    const user = (org: string, id: string, deletedAt: number | null) =>
      env.DB.prepare(
        `INSERT INTO users (org_id, id, user_name_key, active, version, created_at, modified_at, deleted_at, resource, folded)
          VALUES (?, ?, 'ada', 1, 1, 1, 1, ?, '{}', '{}')`,
      )
        .bind(org, id, deletedAt)
        .run();
    await user('one', '1', null);
    await user('two', '1', null);
    await user('one', '2', 5);
    await user('one', '3', 6);
    await expect(user('one', '4', null)).rejects.toThrow('UNIQUE constraint failed: users.org_id, users.user_name_key');
    await expect(user('one', '1', 7)).rejects.toThrow('UNIQUE constraint failed: users.org_id, users.id');
  });

  it('let an org have one token that is neither revoked nor limited in time', async () => {
    const token = (org: string, generation: number, validUntil: number | null, revokedAt: number | null) =>
      env.DB.prepare(
        `INSERT INTO credentials (id, org_id, kind, hash, mask, generation, created_at, created_by, valid_until, revoked_at)
          VALUES (?1, ?2, 'token', ?1, 'x', ?3, 1, 'x', ?4, ?5)`,
      )
        .bind(crypto.randomUUID(), org, generation, validUntil, revokedAt)
        .run();
    await token('one', 1, null, 5);
    await token('one', 2, 9, null);
    await token('one', 3, null, null);
    await token('two', 1, null, null);
    await expect(token('one', 4, null, null)).rejects.toThrow('UNIQUE');
    await expect(token('one', 3, 9, null)).rejects.toThrow('UNIQUE');
  });
});
