/** The pages after the set-up: what they show, what they change, and what they call. */
import { env } from 'cloudflare:workers';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { runCron } from '../../../src/cron';
import { arrivals } from '../../../src/routes/access/arrivals';
import { admin, ask, BASE, type Idp, newIdp } from '../../support/client';
import { journal } from '../../support/database';
import { cookieIn, openLink, textOf, type Visitor, visit, visitorOf } from '../../support/portal';

const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
const GROUP = 'urn:ietf:params:scim:schemas:core:2.0:Group';
const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';

let idp: Idp;
let ada: Visitor;
let user: string;
let group: string;

const show = async (path: string, visitor = ada) => textOf((await visitor.page(path)).text);
const settings = async (slug = 'acme') => (await admin('GET', `/orgs/${slug}`)).body.settings;

beforeAll(async () => {
  idp = await newIdp('acme');
  ada = await visit('acme', { contact: 'it@acme.com' });
  user = (await idp.user('grace@acme.com', { displayName: 'Grace <b>Hopper</b>' })).id;
  group = (await idp.post('/Groups', { schemas: [GROUP], displayName: 'Sales', members: [{ value: user }] })).body.id;
});

describe('people', () => {
  it('are found by a part of a name, whatever it holds, and told of in sentences', async () => {
    expect(await show('/people')).toContain('grace@acme.com Grace <b>Hopper</b> active');
    expect(await show('/people?q=hopp')).toContain('grace@acme.com');
    expect(await show(`/people?q=${encodeURIComponent('") or (userName pr')}`)).toContain('Nobody found');
    await idp.patch(`/Users/${user}`, [{ op: 'replace', path: 'active', value: false }]);
    const page = await show(`/people/${user}`);
    expect(page).toContain('inactive');
    expect(page).toMatch(/Deactivated by the identity provider.*sessions until then are over/);
    expect(page).toContain('Joined the group "Sales"');
    await idp.patch(`/Users/${user}`, [{ op: 'replace', path: 'active', value: true }]);
  });

  it.each(['page=1.01', 'page=-3', 'page=1e99', 'q=%00', 'q=a%00%0Ab', `q=${'a'.repeat(199)}%F0%9F%98%80`])(
    'are shown, and nothing fails, when the address says %s',
    async (query) => {
      expect((await ada.page(`/people?${query}`)).status).toBe(200);
    },
  );
});

describe('groups', () => {
  it('are shown with members and permissions', async () => {
    await admin('PUT', `/orgs/acme/groups/${group}/permissions`, { body: { permissions: ['invoices:write'] } });
    expect(await show('/groups')).toContain('Sales 1 invoices:write');
    expect(await show(`/groups/${group}`)).toContain('Grace <b>Hopper</b>');
  });

  it('are chosen as the default group, for new people only, and none again', async () => {
    expect(await show('/groups')).toContain('It applies to new people only.');
    expect((await ada.send('/groups/default', { group })).status).toBe(303);
    expect((await settings()).defaultGroup).toBe(group);
    const { id } = await idp.user('new@acme.com');
    expect((await idp.get(`/Users/${id}`)).body.groups).toHaveLength(1);
    await ada.send('/groups/default', { group: '' });
    expect((await settings()).defaultGroup).toBeUndefined();
    const gone = await ada.send('/groups/default', { group: crypto.randomUUID() });
    expect([gone.status, textOf(gone.text)]).toEqual([409, expect.stringContaining('There is no such group any more')]);
  });
});

