import { describe, expect, it } from 'vitest';
import { Budget, MAX_PATH_STEPS, MAX_PATH_TERMS } from '../../../src/scim/patch/budget';
import { needsMembers, replacedBy, splitMembership } from '../../../src/scim/patch/membership';
import { parsePatch } from '../../../src/scim/patch/parse';
import type { Quirks } from '../../../src/scim/quirks';
import type { JsonObject } from '../../../src/scim/resource';
import { groupType } from '../../../src/scim/schema/types';
import { GROUP, PATCH_OP } from '../../../src/scim/urns';
import { refusalOf } from '../../support/refusal';

const baseUrl = 'https://scim.example/scim/v2';
const split = (operations: unknown[], current: JsonObject[] = [], quirks: Quirks = new Set(), budget = new Budget()) =>
  splitMembership(groupType, parsePatch({ schemas: [PATCH_OP], Operations: operations }, quirks), current, quirks, {
    baseUrl,
    budget,
  });
/** What the members become, in one line. */
function change(operations: unknown[], current: JsonObject[] = []): string {
  const { isReplaced, add, remove } = split(operations, current).members;
  // Whoever replaces all has no need to remove anybody.
  return [isReplaced ? 'all' : '', ...[...add].map((id) => `+${id}`), ...[...remove].map((id) => `-${id}`)]
    .join(' ')
    .trim();
}
const entra = (...ids: string[]) => ids.map((value) => ({ $ref: null, value }));

