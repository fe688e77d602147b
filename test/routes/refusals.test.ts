/** What a refused caller is not told, the org's administrator is: each reason through the SCIM door, as it is asked for. */
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { hashOf, newSecret, type SecretKind } from '../../src/credentials/secret';
import { refusalCounter } from '../../src/routes/access/refusal';
import { type Answer, type Ask, admin, ask, BASE, type Idp, newIdp } from '../support/client';
import { rows } from '../support/database';

let idp: Idp;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`org-${++n}`);
});

const CLIENT = { 'User-Agent': 'Okta SCIM Client 1.0.0', 'CF-Connecting-IP': '192.0.2.7' };
const send = (authorization: string | undefined, path = '/scim/v2/Users', more: Ask = {}) =>
  ask('GET', BASE + path, {
    ...more,
    headers: { ...CLIENT, ...(authorization !== undefined && { Authorization: authorization }), ...more.headers },
  });
const refusals = async (slug = idp.slug, query = '') => (await admin('GET', `/orgs/${slug}/refusals${query}`)).body;
const orgPath = (slug = idp.slug) => `/orgs/${slug}/scim/v2/Users`;
const basic = (user: string, password: string) => `Basic ${btoa(`${user}:${password}`)}`;
const rotate = (body: object = {}) => admin('POST', `/orgs/${idp.slug}/tokens/rotate`, { body });
const maskOf = (token: string) => `scim_${token.slice(5, 9)}…${token.slice(-4)}`;

const visible = ({ status, headers, text }: Answer) => ({
  status,
  text,
  headers: [...headers].filter(([name]) => name !== 'x-request-id').sort(),
});

/** The one refusal that there is. */
async function refusal() {
  const all = await refusals();
  expect(all).toHaveLength(1);
  return all[0];
}

/** A credential of a kind that is given for a while, as the token endpoint makes it. */
async function given(kind: SecretKind, validUntil = Date.now() + 60_000): Promise<string> {
  const secret = await newSecret(kind, idp.orgId);
  await env.DB.prepare(
    `INSERT INTO credentials (id, org_id, kind, subject, hash, mask, generation, created_at, created_by, valid_until)
      VALUES (?, ?, ?, 'client-1', ?, 'mask', 0, 1, 'client:client-1', ?)`,
  )
    .bind(crypto.randomUUID(), idp.orgId, kind, await hashOf(secret), validUntil)
    .run();
  return secret;
}

