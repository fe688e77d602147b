/** /health, and what a service that is set up wrongly says: the name of the variable, and no value. */
import { env } from 'cloudflare:workers';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Env } from '../../src/env';
import { admin, ask, BASE, host, type Idp, newIdp } from '../support/client';
import { expectRefusal } from '../support/refusal';

let idp: Idp;
beforeAll(async () => {
  idp = await newIdp('health');
});
const log = { warn: vi.fn(), error: vi.fn() };
beforeEach(() => {
  vi.spyOn(console, 'warn').mockImplementation(log.warn);
  vi.spyOn(console, 'error').mockImplementation(log.error);
});
afterEach(() => {
  vi.restoreAllMocks();
  log.warn.mockReset();
  log.error.mockReset();
});

const health = (bindings: Partial<Env> = {}) => ask('GET', `${BASE}/health`, { env: bindings });
const withToken = (path: string, token: string, bindings: Partial<Env>) =>
  ask('GET', `${BASE}${path}`, { headers: { Authorization: `Bearer ${token}` }, env: bindings });

it('is ok when every variable is', async () => {
  const answer = await health();
  expect([answer.status, answer.body.status, answer.headers.get('Cache-Control')]).toEqual([200, 'ok', 'no-store']);
  expect((await health({ PUBLIC_URL: 'https://scim.example.com/', ALLOW_LOOPBACK_JWKS: 'true' })).status).toBe(200);
  // The log says each fault once a minute.
  expect(log.warn).not.toHaveBeenCalled();
});

describe('a variable that is wrong', () => {
  const SHORT = 'secret-of-31-characters-1234567';
  const wrong: [variable: keyof Env, bindings: Partial<Env>][] = [
    ['SESSION_MAX_AGE', { SESSION_MAX_AGE: 'a secret' }],
    ['PUBLIC_URL', { PUBLIC_URL: 'a secret' }],
    ['PUBLIC_URL', { PUBLIC_URL: 'ftp://secret' }],
    ['PUBLIC_URL', { PUBLIC_URL: 'https://user:secret@scim.example.com' }],
    ['PUBLIC_URL', { PUBLIC_URL: 'https://scim.example.com/?secret' }],
    ['REGION', { REGION: 'a secret' }],
    ['REGION_URLS', { REGION: 'us', REGION_URLS: 'a secret' }],
    ['DO_JURISDICTION', { DO_JURISDICTION: 'a secret' }],
    ['ALLOW_LOOPBACK_JWKS', { ALLOW_LOOPBACK_JWKS: 'a secret' }],
    ['ADMIN_TOKEN', { ADMIN_TOKEN: SHORT }],
    ['HOST_TOKEN', { HOST_TOKEN: SHORT }],
    ['ADMIN_TOKEN', { ADMIN_TOKEN: `${SHORT} a blank within` }],
  ];

  it.each(wrong)('%s fails /health, which names it and shows no value', async (variable, bindings) => {
    const { status, text, body } = await health(bindings);
    expect(status).toBe(503);
    expect(body).toEqual({
      status: 'misconfigured',
      variables: [{ variable, detail: expect.stringMatching(new RegExp(`^${variable}: .* expected`)) }],
    });
    expect(text).not.toContain('secret');
  });

  it('is told in the log once a minute, without its value', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      vi.setSystemTime(Math.ceil(Date.now() / 60_000) * 60_000 + 300_000);
      for (let i = 0; i < 3; i++) await health({ ADMIN_TOKEN: SHORT });
      for (let i = 0; i < 3; i++) await admin('GET', '/orgs', { env: { ADMIN_TOKEN: SHORT } });
      expect(log.warn).toHaveBeenCalledTimes(1);
      expect(JSON.parse(log.warn.mock.calls[0]![0])).toEqual({
        message: 'the service is not set up correctly',
        why: 'ADMIN_TOKEN: at least 32 characters were expected',
      });
    } finally {
      vi.useRealTimers();
    }
  });

  it.each(wrong.slice(0, 4))('%s: every API says so with 503, and nothing is a 500', async (variable, bindings) => {
    const answer = await idp.get('/Users', { env: bindings });
    expectRefusal(answer, 503, undefined, new RegExp(variable));
    expect(answer.headers.get('Retry-After')).toBe('60');
    for (const { status, text } of [
      await admin('GET', '/orgs', { env: bindings }),
      await host('GET', '/events?org=health', { env: bindings }),
      await ask('POST', `${BASE}/oauth/token`, {
        raw: `grant_type=client_credentials&client_id=${idp.orgId}_0123456789abcdef&client_secret=x`,
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
        env: bindings,
      }),
    ]) {
      expect([401, 503], text).toContain(status);
      expect(text).not.toContain('secret"');
    }
  });
});

describe('a token of the vendor’s own programs that is weak', () => {
  const SAME = 'one-and-the-same-token-0123456789abcdef';
  it.each<[string, string, string, Partial<Env>]>([
    ['an admin token of 31 characters', '/admin/v1/orgs', 'x'.repeat(31), { ADMIN_TOKEN: 'x'.repeat(31) }],
    ['a host token of 31 characters', '/sessions/v1/events?org=health', 'x'.repeat(31), { HOST_TOKEN: 'x'.repeat(31) }],
    ['an admin token that is the host token', '/admin/v1/orgs', SAME, { ADMIN_TOKEN: SAME, HOST_TOKEN: SAME }],
    [
      'a host token that is the admin token',
      '/sessions/v1/events?org=health',
      SAME,
      { ADMIN_TOKEN: SAME, HOST_TOKEN: SAME },
    ],
  ])('%s opens nothing, and identity providers go on', async (_, path, token, bindings) => {
    const { status, body } = await withToken(path, token, bindings);
    expect([status, body.detail]).toEqual([
      503,
      expect.stringMatching(/^The service is not set up correctly\. (ADMIN|HOST)_TOKEN: /),
    ]);
    expect((await idp.get('/Users', { env: bindings })).status).toBe(200);
    expect((await health(bindings)).status).toBe(503);
  });

  it('is weak below 32 characters, and good from there on', async () => {
    expect((await withToken('/admin/v1/orgs', 'x'.repeat(32), { ADMIN_TOKEN: 'x'.repeat(32) })).status).toBe(200);
    expect(env.ADMIN_TOKEN!.length).toBeGreaterThanOrEqual(32);
  });

  it('that is weak leaves the other API open', async () => {
    expect((await admin('GET', '/orgs', { env: { HOST_TOKEN: 'short' } })).status).toBe(200);
    expect((await host('GET', '/events?org=health', { env: { ADMIN_TOKEN: 'short' } })).status).toBe(200);
  });
});
