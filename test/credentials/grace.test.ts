/** A rotation's grace: who is good until when, to the millisecond, and the ways in which it ends. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { admin } from '../support/client';
import { dump, journal } from '../support/database';
import { CredentialLine, newLine } from '../support/line';

const START = Date.parse('2026-11-20T12:00:00.000Z');
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

let line: CredentialLine;
let first: string;
let n = 0;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: START });
  ({ line, first } = await newLine(`grace-${++n}`));
});
afterEach(() => void vi.useRealTimers());

const at = (milliseconds: number) => vi.setSystemTime(START + milliseconds);
/** Whether each of these is let in. */
const good = async (...secrets: string[]) =>
  (await Promise.all(secrets.map((secret) => line.read(secret)))).map((status) => status === 200);

describe('with a grace', () => {
  it.each<[string | undefined, number]>([
    ['1s', SECOND],
    ['90s', 90 * SECOND],
    ['15m', 15 * MINUTE],
    ['24h', DAY],
    ['1d', DAY],
    [undefined, DAY],
  ])('of %s both are good to its last millisecond, and from the next on only the new one', async (grace, length) => {
    const answer = await line.rotate({ ...(grace && { grace }), by: 'ada' });
    expect(answer.status).toBe(201);
    const second = answer.body.token;
    expect(answer.body).toMatchObject({
      generation: 2,
      state: 'current',
      createdBy: 'ada',
      predecessor: {
        generation: 1,
        state: 'grace',
        replacedAt: new Date(START).toISOString(),
        replacedBy: 'ada',
        graceUntil: new Date(START + length).toISOString(),
      },
      killed: null,
    });
    expect(await good(first, second)).toEqual([true, true]);
    at(length - 1);
    expect(await good(first, second)).toEqual([true, true]);
    at(length);
    expect(await good(first, second)).toEqual([false, true]);
    expect(await line.states()).toEqual([
      [2, 'current'],
      [1, 'replaced'],
    ]);
  });

  it('of 0 the old one is dead in the same millisecond', async () => {
    const { body } = await line.rotate({ grace: '0' });
    expect(body.predecessor).toMatchObject({ state: 'replaced', graceUntil: new Date(START).toISOString() });
    expect(body.killed).toBeNull();
    expect(await good(first, body.token)).toEqual([false, true]);
  });

  it('that is not given, the org’s own default holds, until it is set back', async () => {
    await admin('PATCH', `/orgs/${line.slug}`, { body: { settings: { graceDefault: '10m' } } });
    const { body } = await line.rotate();
    expect(body.predecessor.graceUntil).toBe(new Date(START + 10 * MINUTE).toISOString());
    await admin('PATCH', `/orgs/${line.slug}`, { body: { settings: { graceDefault: '0' } } });
    expect((await line.rotate()).body.predecessor.state).toBe('replaced');
    await admin('PATCH', `/orgs/${line.slug}`, { body: { settings: { graceDefault: 'none' } } });
    expect((await line.rotate()).body.predecessor.graceUntil).toBe(new Date(START + DAY).toISOString());
  });

  it.each(['25h', '2d', '1441m', '86401s', '-1s', '1', '1.5h', 'soon', '', ' 1h', '1h ', '9999999999s'])(
    'of "%s" a rotation is refused, and nothing has changed',
    async (grace) => {
      const before = await dump();
      const { status, body } = await line.rotate({ grace });
      expect([status, body.error]).toEqual([400, 'invalidValue']);
      expect(body.detail).toBe('grace: a duration of at most 24h was expected: 0, 90s, 15m, 24h');
      expect(await dump()).toBe(before);
      expect((await admin('PATCH', `/orgs/${line.slug}`, { body: { settings: { graceDefault: grace } } })).status).toBe(
        400,
      );
    },
  );

  it('that is longer than the old one’s own life, the old one dies of its age', async () => {
    await line.revoke();
    const short = (await line.generate({ expires: '10m' })).body.token;
    const { body } = await line.rotate({ grace: '1h' });
    at(10 * MINUTE - 1);
    expect(await good(short, body.token)).toEqual([true, true]);
    at(10 * MINUTE);
    expect(await good(short, body.token)).toEqual([false, true]);
    expect(await line.states()).toEqual([
      [3, 'current'],
      [2, 'expired'],
      [1, 'revoked'],
    ]);
    // Dead is dead: it can neither be brought back nor killed again.
    expect((await line.cancel()).status).toBe(409);
    expect((await line.complete()).status).toBe(409);
    expect(await good(body.token)).toEqual([true]);
  });
});

