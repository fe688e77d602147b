/** Ages are measured by a clock that is never set: neither a dead stream nor what was last known gains by a wall clock set back. */
import { env } from 'cloudflare:workers';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { flagKey, type SessionCheckerOptions, type StateSource, sessionChecker } from '../../src/sessions/client';
import { ageOf, type Clock, clockOf, momentBefore, momentOf, NEVER } from '../../src/sessions/client/clock';
import type { WebSocketLike } from '../../src/sessions/client/connection';
import { openRevocationStream, type RevocationStream } from '../../src/sessions/client/stream';
import type { StreamOptions } from '../../src/sessions/client/stream-options';

const NOW = Date.parse('2026-03-01T12:00:00.000Z');
const HOUR = 3_600_000;
const ORG = 'clockOrg1234';
const session = (user = 'ada', issuedAt = NOW - 2 * HOUR) => ({ org: ORG, user, issuedAt });
const down = () => Promise.reject(new Error('down'));

/** Two clocks that a test moves: as time passes, or one of them alone. */
function clocks() {
  const its = { wall: NOW, steady: 5_000 };
  return {
    its,
    options: { now: () => its.wall, monotonic: () => its.steady },
    pass(milliseconds: number) {
      its.wall += milliseconds;
      its.steady += milliseconds;
    },
  };
}

beforeAll(() => env.REVOCATIONS.put(flagKey(ORG), JSON.stringify({ v: 1, active: true, notBefore: 0 })));

describe('an age', () => {
  const of = (wall: number, steady: number): Clock => ({ now: () => wall, monotonic: () => steady });
  const moment = { asOf: NOW, at: 1_000 };

  it.each<[string, number, number, number]>([
    ['time that has passed', 500, 500, 500],
    ['no time', 0, 0, 0],
    ['a wall clock set back by an hour', -HOUR, 500, 500],
    ['a wall clock set forward by an hour', HOUR, 500, HOUR],
    ['a monotonic clock that stood still while the machine slept', HOUR, 0, HOUR],
    ['a monotonic clock that went back: nothing is known', 500, -1, Number.POSITIVE_INFINITY],
  ])('of %s', (_, wall, steady, age) => {
    expect(ageOf(of(NOW + wall, 1_000 + steady), moment)).toBe(age);
  });

  it('of what never was, and of what claims to be from the future, has no end', () => {
    const clock = of(NOW, 1_000);
    expect(ageOf(clock, NEVER)).toBe(Number.POSITIVE_INFINITY);
    expect(ageOf(clock, momentBefore(clock, NOW + 1, -1))).toBe(Number.POSITIVE_INFINITY);
    expect(ageOf(clock, momentBefore(clock, NOW - 7, 7))).toBe(7);
    expect(ageOf(clock, momentOf(clock))).toBe(0);
  });

  it('is measured by performance.now unless told', () => {
    const wall = vi.spyOn(Date, 'now').mockImplementation(() => 1);
    try {
      const clock = clockOf({});
      expect(Math.abs(clock.monotonic() - performance.now())).toBeLessThan(1_000);
      expect(clock.now()).toBe(1);
    } finally {
      wall.mockRestore();
    }
    expect(clockOf({ now: () => 7 }).monotonic()).toBe(7);
  });
});

describe('last-known', () => {
  const checked = (more: Partial<SessionCheckerOptions> = {}) => {
    const time = clocks();
    let isDown = false;
    const { check } = sessionChecker({
      flags: {
        get: (...args: Parameters<typeof env.REVOCATIONS.get>) => (isDown ? down() : env.REVOCATIONS.get(...args)),
      } as never,
      ...{ mode: 'fast', onUnavailable: 'last-known', lastKnown: { maxAge: 10_000 }, ...time.options, ...more },
    });
    return {
      ...time,
      check,
      fail: (is = true) => {
        isDown = is;
      },
    };
  };

  it('does not outlive its age because the wall clock was set back', async () => {
    const { check, its, pass, fail } = checked();
    expect(await check(session())).toMatchObject({ valid: true, from: 'kv' });
    fail();
    its.wall -= HOUR;
    pass(10_000);
    expect(await check(session())).toMatchObject({ valid: true, from: 'last-known' });
    pass(1);
    expect(await check(session())).toMatchObject({ valid: false, reason: 'unavailable' });
  });

  it('counts a negative age as too old, where the host has but one clock', async () => {
    let wall = NOW;
    const { check, fail } = checked({ now: () => wall, monotonic: undefined as never });
    expect(await check(session())).toMatchObject({ valid: true });
    fail();
    wall = NOW - 1;
    expect(await check(session())).toMatchObject({ valid: false, reason: 'unavailable' });
  });

  it('knows which of two answers is the later one, though the wall clock says the opposite', async () => {
    const { check, its, pass } = checked();
    const user = crypto.randomUUID();
    const flag = (active: boolean) =>
      env.REVOCATIONS.put(flagKey(ORG, user), JSON.stringify({ v: 1, active, notBefore: NOW - 3 * HOUR }));
    await flag(false);
    expect(await check(session(user))).toMatchObject({ reason: 'inactive' });
    its.wall -= HOUR;
    pass(1_000);
    await flag(true);
    expect(await check(session(user))).toMatchObject({ valid: true, reason: 'good' });
  });

  it('takes a source’s answer from the future for one of unknown age', async () => {
    const source: StateSource = {
      from: 'kv',
      read: () => ({ heard: { user: undefined, org: undefined }, asOf: NOW + 1, isStale: true }),
    };
    const { check } = checked({ flags: source });
    expect(await check(session())).toMatchObject({ valid: false, reason: 'unavailable' });
  });
});

