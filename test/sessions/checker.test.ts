/** The checker that hosts import, each mode against real local KV and against sources that fail in every way. */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import {
  type CheckedVerdict,
  checkSession,
  type FlagReader,
  flagKey,
  httpSource,
  type Mode,
  type OnUnavailable,
  type Session,
  type SessionCheckerOptions,
  type StateSource,
  type StrictSource,
  sessionChecker,
} from '../../src/sessions/client';
import * as express from '../../src/sessions/client/express';
import * as fastify from '../../src/sessions/client/fastify';
import * as hono from '../../src/sessions/client/hono';
import { openRevocationStream } from '../../src/sessions/client/stream';

const NOW = Date.parse('2026-03-01T12:00:00.000Z');
const ORG = 'checkedOrg12';
const MINUTE = 60_000;

let users = 0;
/** Each test has users of its own, in one org. */
const newUser = () => `user-${++users}`;
const sessionOf = (user: string, issuedAt: number | string | Date = NOW - MINUTE, org = ORG): Session => ({
  ...{ org, user, issuedAt },
});
const publish = (user: string | undefined, active: boolean, notBefore: number, org = ORG) =>
  env.REVOCATIONS.put(flagKey(org, user), JSON.stringify({ v: 1, active, notBefore }));

/** The service keeps a flag for each org. */
beforeAll(async () => {
  for (const org of [ORG, 'signedOutOrg', 'orgThatFalls']) await publish(undefined, true, 0, org);
});

/** KV that is real, until it is told to fail. */
class Kv implements FlagReader {
  asked = 0;
  answer: 'real' | (() => unknown) = 'real';
  get(...args: Parameters<FlagReader['get']>) {
    this.asked++;
    return this.answer === 'real' ? env.REVOCATIONS.get(...args) : (this.answer() as ReturnType<FlagReader['get']>);
  }
}

/** The strict source, as far as the checker can see it. */
class Strict implements StrictSource {
  readonly asked: unknown[] = [];
  answer: () => unknown = () => ({ valid: true, reason: 'good', notBefore: null });
  check(session: { org: string; user: string; issuedAt: number }) {
    this.asked.push(session);
    return this.answer() as ReturnType<StrictSource['check']>;
  }
}

const never = () => new Promise<never>(() => undefined);
const down = () => Promise.reject(new Error('down'));

function setUp(options: Partial<SessionCheckerOptions<Request>> = {}) {
  const kv = new Kv();
  const strict = new Strict();
  const clock = { now: NOW };
  const errors: string[] = [];
  const checker = sessionChecker<Request>({
    ...{ flags: kv, strict, mode: 'fast', onUnavailable: 'deny', timeout: 30, now: () => clock.now },
    onError: (error, from) => errors.push(`${from}: ${(error as Error).message}`),
    ...options,
  });
  return { kv, strict, clock, errors, check: checker.check, mayAct: checker.mayAct };
}

describe('fast', () => {
  it('asks KV once for both flags, and the service never', async () => {
    const { check, kv, strict } = setUp();
    const user = newUser();
    expect(await check(sessionOf(user))).toEqual({ valid: true, reason: 'good', from: 'kv', asOf: NOW });
    await publish(user, false, NOW - 1_000);
    expect(await check(sessionOf(user))).toEqual({ valid: false, reason: 'inactive', from: 'kv', asOf: NOW });
    await publish(user, true, NOW - 1_000);
    expect(await check(sessionOf(user))).toMatchObject({ valid: false, reason: 'revoked' });
    expect(await check(sessionOf(user, NOW - 1_000))).toMatchObject({ valid: false, reason: 'revoked' });
    expect(await check(sessionOf(user, NOW - 999))).toMatchObject({ valid: true, reason: 'good' });
    expect([kv.asked, strict.asked.length]).toEqual([5, 0]);
  });

  it('knows the whole org, also of people who have no flag', async () => {
    const { check } = setUp();
    await publish(undefined, true, NOW - 1_000, 'signedOutOrg');
    expect(await check(sessionOf(newUser(), NOW - MINUTE, 'signedOutOrg'))).toMatchObject({ reason: 'revoked' });
    await publish(undefined, false, NOW - 1_000, 'signedOutOrg');
    expect(await check(sessionOf(newUser(), NOW, 'signedOutOrg'))).toMatchObject({ reason: 'inactive' });
  });

  it('refuses on a flag that it cannot read, whatever holds in an outage', async () => {
    for (const onUnavailable of ['deny', 'allow', 'last-known'] as const) {
      const { check } = setUp({ onUnavailable });
      const user = newUser();
      await check(sessionOf(user));
      await env.REVOCATIONS.put(flagKey(ORG, user), '{"v":2,"state":"?"}');
      expect(await check(sessionOf(user))).toMatchObject({ valid: false, reason: 'unreadable', from: 'kv' });
    }
  });
});

