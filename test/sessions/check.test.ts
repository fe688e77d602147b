import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkSession, decide, type FlagReader, instant } from '../../src/sessions/check';
import { flagText } from '../../src/sessions/flag';

const ORG = 'Ab3dEf6hIj9k';
const REVOKED_AT = Date.parse('2026-03-01T12:00:00.000Z');

/** The service keeps a flag for each org. */
const flagOrg = (org: string, flag: object = { v: 1, active: true, notBefore: 0 }) =>
  env.REVOCATIONS.put(`rev:v1:${org}`, JSON.stringify(flag));
beforeAll(() => Promise.all([ORG, 'anotherOrg12'].map((org) => flagOrg(org))));

/** One user per test, so that none hears of another's flag. */
const flagged = async (flag?: unknown) => {
  const user = crypto.randomUUID();
  const text = typeof flag === 'string' ? flag : JSON.stringify(flag);
  if (flag !== undefined) await env.REVOCATIONS.put(`rev:v1:${ORG}:${user}`, text);
  return user;
};
const check = (user: string, issuedAt: Date | number | string, org = ORG) =>
  checkSession(env.REVOCATIONS, { org, user, issuedAt });

describe('a session is', () => {
  it('good while its user has no flag', async () => {
    expect(await check(await flagged(), Date.now())).toEqual({ valid: true, reason: 'good' });
  });

  it('dead when its user is inactive, whenever it was issued', async () => {
    const user = await flagged({ v: 1, active: false, notBefore: REVOKED_AT });
    expect(await check(user, REVOKED_AT - 1)).toEqual({ valid: false, reason: 'inactive' });
    expect(await check(user, REVOKED_AT + 3_600_000)).toEqual({ valid: false, reason: 'inactive' });
  });

  it('dead when it is older than the end of all sessions, and good when it is younger', async () => {
    const user = await flagged({ v: 1, active: true, notBefore: REVOKED_AT });
    expect(await check(user, REVOKED_AT - 1)).toEqual({ valid: false, reason: 'revoked' });
    expect(await check(user, REVOKED_AT + 1)).toEqual({ valid: true, reason: 'good' });
  });

  it('dead when it was issued in the very millisecond of the revocation', async () => {
    const user = await flagged({ v: 1, active: true, notBefore: REVOKED_AT });
    expect(await check(user, REVOKED_AT)).toEqual({ valid: false, reason: 'revoked' });
  });

  it('dead when the whole org is, even of a user without a flag', async () => {
    await env.REVOCATIONS.put('rev:v1:goneOrgGone1', JSON.stringify({ v: 1, active: false, notBefore: 0 }));
    expect(await check(await flagged(), Date.now(), 'goneOrgGone1')).toEqual({ valid: false, reason: 'inactive' });
  });

  it('measured by the later of the user’s and the org’s not-before', async () => {
    const org = 'twoFlagsHere';
    await env.REVOCATIONS.put(`rev:v1:${org}`, JSON.stringify({ v: 1, active: true, notBefore: REVOKED_AT + 10 }));
    await env.REVOCATIONS.put(`rev:v1:${org}:u`, JSON.stringify({ v: 1, active: true, notBefore: REVOKED_AT }));
    expect((await check('u', REVOKED_AT + 5, org)).valid).toBe(false);
    expect((await check('u', REVOKED_AT + 11, org)).valid).toBe(true);
  });

  it.each([
    ['an unknown version', '{"v":3,"active":true,"validAfter":0}'],
    ['cut text', '{"v":1,"active":true,"not'],
    ['empty text', ''],
  ])('refused, to be safe, when its flag is unreadable: %s', async (_, text) => {
    expect(await check(await flagged(text), Date.now())).toEqual({ valid: false, reason: 'unreadable' });
  });

  it('refused when the org’s flag is unreadable', async () => {
    await env.REVOCATIONS.put('rev:v1:oddFlagHere1', 'yes');
    expect(await check('u', Date.now(), 'oddFlagHere1')).toEqual({ valid: false, reason: 'unreadable' });
  });

  it('not touched by the flag of the same user id in another org', async () => {
    const user = await flagged({ v: 1, active: false, notBefore: REVOKED_AT });
    expect((await check(user, Date.now(), 'anotherOrg12')).valid).toBe(true);
  });
});

describe('absence is not permission:', () => {
  const unknown = { valid: false, reason: 'unknown' };

  it('a session of an org without a flag is refused, unless the host asks for the opposite while it upgrades', async () => {
    const session = { org: 'nobodyHere12', user: 'u', issuedAt: Date.now() };
    expect(await checkSession(env.REVOCATIONS, session)).toEqual(unknown);
    expect(await checkSession(env.REVOCATIONS, session, {})).toEqual(unknown);
    expect(await checkSession(env.REVOCATIONS, session, { onMissingOrgFlag: 'deny' })).toEqual(unknown);
    const allowed = { valid: true, reason: 'good' };
    expect(await checkSession(env.REVOCATIONS, session, { onMissingOrgFlag: 'allow' })).toEqual(allowed);
  });

  it('what is known of the user still refuses, and lets nobody in', async () => {
    const org = 'noFlagHere12';
    const flag = (active: boolean) => JSON.stringify({ v: 1, active, notBefore: REVOKED_AT });
    await env.REVOCATIONS.put(`rev:v1:${org}:out`, flag(false));
    await env.REVOCATIONS.put(`rev:v1:${org}:back`, flag(true));
    expect(await check('out', Date.now(), org)).toEqual({ valid: false, reason: 'inactive' });
    expect(await check('back', REVOKED_AT, org)).toEqual({ valid: false, reason: 'revoked' });
    expect(await check('back', REVOKED_AT + 1, org)).toEqual(unknown);
  });

  it('a slug that looks like the id of an org is an org without a flag', async () => {
    expect(await check('u', Date.now(), 'acmewidgets1')).toEqual(unknown);
  });

  it.each([
    'acme',
    'acme-widgets',
    'acme-widget1',
    'a',
    'Ab3dEf6hIj9',
    'Ab3dEf6hIj9k0',
    'Ab3dEf6hIj.k',
    'Ab3dEf6hIj_k',
  ])('the slug %s is no id of an org, whatever the option says', async (org) => {
    const asked: FlagReader = { get: () => expect.unreachable() };
    for (const onMissingOrgFlag of ['deny', 'allow'] as const) {
      const session = { org, user: 'u', issuedAt: Date.now() };
      await expect(checkSession(asked, session, { onMissingOrgFlag })).rejects.toThrow(
        "org: the org's id was expected",
      );
    }
  });
});

