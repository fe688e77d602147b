/// <reference types="vite/client" />
/** Brakes: what is too much is answered with 429, and what is no good is never in the way of what is. */
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { hashOf, newSecret } from '../../src/credentials/secret';
import type { Env } from '../../src/env';
import { callers } from '../../src/routes/access/rate-limits';
import { refusalCounter } from '../../src/routes/access/refusal';
import { RATES } from '../../src/store/org/settings';
import config from '../../wrangler.toml?raw';
import { type Answer, type Ask, admin, ask, BASE, type Idp, newIdp } from '../support/client';
import { Meter } from '../support/meter';
import { newClient, post, tokenOf } from '../support/oauth';
import { countInRuntime } from '../support/rate-limits';
import { expectRefusal } from '../support/refusal';

countInRuntime();

let idp: Idp;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`org-${++n}`);
});

const set = (settings: Record<string, string>) => admin('PATCH', `/orgs/${idp.slug}`, { body: { settings } });
const get = (authorization: string | undefined, address: string, more: Ask = {}) =>
  ask('GET', `${BASE}/scim/v2/Users?count=1`, {
    ...more,
    headers: { 'CF-Connecting-IP': address, ...(authorization !== undefined && { Authorization: authorization }) },
  });
const statuses = (answers: Answer[]) => {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
};
const times = <T>(count: number, make: (i: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, i) => make(i)));

/**
 * Uses up what a limiter allows a key. It counts in windows of the clock, so it may be that another one begins before the
 * request that is to be stopped: then it is tried again.
 */
async function exhausted(limiter: RateLimit, key: string, limit: number, request: () => Promise<Answer>) {
  for (let attempt = 0; ; attempt++) {
    await times(limit + 1, () => limiter.limit({ key }));
    const answer = await request();
    if (answer.status === 429 || attempt === 5) return answer;
  }
}

function expectBraked(answer: Answer): void {
  expectRefusal(answer, 429, undefined, /try again later/);
  // Okta reads whole seconds and nothing else.
  expect(answer.headers.get('Retry-After')).toMatch(/^[1-9]\d*$/);
}

/** A limiter that notes by which keys it was asked, and lets all through but what it is told to stop. */
class Noted {
  readonly keys: string[] = [];
  constructor(private readonly isStopped: (key: string) => boolean = () => false) {}
  readonly binding: RateLimit = {
    limit: async ({ key }) => {
      this.keys.push(key);
      return { success: !this.isStopped(key) };
    },
  };
}