describe('what outlives sessions', () => {
  it('may be used while its user is active, whatever was signed out, and however old it is', async () => {
    const { mayAct, kv, strict } = setUp();
    const user = newUser();
    const whom = { org: ORG, user };
    expect(await mayAct(whom)).toEqual({ valid: true, reason: 'good', from: 'kv', asOf: NOW });
    await publish(user, true, NOW + MINUTE);
    expect(await mayAct(whom)).toMatchObject({ valid: true, reason: 'good' });
    await publish(user, false, NOW + MINUTE);
    expect(await mayAct(whom)).toMatchObject({ valid: false, reason: 'inactive' });
    await publish(user, true, NOW + MINUTE);
    expect(await mayAct(whom)).toMatchObject({ valid: true, reason: 'good' });
    expect(await mayAct({ org: 'noOrgHere123', user })).toMatchObject({ valid: false, reason: 'unknown' });
    expect([kv.asked, strict.asked.length]).toEqual([5, 0]);
  });

  it('takes a revoked session in the strict answer for an active user, and ends no session by asking', async () => {
    const { mayAct, check, strict } = setUp({ mode: 'strict' });
    const whom = { org: ORG, user: newUser() };
    strict.answer = () => ({ valid: false, reason: 'revoked' });
    expect(await mayAct(whom)).toEqual({ valid: true, reason: 'good', from: 'strict', asOf: NOW });
    expect(strict.asked.at(-1)).toEqual({ ...whom, issuedAt: NOW });
    strict.answer = () => ({ valid: true, reason: 'good', notBefore: null });
    expect(await check(sessionOf(whom.user))).toMatchObject({ valid: true });
    for (const reason of ['inactive', 'unknown', 'held']) {
      strict.answer = () => ({ valid: false, reason });
      expect((await mayAct(whom)).valid, reason).toBe(false);
    }
  });

  it.each<[OnUnavailable, known: boolean, stranger: boolean]>([
    ['deny', false, false],
    ['allow', true, true],
    ['last-known', true, false],
  ])(
    'when no source answers, %s decides; who was heard to be inactive stays out',
    async (onUnavailable, known, stranger) => {
      const { mayAct, kv, strict } = setUp({ onUnavailable, mode: 'auto' });
      const [good, out] = [newUser(), newUser()];
      await publish(out, false, NOW);
      for (const user of [good, out]) await mayAct({ org: ORG, user });
      kv.answer = down;
      strict.answer = down;
      expect((await mayAct({ org: ORG, user: good })).valid).toBe(known);
      expect((await mayAct({ org: ORG, user: newUser() })).valid).toBe(stranger);
      expect(await mayAct({ org: ORG, user: out })).toMatchObject({
        valid: false,
        reason: 'inactive',
        from: 'last-known',
      });
    },
  );

  it('asks the service where the request is sensitive, and says that an approval of KV alone is none', async () => {
    const { mayAct, strict } = setUp({ mode: 'auto' });
    const whom = { org: ORG, user: newUser() };
    strict.answer = () => ({ valid: false, reason: 'inactive', notBefore: NOW });
    expect(await mayAct(whom)).toMatchObject({ valid: true, from: 'kv' });
    expect(await mayAct(whom, { isSensitive: true })).toMatchObject({ valid: false, from: 'strict' });
    await expect(mayAct({ org: 'a slug', user: 'x' })).rejects.toThrow('org: an id was expected');
    await expect(mayAct({ org: 'acme', user: 'x' })).rejects.toThrow("org: the org's id was expected");
  });
});

describe('strict', () => {
  it('asks the service alone', async () => {
    const { check, kv, strict } = setUp({ mode: 'strict' });
    const user = newUser();
    await publish(user, false, NOW);
    expect(await check(sessionOf(user, new Date(NOW - 5).toISOString()))).toEqual({
      ...{ valid: true, reason: 'good', from: 'strict', asOf: NOW },
    });
    expect(strict.asked).toEqual([{ org: ORG, user, issuedAt: NOW - 5 }]);
    expect(kv.asked).toBe(0);
    for (const reason of ['inactive', 'revoked', 'unknown']) {
      strict.answer = () => ({ valid: false, reason, notBefore: null });
      expect(await check(sessionOf(newUser()))).toMatchObject({ valid: false, reason, from: 'strict' });
    }
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['text', 'good'],
    ['an empty object', {}],
    ['text for valid', { valid: 'true', reason: 'good' }],
    ['no reason', { valid: true }],
    ['good and not valid', { valid: false, reason: 'good' }],
    ['valid and revoked', { valid: true, reason: 'revoked' }],
    ['a notBefore that is no instant', { valid: true, reason: 'good', notBefore: 'soon' }],
    ['a notBefore that is an object', { valid: true, reason: 'good', notBefore: {} }],
  ])('takes a malformed answer for none: %s', async (_, answer) => {
    const { check, strict, errors } = setUp({ mode: 'strict', onUnavailable: 'allow' });
    strict.answer = () => answer;
    expect(await check(sessionOf(newUser()))).toEqual({
      ...{ valid: true, reason: 'unavailable', from: 'policy', asOf: null },
    });
    expect(errors).toEqual(['strict: the strict check answered in another shape than { valid, reason, validAfter }']);
  });

  it('takes a refusal for a reason that it does not know for a refusal', async () => {
    const { check, strict } = setUp({ mode: 'strict', onUnavailable: 'allow' });
    strict.answer = () => ({ valid: false, reason: 'quarantined' });
    expect(await check(sessionOf(newUser()))).toMatchObject({ valid: false, reason: 'unreadable', from: 'strict' });
  });
});

