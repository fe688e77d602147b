import { describe, expect, it } from 'vitest';
import type { Attribute, ResourceType } from '../../../src/scim/attribute';
import { attribute } from '../../../src/scim/attribute';
import type { Condition } from '../../../src/scim/filter/condition';
import { parseFilter } from '../../../src/scim/filter/parse';
import { resolveFilter } from '../../../src/scim/filter/resolve';
import { OPERATORS, type Operator } from '../../../src/scim/filter/syntax';
import { userType } from '../../../src/scim/schema/types';
import { ENTERPRISE_USER, USER } from '../../../src/scim/urns';
import { refusalOf } from '../../support/refusal';

const resolve = (text: string, type = userType) => resolveFilter(type, parseFilter(text));

/** The tree in one line, with the attributes by their canonical names. */
function tree(condition: Condition): string {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return `(${condition.kind} ${condition.terms.map(tree).join(' ')})`;
    case 'not':
      return `(not ${tree(condition.term)})`;
    case 'nothing':
      return 'nothing';
    default: {
      const path = condition.path.map(({ name }) => (name === ENTERPRISE_USER ? 'E' : name)).join('.');
      if (condition.kind === 'present') return `${path}?`;
      if (condition.kind === 'element') return `${path}[${tree(condition.filter)}]`;
      return `${path} ${condition.operator} ${JSON.stringify(condition.value)}`;
    }
  }
}

describe('names and values have the meaning of the schema', () => {
  it.each([
    ['names in any case', 'USERNAME eq "x"', 'userName eq "x"'],
    ['a string without case is folded', 'userName eq "STRAẞE"', 'userName eq "strasse"'],
    ['a caseExact string is not', 'externalId eq "AbC"', 'externalId eq "AbC"'],
    ['an id is not', 'id eq "AbC"', 'id eq "AbC"'],
    ['a reference is not', 'profileUrl eq "https://X"', 'profileUrl eq "https://X"'],
    ['the core URN', `${USER}:userName eq "x"`, 'userName eq "x"'],
    ['an extension URN', `${ENTERPRISE_USER}:department eq "R&D"`, 'E.department eq "r&d"'],
    ['an extension name without its URN', 'manager eq "M1"', 'E.manager.value eq "M1"'],
    ['a list without a sub-attribute means its value', 'emails co "EXAMPLE"', 'emails.value co "example"'],
    ['such a list with pr means the list', 'emails pr', 'emails?'],
    ['a value filter', 'emails[TYPE eq "Work"]', 'emails[type eq "work"]'],
    ['a boolean', 'active eq true', 'active eq true'],
    ['a boolean in quotes, as Entra ID asks', 'roles[primary eq "True"]', 'roles[primary eq true]'],
    ['a boolean as a capital word', 'active eq False', 'active eq false'],
    [
      'a date is one instant',
      'meta.created gt "2026-01-31T12:00:00+02:00"',
      'meta.created gt "2026-01-31T10:00:00.000Z"',
    ],
    ['a part of a date is text', 'meta.created sw "2026-01"', 'meta.created sw "2026-01"'],
    ['eq null means absent', 'title eq null', '(not title?)'],
    ['ne null means present', 'title ne null', 'title?'],
    ['eq null of a list', 'emails eq null', '(not emails.value?)'],
    ['a number for a string is its text', 'employeeNumber eq 007', 'E.employeeNumber eq "007"'],
    ['a boolean for a string is its text', 'title eq True', 'title eq "true"'],
    ['an unquoted word', 'externalId eq jyoung', 'externalId eq "jyoung"'],
  ])('%s', (_, text, expected) => {
    expect(tree(resolve(text))).toBe(expected);
  });
});

/** A type with one attribute of each kind; the user has no numbers. */
const everyType: ResourceType = {
  ...userType,
  attributes: [
    attribute('string', 'string', ''),
    attribute('boolean', 'boolean', ''),
    attribute('decimal', 'decimal', ''),
    attribute('integer', 'integer', ''),
    attribute('dateTime', 'dateTime', ''),
    attribute('reference', 'reference', ''),
    attribute('binary', 'binary', ''),
  ],
  extensions: [],
};

