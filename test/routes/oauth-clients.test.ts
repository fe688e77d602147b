/** OAuth clients at the administrator's door: what can be registered, what is shown, and what a deletion ends. */
import { exportJWK, generateKeyPair } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { hashOf } from '../../src/credentials/secret';
import { type Ask, admin, type Idp, idpOf, newIdp } from '../support/client';
import { dump, journal, rows } from '../support/database';
import { givenTo, newClient, newPair, signed, type TestClient, tokenBy, tokenOf } from '../support/oauth';

const logs = (['log', 'info', 'warn', 'error'] as const).map((level) =>
  vi.spyOn(console, level).mockImplementation(() => undefined),
);
afterAll(() => vi.restoreAllMocks());

let idp: Idp;
let path: string;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`clients-${++n}`);
  path = `/orgs/${idp.slug}/oauth/clients`;
});

const create = (body: unknown, more: Ask = {}) => admin('POST', path, { ...more, body });
const list = async () => (await admin('GET', path)).body;

describe('a client', () => {
  it('is made with a secret, and with what the identity provider has to be told', async () => {
    const uri = 'https://system-admin.okta.com/admin/app/cpc/acme/oauth/callback';
    const { status, body } = await create({ name: 'Okta', redirectUris: [uri, uri], by: 'ada', expires: '90d' });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      clientId: expect.stringMatching(new RegExp(`^${idp.orgId}_[0-9A-Za-z]{16}$`)),
      clientSecret: expect.stringMatching(new RegExp(`^scimcs_${idp.orgId}_[0-9A-Za-z]{39}$`)),
      name: 'Okta',
      redirectUris: [uri],
      assertion: null,
      createdBy: 'ada',
      scimBaseUrl: 'https://scim.test/scim/v2',
      issuer: 'https://scim.test',
      tokenUrl: 'https://scim.test/oauth/token',
      authorizeUrl: 'https://scim.test/oauth/authorize',
      revokeUrl: 'https://scim.test/oauth/revoke',
    });
    const [secret] = body.secrets;
    expect(secret).toMatchObject({ generation: 1, state: 'current', createdBy: 'ada' });
    expect(Date.parse(secret.validUntil) - Date.parse(secret.createdAt)).toBe(90 * 86_400_000);
  });

  it('needs nothing but its org: its name is its id, it never expires, and has no redirect URI', async () => {
    const { body } = await create({});
    expect(body).toMatchObject({ name: body.clientId, redirectUris: [], createdBy: 'admin' });
    expect(body.secrets[0].validUntil).toBeNull();
  });

  it('is listed with its secrets’ masks and states and its last use, and never with a secret', async () => {
    const [first, second] = [await newClient(idp, { name: 'first' }), await newClient(idp, { name: 'second' })];
    await tokenOf(second, { headers: { 'User-Agent': 'Entra', 'CF-Connecting-IP': '203.0.113.7' } });
    await admin('POST', `${path}/${second.clientId}/rotate`, { body: { grace: '1h' } });
    const { text, body } = await admin('GET', path);
    expect(body.map(({ name }: { name: string }) => name)).toEqual(['first', 'second']);
    expect(body[0].lastUsedAt).toBeNull();
    expect(body[1].lastUsedAt).not.toBeNull();
    expect(body[1].secrets.map(({ state }: { state: string }) => state)).toEqual(['current', 'grace']);
    expect(body[1].secrets[1]).toMatchObject({ lastUsedClient: 'Entra', lastUsedAddress: '203.0.113.7' });
    expect(text).not.toContain(first.clientSecret);
    expect(text).not.toContain(second.clientSecret);
    expect((await admin('GET', `${path}/${second.clientId}`)).body).toMatchObject(body[1]);
  });

  it('leaves its secret nowhere: not in the tables, not in the logs', async () => {
    const client = await newClient(idp, { name: 'quiet' });
    const { body } = await tokenOf(client);
    await tokenOf({ ...client, clientSecret: `${client.clientSecret}x` });
    const kept = await dump();
    expect(kept).toContain(client.clientId);
    for (const secret of [client.clientSecret, body.access_token]) {
      expect(kept).not.toContain(secret);
      expect(kept).toContain(await hashOf(secret));
      for (const log of logs) expect(JSON.stringify(log.mock.calls)).not.toContain(secret);
    }
  });

  it('is recorded when it is made and deleted, with its secret', async () => {
    const { clientId } = await newClient(idp, { name: 'told', by: 'ada' });
    await admin('DELETE', `${path}/${clientId}?confirm=${clientId}`, { headers: { 'X-Admin-By': 'grace' } });
    const told = (await journal(idp.orgId)).filter(({ type }) => type.startsWith('client.'));
    expect(told.map(({ type }) => type)).toEqual(['client.created', 'client.issued', 'client.deleted']);
    expect(told[0]).toMatchObject({ target_id: clientId, details: { by: 'ada', name: 'told' } });
    expect(told[1]!.details).toMatchObject({ by: 'ada', oauthClient: clientId });
    expect(told[2]).toMatchObject({
      target_id: clientId,
      actor: 'admin:grace',
      details: { by: 'grace', name: 'told' },
    });
    expect(told[2]!.details.masks).toHaveLength(1);
    expect(told.map(({ seq }) => seq)).toEqual([told[0]!.seq, told[0]!.seq + 1, told[0]!.seq + 2]);
  });

  it('of another org is one that never existed', async () => {
    const { clientId } = await newClient(await newIdp(`beside-${n}`));
    expect(await list()).toEqual([]);
    const before = await dump();
    for (const [method, rest, body] of [
      ['GET', '', undefined],
      ['DELETE', `?confirm=${clientId}`, undefined],
      ['POST', '/rotate', {}],
      ['POST', '/cancel', {}],
      ['POST', '/complete', {}],
    ] as const) {
      const theirs = await admin(method, `${path}/${clientId}${rest}`, { body });
      expect(theirs.status, `${method} ${rest}`).toBe(404);
      const nobody = `${idp.orgId}_0000000000000000`;
      const nobodys = await admin(method, `${path}/${nobody}${rest.replace(clientId, nobody)}`, { body });
      expect(nobodys.text).toBe(theirs.text);
    }
    expect(await dump()).toBe(before);
  });
});