describe('operations on members become sets of ids', () => {
  it.each<[string, unknown[], string]>([
    ['Okta adds with a display', [{ op: 'add', path: 'members', value: [{ value: 'a', display: 'a@x' }] }], '+a'],
    ['Okta removes by a value path', [{ op: 'remove', path: 'members[value eq "a"]' }], '-a'],
    [
      'Okta removes first, then adds',
      [
        { op: 'remove', path: 'members[value eq "a"]' },
        { op: 'add', path: 'members', value: [{ value: 'b' }] },
      ],
      '+b -a',
    ],
    [
      'Okta pushes the whole group',
      [{ op: 'replace', path: 'members', value: [{ value: 'a' }, { value: 'b' }] }],
      'all +a +b',
    ],
    ['Okta pushes an empty group', [{ op: 'replace', path: 'members', value: [] }], 'all'],
    ['Okta renames with the id', [{ op: 'replace', value: { id: 'g', displayName: 'New' } }], ''],
    ['Entra adds', [{ op: 'Add', path: 'members', value: entra('a') }], '+a'],
    [
      'Entra removes those listed, and only those',
      [{ op: 'Remove', path: 'members', value: entra('a', 'b') }],
      '-a -b',
    ],
    ['Entra with its flag removes by a value path', [{ op: 'remove', path: 'members[value eq "a"]' }], '-a'],
    ['Entra renames', [{ op: 'Replace', path: 'displayName', value: 'New' }], ''],
    ['Entra names an operation', [{ name: 'addMember', op: 'add', path: 'members', value: entra('a') }], '+a'],
    ['JumpCloud removes with a value list', [{ op: 'remove', path: 'members', value: [{ value: 'a' }] }], '-a'],
    ['Keycloak empties', [{ op: 'remove', path: 'members' }], 'all'],
    [
      'Keycloak replaces with addresses',
      [{ op: 'replace', path: 'members', value: [{ value: 'a', $ref: 'Users/a' }] }],
      'all +a',
    ],
    [
      'authentik adds one by one',
      [
        { op: 'add', path: 'members', value: [{ value: 'a' }] },
        { op: 'add', path: 'members', value: [{ value: 'b' }] },
      ],
      '+a +b',
    ],
    [
      'authentik renames with the whole group',
      [{ op: 'replace', value: { id: 'g', displayName: 'N', externalId: 'e', schemas: [GROUP] } }],
      '',
    ],
    ['OneLogin adds one object', [{ op: 'add', path: 'members', value: { value: 'a' } }], '+a'],
    ['a bare id', [{ op: 'add', path: 'members', value: 'a' }], '+a'],
    ['bare ids', [{ op: 'add', path: 'members', value: ['a', 'b'] }], '+a +b'],
    ['capitalised names inside', [{ op: 'add', path: 'Members', value: [{ Value: 'a', Display: 'A' }] }], '+a'],
    ['the path with its URN', [{ op: 'add', path: `${GROUP}:members`, value: ['a'] }], '+a'],
    ['no path', [{ op: 'add', value: { members: [{ value: 'a' }] } }], '+a'],
    ['no path, and a qualified name', [{ op: 'add', value: { [`${GROUP}:members`]: ['a'] } }], '+a'],
    ['no path, inside the core URN', [{ op: 'add', value: { [GROUP]: { members: ['a'] } } }], '+a'],
    ['no path and replace', [{ op: 'replace', value: { members: ['a'] } }], 'all +a'],
    ['no path, and null', [{ op: 'replace', value: { members: null } }], 'all'],
    ['no path, and add of null', [{ op: 'add', value: { members: null } }], ''],
    [
      'no path, and a value path as a name',
      [{ op: 'replace', value: { 'members[value eq "a"]': { value: 'b' } } }],
      '+b -a',
    ],
    ['remove of null, which is all', [{ op: 'remove', path: 'members', value: null }], 'all'],
    ['remove of an empty list, which is nobody', [{ op: 'remove', path: 'members', value: [] }], ''],
    ['add of an empty list', [{ op: 'add', path: 'members', value: [] }], ''],
    ['duplicates', [{ op: 'add', path: 'members', value: ['a', 'a', { value: 'a' }] }], '+a'],
    ['nulls among the values', [{ op: 'add', path: 'members', value: [null, 'a', null] }], '+a'],
    ['a replaced element', [{ op: 'replace', path: 'members[value eq "a"]', value: { value: 'b' } }], '+b -a'],
    ['or in a value path', [{ op: 'remove', path: 'members[value eq "a" or value eq "b"]' }], '-a -b'],
    [
      'add, then remove',
      [
        { op: 'add', path: 'members', value: ['a'] },
        { op: 'remove', path: 'members[value eq "a"]' },
      ],
      '-a',
    ],
    [
      'remove, then add',
      [
        { op: 'remove', path: 'members', value: ['a'] },
        { op: 'add', path: 'members', value: ['a'] },
      ],
      '+a',
    ],
    [
      'add, then all go',
      [
        { op: 'add', path: 'members', value: ['a'] },
        { op: 'remove', path: 'members' },
      ],
      'all',
    ],
    [
      'all go, then add',
      [
        { op: 'remove', path: 'members' },
        { op: 'add', path: 'members', value: ['a'] },
      ],
      'all +a',
    ],
    [
      'replace, then remove one',
      [
        { op: 'replace', path: 'members', value: ['a', 'b'] },
        { op: 'remove', path: 'members[value eq "a"]' },
      ],
      'all +b -a',
    ],
    [
      'replace twice',
      [
        { op: 'replace', path: 'members', value: ['a'] },
        { op: 'replace', path: 'members', value: ['b'] },
      ],
      'all +b',
    ],
    [
      'an id that every object has',
      [{ op: 'add', path: 'members', value: ['__proto__', 'constructor'] }],
      '+__proto__ +constructor',
    ],
    ['a path-less object in a list', [{ op: 'add', value: [{ members: ['a'] }] }], '+a'],
    ['an id in a list of one', [{ op: 'add', path: 'members', value: [{ value: ['a'] }] }], '+a'],
    ['a relative $ref alone', [{ op: 'add', path: 'members', value: [{ $ref: '../Users/a' }] }], '+a'],
    ['our $ref alone', [{ op: 'add', path: 'members', value: [{ $ref: `${baseUrl}/Groups/g` }] }], '+g'],
    ['our $ref alone in a remove', [{ op: 'remove', path: 'members', value: [{ $ref: 'Users/a' }] }], '-a'],
    ['our $ref in a value path', [{ op: 'remove', path: `members[$ref eq "${baseUrl}/Users/a"]` }], '-a'],
    ['a relative $ref in a value path', [{ op: 'remove', path: 'members[$ref eq "../Users/a"]' }], '-a'],
    ['two $ref', [{ op: 'remove', path: 'members[$ref eq "Users/a" or $ref eq "Groups/g"]' }], '-a -g'],
    ['a foreign $ref in a value path', [{ op: 'remove', path: 'members[$ref eq "https://else/Users/a"]' }], ''],
    ['blanks in the path', [{ op: 'remove', path: ' members [ value eq "a" ] ' }], '-a'],
    ['ids in different letter case', [{ op: 'add', path: 'members', value: ['A', 'a'] }], '+A +a'],
  ])('%s', (_, operations, expected) => {
    expect(change(operations)).toBe(expected);
  });

  it('hundreds of them, in order, as many as one message may have', () => {
    const operations = Array.from({ length: 1_000 }, (_, i) =>
      i % 4 === 3
        ? { op: 'remove', path: `members[value eq "u${i - 1}"]` }
        : { op: 'add', path: 'members', value: [{ value: `u${i}` }] },
    );
    const { add, remove } = split(operations).members;
    expect([add.size, remove.size]).toEqual([500, 250]);
    expect(add.has('u2')).toBe(false);
  });

  it('PUT and POST replace all', () => {
    expect(replacedBy(['a', 'a', 'b'])).toEqual({ isReplaced: true, add: new Set(['a', 'b']), remove: new Set() });
  });
});

