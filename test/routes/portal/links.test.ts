/** Links and sessions of the portal: opened once, dead for everybody alike, and what each page owes. */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { newSecret } from '../../../src/credentials/secret';
import { admin, ask, BASE, newIdp } from '../../support/client';
import { journal } from '../../support/database';
import { Meter } from '../../support/meter';
import { cookieIn, FORM, newLink, openLink, textOf, visit, visitorOf } from '../../support/portal';

beforeAll(async () => {
  await newIdp('acme');
  await newIdp('globex');
});

const seen = ({ status, text, headers }: { status: number; text: string; headers: Headers }) => ({
  status,
  text,
  policy: headers.get('Content-Security-Policy'),
});

describe('a link', () => {
  it('is made with an address that is shown once, and listed without it', async () => {
    const made = await admin('POST', '/orgs/acme/portal-links', {
      body: { contact: 'it@acme.com', expires: '2d', by: 'olga' },
    });
    expect(made.status).toBe(201);
    expect(made.body).toEqual({
      id: expect.any(String),
      url: expect.stringMatching(/^https:\/\/scim\.test\/portal\/scimpl_[0-9A-Za-z]{12}_[0-9A-Za-z]{39}$/),
      scope: 'setup',
      contact: 'it@acme.com',
      expiresAt: expect.any(String),
    });
    const listed = await admin('GET', '/orgs/acme/portal-links');
    expect(listed.body.find(({ id }: { id: string }) => id === made.body.id)).toMatchObject({
      state: 'open',
      contact: 'it@acme.com',
      createdBy: 'olga',
      openedAt: null,
    });
    const secret = made.body.url.split('/').at(-1);
    expect(listed.text).not.toContain(secret);
    const { results } = await env.DB.prepare('SELECT * FROM portal_links').all();
    expect(JSON.stringify(results)).not.toContain(secret);
  });

  it.each([
    [{ scope: 'operator' }, /scope/],
    [{ expires: '31d' }, /expires/],
    [{ expires: '0' }, /expires/],
    [{ contact: ' ' }, /contact/],
    [{ contact: 'x'.repeat(101) }, /contact/],
    [{ contact: 'a\nb' }, /contact/],
    [{ returnUrl: 'javascript:alert(1)' }, /returnUrl/],
    [{ returnUrl: 'http://acme.com' }, /returnUrl/],
    [{ more: 1 }, /more/],
  ])('is not made of %j', async (body, detail) => {
    const answer = await admin('POST', '/orgs/acme/portal-links', { body });
    expect(answer.status).toBe(400);
    expect(answer.body.detail).toMatch(detail);
  });

  it('is not opened by whatever fetches it, and opens once', async () => {
    const { path } = await newLink('acme');
    for (let i = 0; i < 3; i++) expect((await ask('GET', `${BASE}${path}`)).text).toContain('<button class="main"');
    expect((await ask('HEAD', `${BASE}${path}`)).status).toBe(200);
    const opened = await openLink(path);
    expect([opened.status, opened.headers.get('Location')]).toEqual([303, '/portal']);
    const cookie = opened.headers.get('Set-Cookie');
    expect(cookie).toMatch(/^__Host-scim-portal=scimps_\w+; Max-Age=28800; Path=\/; HttpOnly; Secure; SameSite=Lax$/);
    expect((await openLink(path)).status).toBe(404);
  });

  it('opens once, also for two who open it at the same moment', async () => {
    const { path } = await newLink('acme');
    const answers = await Promise.all([openLink(path), openLink(path), openLink(path)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([303, 404, 404]);
  });

  it('that was used, has expired, was revoked or was invented gets one answer', async () => {
    const used = await newLink('acme');
    await openLink(used.path);
    const revoked = await newLink('acme');
    await admin('DELETE', `/orgs/acme/portal-links/${revoked.id}`);
    const expired = await newLink('acme');
    await env.DB.prepare('UPDATE portal_links SET expires_at = ? WHERE id = ?').bind(Date.now(), expired.id).run();
    const foreign = await newLink('globex');
    await env.DB.prepare('DELETE FROM portal_links WHERE id = ?').bind(foreign.id).run();
    const { id } = (await admin('GET', '/orgs/acme')).body;
    const others = [
      '/portal/nothing',
      `/portal/${await newSecret('portal_link', id)}`,
      `/portal/${await newSecret('token', id)}`,
    ];
    const paths = [used.path, revoked.path, expired.path, foreign.path, ...others];
    for (const method of ['GET', 'POST']) {
      const answers = await Promise.all(
        paths.map((path) => ask(method, `${BASE}${path}`, { headers: FORM, ...(method === 'POST' && { raw: '' }) })),
      );
      expect(answers[0]!.status).toBe(404);
      expect(textOf(answers[0]!.text)).toContain('This link is no longer valid. Ask Directory sync for a new one.');
      for (const answer of answers) expect(seen(answer)).toEqual(seen(answers[0]!));
    }
  });

  it('is not opened by a page of another site', async () => {
    const { path } = await newLink('acme');
    for (const headers of [{ Origin: 'https://evil.test' }, { Origin: 'null' }]) {
      expect((await openLink(path, headers)).status).toBe(403);
    }
    expect((await ask('POST', `${BASE}${path}`, { raw: '' })).status).toBe(403);
    expect((await openLink(path)).status).toBe(303);
  });

  it('is told in the journal: made, opened and revoked, by whom', async () => {
    const { orgId } = await newIdp('told');
    const { id, path } = await newLink('told', { contact: 'it@told.com', by: 'olga' });
    await openLink(path);
    await admin('DELETE', `/orgs/told/portal-links/${id}?by=grace`);
    const events = (await journal(orgId)).filter(({ type }) => type.startsWith('portal.'));
    expect(events.map(({ type, actor }) => [type, actor])).toEqual([
      ['portal.link_created', 'admin:admin'],
      ['portal.link_opened', 'portal:it@told.com'],
      ['portal.link_revoked', 'admin:admin'],
    ]);
  });

  it('of another org is not revoked, nor one twice', async () => {
    const { id } = await newLink('globex');
    expect((await admin('DELETE', `/orgs/acme/portal-links/${id}`)).status).toBe(404);
    expect((await admin('DELETE', `/orgs/globex/portal-links/${id}`)).status).toBe(200);
    expect((await admin('DELETE', `/orgs/globex/portal-links/${id}`)).status).toBe(404);
  });
});

describe('a session', () => {
  it('is for its org alone', async () => {
    const ada = await visit('acme');
    expect((await ada.page()).status).toBe(200);
    const foreign = await ada.get('/portal/orgs/globex/credentials');
    const invented = await ada.get('/portal/orgs/nobody/credentials');
    expect(foreign.status).toBe(404);
    expect(seen(foreign)).toEqual(seen(invented));
    expect((await ada.get('/portal/orgs')).status).toBe(404);
  });

  it('ends with the next request when its link is revoked, it is idle, or its time is over', async () => {
    const revoked = await visit('acme');
    await admin('DELETE', `/orgs/acme/portal-links/${revoked.linkId}`);
    const idle = await visit('acme');
    const hour = Date.now() - 3_600_000;
    await env.DB.prepare('UPDATE portal_sessions SET last_seen_at = ? WHERE link_id = ?').bind(hour, idle.linkId).run();
    const over = await visit('acme');
    await env.DB.prepare('UPDATE portal_sessions SET expires_at = ? WHERE link_id = ?')
      .bind(Date.now(), over.linkId)
      .run();
    const ended = await visit('acme');
    const csrf = await ended.csrf();
    const left = await ask('POST', `${BASE}/portal/end`, {
      raw: `csrf=${csrf}`,
      headers: { ...FORM, Cookie: ended.cookie },
    });
    expect(left.headers.get('Set-Cookie')).toMatch(/^__Host-scim-portal=; Max-Age=0/);
    const nobody = await visitorOf('acme', '', '').page();
    expect(nobody.status).toBe(401);
    for (const visitor of [revoked, idle, over, ended]) expect(seen(await visitor.page())).toEqual(seen(nobody));
  });

  it('is not kept alive by a page that asks for itself', async () => {
    const ada = await visit('acme');
    const before = Date.now() - 3_000_000;
    await env.DB.prepare('UPDATE portal_sessions SET last_seen_at = ? WHERE link_id = ?')
      .bind(before, ada.linkId)
      .run();
    const lastSeen = async () =>
      (await env.DB.prepare('SELECT last_seen_at AS at FROM portal_sessions WHERE link_id = ?')
        .bind(ada.linkId)
        .first<{ at: number }>())!.at;
    await ada.page('/credentials', { headers: { 'X-Portal-Live': '1' } });
    expect(await lastSeen()).toBe(before);
    await ada.page();
    expect(await lastSeen()).toBeGreaterThan(before);
  });

  it('is gone with its org', async () => {
    await newIdp('leaving');
    const ada = await visit('leaving');
    const { path } = await newLink('leaving');
    await admin('DELETE', '/orgs/leaving?confirm=leaving');
    expect((await ada.page()).status).toBe(401);
    expect((await openLink(path)).status).toBe(404);
    const left = await env.DB.prepare('SELECT count(*) AS n FROM portal_links JOIN deleted_orgs USING (org_id)').first<{
      n: number;
    }>();
    expect(left!.n).toBe(0);
  });

  it('that is forged is 429 before D1 is asked when too many come from its address, and a good one passes', async () => {
    const braked = { FAILED_AUTH: { limit: async () => ({ success: false }) } as unknown as RateLimit };
    const headers = { 'CF-Connecting-IP': '192.0.2.44' };
    const meter = new Meter();
    let trips = -1;
    const { orgId } = await newIdp('besieged');
    const forged = visitorOf('besieged', '', `__Host-scim-portal=${await newSecret('portal_session', orgId)}`);
    const refused = await forged.page('', {
      headers,
      env: { ...braked, DB: meter.binding },
      onAnswer: () => {
        trips = meter.roundTrips;
      },
    });
    expect([refused.status, trips]).toEqual([429, 0]);
    expect((await forged.page('', { headers })).status).toBe(401);
    const ada = await visit('besieged');
    expect((await ada.page('', { headers, env: braked })).status).toBe(429); // not known here yet
    expect((await ada.page('/people', { headers })).status).toBe(200);
    expect((await ada.page('/people', { headers, env: braked })).status).toBe(200);
    await admin('DELETE', `/orgs/besieged/portal-links/${ada.linkId}`);
    expect((await ada.page('/people', { headers })).status).toBe(401);
    expect((await ada.page('/people', { headers, env: braked })).status).toBe(429);
  });

  it('has a cookie of its own in a frame of an allowed origin', async () => {
    const { path } = await newLink('acme');
    const framed = { PORTAL_ORIGINS: 'https://app.example.com' };
    const opened = await ask('POST', `${BASE}${path}`, {
      raw: '',
      headers: { ...FORM, 'Sec-Fetch-Dest': 'iframe' },
      env: framed,
    });
    expect(opened.headers.get('Set-Cookie')).toMatch(/HttpOnly; Secure; SameSite=None; Partitioned$/);
    expect(opened.headers.get('Content-Security-Policy')).toContain('frame-ancestors https://app.example.com');
    expect(opened.headers.get('X-Frame-Options')).toBeNull();
    expect(cookieIn(opened)).toMatch(/^__Host-/);
  });
});

describe('each page', () => {
  it('loads nothing, is not kept, and is framed by nobody', async () => {
    const ada = await visit('acme');
    for (const answer of [await ada.page(), await ada.page('/nothing'), await ask('GET', `${BASE}/portal/nothing`)]) {
      expect(Object.fromEntries(answer.headers)).toMatchObject({
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'same-origin',
      });
      expect(answer.headers.get('Content-Security-Policy')).toMatch(
        /^default-src 'none'; style-src 'sha256-[^']+'; script-src 'sha256-[^']+'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'$/,
      );
    }
  });

  it('is in the language that is asked for, or preferred', async () => {
    const ada = await visit('acme');
    expect((await ada.page()).text).toContain('<html lang="en">');
    expect(
      (await ada.page('/credentials', { headers: { 'Accept-Language': 'fr, de;q=0.8, en;q=0.3' } })).text,
    ).toContain('lang="de"');
    const asked = await ada.page('/credentials?lang=de');
    expect(textOf(asked.text)).toContain('Übersicht');
    const kept = await ada.page('/credentials', { headers: { Cookie: `${ada.cookie}; ${cookieIn(asked)}` } });
    expect(kept.text).toContain('<html lang="de">');
  });

  it('shows the name of an org as text, whatever it is', async () => {
    await newIdp('odd');
    const name = '<script>alert(1)</script> "\u202Eevil';
    await admin('PATCH', '/orgs/odd', { body: { settings: { name } } });
    const ada = await visit('odd', { contact: '<img src=x onerror=alert(1)>' });
    const { text } = await ada.page();
    expect(text).toContain('<bdi>&lt;script&gt;alert(1)&lt;/script&gt; &quot;\u202Eevil</bdi>');
    expect(text).toContain('&lt;img src=x');
    expect(text).not.toContain('<img');
  });

  it('refuses a form without its proof, of another site, or of a megabyte', async () => {
    const [ada, bob] = [await visit('acme'), await visit('acme')];
    const csrf = await ada.csrf();
    const end = (raw: string, headers: Record<string, string> = {}) =>
      ask('POST', `${BASE}/portal/end`, { raw, headers: { ...FORM, Cookie: ada.cookie, ...headers } });
    expect((await end('')).status).toBe(403);
    expect((await end(`csrf=${await bob.csrf()}`)).status).toBe(403);
    expect((await end(`csrf=${csrf}`, { Origin: 'https://evil.test' })).status).toBe(403);
    expect((await end(`csrf=${csrf}&more=${'x'.repeat(1_000_000)}`)).status).toBe(413);
    expect((await end(JSON.stringify({ csrf }), { 'Content-Type': 'application/json' })).status).toBe(400);
    expect((await ada.page()).status).toBe(200);
    expect((await end(`csrf=${csrf}`)).status).toBe(303);
    expect((await ada.page()).status).toBe(401);
  });
});