describe('the brake of an org', () => {
  it('counts in units of 25 a second for ten seconds, with a fifth more, of which each step of the setting is some', () => {
    const [, limit, period] =
      /name = "RATE_25"\nnamespace_id = "\d+"\nsimple = \{ limit = (\d+), period = (\d+) \}/.exec(config) ?? [];
    expect([Number(limit), Number(period)]).toEqual([25 * 10 * 1.2, 10]);
    expect(env.RATE_25).toBeDefined();
    expect(RATES.map((rate) => rate / 25)).toEqual([1, 4, 20]);
  });

  it('at 25 passes what 25 a second come to in ten seconds, even all at once, and stops what is beyond the headroom', async () => {
    await set({ rateLimit: '25' });
    expect((await idp.get('/Users')).status).toBe(200); // from now on it is known here
    const beside = await newIdp(`beside-${n}`);
    const meter = new Meter();
    expect(statuses(await times(250, () => idp.get('/ServiceProviderConfig')))).toEqual({ 200: 250 });
    let trips = Number.NaN;
    const answer = await exhausted(env.RATE_25!, `org:${idp.orgId}`, 300, () => {
      meter.reset();
      return idp.get('/Users', {
        env: { DB: meter.binding },
        onAnswer: () => {
          trips = meter.roundTrips;
        },
      });
    });
    expectBraked(answer);
    expect(trips).toBe(0);
    expect((await beside.get('/Users')).status).toBe(200);
    const [refusal] = (await admin('GET', `/orgs/${idp.slug}/refusals`)).body;
    expect(refusal).toMatchObject({ reason: 'rate_limited', count: 1, generation: 1 });
  }, 60_000);

  it('asks once for so many requests as the rate of the org is units, the first one of a credential among them', async () => {
    const asked = async (requests: number) => {
      const noted = new Noted();
      for (let i = 0; i < requests; i++) await idp.get('/ServiceProviderConfig', { env: { RATE_25: noted.binding } });
      return noted.keys;
    };
    await set({ rateLimit: '100' });
    expect(await asked(3)).toEqual([]);
    expect(await asked(1)).toEqual([`org:${idp.orgId}`]);
    expect(await asked(8)).toHaveLength(2);
    await set({ rateLimit: '25' });
    await asked(1); // the new setting is known from its answer on
    expect(await asked(3)).toHaveLength(3);
    await set({ rateLimit: 'none' });
    await asked(1);
    expect(await asked(40)).toHaveLength(2);
  });

  it('asks for each request of an org that is over its rate, until one may pass', async () => {
    await set({ rateLimit: '100' });
    await idp.get('/Users');
    let isStopped = true;
    const noted = new Noted(() => isStopped);
    const use = () => idp.get('/ServiceProviderConfig', { env: { RATE_25: noted.binding } });
    expect(statuses([await use(), await use(), await use(), await use(), await use()])).toEqual({ 200: 2, 429: 3 });
    expect(noted.keys).toHaveLength(3);
    isStopped = false;
    expect(statuses([await use(), await use(), await use()])).toEqual({ 200: 3 });
    expect(noted.keys).toHaveLength(4);
  });

  it('does not count what was refused: not a token that was good once, nor one that never was', async () => {
    await set({ rateLimit: '25' });
    const noted = new Noted();
    const bindings = { env: { RATE_25: noted.binding } };
    const { token } = idp;
    await idp.get('/Users', bindings);
    await admin('DELETE', `/orgs/${idp.slug}/tokens`);
    for (let i = 0; i < 3; i++) expect((await idp.get('/Users', bindings)).status).toBe(401);
    // The second of them was known still, and is forgotten.
    expect(noted.keys).toEqual([`org:${idp.orgId}`, `org:${idp.orgId}`]);
    await get(await newSecret('token', idp.orgId), '192.0.2.1', bindings);
    await get(`Bearer ${token.slice(0, -1)}`, '192.0.2.1', bindings);
    expect(noted.keys).toHaveLength(2);
  });

  it('is not dodged with a fresh access token for each request, and the mint is braked with it', async () => {
    await set({ rateLimit: '25' });
    const client = await newClient(idp);
    const minted = await times(6, async () => (await tokenOf(client)).body.access_token as string);
    const stopped = new Noted((key) => key === `org:${idp.orgId}`);
    const bindings = { env: { RATE_25: stopped.binding } };
    const use = (token: string, more: Ask = {}) => get(`Bearer ${token}`, '192.0.2.3', { ...bindings, ...more });
    // The first one is served, for it is counted once it was found good. From then on its org is known to be over its rate.
    expect((await use(minted[0]!)).status).toBe(200);
    const meter = new Meter();
    let trips = Number.NaN;
    const braked = await use(minted[1]!, {
      env: { ...bindings.env, DB: meter.binding },
      onAnswer: () => {
        trips = meter.roundTrips;
      },
    });
    expectBraked(braked);
    expect(trips).toBe(1); // the check, and no work
    for (const token of minted.slice(2)) expectBraked(await use(token));
    const mint = await tokenOf(client, bindings);
    expect([mint.status, mint.body.error]).toEqual([429, 'temporarily_unavailable']);
    const unknown = await tokenOf({ ...client, ...(await newClient(idp)) }, bindings);
    expect(unknown.status).toBe(429);
    // A stranger that names the org learns nothing of it.
    expect((await use(await newSecret('token', idp.orgId))).status).toBe(401);
    const reasons = (await admin('GET', `/orgs/${idp.slug}/refusals`)).body as { reason: string }[];
    expect(reasons.map(({ reason }) => reason)).toContain('rate_limited');
  });

  it('is no check: a dead token that it let through is refused, and a stopped one is not told of its death', async () => {
    await set({ rateLimit: '25' });
    await idp.get('/Users');
    await admin('DELETE', `/orgs/${idp.slug}/tokens`);
    const all = new Noted(() => true);
    expectBraked(await idp.get('/Users', { env: { RATE_25: all.binding } }));
    expect((await idp.get('/Users')).status).toBe(401);
  });

  it.each<[string, Partial<Env>]>([
    ['is missing', { RATE_25: undefined, FAILED_AUTH: undefined } as unknown as Partial<Env>],
    [
      'fails',
      {
        RATE_25: { limit: () => Promise.reject(new Error('no')) },
        FAILED_AUTH: { limit: () => Promise.reject(new Error('no')) },
      },
    ],
  ])('is none where its binding %s', async (_, bindings) => {
    await set({ rateLimit: '25' });
    const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    try {
      expect((await idp.get('/Users', { env: bindings })).status).toBe(200);
      expect((await get('Bearer x', '192.0.2.2', { env: bindings })).status).toBe(401);
    } finally {
      log.mockRestore();
    }
  });

  it('keeps in mind so many callers, those that came last', () => {
    for (let i = 0; i < 6_000; i++) {
      callers.keep(`h${i}`, { id: `o${i}`, settings: {} });
      callers.keep('busy', { id: 'org', settings: {} });
    }
    expect(callers.get('h0')).toBeUndefined();
    expect(callers.get('h5999')).toEqual({ orgId: 'o5999', rate: 500, size: 0 });
    expect(callers.get('busy')).toBeDefined();
    for (let i = 0; i < 6_000; i++) callers.forget(`h${i}`);
  });
});