describe('what does not concern members stays for the attributes', () => {
  it.each<[string, unknown[], unknown[]]>([
    [
      'a rename',
      [{ op: 'replace', path: 'displayName', value: 'N' }],
      [{ op: 'replace', path: { path: 'displayName' }, value: 'N' }],
    ],
    [
      'members among others',
      [{ op: 'replace', value: { displayName: 'N', members: ['a'] } }],
      [{ op: 'replace', value: { displayName: 'N' } }],
    ],
    [
      'members alone',
      [
        { op: 'replace', value: { members: ['a'] } },
        { op: 'add', path: 'members', value: ['b'] },
      ],
      [],
    ],
    ['a value that is no object', [{ op: 'replace', value: 'x' }], [{ op: 'replace', value: 'x' }]],
  ])('%s', (_, operations, rest) => {
    expect(split(operations).operations).toEqual(rest);
  });
});

describe('a filter by other things than the id', () => {
  const current = [
    { value: 'a', type: 'user', display: 'ada' },
    { value: 'b', type: 'user', display: 'bob' },
    { value: 'g', type: 'group', display: 'team' },
  ];

  it.each<[string, string, string]>([
    ['by type', 'members[type eq "Group"]', '-g'],
    ['by display, folded', 'members[display eq "ADA"]', '-a'],
    ['by two', 'members[type eq "User" and display sw "b"]', '-b'],
    ['by all but one', 'members[not (value eq "a")]', '-b -g'],
    ['by an id and more', 'members[value eq "a" and type eq "Group"]', ''],
    ['by the beginning of an id', 'members[value sw "a"]', '-a'],
    ['of nobody', 'members[display eq "nobody"]', ''],
    ['by the end of a $ref', 'members[$ref ew "/Users/a"]', '-a'],
    ['by the kind of a $ref', `members[$ref sw "${baseUrl}/Groups/"]`, '-g'],
  ])('%s must know who is there', (_, path, expected) => {
    const operations = [{ op: 'remove', path }];
    expect(needsMembers(groupType, parsePatch({ Operations: operations }, new Set()), { baseUrl })).toBe(true);
    expect(change(operations, current)).toBe(expected);
  });

  it('does so also where it stands as a name', () => {
    const operations = [{ op: 'replace', value: { 'members[type eq "User"]': { value: 'c' } } }];
    expect(needsMembers(groupType, parsePatch({ Operations: operations }, new Set()))).toBe(true);
    expect(change(operations, current)).toBe('+c -a -b');
  });

  it('sees what earlier operations of the message have done', () => {
    const gone = { op: 'remove', path: 'members', value: ['a'] };
    expect(change([gone, { op: 'remove', path: 'members[display pr]' }], current)).toBe('-a -b -g');
    const again = { op: 'replace', path: 'members', value: ['a'] };
    expect(change([again, { op: 'remove', path: 'members[type eq "User"]' }], current)).toBe('all -a');
    expect(change([again, { op: 'remove', path: 'members[type eq "Group"]' }], current)).toBe('all +a');
  });

  it.each([
    ['an id', 'members[value eq "a"]'],
    ['ids', 'members[value eq "a" or value eq "b" or value eq "c"]'],
    ['none', 'members'],
    ['another attribute', 'displayName'],
  ])('is none with %s: the group is not read', (_, path) => {
    expect(needsMembers(groupType, parsePatch({ Operations: [{ op: 'remove', path }] }, new Set()))).toBe(false);
  });
});

describe('the quirks that a message needed are noted', () => {
  it.each<[string, unknown, string[]]>([
    ['a value list in remove', { op: 'remove', path: 'members', value: [{ value: 'a' }] }, ['remove-value-list']],
    ['a capital op', { op: 'Add', path: 'members', value: [{ value: 'a' }] }, ['capital-op']],
    ['a bare id', { op: 'add', path: 'members', value: ['a'] }, ['bare-string']],
    ['one object', { op: 'add', path: 'members', value: { value: 'a' } }, ['single-value']],
    ['a value path as a name', { op: 'add', value: { 'members[value eq "a"]': [{ value: 'b' }] } }, ['path-key']],
    ['nothing', { op: 'add', path: 'members', value: [{ value: 'a' }] }, []],
  ])('%s', (_, operation, expected) => {
    const quirks: Quirks = new Set();
    split([operation], [], quirks);
    expect([...quirks]).toEqual(expected);
  });
});