describe('attributes', () => {
  it('are counted by name, those that are ignored apart, and no value of them is kept', async () => {
    arrivals.interval = 0;
    await idp.user('counted@acme.com', {
      displayName: 'Secret',
      shoeSize: 'Secret',
      [ENTERPRISE]: { department: 'Secret', badge: 'Secret' },
      password: 'Secret',
    });
    await idp.patch(`/Users/${user}`, [
      { op: 'replace', path: 'emails[type eq "work"].value', value: 'x@acme.com' },
      { op: 'replace', value: { nickname: 'Secret', hairColour: 'Secret' } },
    ]);
    await idp.post('/Users/.search', {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:SearchRequest'],
      filter: 'userName pr',
    });
    const operations = [
      {
        method: 'POST',
        path: '/Groups',
        bulkId: '1',
        data: { schemas: [GROUP], displayName: 'Bulk', colour: 'Secret' },
      },
    ];
    await idp.post('/Bulk', { schemas: ['urn:ietf:params:scim:api:messages:2.0:BulkRequest'], Operations: operations });
    arrivals.interval = Number.POSITIVE_INFINITY;
    const { results } = await env.DB.prepare(
      'SELECT resource_type AS type, name, is_ignored AS ignored, sum(count) AS n FROM attribute_counts GROUP BY 1, 2, 3 ORDER BY 1, 2',
    ).all();
    const row = (type: string, name: string, ignored = 0, n = 1) => ({ type, name, ignored, n });
    expect(results).toEqual([
      row('Group', 'colour', 1),
      row('Group', 'displayName'),
      row('User', 'displayName'),
      row('User', 'emails'),
      row('User', 'hairColour', 1),
      row('User', 'nickName'),
      row('User', 'password', 1),
      row('User', 'shoeSize', 1),
      row('User', `${ENTERPRISE}:badge`, 1),
      row('User', `${ENTERPRISE}:department`),
      row('User', 'userName'),
    ]);
    expect(JSON.stringify(results)).not.toContain('Secret');
    const page = await show('/attributes');
    expect(page).toContain('5 attributes are ignored');
    expect(page).toMatch(/shoeSize person ignored 1 1/);
  });
});

describe('activity', () => {
  it('names what you did with signals, OAuth clients and attributes in words, never by the type of its event', async () => {
    const issuer = 'https://acme.okta.com';
    const source = { type: 'global-token-revocation', issuer, jwksUrl: `${issuer}/oauth2/v1/keys` };
    expect((await admin('POST', '/orgs/acme/signals', { body: source })).status).toBe(201);
    expect((await admin('POST', '/orgs/acme/oauth/clients', { body: {} })).status).toBe(201);
    const page = await show('/activity');
    expect(page).toContain('Source of sign-out signals added by');
    expect(page).toContain('Secret of an OAuth client generated by');
    expect(page).not.toMatch(/\b[a-z]+\.[a-z_]+ by /);
  });

  it('is filtered, and saved as CSV that no spreadsheet calculates', async () => {
    await idp.user('=cmd()@acme.com');
    expect(await show('/activity?type=group.*')).toContain('Group created');
    expect(await show('/activity?type=group.*')).not.toContain('Created by the identity provider');
    const file = await ada.page('/activity?format=csv');
    expect(file.headers.get('Content-Type')).toContain('text/csv');
    expect(file.headers.get('Content-Disposition')).toBe('attachment; filename="activity-acme.csv"');
    expect(file.text.split('\r\n')[0]).toBe('"at","kind","type","actor","target","outcome","count","detail"');
    expect(file.text).not.toMatch(/(?:^|,)"[=+@-]/m);
  });
});

describe('domains', () => {
  afterEach(() => vi.restoreAllMocks());

  const answer = (...texts: string[]) =>
    vi.spyOn(globalThis, 'fetch').mockImplementation(async () =>
      Response.json({
        Status: texts.length > 0 ? 0 : 3,
        Answer: texts.map((data) => ({ type: 16, data: `"${data}"` })),
      }),
    );
  const recordValue = async () => /scim-worker=\w{32}/.exec(await show('/domains'))?.[0] ?? '';

  it('are proved by a TXT record, which is looked up over HTTPS, and then link accounts', async () => {
    expect((await ada.send('/domains/add', { domain: 'not a domain' })).status).toBe(400);
    await ada.send('/domains/add', { domain: '@Acme.com' });
    const page = await show('/domains');
    expect(page).toContain('_scim-worker.acme.com');
    expect(page).toContain('waiting for the record');
    const asked = answer('v=spf1 -all');
    expect((await ada.send('/domains/check', { domain: 'acme.com' })).headers.get('Location')).toContain(
      'done=missing',
    );
    expect(asked.mock.calls[0]![0]).toBe('https://cloudflare-dns.com/dns-query?name=_scim-worker.acme.com&type=TXT');
    expect((await settings()).verifiedDomains).toBeUndefined();
    answer('v=spf1 -all', await recordValue());
    expect((await ada.send('/domains/check', { domain: 'acme.com' })).headers.get('Location')).toContain('done=found');
    expect((await settings()).verifiedDomains).toEqual(['acme.com']);
    expect((await journal(idp.orgId)).at(-1)).toMatchObject({ type: 'domain.verified', actor: 'portal:it@acme.com' });
  });

  it('stay as they are where DNS cannot be asked, and are lost only after two weeks without their record', async () => {
    vi.spyOn(globalThis, 'fetch').mockRejectedValue(new Error('down'));
    expect((await ada.send('/domains/check', { domain: 'acme.com' })).headers.get('Location')).toContain(
      'done=unknown',
    );
    vi.restoreAllMocks();
    answer();
    const week = 7 * 86_400_000;
    const age = () =>
      env.DB.prepare('UPDATE portal_domains SET checked_at = checked_at - ?1, missing_since = missing_since - ?1')
        .bind(week)
        .run();
    await age();
    await runCron(env);
    expect(await show('/domains')).toContain('record missing');
    expect((await settings()).verifiedDomains).toEqual(['acme.com']);
    for (let i = 0; i < 2; i++) {
      await age();
      await runCron(env);
    }
    expect((await settings()).verifiedDomains).toBeUndefined();
    expect((await journal(idp.orgId)).at(-1)).toMatchObject({ type: 'domain.lost', actor: 'service' });
  });

  it('are removed with what they proved', async () => {
    answer(await recordValue());
    await ada.send('/domains/check', { domain: 'acme.com' });
    await ada.send('/domains/remove', { domain: 'acme.com' });
    expect((await settings()).verifiedDomains).toBeUndefined();
    expect((await ada.send('/domains/check', { domain: 'acme.com' })).status).toBe(404);
  });
});

describe('held deactivations', () => {
  it('are decided where the vendor allows it', async () => {
    const strict = await newIdp('strict');
    const ids: string[] = [];
    for (const name of ['a', 'b', 'c']) ids.push((await strict.user(`${name}@strict.com`)).id);
    const body = { settings: { 'deactivationLimit.deactivations': '1', 'portal.allow': 'held' } };
    await admin('PATCH', '/orgs/strict', { body });
    for (const id of ids) await strict.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: false }]);
    const bob = await visit('strict', { contact: 'bob@strict.com' });
    expect(await show('/held', bob)).toMatch(/b@strict\.com deactivated just now waits/);
    expect((await bob.send('/held/release', { user: ids[1]! })).headers.get('Location')).toContain('done=released');
    expect((await strict.get(`/Users/${ids[1]}`)).body.active).toBe(false);
    expect((await bob.send('/held/reject', { user: ids[2]! })).status).toBe(303);
    expect(await show('/held', bob)).toContain('refused until');
    await admin('PATCH', '/orgs/strict', { body: { settings: { 'portal.allow': 'none' } } });
    expect((await bob.page('/held')).status).toBe(403);
    expect((await bob.send('/held/release', { user: ids[2]! })).status).toBe(403);
  });
});

