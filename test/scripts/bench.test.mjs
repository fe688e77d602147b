// The bench of revocations with a few people: that what it prints has been measured, and that everybody was out by each way.
import { execFile } from 'node:child_process';
import process from 'node:process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { each, figuresOf } from '../../bench/figures.mjs';
import { root } from '../../scripts/project.mjs';

const run = promisify(execFile);
const bench = (...args) => run(process.execPath, ['bench/revocation.mjs', ...args], { cwd: root });

describe('bench:revocation', () => {
  it('finds everybody denied by the strict check, the stream and KV, and counts nobody twice', async () => {
    const { stdout } = await bench('--users', '7', '--parallel', '3', '--json');
    const found = JSON.parse(stdout);
    expect(found).toMatchObject({ users: 7, parallel: 3, unit: 'ms', seconds: expect.any(Number) });
    expect(Object.keys(found.figures)).toEqual(['answer', 'strict', 'stream', 'kv']);
    for (const { n, p50, p99, max } of Object.values(found.figures)) {
      expect(n).toBe(7);
      expect(p50).toBeGreaterThan(0);
      expect(p99).toBeGreaterThanOrEqual(p50);
      expect(max).toBeGreaterThanOrEqual(p99);
      expect(max).toBeLessThan(20_000);
    }
    expect(found.note).toContain('Local KV has no propagation delay');
  });

  it('says what it takes', async () => {
    await expect(bench('--users', 'many')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--users: a number from 1 to 99999 was expected'),
    });
    await expect(bench('--loud')).rejects.toMatchObject({ code: 2 });
  });
});

describe('figures', () => {
  it('are nearest ranks, of numbers and not of words', () => {
    expect(figuresOf([10, 9, 100, 1])).toEqual({ n: 4, p50: 9, p99: 100, max: 100 });
    expect(figuresOf(Array.from({ length: 200 }, (_, i) => 200 - i))).toEqual({ n: 200, p50: 100, p99: 198, max: 200 });
    expect(figuresOf([1.26])).toEqual({ n: 1, p50: 1.3, p99: 1.3, max: 1.3 });
  });

  it('come in the order of what was measured, however many are under way', async () => {
    let [under, most] = [0, 0];
    const twice = await each([3, 1, 2, 0], 2, async (n) => {
      most = Math.max(most, ++under);
      await new Promise((resolve) => setTimeout(resolve, n));
      under--;
      return 2 * n;
    });
    expect([twice, most]).toEqual([[6, 2, 4, 0], 2]);
  });
});
