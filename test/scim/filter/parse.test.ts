import { describe, expect, it } from 'vitest';
import {
  MAX_FILTER_DEPTH,
  MAX_FILTER_LENGTH,
  MAX_FILTER_TERMS,
  parseFilter,
  parsePath,
} from '../../../src/scim/filter/parse';
import { OPERATORS, type Syntax } from '../../../src/scim/filter/syntax';
import { expectLinear } from '../../support/growth';
import { refusalOf } from '../../support/refusal';

/** The tree in one line: `(or a (and b c))`. */
function tree(syntax: Syntax): string {
  switch (syntax.kind) {
    case 'and':
    case 'or':
      return `(${syntax.kind} ${syntax.terms.map(tree).join(' ')})`;
    case 'not':
      return `(not ${tree(syntax.term)})`;
    case 'present':
      return `${syntax.path}?`;
    case 'compare':
      return `${syntax.path} ${syntax.operator} ${JSON.stringify(syntax.literal.value)}`;
    case 'element':
      return `${syntax.path}[${tree(syntax.filter)}]`;
  }
}

const read = (text: string) => tree(parseFilter(text));
/** The value of `a eq …`, and the text it has for an attribute that is a string. */
const literal = (text: string) => {
  const syntax = parseFilter(`a eq ${text}`);
  return syntax.kind === 'compare' ? [syntax.literal.value, syntax.literal.text] : undefined;
};

describe('a comparison', () => {
  it.each(OPERATORS)('with %s, in any case', (operator) => {
    const [first, second] = operator;
    for (const written of [operator, operator.toUpperCase(), `${first!.toUpperCase()}${second}`]) {
      expect(read(`userName ${written} "ada"`)).toBe(`userName ${operator} "ada"`);
    }
  });

  it.each([
    ['pr', 'title pr', 'title?'],
    ['capital PR', 'title PR', 'title?'],
    ['white space around it', ' \t title   eq\n"x"  ', 'title eq "x"'],
    ['a sub-attribute', 'name.familyName co "O\'Malley"', 'name.familyName co "O\'Malley"'],
    ['a sub-attribute with a dollar sign', 'groups.$ref eq "x"', 'groups.$ref eq "x"'],
    ['a name with a hyphen and digits', 'x-509_a1 eq "x"', 'x-509_a1 eq "x"'],
    [
      'the core URN',
      'urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J"',
      'urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J"',
    ],
    [
      'an extension URN and a sub-attribute',
      'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "1"',
      'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "1"',
    ],
    ['a capital URN', 'URN:IETF:x:2.0:User:a eq 1', 'URN:IETF:x:2.0:User:a eq 1'],
    ['an attribute called like an operator', 'eq eq "eq"', 'eq eq "eq"'],
    ['an attribute called like a conjunction', 'and eq 1 and or eq 2', '(and and eq 1 or eq 2)'],
    ['an attribute called not', 'not eq 1', 'not eq 1'],
    ['an attribute that begins with not', 'notes pr and order pr', '(and notes? order?)'],
  ])('with %s', (_, text, expected) => {
    expect(read(text)).toBe(expected);
  });
});

describe('a value', () => {
  it.each<[string, string, unknown, string]>([
    ['a string', '"ada"', 'ada', 'ada'],
    ['an empty string', '""', '', ''],
    ['an escaped quote', '"a\\"b"', 'a"b', 'a"b'],
    ['an escaped backslash at the end', '"a\\\\"', 'a\\', 'a\\'],
    ['every short escape', '"\\b\\f\\n\\r\\t\\/"', '\b\f\n\r\t/', '\b\f\n\r\t/'],
    ['a character by its number', '"\\u00e9"', 'é', 'é'],
    ['an astral character by its two numbers', '"\\ud83e\\udd8a"', '🦊', '🦊'],
    ['an astral character as it is', '"🦊"', '🦊', '🦊'],
    ['right-to-left text', '"עדה"', 'עדה', 'עדה'],
    ['brackets and keywords in a string', '"] and (x pr)"', '] and (x pr)', '] and (x pr)'],
    ['an integer', '42', 42, '42'],
    ['a negative decimal with an exponent', '-1.5e2', -150, '-1.5e2'],
    ['a number that is a code keeps its zeros as text', '00701984', 701984, '00701984'],
    ['true', 'true', true, 'true'],
    ['capital False', 'False', false, 'False'],
    ['null', 'null', null, 'null'],
    ['an unquoted word, as Microsoft Learn shows', 'jyoung', 'jyoung', 'jyoung'],
    ['an unquoted e-mail address', 'ada@example.com', 'ada@example.com', 'ada@example.com'],
    ['an unquoted date', '2026-01-31T10:00:00Z', '2026-01-31T10:00:00Z', '2026-01-31T10:00:00Z'],
    ['an unquoted word that begins like a keyword', 'nullable', 'nullable', 'nullable'],
  ])('%s', (_, text, value, asText) => {
    expect(literal(text)).toEqual([value, asText]);
  });
});

