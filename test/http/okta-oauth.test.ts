// Okta's authentication mode «OAuth 2», from the button «Authenticate» to a deactivation with a refreshed token, as its
// documentation describes it (developer.okta.com, «Prepare your SCIM API service», October 2026): an authorization code
// with client credentials in the body, the refresh token from then on.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formOf } from '../support/form.ts';
import { newServedClient } from '../support/oauth-server.ts';
import { type Server, startServer } from '../support/server.ts';

const CALLBACK = 'https://system-admin.okta.com/admin/app/cpc/acme_1/oauth/callback';
const headers = (token: string) => ({
  Authorization: `Bearer ${token}`,
  Accept: 'application/scim+json',
  'Content-Type': 'application/scim+json; charset=utf-8',
  'User-Agent': 'Okta SCIM Client 1.0.0',
});

let server: Server;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server?.stop());

describe('Okta with OAuth 2', () => {
  it('is approved by a person, provisions with its access token, and goes on with its refresh token', async () => {
    const org = await server.newOrg('okta-oauth');
    const okta = await newServedClient(server, org, { name: 'Okta', redirectUri: CALLBACK });
    const approval = await okta.newApproval();

    // Okta's administrator is sent to us, and approves.
    const page = await fetch(okta.authorizeUrl('00u1-state'));
    expect(page.status).toBe(200);
    const { action, members } = formOf(await page.text());
    const answer = await fetch(new URL(action, server.url), {
      method: 'POST',
      headers: { Origin: server.url },
      body: new URLSearchParams({ ...members, approval_code: approval, decision: 'approve' }),
      redirect: 'manual',
    });
    expect(answer.status).toBe(303);
    const location = new URL(answer.headers.get('Location')!);
    expect(location.href.split('?')[0]).toBe(CALLBACK);
    expect(location.searchParams.get('state')).toBe('00u1-state');

    const code = location.searchParams.get('code')!;
    const granted = await okta.token({ grant_type: 'authorization_code', code, redirect_uri: CALLBACK });
    expect(granted.status).toBe(200);
    const scim = (method: string, path: string, token: string, body?: object) =>
      fetch(`${org.baseUrl}${path}`, { method, headers: headers(token), ...(body && { body: JSON.stringify(body) }) });
    const first = granted.body.access_token as string;
    expect((await scim('GET', '/Users?startIndex=1&count=2', first)).status).toBe(200);
    const ada = {
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
      userName: 'ada@example.com',
      name: { givenName: 'Ada', familyName: 'Lovelace' },
      emails: [{ primary: true, value: 'ada@example.com', type: 'work' }],
      externalId: '00u1',
      groups: [],
      password: '1mz050nq',
      active: true,
    };
    const created = await scim('POST', '/Users', first, ada);
    expect(created.status).toBe(201);
    const { id } = (await created.json()) as { id: string };
    const session = Date.now();
    expect((await server.checkSession(org.slug, id, session)).valid).toBe(true);

    // An hour later.
    const refreshed = await okta.token({ grant_type: 'refresh_token', refresh_token: granted.body.refresh_token });
    expect(refreshed.status).toBe(200);
    const second = refreshed.body.access_token as string;
    const deactivated = await scim('PUT', `/Users/${id}`, second, { ...ada, id, active: false });
    expect(deactivated.status).toBe(200);
    expect(await deactivated.json()).toMatchObject({ id, active: false });
    expect((await server.checkSession(org.slug, id, session)).valid).toBe(false);

    // Somebody has kept the first refresh token: nothing that came of the approval is good any more.
    const stolen = await okta.token({ grant_type: 'refresh_token', refresh_token: granted.body.refresh_token });
    expect([stolen.status, stolen.body.error]).toEqual([400, 'invalid_grant']);
    for (const token of [first, second]) expect((await scim('GET', '/Users', token)).status).toBe(401);
    const late = await okta.token({ grant_type: 'refresh_token', refresh_token: refreshed.body.refresh_token });
    expect(late.body.error).toBe('invalid_grant');
    expect((await scim('GET', '/Users', org.token)).status).toBe(200);
  });

  it('hears of it when its administrator denies', async () => {
    const org = await server.newOrg('okta-denied');
    const okta = await newServedClient(server, org, { name: 'Okta', redirectUri: CALLBACK });
    const { action, members } = formOf(await (await fetch(okta.authorizeUrl('s'))).text());
    const answer = await fetch(new URL(action, server.url), {
      method: 'POST',
      headers: { Origin: server.url },
      body: new URLSearchParams({ ...members, decision: 'deny' }),
      redirect: 'manual',
    });
    expect(answer.status).toBe(303);
    expect(answer.headers.get('Location')).toMatch(`${CALLBACK}?error=access_denied&`);
  });
});
