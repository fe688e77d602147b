/** What a good credential asked for in vain is counted for its org, by kind, and with nothing of what it sent. */
import { env } from 'cloudflare:workers';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { traffic } from '../../src/routes/access/outcome';
import { BULK_REQUEST } from '../../src/scim/urns';
import { type Answer, type Ask, admin, type Idp, newIdp } from '../support/client';
import { rows } from '../support/database';

let idp: Idp;
let n = 0;
beforeAll(() => {
  traffic.interval = 0;
  return () => {
    traffic.interval = Number.POSITIVE_INFINITY;
  };
});
beforeEach(async () => {
  idp = await newIdp(`org-${++n}`);
});

const refusals = async (slug = idp.slug) => (await admin('GET', `/orgs/${slug}/refusals`)).body;
const hints = async (slug = idp.slug) =>
  ((await refusals(slug)) as { hint: string; count: number }[]).map(({ hint, count }) => `${hint}: ${count}`).sort();
const bulk = (...Operations: unknown[]) => idp.post('/Bulk', { schemas: [BULK_REQUEST], Operations });
const health = async (slug = idp.slug) => (await admin('GET', `/orgs/${slug}/health`)).body;
const down = {
  prepare: (text: string) => env.DB.prepare(text),
  batch: () => Promise.reject(new Error('no such column: secret-1')),
} as unknown as D1Database;

describe('the administrator is told that an identity provider with a good credential', () => {
  const ID = 'c0ffee00-0000-4000-8000-000000000000';
  it.each<[name: string, hint: string, says: RegExp, run: () => Promise<Answer>]>([
    [
      'sent a value of the wrong type',
      'POST /Users 400 invalidValue of userName',
      /: the value of userName has the wrong type or form: correct the mapping in the identity provider$/,
      () => idp.post('/Users', { userName: 5 }),
    ],
    [
      'sent a sub-attribute of the wrong type',
      'POST /Users 400 invalidValue of emails.value',
      /: the value of emails.value has the wrong type or form/,
      () => idp.post('/Users', { userName: 'ada', emails: [{ value: 5 }] }),
    ],
    [
      'sent text for active',
      'POST /Users 400 invalidValue of active',
      /: the value of active has the wrong type or form/,
      () => idp.post('/Users', { userName: 'ada', active: 'oops' }),
    ],
    [
      'sent a role that the setting roles does not allow',
      'POST /Users 400 invalidValue by roles',
      /: the setting roles does not allow a role/,
      async () => {
        await admin('PATCH', `/orgs/${idp.slug}`, { body: { settings: { roles: 'Reader' } } });
        return idp.post('/Users', { userName: 'ada', roles: [{ value: 'Owner' }] });
      },
    ],
    [
      'sent a member that the org does not have',
      'POST /Groups 400 invalidValue by unknownMembers',
      /: a member of a group is no user or group of this org, and the setting unknownMembers refuses it/,
      async () => {
        await admin('PATCH', `/orgs/${idp.slug}`, { body: { settings: { unknownMembers: 'reject' } } });
        return idp.post('/Groups', { displayName: 'Team', members: [{ value: ID }] });
      },
    ],
    ['sent no JSON', 'POST /Users 400 invalidSyntax', /body/, () => idp.ask('POST', '/Users', { raw: '{"a' })],
    [
      'sent a filter that cannot be read',
      'GET /Users 400 invalidFilter',
      /filter/,
      () => idp.get('/Users?filter=x%20eq'),
    ],
    [
      'searched by such a filter',
      'POST /.search 400 invalidFilter',
      /filter/,
      () =>
        idp.post('/Users/.search', { schemas: ['urn:ietf:params:scim:api:messages:2.0:SearchRequest'], filter: '((' }),
    ],
    ['named somebody who is not there', 'GET /Users 404', /matched again/, () => idp.get(`/Users/${ID}`)],
    [
      'changed somebody who is not there',
      'PATCH /Users 404',
      /matched again/,
      () => idp.patch(`/Users/${ID}`, [{ op: 'replace', path: 'active', value: false }]),
    ],
    ['deleted a group that is not there', 'DELETE /Groups 404', /matched again/, () => idp.delete(`/Groups/${ID}`)],
    ['has a base URL with too much behind it', 'GET other 404', /base URL/, () => idp.get('/v2/Users')],
    ['used a method that is not there', 'DELETE discovery 405', /base URL/, () => idp.delete('/Schemas')],
    [
      'sent a form',
      'POST /Users 415',
      /Content-Type/,
      () => idp.ask('POST', '/Users', { raw: 'a=b', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }),
    ],
    ['sent too much', 'POST /Users 413', /too large/, () => idp.ask('POST', '/Users', { raw: 'x'.repeat(1_100_000) })],
    ['asked who it is', 'GET /Me 501', /not supported/, () => idp.get('/Me')],
    [
      'asked while the database was down',
      'GET /Users 500',
      /log/,
      async () => {
        await idp.get('/Users?count=0');
        return idp.get(`/Users/${ID}`, { env: { DB: failingOnce() } });
      },
    ],
  ])('%s', async (_, hint, says, run) => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const { status } = await run().finally(() => log.mockRestore());
    expect(status).toBe(Number(hint.split(' ')[2]));
    const all = await refusals();
    expect(all).toMatchObject([
      { reason: 'request', hint, count: 1, generation: 1, detail: expect.stringMatching(says) },
    ]);
    expect(all[0].detail).toContain(`(${hint})`);
    expect(JSON.stringify(await rows('SELECT * FROM refusals'))).not.toContain(ID);
  });

  it('asked for a name that is taken, and for a version that is not there any more', async () => {
    const { id } = await idp.user('ada@example.com');
    expect((await idp.post('/Users', { userName: 'ada@example.com' })).status).toBe(409);
    const stale: Ask = { headers: { 'If-Match': 'W/"7"' } };
    expect((await idp.delete(`/Users/${id}`, stale)).status).toBe(412);
    expect(await hints()).toEqual(['DELETE /Users 412: 1', 'POST /Users 409 uniqueness: 1']);
  });

  it('had operations of a bulk request refused, each by its kind, though the answer was 200', async () => {
    await idp.user('ada@example.com');
    const post = (userName: unknown) => ({
      method: 'POST',
      path: '/Users',
      bulkId: `b${userName}`,
      data: { userName },
    });
    const answer = await bulk(
      post('ada@example.com'),
      post('bob@example.com'),
      post(7),
      post(8),
      { method: 'DELETE', path: '/Groups/secret-group' },
      { method: 'DELETE', path: '/secret-things/4' },
    );
    expect(answer.status).toBe(200);
    expect(await hints()).toEqual([
      'DELETE /Groups 404: 1',
      expect.stringMatching(/^DELETE other 4\d\d( \w+)?: 1$/),
      'POST /Users 400 invalidValue of userName: 2',
      'POST /Users 409 uniqueness: 1',
    ]);
    expect((await bulk()).status).toBe(400);
    expect(await hints()).toContain('POST /Bulk 400 invalidSyntax: 1');
    expect(JSON.stringify(await rows('SELECT * FROM refusals'))).not.toContain('secret');
  });

  it('found no seat, under the name of the policy alone: not twice, also in a bulk request', async () => {
    await idp.user('ada@example.com');
    await admin('PATCH', `/orgs/${idp.slug}`, { body: { settings: { 'plan.seats': '1' } } });
    expect((await idp.post('/Users', { userName: 'bob@example.com' })).status).toBe(403);
    await bulk({ method: 'POST', path: '/Users', bulkId: 'b', data: { userName: 'bob@example.com' } });
    expect(await refusals()).toMatchObject([{ reason: 'seats', count: 2 }]);
  });
});