describe('rotating during a grace', () => {
  it('kills the old predecessor at once, and says so', async () => {
    const second = await line.rotated({ grace: '1h', by: 'ada' });
    at(MINUTE);
    const { body } = await line.rotate({ grace: '1h', by: 'bob' });
    expect(body.predecessor).toMatchObject({ generation: 2, state: 'grace' });
    expect(body.killed).toMatchObject({
      generation: 1,
      state: 'replaced',
      replacedBy: 'ada',
      revokedAt: new Date(START + MINUTE).toISOString(),
      revokedBy: 'bob',
    });
    expect(await good(first, second, body.token)).toEqual([false, true, true]);
    const told = (await journal(line.orgId)).at(-1)!;
    expect(told).toMatchObject({
      type: 'token.rotated',
      details: { by: 'bob', generation: 3, replaced: { generation: 2 }, killed: { generation: 1 } },
    });
    expect(told.details.graceUntil).toBe(new Date(START + MINUTE + HOUR).toISOString());
  });

  it('kills nobody when the grace is over', async () => {
    await line.rotated({ grace: '1m' });
    at(MINUTE);
    const { body } = await line.rotate({ grace: '1m' });
    expect(body.killed).toBeNull();
    expect((await journal(line.orgId)).at(-1)!.details.killed).toBeNull();
  });
});

describe('cancelling a rotation', () => {
  it('makes the predecessor the current one again, for good, and kills the new one', async () => {
    const second = await line.rotated({ grace: '1m' });
    at(MINUTE - 1);
    const { status, body } = await line.cancel({ by: 'bob' });
    expect(status).toBe(200);
    expect(body).toMatchObject({ generation: 1, state: 'current', graceUntil: null, replacedAt: null });
    expect(body.dead).toMatchObject({ generation: 2, state: 'revoked', revokedBy: 'bob' });
    expect(await good(first, second)).toEqual([true, false]);
    at(30 * DAY);
    expect(await good(first, second)).toEqual([true, false]);
    expect((await journal(line.orgId)).at(-1)).toMatchObject({
      type: 'token.cancelled',
      details: { by: 'bob', dead: { generation: 2 }, current: { generation: 1 } },
    });
  });

  it('in the millisecond in which the grace ends is refused, and nothing has changed', async () => {
    const second = await line.rotated({ grace: '1m' });
    at(MINUTE);
    const before = await dump();
    const { status, body } = await line.cancel();
    expect([status, body.error]).toEqual([409, 'conflict']);
    expect(body.detail).toContain('no token in its grace');
    expect(await dump()).toBe(before);
    expect(await good(first, second)).toEqual([false, true]);
  });

  it('leaves the predecessor its own expiry', async () => {
    await line.revoke();
    const short = (await line.generate({ expires: '10m' })).body.token;
    await line.rotated({ grace: '1h' });
    await line.cancel();
    at(10 * MINUTE - 1);
    expect(await good(short)).toEqual([true]);
    at(10 * MINUTE);
    expect(await good(short)).toEqual([false]);
  });

  it('without a rotation is refused', async () => {
    for (const call of [line.cancel, line.complete]) {
      const { status, body } = await call();
      expect(status).toBe(409);
      expect(body.detail).toContain('generation 1');
    }
    await line.revoke();
    expect((await line.cancel()).status).toBe(409);
    expect(await good(first)).toEqual([false]);
  });
});

