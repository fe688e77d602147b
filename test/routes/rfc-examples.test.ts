/** The RFCs' own examples as requests and answers: we take what they send, and answer what they print. */
/// <reference types="vite/types/importMeta.d.ts" />
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/scim/resource';
import { GROUP, USER } from '../../src/scim/urns';
import { type Answer, BASE, type Idp, newIdp } from '../support/client';
import { expectRefusal } from '../support/refusal';

interface Example {
  readonly method?: string;
  readonly path?: string;
  // biome-ignore lint/suspicious/noExplicitAny: looked into freely, as an answer's body is
  readonly body: any;
}

const files = import.meta.glob<Example>('../rfc/*.json', { eager: true, import: 'default' });
const example = (file: string): Example => files[`../rfc/${file}.json`]!;
const bodyOf = (file: string) => structuredClone(example(file).body);
/** The ids that the RFCs use over and over. */
const BABS = '2819c223-7f76-453a-919d-413861904646';
const JAMES = '08e1d05d-121c-4561-8b96-473d93df9210';
const MANDY = '902c246b-6245-4190-8e05-00816be7344a';
const TEAM = 'acbf3ae7-8463-4692-b4fd-9b4da3f908ce';

let made = 0;
const newOrg = () => newIdp(`rfc-${made++}`);
const rename = (idp: Idp, table: 'users' | 'groups', from: string, to: string) =>
  env.DB.prepare(`UPDATE ${table} SET id = ?3 WHERE org_id = ?1 AND id = ?2`).bind(idp.orgId, from, to).run();
/** Somebody with an id that an example prints; ours are made by the service. */
async function person(idp: Idp, id: string, userName: string, more: JsonObject = {}): Promise<string> {
  const user = await idp.user(userName, more);
  await rename(idp, 'users', user.id, id);
  return id;
}
async function team(idp: Idp, id: string, displayName: string, members: readonly string[] = []): Promise<string> {
  const { body } = await idp.post('/Groups', { displayName, members: members.map((value) => ({ value })) });
  await rename(idp, 'groups', body.id, id);
  return id;
}
const send = (idp: Idp, file: string, request = {}): Promise<Answer> => {
  const { method, path, body } = example(file);
  return idp.ask(method!, path!, { body, ...request });
};

/** What differs from one server to the next: ids, times, versions, sentences, and where the server is. */
const OURS = new Set(['id', 'created', 'lastModified', 'version', 'detail']);
// biome-ignore lint/suspicious/noExplicitAny: any JSON
function like(printed: any): any {
  if (Array.isArray(printed)) return printed.map(like);
  if (printed === null || typeof printed !== 'object') return printed;
  return Object.fromEntries(
    Object.entries(printed).map(([name, value]) => {
      if (OURS.has(name)) return [name, expect.any(String)];
      if (typeof value === 'string' && /^https:\/\/example\.com\/v2\//.test(value)) {
        const [, endpoint] = /^https:\/\/example\.com\/v2\/(\w+)/.exec(value)!;
        return [name, expect.stringMatching(new RegExp(`^${BASE}/scim/v2/${endpoint}\\b`))];
      }
      if (typeof value === 'string' && /^[0-9a-f]{8}-[0-9a-f-]+$/.test(value)) return [name, expect.any(String)];
      return [name, like(value)];
    }),
  );
}

type Use = (printed: Example) => Promise<void> | void;

