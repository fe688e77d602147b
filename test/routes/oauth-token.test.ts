/** The OAuth door: who is let in and how, what is refused and how it is said, what a token is good for and when it dies. */
import { env } from 'cloudflare:workers';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { ASSERTION_TYPE } from '../../src/credentials/assertion';
import { hashOf, newSecret } from '../../src/credentials/secret';
import { homes } from '../../src/store/d1/homes';
import { type Answer, type Ask, admin, ask, BASE, type Idp, idpOf, newIdp } from '../support/client';
import { dump, journal, rows } from '../support/database';
import { Meter } from '../support/meter';
import {
  basic,
  type Form,
  givenTo,
  newClient,
  newIssuer,
  newPair,
  type Pair,
  post,
  signed,
  type TestClient,
  tokenBy,
  tokenOf,
} from '../support/oauth';

const GRANT = { grant_type: 'client_credentials' };
const TYPE = { client_assertion_type: ASSERTION_TYPE };

let idp: Idp;
let client: TestClient;
let meter: Meter;
let metered: Ask;
/** Round trips until the answer was there: what is noted of a refusal is noted after it. */
let beforeAnswer = 0;
let sentBeforeAnswer = 0;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`oauth-${++n}`);
  client = await newClient(idp);
  meter = new Meter();
  metered = {
    env: { DB: meter.binding },
    onAnswer: () => {
      beforeAnswer = meter.roundTrips;
      sentBeforeAnswer = meter.statements.length;
    },
  };
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const scim = (token: string) => idpOf(idp.slug, idp.orgId, token);
const body = ({ clientId, clientSecret } = client) => ({ client_id: clientId, client_secret: clientSecret });

function expectToken(answer: Answer): string {
  expect(answer.status, answer.text).toBe(200);
  expect(answer.body).toEqual({
    access_token: expect.stringMatching(new RegExp(`^scimat_${idp.orgId}_[0-9A-Za-z]{39}$`)),
    token_type: 'Bearer',
    expires_in: 3600,
    scope: 'scim',
  });
  expectHeaders(answer);
  return answer.body.access_token;
}

function expectHeaders({ headers }: Answer): void {
  expect(headers.get('Content-Type')).toBe('application/json');
  expect(headers.get('Cache-Control')).toBe('no-store');
  expect(headers.get('Pragma')).toBe('no-cache');
  expect(headers.get('X-Request-Id')).toMatch(/^[0-9a-f-]{36}$/);
}

function expectError(answer: Answer, status: number, error: string, description = /\S.{8,}/): void {
  expect({ status: answer.status, ...answer.body }, answer.text).toEqual({
    status,
    error,
    error_description: expect.stringMatching(description),
  });
  // RFC 6749 §5.2: NQSCHAR.
  expect(answer.body.error_description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/);
  expectHeaders(answer);
}

/** The one answer for every client that is not good. */
function expectNobody(answer: Answer): void {
  expectError(answer, 401, 'invalid_client');
  expect(answer.text).toBe('{"error":"invalid_client","error_description":"The client could not be authenticated"}');
  expect(answer.headers.get('WWW-Authenticate')).toBe('Basic realm="oauth", charset="UTF-8"');
}

