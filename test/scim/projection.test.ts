import { describe, expect, it } from 'vitest';
import { attribute, type ResourceType } from '../../src/scim/attribute';
import { project, projection } from '../../src/scim/projection';
import type { JsonObject } from '../../src/scim/resource';
import { userType } from '../../src/scim/schema/types';
import { ENTERPRISE_USER as E, USER } from '../../src/scim/urns';
import { expectLinear } from '../support/growth';

const ada: JsonObject = {
  schemas: [USER, E],
  id: '1',
  userName: 'ada',
  name: { givenName: 'Ada', familyName: 'King' },
  emails: [{ value: 'a@work', type: 'work' }, { value: 'a@home' }],
  [E]: { department: 'd', manager: { value: 'm', displayName: 'Bob' } },
  meta: { resourceType: 'User', version: 'W/"1"' },
};
const always = { schemas: [USER, E], id: '1' };

const seen = (attributes?: string[], excluded?: string[]) =>
  project(userType, ada, projection(userType, attributes, excluded));

it('without a wish, everything is shown', () => {
  expect(seen()).toEqual(ada);
});

describe('attributes shows these, with schemas and id', () => {
  it.each<[string, string[], JsonObject]>([
    ['one', ['userName'], { userName: 'ada' }],
    ['in other letters, with space around it', [' USERNAME '], { userName: 'ada' }],
    ['with the core URN', [`${USER}:userName`], { userName: 'ada' }],
    ['a complex attribute as a whole', ['name'], { name: { givenName: 'Ada', familyName: 'King' } }],
    ['a sub-attribute', ['name.givenName'], { name: { givenName: 'Ada' } }],
    ['two sub-attributes', ['name.givenName', 'name.familyName'], { name: { givenName: 'Ada', familyName: 'King' } }],
    [
      'an attribute and a sub-attribute of it',
      ['name', 'name.givenName'],
      { name: { givenName: 'Ada', familyName: 'King' } },
    ],
    ['the same the other way round', ['name.givenName', 'name'], { name: { givenName: 'Ada', familyName: 'King' } }],
    ['a sub-attribute of every element that has it', ['emails.type'], { emails: [{ type: 'work' }] }],
    [
      'a list with a filter, as Microsoft’s reference client asks',
      ['emails[type eq "work"]'],
      { emails: ada['emails']! },
    ],
    [
      'a sub-attribute behind a filter',
      ['emails[type eq "work"].value'],
      { emails: [{ value: 'a@work' }, { value: 'a@home' }] },
    ],
    ['an extension', [E], { [E]: ada[E]! }],
    ['an attribute of an extension', [`${E}:department`], { [E]: { department: 'd' } }],
    ['a sub-attribute of an extension', [`${E}:manager.displayName`], { [E]: { manager: { displayName: 'Bob' } } }],
    ['an extension and an attribute of it', [E, `${E}:department`], { [E]: ada[E]! }],
    [
      'an extension’s attribute by its short name',
      ['manager'],
      { [E]: { manager: { value: 'm', displayName: 'Bob' } } },
    ],
    ['a common attribute', ['meta.version'], { meta: { version: 'W/"1"' } }],
    ['what is not there', ['nickName', 'phoneNumbers.value'], {}],
    ['what does not exist', ['shoeSize', 'name.shoeSize', 'constructor', '', '[', ']', '[]', '.', ','], {}],
  ])('%s', (_, attributes, expected) => {
    expect(seen(attributes)).toEqual({ ...always, ...expected });
  });
});

describe('excludedAttributes hides these', () => {
  it.each<[string, string[], (all: JsonObject) => void]>([
    ['one', ['userName'], (all) => delete all['userName']],
    ['a list', ['Emails'], (all) => delete all['emails']],
    [
      'a sub-attribute',
      ['name.givenName'],
      (all) => {
        all['name'] = { familyName: 'King' };
      },
    ],
    ['every sub-attribute that there is', ['name.givenName', 'name.familyName'], (all) => delete all['name']],
    [
      'a sub-attribute of every element',
      ['emails.type'],
      (all) => {
        all['emails'] = [{ value: 'a@work' }, { value: 'a@home' }];
      },
    ],
    ['an extension', [E], (all) => delete all[E]],
    [
      'a sub-attribute of an extension',
      [`${E}:manager.value`],
      (all) => {
        all[E] = { department: 'd', manager: { displayName: 'Bob' } };
      },
    ],
    ['but never id and schemas', ['id', 'schemas', 'ID'], () => {}],
    ['nor what does not exist', ['shoeSize', 'members'], () => {}],
  ])('%s', (_, excluded, change) => {
    const expected = structuredClone(ada);
    change(expected);
    expect(seen(undefined, excluded)).toEqual(expected);
  });
});

it('where both are given, what is excluded is left out of what is asked for', () => {
  expect(seen(['name', 'userName'], ['name.givenName', 'emails'])).toEqual({
    ...always,
    userName: 'ada',
    name: { familyName: 'King' },
  });
  expect(seen(['userName'], ['userName'])).toEqual(always);
});

it('what is returned never is not shown, even when asked for; what is returned on request only when asked for', () => {
  const type: ResourceType = {
    ...userType,
    attributes: [...userType.attributes, attribute('onRequest', 'string', '', { returned: 'request' })],
  };
  const secret = { ...ada, password: 'pa55', onRequest: 'x' };
  expect(project(type, secret, {})).toEqual(ada);
  expect(project(type, secret, projection(type, ['password', 'onRequest'], undefined))).toEqual({
    ...always,
    onRequest: 'x',
  });
});

it('what the schema does not know is not shown, and the representation stays as it was', () => {
  const before = structuredClone(ada);
  expect(project(userType, { ...ada, shoeSize: 44, toString: 'x' }, {})).toEqual(ada);
  seen(['emails.value'], ['name.givenName']);
  expect(ada).toEqual(before);
});

it('a megabyte of brackets, dots or commas costs no more than its length', () => {
  for (const part of ['[', ']', '[]', '].[', '.', ':', 'emails[', `${E}:`]) {
    expectLinear((n) => seen([part.repeat(n / part.length)]), 1_000_000, part);
  }
});
