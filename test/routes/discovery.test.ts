import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Attribute } from '../../src/scim/attribute';
import {
  ENTERPRISE_USER,
  GROUP,
  LIST_RESPONSE,
  RESOURCE_TYPE,
  SCHEMA,
  SERVICE_PROVIDER_CONFIG,
  USER,
} from '../../src/scim/urns';
import { admin, ask, BASE, type Idp, newIdp } from '../support/client';
import { Meter } from '../support/meter';
import { expectRefusal } from '../support/refusal';

let idp: Idp;
beforeAll(async () => {
  idp = await newIdp('discovery');
});

describe('/ServiceProviderConfig', () => {
  it('says what there is and claims nothing else', async () => {
    const { status, headers, body } = await idp.get('/ServiceProviderConfig');
    expect(status).toBe(200);
    expect(headers.get('Content-Type')).toBe('application/scim+json');
    expect(body).toMatchObject({
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig'],
      patch: { supported: true },
      filter: { supported: true, maxResults: expect.any(Number) },
      sort: { supported: true },
      etag: { supported: true },
      changePassword: { supported: false },
      meta: { resourceType: 'ServiceProviderConfig', location: `${BASE}/scim/v2/ServiceProviderConfig` },
    });
  });

  it('states the page size that lists keep to', async () => {
    const { filter } = (await idp.get('/ServiceProviderConfig')).body;
    const { body } = await idp.get(`/Users?count=${filter.maxResults + 1}`);
    expect(body.itemsPerPage).toBeLessThanOrEqual(filter.maxResults);
  });

  it('gives bulk.maxOperations as a number that is never small, and PATCH takes as many', async () => {
    const { bulk } = (await idp.get('/ServiceProviderConfig')).body;
    expect(bulk.maxOperations).toBeGreaterThanOrEqual(1_000);
    expect(bulk.maxPayloadSize).toBe(1_048_576);
    const { id } = await idp.user('many@example.com');
    const operations = Array.from({ length: bulk.maxOperations }, (_, i) => ({
      op: 'replace',
      path: 'title',
      value: `T${i}`,
    }));
    const answer = await idp.patch(`/Users/${id}`, operations);
    expect(answer.body.title).toBe(`T${bulk.maxOperations - 1}`);
  });
});

