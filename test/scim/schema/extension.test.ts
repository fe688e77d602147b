import { describe, expect, it } from 'vitest';
import { obstacle, readExtension, sameOrNested } from '../../../src/scim/schema/extension';
import { allTypes, standardTypes, typesWith } from '../../../src/scim/schema/types';
import { ENTERPRISE_USER, GROUP, USER } from '../../../src/scim/urns';
import enterprise from '../../rfc/rfc7643-8.7.1-schema-enterprise-user.json';
import { refusalOf } from '../../support/refusal';

const URN = 'urn:acme:scim:2.0:User';
const file = (attributes: unknown, more = {}) => ({ id: URN, attributes, ...more });
const one = (characteristics: object, more = {}) => file([{ name: 'badge', ...characteristics }], more);
const detailOf = (schema: unknown, type?: string) => {
  const { status, scimType, detail } = refusalOf(() => readExtension(schema, type));
  expect([status, scimType]).toEqual([400, 'invalidValue']);
  return detail;
};

describe('a schema file', () => {
  it('is read with the defaults of RFC 7643 §2.2, and extends users unless it says otherwise', () => {
    expect(readExtension(one({}))).toEqual({
      resourceType: 'User',
      schema: {
        id: URN,
        name: URN,
        description: '',
        attributes: [
          {
            name: 'badge',
            type: 'string',
            multiValued: false,
            description: '',
            required: false,
            caseExact: false,
            mutability: 'readWrite',
            returned: 'default',
            uniqueness: 'none',
          },
        ],
      },
    });
    expect(readExtension(one({}, { resourceType: 'group' })).resourceType).toBe('Group');
    expect(readExtension(one({}), 'group').resourceType).toBe('Group');
    expect(readExtension(one({}, { resourceType: 'Group' }), 'group').resourceType).toBe('Group');
  });

  it('may be written as other services list it: meta, nulls, empty lists, names in any case', () => {
    const { schema } = readExtension({
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:Schema'],
      ID: URN,
      Attributes: [
        {
          name: 'badge',
          TYPE: 'integer',
          MultiValued: true,
          canonicalValues: [],
          subAttributes: null,
          referenceTypes: [],
        },
      ],
      meta: { resourceType: 'Schema' },
    });
    expect(schema.attributes).toEqual([expect.objectContaining({ name: 'badge', type: 'integer', multiValued: true })]);
    expect(Object.keys(schema.attributes[0]!)).not.toContain('subAttributes');
  });

  it('can hold each type, a complex one with sub-attributes, and base64 is case-exact whatever it says', () => {
    const types = ['string', 'boolean', 'decimal', 'integer', 'dateTime', 'reference', 'binary'];
    const attributes = types.map((type) => ({ name: `${type}s`, type, caseExact: false, multiValued: true }));
    const all = { name: 'all', type: 'complex', multiValued: true, subAttributes: attributes };
    const read = readExtension(file([...attributes, all])).schema.attributes;
    expect(read.map(({ type }) => type)).toEqual([...types, 'complex']);
    expect(read.find(({ type }) => type === 'binary')!.caseExact).toBe(true);
    expect(read.at(-1)!.subAttributes!.map(({ type }) => type)).toEqual(types);
  });

  it('can be the Enterprise extension of RFC 7643 §8.7.1 under another URN', () => {
    const { attributes } = enterprise.body as unknown as { attributes: Record<string, unknown>[] };
    const writable = JSON.parse(JSON.stringify(attributes).replaceAll('"readOnly"', '"readWrite"'));
    expect(readExtension({ ...enterprise.body, id: URN, attributes: writable }).schema.attributes).toHaveLength(6);
  });

  const named = (name: unknown) => [{ name }];
  const many = (count: number) => Array.from({ length: count }, (_, i) => ({ name: `a${i}` }));
  const complex = (...subAttributes: unknown[]) => ({ type: 'complex', subAttributes });
  it.each<[string, unknown, string | RegExp]>([
    ['no object', [], 'The schema: an object was expected'],
    ['null', null, 'The schema: an object was expected'],
    ['no id', { attributes: many(1) }, /^id: a URN such as/],
    ['an id that is no URN', { id: 'https://acme.example', attributes: many(1) }, /^id: a URN such as/],
    ['an id with a quote', { id: `urn:acme:"x`, attributes: many(1) }, /^id: a URN such as/],
    ['an id with nothing after it', { id: 'urn:acme', attributes: many(1) }, /^id: a URN such as/],
    ['a long id', { id: `urn:acme:${'x'.repeat(120)}`, attributes: many(1) }, /^id: a URN such as/],
    ['the core schema', { id: USER, attributes: many(1) }, /^id: .* is reserved/],
    ['the core group, in capitals', { id: GROUP.replace('Group', 'GROUP'), attributes: many(1) }, /reserved/],
    ['the Enterprise extension', { id: ENTERPRISE_USER, attributes: many(1) }, /^id: .* is reserved/],
    ['a legacy URN', { id: 'urn:scim:schemas:extension:enterprise:1.0', attributes: many(1) }, /reserved/],
    ['a message', { id: 'urn:ietf:params:scim:api:messages:2.0:PatchOp', attributes: many(1) }, /reserved/],
    ['an unknown member', { id: URN, attribute: many(1) }, /^attribute: there is no such member; known are/],
    ['no attributes', { id: URN }, 'attributes: a list of at least one attribute was expected'],
    ['an empty list', file([]), 'attributes: a list of at least one attribute was expected'],
    ['attributes that are an object', file({ badge: {} }), /^attributes: a list/],
    ['an attribute that is a string', file(['badge']), 'attributes[0]: an object was expected'],
    ['too many attributes', file(many(201)), 'attributes: at most 200 are accepted, sub-attributes counted'],
    [
      'too much text',
      file(many(100).map((it) => ({ ...it, description: 'x'.repeat(900) }))),
      'The schema is larger than 65536 bytes',
    ],
    ['a name twice', file([{ name: 'badge' }, { name: 'Badge' }]), 'Badge: the name stands twice'],
    ['no name', file([{ type: 'string' }]), /^attributes\[0\]\.name: a letter/],
    ['an empty name', file(named('')), /^attributes\[0\]\.name: a letter/],
    ['a name that is a number', file(named(5)), /^attributes\[0\]\.name: a letter/],
    ['a name with a space', file(named('a b')), /^attributes\[0\]\.name: a letter/],
    ['a name with a quote', file(named(`a"b`)), /^attributes\[0\]\.name: a letter/],
    ['a name with a dot', file(named('a.b')), /^attributes\[0\]\.name: a letter/],
    ['a name that begins with a digit', file(named('1st')), /^attributes\[0\]\.name: a letter/],
    ['a long name', file(named('x'.repeat(65))), /^attributes\[0\]\.name: a letter/],
    ['__proto__', file(named('__proto__')), /^attributes\[0\]\.name: a letter/],
    ['$ref as an attribute', file(named('$ref')), /^attributes\[0\]\.name: a letter/],
    [
      'a name of every object',
      file(named('constructor')),
      'constructor: the name is reserved: another one was expected',
    ],
    ['a common attribute', file(named('Meta')), 'Meta: the name is reserved: another one was expected'],
    ['schemas within', one(complex({ name: 'schemas' })), /^badge\.schemas: the name is reserved/],
    ['an unknown type', one({ type: 'text' }), /^badge\.type: string, boolean, .* or complex was expected$/],
    ['a slip of the pen', one({ multiValue: true }), /^badge\.multiValue: there is no such member; known are name,/],
    ['a member twice', one({ type: 'string', Type: 'integer' }), 'badge.type: is given twice'],
    ['multiValued as text', one({ multiValued: 'true' }), 'badge.multiValued: true or false was expected'],
    ['caseExact as a number', one({ caseExact: 1 }), 'badge.caseExact: true or false was expected'],
    ['required', one({ required: true }), /^badge\.required: false was expected/],
    ['readOnly', one({ mutability: 'readOnly' }), /^badge\.mutability: readWrite was expected/],
    ['writeOnly', one({ mutability: 'writeOnly' }), /^badge\.mutability: readWrite was expected/],
    ['immutable', one({ mutability: 'immutable' }), /^badge\.mutability: readWrite was expected/],
    [
      'never returned',
      one({ returned: 'never' }),
      /^badge\.returned: always, default or request was expected; a value that is never returned/,
    ],
    ['unique', one({ uniqueness: 'server' }), /^badge\.uniqueness: none was expected/],
    ['complex without parts', one({ type: 'complex' }), /^badge\.subAttributes: a list of at least one/],
    ['parts of a string', one({ subAttributes: many(1) }), 'badge.subAttributes: only a complex attribute has them'],
    [
      'complex within complex',
      one(complex({ name: 'inner', ...complex({ name: 'x' }) })),
      'badge.inner.type: a sub-attribute cannot be complex (RFC 7643 §2.3.8)',
    ],
    ['a wrong part', one(complex({ name: 'x', type: 'number' })), /^badge\.x\.type: string, boolean/],
    ['a part twice', one(complex({ name: 'x' }, { name: 'X' })), 'badge.X: the name stands twice'],
    ['$ref that is text', one(complex({ name: 'value' }, { name: '$ref' })), /^badge\.\$ref: the type reference/],
    ['$ref alone', one(complex({ name: '$ref', type: 'reference' })), /^badge\.\$ref: .* a sub-attribute value/],
    [
      'canonicalValues of a number',
      one({ type: 'integer', canonicalValues: ['1'] }),
      /^badge\.canonicalValues: only a s/,
    ],
    ['canonicalValues that are no text', one({ canonicalValues: [1] }), /^badge\.canonicalValues: a list of at most/],
    ['canonicalValues as text', one({ canonicalValues: 'a' }), /^badge\.canonicalValues: a list of at most/],
    ['referenceTypes of text', one({ referenceTypes: ['User'] }), 'badge.referenceTypes: only a reference has them'],
    [
      'an unknown reference',
      one({ type: 'reference', referenceTypes: ['Device'] }),
      'badge.referenceTypes: User, Group, external or uri was expected',
    ],
    ['a description that is a list', one({ description: ['x'] }), /^badge\.description: text of at most 1000/],
    ['a lone surrogate', one({ description: '\ud800' }), /^badge\.description: text of at most 1000/],
    ['a name that is a list', one({}, { name: ['x'] }), /^name: text of at most 1000/],
    ['another resource type', one({}, { resourceType: 'Device' }), 'resourceType: User or Group was expected'],
    ['a resource type that is a number', one({}, { resourceType: 1 }), 'resourceType: User or Group was expected'],
  ])('is refused with %s', (_, schema, detail) => {
    if (typeof detail === 'string') expect(detailOf(schema)).toBe(detail);
    else expect(detailOf(schema)).toMatch(detail);
  });

  it('is refused when it says another resource type than the operator', () => {
    expect(detailOf(one({}, { resourceType: 'User' }), 'group')).toBe('resourceType: the file says User, not Group');
    expect(detailOf(one({}), 'device')).toBe('resourceType: User or Group was expected');
  });
});