describe('overview', () => {
  it('of an org whose token was revoked says that it is not connected any more, and never that it was not yet', async () => {
    const cut = await newIdp('cut-off');
    await cut.user('ada@cut-off.com');
    const bob = await visit('cut-off', { contact: 'bob@cut-off.com' });
    expect(await show('', bob)).toContain('Last request');
    expect((await admin('DELETE', '/orgs/cut-off/tokens')).status).toBe(200);
    const page = await show('', bob);
    expect(page).toContain('not connected any more');
    expect(page).not.toMatch(/not connected yet|never/);
  });
});

describe('switching off', () => {
  it('keeps people and groups as they are; removal tells in numbers first, and goes through once it is confirmed', async () => {
    const leaving = await newIdp('leaving');
    const { id } = await leaving.user('ada@leaving.com');
    const bob = await visit('leaving', { contact: 'bob@leaving.com' });
    await bob.send('/scim', { enabled: 'false' });
    expect((await leaving.get('/Users')).status).toBe(403);
    expect((await admin('GET', '/orgs/leaving')).body).toMatchObject({ scimEnabled: false, activeUsers: 1 });
    await bob.send('/scim', { enabled: 'true' });
    expect(await show('/switch-off', bob)).toContain('People who are deactivated 1');
    const mistyped = await bob.send('/switch-off/remove', { confirm: 'leavin' });
    expect([mistyped.status, (await leaving.get(`/Users/${id}`)).body.active]).toEqual([400, true]);
    expect((await bob.send('/switch-off/remove', { confirm: 'leaving' })).headers.get('Location')).toContain(
      'done=removed',
    );
    expect((await leaving.get('/Users')).status).toBe(401);
    expect((await admin('GET', '/orgs/leaving')).body).toMatchObject({ scimEnabled: false, activeUsers: 0 });
    const events = (await journal(leaving.orgId)).filter(({ actor }) => actor === 'portal:bob@leaving.com');
    expect(events.map(({ type }) => type).slice(-4)).toEqual([
      'scim.disabled',
      'user.deactivated',
      'org.signed_out',
      'token.revoked',
    ]);
    expect((await bob.send('/switch-off/remove', { confirm: 'leaving' })).status).toBe(303);
  });
});