const used: Record<string, Use> = {
  'rfc7643-8.4-group': async ({ body }) => {
    const idp = await newOrg();
    await person(idp, BABS, 'babs', { displayName: 'Babs Jensen' });
    await person(idp, MANDY, 'mandy', { displayName: 'Mandy Pepperidge' });
    const answer = await idp.post('/Groups', body);
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject(like(body));
    expect(answer.body.members.map(({ value }: JsonObject) => value)).toEqual([BABS, MANDY]);
  },

  'rfc7644-3.7.2-bulk-user-and-group-request': async ({ body }) => {
    const idp = await newOrg();
    const answer = await idp.post('/Bulk', body);
    expect(answer.body).toEqual(like(bodyOf('rfc7644-3.7.2-bulk-user-and-group-response')));
  },
  'rfc7644-3.7.2-bulk-user-and-group-response': async ({ body }) => {
    const idp = await newOrg();
    const answer = await send(idp, 'rfc7644-3.7.2-bulk-user-and-group-request');
    expect(answer.status).toBe(200);
    expect(answer.body.Operations.map(Object.keys).map((keys: string[]) => keys.sort())).toEqual(
      body.Operations.map(Object.keys).map((keys: string[]) => keys.sort()),
    );
  },
  'rfc7644-3.7.2-bulk-group-response': async ({ body }) => {
    const idp = await newOrg();
    const { body: done } = await send(idp, 'rfc7644-3.7.2-bulk-user-and-group-request');
    const [alice, guides] = done.Operations.map(({ location }: { location: string }) => location.split('/').at(-1));
    const answer = await idp.get(`/Groups/${guides}`);
    expect(answer.body).toMatchObject(like(body));
    expect(answer.body.members).toEqual([
      { value: alice, $ref: `${BASE}/scim/v2/Users/${alice}`, type: 'User', display: 'Alice' },
    ]);
  },
  'rfc7644-3.7.2-bulk-manager-request': async ({ body }) => {
    const idp = await newOrg();
    const answer = await idp.post('/Bulk', body);
    const [alice, bob] = answer.body.Operations.map(({ location }: { location: string }) => location.split('/').at(-1));
    const { body: found } = await idp.get(`/Users?filter=${encodeURIComponent(`manager eq "${alice}"`)}`);
    expect(found.Resources.map(({ id, userName }: JsonObject) => [id, userName])).toEqual([[bob, 'Bob']]);
  },
  // §3.7.1 lets a service refuse what it cannot resolve; a group in itself is none of ours.
  'rfc7644-3.7.1-bulk-circular-request': async ({ body }) => {
    const idp = await newOrg();
    const answer = await idp.post('/Bulk', body);
    expect(answer.body.Operations.map(({ status, bulkId }: JsonObject) => [status, bulkId])).toEqual([
      ['409', 'qwerty'],
      ['409', 'ytrewq'],
    ]);
    expect((await idp.get('/Groups')).body.totalResults).toBe(0);
  },
  'rfc7644-3.7.1-bulk-circular-groups-response': async ({ body }) => {
    const idp = await newOrg();
    for (const { id, displayName } of body.Resources) await team(idp, id, displayName);
    const put = ({ id, ...group }: { id: string }) => idp.put(`/Groups/${id}`, { id, ...group });
    const [a, b] = body.Resources;
    expect((await put(a)).body).toMatchObject({ members: like(a.members) });
    expectRefusal(await put(b), 400, 'invalidValue', /member of itself/);
  },

  'rfc7644-3.7.3-bulk-operations-request': async ({ body }) => {
    const { idp, versions } = await fourOperations();
    // As printed: the versions are another server's, and one error is one too many.
    const stopped = await idp.post('/Bulk', body);
    expect(stopped.body.Operations.map(({ status }: JsonObject) => status)).toEqual(['201', '412']);
    body.Operations[0].data.userName = 'Alice again';
    for (const [i, version] of versions.entries()) body.Operations[i + 1].version = version;
    const answer = await idp.post('/Bulk', body);
    expect(answer.body).toEqual(like(bodyOf('rfc7644-3.7.3-bulk-operations-response')));
    const [bob, dave, nobody] = body.Operations.slice(1).map(({ path }: { path: string }) => path);
    expect((await idp.get(bob)).body).toMatchObject({ userName: 'Bob' });
    expect((await idp.get(dave)).body).toMatchObject({ userName: 'Dave' });
    expect((await idp.get(dave)).body).not.toHaveProperty('nickName');
    expect((await idp.get(nobody)).status).toBe(404);
  },
  'rfc7644-3.7.3-bulk-operations-response': async ({ body }) => {
    const { idp, versions } = await fourOperations();
    const request = bodyOf('rfc7644-3.7.3-bulk-operations-request');
    for (const [i, version] of versions.entries()) request.Operations[i + 1].version = version;
    const answer = await idp.post('/Bulk', request);
    for (const [i, { method, status, location }] of answer.body.Operations.entries()) {
      const printed = body.Operations[i];
      expect([method, status]).toEqual([printed.method, printed.status]);
      if (i > 0) expect(location.split('/').at(-1)).toBe(printed.location.split('/').at(-1));
    }
  },
  'rfc7644-3.7.3-bulk-stopped-response': async ({ body }) => {
    const { idp } = await fourOperations();
    const request = bodyOf('rfc7644-3.7.3-bulk-operations-request');
    request.Operations[0].data = 'unparsable';
    const answer = await idp.post('/Bulk', request);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual(like(body));
  },
  'rfc7644-3.7.3-bulk-all-failed-response': async ({ body }) => {
    const { idp } = await fourOperations();
    const { failOnErrors: _, ...request } = bodyOf('rfc7644-3.7.3-bulk-operations-request');
    request.Operations[0].data = 'unparsable';
    await idp.delete(request.Operations[3].path);
    delete request.Operations[3].version;
    const answer = await idp.post('/Bulk', request);
    expect(answer.body).toEqual(like(body));
  },
  'rfc7644-3.7.3-bulk-failed-operation': async ({ body }) => {
    const idp = await newOrg();
    const operation = { method: 'POST', path: '/Users', bulkId: 'qwerty', data: 'unparsable' };
    const { body: answered } = await idp.post('/Bulk', { Operations: [operation] });
    const { status, response } = answered.Operations[0];
    expect({ status, response }).toEqual(like(body));
  },
  'rfc7644-3.7.4-bulk-too-large-response': async ({ body }) => {
    const idp = await newOrg();
    const answer = await idp.ask('POST', '/Bulk', { raw: `{"Operations":[${' '.repeat(1_048_576)}]}` });
    expect(answer.status).toBe(413);
    expect(answer.body).toEqual(like(body));
    expect(answer.body.detail).toContain('1048576');
  },

  'rfc7644-3.4.3-search-request': async ({ body }) => {
    const idp = await newOrg();
    await idp.user('jsmith', { displayName: 'Smith, James', title: 'not asked for' });
    await idp.user('other', { displayName: 'Jones' });
    await team(idp, TEAM, 'Smith Family');
    const answer = await idp.post('/.search', body);
    expect(answer.status).toBe(200);
    const printed = bodyOf('rfc7644-3.4.3-search-response');
    expect(answer.body).toEqual({
      ...like(printed),
      totalResults: 2,
      itemsPerPage: 2,
      // Printed without, though always returned (RFC 7643 §3).
      Resources: printed.Resources.map((one: JsonObject, i: number) => ({
        schemas: [[USER], [GROUP]][i],
        ...like(one),
      })),
    });
  },
  'rfc7644-3.4.3-search-response': async ({ body }) => {
    const idp = await newOrg();
    for (let i = 0; i < 12; i++) await team(idp, crypto.randomUUID(), `Smith ${i}`);
    const answer = await send(idp, 'rfc7644-3.4.3-search-request');
    const { Resources, totalResults, ...envelope } = answer.body;
    const { Resources: _, totalResults: __, ...printed } = body;
    expect([envelope, totalResults, Resources.length]).toEqual([printed, 12, 10]);
  },
  'rfc7644-3.4.2-query-response': async ({ path, body }) => {
    const idp = await newOrg();
    for (const { id, userName } of body.Resources) await person(idp, id, userName, { title: 'not asked for' });
    const answer = await idp.get(path!);
    expect(answer.body).toMatchObject(body);
    for (const resource of answer.body.Resources)
      expect(Object.keys(resource).sort()).toEqual(['id', 'schemas', 'userName']);
  },
  'rfc7644-3.4.2.4-page-response': async ({ path, body }) => {
    const idp = await newOrg();
    for (let i = 0; i < 12; i++) await idp.user(i === 0 ? 'bjensen' : `user${i}`);
    const { Resources, ...envelope } = (await idp.get(path!)).body;
    const { Resources: printed, ...rest } = body;
    expect(envelope).toEqual({ ...rest, totalResults: 12 });
    expect(Resources).toHaveLength(10);
    expect(Resources[0]).toMatchObject(like(printed[0]));
  },
  'rfc7644-3.9-attributes-response': async ({ path, body }) => {
    const idp = await newOrg();
    await person(idp, BABS, 'bjensen', { title: 'not asked for' });
    expect((await idp.get(path!)).body).toEqual(body);
  },

  'rfc7644-3.6-deleted-user-response': async ({ path, body }) => {
    const idp = await newOrg();
    await person(idp, BABS, 'bjensen');
    expect((await idp.delete(path!)).status).toBe(204);
    const answer = await idp.get(path!);
    expect([answer.status, answer.body]).toEqual([404, like(body)]);
  },
  'rfc7644-3.12-not-found-response': async ({ body }) => {
    const answer = await (await newOrg()).get(`/Users/${BABS}`);
    expect([answer.status, answer.body]).toEqual([404, like(body)]);
  },
  // Printed as the answer to a PUT, where readOnly values are ignored (§3.5.1); a PATCH can mean nothing else by them.
  'rfc7644-3.12-mutability-response': async ({ body }) => {
    const idp = await newOrg();
    const { id } = await idp.user('bjensen');
    const answer = await idp.patch(`/Users/${id}`, [{ op: 'replace', path: 'id', value: BABS }]);
    expect([answer.status, answer.body]).toEqual([400, like(body)]);
    expect(answer.body.detail).toMatch(/\bid\b/);
  },

  'rfc7644-3.14-etag-create-request': async ({ path, body }) => {
    const answer = await (await newOrg()).post(path!, body);
    expect([answer.status, answer.headers.get('ETag')]).toEqual([201, answer.body.meta.version]);
    expect(answer.body).toMatchObject(like(bodyOf('rfc7644-3.14-etag-create-response')));
  },
  'rfc7644-3.14-etag-create-response': async ({ body }) => {
    const idp = await newOrg();
    const { body: created } = await send(idp, 'rfc7644-3.14-etag-create-request');
    expect(Object.keys(created.meta).sort()).toEqual(Object.keys(body.meta).sort());
    const { version } = created.meta;
    expect((await idp.get(`/Users/${created.id}`, { headers: { 'If-None-Match': version } })).status).toBe(304);
  },
  ...Object.fromEntries(
    ['rfc7644-3.3-create-user', 'rfc7644-3.5.1-replace-user'].map((name): [string, Use] => [
      `${name}-response`,
      async ({ body }) => {
        const idp = await newOrg();
        await person(idp, BABS, 'bjensen');
        if (example(`${name}-request`).method === 'POST') await idp.delete(`/Users/${BABS}`);
        const answer = await send(idp, `${name}-request`);
        expect(answer.status).toBe(example(`${name}-request`).method === 'POST' ? 201 : 200);
        expect(answer.body).toMatchObject(like(body));
      },
    ]),
  ),
  'rfc7644-3.4.1-known-user-response': async ({ body, path }) => {
    const idp = await newOrg();
    const { userName, id, meta: _, schemas: __, ...more } = body;
    await person(idp, id, userName, more);
    expect((await idp.get(path!)).body).toMatchObject(like(body));
  },

  'rfc7643-8.5-service-provider-config': async ({ body }) => {
    const answer = await (await newOrg()).get('/ServiceProviderConfig');
    // No change of passwords, no Basic, and nothing of it has a version: it claims what there is.
    const { documentationUri: _, changePassword: __, authenticationSchemes, meta, filter, ...rest } = body;
    expect(answer.body).toMatchObject({ ...rest, filter: { supported: true, maxResults: expect.any(Number) } });
    expect(answer.body.meta).toMatchObject(like({ resourceType: meta.resourceType, location: meta.location }));
    expect(Object.keys(filter)).toEqual(Object.keys(answer.body.filter));
    const types = (schemes: JsonObject[]) => schemes.map(({ type }) => type);
    expect(types(authenticationSchemes)).toEqual(expect.arrayContaining(types(answer.body.authenticationSchemes)));
  },
  'rfc7643-8.6-resource-types': async ({ body }) => {
    const { Resources } = (await (await newOrg()).get('/ResourceTypes')).body;
    expect(Resources).toMatchObject(body.map(typeLike));
  },
  'rfc7644-4-resource-types-response': async ({ path, body }) => {
    const answer = await (await newOrg()).get(path!);
    const { Resources, itemsPerPage: _, ...envelope } = body;
    expect(answer.body).toMatchObject({ ...envelope, itemsPerPage: 2, Resources: Resources.map(typeLike) });
  },
  'rfc7643-8.7.2-schema-service-provider-config': async ({ body }) => {
    const answer = await (await newOrg()).get('/ServiceProviderConfig');
    expect(answer.body.schemas).toEqual([body.id]);
    // Left out of the print though §5 has them; and RFC 9865's.
    expectDescribed(answer.body, body.attributes, ['etag', 'pagination', 'type', 'primary']);
  },
  'rfc7643-8.7.2-schema-resource-type': async ({ body }) => {
    const answer = await (await newOrg()).get('/ResourceTypes');
    for (const type of answer.body.Resources) {
      expect(type.schemas).toEqual([body.id]);
      expectDescribed(type, body.attributes, []);
    }
  },
  'rfc7643-8.7.2-schema-schema': async ({ body }) => {
    const answer = await (await newOrg()).get('/Schemas');
    for (const schema of answer.body.Resources) {
      expect(schema.schemas).toEqual([body.id]);
      expectDescribed(schema, body.attributes, []);
    }
  },
};

