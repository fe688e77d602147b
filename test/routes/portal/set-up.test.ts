/** The set-up: each step turns green by what the identity provider does, and a refused request stands on its step in words. */
import { beforeAll, describe, expect, it } from 'vitest';
import { app } from '../../../src/app';
import { arrivals } from '../../../src/routes/access/arrivals';
import { traffic } from '../../../src/routes/access/outcome';
import { admin, ask, BASE, type Idp, idpOf, newIdp } from '../../support/client';
import { journal } from '../../support/database';
import { textOf, type Visitor, visit } from '../../support/portal';

const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
const GROUP = 'urn:ietf:params:scim:schemas:core:2.0:Group';
const OKTA = { 'User-Agent': 'Okta SCIM Client 1.0.0' };
let n = 0;

/** An org that has nothing, and its administrator. */
async function newOrg(): Promise<{ slug: string; orgId: string; ada: Visitor }> {
  const slug = `set-up-${++n}`;
  const { body } = await admin('POST', '/orgs', { body: { slug } });
  return { slug, orgId: body.id, ada: await visit(slug, { contact: 'it@acme.com' }) };
}

/** `idp: works`, `test: waiting`, … of the list at the side. */
async function steps(ada: Visitor): Promise<Record<string, string>> {
  const { text } = await ada.page('/set-up/test');
  const items = [...text.matchAll(/<li class="(works|failed|waiting)"><a href="[^"]*\/set-up\/(\w+)"/g)];
  return Object.fromEntries(items.map(([, state, name]) => [name, state]));
}

const step = async (ada: Visitor, name: string) => textOf((await ada.page(`/set-up/${name}`)).text);
const secretIn = (text: string) => /id="secret"[^>]*>([^<]+)</.exec(text)?.[1] ?? '';

beforeAll(() => {
  traffic.interval = 0;
  arrivals.interval = 0;
  return () => {
    traffic.interval = Number.POSITIVE_INFINITY;
    arrivals.interval = Number.POSITIVE_INFINITY;
  };
});

describe('the set-up', () => {
  it('begins where something is to be done, and goes from grey to green with the identity provider', async () => {
    const { slug, orgId, ada } = await newOrg();
    const home = await ada.page('');
    expect([home.status, home.headers.get('Location')]).toEqual([302, `/portal/orgs/${slug}/set-up`]);
    expect((await ada.page('/set-up')).headers.get('Location')).toBe(`/portal/orgs/${slug}/set-up/idp`);
    expect(Object.values(await steps(ada))).toEqual(Array(7).fill('waiting'));

    const chosen = await ada.send('/set-up/idp', { idp: 'okta' });
    expect([chosen.status, chosen.headers.get('Location')]).toEqual([303, `/portal/orgs/${slug}/set-up/connect`]);
    const connect = await step(ada, 'connect');
    expect(connect).toContain(`${BASE}/scim/v2`);
    expect(connect).toContain('In Okta');
    expect(connect).toContain(`${BASE}/orgs/${slug}/scim/v2`);
    expect(connect).toContain('OAuth 2');

    const asked = await ada.page('/credentials/token/new');
    expect(textOf(asked.text)).toContain('It is shown only once');
    const made = await ada.send('/credentials/token/new');
    const token = secretIn(made.text);
    expect(token).toMatch(/^scim_/);
    expect(await steps(ada)).toMatchObject({ idp: 'works', connect: 'works', test: 'waiting' });
    expect(await step(ada, 'connect')).not.toContain(token);

    const idp = idpOf(slug, orgId, token);
    await idp.get('/Users?startIndex=1&count=2', { headers: OKTA });
    expect(await steps(ada)).toMatchObject({ test: 'works', person: 'waiting' });
    expect(await step(ada, 'test')).toContain('Okta signed in and was answered.');
    const { id } = (await idp.post('/Users', { schemas: [USER], userName: 'ada@acme.com' }, { headers: OKTA })).body;
    expect(await step(ada, 'person')).toContain('ada@acme.com was provisioned.');
    await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'title', value: 'Countess' }]);
    await idp.post('/Groups', { schemas: [GROUP], displayName: 'Sales' });
    await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: false }]);
    expect(Object.values(await steps(ada))).toEqual(Array(7).fill('works'));
    expect((await ada.page('/set-up/test')).text).toContain('data-events="setup_finished"');
    const events = (await journal(orgId)).filter(({ actor }) => actor === 'portal:it@acme.com');
    expect(events.map(({ type }) => type)).toEqual([
      'portal.link_opened',
      'org.changed',
      'scim.enabled',
      'token.issued',
    ]);
  });

  it('says what is wrong on the step that failed', async () => {
    const { slug, orgId, ada } = await newOrg();
    await ada.send('/set-up/idp', { idp: 'okta' });
    const old = secretIn((await ada.send('/credentials/token/new')).text);
    await admin('POST', `/orgs/${slug}/tokens/rotate`, { body: { by: 'olga', grace: '0' } });
    const idp = idpOf(slug, orgId, old);
    await idp.get('/Users', { headers: OKTA });
    expect(await steps(ada)).toMatchObject({ test: 'failed' });
    expect(await step(ada, 'test')).toMatch(
      /Okta asked just now with a token that was replaced on .+ by olga: paste the new one\./,
    );
    const again = await ada.send('/credentials/token/rotate', { expect: '2', grace: '0' });
    const good = idpOf(slug, orgId, secretIn(again.text));
    await ask('GET', `${BASE}/Users?count=2`, { headers: { ...OKTA, Authorization: `Bearer ${good.token}` } });
    expect(await step(ada, 'test')).toContain('the base URL lacks /scim/v2');
    await good.get('/Users?count=2', { headers: OKTA });
    expect(await steps(ada)).toMatchObject({ test: 'works' });

    await good.post('/Users', { schemas: [USER], displayName: 'Nobody' }, { headers: OKTA });
    expect(await steps(ada)).toMatchObject({ test: 'works', person: 'failed' });
    expect(await step(ada, 'person')).toContain('Okta sent a person just now, and userName was missing');
    await good.user('ada@acme.com');
    expect(await steps(ada)).toMatchObject({ person: 'works' });

    await ada.send('/scim', { enabled: 'false' });
    await good.get('/Users', { headers: OKTA });
    expect(await step(ada, 'test')).toContain('Okta asked just now, and SCIM is off: switch it on.');
    await ada.send('/scim', { enabled: 'true' });
    expect(await step(ada, 'test')).not.toContain('SCIM is off');
    await admin('PATCH', `/orgs/${slug}`, {
      body: { settings: { 'plan.scim': 'false', supportContact: 'sales@vendor.com' } },
    });
    expect(await step(ada, 'test')).toContain('Not enabled for your account. Contact sales@vendor.com.');
    const refused = await ada.send('/scim', { enabled: 'false' });
    expect(refused.status).toBe(303);
    expect((await ada.send('/scim', { enabled: 'true' })).headers.get('Location')).toContain('done=plan');
    const german = await ada.page('/set-up/person', { headers: { 'Accept-Language': 'de' } });
    expect(textOf(german.text)).toContain('Erste Person');
  });

  it('asks for SSO first, where the org requires it', async () => {
    const { slug, ada } = await newOrg();
    await admin('PATCH', `/orgs/${slug}`, { body: { settings: { ssoRequired: 'true' } } });
    const chosen = await ada.send('/set-up/idp', { idp: 'entra' });
    expect(chosen.headers.get('Location')).toContain('/set-up/sso');
    expect(await step(ada, 'sso')).toContain('Single sign-on has to be set up before');
    expect((await ada.send('/scim', { enabled: 'true' })).headers.get('Location')).toContain('done=sso');
    await admin('PATCH', `/orgs/${slug}`, { body: { settings: { sso: 'true' } } });
    expect(await steps(ada)).toMatchObject({ sso: 'works' });
    expect((await ada.send('/set-up/idp', { idp: 'auth0' })).text).toContain('Choose one of the list.');
  });

  it('tells of accounts that were there before, in numbers', async () => {
    const { slug, ada } = await newOrg();
    const accounts = [
      { line: 1, userName: 'ada@acme.com', emails: [{ value: 'ada@acme.com', primary: true }] },
      { line: 2, userName: 'bob', emails: [{ value: 'bob@else.com', primary: true }] },
    ];
    expect((await admin('POST', `/orgs/${slug}/users/import`, { body: { accounts } })).status).toBe(200);
    await admin('PATCH', `/orgs/${slug}`, { body: { settings: { verifiedDomains: 'acme.com' } } });
    const page = await step(ada, 'accounts');
    expect(page).toContain(
      '2 Accounts that are there already 2 would be adopted by user name 1 also by e-mail address',
    );
    await ada.send('/set-up/accounts', { linking: 'userName' });
    expect((await admin('GET', `/orgs/${slug}`)).body.settings.linking).toBe('userName');
  });
});

