/**
 * A Worker and its databases are not upgraded at the same moment: the statements of the Worker before have to work on the tables of
 * this one. previous-worker.sql holds them. With each release, record them anew:
 * `METER=sql npx vitest run test/meter.test.ts | grep '^SQL ' | sed 's/^SQL //'`.
 */
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import recorded from './previous-worker.sql?raw';

it('every statement of the Worker before can be run on the tables of this one', async () => {
  const statements = recorded.split('\n').filter((line: string) => line !== '' && !line.startsWith('--'));
  expect(statements.length).toBeGreaterThan(100);
  const failed: string[] = [];
  for (const text of statements) {
    const numbers = [...text.matchAll(/\?(\d+)/g)].map(([, number]) => Number(number));
    const values = Array.from({ length: Math.max(0, ...numbers) }, () => null);
    // It is prepared, which finds each table and column, and not carried out.
    const prepared = env.DB.prepare(`EXPLAIN ${text}`).bind(...values);
    await prepared.all().catch((error: unknown) => failed.push(`${String(error)}: ${text}`));
  }
  expect(failed).toEqual([]);
});