/** The resources that the four operations of §3.7.3 mean, and their versions here. */
async function fourOperations(): Promise<{ idp: Idp; versions: string[] }> {
  const idp = await newOrg();
  const [, put, changed, gone] = bodyOf('rfc7644-3.7.3-bulk-operations-request').Operations;
  for (const [i, { path }] of [put, changed, gone].entries()) {
    await person(idp, path.split('/').at(-1), `before ${i}`, { nickName: 'Nick' });
  }
  return { idp, versions: Array(3).fill('W/"1"') };
}

/** Our description is our own; nobody has to have the extension. */
function typeLike({
  description: _,
  schemaExtensions = [],
  ...type
}: {
  description: string;
  schemaExtensions?: JsonObject[];
}) {
  return {
    ...like({ ...type, id: undefined }),
    id: expect.any(String),
    schemaExtensions: schemaExtensions.map(({ schema }) => ({ schema })),
  };
}

interface Described {
  readonly name: string;
  readonly type: string;
  readonly required?: boolean;
  readonly subAttributes?: readonly Described[];
}

/** All that is required is there, and all that is there is described; a list counts by its elements. */
function expectDescribed(shown: JsonObject, attributes: readonly Described[], further: readonly string[]): void {
  const known = new Map(attributes.map((one) => [one.name, one]));
  for (const { name, required } of attributes) if (required) expect(shown).toHaveProperty(name);
  for (const [name, value] of Object.entries(shown)) {
    if (['schemas', 'id', 'meta', ...further].includes(name)) continue;
    const attribute = known.get(name);
    expect(attribute, name).toBeDefined();
    for (const element of Array.isArray(value) ? value : [value]) {
      const type = typeof element;
      const expected = { complex: 'object', boolean: 'boolean', integer: 'number' }[attribute!.type] ?? 'string';
      expect(type, name).toBe(expected);
      // A sub-attribute is described as an attribute is.
      const inner = name === 'subAttributes' ? attributes : attribute!.subAttributes;
      if (type === 'object') expectDescribed(element as JsonObject, inner ?? [], further);
    }
  }
}