describe('the setting rateLimit', () => {
  it('is one of the steps, and shown as a number', async () => {
    for (const rate of RATES) {
      expect((await set({ rateLimit: String(rate) })).body.settings).toEqual({ rateLimit: rate });
    }
    for (const wrong of ['50', '0', '-25', '25.0', 'fast', '']) {
      const { status, body } = await set({ rateLimit: wrong });
      expect({ wrong, status, detail: body.detail }).toEqual({
        wrong,
        status: 400,
        detail: 'rateLimit: 25, 100 or 500 (requests a second) was expected',
      });
    }
    expect((await set({ rateLimit: 'none' })).body.settings).toEqual({});
  });
});

describe('the brake of an address that fails', () => {
  it('is a 429 in the place of the 401, the same for every reason, and for that address alone', async () => {
    const refused = new Noted();
    const stopping = new Noted((key) => key === '192.0.2.9');
    const revoked = await newIdp(`revoked-${n}`);
    await admin('DELETE', `/orgs/${revoked.slug}/tokens`);
    const headers = [
      'Bearer x',
      `Bearer ${idp.token.slice(0, 40)}`,
      `Bearer ${await newSecret('token', idp.orgId)}`,
      `Bearer ${await newSecret('oauth_refresh', idp.orgId)}`,
      `Bearer ${revoked.token}`,
      `Basic ${btoa(`${idp.slug}:${idp.token}`)}`,
    ];
    const texts = new Set<string>();
    for (const header of headers) {
      const answer = await get(header, '192.0.2.9', { env: { FAILED_AUTH: stopping.binding } });
      expectBraked(answer);
      expect(answer.headers.get('WWW-Authenticate')).toBeNull();
      texts.add(`${answer.text} ${answer.headers.get('Retry-After')}`);
      expect((await get(header, '192.0.2.8', { env: { FAILED_AUTH: stopping.binding } })).status).toBe(401);
      // Nobody knows from where: no brake.
      const { status } = await ask('GET', `${BASE}/scim/v2/Users`, {
        env: { FAILED_AUTH: refused.binding },
        headers: { Authorization: header },
      });
      expect(status).toBe(401);
    }
    expect(texts.size).toBe(1);
    expect(refused.keys).toEqual([]);
    expect(new Set(stopping.keys)).toEqual(new Set(['192.0.2.9', '192.0.2.8']));
  });

  it('answers before the body is read and before D1 is asked', async () => {
    const meter = new Meter();
    const stopping = new Noted(() => true);
    let isRead = false;
    const body = new ReadableStream(
      {
        pull(controller) {
          isRead = true;
          controller.enqueue(new TextEncoder().encode('{}'));
          controller.close();
        },
      },
      { highWaterMark: 0 },
    );
    let trips = Number.NaN;
    const answer = await ask('POST', `${BASE}/scim/v2/Bulk`, {
      raw: body,
      headers: { Authorization: `Bearer ${await newSecret('token', idp.orgId)}`, 'CF-Connecting-IP': '192.0.2.9' },
      env: { DB: meter.binding, FAILED_AUTH: stopping.binding },
      onAnswer: () => {
        trips = meter.roundTrips;
      },
    });
    expectBraked(answer);
    expect({ trips, asked: stopping.keys }).toEqual({ trips: 0, asked: ['192.0.2.9'] });
    expect(isRead).toBe(false);
  });

  it('counts a request once, whether it fails or not', async () => {
    const noted = new Noted();
    const from = (token: string) => get(`Bearer ${token}`, '192.0.2.9', { env: { FAILED_AUTH: noted.binding } });
    expect((await from(await newSecret('token', idp.orgId))).status).toBe(401);
    expect(noted.keys).toHaveLength(1);
    expect((await from(idp.token)).status).toBe(200); // not known before
    expect(noted.keys).toHaveLength(2);
    expect((await from(idp.token)).status).toBe(200);
    expect(noted.keys).toHaveLength(2);
    await admin('DELETE', `/orgs/${idp.slug}/tokens`);
    expect((await from(idp.token)).status).toBe(401);
    expect(noted.keys).toHaveLength(3);
  });

  it('lets a credential pass that was good here, whether SCIM is on or off, in a new isolate too', async () => {
    expect((await get(`Bearer ${idp.token}`, '192.0.2.9')).status).toBe(200);
    const noted = new Noted(() => true);
    const bindings = { env: { FAILED_AUTH: noted.binding } };
    expect((await get(`Bearer ${idp.token}`, '192.0.2.9', bindings)).status).toBe(200);
    await admin('POST', `/orgs/${idp.slug}/scim`, { body: { enabled: false } });
    expect((await get(`Bearer ${idp.token}`, '192.0.2.9', bindings)).status).toBe(403);
    expect(noted.keys).toEqual([]);
    callers.forget(await hashOf(idp.token)); // as a new isolate is
    expect((await get(`Bearer ${idp.token}`, '192.0.2.9', bindings)).status).toBe(403);
    expect(noted.keys).toEqual(['192.0.2.9']);
    await admin('DELETE', `/orgs/${idp.slug}/tokens`);
    // It is dead, and found out by the check; from then on it is a stranger's.
    expect((await get(`Bearer ${idp.token}`, '192.0.2.9', { env: { FAILED_AUTH: new Noted().binding } })).status).toBe(
      401,
    );
    expectBraked(await get(`Bearer ${idp.token}`, '192.0.2.9', bindings));
  });

  it('does not count a request without a credential: a client may send it once it was asked', async () => {
    const noted = new Noted(() => true);
    for (const header of [undefined, '', 'Bearer', 'Basic ']) {
      const meter = new Meter();
      const answer = await get(header, '192.0.2.9', { env: { DB: meter.binding, FAILED_AUTH: noted.binding } });
      expect(answer.status).toBe(401);
      expect(answer.headers.get('WWW-Authenticate')).toMatch(/^Bearer .*Basic /);
      expect(meter.roundTrips).toBe(0);
    }
    for (const path of ['/admin/v1/orgs', '/sessions/v1/events?org=x']) {
      const headers = { 'CF-Connecting-IP': '192.0.2.9' };
      expect((await ask('GET', `${BASE}${path}`, { headers, env: { FAILED_AUTH: noted.binding } })).status).toBe(401);
    }
    const unnamed = await post(
      '/token',
      { grant_type: 'client_credentials' },
      {
        headers: { 'CF-Connecting-IP': '192.0.2.9' },
        env: { FAILED_AUTH: noted.binding },
      },
    );
    expect(unnamed.status).toBe(401);
    expect(noted.keys).toEqual([]);
  });

  it('says in the refusals that a good credential was not checked', async () => {
    const stopping = new Noted(() => true);
    expectBraked(await get(`Bearer ${idp.token}`, '192.0.2.9', { env: { FAILED_AUTH: stopping.binding } }));
    const [refusal] = (await admin('GET', `/orgs/${idp.slug}/refusals`)).body;
    expect(refusal).toMatchObject({
      reason: 'rate_limited',
      hint: 'address',
      detail: expect.stringMatching(/too many requests without a valid credential/),
    });
  });

  it('counts an IPv6 network as one address, however its addresses are written', async () => {
    const noted = new Noted();
    const of = async (address: string) => {
      await get('Bearer x', address, { env: { FAILED_AUTH: noted.binding } });
      return noted.keys.at(-1);
    };
    expect(await of('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2');
    expect(await of('2001:db8:1:2::9')).toBe('2001:db8:1:2');
    expect(await of('2001:db8::9')).toBe('2001:db8:0:0');
    expect(await of('2001::1:2:3:4:5:6')).toBe('2001:0:1:2');
    expect(await of('::1')).toBe('0:0:0:0');
    expect(await of('::ffff:192.0.2.1')).toBe('::ffff:192.0.2.1');
    expect(await of('192.0.2.1')).toBe('192.0.2.1');
  });

  it('is reached after 300 a minute', async () => {
    expect(config).toContain('name = "FAILED_AUTH"\nnamespace_id = "640401"\nsimple = { limit = 300, period = 60 }');
    const answer = await exhausted(env.FAILED_AUTH!, '192.0.2.10', 300, () => get('Bearer x', '192.0.2.10'));
    expectBraked(answer);
    expect((await get('Bearer x', '192.0.2.11')).status).toBe(401);
  }, 60_000);
});

describe('a flood of bad tokens', () => {
  const { interval } = refusalCounter;
  afterEach(() => {
    refusalCounter.interval = interval;
  });

  it('does not lock out the good client beside it, at the same address and of the same org, nor cost it a round trip', async () => {
    refusalCounter.interval = 1_000;
    await set({ rateLimit: '25' });
    expect((await get(`Bearer ${idp.token}`, '192.0.2.20')).status).toBe(200);
    const unknown = await times(100, () => newSecret('token', idp.orgId));
    const bad = [idp.token.slice(0, 44), `${idp.token}x`, 'let-me-in', ...unknown];
    const meter = new Meter();
    const flood = times(700, (i) => get(`Bearer ${bad[i % bad.length]}`, '192.0.2.20'));
    const good = times(60, () => get(`Bearer ${idp.token}`, '192.0.2.20', { env: { DB: meter.binding } }));
    expect(statuses(await good)).toEqual({ 200: 60 });
    expect(meter.roundTrips).toBe(60);
    const answers = statuses(await flood);
    expect(Object.keys(answers).filter((status) => status !== '401' && status !== '429')).toEqual([]);
    expect(answers[429]).toBeGreaterThan(0);
    expect((await get(`Bearer ${idp.token}`, '192.0.2.20')).status).toBe(200);
    const all: { reason: string; count: number }[] = (await admin('GET', `/orgs/${idp.slug}/refusals`)).body;
    expect(all.map(({ reason }) => reason)).not.toContain('rate_limited');
    // All but "let-me-in", which names no org.
    const named = Array.from({ length: 700 }, (_, i) => i % bad.length).filter((i) => i !== 2).length;
    expect(all.reduce((sum, { count }) => sum + count, 0)).toBe(named);
  }, 60_000);

  it('writes about once a second, whatever it is made of', async () => {
    refusalCounter.interval = 1_000;
    const meter = new Meter();
    const from = Date.now();
    await times(600, async (i) =>
      get(`Bearer ${idp.token.slice(0, 20 + (i % 30))}`, `10.2.${i % 200}.1`, { env: { DB: meter.binding } }),
    );
    const seconds = (Date.now() - from) / 1_000;
    expect(meter.roundTrips).toBeLessThanOrEqual(Math.ceil(seconds) + 1);
  }, 60_000);
});

describe('a large body of a caller that is not known', () => {
  const large = (length: number) => ({ schemas: [], Operations: [], padding: 'x'.repeat(length) });
  const send = async (token: string, length: number) => {
    const meter = new Meter();
    let trips = Number.NaN;
    const answer = await ask('POST', `${BASE}/scim/v2/Bulk`, {
      body: large(length),
      headers: { Authorization: `Bearer ${token}` },
      env: { DB: meter.binding },
      onAnswer: () => {
        trips = meter.roundTrips;
      },
    });
    return { status: answer.status, trips };
  };

  it('is not read before the credential was checked', async () => {
    let isRead = false;
    const body = new ReadableStream(
      {
        pull(controller) {
          isRead = true;
          controller.close();
        },
      },
      { highWaterMark: 0 },
    );
    const Authorization = `Bearer ${await newSecret('token', idp.orgId)}`;
    expect((await ask('POST', `${BASE}/scim/v2/Bulk`, { raw: body, headers: { Authorization } })).status).toBe(401);
    expect(isRead).toBe(false);
    expect(await send(await newSecret('token', idp.orgId), 900_000)).toEqual({ status: 401, trips: 1 });
  });

  it('costs a good caller one round trip more, once', async () => {
    const user = { padding: 'x'.repeat(40_000) };
    const create = async (userName: string) => {
      const meter = new Meter();
      let trips = Number.NaN;
      const { status } = await idp.post(
        '/Users',
        { ...user, userName },
        {
          env: { DB: meter.binding },
          onAnswer: () => {
            trips = meter.roundTrips;
          },
        },
      );
      return { status, trips };
    };
    const [first, second] = [await create('ada'), await create('grace')];
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(first.trips).toBe(second.trips + 1);
  });
});

describe('the tokens of the vendor’s own programs', () => {
  const wrong = (path: string, address: string, bindings: Partial<Env>, token = 'x'.repeat(40)) =>
    ask('GET', `${BASE}${path}`, {
      headers: { Authorization: `Bearer ${token}`, 'CF-Connecting-IP': address },
      env: bindings,
    });

  it.each(['/admin/v1/orgs', '/sessions/v1/events?org=x'])(
    '%s counts failures by address, and never the right token',
    async (path) => {
      const log = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
      const noted = new Noted((key) => key === '192.0.2.31');
      const bindings = { FAILED_AUTH: noted.binding };
      expect((await wrong(path, '192.0.2.30', bindings)).status).toBe(401);
      const braked = await wrong(path, '192.0.2.31', bindings);
      expect([braked.status, braked.body.error, braked.headers.get('Retry-After')]).toEqual([
        429,
        'too_many_requests',
        '60',
      ]);
      expect(noted.keys).toEqual(['192.0.2.30', '192.0.2.31']);
      const right = path.startsWith('/admin') ? env.ADMIN_TOKEN! : env.HOST_TOKEN!;
      expect((await wrong(path, '192.0.2.31', bindings, right)).status).not.toBe(429);
      expect(noted.keys).toHaveLength(2);
      log.mockRestore();
    },
  );

  it('leave one line in the log for an address and a minute, without what was presented', async () => {
    const log = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      vi.setSystemTime(Math.ceil(Date.now() / 60_000) * 60_000 + 120_000);
      const secret = 'guessed-guessed-guessed-guessed-guessed';
      for (let i = 0; i < 5; i++) await wrong('/admin/v1/orgs', '192.0.2.32', {}, secret);
      await wrong('/admin/v1/orgs', '192.0.2.33', {}, secret);
      await wrong('/sessions/v1/check', '192.0.2.33', {}, secret);
      vi.setSystemTime(Date.now() + 60_000);
      await wrong('/admin/v1/orgs', '192.0.2.32', {}, secret);
      const lines = log.mock.calls.map(([line]) => JSON.parse(line as string) as { api: string; address: string });
      expect(lines.map(({ api, address }) => `${api} ${address}`)).toEqual([
        'admin 192.0.2.32',
        'admin 192.0.2.33',
        'host 192.0.2.33',
        'admin 192.0.2.32',
      ]);
      expect(JSON.stringify(lines)).not.toContain('guessed');
      log.mockClear();
      await times(500, (i) => wrong('/admin/v1/orgs', `10.1.${i >> 8}.${i & 255}`, {}, secret));
      expect(log.mock.calls.length).toBeLessThanOrEqual(200);
    } finally {
      vi.useRealTimers();
      log.mockRestore();
    }
  });
});