describe('auto', () => {
  it('asks the service for what the host marks sensitive, else KV alone', async () => {
    const isSensitive = ({ method }: Request) => method !== 'GET';
    const { check, kv, strict } = setUp({ mode: 'auto', isSensitive });
    const session = sessionOf(newUser());
    const get = new Request('https://host.example/');
    const post = new Request('https://host.example/', { method: 'POST' });
    const from = async (...args: Parameters<typeof check>) => (await check(...args)).from;
    expect(await from(session, { request: get })).toBe('kv');
    expect(await from(session, { request: post })).toBe('strict');
    expect(await from(session)).toBe('kv');
    expect(await from(session, { isSensitive: true })).toBe('strict');
    expect(await from(session, { isSensitive: false, request: post })).toBe('kv');
    expect(await from(session, { mode: 'strict' })).toBe('strict');
    expect(await from(session, { mode: 'fast', isSensitive: true })).toBe('kv');
    expect([kv.asked, strict.asked.length]).toEqual([6, 3]);
  });

  it('does not ask the service about a session that KV knows to be older than a not-before', async () => {
    const { check, strict } = setUp({ mode: 'auto' });
    for (const active of [true, false]) {
      const user = newUser();
      await publish(user, active, NOW - 1_000);
      expect(await check(sessionOf(user), { isSensitive: true })).toMatchObject({ valid: false, from: 'kv' });
    }
    expect(strict.asked).toEqual([]);
  });

  it('asks it about one that began after that, for KV may not have heard of the reactivation', async () => {
    const { check, strict } = setUp({ mode: 'auto' });
    const user = newUser();
    await publish(user, false, NOW - 1_000);
    strict.answer = () => ({ valid: true, reason: 'good', notBefore: new Date(NOW - 1_000).toISOString() });
    const young = sessionOf(user, NOW - 500);
    expect(await check(young, { isSensitive: true })).toMatchObject({ valid: true, from: 'strict' });
    strict.answer = down;
    expect(await check(young, { isSensitive: true })).toMatchObject({ valid: false, reason: 'inactive', from: 'kv' });
  });

  it('asks the service about anything when KV does not answer, or cannot be read', async () => {
    const { check, kv, strict, errors } = setUp({ mode: 'auto' });
    const user = newUser();
    kv.answer = down;
    expect(await check(sessionOf(user))).toMatchObject({ valid: true, from: 'strict' });
    expect(errors).toEqual(['kv: down']);
    kv.answer = 'real';
    await env.REVOCATIONS.put(flagKey(ORG, user), '{"v":9}');
    expect(await check(sessionOf(user), { isSensitive: true })).toMatchObject({ valid: true, from: 'strict' });
    strict.answer = down;
    expect(await check(sessionOf(user), { isSensitive: true })).toMatchObject({ reason: 'unreadable', from: 'kv' });
  });

  it('without the service, a sensitive request that KV approves of is what onUnavailable says', async () => {
    const verdicts = new Map<OnUnavailable, CheckedVerdict>();
    for (const onUnavailable of ['deny', 'allow', 'last-known'] as const) {
      const { check, strict } = setUp({ mode: 'auto', onUnavailable });
      strict.answer = down;
      verdicts.set(onUnavailable, await check(sessionOf(newUser()), { isSensitive: true }));
    }
    expect(Object.fromEntries(verdicts)).toEqual({
      deny: { valid: false, reason: 'unavailable', from: 'policy', asOf: null },
      allow: { valid: true, reason: 'unavailable', from: 'policy', asOf: null },
      // What KV has just said is what was last heard.
      'last-known': { valid: true, reason: 'good', from: 'last-known', asOf: NOW },
    });
  });
});

