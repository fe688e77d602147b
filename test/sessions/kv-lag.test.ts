/** How far behind KV is, as the service can know it: by the age of a key that the cron writes. */
import { createScheduledController } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, expect, it } from 'vitest';
import worker from '../../src/index';
import { readProbe, writeKvProbe } from '../../src/sessions/kv-lag';
import { ask, BASE } from '../support/client';
import { brokenKv } from '../support/coordinator';

const NOON = Date.parse('2026-11-22T12:00:00Z');
const cron = (bindings = env) =>
  worker.scheduled(createScheduledController({ cron: '* * * * *', scheduledTime: new Date() }), bindings);

beforeEach(() => env.REVOCATIONS.delete('canary:v1'));

it('without a canary yet, nothing is claimed', async () => {
  expect(await readProbe(env.REVOCATIONS, NOON)).toBeUndefined();
  expect((await ask('GET', `${BASE}/health`)).body).toEqual({ status: 'ok', kv: null, databases: null });
});

it.each([
  [0, 0],
  [299, 0],
  [300, 0],
  [301, 1],
  [3_600, 3_300],
])('a canary of %i seconds ago says that KV is at least %i seconds behind here', async (age, lag) => {
  await writeKvProbe(env, NOON);
  const seen = (await readProbe(env.REVOCATIONS, NOON + age * 1_000))?.kv;
  expect(seen).toEqual({ writtenAt: '2026-11-22T12:00:00.000Z', age, lag, orgsWithoutFlag: 0 });
});

it('a run of the cron each minute writes it every five minutes', async () => {
  const written: string[] = [];
  for (let minute = 0; minute <= 10; minute++) {
    await writeKvProbe(env, NOON + minute * 60_000);
    written.push((await readProbe(env.REVOCATIONS, NOON + minute * 60_000))!.kv.writtenAt.slice(14, 16));
  }
  expect(written).toEqual(['00', '00', '00', '00', '00', '05', '05', '05', '05', '05', '10']);
});

it('a clock that is behind makes no negative age', async () => {
  await writeKvProbe(env, NOON);
  expect((await readProbe(env.REVOCATIONS, NOON - 5_000))?.kv).toMatchObject({ age: 0, lag: 0 });
});

it('the cron writes it, and /health tells it to anyone, without a database', async () => {
  await cron();
  const down = { prepare: () => expect.unreachable(), batch: () => expect.unreachable() } as unknown as D1Database;
  const { status, body } = await ask('GET', `${BASE}/health`, { env: { DB: down } });
  expect(status).toBe(200);
  expect(body).toEqual({
    status: 'ok',
    kv: { writtenAt: expect.any(String), age: expect.any(Number), lag: 0, orgsWithoutFlag: 0 },
    databases: { open: 1 },
  });
  expect(Date.now() - Date.parse(body.kv.writtenAt)).toBeLessThan(10_000);
});

it('when KV cannot be read, /health still answers, and says so', async () => {
  const REVOCATIONS = { get: () => Promise.reject(new Error('KV GET failed: 500')) } as unknown as KVNamespace;
  const { status, body } = await ask('GET', `${BASE}/health`, { env: { REVOCATIONS } });
  expect(status).toBe(200);
  expect(body).toEqual({ status: 'ok', kv: { error: 'KV cannot be read' }, databases: null });
});

it('a canary that cannot be written is told to the cron, after the sweep was done', async () => {
  await expect(cron({ ...env, REVOCATIONS: brokenKv })).rejects.toThrow('KV PUT failed: 500');
});