describe('completing a rotation', () => {
  it('ends the grace now, in its last millisecond too', async () => {
    const second = await line.rotated({ grace: '1m' });
    at(MINUTE - 1);
    const { status, body } = await line.complete({ by: 'bob' });
    expect(status).toBe(200);
    expect(body).toMatchObject({ generation: 2, state: 'current' });
    expect(body.dead).toMatchObject({ generation: 1, state: 'replaced', revokedBy: 'bob' });
    expect(await good(first, second)).toEqual([false, true]);
    expect((await line.cancel()).status).toBe(409);
    expect((await journal(line.orgId)).at(-1)).toMatchObject({
      type: 'token.completed',
      details: { by: 'bob', dead: { generation: 1 } },
    });
  });

  it('in the millisecond in which it ends by itself is refused', async () => {
    await line.rotated({ grace: '1m' });
    at(MINUTE);
    expect((await line.complete()).status).toBe(409);
  });
});

it('an expired token can be replaced, by a rotation and by a new one', async () => {
  await line.revoke();
  const short = (await line.generate({ expires: '1m' })).body.token;
  at(MINUTE - 1);
  expect(await good(short)).toEqual([true]);
  expect((await line.generate()).status).toBe(409);
  at(MINUTE);
  expect(await good(short)).toEqual([false]);
  const { body } = await line.rotate({ grace: '1h', expires: '1m' });
  expect(body).toMatchObject({ generation: 3, predecessor: { generation: 2, state: 'expired' }, killed: null });
  expect(await good(short, body.token)).toEqual([false, true]);
  at(2 * MINUTE);
  expect((await line.states())[0]).toEqual([3, 'expired']);
  const next = await line.generate();
  expect(next.body.generation).toBe(4);
  expect(await good(short, body.token, next.body.token)).toEqual([false, false, true]);
});

describe('whoever was killed stays dead for a machine whose clock is behind:', () => {
  const BEHIND = -5 * SECOND;
  it.each<[string, () => Promise<unknown>, number[]]>([
    ['replaced without a grace', () => line.rotate({ grace: '0' }), [1]],
    ['in a grace that was completed', () => line.complete(), [1]],
    ['in a grace, when there was another rotation', () => line.rotate({ grace: '1h' }), [1]],
    ['new, when it was cancelled', () => line.cancel(), [2]],
    ['revoked', () => line.revoke(), [1, 2]],
  ])('%s', async (_, kill, dead) => {
    const secrets = [first];
    if (!_.startsWith('replaced')) secrets.push(await line.rotated({ grace: '1h' }));
    await kill();
    at(BEHIND);
    const statuses = await good(...secrets);
    expect(statuses).toEqual(secrets.map((_, i) => !dead.includes(i + 1)));
  });

  it('revoked in the moment in which its grace ended', async () => {
    const second = await line.rotated({ grace: '1m' });
    at(MINUTE);
    expect((await line.revoke()).body.revoked).toBe(1);
    at(MINUTE + BEHIND);
    expect(await good(first, second)).toEqual([false, false]);
  });

  it('revoked in the moment in which it expired', async () => {
    await line.revoke();
    const short = (await line.generate({ expires: '1m' })).body.token;
    at(MINUTE);
    expect((await line.revoke()).body.revoked).toBe(0);
    at(MINUTE + BEHIND);
    expect(await good(short)).toEqual([false]);
  });
});

it('passwords rotate as tokens do, in a line of their own', async () => {
  const passwords = new CredentialLine(line.slug, line.orgId, 'basic');
  const one = (await passwords.generate()).body.password;
  const two = (await passwords.rotate({ grace: '1m' })).body.password;
  expect(await Promise.all([one, two].map((it) => passwords.read(it)))).toEqual([200, 200]);
  at(MINUTE);
  expect(await Promise.all([one, two].map((it) => passwords.read(it)))).toEqual([401, 200]);
  expect(await line.states()).toEqual([[1, 'current']]);
  await line.revoke();
  expect(await passwords.read(two)).toBe(200);
  const types = (await journal(line.orgId)).map(({ type }) => type).filter((type) => type.startsWith('basic.'));
  expect(types).toEqual(['basic.issued', 'basic.rotated']);
});
