/** The org's one line, as a real Durable Object: what it publishes, in which order, how often, and what it survives. */
import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { keyWrites, type OrgCoordinator } from '../src/coordinator';
import { TOKENS } from '../src/store/credentials/credentials';
import { pendingPublications } from '../src/store/journal/outbox';
import { type Idp, newIdp } from './support/client';
import {
  brokenKv,
  coordinatorOf,
  evict,
  flagOf,
  NotedKv,
  rebind,
  settled,
  useWholeSecond,
  waiting,
  writtenFlag,
} from './support/coordinator';
import { Meter } from './support/meter';

const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
/** Milliseconds that a test does not wait for, by the clock that the pauses between writes are measured with. */
let skipped = 0;
const now = performance.now.bind(performance);
const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + skipped);
afterAll(() => {
  log.mockRestore();
  clock.mockRestore();
});

let idp: Idp;
let noted: NotedKv;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`line-${++n}`);
  // It has just written the flag of the org, which takes one write a second.
  await evict(idp.orgId);
  noted = new NotedKv();
  await rebind(idp.orgId, { REVOCATIONS: noted.binding });
});

/** Calls made in one turn of the object: what arrives over the wire does so one by one. */
const within = <T>(work: (coordinator: OrgCoordinator) => T | Promise<T>): Promise<T> =>
  runInDurableObject(coordinatorOf(idp.orgId), (instance: OrgCoordinator) => work(instance));

/** Someone inactive in D1, whom KV has not heard of. */
async function someone(userName = 'ada', orgId = idp.orgId): Promise<string> {
  const id = crypto.randomUUID();
  await env.DB.batch([
    env.DB.prepare(
      `INSERT INTO users (org_id, id, user_name_key, active, version, created_at, modified_at, not_before, resource, folded)
        VALUES (?, ?, ?, 0, 1, 1, 1, 1767225600000, '{}', '{}')`,
    ).bind(orgId, id, userName),
    ask(id, orgId),
  ]);
  return id;
}

const ask = (userId: string, orgId = idp.orgId) =>
  env.DB.prepare('INSERT INTO outbox (org_id, user_id, requested_at) VALUES (?, ?, ?)').bind(orgId, userId, Date.now());

/** Milliseconds from now to the alarm. */
const alarmIn = () =>
  runInDurableObject(coordinatorOf(idp.orgId), async (_, state) => {
    const at = await state.storage.getAlarm();
    return at === null ? null : at - Date.now();
  });

describe('publications of one user', () => {
  it('that are asked for at once share a write', async () => {
    const id = await someone();
    const done = await within((coordinator) => Promise.all([coordinator.publish(id), coordinator.publish(id)]));
    expect(done).toEqual([true, true]);
    expect(noted.puts).toHaveLength(1);
    await settled(idp.orgId);
  });

  it('that are asked for while one is written share the next, and it tells what is true by then', async () => {
    useWholeSecond();
    const id = await someone();
    const late: Promise<boolean>[] = [];
    noted.onPut = async () => {
      if (noted.puts.length > 1) return;
      await env.DB.prepare('UPDATE users SET active = 1 WHERE id = ?').bind(id).run();
      await ask(id).run();
      await within((coordinator) => {
        for (let i = 0; i < 10; i++) late.push(coordinator.publish(id));
      });
    };
    expect(await coordinatorOf(idp.orgId).publish(id)).toBe(true);
    // The row that came while the first was written is not settled by it.
    await vi.waitFor(async () => expect(await waiting(idp.orgId)).toBe(1));
    await within(() => Promise.all(late));
    expect(noted.puts.map(({ flag }) => flag.active)).toEqual([false, true]);
    expect(noted.puts[1]!.at - noted.puts[0]!.at).toBeGreaterThanOrEqual(1_000);
    expect(await flagOf(idp.orgId, id)).toEqual(writtenFlag(true, 1_767_225_600_000));
    await settled(idp.orgId);
  });

  it('do not hold up another user’s', async () => {
    const [slow, quick] = [await someone('slow'), await someone('quick')];
    let isHeld = true;
    noted.onPut = async () => {
      while (isHeld && noted.puts.at(-1)!.key.endsWith(slow)) await scheduler.wait(5);
    };
    const held = coordinatorOf(idp.orgId).publish(slow);
    while (noted.puts.length === 0) await scheduler.wait(5);
    expect(await coordinatorOf(idp.orgId).publish(quick)).toBe(true);
    expect(await flagOf(idp.orgId, slow)).toBeNull();
    expect(await flagOf(idp.orgId, quick)).toMatchObject({ active: false });
    isHeld = false;
    expect(await held).toBe(true);
  });

  it('that fail do not block those that follow', async () => {
    const id = await someone();
    await rebind(idp.orgId, { REVOCATIONS: brokenKv });
    expect(await within((c) => Promise.all([c.publish(id), c.publish(id), c.publish(id)]))).toEqual([
      false,
      false,
      false,
    ]);
    await rebind(idp.orgId, { REVOCATIONS: noted.binding });
    expect(await coordinatorOf(idp.orgId).publish(id)).toBe(true);
    expect(noted.puts).toHaveLength(1);
  });

  it('say inactive of someone who is not there: safe, and an org that is gone has nobody', async () => {
    const id = crypto.randomUUID();
    const before = Date.now();
    await ask(id).run();
    await coordinatorOf(idp.orgId).publish(id);
    const flag = (await flagOf(idp.orgId, id))!;
    expect(flag.active).toBe(false);
    expect(flag.notBefore).toBeGreaterThanOrEqual(before);
  });

  it('of one org leave the outbox of another alone', async () => {
    const other = await newIdp(`other-${n}`);
    const id = await someone();
    await ask(id, other.orgId).run();
    await coordinatorOf(idp.orgId).publish(id);
    await settled(idp.orgId);
    expect(await waiting(other.orgId)).toBe(1);
    expect(await flagOf(other.orgId, id)).toBeNull();
  });
});