describe('a stream', () => {
  let opened: RevocationStream[] = [];
  afterEach(async () => {
    await Promise.all(opened.map((stream) => stream.close()));
    opened = [];
  });

  /** Says all there is to know, and then nothing more: as a connection that died. */
  class DeadSocket implements WebSocketLike {
    addEventListener(type: string, listener: (event: never) => void) {
      const say = (data: object) => listener({ data: JSON.stringify(data) } as never);
      if (type !== 'message') return;
      queueMicrotask(() => {
        say({ type: 'hello', v: 1, org: ORG, seq: 4 });
        say({ type: 'synced', seq: 4 });
      });
    }
    send() {}
    close() {}
  }
  class NoSocket extends DeadSocket {
    override addEventListener() {}
  }

  const open = (more: Partial<StreamOptions>) => {
    const time = clocks();
    const stream = openRevocationStream({
      ...{ url: 'https://scim.test', token: 'x', orgs: [ORG], onUnavailable: 'deny', heartbeat: 20_000 },
      ...{ maxSilence: 60_000, WebSocket: DeadSocket, ...time.options, ...more },
    });
    opened.push(stream);
    return { ...time, stream, check: (issuedAt?: number) => stream.check(session('ada', issuedAt)) };
  };

  it('that is dead is out of touch after its maxSilence, though the wall clock was set back by an hour', async () => {
    const { stream, its, pass, check } = open({});
    await vi.waitFor(() => expect(stream.isSynced(ORG)).toBe(true));
    its.wall -= HOUR;
    pass(60_000);
    expect(await check()).toMatchObject({ valid: true, from: 'stream' });
    expect(stream.silence(ORG)).toBe(60_000);
    pass(1);
    expect(await check()).toMatchObject({ valid: false, reason: 'unavailable' });
    its.wall += HOUR;
    expect(await check()).toMatchObject({ valid: false, reason: 'unavailable' });
  });

  it('that a machine slept through is out of touch when it wakes, though its monotonic clock stood still', async () => {
    const { stream, its, check } = open({});
    await vi.waitFor(() => expect(stream.isSynced(ORG)).toBe(true));
    its.wall += 60_001;
    expect(await check()).toMatchObject({ valid: false, reason: 'unavailable' });
  });

  it('that is in touch stays so, whatever is done to the wall clock', async () => {
    const { stream, its, check } = open({});
    await vi.waitFor(() => expect(stream.isSynced(ORG)).toBe(true));
    for (const jump of [-1, -1_000, -HOUR]) {
      its.wall += jump;
      expect(await check()).toMatchObject({ valid: true, from: 'stream' });
    }
  });

  it.each<[string, number, boolean, number]>([
    ['that is young counts until it is too old', -10_000, true, 10_000],
    ['that is older than maxSilence is out of touch', -60_001, false, 60_001],
    ['from the future is out of touch: a clock was set back, and how old it is nobody knows', 1, false, Infinity],
  ])('begun with a snapshot %s', async (_, age, valid, silence) => {
    const kept = { v: 1, org: ORG, seq: 4, asOf: NOW + age, states: [] } as const;
    const { stream, check } = open({ after: { [ORG]: kept }, WebSocket: NoSocket, onUnavailable: 'last-known' });
    expect(stream.silence(ORG)).toBe(silence);
    const verdict = await check();
    expect(verdict.from === 'stream').toBe(valid);
    // Only what can be told to be young is last known.
    expect(verdict.valid).toBe(age <= 0);
    // It is kept as it came, for the next time.
    expect(stream.snapshot(ORG)).toEqual(kept);
  });
});
