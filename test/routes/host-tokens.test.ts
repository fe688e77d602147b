/** Tokens of the vendor's applications: what each may ask, of which orgs, and until when. */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { app } from '../../src/app';
import { newSecret, randomText } from '../../src/credentials/secret';
import { knownHosts } from '../../src/routes/access/guard';
import { type Answer, type Ask, admin, ask, BASE, host, type Idp, newIdp } from '../support/client';
import { Meter } from '../support/meter';

let ours: Idp;
let theirs: Idp;
let ada: { id: string };
let n = 0;
beforeAll(async () => {
  ours = await newIdp('token-ours');
  theirs = await newIdp('token-theirs');
  ada = await ours.user('ada');
  await theirs.user('grace');
  for (const { slug } of [ours, theirs])
    await admin('PATCH', `/orgs/${slug}`, { body: { settings: { verifiedDomains: 'shared.example' } } });
});

const add = async (limits: { orgs?: string[]; scopes?: string[] } = {}) => {
  const name = `app-${++n}`;
  const answer = await admin('POST', '/hosts', { body: { name, ...limits } });
  expect(answer.status, answer.text).toBe(201);
  return { name, token: answer.body.token as string, body: answer.body };
};
const as = (token: string, more: Ask = {}): Ask => ({ ...more, headers: { Authorization: `Bearer ${token}` } });
const UNAUTHORIZED = { error: 'unauthorized', detail: 'The host token is required as a bearer token' };

/** Every question of the API, by the scope that it needs. */
const QUESTIONS: [scope: string, name: string, run: (org: string, more: Ask) => Promise<Answer>][] = [
  ['check', 'check', (org, more) => post('/check', { org, user: ada.id, issuedAt: Date.now() }, more)],
  ['check', 'may-act', (org, more) => post('/may-act', { org, user: ada.id }, more)],
  ['check', 'stream', (org, more) => stream(org, more)],
  ['resolve', 'resolve', (org, more) => post('/resolve', { org, id: ada.id }, more)],
  ['lists', 'users', (org, more) => host('GET', `/users?org=${org}`, more)],
  ['lists', 'groups', (org, more) => host('GET', `/groups?org=${org}`, more)],
  ['lists', 'memberships', (org, more) => host('GET', `/memberships?org=${org}`, more)],
  ['lists', 'changes', (org, more) => host('GET', `/changes?org=${org}&after=0`, more)],
  ['lists', 'events', (org, more) => host('GET', `/events?org=${org}`, more)],
];
const post = (path: string, body: object, more: Ask) => host('POST', path, { ...more, body });
const stream = (org: string, { headers, ...more }: Ask) =>
  host('GET', `/stream?org=${org}`, { ...more, headers: { ...headers, Upgrade: 'websocket' } });

describe('a token with scopes and orgs', () => {
  it('is tried with every question that the API has', () => {
    const routes = app.routes.filter(({ method, path }) => method !== 'ALL' && path.startsWith('/sessions/v1/'));
    const names = new Set(routes.map(({ path }) => path.replace('/sessions/v1/', '')));
    expect([...QUESTIONS.map(([, name]) => name), 'discover'].sort()).toEqual([...names].sort());
  });

  it('answers the questions of its scopes about its orgs; of another org it knows as much as of one that never was', async () => {
    for (const scope of ['check', 'resolve', 'lists']) {
      const { token } = await add({ orgs: [ours.slug], scopes: [scope] });
      for (const [needed, name, run] of QUESTIONS) {
        const [its, other, none] = await Promise.all(
          [ours.slug, theirs.slug, 'nowhere'].map((org) => run(org, as(token))),
        );
        const what = `${name} with ${scope}`;
        expect([other!.status, other!.text], what).toEqual([none!.status, none!.text]);
        if (needed !== scope) {
          expect([its!.status, its!.body.error], what).toEqual([403, 'forbidden']);
          expect(its!.text, what).toBe(other!.text);
        } else {
          expect(its!.status, what).toBe(name === 'stream' ? 101 : 200);
        }
      }
    }
  });

  it('leads to those orgs of a domain that it may ask about', async () => {
    const discover = async (token: string) => post('/discover', { email: 'a@shared.example' }, as(token));
    const slugs = ({ body }: Answer) => body.orgs.map(({ slug }: { slug: string }) => slug);
    expect(slugs(await discover((await add({ orgs: [theirs.orgId] })).token))).toEqual([theirs.slug]);
    expect(slugs(await discover((await add()).token))).toEqual([ours.slug, theirs.slug]);
    expect((await discover((await add({ scopes: ['check', 'lists'] })).token)).status).toBe(403);
  });

  it('that is of every org asks of orgs to come, too; one of a deleted org does not ask of its successor', async () => {
    const [all, one] = [await add(), await add({ orgs: [(await newIdp('token-brief')).slug] })];
    await admin('DELETE', '/orgs/token-brief?confirm=token-brief');
    await newIdp('token-brief');
    const users = (token: string) => host('GET', '/users?org=token-brief', as(token));
    expect((await users(all.token)).status).toBe(200);
    expect((await users(one.token)).status).toBe(404);
  });

  it('costs no round trip more than HOST_TOKEN', async () => {
    const { token } = await add({ orgs: [ours.slug] });
    const meter = new Meter();
    for (const [, name, run] of QUESTIONS) {
      meter.reset();
      await run(ours.slug, as(token, { env: { DB: meter.binding } }));
      expect(meter.roundTrips, name).toBe(1);
    }
  });

  it('works where HOST_TOKEN is not set, and is no way to any other API', async () => {
    const { token } = await add();
    const unset = { env: { HOST_TOKEN: '' } };
    expect((await host('GET', `/users?org=${ours.slug}`, as(token, unset))).status).toBe(200);
    expect((await admin('GET', '/orgs', as(token))).status).toBe(401);
    expect((await ask('GET', `${BASE}/scim/v2/Users`, as(token))).status).toBe(401);
  });
});