describe('every operator on every type (RFC 7644 §3.4.2.2)', () => {
  const values: Record<Exclude<Attribute['type'], 'complex'>, string> = {
    string: '"a"',
    boolean: 'true',
    decimal: '1.5',
    integer: '1',
    dateTime: '"2026-01-31T10:00:00Z"',
    reference: '"https://x"',
    binary: '"QUJD"',
  };
  const all = OPERATORS;
  const equality: readonly Operator[] = ['eq', 'ne'];
  const ordered: readonly Operator[] = ['eq', 'ne', 'gt', 'ge', 'lt', 'le'];
  const textual: readonly Operator[] = ['eq', 'ne', 'co', 'sw', 'ew'];
  it.each<[keyof typeof values, readonly Operator[]]>([
    ['string', all],
    ['reference', all],
    ['dateTime', all],
    ['integer', ordered],
    ['decimal', ordered],
    ['binary', textual],
    ['boolean', equality],
  ])('%s', (type, accepted) => {
    expect(() => resolve(`${type} pr`, everyType)).not.toThrow();
    for (const operator of OPERATORS) {
      const attempt = () => resolve(`${type} ${operator} ${values[type]}`, everyType);
      if (accepted.includes(operator)) {
        expect(attempt, operator).not.toThrow();
      } else {
        const refusal = refusalOf(attempt);
        expect(refusal, operator).toMatchObject({ status: 400, scimType: 'invalidFilter' });
        expect(refusal.detail).toContain(type);
      }
    }
  });

  it.each<[string, string]>([
    ['a word for a boolean', 'boolean eq "yes"'],
    ['a number for a boolean', 'boolean eq 1'],
    ['a string for an integer', 'integer eq "1"'],
    ['a word for an integer', 'integer eq one'],
    ['a boolean for a decimal', 'decimal gt true'],
    ['a number beyond all numbers', 'decimal eq 1e999'],
    ['a word for a date', 'dateTime gt "yesterday"'],
    ['a day that does not exist', 'dateTime gt "2026-02-30T00:00:00Z"'],
    ['a number for a date', 'dateTime gt 1769853600'],
    ['null with an order', 'string gt null'],
    ['null in a string', 'string co null'],
  ])('%s is refused, and the detail does not repeat it', (_, text) => {
    const refusal = refusalOf(() => resolve(text, everyType));
    expect(refusal).toMatchObject({ status: 400, scimType: 'invalidFilter' });
    const value = text.split(' ').at(-1)!.replaceAll('"', '');
    if (value !== 'null' && value.length > 1) expect(refusal.detail).not.toContain(value);
  });
});

describe('a filter is refused as invalidFilter, naming the attribute', () => {
  it.each([
    ['an unknown attribute: never a list of everyone', 'shoeSize eq "x"', 'shoeSize'],
    ['an unknown sub-attribute', 'name.shoeSize eq "x"', 'name.shoeSize'],
    ['an unknown attribute with pr', 'shoeSize pr', 'shoeSize'],
    ['an unknown attribute in a value filter', 'emails[shoeSize eq "x"]', 'shoeSize'],
    ['a whole name in a value filter', 'emails[emails.type eq "x"]', 'emails.type'],
    ['another type', 'urn:ietf:params:scim:schemas:core:2.0:Group:displayName eq "x"', 'Group:displayName'],
    ['the password', 'password eq "x"', 'password'],
    ['the password with pr', 'password pr', 'password'],
    ['a complex attribute without a value', 'name eq "x"', 'name'],
    ['such a list', 'addresses eq "x"', 'addresses'],
    ['a value filter on a string', 'userName[value eq "x"]', 'userName'],
    ['a value filter on a sub-attribute', 'emails.value[type eq "x"]', 'emails.value'],
    ['a boolean with an order', 'active gt true', 'active'],
    ['a boolean in a value filter with an order', 'emails[primary gt true]', 'primary'],
    ['a certificate with an order', 'x509Certificates.value gt "QQ"', 'x509Certificates.value'],
    ['a date that is none', 'meta.lastModified gt "soon"', 'meta.lastModified'],
    ['a bad term among good ones', 'userName pr and (title pr or shoeSize pr)', 'shoeSize'],
  ])('%s', (_, text, named) => {
    const refusal = refusalOf(() => resolve(text));
    expect(refusal).toMatchObject({ status: 400, scimType: 'invalidFilter' });
    expect(refusal.detail).toContain(named);
  });

  it('in printable characters, however the name is written', () => {
    const { detail } = refusalOf(() => resolve(`${'x'.repeat(5_000)} pr`));
    expect(detail.length).toBeLessThan(200);
  });
});
