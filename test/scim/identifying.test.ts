import { describe, expect, it } from 'vitest';
import { isId } from '../../src/scim/id';
import { identityChanges } from '../../src/scim/identifying';
import { applyPatch } from '../../src/scim/patch/apply';
import { parsePatch } from '../../src/scim/patch/parse';
import { userType } from '../../src/scim/schema/types';
import { PATCH_OP, USER } from '../../src/scim/urns';
import { readResource } from '../../src/scim/validate';
import { refusalOf } from '../support/refusal';

const read = (more: object) => readResource(userType, { schemas: [USER], userName: 'ada', ...more }, new Set());
const patch = (before: object, ...Operations: object[]) =>
  applyPatch(userType, read(before), parsePatch({ schemas: [PATCH_OP], Operations }, new Set()), new Set());
const BLANKS = ['', ' ', '\u3000', '\u200b', '\t\n'];

describe('a blank value of an attribute that identifies', () => {
  it.each(BLANKS)('%j as the externalId is no externalId', (externalId) => {
    expect(read({ externalId })).toEqual({ userName: 'ada' });
    expect(patch({ externalId: 'x' }, { op: 'replace', path: 'externalId', value: externalId })).toEqual({
      userName: 'ada',
    });
    expect(patch({ externalId: 'x' }, { op: 'add', value: { externalId } })).toEqual({ userName: 'ada' });
  });

  it.each(BLANKS)('%j as the userName is refused', (userName) => {
    expect(refusalOf(() => read({ userName }))).toMatchObject({ status: 400, scimType: 'invalidValue' });
  });

  it.each(BLANKS)('%j as the value of an e-mail address is no address', (value) => {
    expect(read({ emails: [{ value }] })['emails']).toBeUndefined();
    const path = 'emails[type eq "work"].value';
    const emails = patch({ emails: [{ value: 'a@x.test', type: 'work' }] }, { op: 'replace', path, value })['emails'];
    expect(JSON.stringify(emails ?? [])).not.toContain('value');
  });
});

describe('who a user is', () => {
  const before = read({ externalId: 'x', emails: [{ value: 'a@x.test', type: 'work', primary: true }] });

  it('is not changed by another order, type or letter case', () => {
    const after = { ...before, userName: 'ADA', emails: [{ value: 'A@X.test', type: 'home' }], title: 'Dr' };
    expect(identityChanges(before, after)).toEqual([]);
  });

  it.each([
    ['userName', { userName: 'eve' }],
    ['externalId', { externalId: 'X' }],
    ['emails', { emails: [{ value: 'b@x.test' }] }],
    ['emails', { emails: [{ value: 'a@x.test' }, { value: 'b@x.test' }] }],
  ])('is changed by another %s', (attribute, more) => {
    expect(identityChanges(before, { ...before, ...more })).toEqual([attribute]);
  });

  it('is changed by what is taken away', () => {
    expect(identityChanges(before, { userName: 'ada' })).toEqual(['externalId', 'emails']);
  });
});

it.each([
  ['acct-17', true],
  ['_a.b', true],
  ['a'.repeat(64), true],
  ['a'.repeat(65), false],
  ['', false],
  ['.', false],
  ['..', false],
  ['.a', false],
  ['a/b', false],
  ['a\n', false],
  ['ä', false],
])('%j is an id, or none: %s', (id, is) => {
  expect(isId(id)).toBe(is);
});
