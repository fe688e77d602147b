/** What is refused at the OAuth door: one answer to the client, the reason to the org's administrator, and a brake. */
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { newSecret } from '../../src/credentials/secret';
import { newApproval, newClient as newApprovedClient, requestOf, submit, visit } from '../support/approval';
import { type Answer, type Ask, admin, ask, BASE, type Idp, newIdp } from '../support/client';
import { Meter } from '../support/meter';
import { newClient, newIssuer, newPair, post, signed, type TestClient, tokenBy, tokenOf } from '../support/oauth';

afterAll(() => vi.restoreAllMocks());

let idp: Idp;
let beside: Idp;
let client: TestClient;
beforeAll(async () => {
  idp = await newIdp('refused');
  beside = await newIdp('refused-beside');
  client = await newClient(idp);
});

const refusals = async (slug = 'refused') =>
  (await admin('GET', `/orgs/${slug}/refusals`)).body as {
    reason: string;
    hint: string;
    count: number;
    mask: string;
  }[];
/** The reasons that a request has added. */
async function added(request: () => Promise<Answer>): Promise<[answer: Answer, reasons: string[]]> {
  const sum = async () => new Map((await refusals()).map((it) => [`${it.reason} ${it.hint ?? ''}`.trim(), it.count]));
  const before = await sum();
  const answer = await request();
  const after = [...(await sum())].filter(([reason, count]) => count !== (before.get(reason) ?? 0));
  return [answer, after.map(([reason]) => reason)];
}

const mistyped = (secret: string) => secret.slice(0, -1) + (secret.endsWith('x') ? 'y' : 'x');

it.each<[reason: string, request: () => Promise<Answer>]>([
  ['client checksum', () => tokenOf({ ...client, clientSecret: mistyped(client.clientSecret) })],
  ['unknown', async () => tokenOf({ ...client, clientSecret: await newSecret('oauth_client', idp.orgId) })],
  ['client kind', () => tokenOf({ ...client, clientSecret: idp.token })],
  [
    'assertion client',
    async () => tokenBy(await signed(await newPair(), { iss: client.clientId, sub: client.clientId })),
  ],
])('%s: the client hears invalid_client, the administrator why', async (reason, request) => {
  const [answer, reasons] = await added(request);
  expect(answer.status).toBe(401);
  expect(answer.body.error).toBe('invalid_client');
  expect(answer.text).not.toMatch(/checksum|unknown|kind|key/);
  expect(reasons).toEqual([reason]);
});

it('a secret that was rotated away is told with who did it, by its mask', async () => {
  const rotated = await newClient(idp);
  await admin('POST', `/orgs/refused/oauth/clients/${rotated.clientId}/rotate`, { body: { grace: '0', by: 'ada' } });
  const [answer, reasons] = await added(() => tokenOf(rotated));
  expect(answer.body.error).toBe('invalid_client');
  expect(reasons).toEqual(['replaced']);
  expect((await refusals()).find(({ reason }) => reason === 'replaced')).toMatchObject({
    mask: expect.stringContaining('…'),
    detail: expect.stringContaining('by ada'),
  });
});

it('an issuer whose keys cannot be fetched is told, though the client hears that it may try again', async () => {
  const issuer = newIssuer();
  issuer.answer = () => new Response('down', { status: 500 });
  const assertion = { issuer: 'https://login.test/', jwksUrl: issuer.jwksUrl, subject: 's', audience: 'a' };
  const { clientId } = await newClient(idp, { assertion });
  const claims = { iss: assertion.issuer, sub: 's', aud: 'a' };
  const [answer, reasons] = await added(async () =>
    tokenBy(await signed(await newPair('ES256', 'k'), claims), clientId),
  );
  expect(answer.status).toBe(503);
  expect(reasons).toEqual(['assertion unavailable']);
});

