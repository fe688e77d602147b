/** The code of an approved client becomes tokens (RFC 6749 §4.1.3): once, for that client, for a minute. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { hashOf } from '../../src/credentials/secret';
import {
  approved,
  CALLBACK,
  connected,
  deleteClient,
  newApproval,
  newClient,
  redeem,
  refresh,
  requestOf,
  statusAtScim,
  submit,
  type TestClient,
  type Tokens,
  tokenRequest,
  tokensOf,
  unchanged,
} from '../support/approval';
import { type Answer, admin, ask, BASE, type Idp, newIdp } from '../support/client';
import { dump, journal, rows } from '../support/database';

let idp: Idp;
let client: TestClient;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`code-${++n}`);
  client = await newClient(idp);
});

const grantsOf = () => rows('SELECT * FROM grants WHERE org_id = ?', idp.orgId);
const reuses = async () => (await journal(idp.orgId)).filter(({ type }) => type === 'client.reused');

/** One answer for all that can be wrong with a code. */
function expectInvalidGrant({ status, body, text }: Answer): void {
  expect(status, text).toBe(400);
  expect(body).toEqual({
    error: 'invalid_grant',
    error_description: 'The authorization code is unknown, expired, used, or not for this request',
  });
}

async function expectDead({ access, refresh: token }: Tokens): Promise<void> {
  expect(await statusAtScim(access)).toBe(401);
  expect((await refresh(client, token)).body.error).toBe('invalid_grant');
}

async function at<T>(instant: number, work: () => Promise<T>): Promise<T> {
  vi.useFakeTimers({ toFake: ['Date'], now: instant });
  try {
    return await work();
  } finally {
    vi.useRealTimers();
  }
}

describe('an authorization code', () => {
  it('becomes an access token for an hour and a refresh token for a year', async () => {
    const answer = await redeem(client, await approved(client));
    expect(answer.status).toBe(200);
    expect(answer.headers.get('Cache-Control')).toBe('no-store');
    expect(answer.body).toEqual({
      access_token: expect.stringMatching(new RegExp(`^scimat_${idp.orgId}_[0-9A-Za-z]{39}$`)),
      token_type: 'Bearer',
      expires_in: 3_600,
      scope: 'scim',
      refresh_token: expect.stringMatching(new RegExp(`^scimrt_${idp.orgId}_[0-9A-Za-z]{39}$`)),
    });
    const [grant] = await grantsOf();
    const given = await rows(
      'SELECT kind, subject, generation, created_by, valid_until - created_at AS life, grant_id FROM credentials WHERE grant_id = ? ORDER BY kind',
      grant!['id'],
    );
    const same = {
      subject: client.clientId,
      generation: 0,
      created_by: `client:${client.clientId}`,
      grant_id: grant!['id'],
    };
    expect(given).toEqual([
      { kind: 'oauth_access', life: 3_600_000, ...same },
      { kind: 'oauth_refresh', life: 365 * 86_400_000, ...same },
    ]);
    expect((await journal(idp.orgId)).at(-1)).toMatchObject({
      type: 'client.redeemed',
      actor: `client:${client.clientId}`,
      target_id: client.clientId,
      details: { grant: grant!['id'], masks: [expect.stringMatching(/^scimat_/), expect.stringMatching(/^scimrt_/)] },
    });
  });

  it('leaves no secret in the database: not the code, not the tokens, not the approval code', async () => {
    const approval = await newApproval(idp.slug);
    const answer = await submit({ ...requestOf(client), approval_code: approval, decision: 'approve' });
    const code = new URL(answer.headers.get('Location')!).searchParams.get('code')!;
    const { access, refresh: token } = tokensOf(await redeem(client, code));
    const everything = await dump();
    for (const secret of [code, access, token, client.clientSecret]) {
      expect(everything).toContain(await hashOf(secret));
      expect(everything).not.toContain(secret.slice(-39, -6));
    }
    expect(everything).not.toContain(approval);
    expect(everything).not.toContain(approval.replaceAll('-', ''));
  });

  it('gives an access token that reads and writes, for its own org', async () => {
    const { access } = await connected(client);
    const headers = { Authorization: `Bearer ${access}` };
    const made = await ask('POST', `${BASE}/scim/v2/Users`, { headers, body: { userName: 'ada@code.example' } });
    expect(made.status).toBe(201);
    expect((await idp.get(`/Users/${made.body.id}`)).status).toBe(200);
    const other = await newIdp(`code-${++n}`);
    expect((await ask('GET', `${BASE}/orgs/${other.slug}/scim/v2/Users`, { headers })).status).toBe(401);
  });

  it('and its refresh token are nothing at the SCIM door', async () => {
    const code = await approved(client);
    const { refresh: token } = tokensOf(await redeem(client, code));
    for (const secret of [code, token, client.clientSecret]) {
      expect(await statusAtScim(secret)).toBe(401);
      const headers = { Authorization: `Basic ${btoa(`${idp.slug}:${secret}`)}` };
      expect((await ask('GET', `${BASE}/scim/v2/Users`, { headers })).status).toBe(401);
    }
  });

  it('is good for a minute, and the access token for an hour, to the millisecond', async () => {
    const start = Date.now();
    const code = await at(start, () => approved(client));
    await at(start + 60_000, async () => expectInvalidGrant(await redeem(client, code)));
    const { access } = tokensOf(await at(start + 59_999, () => redeem(client, code)));
    expect(await at(start + 59_999 + 3_599_999, () => statusAtScim(access))).toBe(200);
    expect(await at(start + 59_999 + 3_600_000, () => statusAtScim(access))).toBe(401);
  });
});