describe('the administrator is told that', () => {
  it('a token was cut off', async () => {
    const before = Date.now();
    await send(`Bearer ${idp.token.slice(0, 44)}`);
    const it = await refusal();
    expect(it).toEqual({
      reason: 'malformed',
      hint: 'truncated',
      detail: 'the token is cut off, 44 of 57 characters arrived: copy it again',
      count: 1,
      firstAt: it.lastAt,
      lastAt: expect.stringMatching(/^\d{4}-.*Z$/),
      client: 'Okta SCIM Client 1.0.0',
      address: '192.0.2.7',
      mask: null,
      generation: null,
      source: null,
    });
    expect(Date.parse(it.lastAt)).toBeGreaterThanOrEqual(before);
  });

  it('a token had blanks in it, also where the scheme is left out', async () => {
    await send(`Bearer ${idp.token.slice(0, 30)} ${idp.token.slice(30)}`);
    await send(`${idp.token.slice(0, 30)} ${idp.token.slice(30)}`);
    expect(await refusal()).toMatchObject({ reason: 'malformed', hint: 'whitespace', count: 2 });
  });

  it('a token was mistyped', async () => {
    await send(`Bearer ${idp.token.slice(0, 30)}${idp.token[30] === 'x' ? 'y' : 'x'}${idp.token.slice(31)}`);
    expect(await refusal()).toMatchObject({ reason: 'malformed', hint: 'checksum' });
  });

  it('what was sent is nothing like a token, when the path says whose it was meant to be', async () => {
    await send('Bearer let-me-in');
    expect(await refusals()).toEqual([]);
    await send('Bearer let-me-in', orgPath());
    expect(await refusal()).toMatchObject({ reason: 'malformed', hint: 'form' });
  });

  it('nothing was sent to the org’s address', async () => {
    await send(undefined);
    expect(await refusals()).toEqual([]);
    await send(undefined, orgPath());
    await send('Bearer ', orgPath());
    expect(await refusal()).toMatchObject({ reason: 'missing', count: 2 });
  });

  it('a well-formed token is none of the org’s', async () => {
    await send(`Bearer ${await newSecret('token', idp.orgId)}`);
    await send(basic(idp.slug, await newSecret('basic', '000000000000')));
    expect(await refusal()).toMatchObject({ reason: 'unknown', count: 2, mask: null });
  });

  it('a token has expired', async () => {
    const validUntil = Date.now() - 5_000;
    await env.DB.prepare('UPDATE credentials SET valid_until = ? WHERE org_id = ?').bind(validUntil, idp.orgId).run();
    await send(`Bearer ${idp.token}`);
    const { detail, ...it } = await refusal();
    expect(it).toMatchObject({ reason: 'expired', mask: maskOf(idp.token), generation: 1 });
    expect(detail).toContain(new Date(validUntil).toISOString());
  });

  it('a token was rotated away: when, by whom, and which one took its place', async () => {
    await rotate({ by: 'ada', grace: '0' });
    await rotate({ by: 'bob', grace: '0' });
    await send(idp.token);
    const { detail, ...it } = await refusal();
    expect(it).toMatchObject({ reason: 'replaced', mask: maskOf(idp.token), generation: 1 });
    expect(detail).toMatch(/^generation 1 \(scim_.*\) was replaced by ada at \d{4}-.*Z, with generation 2: /);
  });

  it('a token was still used when the grace was over, and when another rotation had cut it short', async () => {
    await rotate({ by: 'ada', grace: '1h' });
    expect((await send(`Bearer ${idp.token}`)).status).toBe(200);
    await rotate({ by: 'bob', grace: '1h' });
    expect((await send(`Bearer ${idp.token}`)).status).toBe(401);
    expect(await refusal()).toMatchObject({ reason: 'replaced', detail: expect.stringContaining('by ada') });
  });

  it('a token was revoked: when and by whom', async () => {
    await admin('DELETE', `/orgs/${idp.slug}/tokens`, { headers: { 'X-Admin-By': 'grace' } });
    await send(`Bearer ${idp.token}`);
    const { detail, ...it } = await refusal();
    expect(it).toMatchObject({ reason: 'revoked', generation: 1 });
    expect(detail).toMatch(/^generation 1 \(scim_.*\) was revoked by grace at \d{4}-.*Z: /);
  });

  it('a rotation was cancelled that had made it', async () => {
    const { body } = await rotate({ by: 'ada', grace: '1h' });
    await admin('POST', `/orgs/${idp.slug}/tokens/cancel`, { body: { by: 'bob' } });
    await send(`Bearer ${body.token}`);
    expect(await refusal()).toMatchObject({
      reason: 'revoked',
      generation: 2,
      detail: expect.stringContaining('by bob'),
    });
  });

  it('SCIM is off', async () => {
    await admin('POST', `/orgs/${idp.slug}/scim`, { body: { enabled: false } });
    expect((await send(`Bearer ${idp.token}`)).status).toBe(403);
    expect(await refusal()).toMatchObject({ reason: 'disabled', mask: maskOf(idp.token), generation: 1 });
  });

  it('a good token came by another org’s address, or by nobody’s', async () => {
    const other = await newIdp(`other-${n}`);
    await send(`Bearer ${idp.token}`, orgPath(other.slug));
    await send(`Bearer ${idp.token}`, orgPath('nobody'));
    const it = await refusal();
    expect(it).toMatchObject({ reason: 'wrong_org', hint: 'path', count: 2, generation: 1 });
    expect(JSON.stringify(it)).not.toContain(other.slug);
    expect(await refusals(other.slug)).toEqual([]);
  });

  it('a good password came with another user name than the slug', async () => {
    const { body } = await admin('POST', `/orgs/${idp.slug}/basic`, { body: {} });
    expect((await send(basic(idp.slug, body.password))).status).toBe(200);
    await send(basic('admin', body.password));
    await send(basic('admin', body.password), orgPath());
    expect(await refusal()).toMatchObject({ reason: 'wrong_org', hint: 'user_name', count: 2 });
  });

  it.each<[SecretKind, string]>([
    ['oauth_refresh', 'a refresh token'],
    ['oauth_client', 'the secret of an OAuth client'],
    ['oauth_code', 'an authorization code'],
    ['basic', 'the password of Basic'],
  ])('a credential of another kind came as a bearer token: %s', async (kind, what) => {
    await send(`Bearer ${await newSecret(kind, idp.orgId)}`);
    expect(await refusal()).toMatchObject({
      reason: 'wrong_kind',
      hint: kind,
      detail: expect.stringContaining(`${what} was sent where`),
    });
  });

  it('the token came as the password of Basic, and which one it was', async () => {
    await send(basic(idp.slug, idp.token));
    expect(await refusal()).toMatchObject({ reason: 'wrong_kind', hint: 'token', mask: maskOf(idp.token) });
  });

  it('an access token has expired', async () => {
    await send(`Bearer ${await given('oauth_access', Date.now() - 1_000)}`);
    expect(await refusal()).toMatchObject({ reason: 'expired', mask: 'mask', generation: null });
  });

  it('a token died between the reading and the writing of one request', async () => {
    const { id } = await idp.user('ada@example.com');
    let reads = 0;
    const revokedInBetween = {
      prepare: (text: string) => env.DB.prepare(text),
      batch: async (statements: D1PreparedStatement[]) => {
        const results = await env.DB.batch(statements);
        if (++reads === 1) await admin('DELETE', `/orgs/${idp.slug}/tokens`);
        return results;
      },
    } as unknown as D1Database;
    const operations = [{ op: 'replace', path: 'title', value: 'x' }];
    const answer = await idp.patch(`/Users/${id}`, operations, { env: { DB: revokedInBetween } });
    expect(visible(answer)).toEqual(visible(await send(undefined)));
    expect(await refusal()).toMatchObject({ reason: 'revoked', count: 1 });
  });
});

