import { env } from 'cloudflare:workers';
import { findTargetHandler } from 'hono/utils/handler';
import { beforeAll, describe, expect, it } from 'vitest';
import type * as z from 'zod/mini';
import { app } from '../../src/app';
import { unguardedAdmin } from '../../src/routes/admin';
import { schemasOf } from '../../src/routes/validator';
import { flagKey, parseFlag } from '../../src/sessions/flag';
import { type Answer, admin, ask, BASE, idpOf, newIdp } from '../support/client';
import { writtenFlag } from '../support/coordinator';
import { dump, journal, rows } from '../support/database';

/** An error at this door: a word for programs and a sentence for people, nothing else. */
function expectError(answer: Answer, status: number, detail?: RegExp): void {
  expect(answer.status, answer.text).toBe(status);
  expect(answer.headers.get('Content-Type')).toMatch(/^application\/json\b/);
  expect(answer.headers.get('X-Request-Id')).toBeTruthy();
  expect(answer.body).toEqual({
    error: expect.stringMatching(/^[A-Za-z_]+$/),
    detail: expect.stringMatching(/\S.{8,}/s),
  });
  expect(answer.text).not.toMatch(/SELECT|sqlite|D1_|TypeError|\[object/);
  if (detail) expect(answer.body.detail).toMatch(detail);
}

describe('the door', () => {
  const paths: [string, string][] = [
    ['GET', '/orgs'],
    ['POST', '/orgs'],
    ['GET', '/orgs/door'],
    ['DELETE', '/orgs/door?confirm=door'],
    ['POST', '/orgs/door/tokens'],
    ['GET', '/orgs/door/users'],
    ['GET', '/nothing'],
    ['GET', ''],
  ];
  beforeAll(async () => {
    await newIdp('door');
  });

  it('does not exist without ADMIN_TOKEN: the 404 is that of any path', async () => {
    const elsewhere = await ask('GET', `${BASE}/nothing/at/all`);
    for (const [method, path] of paths) {
      for (const ADMIN_TOKEN of [undefined, '']) {
        const answer = await admin(method, path, { env: { ADMIN_TOKEN } as never });
        expect({ status: answer.status, text: answer.text }).toEqual({ status: 404, text: elsewhere.text });
        expect(answer.headers.get('Content-Type')).toBe(elsewhere.headers.get('Content-Type'));
        expect(answer.headers.get('WWW-Authenticate')).toBeNull();
      }
    }
  });

  it('is shut to every wrong token, in the same words for every path', async () => {
    const before = await dump();
    const { token } = await newIdp('door-token');
    await admin('DELETE', '/orgs/door-token?confirm=door-token');
    const wrong = [
      '',
      'Bearer',
      'Bearer ',
      'Bearer wrong',
      'Bearer test-admin-token-0123456789abcde',
      'Bearer test-admin-token-0123456789abcdef1',
      'Basic test-admin-token-0123456789abcdef',
      'test-admin-token-0123456789abcdef',
      `Bearer ${token}`,
      'Bearer TEST-ADMIN-TOKEN-0123456789ABCDEF',
    ];
    const texts = new Set<string>();
    for (const [method, path] of paths) {
      for (const Authorization of wrong) {
        const answer = await admin(method, path, { headers: { Authorization } });
        expectError(answer, 401);
        expect(answer.headers.get('WWW-Authenticate')).toMatch(/^Bearer/);
        texts.add(answer.text);
      }
    }
    expect(texts.size).toBe(1);
    expect((await rows('SELECT slug FROM orgs')).length).toBe(JSON.parse(before)[0][1].length);
  });

  it('has no path but its own', async () => {
    for (const [method, path] of [
      ['GET', '/nothing'],
      ['PUT', '/orgs/door'],
      ['POST', '/orgs/door/users'],
      ['GET', '/'],
    ] as const) {
      expectError(await admin(method, path), 404);
    }
  });

  it('is the same behind its entrypoint, which asks for no token', async () => {
    const response = await unguardedAdmin.fetch(new Request('https://admin/orgs/door'), {
      ...env,
      PUBLIC_URL: 'https://scim.example.com/',
    });
    expect(await response.json()).toMatchObject({ slug: 'door', scimBaseUrl: 'https://scim.example.com/scim/v2' });
    expect((await unguardedAdmin.fetch(new Request('https://admin/orgs/nobody'), env)).status).toBe(404);
  });

  it('names no address that nobody can reach: behind its entrypoint only PUBLIC_URL says where the service is', async () => {
    const response = await unguardedAdmin.fetch(new Request('https://admin/orgs/door'), env);
    expect(await response.json()).toMatchObject({
      scimBaseUrl: 'https://public-url-is-not-set.invalid/scim/v2',
      notices: [expect.stringMatching(/^PUBLIC_URL: it is not set/)],
    });
  });
});

describe('an org', () => {
  it('is created with SCIM off, shown, listed by slug, and recorded', async () => {
    const created = await admin('POST', '/orgs', {
      body: { slug: 'acme', name: ' Acme Inc. ' },
      headers: { 'X-Admin-By': 'ops@vendor' },
    });
    expect(created.status).toBe(201);
    expect(created.body).toEqual({
      id: expect.stringMatching(/^[0-9A-Za-z]{12}$/),
      slug: 'acme',
      name: 'Acme Inc.',
      scimEnabled: false,
      scimBaseUrl: `${BASE}/scim/v2`,
      settings: {},
      users: 0,
      activeUsers: 0,
      storage: { used: expect.any(Number), limit: 1_000_000_000 },
      disabledAt: null,
      validAfter: null,
      notBefore: null,
      createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
      notices: [],
    });
    expect((await admin('GET', '/orgs/acme')).body).toEqual(created.body);
    await admin('POST', '/orgs', { body: { slug: 'aardvark' } });
    const { body: list } = await admin('GET', '/orgs');
    const slugs = list.map(({ slug }: { slug: string }) => slug);
    expect(slugs).toEqual([...slugs].sort());
    expect(list).toContainEqual(created.body);
    expect(await journal(created.body.id)).toMatchObject([{ seq: 1, type: 'org.created', actor: 'admin:ops@vendor' }]);
  });

  it('has a slug of its own', async () => {
    await admin('POST', '/orgs', { body: { slug: 'taken' } });
    expectError(await admin('POST', '/orgs', { body: { slug: 'taken' } }), 409, /taken/);
  });

  it('takes a slug that every IdP takes in a base URL', async () => {
    for (const slug of ['a', '0', 'a-b-c', '2026', 'x'.repeat(63)]) {
      expect((await admin('POST', '/orgs', { body: { slug } })).status, slug).toBe(201);
    }
    const bad = [
      '',
      ' ',
      'A',
      'Acme',
      'a_b',
      'a--b',
      '-a',
      'a-',
      'a.b',
      'a/b',
      'a b',
      'a%20b',
      'ä',
      '😀',
      'x'.repeat(64),
      'a\n',
      "a'",
      '../a',
      7,
      null,
      true,
      ['a'],
      {},
    ];
    const before = await dump();
    for (const slug of bad) expectError(await admin('POST', '/orgs', { body: { slug } }), 400, /slug/);
    expect(await dump()).toBe(before);
  });

  it('is set by known settings only, all or none of them', async () => {
    const { body: org } = await admin('POST', '/orgs', { body: { slug: 'settable' } });
    const set = (settings: unknown) => admin('PATCH', '/orgs/settable', { body: { settings } });
    expect((await set({ idp: 'okta', name: 'Settable' })).body).toMatchObject({
      name: 'Settable',
      settings: { idp: 'okta' },
    });
    expect((await set({ supportContact: 'help@vendor.test' })).body.settings).toEqual({
      idp: 'okta',
      supportContact: 'help@vendor.test',
    });
    const before = await dump();
    const bad: unknown[] = [
      { idp: 'myspace' },
      { nothing: 'x' },
      { idp: 'okta', nothing: 'x' },
      { name: '' },
      { name: 'x'.repeat(201) },
      { supportContact: ' ' },
      { idp: 7 },
      { idp: null },
      { slug: 'other' },
      { scimEnabled: 'true' },
      { constructor: 'x' },
      { toString: 'x' },
      [],
      'x',
      null,
      7,
    ];
    for (const settings of bad) expectError(await set(settings), 400);
    expectError(await admin('PATCH', '/orgs/settable', { body: {} }), 400, /settings/);
    expectError(await admin('PATCH', '/orgs/settable', { body: { settings: {}, more: 1 } }), 400);
    expect(await dump()).toBe(before);
    expect((await journal(org.id)).map(({ type }) => type)).toEqual(['org.created', 'org.changed', 'org.changed']);
  });

  it('switches SCIM on and off, and records it when it changes something', async () => {
    const { body: org } = await admin('POST', '/orgs', { body: { slug: 'switch' } });
    const set = (enabled: unknown) => admin('POST', '/orgs/switch/scim', { body: { enabled } });
    for (const enabled of [true, true, false, false, true]) expect((await set(enabled)).body.scimEnabled).toBe(enabled);
    for (const bad of ['true', 1, null, undefined, {}]) expectError(await set(bad), 400, /enabled/);
    expect((await journal(org.id)).map(({ type }) => type)).toEqual([
      'org.created',
      'scim.enabled',
      'scim.disabled',
      'scim.enabled',
    ]);
  });

  it('is deleted with all that it has, when its slug is said twice', async () => {
    const idp = await newIdp('doomed');
    await idp.user('ada@example.com', { emails: [{ value: 'ada@example.com' }] });
    const before = await dump();
    for (const query of ['', '?confirm=', '?confirm=other', '?confirm=DOOMED']) {
      expectError(await admin('DELETE', `/orgs/doomed${query}`), 400, /confirm/);
    }
    expect(await dump()).toBe(before);
    const answer = await admin('DELETE', '/orgs/doomed?confirm=doomed');
    expect(answer.body).toEqual({ deleted: 'doomed', id: idp.orgId, users: 1 });
    for (const table of ['users', 'user_emails', 'credentials', 'events']) {
      expect(await rows(`SELECT * FROM ${table} WHERE org_id = ?`, idp.orgId), table).toEqual([]);
    }
    expectError(await admin('GET', '/orgs/doomed'), 404);
    expectError(await admin('DELETE', '/orgs/doomed?confirm=doomed'), 404);
    expect((await idp.get('/Users')).status).toBe(401);
    expect(parseFlag((await env.REVOCATIONS.get(flagKey(idp.orgId)))!)).toMatchObject({ active: false });
    expect((await admin('POST', '/orgs', { body: { slug: 'doomed' } })).body.id).not.toBe(idp.orgId);
  });
});

describe('a token', () => {
  it('is shown once, and works at once', async () => {
    const { body: org } = await admin('POST', '/orgs', { body: { slug: 'tokens' } });
    await admin('POST', '/orgs/tokens/scim', { body: { enabled: true } });
    const issued = await admin('POST', '/orgs/tokens/tokens', { body: { by: 'ops' } });
    expect(issued.status).toBe(201);
    const { token, ...shown } = issued.body;
    expect(token).toMatch(/^scim_[0-9A-Za-z]{12}_[0-9A-Za-z]{39}$/);
    expect(shown).toMatchObject({
      mask: `${token.slice(0, 9)}…${token.slice(-4)}`,
      generation: 1,
      state: 'current',
      createdBy: 'ops',
      createdAt: expect.any(String),
    });
    expect((await idpOf('tokens', org.id, token).get('/Users')).status).toBe(200);

    const list = await admin('GET', '/orgs/tokens/tokens');
    const used = { lastUsedAt: expect.any(String) };
    expect(list.body).toEqual([{ ...shown, ...used }]);
    for (const text of [list.text, await dump()]) {
      expect(text).not.toContain(token);
      expect(text).not.toContain(token.split('_')[2].slice(0, 20));
    }
    expect(list.text).not.toMatch(/[0-9a-f]{64}/);
  });

  it('is not replaced in silence: a second one is refused with the way to go', async () => {
    const idp = await newIdp('single');
    for (const by of ['a', 'b']) {
      const answer = await admin('POST', '/orgs/single/tokens', { body: { by } });
      expectError(answer, 409, /rotat/);
      expect(answer.text).not.toContain(idp.token);
    }
    expect((await idp.get('/Users')).status).toBe(200);
    expect((await admin('GET', '/orgs/single/tokens')).body).toHaveLength(1);
  });

  it('is one, however many ask at once', async () => {
    await admin('POST', '/orgs', { body: { slug: 'race' } });
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => admin('POST', '/orgs/race/tokens', { body: {} })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(9).fill(409)]);
    expect((await admin('GET', '/orgs/race/tokens')).body).toHaveLength(1);
  });

  it('is revoked at once, and its successor is a new generation', async () => {
    const idp = await newIdp('revoke');
    const revoked = await admin('DELETE', '/orgs/revoke/tokens', { headers: { 'X-Admin-By': 'ops' } });
    expect(revoked.body).toMatchObject({
      revoked: 1,
      tokens: [{ state: 'revoked', revokedBy: 'ops', revokedAt: expect.any(String) }],
    });
    expect(revoked.text).not.toContain(idp.token);
    expect((await idp.get('/Users')).status).toBe(401);
    expect((await admin('DELETE', '/orgs/revoke/tokens')).body).toMatchObject({ revoked: 0, tokens: [] });
    const next = await admin('POST', '/orgs/revoke/tokens', { body: {} });
    expect(next.body).toMatchObject({ generation: 2, state: 'current' });
    expect((await idp.get('/Users')).status).toBe(401);
    expect((await idpOf('revoke', idp.orgId, next.body.token).get('/Users')).status).toBe(200);
    const { body } = await admin('GET', '/orgs/revoke/tokens');
    expect(body.map(({ state }: { state: string }) => state)).toEqual(['current', 'revoked']);
  });

  it('that has expired does not stand in the way of a new one', async () => {
    const idp = await newIdp('expired');
    await env.DB.prepare('UPDATE credentials SET valid_until = 1 WHERE org_id = ?').bind(idp.orgId).run();
    expect((await admin('GET', '/orgs/expired/tokens')).body).toMatchObject([{ state: 'expired' }]);
    expect((await admin('POST', '/orgs/expired/tokens', { body: {} })).status).toBe(201);
  });
});