describe('authenticationSchemes', () => {
  /** An org with everything set up. */
  let full: Idp;
  let password: string;
  beforeAll(async () => {
    full = await newIdp('full');
    password = (await admin('POST', '/orgs/full/basic', { body: {} })).body.password;
    await newClient(full.orgId);
  });

  const newClient = (orgId: string) =>
    env.DB.prepare(
      "INSERT INTO oauth_clients (org_id, id, name, redirect_uris, created_at, created_by) VALUES (?, 'c', 'C', '[]', 1, 'x')",
    )
      .bind(orgId)
      .run();
  /** As the credential in this header is told; the primary one in capitals. */
  const schemes = async (authorization: string) => {
    const { body } = await ask('GET', `${BASE}/scim/v2/ServiceProviderConfig`, {
      headers: { Authorization: authorization },
    });
    return body.authenticationSchemes.map(({ type, primary }: { type: string; primary?: boolean }) =>
      primary ? type.toUpperCase() : type,
    );
  };
  const basic = (slug: string, password: string) => `Basic ${btoa(`${slug}:${password}`)}`;
  const change = (slug: string, path: string, body = {}) => admin('POST', `/orgs/${slug}${path}`, { body });

  it('are those that the org has set up, whichever of them asks, and only that org’s', async () => {
    const expected = ['OAUTHBEARERTOKEN', 'oauth2', 'httpbasic'];
    expect(await schemes(`Bearer ${full.token}`)).toEqual(expected);
    expect(await schemes(basic('full', password))).toEqual(expected);
    expect(await schemes(`Bearer ${idp.token}`)).toEqual(['OAUTHBEARERTOKEN']);
  });

  it('are without the token once it is revoked, and with it again once there is a new one', async () => {
    await newIdp('bare');
    const pair = basic('bare', (await change('bare', '/basic')).body.password);
    await admin('DELETE', '/orgs/bare/tokens');
    expect(await schemes(pair)).toEqual(['HTTPBASIC']);
    await change('bare', '/tokens');
    expect(await schemes(pair)).toEqual(['OAUTHBEARERTOKEN', 'httpbasic']);
  });

  it('are without the password once it has expired', async () => {
    const brief = await newIdp('brief');
    await change('brief', '/basic', { expires: '1h' });
    expect(await schemes(`Bearer ${brief.token}`)).toEqual(['OAUTHBEARERTOKEN', 'httpbasic']);
    await env.DB.prepare("UPDATE credentials SET valid_until = ? WHERE org_id = ? AND kind = 'basic'")
      .bind(Date.now(), brief.orgId)
      .run();
    expect(await schemes(`Bearer ${brief.token}`)).toEqual(['OAUTHBEARERTOKEN']);
  });

  it('have the one that the request used, be it by a token in its grace whose successor has expired', async () => {
    const late = await newIdp('late');
    await change('late', '/tokens/rotate', { grace: '1h', expires: '1h' });
    await env.DB.prepare('UPDATE credentials SET valid_until = ? WHERE org_id = ? AND generation = 2')
      .bind(Date.now(), late.orgId)
      .run();
    expect(await schemes(`Bearer ${late.token}`)).toEqual(['OAUTHBEARERTOKEN']);
  });

  it('have OAuth as the primary one where there is no token', async () => {
    const asking = await newIdp('asking');
    const pair = basic('asking', (await change('asking', '/basic')).body.password);
    await newClient(asking.orgId);
    await admin('DELETE', '/orgs/asking/tokens');
    expect(await schemes(pair)).toEqual(['OAUTH2', 'httpbasic']);
  });

  it('are read in one round trip, in as few rows after a hundred rotations as after one', async () => {
    const worn = await newIdp('worn');
    const meter = new Meter();
    const cost = async () => {
      meter.reset();
      await worn.get('/ServiceProviderConfig', { env: { DB: meter.binding } });
      return { roundTrips: meter.roundTrips, rowsRead: meter.rowsRead };
    };
    await change('worn', '/tokens/rotate', { grace: '24h' });
    await worn.get('/ServiceProviderConfig'); // the use is noted once, off the answer's path
    const first = await cost();
    expect(first.roundTrips).toBe(1);
    await env.DB.prepare(`INSERT INTO credentials (id, org_id, kind, hash, mask, generation, created_at, created_by,
        revoked_at) SELECT 'worn-' || value, ?, 'token', 'worn-' || value, 'm', value, 1, 'x', 2
        FROM json_each(?)`)
      .bind(worn.orgId, JSON.stringify(Array.from({ length: 100 }, (_, i) => i + 3)))
      .run();
    expect(await cost()).toEqual(first);
  });
});

describe('/ResourceTypes', () => {
  it('lists what there is, each with an address that leads to it', async () => {
    const { body } = await idp.get('/ResourceTypes');
    expect(body).toMatchObject({ schemas: [LIST_RESPONSE], startIndex: 1, totalResults: body.Resources.length });
    expect(body.itemsPerPage).toBe(body.totalResults);
    for (const type of body.Resources) {
      expect((await idp.get(`/ResourceTypes/${type.id}`)).body).toEqual(type);
      expect(type.meta).toEqual({ resourceType: 'ResourceType', location: `${BASE}/scim/v2/ResourceTypes/${type.id}` });
      expect((await idp.get(type.endpoint)).status).toBe(200);
      for (const urn of [type.schema, ...type.schemaExtensions.map(({ schema }: { schema: string }) => schema)]) {
        expect((await idp.get(`/Schemas/${urn}`)).body.id).toBe(urn);
      }
    }
    expect(body.Resources[0]).toMatchObject({
      id: 'User',
      name: 'User',
      endpoint: '/Users',
      schema: USER,
      schemaExtensions: [{ schema: ENTERPRISE_USER, required: false }],
    });
  });

  it('has no type that is not there', async () => {
    for (const name of ['Role', 'Nothing', 'user ', '%00']) expectRefusal(await idp.get(`/ResourceTypes/${name}`), 404);
  });
});

