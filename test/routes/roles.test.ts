import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Answer, type Ask, admin, type Idp, newIdp } from '../support/client';
import { Meter } from '../support/meter';

let idp: Idp;
let count = 0;
beforeEach(async () => {
  idp = await newIdp(`roles-${++count}`);
});

const set = (roles: string, of = idp) => admin('PATCH', `/orgs/${of.slug}`, { body: { settings: { roles } } });
const roles = (...values: string[]) => values.map((value) => ({ value }));
const add = (...values: string[]) => [{ op: 'add', path: 'roles', value: roles(...values) }];
const rolesOf = async (id: string): Promise<string[]> =>
  ((await idp.get(`/Users/${id}`)).body.roles ?? []).map(({ value }: { value: string }) => value);

function expectRefused(answer: Answer, allowed = 'Admin, Reader') {
  expect(answer.status).toBe(400);
  expect(answer.body).toEqual({
    schemas: ['urn:ietf:params:scim:api:messages:2.0:Error'],
    status: '400',
    scimType: 'invalidValue',
    detail: `roles.value: this organization limits roles to ${allowed}`,
  });
}

describe('the list of roles', () => {
  it('is set, shown as it was written, and cleared with none', async () => {
    expect((await set(' Admin, Reader ,admin')).body.settings.roles).toEqual(['admin', 'Reader']);
    expect((await admin('GET', `/orgs/${idp.slug}`)).body.settings).toEqual({ roles: ['admin', 'Reader'] });
    expect((await set('Writer')).body.settings).toEqual({ roles: ['Writer'] });
    expect((await set('none')).body.settings).toEqual({});
    const { results } = await env.DB.prepare("SELECT details FROM events WHERE org_id = ? AND type = 'org.changed'")
      .bind(idp.orgId)
      .all<{ details: string }>();
    expect(results.map(({ details }) => JSON.parse(details).settings.roles)).toEqual([
      ['admin', 'Reader'],
      ['Writer'],
      null,
    ]);
  });

  it.each([
    ['', 'roles.0: roles with commas between them were expected, or none'],
    ['Admin,', 'roles.1: roles with commas between them were expected, or none'],
    ['x'.repeat(101), 'roles.0: at most 100 characters are accepted'],
    ['a\u0007', 'roles.0: text without control characters was expected'],
    [Array.from({ length: 101 }, (_, i) => `r${i}`).join(), 'roles: at most 100 are accepted'],
  ])('is refused as %j', async (list, detail) => {
    const answer = await set(list);
    expect(answer.status).toBe(400);
    expect(answer.body).toEqual({ error: 'invalidValue', detail });
    expect((await admin('GET', `/orgs/${idp.slug}`)).body.settings).toEqual({});
  });

  it('limits nobody where it is not set, nor in another org', async () => {
    const other = await newIdp(`roles-other-${count}`);
    await set('Admin', other);
    expect((await idp.post('/Users', { userName: 'ada', roles: roles('Anything') })).status).toBe(201);
  });
});

