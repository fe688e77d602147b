/** What the cron does about credentials: warnings before they expire, and the removal of what is over. */
import { createScheduledController } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { cleanUp, warn } from '../../src/cron/credentials';
import type { Env } from '../../src/env';
import worker from '../../src/index';
import { removeExpired, warnOfExpiry } from '../../src/store/operations/expiry';
import { dump, journal, rows } from '../support/database';
import { FaultyDb } from '../support/faults';
import { CredentialLine, newLine } from '../support/line';
import { Meter } from '../support/meter';

const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
afterAll(() => log.mockRestore());

const START = Date.parse('2026-11-20T12:00:00.000Z');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const service = { name: 'service', requestId: 'run' };

let line: CredentialLine;
let n = 0;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: START });
  await env.DB.batch(
    ['credentials', 'grants', 'assertions', 'refusals', 'traffic'].map((table) =>
      env.DB.prepare(`DELETE FROM ${table}`),
    ),
  );
  ({ line } = await newLine(`sweep-${++n}`));
});
afterEach(() => void vi.useRealTimers());

const at = (milliseconds: number) => vi.setSystemTime(START + milliseconds);
const run = () => worker.scheduled(createScheduledController({ cron: '* * * * *', scheduledTime: new Date() }), env);
const warnings = async (orgId = line.orgId) =>
  (await journal(orgId))
    .filter(({ type }) => type.endsWith('.expiring'))
    .map(({ type, details }) => [type, details.generation, details.days]);

describe('a credential that expires', () => {
  it('is warned of 20, 7 and 1 days before, once each, from that millisecond on', async () => {
    const secret = await line.rotated({ grace: '0', expires: '90d' });
    for (const [days, told] of [
      [20, [20]],
      [7, [20, 7]],
      [1, [20, 7, 1]],
    ] as const) {
      at((90 - days) * DAY - 1);
      await run();
      expect(await warnings()).toHaveLength(told.length - 1);
      for (let i = 0; i < 3; i++) {
        at((90 - days) * DAY + i * HOUR);
        await run();
      }
      expect(await warnings()).toEqual(told.map((it) => ['token.expiring', 2, it]));
    }
    at(90 * DAY);
    await run();
    expect(await warnings()).toHaveLength(3);
    const [event] = (await journal(line.orgId)).filter(({ type }) => type === 'token.expiring');
    const [{ id, mask }] = (await rows('SELECT id, mask FROM credentials WHERE generation = 2')) as [
      { id: string; mask: string },
    ];
    expect(event).toMatchObject({
      actor: 'service',
      target_id: id,
      details: {
        mask,
        generation: 2,
        days: 20,
        validUntil: new Date(START + 90 * DAY).toISOString(),
        oauthClient: null,
      },
    });
    expect(JSON.stringify(event)).not.toContain(secret.split('_')[2]!.slice(0, 8));
  });

  it('with five days of life is warned of once at once, then one day before', async () => {
    await line.rotated({ grace: '0', expires: '5d' });
    await run();
    await run();
    expect(await warnings()).toEqual([['token.expiring', 2, 7]]);
    at(4 * DAY);
    await run();
    expect(await warnings()).toEqual([
      ['token.expiring', 2, 7],
      ['token.expiring', 2, 1],
    ]);
  });

  it('that has expired when the cron comes back is not warned of any more', async () => {
    await line.rotated({ grace: '0', expires: '5d' });
    at(5 * DAY);
    await run();
    expect(await warnings()).toEqual([]);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['replaced', () => line.rotate({ grace: '24h' })],
    ['revoked', () => line.revoke()],
  ])('and was %s is not warned of', async (_, end) => {
    await line.rotated({ grace: '0', expires: '5d' });
    await end();
    await run();
    expect(await warnings()).toEqual([]);
  });

  it('and is brought back by a cancelled rotation is warned of again', async () => {
    await line.rotated({ grace: '0', expires: '5d' });
    await line.rotate({ grace: '24h' });
    await run();
    await line.cancel();
    await run();
    expect(await warnings()).toEqual([['token.expiring', 2, 7]]);
  });
});