describe('a PATCH of a group as RFC 7644 §3.5.2 prints it does what it says', () => {
  let idp: Idp;
  beforeAll(async () => {
    idp = await newOrg();
    await person(idp, BABS, 'babs', { displayName: 'Babs Jensen' });
    await person(idp, JAMES, 'james', { displayName: 'James Smith' });
    await person(idp, MANDY, 'mandy');
    await team(idp, TEAM, 'Tour Guides');
  });

  const outcomes: [file: string, before: string[], after: string[]][] = [
    ['rfc7644-3.5.2-patch-request', [MANDY], [BABS, MANDY]],
    ['rfc7644-3.5.2.1-add-member', [MANDY], [BABS, MANDY]],
    ['rfc7644-3.5.2.2-remove-member', [BABS, MANDY], [MANDY]],
    ['rfc7644-3.5.2.2-remove-all-members', [BABS, MANDY], []],
    ['rfc7644-3.5.2.2-remove-and-add-member', [BABS, MANDY], [JAMES, MANDY]],
    ['rfc7644-3.5.2.2-remove-and-add-all-members', [MANDY], [BABS, JAMES]],
    ['rfc7644-3.5.2.3-replace-members', [MANDY], [BABS, JAMES]],
  ];

  it('and each of them is here', () => {
    const printed = Object.entries(files).filter(
      ([, { method, path }]) => method === 'PATCH' && path?.startsWith('/Groups'),
    );
    expect(printed.map(([file]) => file).sort()).toEqual(outcomes.map(([file]) => `../rfc/${file}.json`).sort());
  });

  it.each(outcomes)('%s', async (file, before, after) => {
    await idp.put(`/Groups/${TEAM}`, { displayName: 'Tour Guides', members: before.map((value) => ({ value })) });
    const answer = await send(idp, file);
    expect(answer.status).toBe(200);
    const { members = [] } = (await idp.get(`/Groups/${TEAM}`)).body;
    expect(members.map(({ value }: JsonObject) => value).sort()).toEqual([...after].sort());
    expect(answer.body.members ?? []).toEqual(members);
    const shown = new Map(members.map((member: JsonObject) => [member['value'], member]));
    for (const { value = [] } of example(file).body.Operations) {
      for (const given of value) expect(shown.get(given.value)).toMatchObject({ display: given.display, type: 'User' });
    }
  });
});

describe('an example is taken, or answered, as it is printed', () => {
  it.each(Object.entries(used))('%s', async (file, use) => {
    await use({ ...example(file), body: bodyOf(file) });
  });
});

it('every example of the RFCs is used by some test', () => {
  /** Read as messages or resources alone, without a server. */
  const elsewhere: readonly [RegExp, string][] = [
    [/8\.7\.1-schema/, 'test/scim/discovery.test.ts'],
    [
      /-3-resource|8\.1|8\.2|8\.3|3\.3-create-user-request|3\.5\.1-replace-user-request/,
      'test/scim/rfc-examples.test.ts',
    ],
    [/3\.5\.2.*(email|address)/, 'test/scim/rfc-examples.test.ts'],
    [/3\.5\.2.*(member|patch-request)/, 'the PATCHes above'],
  ];
  const names = Object.keys(files).map((path) => path.slice('../rfc/'.length, -'.json'.length));
  expect(names.length).toBeGreaterThanOrEqual(49);
  expect(
    names.filter((name) => used[name] === undefined && !elsewhere.some(([pattern]) => pattern.test(name))),
  ).toEqual([]);
});
