/** Messages to the coordinator arrive late, twice, in any order or not at all, and the object ends at any moment. */
import { abortAllDurableObjects, runDurableObjectAlarm } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { keyWrites } from '../../src/coordinator';
import { sweep } from '../../src/cron/publications';
import type { Env } from '../../src/env';
import { WrittenStates } from '../../src/sessions/written-states';
import type { Publication } from '../../src/store/journal/outbox';
import { type Idp, newIdp } from '../support/client';
import {
  coordinatorOf,
  evict,
  flagOf,
  NotedKv,
  rebind,
  settled,
  userRow,
  waiting,
  writtenFlag,
} from '../support/coordinator';

const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
afterAll(() => log.mockRestore());

let idp: Idp;
let id: string;
let noted: NotedKv;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`order-${++n}`);
  ({ id } = await idp.user('ada@x.example'));
  noted = new NotedKv();
  await rebind(idp.orgId, { REVOCATIONS: noted.binding });
});

type Message = string | Publication;
const deliver = (message: Message) => coordinatorOf(idp.orgId).publish(message);
const flags = () => noted.puts.map(({ flag }) => flag.active);

/** Switches the user off and on by turns. @returns the messages to the coordinator, none of which has arrived. */
async function switched(times: number, first = false): Promise<Message[]> {
  const messages: Message[] = [];
  const ORG_COORDINATOR = {
    getByName: () => ({ publish: async (message: Message) => void messages.push(message) }),
  } as unknown as Env['ORG_COORDINATOR'];
  for (let i = 0; i < times; i++) {
    const operations = [{ op: 'replace', path: 'active', value: (i % 2 === 0) === first }];
    expect((await idp.patch(`/Users/${id}`, operations, { env: { ORG_COORDINATOR } })).status).toBe(200);
  }
  expect(messages).toHaveLength(times);
  return messages;
}

/** The object ends without notice, and comes back with nothing but what it has stored. */
async function end(kv: KVNamespace = noted.binding): Promise<void> {
  await abortAllDurableObjects();
  await rebind(idp.orgId, { REVOCATIONS: kv });
  await scheduler.wait(keyWrites.interval); // KV takes no second write of a key before
}

const permutations = <T>(list: readonly T[]): T[][] =>
  list.length < 2
    ? [[...list]]
    : list.flatMap((first, i) =>
        permutations([...list.slice(0, i), ...list.slice(i + 1)]).map((rest) => [first, ...rest]),
      );

describe('messages in another order', () => {
  it.each(permutations([0, 1, 2]))('%i, %i, %i: no older state follows a newer one', async (...order) => {
    const messages = await switched(3);
    for (const i of order) {
      expect(await deliver(messages[i]!)).toBe(true);
    }
    const { not_before: notBefore } = await userRow(idp.orgId, id);
    expect(await flagOf(idp.orgId, id)).toEqual(writtenFlag(false, notBefore));
    const written = noted.puts.map(({ flag }) => flag);
    // The first two states have other instants or another word: once the last is there, nothing else comes.
    const first = written.findIndex((flag) => flag.active === false && flag.notBefore === notBefore);
    expect(written.slice(first).every((flag) => !flag.active && flag.notBefore === notBefore)).toBe(true);
    await settled(idp.orgId);
  });

  it('at once: the newest is written, and all of them are confirmed', async () => {
    const messages = await switched(4);
    expect(await Promise.all(messages.reverse().map(deliver))).toEqual([true, true, true, true]);
    expect(flags().at(-1)).toBe(true);
    expect(noted.puts.length).toBeLessThanOrEqual(2);
    await settled(idp.orgId);
  });

  it('a message that comes again writes nothing', async () => {
    const [off] = await switched(1);
    expect(await deliver(off!)).toBe(true);
    expect(await deliver(off!)).toBe(true);
    await settled(idp.orgId);
    expect(await deliver(off!)).toBe(true);
    expect(flags()).toEqual([false]);
  });

  it('a deactivation that is repeated while its row is not settled yet writes nothing', async () => {
    const off = [{ op: 'replace', path: 'active', value: false }];
    await idp.patch(`/Users/${id}`, off);
    expect(await waiting(idp.orgId)).toBe(1);
    const begun = performance.now();
    expect((await idp.patch(`/Users/${id}`, off)).status).toBe(200);
    expect(performance.now() - begun).toBeLessThan(900);
    expect(flags()).toEqual([false]);
  });

  it('a message that was overtaken by the sweep changes nothing', async () => {
    const [off, on] = await switched(2);
    await sweep(env);
    expect(flags()).toEqual([true]);
    expect(await deliver(off!)).toBe(true);
    expect(await deliver(on!)).toBe(true);
    expect(new Set(flags())).toEqual(new Set([true]));
    expect(await flagOf(idp.orgId, id)).toMatchObject({ active: true });
  });

  it('a write whose answer is lost may have arrived: an older message does not follow it', async () => {
    const [off, on] = await switched(2);
    const put = async (...write: Parameters<KVNamespace['put']>) => {
      await noted.binding.put(...write);
      throw new Error('KV PUT failed: network connection lost');
    };
    await rebind(idp.orgId, { REVOCATIONS: { put } as unknown as KVNamespace });
    expect(await deliver(on!)).toBe(false);
    await rebind(idp.orgId, { REVOCATIONS: noted.binding });
    await scheduler.wait(keyWrites.interval);
    expect(await deliver(off!)).toBe(true);
    expect(flags()).toEqual([true, true]);
    await settled(idp.orgId);
  });

  it('numbers that have fallen back, as in a database that was restored, cost a read and lose nothing', async () => {
    const [off] = await switched(1);
    await deliver(off!);
    await settled(idp.orgId);
    await env.DB.prepare('UPDATE users SET active = 1 WHERE org_id = ? AND id = ?').bind(idp.orgId, id).run();
    expect(await deliver({ ...(off as Publication), isActive: true, through: 1 })).toBe(true);
    expect(await flagOf(idp.orgId, id)).toMatchObject({ active: true });
  });
});