/** Fails for the request, and works again for what is noted after it. */
function failingOnce(): D1Database {
  let calls = 0;
  return {
    prepare: (text: string) => env.DB.prepare(text),
    batch: (statements: D1PreparedStatement[]) =>
      ++calls <= 2 ? Promise.reject(new Error('D1 is down')) : env.DB.batch(statements),
  } as unknown as D1Database;
}

describe('a request', () => {
  it('that was answered well is no refusal: nobody found, nothing changed, a version that is known', async () => {
    const { id } = await idp.user('ada@example.com');
    await idp.get('/Users?filter=userName%20eq%20%22nobody%22');
    await idp.get(`/Users/${id}`, { headers: { 'If-None-Match': 'W/"1"' } });
    await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: true }]);
    await idp.get('/ServiceProviderConfig');
    expect(await refusals()).toEqual([]);
  });

  it('that is refused for its credential, or by the state of the org, is not counted a second time', async () => {
    await idp.get('/Users/nobody', { headers: { Authorization: `Bearer ${idp.token.slice(0, 44)}` } });
    await admin('POST', `/orgs/${idp.slug}/scim`, { body: { enabled: false } });
    await idp.get('/Users/nobody');
    const reasons = ((await refusals()) as { reason: string }[]).map(({ reason }) => reason);
    expect(reasons.sort()).toEqual(['disabled', 'malformed']);
  });

  it('of one org is not another’s, whatever path it came by', async () => {
    const other = await newIdp(`beside-${n}`);
    await idp.get('/Users/nobody');
    await other.get('/Groups/nobody');
    expect(await hints()).toEqual(['GET /Users 404: 1']);
    expect(await hints(other.slug)).toEqual(['GET /Groups 404: 1']);
    await admin('DELETE', `/orgs/${other.slug}?confirm=${other.slug}`);
    expect(await rows('SELECT 1 FROM refusals WHERE org_id = ?', other.orgId)).toEqual([]);
  });

  it('leaves nothing of its body, its path, its query or its method', async () => {
    await idp.ask('POST', '/Users/secret-1?filter=secret-2', { raw: '{"userName": {"secret-3": 1}}' });
    await idp.ask('PATCH', '/secret-4/secret-5', { raw: 'secret-6' });
    await idp.ask('PURGE', '/Users');
    await idp.put('/Users/secret-7', { userName: 'secret-8', active: 'secret-9' });
    const all = JSON.stringify(await rows('SELECT * FROM refusals'));
    expect(all).toContain('PATCH other 4');
    expect(all).not.toMatch(/secret/i);
  });

  it('that is repeated without end takes fifty rows of a day, and the counts stay exact', async () => {
    await Promise.all(
      Array.from({ length: 120 }, (_, i) => idp.get(`/Users/x${i}`, { headers: { 'User-Agent': `bot ${i}` } })),
    );
    const all: { count: number; hint: string }[] = await refusals();
    expect(all.length).toBeLessThanOrEqual(51);
    expect(all.reduce((sum, { count }) => sum + count, 0)).toBe(120);
    expect(all.find(({ hint }) => hint === 'others')).toMatchObject({
      detail: expect.stringContaining('counted together'),
    });
  });

  it('that fails while D1 is down is counted for the org when D1 is there again', async () => {
    await idp.get('/Users?count=0');
    const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    try {
      expect((await idp.get('/Users/nobody', { env: { DB: down } })).status).toBe(500);
    } finally {
      log.mockRestore();
    }
    await idp.get('/Users/nobody');
    expect(await hints()).toEqual(['GET /Users 404: 1', 'GET /Users 500: 1']);
    expect(JSON.stringify(await rows('SELECT * FROM refusals'))).not.toContain('secret');
  });
});