describe('precedence is grouping, not, and, or (RFC 7644 §3.4.2.2)', () => {
  it.each([
    ['a pr or b pr and c pr', '(or a? (and b? c?))'],
    ['a pr and b pr or c pr', '(or (and a? b?) c?)'],
    ['a pr and b pr or c pr and d pr', '(or (and a? b?) (and c? d?))'],
    ['(a pr or b pr) and c pr', '(and (or a? b?) c?)'],
    ['a pr and (b pr or c pr)', '(and a? (or b? c?))'],
    ['not (a pr) and b pr', '(and (not a?) b?)'],
    ['not (a pr and b pr) or c pr', '(or (not (and a? b?)) c?)'],
    ['a pr and not (b pr)', '(and a? (not b?))'],
    ['not(a pr)', '(not a?)'],
    ['NOT (a pr) AND b pr OR c pr', '(or (and (not a?) b?) c?)'],
    ['not (not (a pr))', '(not (not a?))'],
    ['a pr or b pr or c pr', '(or a? b? c?)'],
    ['((a pr))', 'a?'],
    ['(a pr)and(b pr)or(c pr)', '(or (and a? b?) c?)'],
    [
      'emails[type eq "work" or primary eq true and value pr]',
      'emails[(or type eq "work" (and primary eq true value?))]',
    ],
  ])('%s', (text, expected) => {
    expect(read(text)).toBe(expected);
  });
});

describe('a value path', () => {
  it.each([
    ['on its own', 'emails[type eq "work"]', 'emails[type eq "work"]'],
    ['joined', 'emails[value pr] and a pr', '(and emails[value?] a?)'],
    ['with space inside', 'emails[ type eq "work" ]', 'emails[type eq "work"]'],
    ['negated', 'not (emails[type eq "work"])', '(not emails[type eq "work"])'],
    ['with not inside', 'emails[not (type eq "work")]', 'emails[(not type eq "work")]'],
    [
      'with a comparison behind it, as Entra ID matches accounts: both of one element',
      'emails[type eq "work"].value eq "a@x"',
      'emails[(and type eq "work" value eq "a@x")]',
    ],
    ['with pr behind it', 'emails[type eq "work"].value pr', 'emails[(and type eq "work" value?)]'],
    [
      'with a bare word and a number before the bracket',
      'emails[type eq work or value eq 1]',
      'emails[(or type eq "work" value eq 1)]',
    ],
  ])('%s', (_, text, expected) => {
    expect(read(text)).toBe(expected);
  });
});