describe('the secret of a client', () => {
  let client: TestClient;
  beforeEach(async () => {
    client = await newClient(idp);
  });
  const call = (verb: string, body: unknown = {}) => admin('POST', `${path}/${client.clientId}/${verb}`, { body });
  const statusOf = async (clientSecret: string) => (await tokenOf({ ...client, clientSecret })).status;

  it('is rotated: both are good while the grace lasts, the new one alone when it was completed', async () => {
    const { status, body } = await call('rotate', { grace: '1h' });
    expect(status).toBe(201);
    expect([await statusOf(client.clientSecret), await statusOf(body.clientSecret)]).toEqual([200, 200]);
    expect((await call('complete')).status).toBe(200);
    expect([await statusOf(client.clientSecret), await statusOf(body.clientSecret)]).toEqual([401, 200]);
  });

  it('comes back when the rotation is cancelled', async () => {
    const { body } = await call('rotate', { grace: '1h' });
    expect((await call('cancel')).status).toBe(200);
    expect([await statusOf(client.clientSecret), await statusOf(body.clientSecret)]).toEqual([200, 401]);
  });

  it('dies at once without a grace', async () => {
    const { body } = await call('rotate', { grace: '0' });
    expect([await statusOf(client.clientSecret), await statusOf(body.clientSecret)]).toEqual([401, 200]);
  });

  it('ends the grace of its predecessor by its first use, if that was asked for', async () => {
    const { body } = await call('rotate', { grace: '24h', retireOnUse: true });
    expect(await statusOf(body.clientSecret)).toBe(200);
    const [, old] = (await list())[0].secrets;
    expect(Date.parse(old.graceUntil)).toBeLessThanOrEqual(Date.now() + 30_000);
  });

  it('is one: a second one is refused, and so is a rotation that expected another generation', async () => {
    expect((await admin('POST', `${path}/${client.clientId}`, { body: {} })).status).toBe(409);
    expect((await call('rotate', { expectGeneration: 2 })).status).toBe(409);
    expect(await statusOf(client.clientSecret)).toBe(200);
  });
});