describe('members that are none are refused', () => {
  it.each<[string, unknown, string]>([
    ['a number', { op: 'add', path: 'members', value: 7 }, 'invalidValue'],
    ['true', { op: 'add', path: 'members', value: [true] }, 'invalidValue'],
    ['a list in the list', { op: 'add', path: 'members', value: [['a']] }, 'invalidValue'],
    ['an id that is a number', { op: 'add', path: 'members', value: [{ value: 7 }] }, 'invalidValue'],
    ['an id that is an object', { op: 'add', path: 'members', value: [{ value: { id: 'a' } }] }, 'invalidValue'],
    ['two ids in one', { op: 'add', path: 'members', value: [{ value: ['a', 'b'] }] }, 'invalidValue'],
    ['a foreign $ref alone', { op: 'add', path: 'members', value: [{ $ref: 'https://else/Users/a' }] }, 'invalidValue'],
    [
      'a foreign $ref alone in a remove',
      { op: 'remove', path: 'members', value: [{ $ref: 'https://else/Users/a' }] },
      'invalidValue',
    ],
    ['no id', { op: 'add', path: 'members', value: [{ display: 'Ada' }] }, 'invalidValue'],
    ['nothing but unknown names', { op: 'replace', path: 'members', value: [{ id: 'a' }] }, 'invalidValue'],
    ['an empty object', { op: 'replace', path: 'members', value: [{}] }, 'invalidValue'],
    ['one good among bad', { op: 'remove', path: 'members', value: [{ value: 'a' }, {}] }, 'invalidValue'],
    ['an id that is too long', { op: 'add', path: 'members', value: ['x'.repeat(20_000)] }, 'invalidValue'],
    ['a lone surrogate', { op: 'add', path: 'members', value: ['\ud800'] }, 'invalidValue'],
    ['a null character', { op: 'add', path: 'members', value: ['a\0'] }, 'invalidValue'],
    ['a sub-attribute of one', { op: 'replace', path: 'members[value eq "a"].display', value: 'x' }, 'mutability'],
    ['a sub-attribute of all', { op: 'replace', path: 'members.value', value: 'x' }, 'mutability'],
    ['a sub-attribute as a name', { op: 'add', value: { 'members.value': 'x' } }, 'mutability'],
    ['an unknown name in the filter', { op: 'remove', path: 'members[nothing eq "a"]' }, 'invalidFilter'],
    ['a filter of a sub-attribute', { op: 'remove', path: 'members.value[type eq "a"]' }, 'mutability'],
  ])('%s', (_, operation, scimType) => {
    const refusal = refusalOf(() => split([operation]));
    expect([refusal.status, refusal.scimType, refusal.detail]).toEqual([400, scimType, expect.any(String)]);
  });
});

it('an unknown sub-attribute of members is passed over with the other unknown paths', () => {
  for (const path of ['members.shoeSize', 'members[value eq "a"].shoeSize']) {
    const { operations, members } = split([{ op: 'replace', path, value: 1 }]);
    expect(operations).toHaveLength(1);
    expect([members.isReplaced, members.add.size, members.remove.size]).toEqual([false, 0, 0]);
  }
});

describe('what the members of a PATCH cost', () => {
  const current = Array.from({ length: 50_000 }, (_, i) => ({ value: `u${i}`, type: 'user', display: `name ${i}` }));
  const refusal = (operations: unknown[]) => refusalOf(() => split(operations, current));

  it('grows with what is sent: 20,000 ids leave a group in one operation', () => {
    const budget = new Budget();
    const value = Array.from({ length: 20_000 }, (_, i) => ({ value: `u${i}` }));
    expect(split([{ op: 'remove', path: 'members', value }], [], new Set(), budget).members.remove.size).toBe(20_000);
    expect(budget.steps).toBe(200_000);
  });

  it('is refused beyond the limit of steps, wherever the filter stands', () => {
    const paths = Array.from({ length: 100 }, (_, i) => ({ op: 'remove', path: `members[display eq "n${i}"]` }));
    const keys = Object.fromEntries(paths.map(({ path }) => [path, { value: 'x' }]));
    for (const operations of [paths, [{ op: 'replace', value: keys }]]) {
      expect(refusal(operations)).toMatchObject({ status: 400, scimType: 'tooMany' });
      expect(refusal(operations).detail).toContain(`${MAX_PATH_STEPS}`);
    }
  });

  it('is refused beyond the limit of terms, wherever the filter stands', () => {
    const filter = Array.from({ length: 200 }, (_, i) => `value eq "v${i}"`).join(' or ');
    const paths = Array.from({ length: 26 }, (_, i) => ({
      op: 'remove',
      path: `members[${filter} or value eq "a${i}"]`,
    }));
    const keys = Object.fromEntries(paths.map(({ path }) => [path, { value: 'x' }]));
    for (const operations of [paths, [{ op: 'replace', value: keys }]]) {
      expect(refusal(operations)).toMatchObject({ status: 400, scimType: 'tooMany' });
      expect(refusal(operations).detail).toContain(`${MAX_PATH_TERMS}`);
    }
  });
});
