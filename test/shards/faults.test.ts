/** One database that fails does not hold up the others. */
import { env } from 'cloudflare:workers';
import { expect, it, vi } from 'vitest';
import { orgsWithDuePolls } from '../../src/store/credentials/polled-sources';
import { BufferedCounter } from '../../src/store/d1/buffered-counter';
import type { Databases } from '../../src/store/d1/databases';
import { adoptAll } from '../../src/store/operations/shards';
import { databaseNamed, newIdpIn } from './databases';

vi.spyOn(console, 'error').mockImplementation(() => undefined);
const dead = {
  prepare: env.DB.prepare.bind(env.DB),
  batch: () => Promise.reject(new Error('D1_ERROR: Network connection lost')),
} as unknown as D1Database;
const bound = { ...(env as unknown as Databases), DB_1: dead } as Databases;

class Counter extends BufferedCounter<{ readonly org: string }> {
  override interval = 0;
  readonly written: string[] = [];
  protected override keyOf = ({ org }: { org: string }) => org;
  protected override orgOf = ({ org }: { org: string }) => org;
  protected override folded = (one: { readonly org: string }) => one;
  protected override sum = (one: { readonly org: string }) => one;
  protected override async write(db: D1Database, all: readonly { readonly org: string }[]): Promise<void> {
    if (db === dead) throw new Error('D1_ERROR: Network connection lost');
    this.written.push(...all.map(({ org }) => org));
  }
}

it('a count of an org in another database is written, once, while one database fails', async () => {
  const [a, b] = [await newIdpIn('DB_1', 'count-1'), await newIdpIn('DB_2', 'count-2')];
  const counter = new Counter();
  await expect(counter.add(bound, { org: a.orgId }, { org: b.orgId })).rejects.toThrow('connection lost');
  expect(counter.written).toEqual([b.orgId]);
  expect(counter.size).toBe(1);
});

it('the cron reminds of polls in the other databases while one fails', async () => {
  const { orgId } = await newIdpIn('DB_3', 'polls-3');
  await adoptAll(env as unknown as Databases);
  await databaseNamed('DB_3')
    .prepare(
      `INSERT INTO signal_sources (org_id, id, type, issuer, jwks_url, subject, created_at, created_by, poll_due_at)
        VALUES (?, 'x', 'ssf', 'https://i.example', 'https://i.example/jwks', 'email', 1, 'x', 1)`,
    )
    .bind(orgId)
    .run();
  expect(await orgsWithDuePolls(bound, 2, 10)).toEqual([orgId]);
});
