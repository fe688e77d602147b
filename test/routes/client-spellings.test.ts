/** How real clients write paths, headers and parameters, and what the service makes of it. */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { admin, ask, BASE, type Idp, newIdp } from '../support/client';

let idp: Idp;
beforeAll(async () => {
  idp = await newIdp('client-spellings');
});

const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
const bearer = () => ({ Authorization: `Bearer ${idp.token}` });
const lastEvent = async () => {
  const { results } = await env.DB.prepare('SELECT details FROM events WHERE org_id = ? ORDER BY seq DESC LIMIT 1')
    .bind(idp.orgId)
    .all<{ details: string }>();
  return JSON.parse(results[0]!.details) as { quirks?: string[] };
};

describe('a path', () => {
  it.each(['/users', '//Users', '/USERS/', '//users//', '/Users/'])('%s means /Users', async (path) => {
    const answer = await ask('GET', `${BASE}/scim/v2${path}?count=1`, { headers: bearer() });
    expect(answer.status).toBe(200);
    expect(answer.body.schemas).toEqual(['urn:ietf:params:scim:api:messages:2.0:ListResponse']);
  });

  it.each(['/groups', '/serviceproviderconfig', '/resourcetypes', '/schemas'])('%s is understood', async (path) => {
    expect((await idp.get(path)).status).toBe(200);
  });

  it('below the base URL of an org is understood too, and ids keep their letter case', async () => {
    const { id } = await idp.user('path@example.com');
    const base = `${BASE}/orgs/${idp.slug}/scim/v2`;
    expect((await ask('GET', `${base}//users//${id}`, { headers: bearer() })).body.id).toBe(id);
    expect((await ask('GET', `${base}/users/${id.toUpperCase()}`, { headers: bearer() })).status).toBe(404);
  });

  it('/bulk and /.Search are understood', async () => {
    const body = { schemas: ['urn:ietf:params:scim:api:messages:2.0:BulkRequest'], Operations: [] };
    expect((await idp.post('/bulk', body)).status).not.toBe(404);
    expect((await idp.post('/users/.Search', {})).status).toBe(200);
  });

  it('in another spelling is named in the event as a quirk', async () => {
    await idp.post('/users', { schemas: [USER], userName: 'quirk@example.com' });
    expect((await lastEvent()).quirks).toContain('path-spelling');
    await idp.post('/Users', { schemas: [USER], userName: 'plain@example.com' });
    expect((await lastEvent()).quirks ?? []).not.toContain('path-spelling');
  });

  it('of the admin API is not read like this', async () => {
    const headers = { Authorization: `Bearer ${env.ADMIN_TOKEN}` };
    expect((await ask('GET', `${BASE}/admin//v1/orgs`, { headers })).status).toBe(404);
  });
});

describe('a compressed body', () => {
  const compressed = async (text: string, format: 'gzip' | 'deflate') =>
    new Response(new Blob([text]).stream().pipeThrough(new CompressionStream(format))).arrayBuffer();

  it.each([
    ['gzip', 'gzip'],
    ['x-gzip', 'gzip'],
    ['GZIP', 'gzip'],
    ['deflate', 'deflate'],
  ] as const)('with Content-Encoding %s is read', async (coding, format) => {
    const userName = `${coding}@example.com`.replace('GZIP', 'capital');
    const raw = await compressed(JSON.stringify({ schemas: [USER], userName }), format);
    const answer = await idp.ask('POST', '/Users', { raw, headers: { 'Content-Encoding': coding } });
    expect([answer.status, answer.body.userName]).toEqual([201, userName]);
  });

  it.each(['br', 'zstd', 'gzip, gzip', 'constructor'])(
    'with Content-Encoding %s is a 415 that names what is accepted',
    async (coding) => {
      const raw = JSON.stringify({ schemas: [USER], userName: 'br@example.com' });
      const answer = await idp.ask('POST', '/Users', { raw, headers: { 'Content-Encoding': coding } });
      expect([answer.status, answer.headers.get('Accept-Encoding')]).toEqual([415, 'gzip, deflate']);
    },
  );

  it('is bounded after decompression', async () => {
    const raw = await compressed(`{"schemas":["${USER}"],"userName":"${'a'.repeat(8_000_000)}"}`, 'gzip');
    expect(raw.byteLength).toBeLessThan(20_000);
    expect((await idp.ask('POST', '/Users', { raw, headers: { 'Content-Encoding': 'gzip' } })).status).toBe(413);
  });

  it('that is damaged is a 400', async () => {
    const whole = await compressed(JSON.stringify({ schemas: [USER], userName: 'damaged@example.com' }), 'gzip');
    for (const raw of [whole.slice(0, 30), new TextEncoder().encode('{"userName":"x"}')]) {
      const answer = await idp.ask('POST', '/Users', { raw, headers: { 'Content-Encoding': 'gzip' } });
      expect([answer.status, answer.body.scimType]).toEqual([400, 'invalidSyntax']);
    }
  });
});