describe('a user', () => {
  beforeEach(async () => {
    await set('Admin,Reader');
  });

  it('is created with roles of the list, in any letter case, and with none', async () => {
    expect((await idp.post('/Users', { userName: 'ada', roles: roles('Admin', 'READER') })).status).toBe(201);
    expect((await idp.post('/Users', { userName: 'grace' })).status).toBe(201);
    expect((await idp.post('/Users', { userName: 'alan', roles: [{ display: 'x' }] })).status).toBe(201);
    await set('Führung');
    expect((await idp.post('/Users', { userName: 'uwe', roles: roles('FÜHRUNG') })).status).toBe(201);
  });

  it('is not created with another role: the refusal lists those of the org, and nothing has happened', async () => {
    const before = (await admin('GET', `/orgs/${idp.slug}`)).body;
    expectRefused(await idp.post('/Users', { userName: 'ada', roles: roles('Admin', 'Sovereign') }));
    expect((await admin('GET', `/orgs/${idp.slug}`)).body).toEqual(before);
    expect((await idp.get('/Users')).body.totalResults).toBe(0);
    await idp.user('ada', { roles: roles('Admin') });
  });

  it('does not get another role by PUT or PATCH, however the client writes it', async () => {
    const { id } = await idp.user('ada', { roles: [{ value: 'Admin', primary: true }] });
    const refused = [
      idp.put(`/Users/${id}`, { userName: 'ada', roles: roles('Sovereign') }),
      idp.patch(`/Users/${id}`, add('Sovereign')),
      idp.patch(`/Users/${id}`, [{ op: 'Replace', path: 'roles[primary eq "True"].value', value: 'Sovereign' }]),
      idp.patch(`/Users/${id}`, [{ op: 'replace', value: { displayName: 'Ada', roles: roles('Sovereign') } }]),
      idp.patch(`/Users/${id}`, [{ op: 'add', path: 'roles', value: [{ value: '{"id":"1","value":"Admin"}' }] }]),
    ];
    for (const answer of refused) expectRefused(await answer);
    const { body } = await idp.get(`/Users/${id}`);
    expect(body).toMatchObject({ roles: [{ value: 'Admin' }], meta: { version: 'W/"1"' } });
    expect(body.displayName).toBeUndefined();
    expect((await idp.patch(`/Users/${id}`, add('Reader'))).status).toBe(200);
    expect(await rolesOf(id)).toEqual(['Admin', 'Reader']);
  });

  it('may pass through another role within one PATCH', async () => {
    const { id } = await idp.user('ada');
    const operations = [...add('Sovereign'), { op: 'remove', path: 'roles[value eq "Sovereign"]' }, ...add('Reader')];
    expect((await idp.patch(`/Users/${id}`, operations)).status).toBe(200);
    expect(await rolesOf(id)).toEqual(['Reader']);
  });

  it('keeps a role from before the list, and may be changed and deactivated with it', async () => {
    await set('none');
    const { id } = await idp.user('ada', { roles: roles('Old', 'Older') });
    await set('Admin,Reader');
    expect(await rolesOf(id)).toEqual(['Old', 'Older']);
    const put = { userName: 'ada', displayName: 'Ada', roles: roles('old', 'Admin') };
    expect((await idp.put(`/Users/${id}`, put)).status).toBe(200);
    expect(await rolesOf(id)).toEqual(['old', 'Admin']);
    expectRefused(await idp.patch(`/Users/${id}`, add('Older')));
    const out = await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: false }]);
    expect(out.body).toMatchObject({ active: false, roles: roles('old', 'Admin') });
  });

  it('comes back by a POST with roles of the list only', async () => {
    await set('none');
    const { id } = await idp.user('ada', { externalId: '1', roles: roles('Old') });
    await idp.delete(`/Users/${id}`);
    await set('Admin,Reader');
    expectRefused(await idp.post('/Users', { userName: 'ada', externalId: '1', roles: roles('Old') }));
    expect((await idp.get(`/Users/${id}`)).status).toBe(404);
    const back = await idp.post('/Users', { userName: 'ada', externalId: '1', roles: roles('Admin') });
    expect(back.status).toBe(201);
    expect(back.body).toMatchObject({ id, roles: roles('Admin') });
  });

  it('hears of the roles before it hears whether the userName is taken', async () => {
    await idp.user('ada');
    expectRefused(await idp.post('/Users', { userName: 'ada', roles: roles('Sovereign') }));
  });

  it('is told of twenty roles at the most', async () => {
    const many = Array.from({ length: 22 }, (_, i) => `r${i}`);
    await set(many.join());
    const answer = await idp.post('/Users', { userName: 'ada', roles: roles('Sovereign') });
    expectRefused(answer, `${many.slice(0, 20).join(', ')} and 2 more`);
  });

  it('with a bad token is told nothing of roles', async () => {
    const answer = await idp.post(
      '/Users',
      { userName: 'ada', roles: roles('Sovereign') },
      { headers: { Authorization: `Bearer ${idp.token.slice(0, -1)}${idp.token.endsWith('x') ? 'y' : 'x'}` } },
    );
    expect(answer.status).toBe(401);
    expect(answer.text).not.toContain('Admin');
    await admin('DELETE', `/orgs/${idp.slug}/tokens`);
    expect((await idp.post('/Users', { userName: 'ada', roles: roles('Sovereign') })).status).toBe(401);
  });

  it('costs a round trip to create and two to change, with roles as without', async () => {
    const meter = new Meter();
    const counted = async (request: (ask: Ask) => Promise<Answer>) => {
      meter.reset();
      let trips = 0;
      const onAnswer = () => {
        trips = meter.roundTrips;
      };
      const answer = await request({ env: { DB: meter.binding }, onAnswer });
      return [answer.status, trips];
    };
    const { id } = await idp.user('grace');
    const ada = { userName: 'ada', roles: roles('Admin') };
    const wrong = { userName: 'alan', roles: roles('Sovereign') };
    expect(await counted((ask) => idp.post('/Users', ada, ask))).toEqual([201, 1]);
    expect(await counted((ask) => idp.patch(`/Users/${id}`, add('Reader'), ask))).toEqual([200, 2]);
    expect(await counted((ask) => idp.patch(`/Users/${id}`, add('Sovereign'), ask))).toEqual([400, 1]);
    // Refused by the remembered list, once a batch has found that it is still the org's.
    expect(await counted((ask) => idp.post('/Users', wrong, ask))).toEqual([400, 1]);
  });
});