describe('with no answer', () => {
  const failures: [string, (sources: { kv: Kv; strict: Strict }) => void, RegExp][] = [
    [
      'down',
      ({ kv, strict }) => {
        kv.answer = strict.answer = down;
      },
      /down$/,
    ],
    [
      'down before it is a promise',
      ({ kv, strict }) => {
        kv.answer = strict.answer = () => {
          throw new Error('down at once');
        };
      },
      /down at once$/,
    ],
    [
      'too slow',
      ({ kv, strict }) => {
        kv.answer = strict.answer = never;
      },
      /no answer within 30 ms$/,
    ],
    [
      'malformed',
      ({ kv, strict }) => {
        kv.answer = () => Promise.resolve({});
        strict.answer = () => Promise.resolve({});
      },
      /found\.get is not a function|another shape/,
    ],
    [
      'incomplete',
      ({ kv, strict }) => {
        kv.answer = () => Promise.resolve(new Map());
        strict.answer = () => Promise.resolve({ valid: true });
      },
      /for each key|another shape/,
    ],
  ];
  const modes: Mode[] = ['fast', 'strict', 'auto'];
  const cases = failures.flatMap(([name, fail, error]) => modes.map((mode) => ({ name, mode, fail, error })));

  it.each(cases)('$name, $mode: deny lets nobody in', async ({ mode, fail, error }) => {
    const { errors, check, ...sources } = setUp({ mode });
    const user = newUser();
    expect(await check(sessionOf(user))).toMatchObject({ valid: true });
    fail(sources);
    expect(await check(sessionOf(user))).toEqual({ valid: false, reason: 'unavailable', from: 'policy', asOf: null });
    expect(errors).toHaveLength(mode === 'auto' ? 2 : 1);
    for (const said of errors) expect(said).toMatch(error);
  });

  it.each(cases)('$name, $mode: allow lets everybody in but who was last heard to be out', async ({ mode, fail }) => {
    const { check, ...sources } = setUp({ mode, onUnavailable: 'allow' });
    const [stranger, out] = [newUser(), newUser()];
    await publish(out, false, NOW - 1_000);
    sources.strict.answer = () => ({ valid: false, reason: 'inactive', notBefore: NOW - 1_000 });
    await check(sessionOf(out));
    fail(sources);
    expect(await check(sessionOf(stranger))).toMatchObject({ valid: true, reason: 'unavailable', from: 'policy' });
    expect(await check(sessionOf(out))).toMatchObject({ valid: false, reason: 'inactive', from: 'last-known' });
  });

  it.each(cases)(
    '$name, $mode: last-known goes by what was heard, as long as that is young',
    async ({ mode, fail }) => {
      const { check, clock, ...sources } = setUp({
        ...{ mode, onUnavailable: 'last-known', lastKnown: { maxAge: 10_000 } },
      });
      const [good, out, signedOut, stranger] = [newUser(), newUser(), newUser(), newUser()];
      await publish(out, false, NOW - 1_000);
      await publish(signedOut, true, NOW - 1_000);
      await check(sessionOf(good));
      sources.strict.answer = () => ({ valid: false, reason: 'inactive', notBefore: NOW - 1_000 });
      await check(sessionOf(out));
      sources.strict.answer = () => ({ valid: false, reason: 'revoked', notBefore: NOW - 1_000 });
      await check(sessionOf(signedOut));
      fail(sources);
      clock.now = NOW + 10_000;
      expect(await check(sessionOf(good))).toEqual({ valid: true, reason: 'good', from: 'last-known', asOf: NOW });
      // The same person with a session of after the sign-out was last heard to be fine.
      expect(await check(sessionOf(signedOut, NOW))).toMatchObject({ valid: true, from: 'last-known' });
      expect(await check(sessionOf(stranger))).toMatchObject({ valid: false, reason: 'unavailable', from: 'policy' });
      clock.now = NOW + 10_001;
      expect(await check(sessionOf(good))).toMatchObject({ valid: false, reason: 'unavailable', from: 'policy' });
      clock.now = NOW + 86_400_000;
      expect(await check(sessionOf(out))).toEqual({ valid: false, reason: 'inactive', from: 'last-known', asOf: NOW });
      expect(await check(sessionOf(signedOut))).toMatchObject({ valid: false, reason: 'revoked', from: 'last-known' });
    },
  );

  it('what was heard of the org counts for everybody in it', async () => {
    const { check, kv } = setUp({ onUnavailable: 'last-known' });
    const [ada, grace] = [newUser(), newUser()];
    const of = (user: string) => sessionOf(user, NOW - MINUTE, 'orgThatFalls');
    expect(await check(of(ada))).toMatchObject({ valid: true });
    await publish(undefined, false, NOW, 'orgThatFalls');
    expect(await check(of(grace))).toMatchObject({ valid: false });
    kv.answer = down;
    expect(await check(of(ada))).toMatchObject({ valid: false, reason: 'inactive', from: 'last-known' });
  });

  it('what is remembered is bounded, and who is forgotten is not let in', async () => {
    const { check, kv } = setUp({ onUnavailable: 'last-known', lastKnown: { limit: 3 } });
    const [first, second, third] = [newUser(), newUser(), newUser()];
    await check(sessionOf(first));
    await check(sessionOf(second));
    await check(sessionOf(first));
    await check(sessionOf(third));
    kv.answer = down;
    const valid = await Promise.all([first, second, third].map(async (user) => (await check(sessionOf(user))).valid));
    expect(valid).toEqual([true, false, true]);
  });

  it('a source that comes back is asked again', async () => {
    const { check, kv } = setUp();
    const user = newUser();
    kv.answer = down;
    expect(await check(sessionOf(user))).toMatchObject({ valid: false });
    kv.answer = 'real';
    expect(await check(sessionOf(user))).toMatchObject({ valid: true, from: 'kv' });
  });
});