describe('a filter is refused with its position', () => {
  it.each<[string, string, number]>([
    ['nothing', '', 1],
    ['white space', '   ', 4],
    ['a name alone', 'userName', 9],
    ['no value', 'userName eq', 12],
    ['no value after a space', 'userName eq ', 13],
    ['an unknown operator', 'userName is "x"', 10],
    ['an operator with more behind it', 'userName eqq "x"', 10],
    ['an operator in symbols', 'userName = "x"', 10],
    ['a name that begins with a digit', '1a eq 2', 1],
    ['a name in quotes', '"userName" eq "x"', 1],
    ['three levels of names', 'a.b.c eq 1', 4],
    ['a name that ends in a dot', 'name. eq 1', 5],
    ['single quotes', "userName eq 'ada'", 13],
    ['an unclosed string', 'userName eq "ada', 13],
    ['a string that ends in an escape', 'userName eq "ada\\"', 13],
    ['a wrong escape', 'userName eq "a\\x"', 13],
    ['a raw line break in a string', 'userName eq "a\nb"', 13],
    ['half a surrogate pair', 'userName eq "\\ud83e"', 13],
    ['a NUL', 'userName eq "a\\u0000b"', 13],
    ['a raw NUL in a word', 'userName eq a\0b', 13],
    ['an object', 'userName eq {"a":1}', 14],
    ['a list', 'userName eq [1]', 13],
    ['a keyword as a value', 'userName eq and', 13],
    ['text after a value', 'userName eq "a" x', 17],
    ['two comparisons without a word between', 'a pr b pr', 6],
    ['pr with a value', 'title pr "x"', 10],
    ['a conjunction at the beginning', 'and a pr', 5],
    ['a conjunction at the end', 'a pr and', 9],
    ['two conjunctions', 'a pr and or b pr', 13],
    ['an unclosed group', '(a pr', 6],
    ['a group too many', 'a pr)', 5],
    ['an empty group', '()', 2],
    ['a square bracket for a round one', '(a pr]', 6],
    ['not without a group', 'not a pr', 5],
    ['not alone', 'not', 4],
    ['an unclosed value path', 'emails[type eq "work"', 22],
    ['an empty value path', 'emails[]', 8],
    ['a value path without a name', '[type eq "work"]', 1],
    ['a space before the bracket', 'emails [type eq "work"]', 8],
    ['a comparison behind a value path without a sub-attribute', 'emails[type eq "work"] eq "x"', 24],
    ['a dot behind a value path without a name', 'emails[type eq "work"].', 24],
    ['SQL', `a eq "x"; DROP TABLE users`, 9],
    ['a URL-encoded filter, encoded once too often', 'userName%20eq%20%22a%22', 9],
  ])('%s', (_, text, position) => {
    const { status, scimType, detail } = refusalOf(() => parseFilter(text));
    expect([status, scimType]).toEqual([400, 'invalidFilter']);
    expect(detail).toContain(`at position ${position}:`);
  });

  it('and without the value that stands there', () => {
    for (const text of ['userName eq "s3cret" x', "userName eq 's3cret'", 'a eq "s3cret', 'a eq {"s3cret":1}']) {
      expect(refusalOf(() => parseFilter(text)).detail).not.toContain('s3cret');
    }
  });
});

describe('limits', () => {
  const refused = (text: string) => {
    const { status, scimType, detail } = refusalOf(() => parseFilter(text));
    expect([status, scimType]).toEqual([400, 'invalidFilter']);
    return detail;
  };
  const groups = (depth: number) => `${'('.repeat(depth)}a pr${')'.repeat(depth)}`;

  it(`a filter of ${MAX_FILTER_LENGTH} characters is read, a longer one is refused with its length`, () => {
    const longest = `a eq "${'x'.repeat(MAX_FILTER_LENGTH - 7)}"`;
    expect(longest).toHaveLength(MAX_FILTER_LENGTH);
    expect(() => parseFilter(longest)).not.toThrow();
    expect(refused(`${longest} `)).toContain('8193 characters; at most 8192');
  });

  it(`groups nest to ${MAX_FILTER_DEPTH}, and a filter of 1,000 parentheses is refused`, () => {
    expect(read(groups(MAX_FILTER_DEPTH))).toBe('a?');
    expect(refused(groups(MAX_FILTER_DEPTH + 1))).toContain('deeper than 50');
    expect(refused(groups(1_000))).toContain('deeper than 50');
    expect(refused('('.repeat(8_000))).toContain('deeper than 50');
    expect(refused('not ('.repeat(1_500))).toContain('deeper than 50');
    expect(refused('a['.repeat(4_000))).toContain('deeper than 50');
  });

  it(`${MAX_FILTER_TERMS} terms are read, one more is refused`, () => {
    const terms = (count: number) => Array(count).fill('a pr').join(' or ');
    expect(() => parseFilter(terms(MAX_FILTER_TERMS))).not.toThrow();
    expect(refused(terms(MAX_FILTER_TERMS + 1))).toContain('more than 250 terms');
    expect(refused(Array(600).fill('a[b pr]').join(' or '))).toContain('more than 250 terms');
  });

  it('8,000 hostile characters are answered in linear time, whatever they repeat', () => {
    const parts = [
      ' ',
      '\t',
      '(',
      ')',
      '[',
      '"',
      '\\',
      '"\\',
      'a',
      'a.',
      'a ',
      'urn:',
      'urn:a',
      ':',
      '-',
      '1',
      '1.',
      '1e',
    ];
    const words = [
      'not',
      'not ',
      'not(',
      'and',
      'and ',
      'eq ',
      'a eq ',
      'a eq "',
      '(a pr) ',
      'a[a pr].',
      '$',
      '🦊',
      '\0',
    ];
    for (const part of [...parts, ...words]) {
      for (const prefix of ['', 'a eq ', 'a eq "', 'urn:', 'a pr and ', 'a[']) {
        const answered = (n: number) => {
          try {
            parseFilter((prefix + part.repeat(n)).slice(0, n));
          } catch (error) {
            expect(error).toMatchObject({ status: 400, scimType: 'invalidFilter' });
          }
        };
        expectLinear(answered, 8_000, prefix + part);
      }
    }
  });
});

