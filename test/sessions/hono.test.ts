/** The middleware in a real Hono app, typed as a host would: the types are half of what is tested here. */
import { env } from 'cloudflare:workers';
import { Hono } from 'hono';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { type CheckedVerdict, flagKey, type Session, sessionChecker } from '../../src/sessions/client';
import { sessionGuard } from '../../src/sessions/client/hono';

interface Host {
  Bindings: { SECRET: string };
  Variables: { sessionVerdict: CheckedVerdict; userId: string };
}

const checker = sessionChecker({ flags: env.REVOCATIONS, mode: 'fast', onUnavailable: 'deny' });
const ORG = 'honoHostOrg1';

/** A host whose cookie is the session, as JSON; a real one signs it. */
function host(more: Partial<Parameters<typeof sessionGuard>[0]> = {}) {
  const app = new Hono<Host>();
  app.use(
    '/app/*',
    sessionGuard({
      checker,
      sessionOf: (c) => {
        const cookie = /session=([^;]+)/.exec(c.req.raw.headers.get('Cookie') ?? '')?.[1];
        return cookie === undefined ? undefined : (JSON.parse(decodeURIComponent(cookie)) as Session);
      },
      ...more,
    }),
  );
  app.get('/app/me', (c) => c.json(c.get('sessionVerdict')));
  app.get('/', (c) => c.text('welcome'));
  return (path: string, session?: object) =>
    app.request(path, session && { headers: { Cookie: `session=${encodeURIComponent(JSON.stringify(session))}` } });
}

beforeAll(() => env.REVOCATIONS.put(flagKey(ORG), JSON.stringify({ v: 1, active: true, notBefore: 0 })));

const newSession = () => ({ org: ORG, user: crypto.randomUUID(), issuedAt: Date.now() - 1_000 });
const revoke = ({ user }: { user: string }) =>
  env.REVOCATIONS.put(flagKey(ORG, user), JSON.stringify({ v: 1, active: true, notBefore: Date.now() }));

describe('the guard', () => {
  it('lets a good session through, with the verdict on the context', async () => {
    const answer = await host()('/app/me', newSession());
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({ valid: true, reason: 'good', from: 'kv', asOf: expect.any(Number) });
  });

  it('answers a dead one with 401, a challenge and JSON, and clears nothing', async () => {
    const session = newSession();
    await revoke(session);
    const answer = await host()('/app/me', session);
    expect(answer.status).toBe(401);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'www-authenticate': 'Bearer error="invalid_token"',
      'cache-control': 'no-store',
      'content-type': expect.stringMatching(/^application\/json/),
    });
    expect(answer.headers.get('Set-Cookie')).toBeNull();
    expect(await answer.json()).toEqual({ error: 'unauthorized', detail: 'The session is over. Sign in again.' });
  });

  it('answers a request without one with a bare challenge (RFC 6750 §3.1)', async () => {
    const answer = await host()('/app/me');
    expect([answer.status, answer.headers.get('WWW-Authenticate')]).toEqual([401, 'Bearer']);
    const cookies = await host({ challenge: 'Cookie realm="host"' })('/app/me');
    expect(cookies.headers.get('WWW-Authenticate')).toBe('Cookie realm="host"');
  });

  it('leaves other paths alone', async () => {
    expect((await host()('/')).status).toBe(200);
  });

  it('says 503 when nobody could say whether the session is over', async () => {
    const flags = { get: () => Promise.reject(new Error('down')) };
    const deny = sessionChecker({ flags, mode: 'fast', onUnavailable: 'deny' });
    const answer = await host({ checker: deny })('/app/me', newSession());
    expect([answer.status, answer.headers.get('Retry-After')]).toEqual([503, '5']);
    expect(await answer.json()).toMatchObject({ error: 'temporarily_unavailable' });
    const allow = sessionChecker({ flags, mode: 'fast', onUnavailable: 'allow' });
    expect((await host({ checker: allow })('/app/me', newSession())).status).toBe(200);
  });

  it('hands the answer to the host, with the verdict or with none', async () => {
    const session = newSession();
    await revoke(session);
    const onDead = (_: unknown, verdict: CheckedVerdict | undefined) =>
      new Response(verdict?.reason ?? 'no session', { status: 302, headers: { Location: '/login' } });
    const ask = host({ onDead });
    const answers = [await ask('/app/me', session), await ask('/app/me')];
    expect(answers.map(({ status }) => status)).toEqual([302, 302]);
    expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual(['revoked', 'no session']);
  });

  it('shows the request to isSensitive, or asks the guard’s own', async () => {
    const asked: string[] = [];
    const strict = {
      async check({ user }: { user: string }) {
        asked.push(user);
        return { valid: false, reason: 'inactive' };
      },
    };
    const auto = sessionChecker<Request>({
      ...{ flags: env.REVOCATIONS, strict, mode: 'auto', onUnavailable: 'deny' },
      isSensitive: (request) => new URL(request.url).searchParams.has('sensitive'),
    });
    const ask = host({ checker: auto });
    expect((await ask('/app/me', newSession())).status).toBe(200);
    expect((await ask('/app/me?sensitive', newSession())).status).toBe(401);
    expect((await host({ checker: auto, isSensitive: () => true })('/app/me', newSession())).status).toBe(401);
    expect(asked).toHaveLength(2);
  });

  it('lets nobody in when the host’s own code fails', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const ask = host({
      sessionOf: () => {
        throw new Error('the cookie could not be read');
      },
    });
    expect((await ask('/app/me')).status).toBe(500);
    expect((await host()('/app/me', { org: ORG, user: '', issuedAt: Date.now() })).status).toBe(500);
    log.mockRestore();
  });
});

it('the context of a host is typed, in sessionOf and in onDead', async () => {
  const app = new Hono<Host>();
  app.use(async (c, next) => {
    c.set('userId', 'ada');
    await next();
  });
  app.use(
    sessionGuard<import('hono').Context<Host>>({
      checker,
      sessionOf: async (c) => ({ org: ORG, user: c.get('userId'), issuedAt: Date.now() }),
      onDead: (c) => c.redirect(`/login?${c.env.SECRET}`),
    }),
  );
  app.get('/', (c) => c.text(c.get('sessionVerdict').reason));
  expect(await (await app.request('/')).text()).toBe('good');
});
