import { describe, expect, it } from 'vitest';
import { MAX_JSON_DEPTH, parseJson } from '../../src/scim/json';
import { expectLinear } from '../support/growth';
import { refusalOf } from '../support/refusal';

const bytes = (text: string) => new TextEncoder().encode(text);
const parse = (text: string) => parseJson(bytes(text));
const nested = (depth: number, open = '[', close = ']') => open.repeat(depth) + close.repeat(depth);

describe('a body is read', () => {
  it.each<[string, string, unknown]>([
    ['an object', '{"userName":"ada"}', { userName: 'ada' }],
    ['white space around it', ' \r\n\t{ "a" : 1 }\n ', { a: 1 }],
    ['a byte order mark before it', '\ufeff{"a":1}', { a: 1 }],
    ['text outside ASCII', '{"a":"Zoë 🦊 עדה"}', { a: 'Zoë 🦊 עדה' }],
    ['escapes', '{"a":"\\u0041\\n\\"\\\\\\/"}', { a: 'A\n"\\/' }],
    ['a surrogate pair in escapes', '{"a":"\\ud83e\\udd8a"}', { a: '🦊' }],
    ['one name in two objects', '{"a":{"value":1},"b":{"value":2}}', { a: { value: 1 }, b: { value: 2 } }],
    ['one name in two elements of a list', '[{"a":1},{"a":2}]', [{ a: 1 }, { a: 2 }]],
    ['names that differ in case only', '{"a":1,"A":2}', { a: 1, A: 2 }],
    ['a value that looks like its own name', '{"a":"a","b":["a","a"]}', { a: 'a', b: ['a', 'a'] }],
    ['brackets, commas and quotes inside strings', '{"a":"}],{\\"","b":"["}', { a: '}],{"', b: '[' }],
    ['a name after a nested object', '{"a":{"b":1},"c":{"b":2}}', { a: { b: 1 }, c: { b: 2 } }],
    ['a list as the whole body', '[]', []],
    ['a string as the whole body', '"text"', 'text'],
    ['an escaped NUL in a string', '{"a":"\\u0000"}', { a: '\0' }],
  ])('with %s', (_, text, expected) => {
    expect(parse(text)).toEqual(expected);
  });

  it('from an ArrayBuffer as from bytes', () => {
    expect(parseJson(bytes('{"a":1}').slice().buffer)).toEqual({ a: 1 });
  });

  it(`down to ${MAX_JSON_DEPTH} levels`, () => {
    expect(() => parse(nested(MAX_JSON_DEPTH))).not.toThrow();
    expect(() => parse('{"a":'.repeat(MAX_JSON_DEPTH - 1) + nested(1) + '}'.repeat(MAX_JSON_DEPTH - 1))).not.toThrow();
  });

  it('with a number too large for its type, which is no crash: the schema refuses it later', () => {
    expect(parse('{"a":1e400}')).toEqual({ a: Number.POSITIVE_INFINITY });
    expect(parse(`{"a":${'9'.repeat(5000)}}`)).toEqual({ a: Number.POSITIVE_INFINITY });
  });
});

describe('a body is refused as invalidSyntax', () => {
  const utf8 = 'not valid UTF-8';
  it.each<[string, number[], string]>([
    ['a lone continuation byte', [0x22, 0x80, 0x22], utf8],
    ['a truncated sequence', [0x22, 0xc3], utf8],
    ['an overlong slash', [0x22, 0xc0, 0xaf, 0x22], utf8],
    ['an encoded surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22], utf8],
    ['a code point beyond Unicode', [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22], utf8],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00], utf8],
    ['a NUL byte', [0x7b, 0x00, 0x7d], 'not valid JSON'],
    ['a raw NUL inside a string', [0x22, 0x00, 0x22], 'not valid JSON'],
  ])('for %s', (_, raw, says) => {
    const refusal = refusalOf(() => parseJson(new Uint8Array(raw)));
    expect(refusal).toMatchObject({ status: 400, scimType: 'invalidSyntax' });
    expect(refusal.detail).toContain(says);
  });

  it.each<[string, string, string]>([
    ['nothing', '', 'empty'],
    ['white space only', ' \n\t', 'empty'],
    ['a byte order mark only', '\ufeff', 'empty'],
    ['an unclosed object', '{"a":1', 'not valid JSON'],
    ['an unclosed string', '{"a', 'not valid JSON'],
    ['a string that ends in a backslash', '{"a\\', 'not valid JSON'],
    ['closing brackets only', ']]}}', 'not valid JSON'],
    ['a trailing comma', '{"a":1,}', 'not valid JSON'],
    ['a comment', '{"a":1} // no', 'not valid JSON'],
    ['two values', '{} {}', 'not valid JSON'],
    ['single quotes', "{'a':1}", 'not valid JSON'],
    ['NaN', '{"a":NaN}', 'not valid JSON'],
    ['a leading zero', '{"a":01}', 'not valid JSON'],
    ['a wrong escape in a name', '{"a\\x":1}', 'not valid JSON'],
    ['a form', 'userName=ada', 'not valid JSON'],
    ['one name twice', '{"a":1,"a":2}', 'the member a twice'],
    ['one name twice, once escaped', '{"a":1,"\\u0061":2}', 'the member a twice'],
    ['one name twice, both escaped', '{"\\u0061b":1,"a\\u0062":2}', 'twice'],
    ['one name twice, far apart', '{"a":{"x":[1,{"a":3}]},"b":[{"a":2}],"a":2}', 'the member a twice'],
    ['one name twice in a nested object', '{"a":[{"b":{"c":1,"c":1}}]}', 'the member c twice'],
    ['an empty name twice', '{"":1,"":2}', 'twice'],
    ['__proto__', '{"__proto__":{"active":true}}', '__proto__'],
    ['__proto__ in escapes', '{"a":{"\\u005f_proto\\u005f_":1}}', '__proto__'],
    ['one level too many', nested(MAX_JSON_DEPTH + 1), 'deeper than 32'],
    ['10,000 levels of lists', nested(10_000), 'deeper than 32'],
    ['10,000 levels of objects', '{"a":'.repeat(10_000), 'deeper than 32'],
  ])('for %s', (_, text, says) => {
    const refusal = refusalOf(() => parse(text));
    expect(refusal).toMatchObject({ status: 400, scimType: 'invalidSyntax' });
    expect(refusal.detail).toContain(says);
  });

  it('without repeating a value, or more of a name than can be printed', () => {
    const { detail } = refusalOf(() =>
      parse(`{"${'\u202e'.repeat(500)}":"s3cret","${'\u202e'.repeat(500)}":"s3cret"}`),
    );
    expect(detail).not.toContain('s3cret');
    expect(detail).toMatch(/^[\x20-\x7e]{1,200}$/);
  });

  it('does not depend on how __proto__ is nested: nothing of the prototype is changed by a body', () => {
    expect(() => parse('{"constructor":{"prototype":{"isAdmin":true}}}')).not.toThrow();
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined();
  });
});

it('JSON is read in linear time, up to a megabyte', () => {
  const members = (n: number) => `{${Array.from({ length: n }, (_, i) => `"name${i}":"${i}"`).join(',')}}`;
  // With more names, most of the time is the garbage collector's, and that is not linear.
  expectLinear((n) => parse(members(n)), 6_000);
  expectLinear((n) => parse(`"${'\\u0061'.repeat(n)}"`), 170_000);
  expectLinear((n) => expect(() => parse('"'.repeat(n + 1))).toThrow(), 1_000_000);
  expectLinear((n) => expect(() => parse(`{"${'\\'.repeat(n)}`)).toThrow(), 1_000_000);
});
