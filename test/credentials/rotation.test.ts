import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { issue as issueCredential } from '../../src/credentials/rotation';
import type { Actor } from '../../src/events';
import { TOKENS } from '../../src/store/credentials/credentials';
import { OrgStore } from '../../src/store/org/open';
import { type Answer, admin, type Idp, idpOf, newIdp } from '../support/client';

interface TokenRow {
  hash: string;
  generation: number;
  valid_until: number | null;
  revoked_at: number | null;
}

const tokensOf = async (orgId: string) =>
  (await env.DB.prepare('SELECT * FROM credentials WHERE org_id = ? ORDER BY generation').bind(orgId).all<TokenRow>())
    .results;
const current = (rows: TokenRow[]) => rows.filter((row) => row.revoked_at === null && row.valid_until === null);
const generate = (slug: string) => admin('POST', `/orgs/${slug}/tokens`, { body: { by: 'ada' } });
const revoke = (slug: string) => admin('DELETE', `/orgs/${slug}/tokens`);

/** An org with SCIM on that has no token yet. @returns its id. */
async function newOrg(slug: string): Promise<string> {
  const { body } = await admin('POST', '/orgs', { body: { slug } });
  await admin('POST', `/orgs/${slug}/scim`, { body: { enabled: true } });
  return body.id;
}

describe('generating a token', () => {
  it('shows its secret once, with mask, generation, time and author', async () => {
    const orgId = await newOrg('first');
    const { status, body } = await generate('first');
    expect(status).toBe(201);
    expect(body).toMatchObject({ generation: 1, createdBy: 'ada', state: 'current', revokedAt: null });
    expect(body.token.split('_')[1]).toBe(orgId);
    expect(Date.parse(body.createdAt)).toBeGreaterThan(Date.now() - 10_000);
    const list = await admin('GET', '/orgs/first/tokens');
    expect(list.body).toHaveLength(1);
    expect(list.body[0].mask).toBe(body.mask);
    expect(list.text).not.toContain(body.token.slice(18, 51));
    expect(list.text).not.toContain((await tokensOf(orgId))[0]!.hash);
  });

  it('is refused while there is one, with its mask and a pointer to rotate; the token goes on working', async () => {
    const idp = await newIdp('second');
    const { status, body, text } = await generate('second');
    expect(status).toBe(409);
    expect(body.detail).toContain('rotate');
    expect(body.detail).toContain(`…${idp.token.slice(-4)}`);
    expect(text).not.toContain(idp.token.slice(18, 51));
    expect((await idp.get('/Users')).status).toBe(200);
    expect(await tokensOf(idp.orgId)).toHaveLength(1);
  });

  it('by twenty at once issues exactly one', async () => {
    const orgId = await newOrg('rush');
    const answers = await Promise.all(Array.from({ length: 20 }, () => generate('rush')));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(19);
    expect(await tokensOf(orgId)).toHaveLength(1);
    const { token } = answers.find(({ status }) => status === 201)!.body;
    expect((await idpOf('rush', orgId, token).get('/Users')).status).toBe(200);
  });

  it('past the org’s one line, by twenty at once, issues exactly one: the database holds the promise', async () => {
    const orgId = await newOrg('past-the-line');
    const actor: Actor = { name: 'admin:test', requestId: 'r' };
    const issue = () =>
      issueCredential(
        new OrgStore(env.DB, { kind: 'id', id: orgId }, Date.now()),
        orgId,
        TOKENS,
        { by: 'test' },
        actor,
      );
    const issues = await Promise.all(Array.from({ length: 20 }, issue));
    expect(issues.filter(({ ok }) => ok)).toHaveLength(1);
    expect(await tokensOf(orgId)).toHaveLength(1);
  });

  it('for an org that is not there is a 404', async () => {
    expect((await generate('nowhere')).status).toBe(404);
    expect((await revoke('nowhere')).status).toBe(404);
  });
});