describe('/Schemas', () => {
  it('lists each schema whole, with an address that leads to it, in any letter case', async () => {
    const { body } = await idp.get('/Schemas');
    expect(body).toMatchObject({ schemas: [LIST_RESPONSE], totalResults: 6, itemsPerPage: 6, startIndex: 1 });
    for (const schema of body.Resources) {
      expect((await idp.get(`/Schemas/${schema.id}`)).body).toEqual(schema);
      expect((await idp.get(`/Schemas/${schema.id.toUpperCase()}`)).body).toEqual(schema);
      expect(schema.meta.location).toBe(`${BASE}/scim/v2/Schemas/${schema.id}`);
    }
    expect(body.Resources.map(({ id }: { id: string }) => id)).toEqual([
      USER,
      ENTERPRISE_USER,
      GROUP,
      SERVICE_PROVIDER_CONFIG,
      RESOURCE_TYPE,
      SCHEMA,
    ]);
  });

  it('gives every attribute every characteristic of RFC 7643 §7, and no null', async () => {
    const { body, text } = await idp.get('/Schemas');
    expect(text).not.toContain('null');
    const check = (attributes: Attribute[]) => {
      for (const attribute of attributes) {
        expect(attribute, attribute.name).toMatchObject({
          type: expect.stringMatching(/^(string|boolean|decimal|integer|dateTime|reference|binary|complex)$/),
          multiValued: expect.any(Boolean),
          description: expect.stringMatching(/\w/),
          required: expect.any(Boolean),
          caseExact: expect.any(Boolean),
          mutability: expect.stringMatching(/^(readOnly|readWrite|immutable|writeOnly)$/),
          returned: expect.stringMatching(/^(always|never|default|request)$/),
          uniqueness: expect.stringMatching(/^(none|server|global)$/),
        });
        if (attribute.type === 'reference') expect(attribute.referenceTypes?.length).toBeGreaterThan(0);
        if (attribute.type === 'complex') check([...attribute.subAttributes!]);
        else expect(attribute.subAttributes).toBeUndefined();
      }
    };
    for (const { attributes } of body.Resources) check(attributes);
  });

  it('tells the truth of userName, password, groups and manager', async () => {
    const attribute = async (urn: string, name: string) =>
      (await idp.get(`/Schemas/${urn}`)).body.attributes.find((one: Attribute) => one.name === name);
    expect(await attribute(USER, 'userName')).toMatchObject({ required: true, caseExact: false, uniqueness: 'server' });
    expect(await attribute(USER, 'password')).toMatchObject({ mutability: 'writeOnly', returned: 'never' });
    expect(await attribute(USER, 'groups')).toMatchObject({ mutability: 'readOnly', multiValued: true });
    const { subAttributes } = await attribute(ENTERPRISE_USER, 'manager');
    expect(subAttributes.find((one: Attribute) => one.name === 'displayName').mutability).toBe('readOnly');
  });

  it('has no schema that is not there', async () => {
    for (const urn of ['urn:nothing', 'User', `${USER}:userName`]) expectRefusal(await idp.get(`/Schemas/${urn}`), 404);
  });
});

describe('discovery', () => {
  const paths = ['/ServiceProviderConfig', '/ResourceTypes', '/ResourceTypes/User', '/Schemas', `/Schemas/${USER}`];
  for (const path of paths) {
    it(`${path.slice(0, 40)} is 403 to a filter, under any spelling of the parameter, and ignores the rest`, async () => {
      for (const name of ['filter', 'Filter', 'FILTER']) {
        expectRefusal(
          await idp.get(`${path}?${name}=${encodeURIComponent('name eq "User"')}`),
          403,
          undefined,
          /filter/,
        );
      }
      const plain = await idp.get(path);
      const dressed = await idp.get(`${path}?startIndex=2&count=0&sortBy=name&sortOrder=descending&attributes=name`);
      expect(dressed.body).toEqual(plain.body);
    });

    it(`${path.slice(0, 40)} gives the addresses of the door it was asked at`, async () => {
      const headers = { Authorization: `Bearer ${idp.token}` };
      const { body } = await ask('GET', `${BASE}/orgs/discovery/scim/v2${path}`, { headers });
      const resources = body.Resources ?? [body];
      for (const { meta } of resources) expect(meta.location).toContain(`${BASE}/orgs/discovery/scim/v2/`);
    });
  }
});
