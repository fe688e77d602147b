import { describe, expect, it } from 'vitest';
import { type Attribute, attribute } from '../../src/scim/attribute';
import type { Quirks } from '../../src/scim/quirks';
import type { Resource } from '../../src/scim/resource';
import { typesWith, userType } from '../../src/scim/schema/types';
import { ENTERPRISE_USER as E, GROUP, PATCH_OP, USER } from '../../src/scim/urns';
import {
  MAX_BINARY_LENGTH,
  MAX_RESOURCE_LENGTH,
  MAX_STRING_LENGTH,
  MAX_VALUES,
  readResource,
} from '../../src/scim/validate';
import { refusalOf } from '../support/refusal';

const read = (body: unknown, quirks: Quirks = new Set()): Resource => readResource(userType, body, quirks);
const user = (more: object) => ({ schemas: [USER], userName: 'ada', ...more });
const refused = (body: unknown) => refusalOf(() => read(body));

/** An attribute at any depth: its name in details, and a body in which it has this value. */
interface Place {
  readonly name: string;
  readonly attribute: Attribute;
  readonly isReadOnly: boolean;
  body(value: unknown): object;
}

function places(): Place[] {
  const found: Place[] = [];
  const walk = (
    attributes: readonly Attribute[],
    prefix: string,
    isReadOnly: boolean,
    body: (inner: object) => object,
  ) => {
    for (const attribute of attributes) {
      if (attribute.name === 'schemas') continue;
      const place = {
        name: prefix + attribute.name,
        attribute,
        isReadOnly: isReadOnly || attribute.mutability === 'readOnly',
        body: (value: unknown) => body({ [attribute.name]: value }),
      };
      found.push(place);
      const separator = attribute.name.startsWith('urn:') ? ':' : '.';
      walk(attribute.subAttributes ?? [], place.name + separator, place.isReadOnly, (inner) =>
        place.body(attribute.multiValued ? [inner] : inner),
      );
    }
  };
  walk(userType.attributes, '', false, user);
  return found;
}

const all = places();
const writable = all.filter((place) => !place.isReadOnly);
const readOnly = all.filter((place) => place.isReadOnly);
/** A value of each JSON type that is not what any attribute may hold by accident; the texts must not come back. */
const wrong: Record<string, readonly unknown[]> = {
  string: [90210.5, true, { s3cret: 's3cret' }, ['s3cret', 's3cret'], [['s3cret']], [90210.5], { value: 90210.5 }],
  reference: [90210.5, false, { s3cret: 's3cret' }, ['s3cret', 's3cret'], [['s3cret']], { value: ['s3cret'] }],
  binary: [90210.5, true, { s3cret: 's3cret' }, ['s3cret', 's3cret'], 's3cret!', '=s3cret', ['s3cret!']],
  boolean: [90210.5, 0, 1, 's3cret', '', '1', 'yes', { s3cret: true }, [true, true], [[true]], ['s3cret'], [{}]],
  complex: [90210.5, true],
};

it('the schema has the attributes that these tests are made from', () => {
  expect(writable.length).toBeGreaterThan(70);
  expect(readOnly.map(({ name }) => name)).toContain(`${E}:manager.displayName`);
});

describe('a value of the wrong type is refused, named and not repeated', () => {
  it.each(writable.map((place) => [place.name, place] as const))('%s', (name, { attribute, body }) => {
    const values = wrong[attribute.type]!;
    // A text alone means a value where there is a sub-attribute `value`.
    const alone = attribute.subAttributes?.some((sub) => sub.name === 'value') ? [] : ['s3cret'];
    for (const value of attribute.multiValued ? [...values, ...alone, ...values.map((one) => [one])] : values) {
      const { status, scimType, detail } = refused(body(value));
      expect([status, scimType], JSON.stringify(value)).toEqual([400, 'invalidValue']);
      expect(detail.startsWith(`${name}: `), `${name} in: ${detail}`).toBe(true);
      expect(detail).not.toMatch(/s3cret|90210/);
    }
  });
});

describe('null is no value, and leaves nothing behind', () => {
  it.each(writable.filter(({ name }) => name !== 'userName').map((place) => [place.name, place] as const))(
    '%s',
    (_, { attribute, body }) => {
      expect(read(body(null))).toEqual({ userName: 'ada' });
      if (attribute.multiValued) {
        expect(read(body([]))).toEqual({ userName: 'ada' });
        expect(read(body([null]))).toEqual({ userName: 'ada' });
        expect(read(body([{}]))).toEqual({ userName: 'ada' });
      }
      if (attribute.type === 'complex') expect(read(body({}))).toEqual({ userName: 'ada' });
    },
  );
});