describe('credentials', () => {
  let idp: Idp;
  let ada: Visitor;
  const show = async () => textOf((await ada.page('/credentials')).text);

  beforeAll(async () => {
    idp = await newIdp('credentials');
    ada = await visit('credentials', { contact: 'it@acme.com' });
  });

  it('are listed by mask with who made them and when', async () => {
    const page = await show();
    expect(page).toMatch(/scim_\w{4}….{4} current Made just now by admin Last used not used yet/);
    expect(page).not.toContain(idp.token);
  });

  it('are replaced with a grace of a day: who still uses the old one is told, and it goes back, or is finished', async () => {
    const question = await ada.page('/credentials/token/rotate');
    expect(textOf(question.text)).toContain('It works for another 24 hours.');
    expect(textOf(question.text)).toContain('Invalidate it now.');
    const answer = await ada.send('/credentials/token/rotate', { expect: '1', grace: '24h' });
    const next = idpOf('credentials', idp.orgId, secretIn(answer.text));
    expect(await show()).toContain('Nothing has used the old one since it was replaced.');
    await idp.get('/Users', { headers: OKTA });
    expect(await show()).toContain('One client still uses the old one: Okta SCIM Client 1.0.0');
    expect((await ada.send('/credentials/token/cancel', { expect: '2' })).status).toBe(303);
    expect((await next.get('/Users')).status).toBe(401);
    const third = idpOf(
      'credentials',
      idp.orgId,
      secretIn((await ada.send('/credentials/token/rotate', { expect: '1' })).text),
    );
    expect((await ada.send('/credentials/token/complete', { expect: '3' })).headers.get('Location')).toContain(
      'completed',
    );
    expect((await idp.get('/Users')).status).toBe(401);
    expect((await third.get('/Users')).status).toBe(200);
  });

  it('are replaced once, by two who do it at once; the other one is told who was quicker', async () => {
    const bob = await visit('credentials', { contact: 'bob@acme.com' });
    const answers = await Promise.all([ada, bob].map((one) => one.send('/credentials/token/rotate', { expect: '3' })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    const loser = answers.find(({ status }) => status === 409)!;
    expect(textOf(loser.text)).toMatch(/Somebody was quicker: (it|bob)@acme\.com made the current one/);
    const twice = await ada.send('/credentials/token/rotate', { expect: '3' });
    expect(twice.status).toBe(409);
    expect(secretIn(twice.text)).toBe('');
  });

  it('are revoked after a question, and made anew', async () => {
    expect(textOf((await ada.page('/credentials/token/revoke')).text)).toContain(
      'Your identity provider is refused from now on.',
    );
    expect((await ada.send('/credentials/token/revoke')).headers.get('Location')).toContain('done=revoked');
    expect(await show()).toContain('None yet');
    expect(secretIn((await ada.send('/credentials/token/new')).text)).toMatch(/^scim_/);
    expect((await ada.send('/credentials/token/new')).status).toBe(409);
    expect(secretIn((await ada.send('/credentials/basic/new')).text)).toMatch(/^scimpw_/);
  });

  it('of OAuth are made with their addresses, and approved by a code', async () => {
    const uri = 'https://system-admin.okta.com/admin/app/cpc/acme/oauth/callback';
    const made = await ada.send('/credentials/oauth', { name: 'Okta', redirectUri: uri });
    expect(secretIn(made.text)).toMatch(/^scimcs_/);
    expect(textOf(made.text)).toContain(`${BASE}/oauth/token`);
    expect(secretIn((await ada.send('/credentials/oauth/approval')).text)).toMatch(/^\w{4}-\w{4}-\w{4}-\w{4}$/);
    const wrong = await ada.send('/credentials/oauth', { name: 'x', redirectUri: 'javascript:alert(1)' });
    expect([wrong.status, secretIn(wrong.text)]).toEqual([409, '']);
  });

  it('never stand in a page but the one that made them', async () => {
    const pages = app.routes.filter(({ path, method }) => method === 'GET' && path.startsWith('/portal/orgs/:slug'));
    const secret = secretIn((await ada.send('/credentials/token/rotate', { expect: '5' })).text);
    expect(secret).toMatch(/^scim_/);
    for (const { path } of pages) {
      const filled = path.replace(':slug', 'credentials').replace(':kind', 'token').replace(':step', 'connect');
      expect((await ada.get(filled)).text).not.toContain(secret);
    }
  });
});