describe('no answer takes back what is known:', () => {
  it('a cache that still has the state of before revives no session', async () => {
    const { check, clock, kv, errors } = setUp();
    const user = newUser();
    await publish(user, false, NOW - 1_000);
    expect(await check(sessionOf(user))).toMatchObject({ reason: 'inactive' });
    for (const old of [null, JSON.stringify({ v: 1, active: true, notBefore: NOW - MINUTE - 5 })]) {
      kv.answer = async () =>
        new Map([
          [flagKey(ORG, user), old],
          [flagKey(ORG), '{"v":1,"active":true,"notBefore":0}'],
        ]);
      clock.now += 1_000;
      expect(await check(sessionOf(user))).toMatchObject({ valid: false, reason: 'inactive', from: 'kv' });
      // Nor does it let in anew, before a reactivation is heard of.
      expect(await check(sessionOf(user, NOW))).toMatchObject({ valid: false, reason: 'inactive' });
    }
    kv.answer = 'real';
    await publish(user, true, NOW - 1_000);
    expect(await check(sessionOf(user))).toMatchObject({ valid: false, reason: 'revoked' });
    expect(await check(sessionOf(user, NOW))).toMatchObject({ valid: true });
    expect(errors).toEqual([]);
  });

  it('nor does a strict answer that was overtaken', async () => {
    const { check, strict, clock } = setUp({ mode: 'auto' });
    const user = newUser();
    let arrive: (answer: unknown) => void = () => undefined;
    strict.answer = () => new Promise((resolve) => (arrive = resolve));
    const slow = check(sessionOf(user), { isSensitive: true });
    while (strict.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    clock.now += 10;
    await publish(user, true, NOW + 5);
    expect(await check(sessionOf(user))).toMatchObject({ valid: false, reason: 'revoked', from: 'kv' });
    arrive({ valid: true, reason: 'good', notBefore: null });
    expect(await slow).toMatchObject({ valid: false, reason: 'revoked' });
  });

  it('a strict refusal holds however little it says', async () => {
    const { check, strict } = setUp({ mode: 'auto', onUnavailable: 'allow' });
    const user = newUser();
    await publish(user, true, NOW - 1_000);
    expect(await check(sessionOf(user, NOW - 500))).toMatchObject({ valid: true });
    strict.answer = () => ({ valid: false, reason: 'unknown', notBefore: null });
    expect(await check(sessionOf(user, NOW - 500), { isSensitive: true })).toMatchObject({ reason: 'unknown' });
    strict.answer = down;
    expect(await check(sessionOf(user, NOW - 500), { mode: 'strict' })).toMatchObject({
      valid: false,
      from: 'last-known',
    });
  });

  it('a strict answer without a notBefore lets a reactivated user in', async () => {
    const { check, strict } = setUp({ mode: 'auto' });
    const user = newUser();
    await publish(user, false, NOW - 1_000);
    await check(sessionOf(user));
    strict.answer = () => ({ valid: true, reason: 'good' });
    expect(await check(sessionOf(user, NOW - 500), { isSensitive: true })).toMatchObject({ valid: true });
    expect(await check(sessionOf(user), { isSensitive: true })).toMatchObject({ valid: false, from: 'kv' });
  });

  it('but someone away for longer than flags are kept can come back', async () => {
    const { check, clock } = setUp({ sessionMaxAge: 3_600_000 });
    const user = newUser();
    await publish(user, false, NOW);
    expect(await check(sessionOf(user))).toMatchObject({ valid: false });
    await env.REVOCATIONS.delete(flagKey(ORG, user));
    clock.now = NOW + 3_600_000;
    expect(await check(sessionOf(user, clock.now))).toMatchObject({ valid: true });
  });
});

describe('the instant of a session', () => {
  it('is refused when flags are not kept for that long', async () => {
    const { check, kv } = setUp({ sessionMaxAge: 3_600_000 });
    expect(await check(sessionOf(newUser(), NOW - 3_600_000))).toMatchObject({ valid: true });
    expect(await check(sessionOf(newUser(), NOW - 3_600_001))).toEqual({
      ...{ valid: false, reason: 'expired', from: 'policy', asOf: null },
    });
    expect(kv.asked).toBe(1);
  });

  it('is refused in the future, where no revocation would reach it, but for a minute of skew', async () => {
    const { check } = setUp({ onUnavailable: 'allow', clockTolerance: 500 });
    expect(await check(sessionOf(newUser(), NOW + MINUTE + 500))).toMatchObject({ valid: true });
    expect(await check(sessionOf(newUser(), NOW + MINUTE + 501))).toMatchObject({ valid: false, reason: 'future' });
  });

  it('is taken to be older by the tolerance, so that a fast clock gains nothing', async () => {
    const user = newUser();
    await publish(user, true, NOW - 1_000);
    const fastClock = sessionOf(user, NOW - 700);
    expect(await setUp().check(fastClock)).toMatchObject({ valid: true });
    const { check, strict } = setUp({ clockTolerance: 300 });
    expect(await check(fastClock)).toMatchObject({ valid: false, reason: 'revoked' });
    expect(await check(sessionOf(user, NOW - 699))).toMatchObject({ valid: true });
    await check(sessionOf(user, NOW - 699), { mode: 'strict' });
    expect(strict.asked).toEqual([{ org: ORG, user, issuedAt: NOW - 999 }]);
  });

  it.each([
    ['seconds', { issuedAt: NOW / 1_000 }],
    ['no instant', { issuedAt: 'soon' }],
    ['an empty user', { user: '' }],
    ['no user', { user: undefined }],
    ['an empty org', { org: '' }],
    ['a user that reaches for another key', { user: 'a:b' }],
    ['an org that reaches for another key', { org: 'a:b' }],
    ['a user that is no text', { user: 7 }],
    ['a user longer than any', { user: 'x'.repeat(101) }],
  ])('and its ids: a session that is none is a mistake of the host, under every policy: %s', async (_, wrong) => {
    const { check, kv } = setUp({ onUnavailable: 'allow' });
    await expect(check({ ...sessionOf('ada'), ...wrong } as Session)).rejects.toThrow('expected');
    expect(kv.asked).toBe(0);
  });
});

describe('an org without a flag', () => {
  const nobody = { valid: false, reason: 'unknown' };
  const sessionThere = (org = 'noFlagOrg123') => sessionOf(newUser(), NOW - MINUTE, org);

  it('is unknown to the fast check, whatever holds in an outage, and is not remembered', async () => {
    for (const onUnavailable of ['deny', 'allow', 'last-known'] as const) {
      const { check, kv } = setUp({ onUnavailable });
      const session = sessionThere();
      expect(await check(session)).toEqual({ ...nobody, from: 'kv', asOf: NOW });
      kv.answer = down;
      expect(await check(session)).toMatchObject({ reason: 'unavailable', valid: onUnavailable === 'allow' });
    }
  });

  it('is asked about at the service in auto: a new org’s flag may not have come here yet', async () => {
    const { check, strict } = setUp({ mode: 'auto', onUnavailable: 'allow' });
    const session = sessionThere();
    expect(await check(session)).toMatchObject({ valid: true, from: 'strict' });
    expect(strict.asked).toHaveLength(1);
    strict.answer = () => ({ valid: false, reason: 'unknown', notBefore: null });
    expect(await check(session)).toMatchObject({ ...nobody, from: 'strict' });
    strict.answer = down;
    expect(await check(session)).toMatchObject({ ...nobody, from: 'kv' });
    await publish(undefined, true, 0, 'cameLater123');
    expect(await check(sessionThere('cameLater123'))).toMatchObject({ valid: true, from: 'kv' });
  });

  it('is accepted where the host says so, for the time of an upgrade', async () => {
    const { check, strict } = setUp({ mode: 'auto', onMissingOrgFlag: 'allow' });
    expect(await check(sessionThere())).toMatchObject({ valid: true, reason: 'good', from: 'kv' });
    const out = newUser();
    await publish(out, false, NOW, 'noFlagOrg123');
    expect(await check(sessionOf(out, NOW - 1, 'noFlagOrg123'))).toMatchObject({ reason: 'inactive', from: 'kv' });
    expect(strict.asked).toEqual([]);
  });

  it('does not hide what is known of the user: in auto, a session from before a not-before is not asked about', async () => {
    const { check, strict } = setUp({ mode: 'auto' });
    const user = newUser();
    await publish(user, true, NOW, 'noFlagOrg123');
    expect(await check(sessionOf(user, NOW, 'noFlagOrg123'))).toMatchObject({ reason: 'revoked', from: 'kv' });
    expect(strict.asked).toEqual([]);
  });

  it('cannot even be asked about by a slug: that is a mistake of the host, under every policy', async () => {
    for (const mode of ['fast', 'auto'] as const) {
      const { check, kv, strict } = setUp({ mode, onUnavailable: 'allow', onMissingOrgFlag: 'allow' });
      await expect(check(sessionThere('acme-widgets'))).rejects.toThrow("org: the org's id was expected");
      expect([kv.asked, strict.asked.length]).toEqual([0, 0]);
    }
  });
});

describe('a source that knows states', () => {
  it('stands where KV does, is answered from at once, and what is stale counts as last known', async () => {
    let isStale = false;
    const source: StateSource = {
      from: 'stream',
      read: (_, user) => ({
        heard: { user: { active: user !== 'out', validAfter: 0 }, org: undefined },
        ...{ asOf: NOW - 50, isStale },
      }),
    };
    const { check, errors } = setUp({ flags: source, onUnavailable: 'last-known', timeout: 1 });
    expect(await check(sessionOf('in'))).toEqual({ valid: true, reason: 'good', from: 'stream', asOf: NOW - 50 });
    expect(await check(sessionOf('out'))).toMatchObject({ valid: false, reason: 'inactive', from: 'stream' });
    isStale = true;
    expect(await check(sessionOf('in'))).toMatchObject({ valid: true, from: 'last-known', asOf: NOW - 50 });
    expect(await check(sessionOf('out'))).toMatchObject({ valid: false, from: 'last-known' });
    expect(errors).toHaveLength(2);
  });
});

describe('a service that refuses the application', () => {
  const refusing = (statuses: number[]) => {
    const fetch = async () => Response.json({ valid: true, reason: 'good' }, { status: statuses.shift() ?? 200 });
    return httpSource({ url: 'https://scim.example.com', token: 'wrong', fetch: fetch as never });
  };
  const denied = { valid: false, reason: 'unavailable', from: 'policy', asOf: null };

  it.each([401, 403, 404])('with %d is no outage: allow lets nobody in, in any mode', async (status) => {
    const user = newUser();
    for (const mode of ['strict', 'auto'] as const) {
      const { check, errors } = setUp({ mode, strict: refusing([status]), onUnavailable: 'allow' });
      expect(await check(sessionOf(user), { isSensitive: true })).toEqual(denied);
      expect(errors).toEqual([expect.stringContaining(`strict: the strict check was answered with HTTP ${status}: `)]);
    }
    const { check, kv } = setUp({ mode: 'auto', strict: refusing([status]), onUnavailable: 'allow' });
    kv.answer = down;
    expect(await check(sessionOf(user))).toEqual(denied);
  });

  it('stays refused while too many wrong tokens are answered with 429, until it is answered', async () => {
    const { check } = setUp({ mode: 'strict', strict: refusing([429, 401, 429, 200, 429]), onUnavailable: 'allow' });
    const answers = [];
    for (let i = 0; i < 5; i++) answers.push(`${(await check(sessionOf(newUser()))).valid}`);
    expect(answers).toEqual(['true', 'false', 'false', 'true', 'true']);
  });

  it('leaves in, with last-known, who was good a moment ago', async () => {
    const { check, clock } = setUp({ mode: 'strict', strict: refusing([200, 401, 401]), onUnavailable: 'last-known' });
    const session = sessionOf(newUser());
    await check(session);
    expect(await check(session)).toMatchObject({ valid: true, from: 'last-known' });
    clock.now += 6 * MINUTE;
    expect(await check(session)).toEqual({ ...denied });
  });

  it('is written to console.error without onError, once a minute for each source, and without the token', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    try {
      const clock = { now: NOW };
      const strict = refusing([401, 401, 401]);
      const { check } = sessionChecker({ strict, mode: 'strict', onUnavailable: 'deny', now: () => clock.now });
      await check(sessionOf('ada'));
      await check(sessionOf('ada'));
      expect(log.mock.calls).toEqual([
        [
          'scim-worker/sessions: strict: the strict check was answered with HTTP 401: the token is wrong, was removed or has expired',
        ],
      ]);
      clock.now += MINUTE;
      await check(sessionOf('ada'));
      expect(log).toHaveBeenCalledTimes(2);
    } finally {
      log.mockRestore();
    }
  });
});

