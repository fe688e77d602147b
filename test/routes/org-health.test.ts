/** How an org's provisioning is doing, in one answer of bounded cost, and what to do about it. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/admin/commands.mjs';
import { admin, type Idp, newIdp } from '../support/client';
import { Meter } from '../support/meter';

const DAY = 86_400_000;
let idp: Idp;
let slug: string;
let n = 0;
beforeEach(async () => {
  slug = `health-${++n}`;
  idp = await newIdp(slug);
});

const health = async (more = {}) => (await admin('GET', `/orgs/${slug}/health`, more)).body;
const commandsOf = async () => (await health()).advice.map(({ command }: { command: string }) => command);
const run = (statement: string, ...values: unknown[]) =>
  env.DB.prepare(statement)
    .bind(...values)
    .run();
const credentials = (sets: string) => run(`UPDATE credentials SET ${sets} WHERE org_id = ?`, idp.orgId);

/** So many changes by the IdP on each of the days that many days ago. */
async function changesOn(...daysAgo: number[]) {
  for (const [i, ago] of daysAgo.entries()) {
    await run(
      `INSERT INTO events (org_id, seq, at, type, actor, request_id, details) VALUES (?, ?, ?, 'user.updated', 'idp', 'r', '{}')`,
      idp.orgId,
      100 + i,
      Date.now() - ago * DAY,
    );
  }
}

describe('the health of an org', () => {
  it('says when which client was last there, what it changed day by day, and who is active', async () => {
    await idp.post('/Users', { userName: 'ada@x' }, { headers: { 'User-Agent': 'Okta SCIM Client 1.0.0' } });
    const { id } = await idp.user('bob@x');
    await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: false }]);
    await admin('PATCH', `/orgs/${slug}`, { body: { settings: { idp: 'okta' } } });
    const body = await health();
    expect(body).toMatchObject({
      scimEnabled: true,
      disabledAt: null,
      users: 2,
      activeUsers: 1,
      settings: { idp: 'okta' },
    });
    expect(body.clients).toMatchObject([
      { client: 'Okta SCIM Client 1.0.0', lastRequestAt: expect.stringMatching(/Z$/) },
    ]);
    expect(body.changes.days).toHaveLength(14);
    expect(body.changes.days.at(-1)).toEqual({ day: new Date().toISOString().slice(0, 10), count: 3 });
    expect(body.credentials).toMatchObject([{ kind: 'token', ageDays: 0, lastUsedAt: body.clients[0].lastRequestAt }]);
    expect(body.advice).toEqual([]);
  });

  it('shows no secret, and nothing of another org', async () => {
    const other = await newIdp(`${slug}-other`);
    await other.user('eve@x');
    const text = JSON.stringify(await health());
    expect(text).not.toContain(idp.token);
    expect(text).not.toContain(other.orgId);
    expect((await health()).changes.days.at(-1).count).toBe(0);
    expect((await admin('GET', '/orgs/nowhere/health')).status).toBe(404);
  });
});