describe('several at once, of several orgs,', () => {
  const secretOf = (client: string, orgId: string, expiresIn: number) =>
    env.DB.prepare(
      `INSERT INTO credentials (id, org_id, kind, subject, hash, mask, generation, created_at, created_by, valid_until)
        VALUES (?1, ?2, 'oauth_client', ?3, ?1, 'scimcs_x…', 1, 1, 'x', ?4)`,
    )
      .bind(crypto.randomUUID(), orgId, client, START + expiresIn)
      .run();
  let other: CredentialLine;
  beforeEach(async () => {
    ({ line: other } = await newLine(`sweep-other-${n}`));
    await line.rotated({ grace: '0', expires: '20d' });
    await new CredentialLine(line.slug, line.orgId, 'basic').generate({ expires: '6d' });
    await secretOf('client-1', line.orgId, HOUR);
    await secretOf('client-2', line.orgId, 2 * HOUR);
    await other.rotated({ grace: '0', expires: '7d' });
  });
  const all = [
    ['client.expiring', 1, 1],
    ['client.expiring', 1, 1],
    ['basic.expiring', 1, 7],
    ['token.expiring', 2, 20],
  ];
  const expectGapless = async (orgId: string) => {
    const events = await journal(orgId);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
    const [org] = await rows('SELECT event_seq FROM orgs WHERE id = ?', orgId);
    expect(org!['event_seq']).toBe(events.length);
  };

  it('are warned of in one round trip, the first to expire first, each journal without a gap', async () => {
    const meter = new Meter();
    await warn({ DB: meter.binding });
    expect(meter.roundTrips).toBe(1);
    expect(await warnings()).toEqual(all);
    expect(await warnings(other.orgId)).toEqual([['token.expiring', 2, 7]]);
    await line.rotate();
    await expectGapless(line.orgId);
    await expectGapless(other.orgId);
    const clients = (await journal(line.orgId)).filter(({ type }) => type === 'client.expiring');
    expect(clients.map(({ details }) => details.oauthClient)).toEqual(['client-1', 'client-2']);
  });

  it('are bounded in one run, and the next one goes on', async () => {
    const counts: number[] = [];
    for (let i = 0; i < 4; i++) counts.push(await warnOfExpiry(env.DB, service, START, 2));
    expect(counts).toEqual([2, 2, 1, 0]);
    expect(await warnings()).toEqual(all);
    await expectGapless(line.orgId);
    await expectGapless(other.orgId);
  });

  it('by two runs at once are warned of once', async () => {
    await Promise.all(Array.from({ length: 5 }, () => warn(env)));
    expect(await warnings()).toEqual(all);
    await expectGapless(line.orgId);
  });

  it.each(['before', 'at', 'after'] as const)(
    'are neither lost nor told of twice when D1 fails %s the batch',
    async (kind) => {
      const db = new FaultyDb({ kind, statement: 2 }, /INTO events/);
      await expect(warn({ DB: db.binding })).rejects.toThrow();
      expect(await warnings()).toEqual(kind === 'after' ? all : []);
      await warn(env);
      expect(await warnings()).toEqual(all);
      await expectGapless(line.orgId);
    },
  );
});

