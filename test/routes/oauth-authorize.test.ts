/** The authorization endpoint: who is answered where (RFC 6749 §4.1.2.1), what the page says, and who may approve. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import {
  answerOf,
  CALLBACK,
  failingFrom,
  newApproval,
  newClient,
  pageOf,
  requestOf,
  submit,
  type TestClient,
  unchanged,
  visit,
} from '../support/approval';
import { type Answer, type Ask, admin, ask, BASE, type Idp, newIdp } from '../support/client';
import { journal, rows } from '../support/database';
import { formOf } from '../support/form';

let idp: Idp;
let client: TestClient;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`authorize-${++n}`);
  client = await newClient(idp);
});

const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM';

/** What every page owes, good news or bad. */
function expectPage({ status, headers, text }: Answer, expected: number): void {
  expect(status, text).toBe(expected);
  expect(headers.get('Content-Type')).toBe('text/html; charset=UTF-8');
  expect(headers.get('Location')).toBeNull();
  expect(headers.get('Cache-Control')).toBe('no-store');
  expect(headers.get('Referrer-Policy')).toBe('same-origin');
  expect(headers.get('X-Content-Type-Options')).toBe('nosniff');
  expect(headers.get('X-Frame-Options')).toBe('DENY');
  const policy = headers.get('Content-Security-Policy')!.split('; ');
  expect(policy).toEqual(expect.arrayContaining(["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"]));
  expect(policy.join()).not.toMatch(/unsafe|script-src|\*/);
  expect(text).toMatch(/^<!doctype html><html lang="en">/);
  const markup = text.replace(/="[^"]*"/g, '=""');
  expect(markup).not.toMatch(/<script|javascript:|\son\w+=|\ssrc=|\shref=|\sstyle=|\sformaction=/i);
}

describe('the page', () => {
  it('says which client wants access to which org, and where the answer goes, in HTML that loads and runs nothing', async () => {
    await admin('PATCH', `/orgs/${idp.slug}`, { body: { settings: { name: 'Acme & Söhne' } } });
    const answer = await unchanged(() => visit(requestOf(client)));
    expectPage(answer, 200);
    expect(answer.text).toContain('<bdi>Okta</bdi>');
    expect(answer.text).toContain('<bdi>Acme &amp; Söhne</bdi>');
    expect(answer.text).toContain('<dd>system-admin.okta.com</dd>');
    expect(answer.text).not.toContain('role="alert"');
  });

  it('has a policy that allows its own style by its hash, and its form the way to the redirect URI', async () => {
    const { headers, text } = await visit(requestOf(client));
    const style = /<style>([^<]*)<\/style>/.exec(text)![1]!;
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(style)));
    const hash = btoa(String.fromCharCode(...digest));
    expect(headers.get('Content-Security-Policy')).toBe(
      `default-src 'none'; style-src 'sha256-${hash}'; form-action 'self' https:; frame-ancestors 'none'; base-uri 'none'`,
    );
  });

  it('leaves the window to whoever opened it: an identity provider may wait in its own', async () => {
    const { headers } = await visit(requestOf(client));
    expect(headers.get('Cross-Origin-Opener-Policy')).toBeNull();
  });

  it.each([
    ['quotes and tags', `"'><script>alert(1)</script>&amp;<!--`],
    ['what is encoded', 'a b+c%20d&e=f#g?h/ä€😀'],
    ['an attribute', '" autofocus onfocus="alert(1)'],
    ['a template', '{{7*7}}<%= 7 %>'],
    ['as much as is taken', 'x'.repeat(4_096)],
  ])('brings the state back as it came: %s', async (_, state) => {
    const answer = await visit(requestOf(client, { state }));
    expectPage(answer, 200);
    const { members } = formOf(answer.text);
    expect(members).toEqual(requestOf(client, { state }));
    expect(answerOf(await submit({ ...members, decision: 'deny' }))['state']).toBe(state);
  });

  it('shows names as text, whatever they are', async () => {
    const name = '</bdi><script>alert(1)</script><img src=x onerror=alert(1)>"\'';
    await admin('PATCH', `/orgs/${idp.slug}`, { body: { settings: { name } } });
    const odd = await newClient(idp, { name, redirectUris: [CALLBACK] });
    const { status, text } = await visit(requestOf(odd));
    expect(status).toBe(200);
    expect(text).not.toMatch(/<script|<img/);
    // In the heading and in the list, the client and the org.
    expect(text.split('<bdi>&lt;/bdi&gt;&lt;script&gt;alert(1)&lt;/script&gt;')).toHaveLength(5);
  });

  it('carries nothing but the request: no scope, nothing that is unknown, no approval code of the query', async () => {
    const { members } = await pageOf({ ...requestOf(client), scope: 'a b', prompt: 'none', approval_code: 'x' });
    expect(members).toEqual(requestOf(client));
  });

  it('is there for a client with one redirect URI that names none (§3.1.2.3)', async () => {
    const { members } = await pageOf(requestOf(client, { redirect_uri: '' }));
    expect(members).toEqual(requestOf(client, { redirect_uri: '' }));
    const answer = await submit({ ...members, decision: 'deny' });
    expect(answer.headers.get('Location')).toMatch(`${CALLBACK}?error=access_denied`);
  });
});