describe('a code is refused, with one answer and no change, when', () => {
  it.each<[string, Record<string, string>]>([
    ['the redirect URI is missing', { redirect_uri: '' }],
    ['the redirect URI is another', { redirect_uri: 'https://evil.example/' }],
    ['the redirect URI goes on', { redirect_uri: `${CALLBACK}/` }],
    ['a verifier comes for which there was no challenge', { code_verifier: 'x'.repeat(43) }],
  ])('%s; it is still good as it was meant', async (_, more) => {
    const code = await approved(client);
    await unchanged(async () => expectInvalidGrant(await redeem(client, code, more)));
    expect((await redeem(client, code)).status).toBe(200);
  });

  it.each([
    ['nothing like one', 'let-me-in'],
    ['SQL', "' OR '1'='1"],
    ['huge', 'x'.repeat(50_000)],
    ['of another org’s id', 'scimac_abcdefghijkl_000000000000000000000000000000000000000'],
  ])('it is %s', async (_, code) => {
    await unchanged(async () => expectInvalidGrant(await redeem(client, code)));
  });

  it('it is that of another client, of the org or of another: the one that it is of can use it afterwards', async () => {
    const code = await approved(client);
    const neighbour = await newClient(idp);
    const stranger = await newClient(await newIdp(`code-${++n}`));
    for (const other of [neighbour, stranger]) {
      await unchanged(async () => expectInvalidGrant(await redeem(other, code)));
    }
    expect((await redeem(client, code)).status).toBe(200);
  });

  it('there is none', async () => {
    const { status, body } = await redeem(client, '');
    expect([status, body.error]).toEqual([400, 'invalid_request']);
  });

  it('it is a refresh token, or an access token', async () => {
    const { access, refresh: token } = await connected(client);
    expectInvalidGrant(await redeem(client, access));
    expectInvalidGrant(await redeem(client, token));
    expect(await statusAtScim(access)).toBe(200);
  });

  it('the client is not there any more, or SCIM is off', async () => {
    const code = await approved(client);
    await admin('POST', `/orgs/${idp.slug}/scim`, { body: { enabled: false } });
    const off = await redeem(client, code);
    expect([off.status >= 400, typeof off.body.error, off.body.access_token]).toEqual([true, 'string', undefined]);
    await admin('POST', `/orgs/${idp.slug}/scim`, { body: { enabled: true } });
    await deleteClient(client);
    const gone = await redeem(client, code);
    expect([gone.status, gone.body.error]).toEqual([401, 'invalid_client']);
    expect(await grantsOf()).toMatchObject([{ redeemed_at: null }]);
  });
});