describe('a readOnly attribute is ignored, whatever it holds (RFC 7644 §3.3)', () => {
  it.each(readOnly.map((place) => [place.name, place] as const))('%s', (_, { body }) => {
    for (const value of ['x', 1, true, null, [], {}, ['x'], { value: 'x' }, [[[]]]]) {
      expect(read(body(value))).toEqual({ userName: 'ada' });
    }
  });
});

describe('text that cannot be kept is refused', () => {
  const texts = writable.filter(
    ({ attribute }) => (attribute.type === 'string' || attribute.type === 'reference') && !attribute.endpoints,
  );
  it.each(texts.map((place) => [place.name, place] as const))('%s', (name, { attribute, body }) => {
    const longest = attribute.type === 'string' ? MAX_STRING_LENGTH : MAX_BINARY_LENGTH;
    const rows: [string, string][] = [
      ['half a surrogate pair \ud83e', 'well-formed Unicode'],
      ['\udd8a the other half', 'well-formed Unicode'],
      ['NUL \0 inside', 'U+0000'],
      ['x'.repeat(longest + 1), `at most ${longest}`],
    ];
    for (const [text, says] of rows) {
      const refusal = refused(body(text));
      expect(refusal).toMatchObject({ status: 400, scimType: 'invalidValue' });
      expect(refusal.detail).toContain(`${name}: `);
      expect(refusal.detail).toContain(says);
      expect(refusal.detail.length).toBeLessThan(200);
    }
    expect(() => read(body('x'.repeat(longest)))).not.toThrow();
  });
});

describe('a value is kept as it was sent', () => {
  it.each([
    ['letter case', { displayName: 'aDa', emails: [{ value: 'Ada@X' }] }],
    ['white space', { displayName: '  Ada  ', title: '\t' }],
    ['an empty string', { title: '' }],
    ['a phone number', { phoneNumbers: [{ value: 'tel:+1-555-0100;ext=2' }] }],
    ['decomposed letters', { displayName: 'Zoe\u0308' }],
    ['astral and right-to-left characters', { displayName: '🦊 עדה \u202e' }],
    ['markup and SQL', { displayName: `<b>'; DROP TABLE users; --` }],
    ['a locale that is none', { locale: 'free text', timezone: 'nowhere' }],
    ['a profileUrl that is no URL', { profileUrl: 'free text' }],
    ['a type outside the canonical values', { emails: [{ value: 'a', type: 'boat' }] }],
    ['equal values, in their order', { roles: [{ value: 'b' }, { value: 'a' }, { value: 'b' }] }],
    ['base64 of either alphabet, padded or not, over lines', { x509Certificates: [{ value: 'QUJ+/-_\r\n QQ==' }] }],
    ['a manager nobody knows', { [E]: { manager: { value: 'RANDOM' } } }],
    ['active false', { active: false }],
  ])('%s', (_, more) => {
    expect(read(user(more))).toEqual({ userName: 'ada', ...more });
  });

  it('under the names of the schema, in any spelling', () => {
    const body = {
      SCHEMAS: [USER],
      USERNAME: 'ada',
      Name: { GIVENNAME: 'Ada' },
      [E.toLowerCase()]: { DEPARTMENT: 'd' },
    };
    expect(read(body)).toEqual({ userName: 'ada', name: { givenName: 'Ada' }, [E]: { department: 'd' } });
  });
});

describe('what the schema does not know is ignored', () => {
  it.each([
    ['an attribute', { shoeSize: 44 }],
    ['a sub-attribute', { name: { shoeSize: 44 } }],
    ['a sub-attribute of an element', { emails: [{ shoeSize: 44 }] }],
    ['an extension', { 'urn:example:2.0:User': { a: { b: [1] } } }],
    ['an attribute of an extension', { [E]: { shoeSize: 44 } }],
    ['another type’s URN as a member', { [GROUP]: { displayName: 'x' } }],
    ['constructor', { constructor: { name: 'x' } }],
    ['names that every object has', { toString: 1, valueOf: 2, hasOwnProperty: 3, prototype: 4 }],
    ['the same in an element', { emails: [{ constructor: 1, toString: 2 }] }],
    ['an empty name', { '': 1 }],
  ])('%s', (_, more) => {
    expect(read(user(more))).toEqual({ userName: 'ada' });
  });
});