describe('when KV or D1 fails,', () => {
  it('the alarm tries again, each time later, up to a minute; a success begins anew', async () => {
    const id = await someone();
    await rebind(idp.orgId, { REVOCATIONS: brokenKv });
    expect(await alarmIn()).toBeNull();
    await coordinatorOf(idp.orgId).publish(id);
    for (const delay of [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
      const wait = (await alarmIn())!;
      expect(wait).toBeGreaterThan(delay - 500);
      expect(wait).toBeLessThanOrEqual(delay);
      skipped += wait;
      expect(await runDurableObjectAlarm(coordinatorOf(idp.orgId))).toBe(true);
    }
    await rebind(idp.orgId, { REVOCATIONS: noted.binding });
    await runDurableObjectAlarm(coordinatorOf(idp.orgId));
    expect(await flagOf(idp.orgId, id)).toMatchObject({ active: false });
    expect(await alarmIn()).toBeNull();
    await rebind(idp.orgId, { REVOCATIONS: brokenKv });
    await coordinatorOf(idp.orgId).publish(await someone('bob'));
    expect(await alarmIn()).toBeLessThanOrEqual(2_000);
  });

  it('down for an hour, nothing is given up: the flag is there a minute after it is back', async () => {
    const id = await someone();
    await rebind(idp.orgId, { REVOCATIONS: brokenKv });
    await coordinatorOf(idp.orgId).publish(id);
    let passed = 0;
    while (passed < 3_600_000) {
      const wait = (await alarmIn())!;
      expect(wait).toBeLessThanOrEqual(60_000);
      passed += wait;
      skipped += wait;
      expect(await runDurableObjectAlarm(coordinatorOf(idp.orgId))).toBe(true);
    }
    expect(await waiting(idp.orgId)).toBe(1);
    await rebind(idp.orgId, { REVOCATIONS: noted.binding });
    expect(await runDurableObjectAlarm(coordinatorOf(idp.orgId))).toBe(true);
    expect(await flagOf(idp.orgId, id)).toMatchObject({ active: false });
    await settled(idp.orgId);
  });

  it('a failed write counts as one of the key’s second: the next one waits for it', async () => {
    useWholeSecond();
    const id = await someone();
    const begun: number[] = [];
    const failing = {
      put: () => {
        begun.push(now());
        return Promise.reject(new Error('KV PUT failed: 500'));
      },
    } as unknown as KVNamespace;
    await rebind(idp.orgId, { REVOCATIONS: failing });
    for (let i = 0; i < 3; i++) expect(await coordinatorOf(idp.orgId).publish(id)).toBe(false);
    const pauses = begun.slice(1).map((at, i) => at - begun[i]!);
    expect(pauses).toHaveLength(2);
    for (const pause of pauses) expect(pause).toBeGreaterThanOrEqual(999);
    // Nor does a mass publication in the same second come sooner.
    await rebind(idp.orgId, { REVOCATIONS: noted.binding });
    await coordinatorOf(idp.orgId).publishSoon();
    await settled(idp.orgId);
    expect(now() - begun.at(-1)!).toBeGreaterThanOrEqual(999);
  });

  it('a wall clock that is set back holds up nobody', async () => {
    const id = await someone();
    await coordinatorOf(idp.orgId).publish(id);
    const wall = vi.spyOn(Date, 'now').mockImplementation(() => 1_700_000_000_000);
    try {
      await ask(id).run();
      expect(await coordinatorOf(idp.orgId).publish(id)).toBe(true);
    } finally {
      wall.mockRestore();
    }
    expect(noted.puts).toHaveLength(2);
  });

  it.each<[what: string, put: KVNamespace['put']]>([
    ['refuses a write as one too many (429)', () => Promise.reject(new Error('KV PUT failed: 429 Too Many Requests'))],
    [
      'writes, and whose answer is lost',
      async (...write: Parameters<KVNamespace['put']>) => {
        await env.REVOCATIONS.put(...write);
        throw new Error('KV PUT failed: network connection lost');
      },
    ],
  ])('a KV that %s is written to again until it acknowledges', async (_, put) => {
    const id = await someone();
    await rebind(idp.orgId, { REVOCATIONS: { put } as unknown as KVNamespace });
    expect(await coordinatorOf(idp.orgId).publish(id)).toBe(false);
    expect(await waiting(idp.orgId)).toBe(1);
    expect(await alarmIn()).toBeLessThanOrEqual(2_000);
    await rebind(idp.orgId, { REVOCATIONS: noted.binding });
    await scheduler.wait(keyWrites.interval); // as the alarm would have: KV takes no second write before
    await runDurableObjectAlarm(coordinatorOf(idp.orgId));
    expect(await flagOf(idp.orgId, id)).toMatchObject({ active: false });
    await settled(idp.orgId);
  });

  it('an alarm that is set already is not put off by a further failure', async () => {
    const id = await someone();
    await rebind(idp.orgId, { REVOCATIONS: brokenKv });
    for (let i = 0; i < 5; i++) {
      await coordinatorOf(idp.orgId).publish(id);
      skipped += 1_000;
    }
    expect(await alarmIn()).toBeLessThanOrEqual(2_000);
  });

  it('a publication says so, and its intent stays', async () => {
    const id = await someone();
    const batch = () => Promise.reject(new Error('D1_ERROR: D1 DB is overloaded. Too many requests queued.'));
    await rebind(idp.orgId, {
      DB: { prepare: (text: string) => env.DB.prepare(text), batch } as unknown as D1Database,
    });
    expect(await coordinatorOf(idp.orgId).publish(id)).toBe(false);
    expect(await waiting(idp.orgId)).toBe(1);
    await rebind(idp.orgId, {});
    await runDurableObjectAlarm(coordinatorOf(idp.orgId));
    await settled(idp.orgId);
  });

  it('an alarm that cannot even read what waits comes again', async () => {
    const id = await someone();
    await rebind(idp.orgId, { REVOCATIONS: brokenKv });
    await coordinatorOf(idp.orgId).publish(id);
    const batch = () => Promise.reject(new Error('D1_ERROR: Network connection lost.'));
    await rebind(idp.orgId, {
      DB: { prepare: (text: string) => env.DB.prepare(text), batch } as unknown as D1Database,
    });
    await runInDurableObject(coordinatorOf(idp.orgId), async (instance: OrgCoordinator, state) => {
      await state.storage.deleteAlarm();
      await instance.alarm();
    });
    expect(await alarmIn()).not.toBeNull();
  });
});

describe('what waits survives', () => {
  const fail = async () => {
    const id = await someone();
    await rebind(idp.orgId, { REVOCATIONS: brokenKv });
    expect(await coordinatorOf(idp.orgId).publish(id)).toBe(false);
    return id;
  };

  it('the eviction of the object', async () => {
    const id = await fail();
    await evict(idp.orgId);
    expect(await runDurableObjectAlarm(coordinatorOf(idp.orgId))).toBe(true);
    expect(await flagOf(idp.orgId, id)).toMatchObject({ active: false });
    await settled(idp.orgId);
  });

  it('the end of the object in the middle of it', async () => {
    const id = await fail();
    await abortAllDurableObjects();
    expect(await runDurableObjectAlarm(coordinatorOf(idp.orgId))).toBe(true);
    expect(await flagOf(idp.orgId, id)).toMatchObject({ active: false });
    await settled(idp.orgId);
  });
});

describe('draining', () => {
  /** So many wait, `user-10001` and on; nobody of them is in D1. */
  const fillOutbox = (count: number) =>
    env.DB.prepare(
      `INSERT INTO outbox (org_id, user_id, requested_at)
        WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?2)
        SELECT ?1, 'user-' || (10000 + n), 1 FROM numbers`,
    )
      .bind(idp.orgId, count)
      .run();
  /** Does something of the object's own, while alarms are noted and none rings. @returns after how many seconds they were to. */
  const noting = (work: (coordinator: OrgCoordinator) => Promise<unknown>): Promise<number[]> =>
    runInDurableObject(coordinatorOf(idp.orgId), async (instance: OrgCoordinator, { storage }) => {
      const delays: number[] = [];
      const setAlarm = vi.spyOn(storage, 'setAlarm').mockImplementation(async (at) => {
        delays.push(Math.max(0, Math.round((Number(at) - Date.now()) / 1_000)));
      });
      await work(instance);
      setAlarm.mockRestore();
      return delays;
    });
  const keys = () => noted.puts.map(({ key }) => key);

  it('takes a hundred users, the org itself first, and leaves the rest to the alarm, at once', async () => {
    await fillOutbox(150);
    await ask('').run();
    await scheduler.wait(keyWrites.interval); // the flag of the org was written when it was made
    expect(await noting((coordinator) => coordinator.drain())).toEqual([0]);
    expect(keys()[0]).toBe(`rev:v1:${idp.orgId}`);
    expect(await waiting(idp.orgId)).toBe(51);
    expect(await noting((coordinator) => coordinator.alarm())).toEqual([]);
    await settled(idp.orgId);
    expect(new Set(keys()).size).toBe(151);
  });

  it('takes three hundred in an alarm, for an invocation may do so much, and the next alarm rings at once', async () => {
    await fillOutbox(650);
    const meter = new Meter();
    await rebind(idp.orgId, { DB: meter.binding, REVOCATIONS: noted.binding });
    expect(await noting((coordinator) => coordinator.alarm())).toEqual([0]);
    expect(await waiting(idp.orgId)).toBe(350);
    // Each is read back, too.
    expect(2 * noted.puts.length).toBeLessThanOrEqual(1_000);
    expect(meter.statements.length).toBeLessThanOrEqual(1_000);
    expect(await noting((coordinator) => coordinator.alarm())).toEqual([0]);
    expect(await noting((coordinator) => coordinator.alarm())).toEqual([]);
    await settled(idp.orgId);
    expect(new Set(keys()).size).toBe(650);
  });

  it('works off a backlog without a pause, by itself', async () => {
    await fillOutbox(650);
    await coordinatorOf(idp.orgId).drain();
    await settled(idp.orgId);
    expect(noted.puts).toHaveLength(650);
    expect(Math.max(...noted.puts.slice(1).map(({ at }, i) => at - noted.puts[i]!.at))).toBeLessThan(1_000);
  });

  it('reads no more of a backlog than it takes', async () => {
    await fillOutbox(5_000);
    const meter = new Meter();
    for (const [after, first] of [
      [undefined, 'user-10001'],
      ['user-12000', 'user-12001'],
    ] as const) {
      meter.reset();
      const portion = await pendingPublications(meter.binding, idp.orgId, after, 100);
      expect([portion.length, portion[0]]).toEqual([100, first]);
      expect(meter.rowsRead).toBeLessThanOrEqual(101);
      expect(await meter.plans()).toEqual([
        `SEARCH outbox USING COVERING INDEX outbox_org (org_id=?${after ? ' AND user_id>?' : ''})`,
      ]);
    }
  });

  it('does not hold up who is deactivated meanwhile', async () => {
    const { id } = await idp.user('ada');
    await fillOutbox(300);
    // As on the platform: an object has six connections to KV, and what is more waits for its turn.
    let free = 6;
    let written = 0;
    const turns: (() => void)[] = [];
    noted.onPut = async () => {
      if (free === 0) await new Promise<void>((resolve) => turns.push(resolve));
      else free--;
      await scheduler.wait(10);
      written++;
      const next = turns.shift();
      if (next) next();
      else free++;
    };
    const draining = noting((coordinator) => coordinator.alarm());
    while (written < 12) await scheduler.wait(5);
    const before = written;
    expect((await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: false }])).status).toBe(200);
    expect(await flagOf(idp.orgId, id)).toMatchObject({ active: false });
    expect(written - before).toBeLessThan(50);
    expect(await waiting(idp.orgId)).toBeGreaterThan(200);
    await draining;
  });

  it('passes over whom KV refuses, and comes back to them later', async () => {
    await fillOutbox(250);
    const refused = `rev:v1:${idp.orgId}:user-10007`;
    noted.onPut = () => {
      if (noted.puts.at(-1)!.key === refused) throw new Error('KV PUT failed: 429 Too Many Requests');
    };
    let planned = await noting((coordinator) => coordinator.alarm());
    expect(planned[0]).toBe(2);
    // On a busy machine the time of one alarm is over before all portions are done: the next alarm goes on.
    while (planned.includes(0)) planned = await noting((coordinator) => coordinator.alarm());
    expect(await waiting(idp.orgId)).toBe(1);
    noted.onPut = () => undefined;
    await noting((coordinator) => coordinator.alarm());
    expect(await flagOf(idp.orgId, 'user-10007')).toMatchObject({ active: false });
  });

  it('tries one portion while KV is down, and waits twice as long each time, however many users there are', async () => {
    await fillOutbox(250);
    let tried = 0;
    const put = () => Promise.reject(new Error(`KV PUT failed: 500, ${++tried}`));
    await rebind(idp.orgId, { REVOCATIONS: { put } as unknown as KVNamespace });
    for (const delay of [2, 4, 8]) {
      tried = 0;
      expect(await noting((coordinator) => coordinator.alarm())).toEqual([delay]);
      expect(tried).toBe(100);
    }
  });

  it('publishes a user once, however often it was asked for', async () => {
    const id = await someone();
    for (let i = 0; i < 5; i++) await ask(id).run();
    await coordinatorOf(idp.orgId).drain();
    expect(noted.puts).toHaveLength(1);
    await settled(idp.orgId);
  });

  it('says how many are left', async () => {
    await someone('a');
    await someone('b');
    await rebind(idp.orgId, { REVOCATIONS: brokenKv });
    expect(await coordinatorOf(idp.orgId).drain()).toBe(2);
  });
});

describe('tokens', () => {
  const actor = { name: 'admin:test', requestId: 'r' };

  it('are issued and revoked in the order in which it was asked', async () => {
    const done = await within(async (coordinator) => {
      const revoked = coordinator.revoke(TOKENS, 'ada', actor);
      const [first, second] = [
        coordinator.issue(TOKENS, { by: 'ada' }, actor),
        coordinator.issue(TOKENS, { by: 'bob' }, actor),
      ];
      const again = coordinator.revoke(TOKENS, 'cid', actor);
      return [(await revoked).length, (await first).ok, (await second).ok, (await again).length];
    });
    expect(done).toEqual([1, true, false, 1]);
  });

  it('go on after a turn that failed', async () => {
    const batch = () => Promise.reject(new Error('D1_ERROR: Network connection lost.'));
    await rebind(idp.orgId, {
      DB: { prepare: (text: string) => env.DB.prepare(text), batch } as unknown as D1Database,
    });
    await within((c) => expect(c.revoke(TOKENS, 'ada', actor)).rejects.toThrow('Network connection lost'));
    await rebind(idp.orgId, {});
    expect(await within(async (c) => (await c.revoke(TOKENS, 'ada', actor)).length)).toBe(1);
  });
});
