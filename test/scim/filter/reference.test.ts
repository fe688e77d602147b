/** Filters on a `$ref` that is never stored: each holds exactly where it would hold of the URI written out. */
import { describe, expect, it } from 'vitest';
import { matches } from '../../../src/scim/filter/match';
import { parseFilter } from '../../../src/scim/filter/parse';
import { resolveElementFilter, resolveFilter } from '../../../src/scim/filter/resolve';
import { OPERATORS } from '../../../src/scim/filter/syntax';
import { resolveAttribute, target } from '../../../src/scim/path';
import { groupType, userType } from '../../../src/scim/schema/types';

const baseUrl = 'https://scim.example/scim/v2';
const members = target(resolveAttribute(groupType, 'members')!);
const people = [
  { value: 'a', type: 'user' },
  { value: 'ab', type: 'user' },
  { value: 'a', type: 'group' },
  { value: 'z-1', type: 'group' },
];
const uriOf = ({ value, type }: (typeof people)[number]) =>
  `${baseUrl}/${type === 'user' ? 'Users' : 'Groups'}/${value}`;

function holds(uri: string, operator: string, text: string): boolean {
  switch (operator) {
    case 'eq':
      return uri === text;
    case 'ne':
      return uri !== text;
    case 'co':
      return uri.includes(text);
    case 'sw':
      return uri.startsWith(text);
    case 'ew':
      return uri.endsWith(text);
    case 'gt':
      return uri > text;
    case 'ge':
      return uri >= text;
    case 'lt':
      return uri < text;
    default:
      return uri <= text;
  }
}

const texts = [
  ...people.map(uriOf),
  `${baseUrl}/Users/`,
  `${baseUrl}/Groups/`,
  `${baseUrl}/Users/aa`,
  baseUrl,
  'https://scim.example/scim/v3',
  'https://elsewhere.example/Users/a',
  's/a',
  '/a',
  'Users/ab',
  's/z',
  '-1',
  'b',
  '/',
  '',
  'nothing',
  'Ā',
];

describe.each(OPERATORS)('%s', (operator) => {
  it.each(texts)('%j', (text) => {
    // A relative URI that is equal to one of ours means it: of that the tests below tell.
    if ((operator === 'eq' || operator === 'ne') && text === 'Users/ab') return;
    const condition = resolveElementFilter(members, parseFilter(`$ref ${operator} ${JSON.stringify(text)}`), baseUrl);
    for (const one of people) {
      expect(matches(condition, one), uriOf(one)).toBe(holds(uriOf(one), operator, text));
    }
  });
});

it('a relative URI is compared as what it names', () => {
  for (const text of ['../Users/a', 'Users/a', '/Users/a', '/scim/v2/Users/a', `${baseUrl}/Users/a`]) {
    const [is, isNot] = ['eq', 'ne'].map((operator) =>
      resolveElementFilter(members, parseFilter(`$ref ${operator} "${text}"`), baseUrl),
    );
    expect(people.map((one) => matches(is!, one))).toEqual([true, false, false, false]);
    expect(people.map((one) => matches(isNot!, one))).toEqual([false, true, true, true]);
  }
});

it('null and pr ask whether there is one', () => {
  const ask = (text: string, element: object) =>
    matches(resolveElementFilter(members, parseFilter(text), baseUrl), element as never);
  expect(['$ref pr', '$ref ne null', '$ref eq null'].map((text) => ask(text, { value: 'a' }))).toEqual([
    true,
    true,
    false,
  ]);
  expect(['$ref pr', '$ref ne null', '$ref eq null'].map((text) => ask(text, {}))).toEqual([false, false, true]);
});

it('from the resource, one element must have it', () => {
  const team = { members: people };
  const ask = (text: string) => matches(resolveFilter(groupType, parseFilter(text), [], baseUrl), team);
  expect(ask(`members.$ref eq "${baseUrl}/Users/ab"`)).toBe(true);
  expect(ask(`members.$ref eq "${baseUrl}/Groups/ab"`)).toBe(false);
  expect(ask('members[$ref eq "Groups/a" and type eq "Group"]')).toBe(true);
  expect(ask('members[$ref eq "Groups/a" and type eq "User"]')).toBe(false);
  expect(ask('members.$ref pr')).toBe(true);
});

it('a user is found by the $ref of a group, whose type says something else', () => {
  const user = { groups: [{ value: 'g', type: 'direct' }] };
  const ask = (text: string) => matches(resolveFilter(userType, parseFilter(text), [], baseUrl), user);
  expect(ask(`groups.$ref eq "${baseUrl}/Groups/g"`)).toBe(true);
  expect(ask('groups[$ref eq "../Groups/g"]')).toBe(true);
  expect(ask(`groups.$ref eq "${baseUrl}/Users/g"`)).toBe(false);
});