it('a code or a refresh token that is no good is told as such', async () => {
  const members = { client_id: client.clientId, client_secret: client.clientSecret };
  const refresh_token = await newSecret('oauth_refresh', idp.orgId);
  const [answer, reasons] = await added(() =>
    post('/token', { grant_type: 'refresh_token', refresh_token, ...members }),
  );
  expect(answer.body.error).toBe('invalid_grant');
  expect(reasons).toEqual(['grant']);
});

it('a good client while SCIM is off is told as such, to both', async () => {
  await admin('POST', '/orgs/refused/scim', { body: { enabled: false } });
  const [answer, reasons] = await added(() => tokenOf(client));
  await admin('POST', '/orgs/refused/scim', { body: { enabled: true } });
  expect(answer.body).toMatchObject({
    error: 'unauthorized_client',
    error_description: expect.stringContaining('not enabled'),
  });
  expect(reasons).toEqual(['disabled']);
});

it('a wrong approval code is told, and a flood of them from one address is braked', async () => {
  const approved = await newApprovedClient(idp);
  await newApproval(idp.slug);
  const attempt = (limit: () => Promise<{ success: boolean }>) =>
    ask('POST', `${BASE}/oauth/authorize`, {
      raw: new URLSearchParams({ ...requestOf(approved), approval_code: 'AAAA-BBBB-CCCC-DDDD' }).toString(),
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'CF-Connecting-IP': '192.0.2.1', Origin: BASE },
      env: { FAILED_AUTH: { limit } as RateLimit },
    });
  const [answer, reasons] = await added(() => attempt(() => Promise.resolve({ success: true })));
  expect(answer.status).toBe(403);
  expect(reasons).toEqual(['approval']);
  expect((await attempt(() => Promise.resolve({ success: false }))).status).toBe(429);
});

it('too many failures from one address are answered with 429; a good client there is not slowed', async () => {
  const env = { FAILED_AUTH: { limit: () => Promise.resolve({ success: false }) } as unknown as RateLimit };
  const headers = { 'CF-Connecting-IP': '192.0.2.2' };
  const bad = { ...client, clientSecret: await newSecret('oauth_client', idp.orgId) };
  const braked = await tokenOf(bad, { env, headers });
  expect(braked.status).toBe(429);
  expect(braked.body.error).toBe('temporarily_unavailable');
  expect(braked.headers.get('Retry-After')).toBe('60');
  expect(braked.headers.get('Cache-Control')).toBe('no-store');
  // Known from here on.
  expect((await tokenOf(client)).status).toBe(200);
  expect((await tokenOf(client, { env, headers })).status).toBe(200);
});

it('an address over its limit is answered before D1, at the token endpoint and at the page, whatever it sends', async () => {
  const FAILED_AUTH = { limit: () => Promise.resolve({ success: false }) } as unknown as RateLimit;
  const headers = { 'CF-Connecting-IP': '192.0.2.3' };
  const approved = await newApprovedClient(idp);
  const assertion = await signed(await newPair(), { iss: client.clientId, sub: client.clientId });
  const unknown = { ...client, clientSecret: await newSecret('oauth_client', idp.orgId) };
  const requests: ((more: Ask) => Promise<Answer>)[] = [
    (more) => tokenOf(unknown, more),
    (more) => tokenBy(assertion, client.clientId, more),
    (more) => post('/revoke', { token: 'x', client_id: unknown.clientId, client_secret: unknown.clientSecret }, more),
    (more) => visit(requestOf(approved), more),
    (more) => submit({ ...requestOf(approved), decision: 'deny' }, more),
  ];
  for (const request of requests) {
    const meter = new Meter();
    let trips = Number.NaN;
    const onAnswer = () => {
      trips = meter.roundTrips;
    };
    const answer = await request({ headers, env: { FAILED_AUTH, DB: meter.binding }, onAnswer });
    expect({ status: answer.status, trips, wait: answer.headers.get('Retry-After') }).toEqual({
      status: 429,
      trips: 0,
      wait: '60',
    });
  }
});

it('another org hears nothing of it', async () => {
  expect(await refusals(beside.slug)).toEqual([]);
});
