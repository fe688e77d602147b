/** Refresh tokens (RFC 6749 §6): each is good once, and who uses one again ends all that came of the approval. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import {
  approved,
  connected,
  deleteClient,
  failingFrom,
  newClient,
  refresh,
  statusAtScim,
  type TestClient,
  type Tokens,
  tokenRequest,
  tokensOf,
  unchanged,
} from '../support/approval';
import { type Answer, admin, type Idp, newIdp } from '../support/client';
import { dump, journal, rows } from '../support/database';

let idp: Idp;
let client: TestClient;
let first: Tokens;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`refresh-${++n}`);
  client = await newClient(idp);
  first = await connected(client);
});

const YEAR = 365 * 86_400_000;
const news = async (...types: string[]) => (await journal(idp.orgId)).filter(({ type }) => types.includes(type));

function expectInvalidGrant({ status, body, text }: Answer): void {
  expect(status, text).toBe(400);
  expect(body).toEqual({
    error: 'invalid_grant',
    error_description: 'The refresh token is unknown, expired, used, revoked, or of another client',
  });
}

async function at<T>(instant: number, work: () => Promise<T>): Promise<T> {
  vi.useFakeTimers({ toFake: ['Date'], now: instant });
  try {
    return await work();
  } finally {
    vi.useRealTimers();
  }
}

describe('a refresh token', () => {
  it('becomes a new access token and a new refresh token; the journal tells of it', async () => {
    const answer = await refresh(client, first.refresh);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      access_token: expect.stringMatching(new RegExp(`^scimat_${idp.orgId}_`)),
      token_type: 'Bearer',
      expires_in: 3_600,
      scope: 'scim',
      refresh_token: expect.stringMatching(new RegExp(`^scimrt_${idp.orgId}_`)),
    });
    const second = tokensOf(answer);
    expect(second.access).not.toBe(first.access);
    expect(second.refresh).not.toBe(first.refresh);
    expect(await statusAtScim(second.access)).toBe(200);
    expect((await refresh(client, second.refresh)).status).toBe(200);
    expect(await news('client.refreshed', 'client.reused')).toMatchObject([
      { type: 'client.refreshed', actor: `client:${client.clientId}`, target_id: client.clientId },
      { type: 'client.refreshed' },
    ]);
    expect(await dump()).not.toContain(second.refresh.slice(-39, -6));
  });

  it('leaves the access token before it good for the rest of its hour: requests may be under way', async () => {
    await refresh(client, first.refresh);
    expect(await statusAtScim(first.access)).toBe(200);
  });

  it('is good for a year from the exchange that made it, to the millisecond', async () => {
    const start = Date.now();
    const second = tokensOf(await at(start, () => refresh(client, first.refresh)));
    await at(start + YEAR, () => unchanged(async () => expectInvalidGrant(await refresh(client, second.refresh))));
    const third = tokensOf(await at(start + YEAR - 1, () => refresh(client, second.refresh)));
    expect((await at(start + 2 * YEAR - 2, () => refresh(client, third.refresh))).status).toBe(200);
  });

  it.each([
    ['nothing like one', 'let-me-in'],
    ['SQL', "' OR '1'='1"],
    ['huge', 'x'.repeat(50_000)],
  ])('that is %s is refused', async (_, token) => {
    await unchanged(async () => expectInvalidGrant(await refresh(client, token)));
  });

  it('is nothing else: not an access token, not a code, not the client’s secret', async () => {
    const code = await approved(client);
    for (const token of [first.access, code, client.clientSecret, idp.token]) {
      await unchanged(async () => expectInvalidGrant(await refresh(client, token)));
    }
  });

  it('of another client, of the org or of another, is refused, and nothing is revoked', async () => {
    const neighbour = await newClient(idp);
    const stranger = await newClient(await newIdp(`refresh-${++n}`));
    for (const other of [neighbour, stranger]) {
      await unchanged(async () => expectInvalidGrant(await refresh(other, first.refresh)));
    }
    const second = tokensOf(await refresh(client, first.refresh));
    // Nor is it a reuse when it is another's.
    for (const other of [neighbour, stranger]) {
      await unchanged(async () => expectInvalidGrant(await refresh(other, first.refresh)));
    }
    expect(await statusAtScim(second.access)).toBe(200);
  });

  it('is required', async () => {
    const { status, body } = await tokenRequest(client, { grant_type: 'refresh_token' });
    expect([status, body.error]).toEqual([400, 'invalid_request']);
  });

  it('is refused while SCIM is off, and good again when it is on', async () => {
    await admin('POST', `/orgs/${idp.slug}/scim`, { body: { enabled: false } });
    const { status, body } = await unchanged(() => refresh(client, first.refresh));
    expect([status >= 400, typeof body.error, body.access_token]).toEqual([true, 'string', undefined]);
    await admin('POST', `/orgs/${idp.slug}/scim`, { body: { enabled: true } });
    expect((await refresh(client, first.refresh)).status).toBe(200);
  });

  it('is refused when its client is not there any more', async () => {
    await deleteClient(client);
    const { status, body } = await unchanged(() => refresh(client, first.refresh));
    expect([status, body.error]).toEqual([401, 'invalid_client']);
  });

  it('is as good as before when the exchange fails on the way', async () => {
    const body = { grant_type: 'refresh_token', refresh_token: first.refresh };
    const answer = await unchanged(() =>
      tokenRequest(client, body, { env: { DB: failingFrom(2, 'D1_ERROR: Network connection lost.') } }),
    );
    expect(answer.status).toBe(503);
    expect((await refresh(client, first.refresh)).status).toBe(200);
  });
});

describe('a refresh token that is used twice', () => {
  it('ends all that came of the approval, and the journal tells of it once', async () => {
    const second = tokensOf(await refresh(client, first.refresh));
    const third = tokensOf(await refresh(client, second.refresh));
    expectInvalidGrant(await refresh(client, first.refresh));
    for (const { access, refresh: token } of [first, second, third]) {
      expect(await statusAtScim(access)).toBe(401);
      await unchanged(async () => expectInvalidGrant(await refresh(client, token)));
    }
    const [grant] = await rows('SELECT * FROM grants WHERE org_id = ?', idp.orgId);
    expect(grant!['revoked_at']).not.toBeNull();
    const [event, ...more] = await news('client.reused');
    expect(more).toEqual([]);
    expect(event).toMatchObject({
      actor: `client:${client.clientId}`,
      target_id: client.clientId,
      details: { grant: grant!['id'], why: 'second use of a refresh token' },
    });
    // What was alive: three access tokens and the last refresh token.
    expect(event!.details.masks).toHaveLength(4);
  });

  it('leaves other approvals, and the org’s own token, as they are', async () => {
    const other = await connected(client);
    await refresh(client, first.refresh);
    expectInvalidGrant(await refresh(client, first.refresh));
    expect(await statusAtScim(other.access)).toBe(200);
    expect((await refresh(client, other.refresh)).status).toBe(200);
    expect((await idp.get('/Users')).status).toBe(200);
  });

  it('is found out by a machine whose clock is behind, too', async () => {
    const second = tokensOf(await refresh(client, first.refresh));
    await at(Date.now() - 5_000, async () => expectInvalidGrant(await refresh(client, first.refresh)));
    expect(await statusAtScim(second.access)).toBe(401);
  });

  it('is found out long after it has expired', async () => {
    const second = tokensOf(await refresh(client, first.refresh));
    await at(Date.now() + YEAR + 1, async () => expectInvalidGrant(await refresh(client, first.refresh)));
    expectInvalidGrant(await refresh(client, second.refresh));
  });

  it('by twenty at once is exchanged once at most, and what came of it is dead when all are answered', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => refresh(client, first.refresh)));
    const won = answers.filter(({ status }) => status === 200);
    expect(won.length).toBeLessThanOrEqual(1);
    for (const answer of answers) if (!won.includes(answer)) expectInvalidGrant(answer);
    for (const tokens of [first, ...won.map(tokensOf)]) {
      expect(await statusAtScim(tokens.access)).toBe(401);
      expectInvalidGrant(await refresh(client, tokens.refresh));
    }
    expect(await news('client.reused')).toHaveLength(1);
    expect(await news('client.refreshed')).toHaveLength(1);
  });

  it('by the client twenty times in a row writes nothing after the first', async () => {
    await refresh(client, first.refresh);
    expectInvalidGrant(await refresh(client, first.refresh));
    await unchanged(async () => {
      for (let i = 0; i < 20; i++) expectInvalidGrant(await refresh(client, first.refresh));
    });
  });
});
