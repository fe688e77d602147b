import { describe, expect, it } from 'vitest';
import type { Schema } from '../../src/scim/attribute';
import { resourceType, type SchemeType, schemaResource, serviceProviderConfig } from '../../src/scim/discovery';
import { MAX_OPERATIONS } from '../../src/scim/patch/parse';
import { MAX_PAGE } from '../../src/scim/query';
import { enterpriseUserSchema } from '../../src/scim/schema/enterprise-user';
import { groupSchema } from '../../src/scim/schema/group';
import { allTypes, standardTypes, userType } from '../../src/scim/schema/types';
import { userSchema } from '../../src/scim/schema/user';
import { ENTERPRISE_USER, USER } from '../../src/scim/urns';
import enterprise from '../rfc/rfc7643-8.7.1-schema-enterprise-user.json';
import group from '../rfc/rfc7643-8.7.1-schema-group.json';
import user from '../rfc/rfc7643-8.7.1-schema-user.json';

interface Described {
  readonly name: string;
  readonly subAttributes?: readonly Described[];
  readonly [characteristic: string]: unknown;
}

/** Every attribute and sub-attribute of a schema by its path. */
function flat(attributes: readonly Described[], prefix = ''): Map<string, Described> {
  return new Map(
    attributes.flatMap((one) => [
      [prefix + one.name, one] as const,
      ...flat(one.subAttributes ?? [], `${prefix + one.name}.`),
    ]),
  );
}

const shown = (schema: Schema) => flat(schemaResource(schema, '')['attributes'] as unknown as Described[]);

/** What the RFC does not list, and what it says otherwise: each with the reason. */
const further: Record<string, readonly string[]> = {
  User: ['addresses.primary'], // §2.4 has it for every multi-valued attribute
  EnterpriseUser: [],
  Group: ['members.display'], // what Okta and Entra ID send and show; supplied by the service
};
const exact = 'caseExact: true, not false';
const otherwise: Record<string, readonly string[]> = {
  // §2.3.7: references are case-exact; §2.3.6: so is base64.
  User: ['groups.$ref', 'photos.value', 'profileUrl', 'x509Certificates.value'].map((path) => `${path}.${exact}`),
  EnterpriseUser: [
    `manager.$ref.${exact}`,
    `manager.value.${exact}`, // an id is caseExact (§3.1)
  ],
  Group: [
    'displayName.required: true, not false', // §4.2 says REQUIRED
    'displayName.uniqueness: server, not none', // IdPs look a group up by its name
    `members.$ref.${exact}`,
    `members.value.${exact}`, // an id is caseExact (§3.1)
  ],
};

describe('a schema says what RFC 7643 §8.7.1 says', () => {
  it.each([
    ['User', userSchema, user],
    ['EnterpriseUser', enterpriseUserSchema, enterprise],
    ['Group', groupSchema, group],
  ] as const)('%s: every attribute with its characteristics, but for what is listed above', (name, schema, rfc) => {
    const body = rfc.body as unknown as { id: string; attributes: Described[] };
    expect(schema.id).toBe(body.id);
    const [ours, theirs] = [shown(schema), flat(body.attributes)];
    expect([...theirs.keys()].filter((path) => !ours.has(path))).toEqual([]);
    expect([...ours.keys()].filter((path) => !theirs.has(path))).toEqual(further[name]);
    const differences: string[] = [];
    for (const [path, rfcs] of theirs) {
      for (const characteristic of [
        'type',
        'multiValued',
        'required',
        'mutability',
        'returned',
        'uniqueness',
        'caseExact',
      ]) {
        const [a, b] = [ours.get(path)![characteristic], rfcs[characteristic]];
        if (b !== undefined && a !== b) differences.push(`${path}.${characteristic}: ${a}, not ${b}`);
      }
    }
    expect(differences.sort()).toEqual(otherwise[name]);
  });
});

