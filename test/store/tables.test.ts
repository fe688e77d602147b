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
      'approvals',
      'assertions',
      'attribute_counts',
      'brake_counts',
      'brake_held',
      'catalogue',
      'credentials',
      'deleted_emails',
      'deleted_orgs',
      'events',
      'frozen_orgs',
      'grants',
      'group_permissions',
      'groups',
      'host_tokens',
      'memberships',
      'moved_orgs',
      'moves',
      'oauth_clients',
      'org_domains',
      'orgs',
      'outbox',
      'portal_domains',
      'portal_links',
      'portal_sessions',
      'refusals',
      'removals',
      'schemas',
      'shards',
      'signal_exclusions',
      'signal_lines',
      'signal_receiver_orgs',
      'signal_receiver_tokens',
      'signal_receivers',
      'signal_sources',
      'signal_streams',
      'signing_keys',
      'traffic',
      'user_emails',
      'users',
      'webhook_lines',
      'webhooks',
    ]);
  });

  it('all have org_id, but for the orgs themselves, and what is of programs that serve several', async () => {
    const without = (await tables()).filter(({ columns }) => !columns.includes('org_id'));
    expect(without.map(({ name }) => name)).toEqual([
      'host_tokens',
      'orgs',
      'shards',
      'signal_receiver_tokens',
      'signal_receivers',
      'signal_streams',
      'signing_keys',
    ]);
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
    // The ids of credentials are random, and nobody is asked for them by id alone but the row that was just written. What
    // is found by its age alone is found by the cron, for all orgs. A domain says which orgs somebody may be of. An endpoint may be
    // of all orgs, and operators name it by its random id. A stream of signals may be of all orgs, too.
    expect(others.sort()).toEqual([
      'assertions: valid_until',
      'attribute_counts: day',
      'catalogue: slug',
      'credentials: hash',
      'credentials: id',
      'credentials: kind, valid_until',
      'grants: review_at, approved_at',
      'org_domains: domain, org_id',
      'portal_domains: checked_at',
      'portal_links: expires_at',
      'portal_sessions: expires_at',
      'refusals: day',
      'removals: turn',
      'signal_exclusions: stream_id, org_id, user_id',
      'signal_lines: due_at',
      'signal_lines: stream_id, due_at',
      'signal_receiver_orgs: receiver_id, org_id',
      'signal_sources: poll_due_at',
      'traffic: day',
      'webhook_lines: due_at',
      'webhook_lines: webhook_id',
      'webhooks: id',
    ]);
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

  it('let an org have one token that is current, and one that it has replaced', async () => {
    const token = (
      org: string,
      generation: number,
      replacedAt: number | null,
      revokedAt: number | null,
      subject = '',
    ) =>
      env.DB.prepare(
        `INSERT INTO credentials (id, org_id, kind, subject, hash, mask, generation, created_at, created_by, replaced_at, revoked_at)
          VALUES (?1, ?2, 'token', ?6, ?1, 'x', ?3, 1, 'x', ?4, ?5)`,
      )
        .bind(crypto.randomUUID(), org, generation, replacedAt, revokedAt, subject)
        .run();
    await token('one', 1, 4, 5);
    await token('one', 2, 9, null);
    await token('one', 3, null, null);
    await token('two', 3, null, null);
    await token('one', 3, null, null, 'a client');
    const taken = 'UNIQUE constraint failed: credentials.org_id, credentials.kind, credentials.subject';
    await expect(token('one', 4, null, null)).rejects.toThrow(taken);
    await expect(token('one', 4, 10, null)).rejects.toThrow(taken);
    await expect(token('one', 3, 1, 1)).rejects.toThrow(`${taken}, credentials.generation`);
  });
});