describe('a request is answered by a page, and goes nowhere, when', () => {
  const two = [CALLBACK, 'https://other.example/callback?a=1'];
  it.each<[string, Record<string, string> | [string, string][]]>([
    ['there is no client', { client_id: '' }],
    ['the client is nobody', { client_id: 'abcdefghijkl_abcdefghijklmnop' }],
    ['the client id is not one', { client_id: "' OR 1=1 --" }],
    ['the client id is huge', { client_id: 'x'.repeat(60_000) }],
    ['the redirect URI is unknown', { redirect_uri: 'https://evil.example/' }],
    ['the redirect URI has something in front', { redirect_uri: ` ${CALLBACK}` }],
    ['the redirect URI goes on', { redirect_uri: `${CALLBACK}/` }],
    ['the redirect URI has another query', { redirect_uri: 'https://other.example/callback?a=1&b=2' }],
    ['the redirect URI has lost its query', { redirect_uri: 'https://other.example/callback' }],
    ['the redirect URI is of other letters', { redirect_uri: CALLBACK.toUpperCase() }],
    ['the redirect URI is a script', { redirect_uri: 'javascript:alert(1)' }],
    ['the redirect URI has a line break', { redirect_uri: `${CALLBACK}\r\nSet-Cookie: a=b` }],
    ['the redirect URI is huge', { redirect_uri: `https://x.example/${'x'.repeat(60_000)}` }],
    ['there are two redirect URIs, and none is named', { redirect_uri: '' }],
    ['the state is too long to be sent back', { state: 'x'.repeat(4_097) }],
  ])('%s', async (_, more) => {
    const one = await newClient(idp, { redirectUris: two });
    const answer = await unchanged(() => visit(requestOf(one, more as Record<string, string>)));
    expectPage(answer, 400);
    expect(answer.text).not.toMatch(/evil|1=1|<form|Set-Cookie|xxxx/);
    expect(answer.headers.get('Content-Security-Policy')).toContain("form-action 'none'");
    expect(answer.headers.get('Set-Cookie')).toBeNull();
  });

  it.each(['client_id', 'redirect_uri'])('%s is there twice', async (name) => {
    const members = Object.entries(requestOf(client)) as [string, string][];
    expectPage(await visit([...members, [name, requestOf(client)[name]!]]), 400);
  });

  it('the client is of another org than it says, or its org is gone', async () => {
    const other = await newIdp(`authorize-${++n}`);
    expectPage(await visit(requestOf(client, { client_id: client.clientId.replace(idp.orgId, other.orgId) })), 400);
    await admin('DELETE', `/orgs/${idp.slug}?confirm=${idp.slug}`);
    expectPage(await visit(requestOf(client)), 400);
  });

  it('the client is nobody, or its org may not use SCIM, or not here: one same page tells a stranger nothing', async () => {
    await admin('PATCH', `/orgs/${idp.slug}`, { body: { settings: { supportContact: 'help@vendor.example' } } });
    const stranger = await visit(requestOf(client, { client_id: 'abcdefghijkl_abcdefghijklmnop' }));
    expectPage(stranger, 400);
    const path = `/orgs/${idp.slug}`;
    const closed: [string, Ask, () => Promise<Answer>][] = [
      [
        'misdirected',
        { env: { REGION: 'us' } },
        () => admin('PATCH', path, { body: { settings: { residency: 'eu' } } }),
      ],
      ['plan', {}, () => admin('PATCH', path, { body: { settings: { residency: 'none', 'plan.scim': 'false' } } })],
      ['disabled', {}, () => admin('PATCH', path, { body: { settings: { 'plan.scim': 'none' } } })],
    ];
    for (const [reason, more, close] of closed) {
      expect((await close()).status).toBe(200);
      if (reason === 'disabled') await admin('POST', `${path}/scim`, { body: { enabled: false } });
      for (const answer of [
        await visit(requestOf(client), more),
        await submit({ ...requestOf(client), decision: 'deny' }, more),
      ]) {
        const same = ({ status, headers, text }: Answer) => ({
          status,
          text,
          headers: [...headers].filter(([name]) => name !== 'x-request-id'),
        });
        expect({ reason, ...same(answer) }).toEqual({ reason, ...same(stranger) });
      }
      const found = (await admin('GET', `${path}/refusals`)).body as { reason: string; count: number }[];
      expect(found.find((it) => it.reason === reason)).toMatchObject({ count: 2 });
    }
  });

  it.each<[string, string, number, string]>([
    ['is busy', 'D1_ERROR: D1 DB is overloaded. Requests queued for too long.', 503, 'Try again in a moment'],
    ['fails', 'D1_ERROR: no such table: secrets', 500, 'X-Request-Id'],
  ])('the database %s', async (_, message, status, said) => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const answer = await visit(requestOf(client), { env: { DB: failingFrom(1, message) } });
    log.mockRestore();
    expectPage(answer, status);
    expect(answer.text).toContain(said);
    expect(answer.text).not.toMatch(/D1_ERROR|secrets/);
  });

  it('the method is another', async () => {
    const answer = await ask('PUT', `${BASE}/oauth/authorize`);
    expectPage(answer, 405);
    expect(answer.headers.get('Allow')).toBe('GET, POST');
  });
});