describe('an option that there is not', () => {
  const flags = new Kv();
  const options = { flags, mode: 'fast', onUnavailable: 'deny' } as const;

  it('is refused with a TypeError that lists those that there are', async () => {
    const session = sessionOf('ada');
    const { check, mayAct } = sessionChecker(options);
    expect(() => sessionChecker({ ...options, timout: 3 } as never)).toThrow(
      /^sessionChecker: there is no option timout. Options are flags, strict, mode, /,
    );
    expect(() => sessionChecker({ ...options, lastKnown: { maxage: 3 } } as never)).toThrow(
      'sessionChecker: lastKnown: there is no option maxage. Options are limit, maxAge',
    );
    expect(() => httpSource({ url: 'https://scim.example.com', token: 'x', timout: 3 } as never)).toThrow(
      'httpSource: there is no option timout',
    );
    await expect(check(session, { isSensitve: true } as never)).rejects.toThrow('check: there is no option isSensitve');
    await expect(mayAct(session, { moed: 'fast' } as never)).rejects.toThrow('mayAct: there is no option moed');
    await expect(checkSession(flags, session, { onMissing: 'allow' } as never)).rejects.toThrow(
      'checkSession: there is no option onMissing',
    );
    const stream = { url: 'https://scim.example.com', token: 'x', orgs: [], onUnavailable: 'deny', WebSocket };
    expect(() => openRevocationStream({ ...stream, onRevoked: () => undefined } as never)).toThrow(
      'openRevocationStream: there is no option onRevoked',
    );
    for (const guard of [hono.sessionGuard, express.sessionGuard, fastify.sessionGuard] as ((o: never) => unknown)[]) {
      expect(() => guard({ checker: { check }, sessionOf: () => session, onDaed: () => undefined } as never)).toThrow(
        'sessionGuard: there is no option onDaed',
      );
    }
  });

  it.each([undefined, null, 'fast'])('and so is %j in the place of all options', (nothing) => {
    expect(() => sessionChecker(nothing as never)).toThrow('sessionChecker: an object of options was expected');
  });

  it.each([undefined, null, 'session'])('%j in the place of a session is a mistake of the host', async (nothing) => {
    const { check, mayAct } = sessionChecker(options);
    const expected = 'session: an object with org, user and issuedAt was expected';
    await expect(check(nothing as never)).rejects.toThrow(new TypeError(expected));
    await expect(checkSession(flags, nothing as never)).rejects.toThrow(new TypeError(expected));
    await expect(mayAct(nothing as never)).rejects.toThrow(new TypeError('an object with org and user was expected'));
  });
});