describe('a refusal', () => {
  it('looks the same to the caller whatever the reason', async () => {
    const dead = await newIdp(`dead-${n}`);
    await admin('DELETE', `/orgs/${dead.slug}/tokens`);
    const expected = visible(await send(undefined));
    expect(expected.status).toBe(401);
    for (const header of [
      'Bearer x',
      `Bearer ${idp.token.slice(0, 40)}`,
      `Bearer ${idp.token.slice(0, 40)} ${idp.token.slice(40)}`,
      `Bearer ${await newSecret('token', idp.orgId)}`,
      `Bearer ${await newSecret('oauth_refresh', idp.orgId)}`,
      `Bearer ${dead.token}`,
      basic('someone', idp.token),
    ]) {
      for (const path of ['/scim/v2/Users', '/scim/v2/Nothing', orgPath(), orgPath('nobody')]) {
        expect({ header, path, ...visible(await send(header, path)) }).toEqual({ header, path, ...expected });
      }
    }
  });

  it('is counted by client, address and credential; its first and last time are kept', async () => {
    const truncated = `Bearer ${idp.token.slice(0, 44)}`;
    await send(truncated);
    await send(truncated, undefined, { headers: { 'User-Agent': 'curl/8' } });
    await send(truncated, undefined, { headers: { 'CF-Connecting-IP': '2001:db8::1' } });
    await send(truncated, undefined, {
      headers: { 'User-Agent': 'x'.repeat(500), 'CF-Connecting-IP': '9'.repeat(99) },
    });
    await send(truncated);
    const all = await refusals();
    expect(all.map(({ client, address, count }: Record<string, unknown>) => [client, address, count])).toEqual([
      ['Okta SCIM Client 1.0.0', '192.0.2.7', 2],
      ['x'.repeat(200), '9'.repeat(45), 1],
      ['Okta SCIM Client 1.0.0', '2001:db8::1', 1],
      ['curl/8', '192.0.2.7', 1],
    ]);
    expect(Date.parse(all[0].firstAt)).toBeLessThanOrEqual(Date.parse(all[3].firstAt));
    const since = new Date(Date.parse(all[0].lastAt) + 1).toISOString();
    expect(await refusals(idp.slug, `?since=${since}`)).toEqual([]);
    expect(await refusals(idp.slug, `?since=${all[0].lastAt}`)).toContainEqual(all[0]);
    const wrong = await admin('GET', `/orgs/${idp.slug}/refusals?since=yesterday`);
    expect({ status: wrong.status, detail: wrong.body.detail }).toMatchObject({
      status: 400,
      detail: expect.stringContaining('since'),
    });
  });

  it('of one org is nobody else’s, and of an org that is not there is a 404', async () => {
    const other = await newIdp(`beside-${n}`);
    await send(`Bearer ${idp.token.slice(0, 44)}`);
    await send(`Bearer ${other.token.slice(0, 43)}`, orgPath());
    expect(await refusal()).toMatchObject({ detail: expect.stringContaining('44 of 57') });
    expect(await refusals(other.slug)).toMatchObject([{ detail: expect.stringContaining('43 of 57') }]);
    expect((await admin('GET', '/orgs/nobody/refusals')).status).toBe(404);
  });

  it('goes with its org', async () => {
    await send(undefined, orgPath());
    expect(await rows('SELECT reason FROM refusals WHERE org_id = ?', idp.orgId)).toHaveLength(1);
    await admin('DELETE', `/orgs/${idp.slug}?confirm=${idp.slug}`);
    await send(`Bearer ${idp.token}`, orgPath());
    expect(await rows('SELECT reason FROM refusals WHERE org_id = ?', idp.orgId)).toEqual([]);
  });

  it('leaves nothing of what was presented in any table', async () => {
    const typed = `scim_${idp.orgId}_hunter2hunter2`;
    await send(`Bearer ${typed}`);
    await send(basic(idp.slug, 'hunter2hunter2'));
    await send(`Bearer ${idp.token}x`);
    const all = JSON.stringify(await rows('SELECT * FROM refusals'));
    expect(all).toContain('truncated');
    expect(all).not.toContain('hunter2');
    expect(all).not.toContain(idp.token.slice(18, 40));
  });
});

