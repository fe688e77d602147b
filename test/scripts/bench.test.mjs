// The benches with a few people: that what they print has been measured, and that everybody was out by each way.
import { execFile } from 'node:child_process';
import process from 'node:process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { each, figuresOf } from '../../bench/figures.mjs';
import { reportOf, resultOf, verdictOf } from '../../bench/report.mjs';
import { WORKLOADS } from '../../bench/workloads.mjs';
import { root } from '../../scripts/project.mjs';

const run = promisify(execFile);
const script =
  (name) =>
  (...args) =>
    run(process.execPath, [`bench/${name}.mjs`, ...args], { cwd: root });
const bench = script('revocation');
const trial = script('mirror-trial');
const signalsTrial = script('signals-trial');
const compare = script('bench');

describe.concurrent('bench:revocation', () => {
  it('finds everybody denied by the strict check, the stream and KV, and counts nobody twice', async () => {
    const { stdout } = await bench('--users', '5', '--parallel', '3', '--json');
    const found = JSON.parse(stdout);
    expect(found).toMatchObject({ users: 5, parallel: 3, unit: 'ms', seconds: expect.any(Number) });
    expect(Object.keys(found.figures)).toEqual(['answer', 'strict', 'stream', 'kv']);
    for (const { n, p50, p99, max } of Object.values(found.figures)) {
      expect(n).toBe(5);
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

describe.concurrent('bench', () => {
  it('measures our Worker beside the floor, and checks the answers of both', { timeout: 240_000 }, async () => {
    const args = ['--only', 'delete,group-change', '--users', '400', '--rounds', '1', '--no-peer', '--json'];
    const found = JSON.parse((await compare(...args)).stdout);
    expect(found).toMatchObject({ users: 400, rounds: 1, seconds: expect.any(Number) });
    expect(found.results.map(({ name }) => name)).toEqual(['delete', 'group-change']);
    for (const { sides, ratios } of found.results) {
      expect(Object.keys(sides)).toEqual(['floor', 'full', 'ours']);
      for (const { n, p50, p99 } of Object.values(sides)) {
        expect(n).toBeGreaterThanOrEqual(1);
        expect(p99).toBeGreaterThanOrEqual(p50);
      }
      expect(ratios.full).toBeGreaterThan(0);
    }
  });

  it('says what it takes', async () => {
    await expect(compare('--only', 'got')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--only: one of get, username,'),
    });
    await expect(compare('--users', '5')).rejects.toMatchObject({ code: 2 });
  });

  it('compares with the floor that the goal names, and with GET by id', () => {
    const side = (p50) => ({ n: 1, p50, p99: p50, max: p50 });
    const sides = { floor: side(1), full: side(2), ours: side(3), small: side(2) };
    const get = resultOf('get', WORKLOADS.get, sides);
    expect(get.ratios).toMatchObject({ floor: 3, full: 1.5, growth: 1.5 });
    const post = resultOf('post', WORKLOADS.post, sides);
    const config = resultOf('config', WORKLOADS.config, sides);
    expect(verdictOf(get, [get])).toEqual({ ratio: 3, isReached: false });
    expect(verdictOf(post, [post])).toEqual({ ratio: 1.5, isReached: true });
    expect(verdictOf(config, [get, config])).toEqual({ ratio: 1, isReached: true });
    expect(verdictOf(config, [config])).toBeUndefined();
    const text = reportOf({ users: 1_000, rounds: 1, parallel: 8, seconds: 1, results: [get, post, config] });
    expect(text).toMatch(/^GET by id +1 +2 +3 +3 +- +3 +1.5 +- +≤ 1.3 × floor +no: 3 +1.5$/m);
  });
});

describe.concurrent('figures', () => {
  it('are nearest ranks, of numbers and not of words', () => {
    expect(figuresOf([10, 9, 100, 1])).toEqual({ n: 4, p50: 9, p99: 100, max: 100 });
    expect(figuresOf(Array.from({ length: 200 }, (_, i) => 200 - i))).toEqual({ n: 200, p50: 100, p99: 198, max: 200 });
    expect(figuresOf([1.26])).toEqual({ n: 1, p50: 1.3, p99: 1.3, max: 1.3 });
    expect(figuresOf([0.1264], 3)).toEqual({ n: 1, p50: 0.126, p99: 0.126, max: 0.126 });
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

describe.concurrent('trial:mirror', () => {
  it('fills and follows a copy through a cycle of Entra, with both sides killed, and every row is equal', async () => {
    const { stdout } = await trial('--users', '300', '--groups', '12', '--json');
    const found = JSON.parse(stdout);
    expect(found).toMatchObject({ users: 300, groups: 12, differences: [], kills: { application: 7, service: 3 } });
    expect(found.rows.users).toBeGreaterThan(295);
    expect(found.changes).toBeGreaterThan(50);
  });
});

describe.concurrent('trial:signals', () => {
  it('has each signal act once and each event arrive in order, with all sides killed', async () => {
    const { stdout } = await signalsTrial('--users', '100', '--signals', '60', '--json');
    const found = JSON.parse(stdout);
    expect(found).toMatchObject({ users: 100, signals: 60, differences: [], kills: { service: 1 } });
    expect(found.events.expected).toBeGreaterThanOrEqual(60);
  });
});