describe('a header', () => {
  it('Content-Type that arrives twice is understood and named as a quirk', async () => {
    const answer = await idp.post(
      '/Users',
      { schemas: [USER], userName: 'twice@example.com' },
      { headers: { 'Content-Type': 'application/scim+json; charset=utf-8, application/json' } },
    );
    expect(answer.status).toBe(201);
    expect((await lastEvent()).quirks).toContain('repeated-media-type');
  });

  it('Content-Type that names another type beside JSON is a 415', async () => {
    const headers = { 'Content-Type': 'application/scim+json, text/plain' };
    expect((await idp.post('/Users', { userName: 'x' }, { headers })).status).toBe(415);
  });

  it('If-Match without quotes is a 400 that says so', async () => {
    const { id } = await idp.user('tag@example.com');
    for (const tag of ['W/1', '1']) {
      const answer = await idp.delete(`/Users/${id}`, { headers: { 'If-Match': tag } });
      expect([answer.status, answer.body.scimType]).toEqual([400, 'invalidValue']);
      expect(answer.body.detail).toContain('quotes');
    }
    expect((await idp.get(`/Users/${id}`)).status).toBe(200);
  });

  it('"Bearer Bearer …" has a hint of its own among the refusals', async () => {
    const headers = { Authorization: `Bearer Bearer ${idp.token}` };
    expect((await ask('GET', `${BASE}/scim/v2/Users`, { headers })).status).toBe(401);
    await expect.poll(async () => (await admin('GET', `/orgs/${idp.slug}/refusals`)).text).toContain('scheme_twice');
  });
});

describe('attributes', () => {
  const names = async (query: string) => {
    const { id } = await idp.user(`${crypto.randomUUID()}@example.com`, {
      title: 'Dr',
      externalId: crypto.randomUUID(),
    });
    return Object.keys((await idp.get(`/Users/${id}?${query}`)).body);
  };

  it.each(['attributes=', 'attributes=%20,', 'excludedAttributes=', 'attributes=&excludedAttributes='])(
    '%s means that none were given',
    async (query) => {
      expect(await names(query)).toEqual(expect.arrayContaining(['userName', 'title', 'externalId', 'meta']));
    },
  );

  it('[] in a search means that none were given', async () => {
    const answer = await idp.post('/Users/.search', { attributes: [], excludedAttributes: [''], count: 1 });
    expect(Object.keys(answer.body.Resources[0])).toEqual(expect.arrayContaining(['userName', 'meta']));
  });

  it('with the URN of the core schema alone means the attributes of that schema', async () => {
    for (const urn of [USER, USER.toLowerCase()]) {
      const found = await names(`attributes=${urn}`);
      expect(found).toEqual(expect.arrayContaining(['id', 'userName', 'title', 'active']));
      expect(found).not.toContain('externalId');
      expect(found).not.toContain('meta');
    }
  });

  it('excluded by the URN of the core schema leave the common ones', async () => {
    const found = await names(`excludedAttributes=${USER}`);
    expect(found).toEqual(expect.arrayContaining(['id', 'externalId', 'meta']));
    expect(found).not.toContain('title');
  });
});