describe('what a checker is made of', () => {
  const flags = new Kv();
  const strict = new Strict();
  it.each<[string, object]>([
    ['onUnavailable', { flags, mode: 'fast' }],
    ['onUnavailable', { flags, mode: 'fast', onUnavailable: 'ask' }],
    ['mode', { flags, strict, mode: 'quick', onUnavailable: 'deny' }],
    ['flags', { strict, mode: 'fast', onUnavailable: 'deny' }],
    ['flags', { strict, mode: 'auto', onUnavailable: 'deny' }],
    ['strict', { flags, mode: 'auto', onUnavailable: 'deny' }],
    ['strict', { flags, mode: 'strict', onUnavailable: 'deny' }],
    ['timeout', { flags, mode: 'fast', onUnavailable: 'deny', timeout: 0 }],
    ['lastKnown.limit', { flags, mode: 'fast', onUnavailable: 'deny', lastKnown: { limit: 0 } }],
    ['lastKnown.maxAge', { flags, mode: 'fast', onUnavailable: 'deny', lastKnown: { maxAge: Number.NaN } }],
    ['sessionMaxAge', { flags, mode: 'fast', onUnavailable: 'deny', sessionMaxAge: -1 }],
    ['clockTolerance', { flags, mode: 'fast', onUnavailable: 'deny', clockTolerance: -1 }],
    ['onMissingOrgFlag', { flags, mode: 'fast', onUnavailable: 'deny', onMissingOrgFlag: 'last-known' }],
  ])('is checked at once: %s in %j', (name, options) => {
    expect(() => sessionChecker(options as SessionCheckerOptions)).toThrow(`${name}: `);
  });

  it('and a mode asked for later that it has no source for is a mistake, not an outage', async () => {
    const { check } = sessionChecker({ flags, mode: 'fast', onUnavailable: 'allow' });
    await expect(check(sessionOf('ada'), { mode: 'strict' })).rejects.toThrow('strict: mode strict needs it');
  });
});