describe('what is over', () => {
  const token = (id: string, kind: string, validUntil: number, grant: string | null = null, orgId = 'org') =>
    env.DB.prepare(
      `INSERT INTO credentials (id, org_id, kind, subject, hash, mask, generation, created_at, created_by, valid_until, grant_id)
        VALUES (?1, ?5, ?2, 'client', ?1, 'x', 0, 1, 'x', ?3, ?4)`,
    ).bind(id, kind, START + validUntil, grant, orgId);
  const grant = (id: string, approvedAt: number, orgId = 'org') =>
    env.DB.prepare(
      `INSERT INTO grants (org_id, id, client_id, code_hash, code_valid_until, redirect_uri, approved_at, approved_by)
        VALUES (?1, ?2, 'client', ?2, 1, 'x', ?3, 'x')`,
    ).bind(orgId, id, START + approvedAt);
  const assertion = (hash: string, validUntil: number) =>
    env.DB.prepare('INSERT INTO assertions (org_id, hash, valid_until) VALUES (?, ?, ?)').bind(
      'org',
      hash,
      START + validUntil,
    );
  const refusal = (day: number, reason: string) =>
    env.DB.prepare(
      `INSERT INTO refusals (org_id, day, reason, hint, credential_id, client, address, count, first_at, last_at)
        VALUES ('org', ?, ?, '', '', '', '', 1, 1, 1)`,
    ).bind(Math.floor(START / DAY) + day, reason);
  const requests = (day: number, operation: string) =>
    env.DB.prepare(
      "INSERT INTO traffic (org_id, day, operation, count, refused, failed) VALUES ('org', ?, ?, 1, 0, 0)",
    ).bind(Math.floor(START / DAY) + day, operation);
  const left = async (table: string, column: string) =>
    (await rows(`SELECT ${column} AS it FROM ${table} WHERE org_id = 'org' ORDER BY 1`)).map(({ it }) => it);

  it('is removed, and nothing that somebody may still use or ask for', async () => {
    await env.DB.batch([
      token('access, over for 7 days', 'oauth_access', -7 * DAY),
      token('access, over for less', 'oauth_access', -7 * DAY + 1),
      token('refresh, over for 7 days', 'oauth_refresh', -7 * DAY),
      token('refresh, good', 'oauth_refresh', DAY),
      token('token, over for years', 'token', -900 * DAY),
      assertion('over for an hour', -HOUR),
      assertion('over for less', -HOUR + 1),
      assertion('good', HOUR),
      refusal(-31, 'rotated'),
      refusal(-30, 'expired'),
      refusal(0, 'revoked'),
      requests(-31, 'GET /Groups'),
      requests(-30, 'GET /Users'),
      requests(0, 'PUT /Users'),
    ]);
    await run();
    expect(await left('credentials', 'id')).toEqual([
      'access, over for less',
      'refresh, good',
      'token, over for years',
    ]);
    expect(await left('assertions', 'hash')).toEqual(['good', 'over for less']);
    expect(await left('refusals', 'reason')).toEqual(['expired', 'revoked']);
    expect(await left('traffic', 'operation')).toEqual(['GET /Users', 'PUT /Users']);
  });

  it('a grant goes when it is 30 days old and none of its tokens is left', async () => {
    await env.DB.batch([
      grant('never redeemed', -30 * DAY),
      grant('younger', -30 * DAY + 1),
      grant('in use', -400 * DAY),
      token('of the one in use', 'oauth_refresh', 50 * DAY, 'in use'),
      grant('used up', -400 * DAY),
      token('of the one used up', 'oauth_refresh', -7 * DAY, 'used up'),
      token('of another org’s', 'oauth_refresh', 50 * DAY, 'used up', 'another org'),
      grant('never redeemed', -1, 'another org'),
    ]);
    await run();
    expect(await left('grants', 'id')).toEqual(['in use', 'younger']);
    expect(await rows("SELECT id FROM grants WHERE org_id = 'another org'")).toHaveLength(1);
    // One that has tokens is looked at again a month later.
    at(56 * DAY);
    await run();
    expect(await left('grants', 'id')).toEqual(['in use']);
    at(86 * DAY - 1);
    await run();
    expect(await left('credentials', 'id')).toEqual([]);
    expect(await left('grants', 'id')).toEqual(['in use']);
    at(86 * DAY);
    await run();
    expect(await left('grants', 'id')).toEqual([]);
  });

  it('is removed in portions; grants in use do not hold up the others', async () => {
    const many = Array.from({ length: 7 }, (_, i) => i);
    await env.DB.batch([
      ...many.flatMap((i) => [
        token(`t${i}`, 'oauth_access', -8 * DAY - i),
        assertion(`a${i}`, -DAY),
        refusal(-40, `r${i}`),
        grant(`in use ${i}`, -90 * DAY),
        token(`of ${i}`, 'oauth_refresh', DAY, `in use ${i}`),
        grant(`over ${i}`, -60 * DAY),
      ]),
    ]);
    const sizes: number[][] = [];
    for (let i = 0; i < 6; i++) {
      await removeExpired(env.DB, START, 3);
      sizes.push(
        await Promise.all([
          left('credentials', 'id').then(({ length }) => length - many.length),
          left('assertions', 'hash').then(({ length }) => length),
          left('refusals', 'reason').then(({ length }) => length),
          left('grants', 'id').then(({ length }) => length - many.length),
        ]),
      );
    }
    expect(sizes.map((size) => size.slice(0, 3))).toEqual([
      [4, 4, 4],
      [1, 1, 1],
      [0, 0, 0],
      [0, 0, 0],
      [0, 0, 0],
      [0, 0, 0],
    ]);
    expect(sizes.map((size) => size[3])).toEqual([7, 7, 5, 2, 0, 0]);
  });

  it('is found by an index: no run goes through a table', async () => {
    await env.DB.batch([
      token('t', 'oauth_access', -8 * DAY),
      grant('g', -60 * DAY),
      assertion('a', -DAY),
      refusal(-40, 'r'),
    ]);
    const meter = new Meter();
    await cleanUp({ DB: meter.binding });
    await line.rotated({ grace: '0', expires: '5d' });
    await warn({ DB: meter.binding });
    expect(await warnings()).toHaveLength(1);
    expect(meter.roundTrips).toBe(2);
    const plans = await meter.plans();
    expect(
      plans.filter((plan) => /^SCAN (credentials|grants|assertions|refusals|traffic|orgs|events)/.test(plan)),
    ).toEqual([]);
    expect(plans.filter((plan) => plan.startsWith('SEARCH')).length).toBeGreaterThan(8);
  });
});

it('a part of the cron’s work that fails does not keep the others from theirs, and is heard of', async () => {
  await line.rotated({ grace: '0', expires: '5d' });
  await env.DB.batch([
    env.DB.prepare("INSERT INTO assertions (org_id, hash, valid_until) VALUES ('org', 'a', 1)"),
    env.DB.prepare('INSERT INTO outbox (org_id, user_id, requested_at) VALUES (?, ?, 1)').bind(line.orgId, 'somebody'),
  ]);
  const controller = () => createScheduledController({ cron: '* * * * *', scheduledTime: new Date() });
  const scheduled = (meant: RegExp) =>
    worker.scheduled(controller(), { ...env, DB: new FaultyDb({ kind: 'before' }, meant).binding } as Env);
  await expect(scheduled(/FROM outbox/)).rejects.toThrow("parts of the cron's work failed");
  expect(await warnings()).toHaveLength(1);
  expect(await rows('SELECT * FROM assertions')).toEqual([]);
  expect(await rows('SELECT * FROM outbox')).toHaveLength(1);
  await expect(scheduled(/INTO events|DELETE FROM grants/)).rejects.toThrow('Network connection lost');
  expect(await rows('SELECT * FROM outbox')).toEqual([]);
  const before = await dump();
  await run();
  expect(await dump()).toBe(before);
});
