/** What every response of every API has in its headers: asked of the app's own list of routes, so that none is forgotten. */
import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { app } from '../../src/app';
import { unguardedAdmin } from '../../src/routes/admin';
import { unguardedSessions } from '../../src/routes/sessions';
import { type Answer, admin, ask, BASE, type Idp, newIdp } from '../support/client';
import { newClient, tokenOf } from '../support/oauth';

let idp: Idp;
beforeAll(async () => {
  idp = await newIdp('headers');
});

const templates = [...new Set(app.routes.map(({ method, path }) => `${method === 'ALL' ? 'PATCH' : method} ${path}`))]
  .map((route) => route.split(' ') as [method: string, path: string])
  .filter(([, path]) => path !== '/*');

/** With everything that opens something, and without. */
const authorizations = (path: string) => [
  undefined,
  `Bearer ${path.startsWith('/admin') ? env.ADMIN_TOKEN : path.startsWith('/sessions') ? env.HOST_TOKEN : idp.token}`,
];
const pathOf = (template: string) =>
  template
    .replace(':slug', 'headers')
    .replace(/:\w+\??(\{[^}]*\})?/g, 'x')
    .replaceAll('*', 'x');

describe('every response', () => {
  it('is looked at: routes of each API are among those that are asked', () => {
    for (const prefix of [
      '/health',
      '/scim/v2',
      '/orgs/:slug/scim/v2',
      '/oauth',
      '/.well-known',
      '/admin/v1',
      '/sessions/v1',
    ]) {
      expect(templates.filter(([, path]) => path.startsWith(prefix)).length, prefix).toBeGreaterThan(0);
    }
    expect(templates.length).toBeGreaterThan(100);
  });

  it('forbids browsers to guess its media type, and caches to keep what is secret or of people', async () => {
    for (const [method, template] of templates) {
      const path = pathOf(template);
      for (const Authorization of authorizations(path)) {
        const headers = { ...(Authorization && { Authorization }), 'Content-Type': 'application/json' };
        const payload = ['GET', 'DELETE'].includes(method) ? {} : { raw: '{}' };
        const answer = await ask(method, BASE + path, { headers, ...payload });
        const where = `${method} ${template} ${answer.status}`;
        expect([where, answer.headers.get('X-Content-Type-Options')]).toEqual([where, 'nosniff']);
        expect([where, answer.headers.get('X-Request-Id')]).toEqual([where, expect.stringMatching(/^[0-9a-f-]{36}$/)]);
        if (!/^\/(admin|sessions|oauth|health)/.test(path) || answer.status === 401) continue;
        expect([where, answer.headers.get('Cache-Control')]).toEqual([where, 'no-store']);
      }
    }
  }, 60_000);

  it('that has no route, too', async () => {
    for (const path of ['/', '/nothing', '/admin', '/sessions/v2', '/cdn-cgi/nothing', '/.seen/x']) {
      const answer = await ask('GET', BASE + path);
      expect([path, answer.status, answer.headers.get('X-Content-Type-Options')]).toEqual([path, 404, 'nosniff']);
    }
  });

  it('of an entrypoint, too', async () => {
    for (const [api, path] of [
      [unguardedAdmin, '/orgs'],
      [unguardedAdmin, '/nothing'],
      [unguardedSessions, '/sessions/v1/events?org=headers'],
      [unguardedSessions, '/nothing'],
    ] as const) {
      const context = createExecutionContext();
      const { headers } = await api.fetch(new Request(`https://bound${path}`), env, context);
      await waitOnExecutionContext(context);
      expect([path, headers.get('X-Content-Type-Options'), headers.get('Cache-Control')]).toEqual([
        path,
        'nosniff',
        'no-store',
      ]);
    }
  });
});

describe('an answer that shows a secret or an export', () => {
  const uncached = ({ status, headers, text }: Answer, expected: number) => {
    expect(status, text).toBe(expected);
    expect(headers.get('Cache-Control')).toBe('no-store');
  };

  it('is kept by no cache: tokens, passwords, clients, approval codes, exports, access tokens', async () => {
    const other = await newIdp('headers-secrets');
    const path = '/orgs/headers-secrets';
    uncached(await admin('POST', `${path}/tokens/rotate`, { body: { grace: '1h' } }), 201);
    uncached(await admin('POST', `${path}/basic`, { body: {} }), 201);
    uncached(await admin('POST', `${path}/oauth/clients`, { body: {} }), 201);
    uncached(await admin('POST', `${path}/oauth/approvals`, { body: {} }), 201);
    uncached(await admin('POST', `${path}/export`, { body: {} }), 200);
    uncached(await admin('GET', `${path}/events`), 200);
    uncached(await tokenOf(await newClient(other)), 200);
  });
});

describe('an API behind a token', () => {
  it('is behind it whole: no path and no spelling of one leads past the guard', async () => {
    for (const [prefix, paths] of [
      ['/admin/v1', ['', '/', '/orgs', '//orgs', '/%6frgs', '/orgs/headers/export', '/nothing', '/x/../orgs']],
      ['/sessions/v1', ['', '/', '/check', '/resolve', '/events', '/stream', '/nothing']],
    ] as const) {
      for (const path of paths) {
        for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS']) {
          const { status } = await ask(method, `${BASE}${prefix}${path}`);
          expect([method, prefix + path, status]).toEqual([method, prefix + path, 401]);
        }
      }
    }
  });
});