describe('a deletion of a client', () => {
  it('ends its secrets, its tokens and its approvals with the next request, and nobody else’s', async () => {
    const [client, other] = [await newClient(idp), await newClient(idp)];
    const tokens = [(await tokenOf(client)).body.access_token, (await tokenOf(client)).body.access_token];
    const others = (await tokenOf(other)).body.access_token;
    await rows(
      `INSERT INTO grants (org_id, id, client_id, code_hash, code_valid_until, redirect_uri, approved_at, approved_by)
        VALUES (?1, 'g', ?2, 'x', 1, '', 1, 'x') RETURNING id`,
      idp.orgId,
      client.clientId,
    );
    const { status, body } = await admin('DELETE', `${path}/${client.clientId}?confirm=${client.clientId}`);
    expect({ status, body }).toEqual({ status: 200, body: { deleted: client.clientId, revoked: 3 } });
    for (const token of tokens) {
      expect((await idpOf(idp.slug, idp.orgId, token).get('/Users')).status).toBe(401);
      expect((await idpOf(idp.slug, idp.orgId, token).post('/Users', { userName: 'ada' })).status).toBe(401);
    }
    expect((await tokenOf(client)).status).toBe(401);
    expect((await idpOf(idp.slug, idp.orgId, others).get('/Users')).status).toBe(200);
    expect((await tokenOf(other)).status).toBe(200);
    expect(await rows("SELECT revoked_at IS NULL AS alive FROM grants WHERE id = 'g'")).toEqual([{ alive: 0 }]);
    expect((await givenTo(client.clientId)).every((row) => row['revoked_at'] !== null)).toBe(true);
    expect((await list()).map(({ clientId }: TestClient) => clientId)).toEqual([other.clientId]);
  });

  it('wants the id once more', async () => {
    const { clientId } = await newClient(idp);
    for (const confirm of ['', '?confirm=', '?confirm=yes']) {
      expect((await admin('DELETE', `${path}/${clientId}${confirm}`)).status).toBe(400);
    }
    expect(await list()).toHaveLength(1);
  });

  it('and a token request at once leave no token that works', async () => {
    for (let i = 0; i < 5; i++) {
      const client = await newClient(idp);
      const [{ body }] = await Promise.all([
        tokenOf(client),
        admin('DELETE', `${path}/${client.clientId}?confirm=${client.clientId}`),
      ]);
      if (body.access_token === undefined) continue;
      expect((await idpOf(idp.slug, idp.orgId, body.access_token).get('/Users')).status).toBe(401);
    }
  });
});

