import { beforeAll, describe, expect, it } from 'vitest';
import type { Attribute } from '../../src/scim/attribute';
import { ENTERPRISE_USER, GROUP, LIST_RESPONSE, USER } from '../../src/scim/urns';
import { ask, BASE, type Idp, newIdp } from '../support/client';
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
    expect(body.authenticationSchemes).toMatchObject([{ type: 'oauthbearertoken', primary: true }]);
    expect(body.authenticationSchemes[0].description).toMatch(/\w/);
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
    expect(body).toMatchObject({ schemas: [LIST_RESPONSE], totalResults: 3, itemsPerPage: 3, startIndex: 1 });
    for (const schema of body.Resources) {
      expect((await idp.get(`/Schemas/${schema.id}`)).body).toEqual(schema);
      expect((await idp.get(`/Schemas/${schema.id.toUpperCase()}`)).body).toEqual(schema);
      expect(schema.meta.location).toBe(`${BASE}/scim/v2/Schemas/${schema.id}`);
    }
    expect(body.Resources.map(({ id }: { id: string }) => id)).toEqual([USER, ENTERPRISE_USER, GROUP]);
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