describe('a request is answered at the redirect URI, without a page, when', () => {
  const state = 'a b&c="<>€';
  it.each<[string, Record<string, string>, string]>([
    ['no response type is named', { response_type: '' }, 'invalid_request'],
    ['the response type is token', { response_type: 'token' }, 'unsupported_response_type'],
    ['the response type is code and more', { response_type: 'code token' }, 'unsupported_response_type'],
    ['PKCE is plain', { code_challenge: CHALLENGE, code_challenge_method: 'plain' }, 'invalid_request'],
    ['PKCE is plain for want of a method', { code_challenge: CHALLENGE }, 'invalid_request'],
    ['PKCE has no challenge', { code_challenge_method: 'S256' }, 'invalid_request'],
    ['PKCE has no hash for a challenge', { code_challenge: 'x', code_challenge_method: 'S256' }, 'invalid_request'],
  ])('%s', async (_, more, error) => {
    const answer = await unchanged(() => visit(requestOf(client, { state, ...more })));
    expect(answer.status).toBe(302);
    expect(answer.headers.get('Location')).toMatch(`${CALLBACK}?error=${error}&`);
    expect(answer.headers.get('Cache-Control')).toBe('no-store');
    expect(answer.headers.get('Referrer-Policy')).toBe('same-origin');
    const { error_description, ...rest } = answerOf(answer);
    expect(rest).toEqual({ error, state });
    // Appendix A.8: these characters alone.
    expect(error_description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/);
  });

  it.each(['scope', 'response_type', 'anything'])('%s is there twice', async (name) => {
    const answer = await visit([...Object.entries(requestOf(client)), [name, 'a'], [name, 'a']] as [string, string][]);
    expect([answer.status, answerOf(answer)['error'], answerOf(answer)['state']]).toEqual([
      302,
      'invalid_request',
      'xyz',
    ]);
  });

  it('the state is there twice, and then without one: which would it be?', async () => {
    const answer = await visit([...Object.entries(requestOf(client)), ['state', 'abc']] as [string, string][]);
    expect(Object.keys(answerOf(answer))).toEqual(['error', 'error_description']);
  });

  it.each(['a\r\nSet-Cookie: a=b', 'a\0b', '\u0085'])('the state has control characters: %j', async (odd) => {
    const answer = await visit(requestOf(client, { state: odd }));
    expect(answer.status).toBe(302);
    expect(answerOf(answer)).toMatchObject({ error: 'invalid_request', state: odd });
    expect(answer.headers.get('Set-Cookie')).toBeNull();
  });

  it('there is no state, and then without one', async () => {
    const answer = await visit(requestOf(client, { state: '', response_type: 'token' }));
    expect(answerOf(answer)['state']).toBeUndefined();
  });

  it('the redirect URI has a query, which stays to the letter', async () => {
    const uri = 'https://other.example/callback?a=%20b&x&y=+';
    const one = await newClient(idp, { redirectUris: [uri] });
    const answer = await visit(requestOf(one, { redirect_uri: uri, response_type: 'token' }));
    expect(answer.headers.get('Location')).toMatch(`${uri}&error=unsupported_response_type&`);
  });
});

