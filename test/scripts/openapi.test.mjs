// docs/openapi.yaml: current, sound in itself, and what the service really answers.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { OPERATIONS } from '../../scripts/openapi/operations.mjs';
import { SCHEMAS } from '../../scripts/openapi/schemas.mjs';
import { FILE, openapi, yaml } from '../../scripts/openapi.mjs';
import { root } from '../../scripts/project.mjs';
import { hostToken, startServer } from '../support/server.ts';

let document;
beforeAll(async () => {
  document = await openapi();
});
const operations = () =>
  Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ key: `${method.toUpperCase()} ${path}`, ...operation })),
  );

describe('the file', () => {
  it('is current (npm run docs:openapi)', () => {
    expect(readFileSync(join(root, FILE), 'utf8')).toBe(yaml(document).slice(1));
  });

  it('describes no route that does not exist, and names each operation once', () => {
    const keys = operations().map(({ key }) => key);
    expect(Object.keys(OPERATIONS).filter((key) => !keys.includes(key))).toEqual([]);
    const ids = operations().map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('has each schema that it refers to', () => {
    const names = [...JSON.stringify(document).matchAll(/#\/components\/schemas\/(\w+)/g)].map(([, name]) => name);
    expect(names.filter((name) => !Object.hasOwn(SCHEMAS, name))).toEqual([]);
  });

  it('has the bodies of the code', () => {
    const { schema } =
      document.paths['/admin/v1/orgs/{slug}/tokens/rotate'].post.requestBody.content['application/json'];
    expect(Object.keys(schema.properties).sort()).toEqual([
      'by',
      'expectGeneration',
      'expires',
      'grace',
      'retireOnUse',
    ]);
    expect(schema.additionalProperties).toBe(false);
    expect(document.paths['/admin/v1/orgs'].get.parameters.map(({ name }) => name)).toEqual(['after', 'limit']);
  });
});

/** A schema with what it refers to in its place. */
const inlined = (schema) =>
  JSON.parse(JSON.stringify(schema), (_, value) =>
    typeof value?.$ref === 'string' ? inlined(SCHEMAS[value.$ref.split('/').at(-1)]) : value,
  );

describe('a real answer', () => {
  let server;
  let org;
  beforeAll(async () => {
    server = await startServer();
    org = await server.newOrg('described');
  });
  afterAll(() => server?.stop());

  /** Asks, and compares the answer with what the file says of the operation. */
  async function ask(method, path, { body, form, headers = {}, as = 'admin', at = path } = {}) {
    const tokens = { admin: 'test-admin-token-0123456789abcdef', host: hostToken };
    const answer = await fetch(`${server.url}${path}`, {
      method,
      headers: {
        ...(tokens[as] && { authorization: `Bearer ${tokens[as]}` }),
        ...(body && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body && { body: JSON.stringify(body) }),
      ...(form && { body: new URLSearchParams(form) }),
    });
    const { responses } = document.paths[at.split('?')[0]][method.toLowerCase()];
    const described = responses[answer.status] ?? responses.default;
    const json = await answer.json();
    const { error } = z.fromJSONSchema(inlined(described.content['application/json'].schema)).safeParse(json);
    expect(error, `${method} ${path}: ${answer.status} ${JSON.stringify(json)}`).toBeUndefined();
    return { status: answer.status, json };
  }

  it('of the admin API is as described', async () => {
    const slug = org.slug;
    const of = (rest) => [
      `/admin/v1/orgs/${slug}${rest}`,
      { at: `/admin/v1/orgs/{slug}${rest.replace(/\/(ada@example.com|described_\w+)/, '/{user}')}` },
    ];
    const user = await fetch(`${org.baseUrl}/Users`, {
      method: 'POST',
      headers: { authorization: `Bearer ${org.token}`, 'content-type': 'application/scim+json' },
      body: JSON.stringify({ userName: 'ada@example.com' }),
    });
    expect(user.status).toBe(201);
    await fetch(`${org.baseUrl}/Users/nobody`, { headers: { authorization: `Bearer ${org.token}` } });
    const done = [];
    const expectDone = async (method, rest, more, status = 200) => {
      const [path, options] = of(rest);
      const answer = await ask(method, path, { ...options, ...more });
      expect(answer.status, `${method} ${rest}: ${JSON.stringify(answer.json)}`).toBe(status);
      done.push(rest);
      return answer.json;
    };
    await ask('GET', '/admin/v1/orgs');
    await expectDone('GET', '');
    await expectDone('PATCH', '', { body: { settings: { 'plan.seats': '5' } } });
    await expectDone('POST', '/sign-out', { body: { by: 'olga' } });
    await expectDone('GET', '/tokens');
    await expectDone('POST', '/tokens/rotate', { body: { grace: '1h' } }, 201);
    await expectDone('POST', '/tokens/complete', { body: {} });
    await expectDone('DELETE', '/basic');
    await expectDone('POST', '/basic', { body: {} }, 201);
    await expectDone('POST', '/oauth/clients', { body: { name: 'Entra' } }, 201);
    await expectDone('GET', '/oauth/clients');
    await expectDone('POST', '/oauth/approvals', { body: {} }, 201);
    await expectDone('GET', '/events');
    await expectDone('GET', '/refusals');
    await expectDone('GET', '/held-deactivations');
    await expectDone('GET', '/health');
    await expectDone('GET', '/users');
    await expectDone('GET', '/sessions/pending');
    await expectDone('POST', '/users/ada@example.com/protect', { body: {} });
    await expectDone('POST', '/users/ada@example.com/unprotect', { body: {} });
    await expectDone('POST', '/users/ada@example.com/sign-out', { body: {} });
    await expectDone('PATCH', '', { body: { settings: { nothing: '1' } } }, 400);
    await expectDone('POST', '/users/ada@example.com/erase?confirm=ada@example.com', { body: {} });
    expect(done.length).toBe(22);
  });

  it('of the sessions API is as described', async () => {
    const { json: nobody } = await ask('POST', '/sessions/v1/resolve', {
      as: 'host',
      body: { org: org.slug, userName: 'nobody' },
    });
    expect(nobody).toEqual({ found: false });
    const made = await fetch(`${org.baseUrl}/Users`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${(await server.admin('POST', `/orgs/${org.slug}/tokens/rotate`, {})).token}`,
        'content-type': 'application/scim+json',
      },
      body: JSON.stringify({ userName: 'grace@example.com' }),
    });
    const { id } = await made.json();
    expect((await ask('POST', '/sessions/v1/resolve', { as: 'host', body: { org: org.slug, id } })).json.found).toBe(
      true,
    );
    await ask('POST', '/sessions/v1/check', { as: 'host', body: { org: org.slug, user: id, issuedAt: Date.now() } });
    for (const name of ['events', 'users', 'groups', 'memberships']) {
      await ask('GET', `/sessions/v1/${name}?org=${org.slug}`, { as: 'host' });
    }
    expect((await ask('GET', '/sessions/v1/events?org=nowhere', { as: 'host' })).status).toBe(404);
    expect((await ask('POST', '/sessions/v1/check', { as: 'nobody', body: {} })).status).toBe(401);
  });

  it('of the OAuth endpoints is as described', async () => {
    const { clientId, clientSecret } = await server.admin('POST', `/orgs/${org.slug}/oauth/clients`, { name: 'Ping' });
    const form = { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret };
    const { json } = await ask('POST', '/oauth/token', { as: 'nobody', form });
    expect(json.token_type).toBe('Bearer');
    await ask('POST', '/oauth/revoke', { as: 'nobody', form: { ...form, token: json.access_token } });
    expect((await ask('POST', '/oauth/token', { as: 'nobody', form: { ...form, client_secret: 'x' } })).status).toBe(
      401,
    );
    await ask('GET', '/.well-known/oauth-authorization-server', { as: 'nobody' });
    await ask('GET', '/health', { as: 'nobody' });
  });
});