describe('a search', () => {
  it('with an empty body means {}', async () => {
    const answer = await idp.ask('POST', '/Users/.search', { headers: { 'Content-Type': 'application/scim+json' } });
    expect(answer.status).toBe(200);
  });

  it('takes digits in a text as numbers', async () => {
    const answer = await idp.post('/Users/.search', { count: '1', startIndex: '2' });
    expect([answer.status, answer.body.itemsPerPage, answer.body.startIndex]).toEqual([200, 1, 2]);
    expect((await idp.post('/Users/.search', { count: 'many' })).body.scimType).toBe('invalidValue');
  });
});

it('a PATCH without operations answers the unchanged resource', async () => {
  const { id, meta } = await idp.user('no-operations@example.com');
  const answer = await idp.patch(`/Users/${id}`, []);
  expect([answer.status, answer.body.meta.version]).toEqual([200, meta.version]);
});

it('a PUT of a large group answers the whole group', async () => {
  const users = await Promise.all(Array.from({ length: 40 }, (_, i) => idp.user(`member-${i}@example.com`)));
  const ids = users.map(({ id }) => id);
  // The group is made large in D1: 301 users over HTTP would only cost time.
  await env.DB.prepare(
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
     INSERT INTO users (org_id, id, user_name_key, external_id, active, version, created_at, modified_at, resource, folded)
     SELECT ?, 'large-' || i, 'large-' || i, NULL, 1, 1, 0, 0, '{"userName":"large-' || i || '","active":true}', '{}' FROM n`,
  )
    .bind(idp.orgId)
    .run();
  const members = [...ids, ...Array.from({ length: 300 }, (_, i) => `large-${i + 1}`)].map((value) => ({ value }));
  const group = (await idp.post('/Groups', { displayName: 'Large', members })).body;
  for (const displayName of ['Larger', 'Larger']) {
    const answer = await idp.put(`/Groups/${group.id}`, { displayName, members });
    expect([answer.status, answer.body.members.length, answer.body.displayName]).toEqual([200, 340, 'Larger']);
  }
});

describe('discovery', () => {
  it('lists the schemas of the discovery documents and answers each by its URN', async () => {
    const { body } = await idp.get('/Schemas');
    for (const name of ['ServiceProviderConfig', 'ResourceType', 'Schema']) {
      const urn = `urn:ietf:params:scim:schemas:core:2.0:${name}`;
      expect(body.Resources.map(({ id }: { id: string }) => id)).toContain(urn);
      const answer = await idp.get(`/Schemas/${urn}`);
      expect([answer.status, answer.body.id]).toEqual([200, urn]);
    }
  });

  it('names a documentation page that answers', async () => {
    const { documentationUri } = (await idp.get('/ServiceProviderConfig')).body;
    const page = await ask('GET', documentationUri);
    expect([page.status, page.headers.get('Content-Type')]).toEqual([200, 'text/html; charset=UTF-8']);
    expect(page.text).toContain('/scim/v2');
  });

  it("names the vendor's own page where there is one", async () => {
    const answer = await idp.get('/ServiceProviderConfig', {
      env: { DOCUMENTATION_URL: 'https://vendor.example/scim' },
    });
    expect(answer.body.documentationUri).toBe('https://vendor.example/scim');
  });
});

it('a cursor goes on after an account whose id the vendor chose', async () => {
  const own = await newIdp('cursor-of-imported');
  await env.DB.prepare(
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5)
     INSERT INTO users (org_id, id, user_name_key, active, version, created_at, modified_at, resource, folded)
     SELECT ?, 'staff.' || i, 'u' || i, 1, 1, 0, 0, '{"userName":"u' || i || '","active":true}', '{}' FROM n`,
  )
    .bind(own.orgId)
    .run();
  const seen: string[] = [];
  let cursor = '';
  do {
    const { status, body } = await own.get(`/Users?cursor=${cursor}&count=2`);
    expect(status).toBe(200);
    seen.push(...body.Resources.map(({ id }: { id: string }) => id));
    cursor = body.nextCursor ?? '';
  } while (cursor !== '');
  expect(seen.sort()).toEqual(['staff.1', 'staff.2', 'staff.3', 'staff.4', 'staff.5']);
});