describe('a body that is no user is refused', () => {
  it.each([
    ['null', null],
    ['a list', [user({})]],
    ['a string', 'ada'],
    ['a number', 1],
    ['true', true],
    ['nothing', undefined],
  ])('%s', (_, body) => {
    expect(refused(body)).toMatchObject({ status: 400, scimType: 'invalidSyntax' });
  });

  it.each<[string, unknown]>([
    ['another type', [GROUP]],
    ['the extension alone', [E]],
    ['an unknown URN', ['urn:example:User']],
    ['a message', [PATCH_OP]],
    ['a string', USER],
    ['[null]', [null]],
    ['a list with a number', [USER, 1]],
    ['an object', { 0: USER }],
    ['a boolean', true],
    ['a URN with space around it', [` ${USER}`]],
  ])('schemas that say %s', (_, schemas) => {
    const refusal = refused({ userName: 'ada', schemas });
    expect(refusal).toMatchObject({ status: 400, scimType: 'invalidSyntax' });
    expect(refusal.detail).toContain(USER);
  });

  it('schemas in two spellings', () => {
    expect(refused({ schemas: [USER], Schemas: [USER], userName: 'ada' })).toMatchObject({ scimType: 'invalidSyntax' });
  });
});

describe('userName is required', () => {
  it.each<[string, object]>([
    ['absent', {}],
    ['null', { userName: null }],
    ['empty', { userName: '' }],
    ['white space', { userName: ' \t\u00a0' }],
  ])('%s', (_, body) => {
    expect(refused({ schemas: [USER], ...body })).toEqual({
      status: 400,
      scimType: 'invalidValue',
      detail: 'userName is required: a value that is not empty was expected',
    });
  });
});

describe('one attribute in two spellings is refused: nobody can say which is meant', () => {
  it.each<[string, object]>([
    ['userName', { userName: 'ada', username: 'bob' }],
    ['name.givenName', { name: { givenName: 'a', GivenName: 'b' } }],
    ['emails.value', { emails: [{ value: 'a', VALUE: 'b' }] }],
    ['userName', { [USER]: { userName: 'bob' } }],
    [E, { [E]: { department: 'a' }, [E.toUpperCase()]: { department: 'b' } }],
    [E, { [E]: { department: 'a' }, 'urn:scim:schemas:extension:enterprise:2.0': { department: 'b' } }],
  ])('%s', (name, more) => {
    const refusal = refused(user(more));
    expect(refusal).toMatchObject({ status: 400, scimType: 'invalidSyntax', detail: `${name} is given twice` });
  });
});

describe('a list', () => {
  it('has at most one primary value (RFC 7643 §2.4)', () => {
    expect(
      refused(
        user({
          emails: [
            { value: 'a', primary: true },
            { value: 'b', primary: 'True' },
          ],
        }),
      ),
    ).toEqual({
      status: 400,
      scimType: 'invalidValue',
      detail: 'emails: at most one value with primary true was expected',
    });
  });

  it(`has at most ${MAX_VALUES} values`, () => {
    const emails = Array.from({ length: MAX_VALUES }, (_, i) => ({ value: `${i}` }));
    expect(read(user({ emails }))['emails']).toHaveLength(MAX_VALUES);
    expect(refused(user({ emails: [...emails, { value: 'x' }] })).detail).toContain(`emails: at most ${MAX_VALUES}`);
  });

  it('leaves out what is empty in it', () => {
    const emails = [null, {}, { value: null }, { value: 'a' }, { type: 'work', value: null }];
    expect(read(user({ emails }))['emails']).toEqual([{ value: 'a' }]);
  });
});

it('a password is checked, and never kept', () => {
  expect(read(user({ password: 'pa55' }))).toEqual({ userName: 'ada' });
  const refusal = refused(user({ password: { s3cret: 1 } }));
  expect(refusal.detail).toBe('password: a string was expected');
});

it(`a resource of more than ${MAX_RESOURCE_LENGTH} characters is refused with 413`, () => {
  const photos = [1, 2, 3].map((i) => ({ value: `${i}`.repeat(200_000) }));
  expect(refused(user({ photos }))).toMatchObject({ status: 413, scimType: undefined });
});

it('hostile numbers are refused like any number', () => {
  for (const value of [1e308, -0, Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER + 2]) {
    expect(refused(user({ displayName: value })).scimType).toBe('invalidValue');
    expect(refused(user({ active: value })).scimType).toBe('invalidValue');
  }
});