describe('a request that named no redirect URI', () => {
  const asked = { redirect_uri: '' };

  it('is followed by a token request that names none, or the one that is registered', async () => {
    expect((await redeem(client, await approved(client, asked), { redirect_uri: '' })).status).toBe(200);
    expect((await redeem(client, await approved(client, asked))).status).toBe(200);
  });

  it('is not followed by one that names another', async () => {
    const code = await approved(client, asked);
    expectInvalidGrant(await redeem(client, code, { redirect_uri: 'https://evil.example/' }));
  });
});

describe('a request with PKCE', () => {
  // RFC 7636, Appendix B.
  const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';
  const challenge = {
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
  };

  it('is answered with tokens to whoever has the verifier', async () => {
    const code = await approved(client, challenge);
    expectInvalidGrant(await redeem(client, code));
    expectInvalidGrant(await redeem(client, code, { code_verifier: `${verifier.slice(0, -1)}l` }));
    expectInvalidGrant(await redeem(client, code, { code_verifier: challenge.code_challenge }));
    expect((await redeem(client, code, { code_verifier: verifier })).status).toBe(200);
  });
});

describe('a code that is used twice', () => {
  it('is refused, and what came of the first use is dead; the journal tells of it once', async () => {
    const code = await approved(client);
    const first = tokensOf(await redeem(client, code));
    expect(await statusAtScim(first.access)).toBe(200);
    const refreshed = tokensOf(await refresh(client, first.refresh));
    expectInvalidGrant(await redeem(client, code));
    for (const tokens of [first, refreshed]) await expectDead(tokens);
    const [grant] = await grantsOf();
    expect(grant!['revoked_at']).not.toBeNull();
    expect(await reuses()).toMatchObject([
      {
        actor: `client:${client.clientId}`,
        target_id: client.clientId,
        details: { grant: grant!['id'], why: 'second use of an authorization code' },
      },
    ]);
    await unchanged(async () => expectInvalidGrant(await redeem(client, code)));
  });

  it('by another client changes nothing for the one that it was of', async () => {
    const code = await approved(client);
    const { access } = tokensOf(await redeem(client, code));
    expectInvalidGrant(await redeem(await newClient(idp), code));
    expect(await statusAtScim(access)).toBe(200);
    expect(await reuses()).toEqual([]);
  });

  it('leaves what came of another approval as it is', async () => {
    const code = await approved(client);
    tokensOf(await redeem(client, code));
    const other = await connected(client);
    expectInvalidGrant(await redeem(client, code));
    expect(await statusAtScim(other.access)).toBe(200);
    expect((await refresh(client, other.refresh)).status).toBe(200);
  });

  it('by twenty at once gives tokens once at most, and they are dead when all are answered', async () => {
    const code = await approved(client);
    const answers = await Promise.all(Array.from({ length: 20 }, () => redeem(client, code)));
    const won = answers.filter(({ status }) => status === 200);
    expect(won.length).toBeLessThanOrEqual(1);
    for (const answer of answers) if (!won.includes(answer)) expectInvalidGrant(answer);
    for (const answer of won) await expectDead(tokensOf(answer));
    expect(await reuses()).toHaveLength(1);
    expect(await rows("SELECT 1 FROM credentials WHERE org_id = ? AND grant_id <> ''", idp.orgId)).toHaveLength(2);
  });
});

it('a token request that says nothing of a grant is not one of this kind', async () => {
  expect((await tokenRequest(client, { code: await approved(client), redirect_uri: CALLBACK })).status).toBe(400);
});