describe('a PATCH path', () => {
  it.each<[string, string, { path: string; filter?: string; sub?: string }]>([
    ['an attribute', 'members', { path: 'members' }],
    ['a sub-attribute', 'name.familyName', { path: 'name.familyName' }],
    ['a value filter', 'addresses[type eq "work"]', { path: 'addresses', filter: 'type eq "work"' }],
    [
      'a value filter and a sub-attribute',
      'members[value eq "1"].displayName',
      { path: 'members', filter: 'value eq "1"', sub: 'displayName' },
    ],
    [
      'a value filter of several terms',
      'emails[type eq "work" and value ew "example.com"]',
      { path: 'emails', filter: '(and type eq "work" value ew "example.com")' },
    ],
    ['an extension attribute', 'urn:a:2.0:User:manager.value', { path: 'urn:a:2.0:User:manager.value' }],
    ['an extension alone', 'urn:a:2.0:User', { path: 'urn:a:2.0:User' }],
    [
      'an extension attribute with a filter',
      'urn:a:2.0:User:list[x eq 1].y',
      { path: 'urn:a:2.0:User:list', filter: 'x eq 1', sub: 'y' },
    ],
    [
      'an operator of Entra ID and a boolean in quotes',
      'roles[primary Eq "True"].value',
      { path: 'roles', filter: 'primary eq "True"', sub: 'value' },
    ],
    [
      'brackets inside a string',
      'emails[value eq "]."].type',
      { path: 'emails', filter: 'value eq "]."', sub: 'type' },
    ],
  ])('with %s', (_, text, expected) => {
    const { filter, ...rest } = parsePath(text);
    expect({ ...rest, ...(filter && { filter: tree(filter) }) }).toEqual(expected);
  });

  it.each<[string, string, number]>([
    ['nothing', '', 1],
    ['a slash', '/name/familyName', 1],
    ['a JSON pointer further on', 'name/familyName', 5],
    ['an index', 'emails[0]', 8],
    ['an index and a sub-attribute', 'emails[0].value', 8],
    ['an empty filter', 'emails[].value', 8],
    ['an unclosed filter', 'emails[type eq "work"', 22],
    ['a filter without a bracket to open it', 'emails type eq "work"]', 7],
    ['two filters', 'emails[type eq "a"][type eq "b"]', 20],
    ['text behind the filter', 'emails[type eq "a"]value', 20],
    ['a dot behind the filter', 'emails[type eq "a"].', 21],
    ['three levels', 'a.b.c', 4],
    ['a comparison', 'userName eq "x"', 9],
    ['a star', '*', 1],
    ['single quotes', "emails[type eq 'work']", 16],
  ])('is refused with its position: %s', (_, text, position) => {
    const { status, scimType, detail } = refusalOf(() => parsePath(text));
    expect([status, scimType]).toEqual([400, 'invalidPath']);
    expect(detail).toContain(`The path is not valid at position ${position}:`);
  });

  it('has the limits of a filter', () => {
    expect(refusalOf(() => parsePath('a'.repeat(MAX_FILTER_LENGTH + 1))).scimType).toBe('invalidPath');
    expect(refusalOf(() => parsePath(`a[${'('.repeat(1_000)}`))).toMatchObject({
      scimType: 'invalidPath',
      detail: 'The path nests deeper than 50 levels',
    });
    expect(refusalOf(() => parsePath(`a[${Array(300).fill('b pr').join(' or ')}]`)).detail).toContain('250 terms');
  });
});