describe('under attack', () => {
  const interval = refusalCounter.interval;
  afterEach(() => {
    refusalCounter.interval = interval;
  });

  it('two thousand bad requests at once are counted to the last one, and written a few times', async () => {
    refusalCounter.interval = 200;
    const from = Date.now();
    let writes = 0;
    const counted = {
      prepare: (text: string) => env.DB.prepare(text),
      batch: (statements: D1PreparedStatement[]) => {
        writes++;
        return env.DB.batch(statements);
      },
    } as unknown as D1Database;
    const { token } = idp;
    const headers = [
      `Bearer ${token.slice(0, 44)}`,
      `Bearer ${token.slice(0, 20)} ${token.slice(20)}`,
      undefined,
      'Bearer x',
    ];
    const answers = await Promise.all(
      Array.from({ length: 2_000 }, (_, i) =>
        send(headers[i % 4], orgPath(), {
          headers: { 'CF-Connecting-IP': `10.0.${i % 8}.1` },
          env: { DB: counted },
        }),
      ),
    );
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    const all: { reason: string; hint: string | null; count: number }[] = await refusals();
    expect(all.reduce((sum, { count }) => sum + count, 0)).toBe(2_000);
    const of = (wanted: string | null) =>
      all.filter(({ hint }) => hint === wanted).reduce((sum, { count }) => sum + count, 0);
    expect([of('truncated'), of('whitespace'), of('form'), of(null)]).toEqual([500, 500, 500, 500]);
    expect(writes).toBeLessThanOrEqual((Date.now() - from) / 200 + 2);
  }, 60_000);

  it('what an org is shown is bounded, and the count exact', async () => {
    await Promise.all(
      Array.from({ length: 400 }, (_, i) =>
        send(undefined, orgPath(), { headers: { 'User-Agent': `bot ${i}`, 'CF-Connecting-IP': `10.1.${i % 250}.1` } }),
      ),
    );
    const all: { hint: string | null; count: number; client: string | null }[] = await refusals();
    expect(all.length).toBeLessThanOrEqual(51);
    expect(all.reduce((sum, { count }) => sum + count, 0)).toBe(400);
    expect(all.find(({ hint }) => hint === 'others')).toMatchObject({
      client: null,
      address: null,
      detail: expect.stringContaining('counted together'),
    });
  });

  it('a database that fails while it is written changes no answer, and the count is there with the next one', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const down = {
      prepare: (text: string) => env.DB.prepare(text),
      batch: () => Promise.reject(new Error('D1_ERROR: overloaded')),
    } as unknown as D1Database;
    const expected = visible(await send(undefined));
    try {
      for (let i = 0; i < 3; i++) {
        expect(visible(await send(undefined, orgPath(), { env: { DB: down } }))).toEqual(expected);
      }
      expect(log).toHaveBeenCalled();
    } finally {
      log.mockRestore();
    }
    expect(await refusals()).toEqual([]);
    await send(undefined, orgPath());
    expect(await refusal()).toMatchObject({ reason: 'missing', count: 4 });
  });
});