describe('its advice', () => {
  it.each<[string, () => Promise<unknown>, RegExp, string]>([
    [
      'SCIM is off',
      () => admin('POST', `/orgs/${slug}/scim`, { body: { enabled: false } }),
      /^SCIM is off/,
      'scim enable SLUG',
    ],
    ['the org is off', () => admin('POST', `/orgs/${slug}/disable`, { body: {} }), /switched off/, 'org enable SLUG'],
    ['there is no token', () => admin('DELETE', `/orgs/${slug}/tokens`), /no valid credential/, 'token generate SLUG'],
    ['one has expired', () => credentials('valid_until = 1000'), /no valid credential/, 'token generate SLUG'],
    [
      'one expires',
      () => credentials(`valid_until = ${Date.now() + 5 * DAY - 60_000}`),
      /expires in 5 days/,
      'token rotate SLUG',
    ],
    [
      'one is old',
      () => credentials(`created_at = ${Date.now() - 400 * DAY}, last_used_at = ${Date.now()}`),
      /is 400 days old/,
      'token rotate SLUG',
    ],
    [
      'one was never used',
      () => credentials(`created_at = ${Date.now() - 2 * DAY}`),
      /was never used/,
      'refusals SLUG',
    ],
    [
      'an old one is in use',
      async () => {
        await admin('POST', `/orgs/${slug}/tokens/rotate`, { body: { grace: '1h' } });
        await credentials(`last_used_at = ${Date.now() + 1_000}`);
      },
      /still used after its rotation/,
      'token list SLUG',
    ],
    [
      'it is silent for longer than usual',
      () => changesOn(13, 12, 10, 9),
      /for 9 days\. Before, the longest pause was 2 days/,
      'events SLUG --since 14d',
    ],
    [
      'a revocation waits',
      () =>
        run(`INSERT INTO outbox (org_id, user_id, requested_at) VALUES (?, 'u', ?)`, idp.orgId, Date.now() - 90_000),
      /^Revocations of 1 users have waited/,
      'sessions pending SLUG',
    ],
    [
      'the brake holds somebody',
      () =>
        run(
          `INSERT INTO brake_held (org_id, user_id, operation, since, last_at, attempts) VALUES (?, 'u', 'delete', 1, 1, 1)`,
          idp.orgId,
        ),
      /^1 deactivations or deletions above the limit /,
      'held list SLUG',
    ],
    [
      'requests were refused',
      () =>
        run(
          `INSERT INTO refusals (org_id, day, reason, hint, credential_id, client, address, count, first_at, last_at)
           VALUES (?1, ?2 - 1, 'revoked', '', '', '', '', 7, 1, 1), (?1, ?2 - 9, 'unknown', '', '', '', '', 5, 1, 1)`,
          idp.orgId,
          Math.floor(Date.now() / DAY),
        ),
      /^Requests were rejected, 7 in the last 7 days: revoked 7\.$/,
      'refusals SLUG',
    ],
    [
      'the seats of the plan are taken',
      async () => {
        await idp.user('last@seat.example');
        const { activeUsers } = (await admin('GET', `/orgs/${slug}`)).body;
        await admin('PATCH', `/orgs/${slug}`, { body: { settings: { 'plan.seats': String(activeUsers) } } });
        expect((await health()).seats).toBe(activeUsers);
      },
      /seats are taken: no other user can become active\.$/,
      'org set SLUG plan.seats=none',
    ],
    [
      'the plan has no SCIM',
      () => admin('PATCH', `/orgs/${slug}`, { body: { settings: { 'plan.scim': 'false' } } }),
      /not part of the plan/,
      'org set SLUG plan.scim=true',
    ],
    [
      'a setting is in the way',
      () => admin('PATCH', `/orgs/${slug}`, { body: { settings: { unknownMembers: 'reject' } } }),
      /unknownMembers/,
      'org set SLUG unknownMembers=skip',
    ],
  ])('when %s names the command that helps', async (_, make, says, command) => {
    await make();
    const { advice } = await health();
    expect(advice.map((one: { says: string }) => one.says)).toContainEqual(expect.stringMatching(says));
    expect(await commandsOf()).toContain(command.replace('SLUG', slug));
    for (const one of await commandsOf()) {
      const name = one.split(` ${slug}`)[0];
      expect(commands.map((known: { name: string }) => known.name)).toContain(name);
    }
  });

  it('does not call a weekend silence, nor an org that has only begun', async () => {
    await changesOn(9, 8, 4, 1);
    expect(await commandsOf()).toEqual([]);
    await run('DELETE FROM events WHERE org_id = ? AND seq > 101', idp.orgId);
    expect(await commandsOf()).toEqual([]);
  });
});

it('is one round trip that goes through at most 20,000 events, by the index alone, of 100,000 with 20,000 users', async () => {
  await env.DB.batch([
    env.DB.prepare(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
      INSERT INTO events (org_id, seq, at, type, actor, target_id, request_id, details)
      SELECT ?1, 10 + i, ?2 - 5000 * (100000 - i), 'user.updated', 'idp', 'u' || (i % 20000), 'r', '{}' FROM n`,
    ).bind(idp.orgId, Date.now()),
  ]);
  const meter = new Meter();
  const body = await health({ env: { DB: meter.binding } });
  expect(body.changes.isComplete).toBe(false);
  expect(body.changes.silentDays).toBeNull();
  expect(meter.roundTrips).toBe(1);
  expect(meter.rowsRead).toBeLessThanOrEqual(40_100);
  const plans = await meter.plans();
  expect(plans.filter((line) => /^SCAN (events|credentials|refusals|outbox|users|orgs)\b/.test(line))).toEqual([]);
  expect(plans.filter((line) => / events USING (?!COVERING INDEX events_at)/.test(line))).toEqual([]);
});
