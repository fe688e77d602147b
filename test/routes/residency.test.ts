/** Orgs that belong to a region: what their identity provider hears at the host of another one, and who hears nothing. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { coordinatorOf } from '../../src/coordinator-stub';
import { settings } from '../../src/env';
import { admin, ask, BASE, type Idp, newIdp } from '../support/client';
import { dump } from '../support/database';
import { Meter } from '../support/meter';

const REGION_URLS = JSON.stringify({ us: 'https://us.scim.test/', eu: 'https://eu.scim.test' });
const us = { REGION: 'us', REGION_URLS };
const eu = { REGION: 'eu', REGION_URLS };

let idp: Idp;
let id: string;
let n = 0;
beforeEach(async () => {
  idp = await newIdp(`resident-${++n}`);
  id = (await idp.user('ada@x.example')).id;
  await reside('eu');
});

const reside = (residency: string, more = {}) =>
  admin('PATCH', `/orgs/${idp.slug}`, { body: { settings: { residency, ...more } } });

const DETAIL = 'This organization is served in the region eu: use the base URL https://eu.scim.test/scim/v2.';

describe('an org of another region', () => {
  it.each([
    ['reads', 'GET', () => '/Users', undefined],
    ['reads one', 'GET', () => `/Users/${id}`, undefined],
    ['creates', 'POST', () => '/Users', { userName: 'bob@x.example' }],
    ['replaces', 'PUT', () => `/Users/${id}`, { userName: 'ada@x.example', active: false }],
    ['deletes', 'DELETE', () => `/Users/${id}`, undefined],
    ['creates a group', 'POST', () => '/Groups', { displayName: 'Sales' }],
    ['sends a bulk', 'POST', () => '/Bulk', { Operations: [{ method: 'DELETE', path: '/Users/x' }] }],
    ['asks for what we can', 'GET', () => '/ServiceProviderConfig', undefined],
    ['asks for nothing that there is', 'GET', () => '/Nothing', undefined],
  ])(
    'hears where it is served, in a SCIM error, and changes nothing, when its identity provider %s',
    async (_, method, path, body) => {
      const before = await dump();
      const answer = await idp.ask(method, path(), { env: us, body });
      expect([answer.status, answer.body]).toEqual([
        421,
        { schemas: ['urn:ietf:params:scim:api:messages:2.0:Error'], status: '421', detail: DETAIL },
      ]);
      expect(answer.headers.get('Content-Type')).toBe('application/scim+json');
      expect(await dump()).toEqual(before);
      const here = await idp.ask(method, path(), { env: eu, body });
      expect(here.status).not.toBe(421);
    },
  );

  it('is found out in the one round trip that the request takes anyway', async () => {
    const meter = new Meter();
    let beforeAnswer = 0; // what is noted of the refusal is noted after it
    const onAnswer = () => {
      beforeAnswer = meter.roundTrips;
    };
    const there = { ...us, DB: meter.binding };
    expect((await idp.get('/Users', { env: there, onAnswer })).status).toBe(421);
    expect(beforeAnswer).toBe(1);
  });

  it('hears it under its own address, too', async () => {
    const headers = { Authorization: `Bearer ${idp.token}` };
    expect((await ask('GET', `${BASE}/orgs/${idp.slug}/scim/v2/Users`, { headers, env: us })).body.detail).toBe(DETAIL);
  });

  it('hears whom to ask, and where nobody knows the address, that it is not here', async () => {
    await reside('eu', { supportContact: 'help@vendor.example' });
    expect((await idp.get('/Users', { env: us })).body.detail).toBe(`${DETAIL} Contact help@vendor.example.`);
    expect((await idp.get('/Users', { env: { REGION: 'us' } })).body.detail).toBe(
      'This organization is served in the region eu: not here. Contact help@vendor.example.',
    );
  });

  it('is not betrayed to a caller without a good credential of its own', async () => {
    const other = await newIdp(`beside-${n}`);
    const nothing = await ask('GET', `${BASE}/scim/v2/Users`, { env: us });
    expect(nothing.status).toBe(401);
    const path = `${BASE}/orgs/${idp.slug}/scim/v2/Users`;
    const wrong = [idp.token.replace(/.$/, (letter) => (letter === 'a' ? 'b' : 'a')), other.token, 'let-me-in'];
    for (const token of wrong) {
      const answer = await ask('GET', path, { env: us, headers: { Authorization: `Bearer ${token}` } });
      expect([answer.status, answer.text]).toEqual([401, nothing.text]);
    }
    await admin('DELETE', `/orgs/${idp.slug}/tokens`);
    const revoked = await idp.get('/Users', { env: us });
    expect([revoked.status, revoked.text]).toEqual([401, nothing.text]);
  });

  it('gets no access token at the host of another region, and one at its own', async () => {
    const { body: client } = await admin('POST', `/orgs/${idp.slug}/oauth/clients`, { body: {} });
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: client.clientId,
      client_secret: client.clientSecret,
    });
    const token = (there: object) =>
      ask('POST', `${BASE}/oauth/token`, {
        raw: form.toString(),
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
        env: there,
      });
    const refused = await token(us);
    expect([refused.status, refused.body]).toEqual([421, { error: 'unauthorized_client', error_description: DETAIL }]);
    expect((await token(eu)).status).toBe(200);
  });

  it('is told to its administrator, who sees the right base URL', async () => {
    await idp.get('/Users', { env: us });
    await expect
      .poll(async () => (await admin('GET', `/orgs/${idp.slug}/refusals`)).body)
      .toEqual([expect.objectContaining({ reason: 'misdirected', count: 1, generation: 1 })]);
    const shown = await admin('GET', `/orgs/${idp.slug}`, { env: us });
    expect(shown.body).toMatchObject({ scimBaseUrl: 'https://eu.scim.test/scim/v2', settings: { residency: 'eu' } });
  });
});

describe('an org', () => {
  it('is served by the host of its region, by any host without a region, and without a residency by every host', async () => {
    expect((await idp.get('/Users', { env: eu })).status).toBe(200);
    expect((await idp.get('/Users')).status).toBe(200);
    await reside('none');
    for (const where of [us, eu]) {
      expect((await idp.get('/Users', { env: where })).status).toBe(200);
      expect((await idp.post('/Users', { userName: `${where.REGION}@x.example` }, { env: where })).status).toBe(201);
    }
  });

  it('moves with its next request', async () => {
    await reside('us');
    expect((await idp.get('/Users', { env: us })).status).toBe(200);
    expect((await idp.get('/Users', { env: eu })).status).toBe(421);
  });

  it('can only reside where somebody serves it, as far as that is known', async () => {
    const set = (residency: string, where = {}) =>
      admin('PATCH', `/orgs/${idp.slug}`, { body: { settings: { residency } }, env: where });
    expect((await set('mars', us)).body.detail).toBe('residency: a region that is served was expected: us, eu');
    expect((await set('US', us)).body.detail).toBe('residency: the label of a region was expected, such as us or eu');
    expect((await set('us', us)).status).toBe(200);
    expect((await set('mars')).status).toBe(200); // nobody has said which regions there are
  });
});

describe('the variables of a region', () => {
  it('are checked before anything is answered', () => {
    expect(() => settings({ ...env, REGION: 'the us' })).toThrow('REGION: a label such as us or eu was expected');
    for (const REGION_URLS of ['us', '{"us":"not an address"}', '{"us":7}', 'null']) {
      expect(() => settings({ ...env, REGION: 'us', REGION_URLS })).toThrow('REGION_URLS: JSON was expected');
    }
    expect(settings({ ...env, REGION: 'us' }).region).toEqual({ label: 'us', urls: new Map() });
    expect(settings({ ...env, REGION_URLS }).region).toBeUndefined();
  });
});

describe('the jurisdiction of Durable Objects', () => {
  const asked: string[] = [];
  const named = (place: string) => ({ getByName: (id: string) => asked.push(`${place} ${id}`) });
  const ORG_COORDINATOR = {
    ...named('anywhere'),
    jurisdiction: (label: string) => named(label),
  } as unknown as typeof env.ORG_COORDINATOR;

  it('is that of the variable, and no jurisdiction is asked for without it', () => {
    for (const DO_JURISDICTION of [undefined, '', 'eu', 'us', 'fedramp', 'fedramp-high']) {
      coordinatorOf({ ORG_COORDINATOR, ...(DO_JURISDICTION !== undefined && { DO_JURISDICTION }) }, 'org');
    }
    expect(asked).toEqual(['anywhere org', 'anywhere org', 'eu org', 'us org', 'fedramp org', 'fedramp-high org']);
  });

  it('is one that there is, or nothing is answered', () => {
    for (const DO_JURISDICTION of ['EU', 'mars', 'eu ', 'constructor']) {
      const sentence = 'DO_JURISDICTION: one of eu, us, fedramp, fedramp-high was expected';
      expect(() => settings({ ...env, DO_JURISDICTION })).toThrow(sentence);
      expect(() => coordinatorOf({ ORG_COORDINATOR, DO_JURISDICTION }, 'org')).toThrow(sentence);
    }
  });
});