describe('the time a session was issued at', () => {
  it('is a Date, epoch milliseconds or ISO text, with any offset', async () => {
    const user = await flagged({ v: 1, active: true, notBefore: REVOKED_AT });
    for (const before of [new Date(REVOKED_AT), REVOKED_AT, '2026-03-01T12:00:00.000Z', '2026-03-01T13:00:00+01:00']) {
      expect(await check(user, before), String(before)).toEqual({ valid: false, reason: 'revoked' });
    }
    for (const after of [new Date(REVOKED_AT + 1), REVOKED_AT + 1, '2026-03-01T12:00:00.001Z']) {
      expect(await check(user, after), String(after)).toEqual({ valid: true, reason: 'good' });
    }
  });

  it('is refused in seconds, which a JWT’s iat is in: every session would look ancient', async () => {
    const seconds = Math.floor(REVOKED_AT / 1000);
    await expect(check(await flagged(), seconds)).rejects.toThrow('looks like seconds');
    expect(instant(seconds * 1000)).toBe(REVOKED_AT);
  });

  it.each([
    ['text', 'yesterday'],
    ['empty text', ''],
    ['NaN', Number.NaN],
    ['infinity', Infinity],
    ['an invalid Date', new Date('x')],
  ])('is refused when it is no instant: %s', async (_, issuedAt) => {
    await expect(check(await flagged(), issuedAt)).rejects.toThrow('issuedAt');
  });
});

describe('the check asks KV', () => {
  it('once, in bulk, for two keys, with a cache of 30 seconds', async () => {
    const calls: unknown[][] = [];
    const reader: FlagReader = {
      async get(keys, options) {
        calls.push([keys, options]);
        return new Map(keys.map((key) => [key, key.endsWith(':u') ? null : '{"v":1,"active":true,"notBefore":0}']));
      },
    };
    expect((await checkSession(reader, { org: ORG, user: 'u', issuedAt: Date.now() })).valid).toBe(true);
    expect(calls).toEqual([[[`rev:v1:${ORG}:u`, `rev:v1:${ORG}`], { type: 'text', cacheTtl: 30 }]]);
  });

  it('and hands its error on: whether to let people in then is the host’s decision', async () => {
    const reader: FlagReader = { get: () => Promise.reject(new Error('KV is down')) };
    await expect(checkSession(reader, { org: ORG, user: 'u', issuedAt: Date.now() })).rejects.toThrow('KV is down');
  });

  it('not at all when the time is wrong', async () => {
    const reader: FlagReader = { get: () => Promise.reject(new Error('asked')) };
    await expect(checkSession(reader, { org: ORG, user: 'u', issuedAt: 'x' })).rejects.toThrow('issuedAt');
  });
});

it('the rule says inactive before revoked, and good of nothing', () => {
  expect(decide([], 0)).toEqual({ valid: true, reason: 'good' });
  const states = [
    { active: true, validAfter: 10 },
    { active: false, validAfter: 0 },
  ];
  expect(decide(states, 5)).toEqual({ valid: false, reason: 'inactive' });
});

describe('an upgrade, whether the service or the host app goes first,', () => {
  /** As the library before this version read a flag. */
  const readBefore = (text: string) => {
    const flag = JSON.parse(text) as { v?: unknown; active?: unknown; notBefore?: unknown };
    return flag.v === 1 && typeof flag.active === 'boolean' && typeof flag.notBefore === 'number'
      ? { active: flag.active, notBefore: flag.notBefore }
      : undefined;
  };
  const STATES = [true, false].map((active) => ({ active, notBefore: REVOKED_AT }));

  it.each(STATES)('leaves a flag in the eyes of a host app that is not upgraded: %o', (state) => {
    expect(readBefore(flagText(state.active, state.notBefore))).toEqual(state);
  });

  it.each([
    ['written by a service before this version', { v: 1, notBefore: REVOKED_AT }],
    ['written by this version', { v: 1, validAfter: REVOKED_AT, notBefore: REVOKED_AT }],
    ['of format 2', { v: 2, validAfter: REVOKED_AT }],
  ])('gives every session the same verdict by a flag %s', async (_, flag) => {
    const [out, back] = await Promise.all([false, true].map((active) => flagged({ ...flag, active })));
    for (const issuedAt of [REVOKED_AT - 1, REVOKED_AT, REVOKED_AT + 1]) {
      expect(await check(out!, issuedAt)).toEqual({ valid: false, reason: 'inactive' });
      const isValid = issuedAt > REVOKED_AT;
      expect(await check(back!, issuedAt)).toEqual({ valid: isValid, reason: isValid ? 'good' : 'revoked' });
    }
    await flagOrg('orgUpgraded1', { ...flag, active: true });
    expect((await check('u', REVOKED_AT, 'orgUpgraded1')).reason).toBe('revoked');
    expect((await check('u', REVOKED_AT + 1, 'orgUpgraded1')).reason).toBe('good');
  });
});