describe('the strict check over HTTP', () => {
  const session = { org: ORG, user: 'ada', issuedAt: NOW };
  const source = (
    fetch: (url: string, init: RequestInit) => Promise<Response>,
    url = 'https://scim.example.com/base/',
  ) => httpSource({ url, token: 'host-token', timeout: 20, fetch: fetch as never });

  it('is one POST with the token, below the address that was given', async () => {
    const asked: unknown[] = [];
    const answer = { valid: true, reason: 'good', notBefore: null };
    const http = source(async (url, { method, headers, body, redirect }) => {
      asked.push({ url, method, headers, body: JSON.parse(body as string), redirect });
      return Response.json(answer);
    });
    expect(await http.check(session)).toEqual(answer);
    expect(asked).toEqual([
      {
        url: 'https://scim.example.com/base/sessions/v1/check',
        method: 'POST',
        headers: { authorization: 'Bearer host-token', 'content-type': 'application/json' },
        body: session,
        redirect: 'manual',
      },
    ]);
  });

  it.each<[string, () => Promise<Response>, RegExp]>([
    ['401', async () => Response.json({ error: 'unauthorized' }, { status: 401 }), /HTTP 401/],
    ['503', async () => new Response('busy', { status: 503 }), /HTTP 503/],
    [
      'a redirect',
      async () => new Response(null, { status: 302, headers: { location: 'https://evil.example' } }),
      /302/,
    ],
    ['a page', async () => new Response('<html>'), /JSON/],
    ['no connection', () => Promise.reject(new TypeError('fetch failed')), /fetch failed/],
  ])('is no answer with %s', async (_, fetch, message) => {
    await expect(source(fetch).check(session)).rejects.toThrow(message);
  });

  it('is given up in time, and the request is ended', async () => {
    let signal: AbortSignal | undefined;
    const http = source((_, init) => {
      signal = init.signal!;
      return new Promise((_, reject) => signal!.addEventListener('abort', () => reject(signal!.reason)));
    });
    await expect(http.check(session)).rejects.toThrow();
    expect(signal?.aborted).toBe(true);
  });

  it.each([
    ['no address', 'scim', 'token'],
    ['another protocol', 'ftp://scim.example.com', 'token'],
    ['no token', 'https://scim.example.com', ''],
    ['a token of two lines', 'https://scim.example.com', 'a\nb'],
  ])('is not made of %s', (_, url, token) => {
    expect(() => httpSource({ url, token })).toThrow(TypeError);
  });
});
