import { createScheduledController } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { sweep } from '../../src/cron/publications';
import type { Env } from '../../src/env';
import worker from '../../src/index';
import { type Idp, newIdp } from '../support/client';
import { brokenKv, coordinatorOf, flagOf, rebind, settled, waiting } from '../support/coordinator';

const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
afterAll(() => log.mockRestore());

const unreachable = {
  getByName: () => ({ publish: () => Promise.reject(new Error('Durable Object is overloaded')) }),
} as unknown as Env['ORG_COORDINATOR'];

let one: Idp;
let two: Idp;
beforeAll(async () => {
  one = await newIdp('one');
  two = await newIdp('two');
});

/** Someone whose deactivation is committed, and not published since this many milliseconds. */
async function leftBehind(idp: Idp, userName: string, since = 60_000): Promise<string> {
  const { id } = await idp.user(userName);
  await idp.delete(`/Users/${id}`, { env: { ORG_COORDINATOR: unreachable } });
  await env.DB.prepare('UPDATE outbox SET requested_at = requested_at - ? WHERE org_id = ? AND user_id = ?')
    .bind(since, idp.orgId, id)
    .run();
  return id;
}

it('the cron publishes what waits, of every org', async () => {
  const [a, b, c] = [await leftBehind(one, 'a'), await leftBehind(one, 'b'), await leftBehind(two, 'c')];
  expect(await flagOf(one.orgId, a)).toBeNull();
  await worker.scheduled(createScheduledController({ cron: '* * * * *', scheduledTime: new Date() }), env);
  for (const [idp, id] of [
    [one, a],
    [one, b],
    [two, c],
  ] as const) {
    expect(await flagOf(idp.orgId, id)).toMatchObject({ v: 1, active: false });
  }
  await Promise.all([settled(one.orgId), settled(two.orgId)]);
});

it('with nothing left behind it wakes nobody', async () => {
  const nobody = {
    getByName: () => {
      throw new Error('woken');
    },
  } as unknown as Env['ORG_COORDINATOR'];
  await sweep({ DB: env.DB, ORG_COORDINATOR: nobody });
});

it('an org that cannot be reached does not keep the others waiting, and is tried again', async () => {
  const [a, b] = [await leftBehind(one, 'first'), await leftBehind(two, 'second')];
  const half = {
    getByName: (orgId: string) =>
      orgId === one.orgId ? { drain: () => Promise.reject(new Error('gone')) } : coordinatorOf(orgId),
  } as unknown as Env['ORG_COORDINATOR'];
  await expect(sweep({ DB: env.DB, ORG_COORDINATOR: half })).rejects.toThrow('left orgs behind');
  expect(await flagOf(two.orgId, b)).toMatchObject({ active: false });
  expect(await flagOf(one.orgId, a)).toBeNull();
  await sweep(env);
  expect(await flagOf(one.orgId, a)).toMatchObject({ active: false });
});

it('with KV still down nothing is lost, and the next sweep after it publishes', async () => {
  const id = await leftBehind(two, 'still');
  await rebind(two.orgId, { REVOCATIONS: brokenKv });
  await sweep(env);
  expect(await waiting(two.orgId)).toBe(1);
  await rebind(two.orgId, {});
  await sweep(env);
  expect(await flagOf(two.orgId, id)).toMatchObject({ active: false });
  await settled(two.orgId);
});