describe('a client with its secret', () => {
  it.each<[string, () => Promise<Answer>]>([
    ['in the form', () => post('/token', { ...GRANT, ...body() })],
    ['by Basic', () => post('/token', GRANT, { headers: basic(client.clientId, client.clientSecret) })],
    [
      'by Basic, form-encoded to the last letter (section 2.3.1)',
      () => {
        const encoded = (text: string) => text.replaceAll('_', '%5F').replaceAll('a', '%61');
        return post('/token', GRANT, { headers: basic(encoded(client.clientId), encoded(client.clientSecret)) });
      },
    ],
    [
      'by basic in small letters, with its id in the form, too',
      () =>
        post(
          '/token',
          { ...GRANT, client_id: client.clientId },
          { headers: { Authorization: basic(client.clientId, client.clientSecret).Authorization.replace('B', 'b') } },
        ),
    ],
    ['that asks for a scope we do not have', () => post('/token', { ...GRANT, ...body(), scope: 'admin everything' })],
    [
      'that names resources (RFC 8707)',
      () =>
        post('/token', [...Object.entries({ ...GRANT, ...body() }), ['resource', 'a'], ['resource', 'b'], ['x', '✓']]),
    ],
    [
      'beside empty members, which count as absent',
      () => post('/token', { ...GRANT, ...body(), client_assertion: '' }),
    ],
    [
      'in a form with a charset',
      () =>
        post(
          '/token',
          { ...GRANT, ...body() },
          { headers: { 'Content-Type': 'Application/X-WWW-Form-Urlencoded; charset=UTF-8' } },
        ),
    ],
  ])('%s has a token', async (_, send) => {
    expectToken(await send());
  });

  it('has a token that is good for every SCIM operation of its org, as the org’s own is', async () => {
    const token = expectToken(await tokenOf(client));
    const { id } = await scim(token).user('ada');
    expect((await scim(token).patch(`/Users/${id}`, [{ op: 'replace', path: 'title', value: 'x' }])).status).toBe(200);
    const byPath = await ask('GET', `${BASE}/orgs/${idp.slug}/scim/v2/Users/${id}`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    expect(byPath.body.title).toBe('x');
    const [{ id: credential } = { id: undefined }] = await rows(
      'SELECT id FROM credentials WHERE hash = ?',
      await hashOf(token),
    );
    const events = await rows('SELECT credential_id FROM events WHERE target_id = ?', id);
    expect(events).toEqual([{ credential_id: credential }, { credential_id: credential }]);
  });

  it('has a token that is good for no other org, for no other door and not as a secret', async () => {
    const token = expectToken(await tokenOf(client));
    const other = await newIdp(`other-${n}`);
    const theirs = await ask('GET', `${BASE}/orgs/${other.slug}/scim/v2/Users`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    expect(theirs.status).toBe(401);
    expect((await admin('GET', '/orgs', { headers: { Authorization: `Bearer ${token}` } })).status).toBe(401);
    expectNobody(await tokenOf({ ...client, clientSecret: token }));
    expect((await scim(client.clientSecret).get('/Users')).status).toBe(401);
    const asPassword = await ask('GET', `${BASE}/scim/v2/Users`, { headers: basic(idp.slug, token) });
    expect(asPassword.status).toBe(401);
  });

  it('has another token each time, and the earlier ones stay good', async () => {
    const tokens = await Promise.all(Array.from({ length: 5 }, async () => expectToken(await tokenOf(client))));
    expect(new Set(tokens).size).toBe(5);
    for (const token of tokens) expect((await scim(token).get('/Users?count=1')).status).toBe(200);
  });

  it('has a token for an hour', async () => {
    const token = expectToken(await tokenOf(client));
    const [, { valid_until: until } = { valid_until: 0 }] = await givenTo(client.clientId);
    expect(Math.abs((until as number) - Date.now() - 3_600_000)).toBeLessThan(10_000);
    vi.useFakeTimers({ toFake: ['Date'] });
    vi.setSystemTime((until as number) - 1);
    expect((await scim(token).get('/Users')).status).toBe(200);
    vi.setSystemTime(until as number);
    expect((await scim(token).get('/Users')).status).toBe(401);
  });

  it('leaves an event that names it and the token’s mask, and a last use', async () => {
    const token = expectToken(await tokenOf(client, { headers: { 'User-Agent': 'Entra' } }));
    const told = (await journal(idp.orgId)).at(-1)!;
    expect(told).toMatchObject({
      type: 'client.given',
      actor: `client:${client.clientId}`,
      target_id: client.clientId,
      details: { client: 'Entra', masks: [`${token.slice(0, 11)}…${token.slice(-4)}`] },
    });
    const [secret] = await givenTo(client.clientId);
    expect(secret).toMatchObject({ kind: 'oauth_client', last_used_client: 'Entra' });
  });
});

describe('a client that is not good', () => {
  const id = () => client.clientId;
  const other = (): Promise<TestClient> => newClient(idp);
  const cases: [string, number, () => Promise<Answer>][] = [
    ['that says nothing of itself', 0, () => post('/token', GRANT, metered)],
    ['that sends only its id', 0, () => post('/token', { ...GRANT, client_id: id() }, metered)],
    ['that sends only a secret', 0, () => post('/token', { ...GRANT, client_secret: client.clientSecret }, metered)],
    ['with a secret cut off', 0, () => tokenOf({ ...client, clientSecret: client.clientSecret.slice(0, -3) }, metered)],
    [
      'with a mistyped secret',
      0,
      () => tokenOf({ ...client, clientSecret: `${client.clientSecret.slice(0, -1)}!` }, metered),
    ],
    ['with a secret with a blank', 0, () => tokenOf({ ...client, clientSecret: ` ${client.clientSecret}` }, metered)],
    ['with a secret of letters', 0, () => tokenOf({ ...client, clientSecret: 'letmein' }, metered)],
    ['with a secret of another script', 0, () => tokenOf({ ...client, clientSecret: 'пароль🔑' }, metered)],
    [
      'with a secret as large as the form may be',
      0,
      () => tokenOf({ ...client, clientSecret: 'x'.repeat(60_000) }, metered),
    ],
    ['with the org’s token', 0, () => tokenOf({ ...client, clientSecret: idp.token }, metered)],
    ['with an id of letters', 0, () => tokenOf({ ...client, clientId: 'client' }, metered)],
    ['with an id in SQL', 0, () => tokenOf({ ...client, clientId: `${id()}' OR 1=1 --` }, metered)],
    ['with a blank in its id', 0, () => tokenOf({ ...client, clientId: `${id()} ` }, metered)],
    [
      'with a secret of another org',
      0,
      async () => tokenOf({ ...client, clientSecret: await newSecret('oauth_client', '000000000000') }, metered),
    ],
    [
      'with the id and the secret of an org that is not there',
      2,
      async () => {
        const org = '000000000000';
        const clientSecret = await newSecret('oauth_client', org);
        return tokenOf({ clientId: `${org}_0000000000000000`, clientSecret }, metered);
      },
    ],
    [
      'with a secret of nobody',
      2,
      async () => tokenOf({ ...client, clientSecret: await newSecret('oauth_client', idp.orgId) }, metered),
    ],
    [
      'with the secret of another client of its org',
      2,
      async () => tokenOf({ ...client, clientSecret: (await other()).clientSecret }, metered),
    ],
    [
      'with the id of another org’s client',
      0,
      async () => tokenOf({ ...client, clientId: (await newClient(await newIdp(`c-${n}`))).clientId }, metered),
    ],
    [
      'whose secret was rotated away',
      2,
      async () => {
        await admin('POST', `/orgs/${idp.slug}/oauth/clients/${id()}/rotate`, { body: { grace: '0' } });
        return tokenOf(client, metered);
      },
    ],
    [
      'whose secret has expired',
      2,
      async () => {
        await rows('UPDATE credentials SET valid_until = ?1 WHERE subject = ?2', Date.now(), id());
        return tokenOf(client, metered);
      },
    ],
    [
      'with Basic of no pair',
      0,
      () => post('/token', GRANT, { ...metered, headers: { Authorization: `Basic ${btoa('x')}` } }),
    ],
    [
      'with Basic that is no base64',
      0,
      () => post('/token', GRANT, { ...metered, headers: { Authorization: 'Basic !!!' } }),
    ],
    ['with Basic of nothing', 0, () => post('/token', GRANT, { ...metered, headers: { Authorization: 'Basic' } })],
    ['with a broken escape in Basic', 0, () => post('/token', GRANT, { ...metered, headers: basic(id(), '%E0%A4%A') })],
    [
      'with its secret as a bearer token',
      0,
      () => post('/token', GRANT, { ...metered, headers: { Authorization: `Bearer ${client.clientSecret}` } }),
    ],
    [
      'with its secret in the address',
      0,
      () => post(`/token?client_id=${id()}&client_secret=${client.clientSecret}`, GRANT, metered),
    ],
    ['with an assertion of nothing', 0, () => tokenBy('x', id(), metered)],
    [
      'with an assertion, though it has a secret',
      1,
      async () => tokenBy(await signed(await newPair(), {}), id(), metered),
    ],
  ];
  it.each(cases)(
    '%s costs %i round trips, is told what every other one is, and is given nothing',
    async (_, trips, send) => {
      homes.emptyAt = Date.now(); // once a minute an isolate asks whether orgs are elsewhere (test/store/one-database.test.ts)
      const answer = await send();
      expectNobody(answer);
      expect(beforeAnswer).toBe(trips);
      const { events } = { events: (await journal(idp.orgId)).map(({ type }) => type) };
      expect(events).not.toContain('client.given');
    },
  );

  it('is told of its client before of its form: nobody learns what else is wrong', async () => {
    const nobody = { ...client, clientSecret: await newSecret('oauth_client', idp.orgId) };
    expectNobody(await post('/revoke', { token: 'x', ...body(nobody) }));
  });
});

describe('a form that is wrong', () => {
  const raw = (raw: BodyInit, type = 'application/x-www-form-urlencoded') =>
    post('/token', '', { ...metered, raw, headers: { 'Content-Type': type } });
  const all = () => new URLSearchParams({ ...GRANT, ...body() }).toString();

  it.each<[string, number, string, RegExp, () => Promise<Answer>]>([
    [
      'that is JSON',
      415,
      'invalid_request',
      /Content-Type/,
      () => raw(JSON.stringify({ ...GRANT, ...body() }), 'application/json'),
    ],
    ['without a media type', 415, 'invalid_request', /Content-Type/, () => raw(new TextEncoder().encode(all()), '')],
    ['that has parts', 415, 'invalid_request', /Content-Type/, () => raw(all(), 'multipart/form-data; boundary=x')],
    ['that is empty', 400, 'invalid_request', /grant_type/, () => raw('')],
    ['without a grant_type', 400, 'invalid_request', /grant_type/, () => post('/token', body(), metered)],
    [
      'with an empty grant_type',
      400,
      'invalid_request',
      /grant_type/,
      () => post('/token', { ...body(), grant_type: '' }, metered),
    ],
    ['with a grant_type twice', 400, 'invalid_request', /once/, () => raw(`${all()}&grant_type=client_credentials`)],
    ['with a client_id twice', 400, 'invalid_request', /once/, () => raw(`${all()}&client_id=x`)],
    ['with an unknown member twice', 400, 'invalid_request', /once/, () => raw(`${all()}&x=1&x=1`)],
    ['with an empty member twice', 400, 'invalid_request', /once/, () => raw(`${all()}&x=&x=`)],
    ['that is no UTF-8', 400, 'invalid_request', /UTF-8/, () => raw(new Uint8Array([0x61, 0x3d, 0xff]))],
    ['of more than 64 KiB', 413, 'invalid_request', /65536/, () => raw(`${all()}&x=${'x'.repeat(65_536)}`)],
    [
      'of the password grant',
      400,
      'unsupported_grant_type',
      /client_credentials/,
      () => post('/token', { ...body(), grant_type: 'password' }, metered),
    ],
    ...[
      'constructor',
      '__proto__',
      'toString',
      'CLIENT_CREDENTIALS',
      'client_credentials ',
      '✓',
      'x'.repeat(1_000),
    ].map((type): [string, number, string, RegExp, () => Promise<Answer>] => [
      `of the grant ${type.slice(0, 20)}`,
      400,
      'unsupported_grant_type',
      /^grant_type: one of/,
      () => post('/token', { ...body(), grant_type: type }, metered),
    ]),
    [
      'with a secret in it and in the header',
      400,
      'invalid_request',
      /One way/,
      () =>
        post('/token', { ...GRANT, ...body() }, { ...metered, headers: basic(client.clientId, client.clientSecret) }),
    ],
    [
      'with a secret and an assertion',
      400,
      'invalid_request',
      /One way/,
      () => post('/token', { ...GRANT, ...body(), ...TYPE, client_assertion: 'x' }, metered),
    ],
    [
      'with another client_id than the header',
      400,
      'invalid_request',
      /client_id/,
      () =>
        post(
          '/token',
          { ...GRANT, client_id: 'x' },
          { ...metered, headers: basic(client.clientId, client.clientSecret) },
        ),
    ],
    [
      'with the type of an assertion alone',
      400,
      'invalid_request',
      /client_assertion is/,
      () => post('/token', { ...GRANT, ...TYPE, client_id: client.clientId }, metered),
    ],
    [
      'with an assertion without its type',
      400,
      'invalid_request',
      /client_assertion_type/,
      () => post('/token', { ...GRANT, client_assertion: 'x' }, metered),
    ],
    [
      'with an assertion of SAML',
      400,
      'invalid_request',
      /client_assertion_type/,
      () =>
        post(
          '/token',
          {
            ...GRANT,
            client_assertion: 'x',
            client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer',
          },
          metered,
        ),
    ],
  ])('%s is %i %s, without a word with D1', async (_, status, error, description, send) => {
    expectError(await send(), status, error, description);
    expect(beforeAnswer).toBe(0);
  });

  it.each(['GET', 'PUT', 'PATCH', 'DELETE'])('is not asked for by %s', async (method) => {
    for (const path of ['/token', '/revoke']) {
      const answer = await ask(method, `${BASE}/oauth${path}`);
      expectError(answer, 405, 'invalid_request');
      expect(answer.headers.get('Allow')).toBe('POST');
    }
  });
});

describe('an org whose SCIM is off', () => {
  const off = () => admin('POST', `/orgs/${idp.slug}/scim`, { body: { enabled: false } });

  it('has its client told so, and whom to ask, in letters that the RFC allows', async () => {
    await admin('PATCH', `/orgs/${idp.slug}`, { body: { settings: { supportContact: '"Zoë" \\ help@example.com' } } });
    await off();
    expectError(
      await tokenOf(client),
      400,
      'unauthorized_client',
      /SCIM is not enabled .* Contact 'Zo\?' ' help@example\.com\./,
    );
    expectError(await post('/revoke', { token: 'x', ...body() }), 400, 'unauthorized_client');
  });

  it('says nothing of it to who is not its client', async () => {
    const pair = await newPair();
    const signer = await newClient(idp, { assertion: { jwk: pair.publicJwk } });
    await off();
    expectNobody(await tokenOf({ ...client, clientSecret: await newSecret('oauth_client', idp.orgId) }));
    expectNobody(await tokenBy(await signed(await newPair(), {}), signer.clientId));
    const own = { iss: signer.clientId, sub: signer.clientId, aud: BASE };
    expectError(await tokenBy(await signed(pair, own)), 400, 'unauthorized_client');
  });
});

describe('D1 in trouble', () => {
  const failing = (message: string): Ask => ({
    env: {
      DB: {
        prepare: (text: string) => env.DB.prepare(text),
        batch: () => Promise.reject(new Error(message)),
      } as unknown as D1Database,
    },
  });

  it('for a moment is temporarily_unavailable, with Retry-After', async () => {
    const answer = await tokenOf(client, failing('D1_ERROR: D1 DB is overloaded. Requests queued for too long.'));
    expectError(answer, 503, 'temporarily_unavailable');
    expect(answer.headers.get('Retry-After')).toMatch(/^\d+$/);
  });

  it('that nobody foresaw is server_error; the log has the request’s id, and no secret', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const answer = await tokenOf(client, failing('D1_ERROR: no such table: credentials'));
    expectError(answer, 500, 'server_error', /X-Request-Id/);
    expect(log.mock.calls.join()).toContain(answer.headers.get('X-Request-Id'));
    expect(log.mock.calls.join()).not.toContain(client.clientSecret);
  });
});

describe('a client that signs with its own key', () => {
  let pair: Pair;
  let signer: TestClient;
  beforeAll(async () => {
    pair = await newPair();
  });
  beforeEach(async () => {
    signer = await newClient(idp, { assertion: { jwk: pair.publicJwk } });
  });
  const own = (more = {}) => ({ iss: signer.clientId, sub: signer.clientId, aud: `${BASE}/oauth/token`, ...more });

  it('has a token in two round trips, with its id in the form or only in the assertion', async () => {
    expectToken(await tokenBy(await signed(pair, own()), signer.clientId, metered));
    expect(beforeAnswer).toBe(2);
    const token = expectToken(await tokenBy(await signed(pair, own())));
    expect((await scim(token).get('/Users')).status).toBe(200);
  });

  it('uses an assertion with a jti once, also when it is sent ten times at once', async () => {
    const text = await signed(pair, own({ jti: 'α-1' }));
    const answers = await Promise.all(Array.from({ length: 10 }, () => tokenBy(text)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(401)]);
    for (const answer of answers) if (answer.status === 401) expectNobody(answer);
    expectNobody(await tokenBy(text));
    expect(await givenTo(signer.clientId)).toHaveLength(1);
    expectToken(await tokenBy(await signed(pair, own({ jti: 'α-2' }))));
  });

  it('uses none up that came to nothing', async () => {
    const text = await signed(pair, own({ jti: 'kept' }));
    await admin('POST', `/orgs/${idp.slug}/scim`, { body: { enabled: false } });
    expectError(await tokenBy(text), 400, 'unauthorized_client');
    await admin('POST', `/orgs/${idp.slug}/scim`, { body: { enabled: true } });
    expectToken(await tokenBy(text));
    expectNobody(await tokenBy(text));
  });

  it('may use the jti that another client has used', async () => {
    const second = await newClient(idp, { assertion: { jwk: pair.publicJwk } });
    expectToken(await tokenBy(await signed(pair, own({ jti: 'same' }))));
    const theirs = { iss: second.clientId, sub: second.clientId, aud: BASE, jti: 'same' };
    expectToken(await tokenBy(await signed(pair, theirs)));
  });

  it.each<[string, number, () => Promise<Answer>]>([
    ['of a stranger', 1, async () => tokenBy(await signed(await newPair(), own()), signer.clientId, metered)],
    [
      'for another client',
      1,
      async () =>
        tokenBy(
          await signed(pair, own()),
          (await newClient(idp, { assertion: { jwk: pair.publicJwk } })).clientId,
          metered,
        ),
    ],
    [
      'for a client of another org with the same key',
      1,
      async () => {
        const theirs = await newClient(await newIdp(`x-${n}`), { assertion: { jwk: pair.publicJwk } });
        return tokenBy(await signed(pair, own()), theirs.clientId, metered);
      },
    ],
    [
      'for a client that is not there',
      1,
      async () => tokenBy(await signed(pair, own()), `${idp.orgId}_0000000000000000`, metered),
    ],
    [
      'for an org that is not there',
      1,
      async () => tokenBy(await signed(pair, own()), '000000000000_0000000000000000', metered),
    ],
    ['that names nobody', 0, async () => tokenBy(await signed(pair, { aud: BASE }), undefined, metered)],
    ['that is expired', 1, async () => tokenBy(await signed(pair, own({ exp: 1 })), signer.clientId, metered)],
    [
      'for the revocation endpoint’s host alone',
      1,
      async () => tokenBy(await signed(pair, own({ aud: 'scim.test' })), signer.clientId, metered),
    ],
    [
      'of alg none',
      0,
      async () =>
        tokenBy(`${btoa('{"alg":"none"}')}.${btoa(JSON.stringify(own({ exp: 2e9 })))}.`, signer.clientId, metered),
    ],
    ['that is a secret', 0, async () => tokenBy(client.clientSecret, signer.clientId, metered)],
    ['of 60,000 letters', 0, async () => tokenBy('a'.repeat(60_000), signer.clientId, metered)],
  ])('is refused with an assertion %s, in %i round trips', async (_, trips, send) => {
    expectNobody(await send());
    expect(beforeAnswer).toBe(trips);
    expect(await givenTo(signer.clientId)).toEqual([]);
  });

  it('is not let in by a secret', async () => {
    expectNobody(await tokenOf({ ...signer, clientSecret: await newSecret('oauth_client', idp.orgId) }));
    expectNobody(await tokenOf({ ...signer, clientSecret: client.clientSecret }));
  });

  it('means the address that the service has outside, where it has one', async () => {
    const env = { PUBLIC_URL: 'https://scim.example.com/' };
    expectNobody(await tokenBy(await signed(pair, own()), undefined, { env }));
    expectToken(await tokenBy(await signed(pair, own({ aud: 'https://scim.example.com' })), undefined, { env }));
    expectToken(
      await tokenBy(await signed(pair, own({ aud: 'https://scim.example.com/oauth/token' })), undefined, { env }),
    );
  });

  it('is dead with its deletion, tokens and all', async () => {
    const token = expectToken(await tokenBy(await signed(pair, own())));
    const path = `/orgs/${idp.slug}/oauth/clients/${signer.clientId}`;
    expect((await admin('DELETE', `${path}?confirm=${signer.clientId}`)).status).toBe(200);
    expect((await scim(token).get('/Users')).status).toBe(401);
    expectNobody(await tokenBy(await signed(pair, own())));
  });

  it('leaves its assertions nowhere', async () => {
    const logs = (['log', 'warn', 'error'] as const).map((level) =>
      vi.spyOn(console, level).mockImplementation(() => {}),
    );
    const text = await signed(pair, own({ jti: 'x' }));
    await tokenBy(text);
    await tokenBy(text);
    const [, claims, signature] = text.split('.');
    for (const place of [await dump(), ...logs.map((log) => JSON.stringify(log.mock.calls))]) {
      expect(place).not.toContain(claims);
      expect(place).not.toContain(signature);
    }
  });
});

describe('a client for which an issuer signs', () => {
  const SUBJECT = 'd2f8ee76-c549-45b8-a143-f5b640669704';
  let key: Pair;
  beforeAll(async () => {
    key = await newPair('ES256', 'k1');
  });
  const claims = { iss: 'https://login.test/tenant/v2.0', sub: SUBJECT, aud: 'api://app' };
  const clientOf = (jwksUrl: string, org = idp) =>
    newClient(org, {
      assertion: { issuer: claims.iss, jwksUrl, subject: SUBJECT, audience: 'api://app/.default' },
    });

  it('has tokens by the same assertion, which names another subject than the client', async () => {
    const { clientId } = await clientOf(newIssuer(key.publicJwk).jwksUrl);
    const text = await signed(key, { ...claims, jti: 'reused' });
    for (let i = 0; i < 3; i++) expectToken(await tokenBy(text, clientId, metered));
    expect(beforeAnswer).toBe(6);
    expectNobody(await tokenBy(text)); // it does not name the client
  });

  it('is the client of the org that trusts the issuer: of two orgs, each has its own', async () => {
    const { jwksUrl } = newIssuer(key.publicJwk);
    const ours = await clientOf(jwksUrl);
    const other = await newIdp(`fed-${n}`);
    const theirs = await clientOf(jwksUrl, other);
    const text = await signed(key, claims);
    const token = expectToken(await tokenBy(text, ours.clientId));
    const { body: answer } = await tokenBy(text, theirs.clientId);
    expect(answer.access_token).toContain(other.orgId);
    await scim(token).user('ada');
    const beside = await idpOf(other.slug, other.orgId, answer.access_token).get('/Users');
    expect(beside.body.totalResults).toBe(0);
  });

  it('is neither in nor out while the keys cannot be had: try again later, and no token', async () => {
    const issuer = newIssuer(key.publicJwk);
    const { clientId } = await clientOf(issuer.jwksUrl);
    issuer.answer = () => new Response('', { status: 500 });
    const answer = await tokenBy(await signed(key, claims), clientId);
    expectError(answer, 503, 'temporarily_unavailable');
    expect(answer.headers.get('Retry-After')).toBe('5');
    expect(await givenTo(clientId)).toEqual([]);
  });

  it('is refused with a key that the issuer does not publish, and with another subject', async () => {
    const { clientId } = await clientOf(newIssuer(key.publicJwk).jwksUrl);
    expectNobody(await tokenBy(await signed(await newPair('ES256', 'k2'), claims), clientId));
    expectNobody(await tokenBy(await signed(key, { ...claims, sub: 'someone' }), clientId));
  });
});

describe('a revocation', () => {
  const revoke = (token: string, by = client, more: Ask = {}) => post('/revoke', { token, ...body(by) }, more);
  const works = async (token: string) => (await scim(token).get('/Users?count=1')).status === 200;
  const types = async () => (await journal(idp.orgId)).map(({ type }) => type);

  it('ends an access token with the next request, and no other', async () => {
    const [token, other] = [expectToken(await tokenOf(client)), expectToken(await tokenOf(client))];
    const answer = await revoke(token, client, metered);
    expect(answer.status).toBe(200);
    expectHeaders(answer);
    expect(beforeAnswer).toBe(1);
    expect([await works(token), await works(other)]).toEqual([false, true]);
    expect((await journal(idp.orgId)).at(-1)).toMatchObject({
      type: 'client.returned',
      actor: `client:${client.clientId}`,
      target_id: client.clientId,
      details: { masks: [`${token.slice(0, 11)}…${token.slice(-4)}`], grant: null },
    });
  });

  it.each<[string, () => Promise<string> | string]>([
    ['of a token that was never given', () => newSecret('oauth_access', idp.orgId)],
    ['of a text', () => 'letmein'],
    ['of a text in another script', () => 'ключ🔑'],
    ['of the client’s own secret', () => client.clientSecret],
    ['of the org’s token', () => idp.token],
    ['of another client’s token', async () => expectToken(await tokenOf(await newClient(idp)))],
    [
      'of a token of another org',
      async () => (await tokenOf(await newClient(await newIdp(`r-${n}`)))).body.access_token,
    ],
    [
      'of a token that has expired',
      async () => {
        const token = expectToken(await tokenOf(client));
        await rows('UPDATE credentials SET valid_until = 1 WHERE hash = ?', await hashOf(token));
        return token;
      },
    ],
    [
      'of a token that was revoked',
      async () => {
        const token = expectToken(await tokenOf(client));
        await revoke(token);
        return token;
      },
    ],
  ])('%s succeeds, and nothing changes (section 2.2)', async (_, token) => {
    const text = await token();
    await tokenOf(client); // its use is noted now
    const before = await dump();
    expect((await revoke(text)).status).toBe(200);
    expect(await dump()).toBe(before);
  });

  describe('of a refresh token', () => {
    /** As an approval leaves them: a grant, with an access and a refresh token. */
    async function family(id: string, { clientId } = client) {
      await env.DB.prepare(
        `INSERT INTO grants (org_id, id, client_id, code_hash, code_valid_until, redirect_uri, approved_at, approved_by)
          VALUES (?1, ?2, ?3, ?2, 1, '', 1, 'x')`,
      )
        .bind(idp.orgId, id, clientId)
        .run();
      const give = async (kind: 'oauth_access' | 'oauth_refresh') => {
        const secret = await newSecret(kind, idp.orgId);
        await env.DB.prepare(
          `INSERT INTO credentials (id, org_id, kind, subject, hash, mask, generation, created_at, created_by, valid_until, grant_id)
            VALUES (?1, ?2, ?3, ?4, ?5, 'm', 0, 1, 'x', 4e12, ?6)`,
        )
          .bind(crypto.randomUUID(), idp.orgId, kind, clientId, await hashOf(secret), id)
          .run();
        return secret;
      };
      return { access: await give('oauth_access'), refresh: await give('oauth_refresh') };
    }
    const alive = async (grant: string) =>
      (await rows('SELECT kind FROM credentials WHERE grant_id = ? AND revoked_at IS NULL', grant)).length;

    it('ends all that came of the same approval, and of no other', async () => {
      const [one, two] = [await family(`a-${n}`), await family(`b-${n}`)];
      const own = expectToken(await tokenOf(client));
      expect((await post('/revoke', { token: one.refresh, token_type_hint: 'access_token', ...body() })).status).toBe(
        200,
      );
      expect([await works(one.access), await works(two.access), await works(own)]).toEqual([false, true, true]);
      expect([await alive(`a-${n}`), await alive(`b-${n}`)]).toEqual([0, 2]);
      const grants = await rows(
        'SELECT id, revoked_at IS NULL AS open FROM grants WHERE org_id = ? ORDER BY id',
        idp.orgId,
      );
      expect(grants).toEqual([
        { id: `a-${n}`, open: 0 },
        { id: `b-${n}`, open: 1 },
      ]);
      expect((await journal(idp.orgId)).at(-1)!.details).toMatchObject({ grant: `a-${n}`, masks: ['m', 'm'] });
    });

    it('that was exchanged before still ends what came of it', async () => {
      const { access, refresh } = await family(`a-${n}`);
      await rows('UPDATE credentials SET replaced_at = 1, grace_until = 1 WHERE hash = ?', await hashOf(refresh));
      await revoke(refresh);
      expect(await works(access)).toBe(false);
    });

    it('leaves the refresh token when only the access token is given back', async () => {
      const { access } = await family(`a-${n}`);
      await revoke(access);
      expect(await alive(`a-${n}`)).toBe(1);
    });

    it('of another client changes nothing', async () => {
      const { access, refresh } = await family(`a-${n}`, await newClient(idp));
      expect((await revoke(refresh)).status).toBe(200);
      expect(await works(access)).toBe(true);
    });
  });

  it('needs the client, and a token', async () => {
    const token = expectToken(await tokenOf(client));
    expectNobody(await post('/revoke', { token }));
    expectNobody(await revoke(token, { ...client, clientSecret: await newSecret('oauth_client', idp.orgId) }));
    expectNobody(await revoke('x', { ...client, clientSecret: await newSecret('oauth_client', idp.orgId) }));
    expectError(await post('/revoke', body()), 400, 'invalid_request', /token/);
    expect(await works(token)).toBe(true);
    expect(await types()).not.toContain('client.returned');
  });

  it('is one when it is asked for ten times at once', async () => {
    const token = expectToken(await tokenOf(client));
    const answers = await Promise.all(Array.from({ length: 10 }, () => revoke(token)));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect((await types()).filter((type) => type === 'client.returned')).toHaveLength(1);
  });

  it('may be proved by an assertion, which is good once', async () => {
    const pair = await newPair();
    const signer = await newClient(idp, { assertion: { jwk: pair.publicJwk } });
    const assertion = (jti: string) => signed(pair, { iss: signer.clientId, sub: signer.clientId, aud: BASE, jti });
    const [first, second] = await Promise.all(
      ['1', '2'].map(async (jti) => expectToken(await tokenBy(await assertion(jti)))),
    );
    const form = async (token: string): Promise<Form> => ({ token, ...TYPE, client_assertion: await assertion('3') });
    expect((await post('/revoke', await form(first!))).status).toBe(200);
    expectNobody(await post('/revoke', await form(second!)));
    expect([await works(first!), await works(second!)]).toEqual([false, true]);
  });
});

describe('what it costs', () => {
  /** Tokens of the last months, of this client and of others beside it. */
  async function history() {
    const other = await newClient(idp);
    for (const { clientId } of [client, other]) {
      await env.DB.prepare(
        `INSERT INTO credentials (id, org_id, kind, subject, hash, mask, generation, created_at, created_by, valid_until, grant_id)
          WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
          SELECT ?2 || i, ?1, 'oauth_access', ?2, ?2 || i, 'm', 0, 1, 'x', 2, iif(i % 2, 'g' || i, NULL) FROM n`,
      )
        .bind(idp.orgId, clientId)
        .run();
    }
  }

  it.each<[string, number, () => Promise<Answer>]>([
    ['a token by a secret', 1, () => tokenOf(client, metered)],
    [
      'a token by a secret of nobody',
      2,
      async () => tokenOf({ ...client, clientSecret: await newSecret('oauth_client', idp.orgId) }, metered),
    ],
    ['a revocation of nothing', 1, async () => post('/revoke', { token: 'x', ...body() }, metered)],
    [
      'a revocation of a token',
      1,
      async () => {
        const token = expectToken(await tokenOf(client));
        return post('/revoke', { token, ...body() }, metered);
      },
    ],
    [
      'a revocation of a token of nobody',
      1,
      async () => post('/revoke', { token: await newSecret('oauth_refresh', idp.orgId), ...body() }, metered),
    ],
  ])('%s takes %i round trips, and reads what it touches, however many tokens there were', async (_, trips, send) => {
    await history();
    await tokenOf(client); // its use is noted
    const answer = await send();
    expect(answer.status).toBeLessThan(402);
    expect(beforeAnswer).toBe(trips);
    expect(meter.rowsRead).toBeLessThan(100);
    expect(
      (await meter.plans(sentBeforeAnswer)).filter(
        // The org's webhooks and streams of signals, twenty at most each.
        (line) =>
          /^SCAN (?!CONSTANT|1)/.test(line) || /^SEARCH (?!l\b|webhook_lines|signal_lines).*\(org_id=\?\)$/.test(line),
      ),
    ).toEqual([]);
  });
});

describe('the metadata', () => {
  it('says where what is, and what there is (RFC 8414)', async () => {
    const answer = await ask('GET', `${BASE}/.well-known/oauth-authorization-server`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('Content-Type')).toBe('application/json');
    expect(answer.body).toMatchObject({
      issuer: BASE,
      authorization_endpoint: `${BASE}/oauth/authorize`,
      token_endpoint: `${BASE}/oauth/token`,
      revocation_endpoint: `${BASE}/oauth/revoke`,
      scopes_supported: ['scim'],
      response_types_supported: ['code'],
      grant_types_supported: expect.arrayContaining(['client_credentials']),
      code_challenge_methods_supported: ['S256'],
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    });
    const algorithms = answer.body.token_endpoint_auth_signing_alg_values_supported;
    expect(algorithms).toContain('RS256');
    expect(algorithms.filter((alg: string) => alg === 'none' || alg.startsWith('HS'))).toEqual([]);
    expect(answer.text).not.toContain('null');
  });

  it('has the address that the service has outside', async () => {
    const { body } = await ask('GET', `${BASE}/.well-known/oauth-authorization-server`, {
      env: { PUBLIC_URL: 'https://scim.example.com/' },
    });
    expect(body).toMatchObject({
      issuer: 'https://scim.example.com',
      token_endpoint: 'https://scim.example.com/oauth/token',
    });
  });
});