describe('a redirect URI', () => {
  it.each([
    'https://example.com/callback',
    'https://example.com/callback?tenant=1',
    'https://example.com:8443/',
    'http://localhost:3000/cb',
    'http://127.0.0.1/cb',
    'http://[::1]:9000/cb',
    'HTTPS://example.com/cb',
    `https://example.com/${'a'.repeat(1_900)}`,
  ])('may be %s', async (uri) => {
    const { status, body } = await create({ redirectUris: [uri] });
    expect(status).toBe(201);
    expect(body.redirectUris).toEqual([uri]); // to the letter
  });

  it.each([
    '',
    'callback',
    '/callback',
    '//example.com/cb',
    'https:/example.com/cb',
    'https:example.com',
    'http://example.com/cb',
    'http://localhost.evil.test/cb',
    'http://127.0.0.1.evil.test/cb',
    'http://localhost@evil.test/cb',
    'https://user:password@example.com/cb',
    'https://*.example.com/cb',
    'https://example.com/*',
    'https://example.com/cb#fragment',
    'https://example.com/cb#',
    'https://exa mple.com/cb',
    'https://example.com/c b',
    ' https://example.com/cb',
    'https://example.com/cb\n',
    'https://exam\tple.com/cb',
    'https://example.com\\@evil.test/cb',
    'https://example.com/ü',
    'https://пример.рф/cb',
    'javascript:alert(1)',
    'data:text/html,x',
    'myapp://callback',
    'https://',
    'null',
    `https://example.com/${'a'.repeat(2_000)}`,
    5,
    null,
    {},
  ])('may not be %j', async (uri) => {
    const { status, body } = await create({ redirectUris: [uri] });
    expect(status).toBe(400);
    expect(body.detail).toMatch(/^redirectUris\.0: .*(expected|accepted)/);
    expect(await list()).toEqual([]);
  });

  it('is one of twenty at most', async () => {
    const uris = Array.from({ length: 21 }, (_, i) => `https://example.com/${i}`);
    expect((await create({ redirectUris: uris })).status).toBe(400);
    expect((await create({ redirectUris: uris.slice(1) })).status).toBe(201);
  });
});