describe('an approval code', () => {
  it('is shown once, with where it is entered and until when; what is kept is its hash', async () => {
    const before = Date.now();
    const { status, body } = await admin('POST', `/orgs/${idp.slug}/oauth/approvals`, { body: { by: 'olga' } });
    expect(status).toBe(201);
    expect(body.approvalCode).toMatch(/^(?:[2-9A-HJ-NP-Z]{4}-){3}[2-9A-HJ-NP-Z]{4}$/);
    expect(body).toMatchObject({ createdBy: 'olga', authorizeUrl: `${BASE}/oauth/authorize` });
    expect(Date.parse(body.validUntil) - before).toBeGreaterThanOrEqual(600_000);
    expect(Date.parse(body.validUntil) - Date.now()).toBeLessThanOrEqual(600_000);
    expect((await journal(idp.orgId)).at(-1)).toMatchObject({
      type: 'approval.issued',
      actor: 'admin:admin',
      details: { by: 'olga', validUntil: body.validUntil },
    });
    const kept = JSON.stringify([await rows('SELECT * FROM approvals'), await rows('SELECT * FROM events')]);
    expect(kept).not.toContain(body.approvalCode);
    expect(kept).not.toContain(body.approvalCode.replaceAll('-', ''));
  });

  it('is not made for an org that is not there, nor of a body that is none', async () => {
    const make = (slug: string, body: unknown) => admin('POST', `/orgs/${slug}/oauth/approvals`, { body });
    expect((await make('nowhere', {})).status).toBe(404);
    expect((await make(idp.slug, { for: 'ever' })).status).toBe(400);
    expect((await make(idp.slug, { by: '' })).status).toBe(400);
    expect(await rows('SELECT * FROM approvals WHERE org_id = ?', idp.orgId)).toEqual([]);
  });

  it('is another each time, of all letters alike', async () => {
    const { newApprovalCode } = await import('../../src/credentials/approval');
    const codes = Array.from({ length: 1_000 }, newApprovalCode);
    expect(new Set(codes).size).toBe(1_000);
    const counts = new Map<string, number>();
    for (const letter of codes.join('').replaceAll('-', '')) counts.set(letter, (counts.get(letter) ?? 0) + 1);
    expect([...counts.keys()].sort().join('')).toBe('23456789ABCDEFGHJKLMNPQRSTUVWXYZ');
    // 16,000 ÷ 32 is 500; six standard deviations are 132.
    for (const count of counts.values()) expect(Math.abs(count - 500)).toBeLessThan(132);
  });
});