describe('the health of an org', () => {
  it('tells requests, errors and their rate by operation, today and in seven days, and errors by kind', async () => {
    const { id } = await idp.user('ada@example.com');
    for (let i = 0; i < 3; i++) await idp.get(`/Users/${id}`);
    await idp.get('/Users/nobody');
    await bulk(
      { method: 'DELETE', path: '/Groups/1' },
      { method: 'POST', path: '/Groups', bulkId: 'g', data: { displayName: 'Sales' } },
    );
    const today = Math.floor(Date.now() / 86_400_000);
    const old = 'INSERT INTO traffic (org_id, day, operation, count, refused, failed) VALUES (?, ?, ?, 10, 1, 2)';
    await env.DB.batch([
      env.DB.prepare(old).bind(idp.orgId, today - 6, 'GET /Users'),
      env.DB.prepare(old).bind(idp.orgId, today - 7, 'GET /Users'),
    ]);
    const { requests } = await health();
    const one = (count: number, refused: number, failed: number, errorPercent: number | null) => ({
      count,
      refused,
      failed,
      errorPercent,
    });
    expect(requests.operations).toEqual([
      { operation: 'GET /Users', today: one(4, 1, 0, 25), week: one(14, 2, 2, 28.6) },
      { operation: 'DELETE /Groups', today: one(1, 1, 0, 100), week: one(1, 1, 0, 100) },
      { operation: 'POST /Bulk', today: one(1, 0, 0, 0), week: one(1, 0, 0, 0) },
      { operation: 'POST /Groups', today: one(1, 0, 0, 0), week: one(1, 0, 0, 0) },
      { operation: 'POST /Users', today: one(1, 0, 0, 0), week: one(1, 0, 0, 0) },
    ]);
    expect(requests.today).toEqual(one(8, 2, 0, 25));
    expect(requests.errors).toMatchObject([
      { kind: 'DELETE /Groups 404', today: 1, week: 1 },
      { kind: 'GET /Users 404', today: 1, week: 1 },
    ]);
  });

  it('counts no request without a good credential, and of two orgs each its own; the counts go with the org', async () => {
    const other = await newIdp(`quiet-${n}`);
    await idp.get('/Users/nobody', { headers: { Authorization: 'Bearer x' } });
    await idp.get('/Users', { headers: { Authorization: `Bearer ${idp.token.slice(0, 44)}` } });
    expect((await health()).requests).toMatchObject({ today: { count: 0, errorPercent: null }, operations: [] });
    await Promise.all([other.get('/Users'), other.get('/Users'), idp.get('/Users')]);
    expect((await health()).requests.today.count).toBe(1);
    expect((await health(other.slug)).requests.today.count).toBe(2);
    await admin('DELETE', `/orgs/${other.slug}?confirm=${other.slug}`);
    expect(await rows('SELECT 1 FROM traffic WHERE org_id = ?', other.orgId)).toEqual([]);
  });

  it('advises to look at an operation of which more than a twentieth fails, and twenty at least', async () => {
    const write = (refused: number, operation: string) =>
      env.DB.prepare('INSERT INTO traffic (org_id, day, operation, count, refused, failed) VALUES (?, ?, ?, 400, ?, 1)')
        .bind(idp.orgId, Math.floor(Date.now() / 86_400_000), operation, refused)
        .run();
    await write(19, 'GET /Users');
    expect((await health()).advice).toEqual([]);
    await write(39, 'PATCH /Users');
    await idp.patch('/Users/nobody', [{ op: 'replace', path: 'active', value: false }]);
    expect((await health()).advice).toEqual([
      {
        says: 'PATCH /Users: 41 of 401 requests in the last 7 days were refused or failed (10 %), most with 404.',
        command: `refusals ${idp.slug}`,
      },
    ]);
  });
});