describe("the vendor's console", () => {
  it('lists all orgs, opens each with everything allowed, and lasts as long as its link lets it', async () => {
    const { body } = await admin('POST', '/portal-links', { body: { by: 'olga' } });
    expect(body.scope).toBe('operator');
    const opened = await openLink(body.url.replace(BASE, ''));
    const olga = visitorOf('acme', body.id, cookieIn(opened));
    expect((await olga.get('/portal')).headers.get('Location')).toBe('/portal/orgs');
    const page = await olga.get('/portal/orgs');
    expect(textOf(page.text)).toContain('acme');
    await admin('PATCH', '/orgs/acme', { body: { settings: { 'portal.allow': 'nothing' } } });
    expect((await olga.send('/scim', { enabled: 'false' })).status).toBe(303);
    expect((await journal(idp.orgId)).at(-1)).toMatchObject({ type: 'scim.disabled', actor: 'portal:olga' });
    expect((await ada.send('/scim', { enabled: 'true' })).status).toBe(403);
    await olga.send('/scim', { enabled: 'true' });
    expect((await olga.get('/portal/orgs/nobody')).status).toBe(404);
    await env.DB.prepare('UPDATE portal_links SET revoked_at = 1 WHERE id = ?').bind(body.id).run();
    expect((await olga.get('/portal/orgs')).status).toBe(401);
  });

  it('says that the service is busy where the org of a form is being imported', async () => {
    const { orgId } = await newIdp('arriving');
    const { body } = await admin('POST', '/portal-links', { body: {} });
    const olga = visitorOf('arriving', body.id, cookieIn(await openLink(body.url.replace(BASE, ''))));
    await env.DB.prepare("UPDATE orgs SET importing = 'x' WHERE id = ?").bind(orgId).run();
    const forms: [string, Record<string, string>][] = [
      ['/scim', { enabled: 'false' }],
      ['/set-up/idp', { idp: 'okta' }],
      ['/domains/add', { domain: 'arriving.com' }],
      ['/held/reject', {}],
      ['/credentials/oauth', { name: 'x' }],
      ['/credentials/oauth/approval', {}],
    ];
    for (const [path, fields] of forms) {
      const answer = await olga.send(path, fields);
      expect([path, answer.status], answer.text.slice(-200)).toEqual([path, 503]);
    }
  });

  it('expires after ten minutes, unopened', async () => {
    const { body } = await admin('POST', '/portal-links', { body: {} });
    expect(Date.parse(body.expiresAt) - Date.now()).toBeLessThanOrEqual(600_000);
    await env.DB.prepare('UPDATE portal_links SET expires_at = ? WHERE id = ?').bind(Date.now(), body.id).run();
    expect((await ask('GET', body.url)).status).toBe(404);
  });
});

it('an org that is switched off, and SCIM that is off, are told on the page', async () => {
  await admin('POST', '/orgs/acme/disable', { body: {} });
  expect(await show('/credentials')).toContain('Your organization is switched off at the moment.');
  await admin('POST', '/orgs/acme/enable', { body: {} });
  expect((await idp.post('/Users', { schemas: [USER], userName: 'later@acme.com' })).status).toBe(201);
});

it('a wrong variable of the portal is named by /health, and keeps no identity provider out', async () => {
  const wrong = { PORTAL_COLOR: 'blue' };
  const health = await ask('GET', `${BASE}/health`, { env: wrong });
  expect([health.status, health.text.includes('PORTAL_COLOR')]).toEqual([503, true]);
  expect((await idp.get('/Users', { env: wrong })).status).toBe(200);
  expect((await ada.page('/people', { env: wrong })).status).toBe(503);
});