describe("an org's users", () => {
  it('are listed, filtered and shown by id or userName', async () => {
    const idp = await newIdp('people');
    const { id } = await idp.user('Ada@example.com', { password: 'secret' });
    await idp.user('grace@example.com');
    await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: false }]);
    const list = await admin('GET', '/orgs/people/users');
    expect(list.body).toMatchObject({
      totalResults: 2,
      startIndex: 1,
      itemsPerPage: 2,
      users: [{ id, active: false, notBefore: expect.any(String) }, { notBefore: null }],
    });
    const found = await admin('GET', `/orgs/people/users?filter=${encodeURIComponent('active eq false')}&count=1`);
    expect(found.body).toMatchObject({ totalResults: 1, users: [{ id }] });
    for (const name of [id, 'Ada@example.com', 'aDA@EXAMPLE.com']) {
      expect((await admin('GET', `/orgs/people/users/${name}`)).body).toMatchObject({
        id,
        userName: 'Ada@example.com',
      });
    }
    expectError(await admin('GET', '/orgs/people/users/nobody'), 404, /User/);
    expectError(await admin('GET', '/orgs/people/users?filter=nonsense'), 400, /filter/);
    expectError(await admin('GET', '/orgs/people/users?count=many'), 400, /count/);
    expectError(await admin('GET', '/orgs/people/users?sortBy=nothing'), 400, /sortBy/);
  });

  it('are asked for their sessions', async () => {
    const idp = await newIdp('sessions');
    const { id } = await idp.user('ada@example.com');
    const check = (issuedAt: string | number, user = id) =>
      admin('GET', `/orgs/sessions/sessions/check?user=${user}&issuedAt=${encodeURIComponent(issuedAt)}`);
    const issued = Date.now();
    expect((await check(issued)).body).toEqual({
      valid: true,
      reason: 'good',
      validAfter: null,
      notBefore: null,
      fromKv: { valid: true, reason: 'good' },
    });
    await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: false }]);
    expect((await check(issued)).body).toMatchObject({
      valid: false,
      reason: 'inactive',
      fromKv: { valid: false, reason: 'inactive' },
    });
    await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: true }]);
    for (const at of [issued, new Date(issued).toISOString()]) {
      expect((await check(at)).body).toMatchObject({ valid: false, reason: 'revoked', notBefore: expect.any(String) });
    }
    expect((await check(Date.now() + 1_000)).body).toMatchObject({ valid: true, reason: 'good' });
    expect((await check(issued, 'nobody')).body).toMatchObject({ valid: false, reason: 'unknown' });
    const bad = ['', 'yesterday', '1e400', '9'.repeat(400), Math.floor(issued / 1000), 'NaN'];
    for (const at of bad) expectError(await check(at), 400, /issuedAt/);
    for (const query of ['', '?user=']) {
      expectError(await admin('GET', `/orgs/sessions/sessions/check${query}`), 400);
    }
    // No id is spelled like these, so they are userNames, which nobody has.
    for (const user of ['x'.repeat(101), 'a:b'])
      expectError(await admin('GET', `/orgs/sessions/sessions/check?user=${user}&issuedAt=${issued}`), 404);
  });

  it('are asked for them as a host would: fast of KV, auto of D1 unless KV has refused for good', async () => {
    const idp = await newIdp('session-modes');
    const { id } = await idp.user('ada@example.com');
    const check = async (mode: string, issuedAt: number) =>
      (await admin('GET', `/orgs/session-modes/sessions/check?user=${id}&issuedAt=${issuedAt}&mode=${mode}`)).body;
    const issued = Date.now() - 1_000;
    const asOf = expect.stringMatching(/^\d{4}-.*Z$/);
    expect(await check('fast', issued)).toEqual({ valid: true, reason: 'good', from: 'kv', asOf });
    expect(await check('auto', issued)).toEqual({ valid: true, reason: 'good', from: 'strict', asOf });
    expect(await check('strict', issued)).toMatchObject({ valid: true, fromKv: { valid: true } });

    await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: false }]);
    for (const mode of ['fast', 'auto']) {
      expect(await check(mode, issued)).toEqual({ valid: false, reason: 'inactive', from: 'kv', asOf });
    }
    // KV that has not heard of it yet: fast is behind, and says so by its `from`; auto is not.
    await env.REVOCATIONS.delete(flagKey(idp.orgId, id));
    expect(await check('fast', issued)).toMatchObject({ valid: true, from: 'kv' });
    expect(await check('auto', issued)).toMatchObject({ valid: false, reason: 'inactive', from: 'strict' });
    // Nor of the reactivation: a session of after it is D1's to judge.
    const flag = writtenFlag(false, issued);
    await env.REVOCATIONS.put(flagKey(idp.orgId, id), JSON.stringify(flag));
    await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: true }]);
    await env.REVOCATIONS.put(flagKey(idp.orgId, id), JSON.stringify(flag));
    const later = Date.now() + 1_000;
    expect(await check('fast', later)).toMatchObject({ valid: false, reason: 'inactive', from: 'kv' });
    expect(await check('auto', later)).toMatchObject({ valid: true, reason: 'good', from: 'strict' });

    for (const mode of ['', 'FAST', 'quick']) {
      const query = `user=${id}&issuedAt=${issued}&mode=${mode}`;
      expectError(await admin('GET', `/orgs/session-modes/sessions/check?${query}`), 400, /mode/);
    }
  });
});

