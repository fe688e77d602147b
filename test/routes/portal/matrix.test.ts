/**
 * Who may see and do what: every route of the portal, asked of the app's own list, by everybody who could ask. A new route is
 * asked without further ado.
 */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { app } from '../../../src/app';
import { admin, ask, BASE, newIdp } from '../../support/client';
import { dump } from '../../support/database';
import { FORM, type Visitor, visit, visitorOf } from '../../support/portal';

/** Of the org's pages; the middleware of all methods is no route. */
const routes = app.routes.filter(
  ({ path, method }) =>
    path.startsWith('/portal/orgs/:slug') && (method === 'GET' || method === 'POST') && !path.includes('*'),
);
const changes = routes.filter(({ method }) => method === 'POST');
const pages = routes.filter(({ method }) => method === 'GET');

let own: Visitor;
let reader: Visitor;
let nothingAllowed: Visitor;
/** Sessions that are none (any more), by what they are. */
const dead: Record<string, Visitor> = {};
const ids = { user: '', group: '', foreignUser: '', foreignGroup: '' };

beforeAll(async () => {
  const acme = await newIdp('acme');
  const globex = await newIdp('globex');
  const schemas = ['urn:ietf:params:scim:schemas:core:2.0:Group'];
  ids.user = (await acme.user('ada@acme.com')).id;
  ids.group = (await acme.post('/Groups', { schemas, displayName: 'Sales' })).body.id;
  ids.foreignUser = (await globex.user('eve@globex.com')).id;
  ids.foreignGroup = (await globex.post('/Groups', { schemas, displayName: 'Spies' })).body.id;
  own = await visit('acme', { contact: 'it@acme.com' });
  reader = await visit('acme', { scope: 'read' });
  await newIdp('strict');
  await admin('PATCH', '/orgs/strict', { body: { settings: { 'portal.allow': 'nothing' } } });
  nothingAllowed = await visit('strict');
  dead['no cookie'] = visitorOf('acme', '', '');
  dead['a cookie that was made up'] = visitorOf('acme', '', '__Host-scim-portal=scimps_000000000000_x');
  const revoked = await visit('acme');
  await admin('DELETE', `/orgs/acme/portal-links/${revoked.linkId}`);
  dead['a revoked link'] = revoked;
  const expired = await visit('acme');
  await env.DB.prepare('UPDATE portal_sessions SET expires_at = 1 WHERE link_id = ?').bind(expired.linkId).run();
  dead['an expired session'] = expired;
  const idle = await visit('acme');
  await env.DB.prepare('UPDATE portal_sessions SET last_seen_at = 1 WHERE link_id = ?').bind(idle.linkId).run();
  dead['an idle session'] = idle;
});

const fill = (path: string, slug: string, isForeign = false) =>
  path
    .replace(':slug', slug)
    .replace(':user', isForeign ? ids.foreignUser : ids.user)
    .replace(':group', isForeign ? ids.foreignGroup : ids.group)
    .replace(':step', 'connect')
    .replace(':kind', 'token');

const send = (method: string, path: string, cookie: string, csrf = '') =>
  ask(method, `${BASE}${path}`, {
    headers: { ...FORM, Cookie: cookie },
    ...(method === 'POST' && { raw: new URLSearchParams({ csrf }).toString() }),
  });

it('has pages and changes', () => {
  expect(pages.length).toBeGreaterThan(12);
  expect(changes.length).toBeGreaterThan(12);
});

describe.each(routes.map(({ method, path }) => [method, path] as const))('%s %s', (method, path) => {
  it('gives everybody without a session one and the same answer, and changes nothing', async () => {
    const before = await dump();
    const csrf = await own.csrf();
    const nobody = await send(method, fill(path, 'acme'), '', csrf);
    expect(nobody.status).toBe(401);
    for (const [who, visitor] of Object.entries(dead)) {
      for (const slug of ['acme', 'globex', 'nobody']) {
        const answer = await send(method, fill(path, slug), visitor.cookie, csrf);
        expect({ who, slug, status: answer.status, text: answer.text }).toEqual({
          who,
          slug,
          status: 401,
          text: nobody.text,
        });
      }
    }
    expect(await dump()).toBe(before);
  });

  it('knows no other org', async () => {
    const csrf = await own.csrf();
    const before = await dump();
    const invented = await send(method, fill(path, 'nobody'), own.cookie, csrf);
    expect(invented.status).toBe(404);
    for (const answer of [
      await send(method, fill(path, 'globex'), own.cookie, csrf),
      await send(method, fill(path, 'globex', true), own.cookie, csrf),
    ]) {
      expect([answer.status, answer.text]).toEqual([404, invented.text]);
    }
    expect(await dump()).toBe(before);
  });
});

describe.each(pages.filter(({ path }) => /:user|:group/.test(path)).map(({ path }) => path))('GET %s', (path) => {
  it("gives another org's id the answer of an id that never was", async () => {
    const foreign = await own.get(fill(path, 'acme', true));
    const invented = await own.get(fill(path, 'acme', true).replace(/[^/]+$/, crypto.randomUUID()));
    expect([foreign.status, foreign.text]).toEqual([404, invented.text]);
    expect((await own.get(fill(path, 'acme'))).status).toBe(200);
  });
});

describe.each(changes.map(({ path }) => path))('POST %s', (path) => {
  it('is refused to who may only look, to whom the vendor allows nothing, and without the proof of the form', async () => {
    const before = await dump();
    expect((await send('POST', fill(path, 'acme'), reader.cookie, await reader.csrf())).status).toBe(403);
    expect((await send('POST', fill(path, 'strict'), nothingAllowed.cookie, await nothingAllowed.csrf())).status).toBe(
      403,
    );
    expect((await send('POST', fill(path, 'acme'), own.cookie, await reader.csrf())).status).toBe(403);
    expect((await send('POST', fill(path, 'acme'), own.cookie)).status).toBe(403);
    const foreign = await ask('POST', `${BASE}${fill(path, 'acme')}`, {
      raw: `csrf=${await own.csrf()}`,
      headers: { ...FORM, Cookie: own.cookie, Origin: 'https://evil.test' },
    });
    expect(foreign.status).toBe(403);
    expect(await dump()).toBe(before);
  });
});

describe.each(pages.map(({ path }) => path))('GET %s', (path) => {
  it('shows who may only look no form that changes anything, and never fails', async () => {
    const { status, text } = await send('GET', fill(path, 'acme'), reader.cookie);
    expect([200, 302, 403]).toContain(status);
    const forms = [...text.matchAll(/<form method="post"[^>]*action="([^"]+)"/g)].map(([, action]) => action);
    expect(forms.filter((action) => action !== '/portal/end')).toEqual([]);
    const german = await ask('GET', `${BASE}${fill(path, 'acme')}`, {
      headers: { Cookie: own.cookie, 'Accept-Language': 'de' },
    });
    expect(german.status).toBeLessThan(404);
  });
});