describe('when the object ends', () => {
  it.each(['before', 'after'])('%s the rows are settled, a late message brings no older state back', async (when) => {
    const [off, on] = await switched(2);
    expect(await deliver(on!)).toBe(true);
    if (when === 'after') await settled(idp.orgId);
    await end();
    expect(await deliver(off!)).toBe(true);
    expect(new Set(flags())).toEqual(new Set([true]));
    expect(await flagOf(idp.orgId, id)).toMatchObject({ active: true });
    await settled(idp.orgId);
  });

  it('between the write and the batch that settles it, the row stays and the sweep removes it', async () => {
    const [off] = await switched(1);
    expect(await deliver(off!)).toBe(true);
    await end();
    expect(await waiting(idp.orgId)).toBe(1);
    await sweep(env);
    await settled(idp.orgId);
    expect(await flagOf(idp.orgId, id)).toMatchObject({ active: false });
  });

  it('before KV has answered, the row stays and the sweep publishes it', async () => {
    const [off] = await switched(1);
    let isReached = false;
    const put = () => {
      isReached = true;
      return new Promise(() => undefined);
    };
    await rebind(idp.orgId, { REVOCATIONS: { put } as unknown as KVNamespace });
    const lost = deliver(off!).catch(() => 'lost');
    while (!isReached) await scheduler.wait(1);
    await end();
    expect(await lost).toBe('lost');
    expect([await waiting(idp.orgId), await flagOf(idp.orgId, id)]).toEqual([1, null]);
    await sweep(env);
    expect(await flagOf(idp.orgId, id)).toMatchObject({ active: false });
    await settled(idp.orgId);
  });

  it('and D1 cannot settle, the alarm does it, without a second write', async () => {
    const [off] = await switched(1);
    const batch = () => Promise.reject(new Error('D1_ERROR: Network connection lost.'));
    const DB = { prepare: (text: string) => env.DB.prepare(text), batch } as unknown as D1Database;
    await rebind(idp.orgId, { DB, REVOCATIONS: noted.binding });
    expect(await deliver(off!)).toBe(true);
    await vi.waitFor(() => expect(log.mock.calls.flat().join()).toContain('could not be settled yet'));
    await rebind(idp.orgId, { REVOCATIONS: noted.binding });
    expect(await runDurableObjectAlarm(coordinatorOf(idp.orgId))).toBe(true);
    await settled(idp.orgId);
    expect(flags()).toEqual([false]);
  });

  it('an evicted object that is told of a new change still asks D1 nothing', async () => {
    const [off] = await switched(1);
    await deliver(off!);
    await settled(idp.orgId);
    await evict(idp.orgId);
    const batch = () => Promise.reject(new Error('D1_ERROR: Network connection lost.'));
    const DB = { prepare: (text: string) => env.DB.prepare(text), batch } as unknown as D1Database;
    await rebind(idp.orgId, { DB, REVOCATIONS: noted.binding });
    await scheduler.wait(keyWrites.interval);
    const [on] = await switched(1, true);
    expect(await deliver(on!)).toBe(true);
    expect(flags()).toEqual([false, true]);
  });
});

describe('what the object remembers', () => {
  const storage = () => {
    const stored = new Map<string, unknown>();
    return {
      get: <T>(key: string) => stored.get(key) as T | undefined,
      put: (key: string, value: unknown) => void stored.set(key, value),
    };
  };
  const state = (userId: string, through: number): Publication => ({
    ...{ userId, isActive: false, notBefore: 1, isGone: false },
    through,
  });

  it('is bounded: of somebody forgotten, a message that may be late is looked up in D1', () => {
    const written = new WrittenStates(storage());
    for (let i = 1; i <= 1_500; i++) written.begin(`user-${i}`, i);
    expect(written.isNews(state('user-1', 2))).toBe(false);
    expect(written.isNews(state('user-1', 500))).toBe(false);
    expect(written.isNews(state('user-1', 1_501))).toBe(true);
    expect(written.isNews(state('user-1500', 1_501))).toBe(true);
    expect(written.isNews(state('new', 501))).toBe(true);
  });

  it('before it has written anything asks D1, for an older version may have written', () => {
    expect(new WrittenStates(storage()).isNews(state('ada', 1_000))).toBe(false);
  });

  it('begins again where it was, whatever failed', () => {
    const kept = storage();
    new WrittenStates(kept).begin('ada', 7);
    const again = new WrittenStates(kept);
    expect([again.isNews(state('eve', 7)), again.isNews(state('eve', 8))]).toEqual([false, true]);
  });
});