describe('a client that signs', () => {
  const entra = {
    issuer: 'https://login.microsoftonline.com/ce5f/v2.0',
    jwksUrl: 'https://login.microsoftonline.com/ce5f/discovery/v2.0/keys',
    subject: 'd2f8ee76-c549-45b8-a143-f5b640669704',
    audience: 'api://b5ba7a93/.default',
  };

  it('of an issuer has no secret, and is shown with who signs for it', async () => {
    const { status, body } = await create({ name: 'Entra', assertion: entra });
    expect(status).toBe(201);
    expect(body).toMatchObject({ clientSecret: null, assertion: entra, secrets: [] });
    expect((await list())[0]).toMatchObject({ assertion: entra, secrets: [] });
    expect(await givenTo(body.clientId)).toEqual([]);
  });

  it.each(['RS256', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'])(
    'may have a key for %s, which is kept without what is not needed',
    async (alg) => {
      const { publicKey } = await generateKeyPair(alg, { extractable: true });
      const jwk = { ...(await exportJWK(publicKey)), kid: 'one', alg, use: 'sig', x5t: 'abc', comment: '✓' };
      const { status, body, text } = await create({ assertion: { jwk } });
      expect(status, text).toBe(201);
      const { use: _, x5t: __, comment: ___, ...kept } = jwk;
      expect(body.assertion).toEqual({ keys: [kept] });
    },
  );

  it('may have several keys, each with a name', async () => {
    const keys = [(await newPair('ES256', 'a')).publicJwk, (await newPair('ES384', 'b')).publicJwk];
    expect((await create({ assertion: { jwks: { keys } } })).body.assertion).toEqual({ keys });
    const [{ kid: _, ...nameless }, second] = keys as [(typeof keys)[0], (typeof keys)[0]];
    expect((await create({ assertion: { jwks: { keys: [nameless, second] } } })).status).toBe(201);
    for (const twice of [
      [second, second],
      [nameless, nameless],
    ]) {
      expect((await create({ assertion: { jwks: { keys: twice } } })).body.detail).toMatch(/kid of its own/);
    }
  });

  let rsa: Record<string, unknown>;
  let weak: Record<string, unknown>;
  let ec: Record<string, unknown>;
  let secret: Record<string, unknown>;
  beforeAll(async () => {
    const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true });
    [rsa, secret] = [{ ...(await exportJWK(publicKey)) }, { ...(await exportJWK(privateKey)) }];
    ec = { ...(await newPair()).publicJwk };
    weak = { kty: 'RSA', e: 'AQAB', n: (rsa['n'] as string).slice(0, 171) };
  });

  it.each<[string, () => unknown, RegExp]>([
    ['a private RSA key', () => ({ jwk: secret }), /assertion\.jwk: a public key was expected.*make a new pair/],
    ['one part of a private key', () => ({ jwk: { ...rsa, d: 'AA' } }), /make a new pair/],
    ['a private key in a set', () => ({ jwks: { keys: [secret] } }), /jwks\.keys\[0\].*make a new pair/],
    ['a symmetric key', () => ({ jwk: { kty: 'oct', k: 'c2VjcmV0' } }), /a public key was expected/],
    ['an RSA key of 1024 bits', () => ({ jwk: weak }), /RSA key of 2048 to 8192/],
    ['an RSA key of 16384 bits', () => ({ jwk: { ...rsa, n: 'x'.repeat(1_999) } }), /RSA key of 2048 to 8192/],
    [
      'an RSA key whose modulus is too long to look at',
      () => ({ jwk: { ...rsa, n: 'x'.repeat(100_000) } }),
      /assertion\.jwk\.n: .*2000/,
    ],
    ['a key of another curve', () => ({ jwk: { ...ec, crv: 'secp256k1' } }), /an EC key \(P-256/],
    ['an X25519 key', () => ({ jwk: { kty: 'OKP', crv: 'X25519', x: ec['x'] } }), /Ed25519/],
    ['a point that is not on the curve', () => ({ jwk: { ...ec, y: ec['x'] } }), /an EC key/],
    ['half a point', () => ({ jwk: { kty: 'EC', crv: 'P-256', x: ec['x'] } }), /an EC key/],
    ['a key to encrypt with', () => ({ jwk: { ...rsa, use: 'enc' } }), /assertion\.jwk\.use: sig/],
    ['a key for HMAC', () => ({ jwk: { ...rsa, alg: 'HS256' } }), /assertion\.jwk\.alg: one of RS256/],
    [
      'a key for another kind of signature',
      () => ({ jwk: { ...ec, alg: 'ES384' } }),
      /assertion\.jwk\.alg: one of ES256/,
    ],
    ['a key whose name is a number', () => ({ jwk: { ...ec, kid: 5 } }), /assertion\.jwk\.kid/],
    ['a key that is a text', () => ({ jwk: 'MIIB…' }), /assertion\.jwk: an object/],
    ['a key that is null', () => ({ jwk: null }), /assertion\.jwk: an object/],
    ['a key that is a list', () => ({ jwk: [ec] }), /RSA key/],
    ['a key called by a member of every object', () => ({ jwk: { kty: 'constructor' } }), /RSA key/],
    ['an empty set', () => ({ jwks: { keys: [] } }), /1 to 10/],
    ['a set that is a key', () => ({ jwks: ec }), /1 to 10/],
    ['eleven keys', () => ({ jwks: { keys: Array(11).fill(ec) } }), /1 to 10/],
    ['a key and a set', () => ({ jwk: ec, jwks: { keys: [ec] } }), /jwk, or jwks, or issuer/],
    ['a key and an issuer', () => ({ jwk: ec, ...entra }), /jwk, or jwks, or issuer/],
    ['nothing', () => ({}), /jwk, or jwks, or issuer/],
    ['an issuer alone', () => ({ issuer: entra.issuer }), /all four/],
    ['no audience', () => ({ ...entra, audience: undefined }), /all four/],
    ['an empty subject', () => ({ ...entra, subject: '' }), /assertion\.subject/],
    ['a subject that is a number', () => ({ ...entra, subject: 5 }), /assertion\.subject/],
    [
      'keys without encryption',
      () => ({ ...entra, jwksUrl: 'http://login.example.com/keys' }),
      /assertion\.jwksUrl: an absolute https/,
    ],
    ['keys in a file', () => ({ ...entra, jwksUrl: 'file:///etc/passwd' }), /assertion\.jwksUrl/],
    [
      'keys behind a password',
      () => ({ ...entra, jwksUrl: 'https://a:b@login.example.com/keys' }),
      /assertion\.jwksUrl/,
    ],
    ...[
      'http://localhost:9000/keys',
      'https://127.0.0.1/keys',
      'https://2130706433/keys',
      'https://0x7f.1/keys',
      'https://169.254.169.254/keys',
      'https://[::ffff:10.0.0.1]/keys',
      'https://metadata.google.internal/keys',
    ].map((jwksUrl): [string, () => unknown, RegExp] => [
      `keys at ${jwksUrl}`,
      () => ({ ...entra, jwksUrl }),
      /assertion\.jwksUrl: .*public host name.*ALLOW_LOOPBACK_JWKS/,
    ]),
    ['an unknown member', () => ({ ...entra, kid: 'x' }), /assertion/],
    ['a text', () => 'entra', /assertion/],
  ])('is not made of %s', async (_, assertion, detail) => {
    const answer = await create({ assertion: assertion() });
    expect(answer.status, answer.text).toBe(400);
    expect(answer.body.detail).toMatch(detail);
    expect(await list()).toEqual([]);
  });

  it('may have its keys on this machine where ALLOW_LOOPBACK_JWKS is true, and they are fetched only while it is', async () => {
    const jwksUrl = 'http://127.0.0.1:9/keys';
    const env = { ALLOW_LOOPBACK_JWKS: 'true' };
    const fetched = vi.spyOn(globalThis, 'fetch').mockRejectedValue(new TypeError('nobody listens'));
    const { status, body } = await create({ assertion: { ...entra, jwksUrl } }, { env });
    expect(status).toBe(201);
    const key = await newPair('ES256', 'k1');
    const assertion = await signed(key, { iss: entra.issuer, sub: entra.subject, aud: entra.audience });
    expect((await tokenBy(assertion, body.clientId)).status).toBe(401);
    expect(fetched).not.toHaveBeenCalled();
    const [refusal] = (await admin('GET', path.replace(/oauth.*/, 'refusals'))).body;
    expect(refusal).toMatchObject({
      reason: 'assertion',
      hint: 'address',
      detail: expect.stringMatching(/not public/),
    });
    expect((await tokenBy(assertion, body.clientId, { env })).status).toBe(503);
    expect(fetched).toHaveBeenCalledTimes(1);
    fetched.mockRestore();
  });

  it('has no secret that could expire, be rotated or be asked for', async () => {
    expect((await create({ assertion: entra, expires: '90d' })).body.detail).toMatch(/^expires: /);
    const { body } = await create({ assertion: entra });
    for (const verb of ['', '/rotate', '/cancel', '/complete']) {
      const { status } = await admin('POST', `${path}/${body.clientId}${verb}`, { body: {} });
      expect(status, verb).toBe(409);
    }
    expect(await givenTo(body.clientId)).toEqual([]);
  });

  it('is not let in by an assertion of its own making when an issuer signs for it', async () => {
    const { body } = await create({ assertion: entra });
    const { privateKey } = await newPair();
    const { SignJWT } = await import('jose');
    const text = await new SignJWT({ iss: body.clientId, sub: body.clientId, aud: 'https://scim.test', exp: 2e9 })
      .setProtectedHeader({ alg: 'ES256' })
      .sign(privateKey);
    vi.spyOn(globalThis, 'fetch').mockResolvedValue(Response.json({ keys: [] }));
    expect((await tokenBy(text)).status).toBe(401);
  });
});

describe('a body that is wrong', () => {
  it.each([
    [{ name: '' }, /^name: /],
    [{ name: ' ' }, /^name: /],
    [{ name: 'x'.repeat(201) }, /^name: /],
    [{ name: 5 }, /^name: /],
    [{ redirectUris: 'https://example.com' }, /^redirectUris: /],
    [{ expires: 'soon' }, /^expires: /],
    [{ expires: '0' }, /^expires: /],
    [{ by: '' }, /^by: /],
    [{ secret: 'mine' }, /secret/],
    [[], /./],
    [null, /./],
  ])('is refused with a sentence: %j', async (body, detail) => {
    const answer = await create(body);
    expect(answer.status).toBe(400);
    expect(answer.body.detail).toMatch(detail);
    expect(await list()).toEqual([]);
  });
});