describe('a schema is shown', () => {
  it.each([userSchema, enterpriseUserSchema, groupSchema])(
    'without nulls, which Entra ID does not take: $name',
    (schema) => {
      const text = JSON.stringify(schemaResource(schema, 'https://x'));
      expect(text).not.toMatch(/null|undefined/);
      expect(JSON.parse(text)).toMatchObject({
        id: schema.id,
        meta: { resourceType: 'Schema', location: `https://x/Schemas/${schema.id}` },
      });
    },
  );

  it('with every characteristic of every attribute, and a description each', () => {
    for (const [path, one] of [...shown(userSchema), ...shown(enterpriseUserSchema), ...shown(groupSchema)]) {
      const characteristics = ['caseExact', 'multiValued', 'mutability', 'required', 'returned', 'type', 'uniqueness'];
      for (const characteristic of characteristics) expect(one, path).toHaveProperty(characteristic);
      expect((one['description'] as string).length, path).toBeGreaterThan(3);
      expect(one['subAttributes'] !== undefined, path).toBe(one['type'] === 'complex');
      expect(one['referenceTypes'] !== undefined, path).toBe(one['type'] === 'reference');
    }
  });

  it('with the password as what it is: written only, never returned', () => {
    expect(shown(userSchema).get('password')).toMatchObject({ mutability: 'writeOnly', returned: 'never' });
  });

  it('as data of its own: changing what is shown changes nothing', () => {
    const first = schemaResource(userSchema, '') as {
      attributes: { canonicalValues?: string[]; subAttributes?: unknown[] }[];
    };
    for (const one of first.attributes) one.subAttributes?.pop();
    expect(schemaResource(userSchema, '')).not.toEqual(first);
  });
});

it('a resource type names its schemas (RFC 7643 §6)', () => {
  expect(allTypes(standardTypes)).toContain(userType);
  expect(resourceType(userType, 'https://x')).toMatchObject({
    id: 'User',
    name: 'User',
    endpoint: '/Users',
    schema: USER,
    schemaExtensions: [{ schema: ENTERPRISE_USER, required: false }],
    meta: { resourceType: 'ResourceType', location: 'https://x/ResourceTypes/User' },
  });
});

it('ServiceProviderConfig has every number that authentik requires, and the limits that are kept', () => {
  const config = serviceProviderConfig('https://x', new Set(['oauthbearertoken']), 'https://x/help');
  expect(config['bulk']).toMatchObject({ maxOperations: MAX_OPERATIONS, maxPayloadSize: expect.any(Number) });
  expect(config['filter']).toEqual({ supported: true, maxResults: MAX_PAGE });
  for (const feature of ['patch', 'bulk', 'filter', 'changePassword', 'sort', 'etag']) {
    expect(config[feature]).toMatchObject({ supported: expect.any(Boolean) });
  }
});

describe('authenticationSchemes (RFC 7643 §5)', () => {
  const shownOf = (...types: SchemeType[]) =>
    serviceProviderConfig('https://x', new Set(types), 'https://x/help')['authenticationSchemes'] as Record<
      string,
      unknown
    >[];

  it.each<[SchemeType[], SchemeType[]]>([
    [['oauthbearertoken'], ['oauthbearertoken']],
    [['httpbasic'], ['httpbasic']],
    [['oauth2'], ['oauth2']],
    [
      ['httpbasic', 'oauthbearertoken'],
      ['oauthbearertoken', 'httpbasic'],
    ],
    [
      ['httpbasic', 'oauth2'],
      ['oauth2', 'httpbasic'],
    ],
    [
      ['httpbasic', 'oauth2', 'oauthbearertoken'],
      ['oauthbearertoken', 'oauth2', 'httpbasic'],
    ],
  ])('of an org with %j are these and no others, the first one primary', (set, expected) => {
    const schemes = shownOf(...set);
    expect(schemes.map(({ type }) => type)).toEqual(expected);
    expect(schemes.map(({ primary }) => primary)).toEqual(expected.map((_, i) => (i === 0 ? true : undefined)));
  });

  it('have a name, a description and the specification each', () => {
    const specifications: Record<string, string> = {
      oauthbearertoken: 'rfc6750',
      oauth2: 'rfc6749',
      httpbasic: 'rfc7617',
    };
    for (const { type, ...scheme } of shownOf('oauthbearertoken', 'oauth2', 'httpbasic')) {
      expect(scheme).toMatchObject({
        name: expect.stringMatching(/\w/),
        description: expect.stringMatching(/\w/),
        specUri: `https://www.rfc-editor.org/info/${specifications[type as string]}`,
      });
    }
  });
});