it('base64 of 262,144 characters is checked within 200 ms, good or not', () => {
  const start = Date.now();
  for (const tail of ['', '!', '===', ' ='])
    for (const part of ['A', ' ', '=']) {
      try {
        read(user({ x509Certificates: [{ value: part.repeat(MAX_BINARY_LENGTH - 4) + tail }] }));
      } catch (error) {
        expect(error).toMatchObject({ status: 400, scimType: 'invalidValue' });
      }
    }
  expect(Date.now() - start).toBeLessThan(12 * 200);
});

describe('a manager given by $ref alone', () => {
  const baseUrl = 'https://scim.example/scim/v2';
  const withManager = (manager: unknown) => readResource(userType, user({ [E]: { manager } }), new Set(), { baseUrl });

  it('is the user with the id in it', () => {
    for (const $ref of [`${baseUrl}/Users/m1`, '../Users/m1', 'Users/m1']) {
      expect(withManager({ $ref })).toEqual({ userName: 'ada', [E]: { manager: { value: 'm1' } } });
    }
  });

  it('is refused where it is none of ours, and never dropped in silence', () => {
    for (const $ref of ['https://s3cret.example/Users/m1', '../Groups/m1', 's3cret']) {
      const refusal = refusalOf(() => withManager({ $ref }));
      expect(refusal).toMatchObject({ status: 400, scimType: 'invalidValue' });
      expect(refusal.detail).toBe(`${E}:manager.$ref: the URI of a resource of this service was expected`);
    }
  });

  it('is none of ours under a base URL that the reader is not told', () => {
    expect(refused(user({ [E]: { manager: { $ref: `${baseUrl}/Users/m1` } } })).scimType).toBe('invalidValue');
  });

  it('is not kept beside a value', () => {
    expect(withManager({ $ref: 'https://elsewhere.example/Users/m2', value: 'm1' })).toEqual({
      userName: 'ada',
      [E]: { manager: { value: 'm1' } },
    });
  });
});

describe('attributes of an organization’s own', () => {
  const simple = (name: string, type: Attribute['type'], more: Partial<Attribute> = {}) =>
    attribute(name, type, name, more);
  const schema = {
    id: 'urn:acme:2.0:User',
    name: 'Acme',
    description: '',
    attributes: [
      simple('tags', 'string', { multiValued: true }),
      simple('badges', 'complex', {
        multiValued: true,
        subAttributes: [simple('value', 'string'), simple('level', 'integer')],
      }),
      simple('scores', 'complex', {
        multiValued: true,
        subAttributes: [simple('value', 'integer'), simple('type', 'string')],
      }),
      simple('rooms', 'complex', { multiValued: true, subAttributes: [simple('floor', 'string')] }),
      simple('shoe', 'integer'),
    ],
  };
  const { user: extended } = typesWith([{ resourceType: 'User', schema }]);
  const own = (value: object) =>
    readResource(extended, user({ 'urn:acme:2.0:User': value }), new Set())['urn:acme:2.0:User'];

  it.each<[string, object, object | undefined]>([
    [
      'a text for an element with a value',
      { badges: ['a', { value: 'b', level: 2 }] },
      { badges: [{ value: 'a' }, { value: 'b', level: 2 }] },
    ],
    [
      'a number for an element whose value is one',
      { scores: [7, { value: 8 }] },
      { scores: [{ value: 7 }, { value: 8 }] },
    ],
    ['wrapped values', { tags: [{ value: 'a' }], shoe: [{ value: 44 }] }, { tags: ['a'], shoe: 44 }],
    [
      'an empty value with more than labels',
      { badges: [{ value: '', level: 2 }] },
      { badges: [{ value: '', level: 2 }] },
    ],
    ['an empty value with labels', { scores: [{ value: null, type: 'x' }] }, undefined],
  ])('are read like any other: %s', (_, sent, kept) => {
    expect(own(sent)).toEqual(kept);
  });

  it.each<[string, object]>([
    ['a text for an element without a value', { rooms: ['a'] }],
    ['a text for a number', { scores: ['a'] }],
    ['a number for a text', { badges: [7] }],
    ['two values for one', { shoe: [44, 45] }],
    ['one value for a list of texts', { tags: 'a' }],
    ['a list in a list', { tags: [['a']] }],
  ])('stay refused: %s', (_, sent) => {
    expect(refusalOf(() => own(sent))).toMatchObject({ status: 400, scimType: 'invalidValue' });
  });
});