describe('bad input', () => {
  const places: [string, string][] = [
    ['POST', '/orgs'],
    ['PATCH', '/orgs/bad'],
    ['POST', '/orgs/bad/scim'],
    ['POST', '/orgs/bad/tokens'],
  ];
  beforeAll(async () => {
    await admin('POST', '/orgs', { body: { slug: 'bad' } });
  });

  for (const [method, path] of places) {
    it(`of every kind at ${method} ${path} is a 400 that says what was expected, and changes nothing`, async () => {
      const before = await dump();
      const bodies = [
        ' ',
        '{',
        '[',
        'null',
        '17',
        '"x"',
        '[]',
        '[{}]',
        'slug=x',
        "{'slug':'x'}",
        '{"slug":}',
        '{"nothing":1}',
        '{"by":7}',
        '{"by":""}',
        '{"enabled":"yes"}',
        '{"settings":7}',
        '{"slug":{"a":1}}',
        `{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}`,
      ];
      for (const raw of bodies) {
        const answer = await ask(method, `${BASE}/admin/v1${path}`, {
          raw,
          headers: { Authorization: 'Bearer test-admin-token-0123456789abcdef', 'Content-Type': 'application/json' },
        });
        expectError(answer, 400);
      }
      expect(await dump()).toBe(before);
    });
  }

  it('as the slug is an org that is not there', async () => {
    const before = await dump();
    for (const slug of [
      'nobody',
      'BAD',
      '%00',
      '%ff',
      '%',
      '😀',
      "x'%20OR%20'1'='1",
      'constructor',
      '__proto__',
      'x'.repeat(5_000),
      'bad%2Ftokens',
    ]) {
      expectError(await admin('GET', `/orgs/${slug}`), 404);
      expectError(await admin('GET', `/orgs/${slug}/tokens`), 404);
      expectError(await admin('GET', `/orgs/${slug}/users`), 404);
      expectError(await admin('POST', `/orgs/${slug}/tokens`, { body: {} }), 404);
      expectError(await admin('DELETE', `/orgs/${slug}/tokens`), 404);
      expectError(await admin('POST', `/orgs/${slug}/scim`, { body: { enabled: true } }), 404);
      expectError(await admin('PATCH', `/orgs/${slug}`, { body: { settings: { name: 'x' } } }), 404);
      expectError(await admin('GET', `/orgs/${slug}/sessions/check?user=x&issuedAt=${Date.now()}`), 404);
    }
    expect(await dump()).toBe(before);
  });

  it('as the label of who asks is kept as a label', async () => {
    const by = `${'x'.repeat(98)}é'; DROP TABLE orgs; --`;
    const { body } = await admin('POST', '/orgs', { body: { slug: 'labelled' }, headers: { 'X-Admin-By': by } });
    expect((await journal(body.id))[0]!.actor).toMatch(/^admin:x{98}/);
  });

  it('as a name or a reason for the journal has no control characters, on any route', () => {
    type Shape = Record<string, z.ZodMiniType>;
    const shapesOf = (schema: z.ZodMiniType | undefined): Shape[] => {
      const { shape, options = [] } = (schema?.def ?? {}) as { shape?: Shape; options?: z.ZodMiniType[] };
      return shape ? [shape] : options.flatMap((option) => shapesOf(option));
    };
    const asked = app.routes
      .filter(({ path }) => path.startsWith('/admin/v1/'))
      .flatMap(({ method, path, handler }) => {
        const { query, body } = schemasOf(findTargetHandler(handler)) ?? schemasOf(handler) ?? {};
        return [query, body]
          .flatMap((schema) => shapesOf(schema))
          .map((shape) => ({ route: `${method} ${path}`, shape }));
      });
    let found = 0;
    for (const { route, shape } of asked) {
      for (const member of ['by', 'reason', 'contact', 'name']) {
        const schema = shape[member];
        if (!schema) continue;
        found++;
        for (const text of ['bell\u0007here', 'nul\u0000', 'half \ud800 pair', 'next\u0085line']) {
          expect(schema.safeParse(text).success, `${route} ${member}`).toBe(false);
        }
      }
    }
    expect(found).toBeGreaterThan(30);
  });
});