describe('a token that is not good', () => {
  const every = (token: string) => [
    ...QUESTIONS.map(([, , run]) => run(ours.slug, as(token))),
    ...['/nothing', '/users', '/changes?org=x&after=y'].map((path) => host('GET', path, as(token))),
    host('DELETE', '/check', as(token)),
    post('/check', { wrong: true }, as(token)),
  ];
  const expectRefused = async (token: string) => {
    for (const answer of await Promise.all(every(token))) {
      expect([answer.status, answer.body]).toEqual([401, UNAUTHORIZED]);
      expect(answer.headers.get('WWW-Authenticate')).toBe('Bearer realm="host"');
      expect(answer.headers.get('Allow')).toBeNull();
    }
  };

  it('gets one answer for every path and org: removed, made up, mistyped', async () => {
    vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const { name, token } = await add();
    expect((await admin('DELETE', `/hosts/${name}`)).status).toBe(200);
    await expectRefused(token);
    await expectRefused(`${token.slice(0, -1)}${token.endsWith('a') ? 'b' : 'a'}`);
    expect((await admin('DELETE', `/hosts/${name}`)).status).toBe(404);
  });

  it('that was good here passes an address that is braked, in a new isolate too; a dead or forged one costs no look-up', async () => {
    const braked = { FAILED_AUTH: { limit: async () => ({ success: false }) } as unknown as RateLimit };
    const { name, token } = await add();
    const asked = async (text: string, env: Ask['env'] = {}) => {
      const meter = new Meter();
      let trips = -1;
      const { status, headers } = await ask('GET', `${BASE}/sessions/v1/users?org=${ours.slug}`, {
        headers: { Authorization: `Bearer ${text}`, 'CF-Connecting-IP': '192.0.2.61' },
        env: { ...env, DB: meter.binding },
        onAnswer: () => {
          trips = meter.roundTrips;
        },
      });
      expect(headers.get('Cache-Control')).toBe('no-store');
      return [status, trips];
    };
    expect(await asked(token, braked)).toEqual([429, 0]);
    expect(await asked(token)).toEqual([200, 1]);
    knownHosts.clear(); // as a new isolate has it
    expect(await asked(token, braked)).toEqual([200, 1]);
    await admin('DELETE', `/hosts/${name}`);
    expect((await asked(token, braked))[0]).toBe(401);
    expect(await asked(token, braked)).toEqual([429, 0]);
    expect(await asked(await newSecret('host', randomText(12)), braked)).toEqual([429, 0]);
  });

  it('is dead after its grace, and at once when the next one is replaced or the grace is 0', async () => {
    const { name, token: first } = await add({ orgs: [ours.slug], scopes: ['lists'] });
    const status = async (token: string) => (await host('GET', `/users?org=${ours.slug}`, as(token))).status;
    const rotate = async (grace?: string) => {
      const { body } = await admin('POST', `/hosts/${name}/rotate`, { body: { ...(grace && { grace }) } });
      expect(body).toMatchObject({ name, orgs: [ours.slug], scopes: ['lists'], state: 'current' });
      return body.token as string;
    };
    const second = await rotate();
    expect([await status(first), await status(second)]).toEqual([200, 200]);
    const third = await rotate('1h');
    expect([await status(first), await status(second), await status(third)]).toEqual([401, 200, 200]);
    await env.DB.prepare('UPDATE host_tokens SET grace_until = ? WHERE name = ? AND replaced_at IS NOT NULL')
      .bind(Date.now(), name)
      .run();
    expect([await status(second), await status(third)]).toEqual([401, 200]);
    const fourth = await rotate('0');
    expect([await status(third), await status(fourth)]).toEqual([401, 200]);
    const rotations = await Promise.all(Array.from({ length: 8 }, () => rotate()));
    const good = await Promise.all(rotations.map(status));
    expect(good.filter((it) => it === 200)).toHaveLength(2);
    expect((await admin('POST', '/hosts/nobody/rotate', { body: {} })).status).toBe(404);
  });

  it('closes its stream before anything more is sent', async () => {
    const { name, token } = await add({ orgs: [ours.slug], scopes: ['check'] });
    const { webSocket } = await import('../../src/app').then(async ({ app }) => {
      const { createExecutionContext } = await import('cloudflare:test');
      return app.fetch(
        new Request(`${BASE}/sessions/v1/stream?org=${ours.slug}`, {
          headers: { Upgrade: 'websocket', Authorization: `Bearer ${token}` },
        }),
        env as never,
        createExecutionContext(),
      );
    });
    const frames: string[] = [];
    const closed = new Promise<number>((resolve) => {
      webSocket!.addEventListener('close', ({ code }) => resolve(code));
    });
    webSocket!.addEventListener('message', ({ data }) => frames.push(String(data)));
    webSocket!.accept();
    const { id } = await ours.user('streamed');
    await ours.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: false }]);
    while (!frames.some((frame) => frame.includes(id))) await scheduler.wait(5);
    await admin('DELETE', `/hosts/${name}`);
    const before = frames.length;
    await ours.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: true }]);
    expect(await closed).toBe(4001);
    expect(frames.slice(before).filter((frame) => frame.includes('state'))).toEqual([]);
  });
});