describe('approving', () => {
  const approve = async (approvalCode: string, more: Record<string, string> = {}) =>
    submit({
      ...requestOf(client, { code_challenge: CHALLENGE, code_challenge_method: 'S256' }),
      ...more,
      approval_code: approvalCode,
      decision: 'approve',
    });

  it('answers at the redirect URI with a code and the state, spends the approval code, and tells the journal who it was', async () => {
    const approval = await newApproval(idp.slug, 'olga');
    const answer = await approve(approval, { state: 'a b"<€' });
    expect(answer.status).toBe(303);
    expect(answer.headers.get('Location')).toMatch(`${CALLBACK}?code=`);
    expect(answer.headers.get('Cache-Control')).toBe('no-store');
    const { code, state } = answerOf(answer);
    expect(code).toMatch(new RegExp(`^scimac_${idp.orgId}_[0-9A-Za-z]{39}$`));
    expect(state).toBe('a b"<€');
    const [grant] = await rows('SELECT * FROM grants WHERE org_id = ?', idp.orgId);
    expect(grant).toMatchObject({ client_id: client.clientId, redirect_uri: CALLBACK, challenge: CHALLENGE });
    expect(grant).toMatchObject({ approved_by: 'olga', redeemed_at: null, revoked_at: null });
    expect(grant!['code_valid_until']).toBe((grant!['approved_at'] as number) + 60_000);
    expect(await rows('SELECT * FROM approvals WHERE org_id = ?', idp.orgId)).toEqual([]);
    expect((await journal(idp.orgId)).at(-1)).toMatchObject({
      type: 'client.approved',
      actor: `client:${client.clientId}`,
      target_id: client.clientId,
      details: { by: 'olga', grant: grant!['id'] },
    });
    expect(JSON.stringify([grant, await journal(idp.orgId)])).not.toContain(code!.slice(-39));
  });

  it.each<[string, (code: string) => string]>([
    ['in small letters', (code) => code.toLowerCase()],
    ['without hyphens', (code) => code.replaceAll('-', '')],
    ['with blanks around and in it', (code) => `  ${code.replaceAll('-', ' ')}\t`],
    ['with the dashes of a word processor', (code) => code.replaceAll('-', '–')],
  ])('takes the code %s', async (_, typed) => {
    expect((await approve(typed(await newApproval(idp.slug)))).status).toBe(303);
  });

  it.each<[string, (code: string) => string | Promise<string>]>([
    ['missing', () => ''],
    ['wrong by one letter', (code) => code.slice(0, -1) + (code.endsWith('A') ? 'B' : 'A')],
    ['cut', (code) => code.slice(0, -1)],
    ['twice', (code) => code + code],
    ['of letters that no code has', () => 'IIII-OOOO-0000-1111'],
    ['SQL', () => `' OR '1'='1`],
    ['huge', () => 'A'.repeat(50_000)],
    ['another script', () => 'КККК-КККК-КККК-КККК'],
    ['another org’s', async () => newApproval((await newIdp(`authorize-${++n}`)).slug)],
  ])('is refused with a page that says so, and spends nothing, when the code is %s', async (_, typed) => {
    const approval = await newApproval(idp.slug);
    const wrong = await typed(approval);
    const answer = await unchanged(() => approve(wrong));
    expectPage(answer, 403);
    expect(answer.text).toContain('role="alert"');
    expect(answer.text).toContain('aria-invalid="true"');
    expect(answer.text).toMatch(/<title>Error: /);
    if (wrong !== '') expect(answer.text).not.toContain(wrong.slice(0, 19));
    const { members } = formOf(answer.text);
    expect((await submit({ ...members, approval_code: approval, decision: 'approve' })).status).toBe(303);
  });

  it('is refused when the code was used, or another was made since', async () => {
    const first = await newApproval(idp.slug);
    const second = await newApproval(idp.slug);
    expect((await approve(first)).status).toBe(403);
    expect((await approve(second)).status).toBe(303);
    expectPage(await unchanged(() => approve(second)), 403);
  });

  it('is refused from the millisecond on that the code expires', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    try {
      const [late, inTime] = [await newApproval(idp.slug), Date.now() + 600_000];
      vi.setSystemTime(inTime);
      expect((await approve(late)).status).toBe(403);
      vi.setSystemTime(inTime - 1);
      expect((await approve(late)).status).toBe(303);
    } finally {
      vi.useRealTimers();
    }
  });

  it('spends nothing when the database fails on the way', async () => {
    const members = { ...requestOf(client), approval_code: await newApproval(idp.slug), decision: 'approve' };
    const env = { DB: failingFrom(2, 'D1_ERROR: Network connection lost.') };
    expectPage(await unchanged(() => submit(members, { env })), 503);
    expect((await submit(members)).status).toBe(303);
  });

  it('with one code by twenty at once succeeds once', async () => {
    const approval = await newApproval(idp.slug);
    const answers = await Promise.all(Array.from({ length: 20 }, () => approve(approval)));
    expect(answers.map(({ status }) => status).sort()).toEqual([303, ...Array(19).fill(403)]);
    expect(await rows('SELECT * FROM grants WHERE org_id = ?', idp.orgId)).toHaveLength(1);
  });

  it.each<[string, Record<string, string>]>([
    ['from another site', { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' }],
    ['from a neighbour of the same site', { 'Sec-Fetch-Site': 'same-site', Origin: 'https://other.scim.test' }],
    ['by an old browser from another site', { 'Sec-Fetch-Site': '', Origin: 'https://evil.example' }],
    ['by who does not say from where', { 'Sec-Fetch-Site': '', Origin: 'null' }],
  ])('is refused when the form is sent %s, even with a good code', async (_, headers) => {
    const approval = await newApproval(idp.slug);
    const send = () => submit({ ...requestOf(client), approval_code: approval, decision: 'approve' }, { headers });
    expectPage(await unchanged(send), 403);
  });

  it('is taken from an old browser that names our origin', async () => {
    const members = { ...requestOf(client), approval_code: await newApproval(idp.slug), decision: 'approve' };
    expect((await submit(members, { headers: { 'Sec-Fetch-Site': '', Origin: BASE } })).status).toBe(303);
  });

  it.each<[string, Record<string, string>, number]>([
    ['the redirect URI', { redirect_uri: 'https://evil.example/' }, 400],
    ['the client', { client_id: 'abcdefghijkl_abcdefghijklmnop' }, 400],
    ['the response type', { response_type: 'token' }, 303],
    ['the challenge', { code_challenge: 'x' }, 303],
  ])('asks everything anew of the form: a changed %s is refused, and spends nothing', async (_, more, status) => {
    const approval = await newApproval(idp.slug);
    const answer = await unchanged(() => approve(approval, more));
    expect(answer.status).toBe(status);
    if (status === 303) expect(answerOf(answer)['code']).toBeUndefined();
    else expectPage(answer, status);
  });

  it('wants a form of a sensible size', async () => {
    const send = (type: string, raw: string) =>
      ask('POST', `${BASE}/oauth/authorize`, {
        raw,
        headers: { 'Content-Type': type, 'Sec-Fetch-Site': 'same-origin' },
      });
    expectPage(await send('application/json', '{}'), 415);
    expectPage(await send('multipart/form-data; boundary=x', '--x--'), 415);
    expectPage(await send('application/x-www-form-urlencoded', `state=${'x'.repeat(70_000)}`), 413);
    expectPage(await send('application/x-www-form-urlencoded', ''), 400);
  });

  it('can be denied without a code: the client hears of it, nothing is spent', async () => {
    const approval = await newApproval(idp.slug);
    const answer = await unchanged(() => submit({ ...requestOf(client), approval_code: approval, decision: 'deny' }));
    expect(answer.status).toBe(303);
    expect(answerOf(answer)).toEqual({
      error: 'access_denied',
      error_description: 'The request was denied',
      state: 'xyz',
    });
  });
});