describe('a URN', () => {
  const types = allTypes(typesWith([readExtension(one({}))]));
  it.each([
    [URN.toUpperCase(), URN],
    [`${URN}:more`, URN],
    ['urn:acme:scim', URN],
    ['urn:ietf:params', USER],
  ])('%s is, or begins as, that of another schema', (urn, other) => {
    expect(sameOrNested(urn, types)?.id).toBe(other);
  });
  it('may share some of its parts with another', () => {
    expect(sameOrNested('urn:acme:scim:2.0:User2', types)).toBeUndefined();
    expect(sameOrNested('urn:acme:scim:2.0:Group', types)).toBeUndefined();
  });
});

describe('a schema in the place of another', () => {
  const attributes = (...list: object[]) => readExtension(file(list)).schema.attributes;
  const badge = { name: 'badge', type: 'complex', subAttributes: [{ name: 'value' }] };
  const before = attributes({ name: 'level' }, badge);
  it.each([
    ['may have more', [{ name: 'level', description: 'x', returned: 'request' }, badge, { name: 'new' }], undefined],
    ['must have no less', [badge], 'level is left out'],
    ['keeps names', [{ name: 'Level' }, badge], 'level.name was level'],
    ['keeps types', [{ name: 'level', type: 'integer' }, badge], 'level.type was string'],
    ['keeps lists', [{ name: 'level', multiValued: true }, badge], 'level.multiValued was false'],
    ['keeps letter case', [{ name: 'level', caseExact: true }, badge], 'level.caseExact was false'],
    ['keeps parts', [{ name: 'level' }, { ...badge, subAttributes: [{ name: 'other' }] }], 'badge.value is left out'],
  ])('%s', (_, list, why) => {
    expect(obstacle(before, attributes(...list))).toBe(why);
  });
});

describe('the types of an org', () => {
  it('are the standard ones with its extensions after the others', () => {
    const group = {
      ...readExtension(one({}), 'Group'),
      schema: readExtension({ ...one({}), id: 'urn:acme:g' }).schema,
    };
    const types = typesWith([readExtension(one({})), group]);
    expect(types.user.extensions.map(({ schema }) => schema.id)).toEqual([ENTERPRISE_USER, URN]);
    expect(types.group.extensions.map(({ schema }) => schema.id)).toEqual(['urn:acme:g']);
    expect(types.user.attributes.at(-1)).toMatchObject({
      name: URN,
      type: 'complex',
      subAttributes: [{ name: 'badge' }],
    });
  });
  it('are the standard ones without any, which stay as they were', () => {
    expect(typesWith([])).toEqual(standardTypes);
    expect(standardTypes.user.extensions).toHaveLength(1);
  });
});