describe('the administrator', () => {
  it('is told which org is not there', async () => {
    const there = (await newIdp(`there-${++n}`)).slug;
    for (const path of ['/hosts', '/signals/receivers']) {
      const answer = await admin('POST', path, { body: { name: `app-${n}`, orgs: [there, 'nosuch', 'nor-this'] } });
      expect([path, answer.status, answer.body.detail]).toEqual([path, 400, 'orgs: there is no org nosuch']);
    }
  });

  it('is shown a token once, and lists masks, orgs and scopes; only the hash is kept', async () => {
    const { name, token, body } = await add({ orgs: [theirs.slug, ours.orgId, ours.slug], scopes: ['lists', 'check'] });
    expect(token).toMatch(/^scimht_[0-9A-Za-z]{12}_[0-9A-Za-z]{39}$/);
    expect(body).toMatchObject({
      ...{ name, orgs: [ours.slug, theirs.slug], scopes: ['check', 'lists'], state: 'current', createdBy: 'admin' },
    });
    await admin('POST', `/hosts/${name}/rotate`, { body: { by: 'ada' } });
    const { body: all, text } = await admin('GET', '/hosts');
    expect(all.filter((it: { name: string }) => it.name === name)).toMatchObject([
      { state: 'current', createdBy: 'ada', graceUntil: null },
      { state: 'grace', mask: body.mask, graceUntil: expect.any(String) },
    ]);
    expect(text).not.toContain(token.slice(8, 30));
    const { results } = await env.DB.prepare('SELECT * FROM host_tokens').all();
    expect(JSON.stringify(results)).not.toContain(token.slice(20, 40));
  });

  it.each<[what: string, body: object, status: number]>([
    ['no name', {}, 400],
    ['a name with blanks', { name: 'a b' }, 400],
    ['an org that is not there', { name: 'x', orgs: ['nowhere'] }, 400],
    ['no orgs at all', { name: 'x', orgs: [] }, 400],
    ['a scope that is none', { name: 'x', scopes: ['everything'] }, 400],
    ['no scopes at all', { name: 'x', scopes: [] }, 400],
    ['a name that is taken', { name: 'taken' }, 409],
  ])('is refused %s', async (_, body, status) => {
    await admin('POST', '/hosts', { body: { name: 'taken' } });
    const before = (await admin('GET', '/hosts')).text;
    expect((await admin('POST', '/hosts', { body })).status).toBe(status);
    expect((await admin('GET', '/hosts')).text).toBe(before);
  });
});