describe('a body', () => {
  it('that is empty stands for an empty object, with a media type too', async () => {
    const { slug } = await newIdp('empty-body');
    for (const headers of [{ 'Content-Type': 'application/json' }, { 'Content-Type': '' }]) {
      const answer = await admin('POST', `/orgs/${slug}/tokens/rotate`, { headers });
      expect([headers, answer.status]).toEqual([headers, 201]);
    }
    expectError(await admin('POST', `/orgs/${slug}/tokens/rotate`, { raw: ' ' }), 400);
  });

  it('of another media type, or of none, is refused, not read as an empty one', async () => {
    await admin('POST', '/orgs', { body: { slug: 'media' } });
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', '']) {
      const headers = { 'Content-Type': type };
      expectError(await admin('POST', '/orgs/media/tokens', { raw: '{"by":"ada"}', headers }), 415);
    }
    expect((await admin('GET', '/orgs/media/tokens')).body).toEqual([]);
  });

  it('larger than a mebibyte is refused', async () => {
    expectError(await admin('POST', '/orgs', { body: { slug: 'large', name: 'x'.repeat(1_100_000) } }), 413);
  });
});

describe('a value of the wrong kind', () => {
  beforeAll(async () => {
    await newIdp('kinds');
  });

  it.each<[string, string, unknown, RegExp]>([
    ['POST', '/orgs', null, /^body: an object was expected$/],
    ['POST', '/orgs', [], /^body: an object was expected$/],
    ['PATCH', '/orgs/kinds', { settings: { 'plan.seats': 50 } }, /^settings\.plan\.seats: text was expected$/],
    ['PATCH', '/orgs/kinds', { name: '' }, /^settings: an object was expected$|^name is not part of the body$/],
    ['POST', '/orgs/kinds/users/x/sign-out', { all: true }, /^all is not part of the body$/],
  ])('%s %s %j says what was expected, in the words of people', async (method, path, body, detail) => {
    expectError(await admin(method, path, { body }), 400, detail);
  });

  it.each(['/orgs/kinds/users?limit=1', '/orgs/kinds/groups?limit=1', '/orgs?limt=1', '/orgs/kinds/refusals?limt=1'])(
    'GET %s is refused: a parameter that is not known would change nothing',
    async (path) => {
      expectError(await admin('GET', path), 400, /^\w+ is not part of the question$/);
    },
  );
});