describe('a revoked token', () => {
  let idp: Idp;
  let user: { id: string };
  let revoked: Answer;
  beforeAll(async () => {
    idp = await newIdp('revoked');
    user = await idp.user('ada@revoked.example');
    revoked = await revoke('revoked');
  });

  it('is named by its mask to the administrator', () => {
    expect(revoked.status).toBe(200);
    expect(revoked.body).toMatchObject({ revoked: 1, tokens: [{ generation: 1, state: 'revoked' }] });
  });

  it.each<[string, () => Promise<Answer>]>([
    ['GET', () => idp.get(`/Users/${user.id}`)],
    ['list', () => idp.get('/Users')],
    ['discovery', () => idp.get('/ServiceProviderConfig')],
    ['POST', () => idp.post('/Users', { userName: 'eve@revoked.example' })],
    ['PUT', () => idp.put(`/Users/${user.id}`, { userName: 'eve@revoked.example' })],
    ['PATCH', () => idp.patch(`/Users/${user.id}`, [{ op: 'replace', path: 'active', value: false }])],
    ['DELETE', () => idp.delete(`/Users/${user.id}`)],
    ['a body that is no JSON', () => idp.ask('POST', '/Users', { raw: '{' })],
    ['a filter that is none', () => idp.get('/Users?filter=%28')],
    ['someone who is not there', () => idp.get('/Users/nobody')],
    ['a path that is not there', () => idp.get('/Nothing')],
    ['a method that is not there', () => idp.ask('DELETE', '/Users')],
  ])('is refused by the next request: %s', async (_, request) => {
    const { status, headers, body } = await request();
    expect(status).toBe(401);
    expect(headers.get('WWW-Authenticate')).toBe('Bearer realm="scim", Basic realm="scim", charset="UTF-8"');
    expect(body).toEqual({
      schemas: ['urn:ietf:params:scim:api:messages:2.0:Error'],
      status: '401',
      detail: 'A valid credential is required in the Authorization header',
    });
  });

  it('has changed nothing', async () => {
    const { body } = await admin('GET', '/orgs/revoked/users');
    expect(body.users).toMatchObject([{ id: user.id, userName: 'ada@revoked.example', active: true }]);
  });

  it('is followed by one of the next generation, and stays dead', async () => {
    const { status, body } = await generate('revoked');
    expect(status).toBe(201);
    expect(body.generation).toBe(2);
    expect((await idpOf('revoked', idp.orgId, body.token).get('/Users')).status).toBe(200);
    expect((await idp.get('/Users')).status).toBe(401);
    const list = await admin('GET', '/orgs/revoked/tokens');
    expect(
      list.body.map(({ generation, state }: { generation: number; state: string }) => [generation, state]),
    ).toEqual([
      [2, 'current'],
      [1, 'revoked'],
    ]);
  });
});

it('an expired token is refused for reads and writes, from the millisecond on that its validity ends', async () => {
  const idp = await newIdp('expired');
  const until = (at: number) =>
    env.DB.prepare('UPDATE credentials SET valid_until = ? WHERE org_id = ?').bind(at, idp.orgId).run();
  await until(Date.now() + 60_000);
  expect((await idp.get('/Users')).status).toBe(200);
  await until(Date.now());
  expect((await idp.get('/Users')).status).toBe(401);
  expect((await idp.post('/Users', { userName: 'x' })).status).toBe(401);
  expect((await admin('GET', '/orgs/expired/users')).body.totalResults).toBe(0);
});

it('a token of an org with SCIM off is refused with a reason, and works again when it is on', async () => {
  const idp = await newIdp('off');
  await admin('POST', '/orgs/off/scim', { body: { enabled: false } });
  for (const refused of [await idp.get('/Users'), await idp.post('/Users', { userName: 'x' })]) {
    expect(refused.status).toBe(403);
    expect(refused.body.detail).toContain('not enabled');
  }
  await admin('POST', '/orgs/off/scim', { body: { enabled: true } });
  expect((await idp.get('/Users')).body.totalResults).toBe(0);
});

it('a token of a deleted org is refused', async () => {
  const idp = await newIdp('deleted');
  await admin('DELETE', '/orgs/deleted?confirm=deleted');
  expect((await idp.get('/Users')).status).toBe(401);
});

it('whatever is called at once, an org never has two current tokens, and no number twice', async () => {
  const orgId = await newOrg('storm');
  const issued: string[] = [];
  for (let round = 0; round < 4; round++) {
    const calls = Array.from({ length: 12 }, (_, i) => (i % 3 === 2 ? revoke('storm') : generate('storm')));
    for (const { status, body } of await Promise.all(calls)) {
      expect([200, 201, 409]).toContain(status);
      if (status === 201) issued.push(body.token);
    }
    const rows = await tokensOf(orgId);
    expect(current(rows).length).toBeLessThanOrEqual(1);
    expect(rows.map(({ generation }) => generation)).toEqual(rows.map((_, i) => i + 1));
    const answers = await Promise.all(issued.map((token) => idpOf('storm', orgId, token).get('/Users?count=0')));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(current(rows).length);
  }
});
