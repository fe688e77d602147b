import { env } from 'cloudflare:workers';
import { sql } from 'drizzle-orm';
import { describe, expect, it } from 'vitest';
import { runBatch, Unmet } from '../../src/store/d1/batch';
import { type Expectation, expectNone, expectOneChange, expect as insist } from '../../src/store/d1/expect';

const all: Expectation[] = [
  'caller',
  'version',
  'found',
  'no_tombstone',
  'no_token',
  'token',
  'generation',
  'predecessor',
  'approval',
  'grant',
  'switched',
  'plan',
  'sso',
  'seats',
];
const run = (...statements: Parameters<typeof runBatch>[1]) => runBatch(env.DB, statements);
const org = (id: string) => sql`INSERT INTO orgs (id, slug, name, created_at) VALUES (${id}, ${id}, 'x', 1)`;

describe('an expectation', () => {
  it.each(all)('that is not met comes back by its name: %s', async (name) => {
    const error = await run(insist(name, sql`0`)).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(Unmet);
    expect((error as Unmet).expectation).toBe(name);
  });

  it('that is met lets the batch go on, and leaves nothing behind', async () => {
    expect(await run(insist('found', sql`1`), sql`SELECT 5 AS n`)).toEqual([[], [{ n: 5 }]]);
  });

  it.each(['0', '2', '-1', 'NULL', "'1x'", "''", 'NULL IS NOT NULL'])('is met by 1 only, not by %s', async (value) => {
    await expect(run(insist('found', sql.raw(value)))).rejects.toThrow(Unmet);
  });

  it('tells the first that is not met', async () => {
    const error = await run(insist('found', sql`1`), insist('version', sql`0`), insist('no_token', sql`0`)).catch(
      (e) => e,
    );
    expect((error as Unmet).expectation).toBe('version');
  });

  it.each([
    ["'found'", 'found'],
    ['NULL', undefined],
  ])('that names what is in the way is met when nothing is: %s', async (why, unmet) => {
    const error = await run(expectNone(sql.raw(why))).catch((e) => e);
    expect((error as Unmet).expectation).toBe(unmet);
  });

  it('of one change holds for one, not for none and not for two', async () => {
    await run(org('change-1'), expectOneChange('version'), org('change-2'));
    const rename = (where: ReturnType<typeof sql>) => sql`UPDATE orgs SET name = 'y' WHERE ${where}`;
    await run(rename(sql`id = 'change-1'`), expectOneChange('version'));
    await expect(run(rename(sql`id = 'nobody'`), expectOneChange('version'))).rejects.toThrow(Unmet);
    await expect(run(rename(sql`id LIKE 'change-%'`), expectOneChange('version'))).rejects.toThrow(Unmet);
    const names = await env.DB.prepare("SELECT id, name FROM orgs WHERE id LIKE 'change-%' ORDER BY id").all();
    expect(names.results).toEqual([
      { id: 'change-1', name: 'y' },
      { id: 'change-2', name: 'x' },
    ]);
  });
});
