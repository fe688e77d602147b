import { describe, expect, it } from 'vitest';
import { applyPatch, type PatchOptions } from '../../../src/scim/patch/apply';
import { Budget, MAX_PATH_STEPS } from '../../../src/scim/patch/budget';
import { parsePatch } from '../../../src/scim/patch/parse';
import type { Quirks } from '../../../src/scim/quirks';
import type { Resource } from '../../../src/scim/resource';
import { userType } from '../../../src/scim/schema/types';
import { ENTERPRISE_USER as E, GROUP, USER } from '../../../src/scim/urns';
import { MAX_VALUES } from '../../../src/scim/validate';
import { refusalOf } from '../../support/refusal';

type Operations = readonly Record<string, unknown>[];

const baseUrl = 'https://scim.example/scim/v2';
const patched = (before: Resource, operations: Operations, options: PatchOptions = { baseUrl }): Resource => {
  const quirks: Quirks = new Set();
  return applyPatch(userType, before, parsePatch({ Operations: operations }, quirks), quirks, options);
};

const work = { value: 'a@work', type: 'work', primary: true };
const home = { value: 'a@home', type: 'home' };
const bare = { value: 'a@bare' };
const ada: Resource = {
  userName: 'ada',
  title: 'Countess',
  name: { givenName: 'Ada', familyName: 'King' },
  active: true,
  emails: [work, home, bare],
  [E]: { department: 'd', manager: { value: 'm1' } },
};

/** What ada becomes: only the members that differ; undefined for those that are gone. */
type Row = readonly [sentence: string, operations: Operations, changes: Record<string, unknown>];

const table = (rows: readonly Row[]) => {
  it.each(rows.map((row) => [row[0], row] as const))('%s', (_, [, operations, changes]) => {
    const expected = Object.fromEntries(
      Object.entries({ ...ada, ...changes }).filter(([, value]) => value !== undefined),
    );
    expect(patched(ada, operations)).toEqual(expected);
  });
};

describe('add (RFC 7644 §3.5.2.1)', () => {
  table([
    ['sets a value that is not there', [{ op: 'add', path: 'nickName', value: 'A' }], { nickName: 'A' }],
    ['replaces a single value', [{ op: 'add', path: 'title', value: 'Lady' }], { title: 'Lady' }],
    ['of a value that is there changes nothing', [{ op: 'add', path: 'title', value: 'Countess' }], {}],
    [
      'appends to a list',
      [{ op: 'add', path: 'emails', value: [{ value: 'b' }] }],
      { emails: [work, home, bare, { value: 'b' }] },
    ],
    ['makes a list', [{ op: 'add', path: 'roles', value: [{ value: 'b' }] }], { roles: [{ value: 'b' }] }],
    ['of an element that is there changes nothing', [{ op: 'add', path: 'emails', value: [home] }], {}],
    [
      'of an element in other letters changes only how it is written',
      [{ op: 'add', path: 'emails', value: [{ value: 'A@HOME', type: 'Home' }] }],
      { emails: [work, { value: 'A@HOME', type: 'Home' }, bare] },
    ],
    [
      'of an element with more about it completes the one that is there',
      [{ op: 'add', path: 'emails', value: [{ ...home, display: 'd' }] }],
      { emails: [work, { ...home, display: 'd' }, bare] },
    ],
    [
      'of one value with another type is another element',
      [{ op: 'add', path: 'emails', value: [{ value: 'a@home', type: 'other' }] }],
      { emails: [work, home, bare, { value: 'a@home', type: 'other' }] },
    ],
    [
      'of one element twice adds it once',
      [{ op: 'add', path: 'roles', value: [{ value: 'b' }, { value: 'B' }] }],
      { roles: [{ value: 'B' }] },
    ],
    ['of an empty list changes nothing', [{ op: 'add', path: 'emails', value: [] }], {}],
    ['of nothing changes nothing', [{ op: 'add', value: {} }], {}],
    [
      'of a new primary value takes it from the old one',
      [{ op: 'add', path: 'emails', value: [{ value: 'b', primary: true }] }],
      { emails: [{ ...work, primary: false }, home, bare, { value: 'b', primary: true }] },
    ],
    [
      'of primary to an element that is there moves it',
      [{ op: 'add', path: 'emails', value: [{ ...home, primary: true }] }],
      { emails: [{ ...work, primary: false }, { ...home, primary: true }, bare] },
    ],
    [
      'on a complex attribute keeps the other sub-attributes',
      [{ op: 'add', path: 'name', value: { middleName: 'L' } }],
      { name: { givenName: 'Ada', familyName: 'King', middleName: 'L' } },
    ],
    [
      'on a sub-attribute',
      [{ op: 'add', path: 'name.middleName', value: 'L' }],
      { name: { givenName: 'Ada', familyName: 'King', middleName: 'L' } },
    ],
    [
      'on a sub-attribute of what is not there',
      [{ op: 'add', path: 'addresses[type eq "work"].locality', value: 'L' }],
      { addresses: [{ type: 'work', locality: 'L' }] },
    ],
    [
      'without a path names attributes',
      [{ op: 'add', value: { nickname: 'Babs', emails: [{ value: 'b' }] } }],
      { nickName: 'Babs', emails: [work, home, bare, { value: 'b' }] },
    ],
    [
      'on the elements that a filter selects completes them',
      [{ op: 'add', path: 'emails[type eq "home"]', value: { display: 'd' } }],
      { emails: [work, { ...home, display: 'd' }, bare] },
    ],
    [
      'on an extension keeps its other attributes',
      [{ op: 'add', path: E, value: { division: 'v' } }],
      { [E]: { department: 'd', manager: { value: 'm1' }, division: 'v' } },
    ],
    [
      'on an attribute of an extension',
      [{ op: 'add', path: `${E}:division`, value: 'v' }],
      { [E]: { department: 'd', manager: { value: 'm1' }, division: 'v' } },
    ],
    [
      'on a sub-attribute of an extension',
      [{ op: 'add', path: `${E}:manager.value`, value: 'm2' }],
      { [E]: { department: 'd', manager: { value: 'm2' } } },
    ],
  ]);

  it('makes an extension that is not there', () => {
    const { [E]: _, ...plain } = ada;
    expect(patched(plain, [{ op: 'add', path: `${E}:manager.value`, value: 'm' }])).toEqual({
      ...plain,
      [E]: { manager: { value: 'm' } },
    });
  });
});

describe('remove (RFC 7644 §3.5.2.2)', () => {
  table([
    ['unassigns an attribute', [{ op: 'remove', path: 'title' }], { title: undefined }],
    ['in other letters, with the core URN', [{ op: 'remove', path: `${USER}:TITLE` }], { title: undefined }],
    ['unassigns a whole list', [{ op: 'remove', path: 'emails' }], { emails: undefined }],
    ['unassigns a complex attribute', [{ op: 'remove', path: 'name' }], { name: undefined }],
    ['unassigns a sub-attribute', [{ op: 'remove', path: 'name.givenName' }], { name: { familyName: 'King' } }],
    [
      'of the last sub-attribute unassigns the whole',
      [
        { op: 'remove', path: 'name.givenName' },
        { op: 'remove', path: 'name.familyName' },
      ],
      { name: undefined },
    ],
    [
      'removes what a filter selects',
      [{ op: 'remove', path: 'emails[type eq "work" and value ew "work"]' }],
      { emails: [home, bare] },
    ],
    [
      'removes every element that a filter selects',
      [{ op: 'remove', path: 'emails[value sw "a@"]' }],
      { emails: undefined },
    ],
    [
      'removes the elements without a type',
      [{ op: 'remove', path: 'emails[not (type pr)]' }],
      { emails: [work, home] },
    ],
    [
      'removes a sub-attribute of what a filter selects',
      [{ op: 'remove', path: 'emails[type eq "work"].primary' }],
      { emails: [{ value: 'a@work', type: 'work' }, home, bare] },
    ],
    [
      'removes a sub-attribute of every element',
      [{ op: 'remove', path: 'emails.type' }],
      { emails: [{ value: 'a@work', primary: true }, { value: 'a@home' }, bare] },
    ],
    [
      'of the last sub-attribute removes the element',
      [{ op: 'remove', path: 'emails[value eq "a@bare"].value' }],
      { emails: [work, home] },
    ],
    [
      'of what is not there is success',
      [
        { op: 'remove', path: 'nickName' },
        { op: 'remove', path: 'roles' },
        { op: 'remove', path: 'addresses.locality' },
        { op: 'remove', path: 'name.middleName' },
      ],
      {},
    ],
    [
      'of what no filter matches is success',
      [
        { op: 'remove', path: 'emails[type eq "fax"]' },
        { op: 'remove', path: 'roles[value eq "x"].display' },
      ],
      {},
    ],
    ['of an extension', [{ op: 'remove', path: E }], { [E]: undefined }],
    [
      'of the last attributes of an extension unassigns it',
      [
        { op: 'remove', path: `${E}:department` },
        { op: 'remove', path: `${E}:manager.value` },
      ],
      { [E]: undefined },
    ],
    ['of active', [{ op: 'remove', path: 'active' }], { active: undefined }],
    [
      'of a list with values: these only',
      [{ op: 'remove', path: 'emails', value: [{ value: 'A@WORK' }, { value: 'a@bare', type: 'out of date' }] }],
      { emails: [home] },
    ],
    [
      'of a list with one object',
      [{ op: 'remove', path: 'emails', value: { value: 'a@work' } }],
      { emails: [home, bare] },
    ],
    ['of a list with bare values', [{ op: 'remove', path: 'emails', value: ['a@work', 'a@home'] }], { emails: [bare] }],
    [
      'of a list with an element that has no value',
      [{ op: 'remove', path: 'emails', value: [{ type: 'home' }] }],
      { emails: [work, bare] },
    ],
    [
      'of a list with values that are not there removes none',
      [{ op: 'remove', path: 'emails', value: [{ value: 'x' }] }],
      {},
    ],
    [
      'of a list with an empty list removes none: never all by accident',
      [{ op: 'remove', path: 'emails', value: [] }],
      {},
    ],
    ['of a list with an empty object removes none', [{ op: 'remove', path: 'emails', value: [{}] }], {}],
    [
      'of a list with null for a value means the list',
      [{ op: 'remove', path: 'emails', value: null }],
      { emails: undefined },
    ],
    ['of schemas changes nothing', [{ op: 'remove', path: 'schemas' }], {}],
  ]);
});

describe('replace (RFC 7644 §3.5.2.3)', () => {
  table([
    ['replaces a single value', [{ op: 'replace', path: 'title', value: 'Lady' }], { title: 'Lady' }],
    [
      'sets a value that is not there, as add does',
      [{ op: 'replace', path: 'nickName', value: 'A' }],
      { nickName: 'A' },
    ],
    [
      'replaces a whole list',
      [{ op: 'replace', path: 'emails', value: [{ value: 'b' }] }],
      { emails: [{ value: 'b' }] },
    ],
    ['by an empty list unassigns', [{ op: 'replace', path: 'emails', value: [] }], { emails: undefined }],
    ['by null unassigns', [{ op: 'replace', path: 'title', value: null }], { title: undefined }],
    ['by null unassigns a list', [{ op: 'replace', path: 'emails', value: null }], { emails: undefined }],
    ['by null unassigns a complex attribute', [{ op: 'replace', path: 'name', value: null }], { name: undefined }],
    [
      'on a complex attribute keeps the sub-attributes it does not name',
      [{ op: 'replace', path: 'name', value: { givenName: 'Augusta' } }],
      { name: { givenName: 'Augusta', familyName: 'King' } },
    ],
    [
      'on a complex attribute unassigns a sub-attribute by null',
      [{ op: 'replace', path: 'name', value: { givenName: null } }],
      { name: { familyName: 'King' } },
    ],
    [
      'on a sub-attribute',
      [{ op: 'replace', path: 'NAME.GIVENNAME', value: 'Augusta' }],
      { name: { givenName: 'Augusta', familyName: 'King' } },
    ],
    [
      'on an element that a filter selects: the whole of it',
      [{ op: 'replace', path: 'emails[type eq "work"]', value: { type: 'work', value: 'b' } }],
      { emails: [{ type: 'work', value: 'b' }, home, bare] },
    ],
    [
      'on such an element keeps what the filter says of it',
      [{ op: 'replace', path: 'emails[type eq "work"]', value: { value: 'b' } }],
      { emails: [{ type: 'work', value: 'b' }, home, bare] },
    ],
    [
      'on a sub-attribute of such an element',
      [{ op: 'replace', path: 'emails[type eq "work"].value', value: 'b' }],
      { emails: [{ ...work, value: 'b' }, home, bare] },
    ],
    [
      'on a sub-attribute of every element',
      [{ op: 'replace', path: 'emails.display', value: 'd' }],
      {
        emails: [
          { ...work, display: 'd' },
          { ...home, display: 'd' },
          { ...bare, display: 'd' },
        ],
      },
    ],
    [
      'by null on a sub-attribute of an element',
      [{ op: 'replace', path: 'emails[type eq "home"].type', value: null }],
      { emails: [work, { value: 'a@home' }, bare] },
    ],
    [
      'by null where no element matches makes none',
      [{ op: 'replace', path: 'roles[type eq "x"].value', value: null }],
      {},
    ],
    [
      'of primary clears the others',
      [{ op: 'replace', path: 'emails[type eq "home"].primary', value: true }],
      { emails: [{ ...work, primary: false }, { ...home, primary: true }, bare] },
    ],
    [
      'of several values by a filter',
      [{ op: 'replace', path: 'emails[type pr].display', value: 'd' }],
      { emails: [{ ...work, display: 'd' }, { ...home, display: 'd' }, bare] },
    ],
    [
      'without a path names attributes',
      [{ op: 'replace', value: { title: 'Lady', emails: [{ value: 'b' }], name: { givenName: 'A' } } }],
      { title: 'Lady', emails: [{ value: 'b' }], name: { givenName: 'A', familyName: 'King' } },
    ],
    [
      'without a path leaves alone what it does not name',
      [{ op: 'replace', value: { title: 'Lady' } }],
      { title: 'Lady' },
    ],
    [
      'without a path ignores unknown and readOnly attributes',
      [
        {
          op: 'replace',
          value: { id: 'x', shoeSize: 4, groups: [{ value: 'g' }], meta: { version: 'x' }, constructor: 1 },
        },
      ],
      {},
    ],
    [
      'without a path ignores an unknown dotted key',
      [{ op: 'replace', value: { 'name.shoeSize': 1, 'foo.bar': 2, 'urn:x:y': 3 } }],
      {},
    ],
    [
      'without a path, of an extension, keeps what it does not name',
      [{ op: 'replace', value: { [E]: { division: 'v' } } }],
      { [E]: { department: 'd', manager: { value: 'm1' }, division: 'v' } },
    ],
    ['by null of an extension unassigns it', [{ op: 'replace', value: { [E]: null } }], { [E]: undefined }],
    ['on schemas changes nothing', [{ op: 'replace', path: 'schemas', value: ['urn:x'] }], {}],
    ['of userName', [{ op: 'replace', path: 'userName', value: 'Augusta' }], { userName: 'Augusta' }],
    [
      'on a manager by a filter',
      [{ op: 'replace', path: 'manager[value eq "m1"].value', value: 'm2' }],
      { [E]: { department: 'd', manager: { value: 'm2' } } },
    ],
  ]);
});

describe('a value filter without a match', () => {
  table([
    [
      'makes the element that it describes',
      [{ op: 'replace', path: 'emails[type eq "fax"].value', value: 'f' }],
      { emails: [work, home, bare, { type: 'fax', value: 'f' }] },
    ],
    [
      'by its several terms',
      [{ op: 'add', path: 'roles[type eq "t" and primary eq true and display eq "d"].value', value: 'v' }],
      { roles: [{ type: 't', primary: true, display: 'd', value: 'v' }] },
    ],
    [
      'in groups',
      [{ op: 'add', path: 'roles[(type eq "t") and (display eq "d" and primary eq false)].value', value: 'v' }],
      { roles: [{ type: 't', display: 'd', primary: false, value: 'v' }] },
    ],
    [
      'with the whole element as its value',
      [{ op: 'add', path: 'addresses[type eq "work"]', value: { locality: 'L' } }],
      { addresses: [{ type: 'work', locality: 'L' }] },
    ],
    [
      'once: the next operation finds it',
      [
        { op: 'add', path: 'addresses[type eq "work"].locality', value: 'L' },
        { op: 'add', path: 'addresses[type eq "work"].country', value: 'GB' },
      ],
      { addresses: [{ type: 'work', locality: 'L', country: 'GB' }] },
    ],
    [
      'and a new primary takes over',
      [{ op: 'add', path: 'emails[type eq "fax" and primary eq true].value', value: 'f' }],
      { emails: [{ ...work, primary: false }, home, bare, { type: 'fax', primary: true, value: 'f' }] },
    ],
    [
      'by a number, as the text of a string',
      [{ op: 'add', path: 'roles[value eq 7].type', value: 't' }],
      { roles: [{ value: '7', type: 't' }] },
    ],
  ]);

  it('makes the element too when the value only repeats the filter', () => {
    const email = [{ op: 'add', path: 'emails[value eq "a@x"]', value: { value: 'a@x' } }];
    expect(patched({ userName: 'a' }, email)).toEqual({ userName: 'a', emails: [{ value: 'a@x' }] });
    const type = [{ op: 'replace', path: 'emails[type eq "work"].type', value: 'work' }];
    expect(patched({ userName: 'a' }, type)).toEqual({ userName: 'a', emails: [{ type: 'work' }] });
  });

  it('makes the manager who is not there', () => {
    const after = patched({ userName: 'a' }, [{ op: 'add', path: 'manager[value eq "m"]', value: { value: 'm' } }]);
    expect(after).toEqual({ userName: 'a', [E]: { manager: { value: 'm' } } });
  });

  it.each([
    ['another operator', 'emails[type ne "work" and type ne "home" and type pr].value'],
    ['or', 'emails[type eq "fax" or type eq "pager"].value'],
    ['not', 'emails[not (value sw "a")].value'],
    ['pr', 'roles[type pr].value'],
    ['null', 'emails[value eq null].value'],
    ['a contradiction', 'emails[type eq "fax" and type eq "pager"].value'],
    ['a manager that is another', `${E}:manager[value eq "m2"].value`],
  ])('of any other kind is noTarget: %s', (_, path) => {
    const refusal = refusalOf(() => patched(ada, [{ op: 'replace', path, value: 'x' }]));
    expect(refusal).toMatchObject({ status: 400, scimType: 'noTarget' });
    expect(refusal.detail).toContain(path.split('[')[0]);
  });
});

describe('operations', () => {
  table([
    [
      'apply in their order',
      [
        { op: 'remove', path: 'title' },
        { op: 'add', path: 'title', value: 'A' },
        { op: 'replace', path: 'title', value: 'B' },
      ],
      { title: 'B' },
    ],
    [
      'see what the one before has done',
      [
        { op: 'add', path: 'emails', value: [{ value: 'n', type: 'new' }] },
        { op: 'replace', path: 'emails[type eq "new"].value', value: 'm' },
        { op: 'remove', path: 'emails[value ew "bare"]' },
      ],
      { emails: [work, home, { value: 'm', type: 'new' }] },
    ],
    [
      'may add and remove one element in one message',
      [
        { op: 'add', path: 'emails', value: [{ value: 'n' }] },
        { op: 'remove', path: 'emails[value eq "n"]' },
      ],
      {},
    ],
    [
      'may move primary back and forth',
      [
        { op: 'replace', path: 'emails[type eq "home"].primary', value: true },
        { op: 'replace', path: 'emails[type eq "work"].primary', value: true },
      ],
      { emails: [work, { ...home, primary: false }, bare] },
    ],
    [
      'may empty userName on the way, if it is there in the end',
      [
        { op: 'replace', path: 'userName', value: null },
        { op: 'add', path: 'userName', value: 'b' },
      ],
      { userName: 'b' },
    ],
  ]);

  it('are all or nothing: the resource they were tried on is as it was', () => {
    const before = structuredClone(ada);
    const good = [
      { op: 'replace', path: 'emails[type eq "work"].value', value: 'x' },
      { op: 'remove', path: 'name.givenName' },
      { op: 'add', path: 'emails', value: [{ value: 'y', primary: true }] },
      { op: 'replace', path: `${E}:manager`, value: { value: 'm2' } },
    ];
    expect(
      refusalOf(() => patched(before, [...good, { op: 'replace', path: 'active', value: 'maybe' }])),
    ).toMatchObject({ scimType: 'invalidValue' });
    expect(before).toEqual(ada);
    patched(before, good);
    expect(before).toEqual(ada);
  });

  it('leave the value that was sent as it was, and share nothing with it', () => {
    const value = [{ value: 'n', primary: true }];
    const after = patched(ada, [
      { op: 'add', path: 'emails', value },
      { op: 'replace', path: 'emails[type eq "work"].primary', value: true },
    ]);
    expect(value).toEqual([{ value: 'n', primary: true }]);
    expect((after['emails'] as { primary?: boolean }[])[3]!.primary).toBe(false);
  });

  it('on several elements share nothing between them', () => {
    const after = patched({ userName: 'a', addresses: [{ type: 'x' }, { type: 'y' }] }, [
      { op: 'replace', path: 'addresses[type pr]', value: { locality: 'L' } },
      { op: 'replace', path: 'addresses.region', value: 'R' },
    ]);
    expect(after['addresses']).toEqual([
      { locality: 'L', region: 'R' },
      { locality: 'L', region: 'R' },
    ]);
  });
});

/** Each with what a detail names. */
const unknownPaths: readonly (readonly [sentence: string, path: string, scimType: string, says: string])[] = [
  ['an unknown attribute', 'shoeSize', 'invalidPath', 'shoeSize'],
  ['an unknown attribute with a filter', 'shoes[type eq "work"].size', 'invalidPath', 'shoes'],
  ['an unknown sub-attribute', 'name.shoeSize', 'invalidPath', 'name.shoeSize'],
  ['an unknown sub-attribute of a list', 'emails.shoeSize', 'invalidPath', 'emails.shoeSize'],
  ['an unknown sub-attribute behind a filter', 'emails[type eq "work"].shoeSize', 'invalidPath', 'shoeSize'],
  ['an unknown attribute of an extension', `${E}:shoeSize`, 'invalidPath', 'shoeSize'],
  ['an unknown extension', 'urn:ietf:params:scim:schemas:extension:acme:2.0:User:badge', 'invalidPath', 'acme'],
  ['an unknown attribute inside a filter', 'emails[shoeSize eq "x"].value', 'invalidFilter', 'shoeSize'],
  ['an attribute of another type', `${GROUP}:members`, 'invalidPath', 'members'],
];

describe('an unknown path', () => {
  it.each(unknownPaths)('is passed over, and what stands beside it is done: %s', (_, path, scimType, says) => {
    for (const op of ['add', 'replace', 'remove']) {
      const quirks: Quirks = new Set();
      const operations = [
        { op, path, value: 's3cret' },
        { op: 'replace', path: 'active', value: 'False' },
      ];
      const after = applyPatch(userType, ada, parsePatch({ Operations: operations }, quirks), quirks);
      expect(after).toEqual({ ...ada, active: false });
      const named = [...quirks].filter((quirk) => quirk.startsWith('unknown-path:'));
      expect(named).toHaveLength(1);
      if (scimType === 'invalidPath') expect(named[0]).toContain(says);
      expect(named[0]).not.toContain('s3cret');
      expect(patched(ada, [{ op, path, value: 's3cret' }])).toEqual(ada);
    }
  });

  it.each(unknownPaths)('is refused where the org says so: %s', (_, path, scimType, says) => {
    for (const op of ['add', 'replace', 'remove']) {
      const refusal = refusalOf(() => patched(ada, [{ op, path, value: 's3cret' }], { unknownAttributes: 'reject' }));
      expect(refusal, op).toMatchObject({ status: 400, scimType });
      expect(refusal.detail).toContain(says);
      expect(refusal.detail).not.toContain('s3cret');
    }
  });

  it('does not hide a wrong operation, a missing value or broken syntax', () => {
    const rows: [Record<string, unknown>, string][] = [
      [{ op: 'move', path: 'shoeSize', value: 1 }, 'invalidSyntax'],
      [{ op: 'add', path: 'shoeSize' }, 'invalidValue'],
      [{ op: 'add', path: 'shoeSize[', value: 1 }, 'invalidPath'],
      [{ op: 'add', path: 'shoeSize[a eq]', value: 1 }, 'invalidPath'],
      [{ op: 'add', path: 'shoe size', value: 1 }, 'invalidPath'],
      [{ op: 'add', path: `${E}:`, value: 1 }, 'invalidPath'],
      [{ op: 'add', path: `${USER}.`, value: 1 }, 'invalidPath'],
      [{ op: 'add', path: 'urn:', value: 1 }, 'invalidPath'],
    ];
    for (const [operation, scimType] of rows) {
      expect(
        refusalOf(() => patched(ada, [operation])),
        JSON.stringify(operation),
      ).toMatchObject({ scimType });
    }
  });

  it('is named at most 20 times for one message', () => {
    const quirks: Quirks = new Set();
    const operations = Array.from({ length: 100 }, (_, i) => ({ op: 'add', path: `shoe${i}`, value: 1 }));
    applyPatch(userType, ada, parsePatch({ Operations: operations }, quirks), quirks);
    expect([...quirks].filter((quirk) => quirk.startsWith('unknown-path:'))).toHaveLength(20);
  });
});

describe('a path is refused', () => {
  it.each<[string, string, string, string]>([
    ['a filter on a string', 'title[value eq "x"]', 'invalidPath', 'title'],
    ['an operator that does not fit inside a filter', 'emails[primary gt true].value', 'invalidFilter', 'primary'],
    ['a readOnly attribute', 'id', 'mutability', 'id'],
    ['a readOnly list', 'groups', 'mutability', 'groups'],
    ['an element of a readOnly list', 'groups[value eq "x"]', 'mutability', 'groups'],
    ['a sub-attribute of a readOnly attribute', 'meta.created', 'mutability', 'meta.created'],
    ['a readOnly sub-attribute', `${E}:manager.displayName`, 'mutability', 'manager.displayName'],
  ])('%s', (_, path, scimType, says) => {
    for (const op of ['add', 'replace', 'remove']) {
      const refusal = refusalOf(() => patched(ada, [{ op, path, value: 's3cret' }]));
      expect(refusal, op).toMatchObject({ status: 400, scimType });
      expect(refusal.detail).toContain(says);
      expect(refusal.detail).not.toContain('s3cret');
    }
  });
});

describe('a value is refused, named and not repeated', () => {
  it.each<[string, string | undefined, unknown, string]>([
    ['a number for a string', 'title', 90210, 'title: '],
    ['an object for a string', 'title', { s3cret: 1 }, 'title: '],
    ['a word for a boolean', 'active', 's3cret', 'active: '],
    ['an empty string for a boolean', 'active', '', 'active: '],
    ['0 for a boolean', 'active', 0, 'active: '],
    ['a string for a complex attribute', 'name', 's3cret', 'name: '],
    ['a list for a complex attribute', 'name', ['s3cret'], 'name: '],
    ['two values for one', 'title', ['s3cret', 's3cret'], 'title: '],
    ['two objects for one value', 'title', [{ value: 's3cret' }, { value: 's3cret' }], 'title: '],
    ['two booleans for one', 'active', ['false', 'false'], 'active: '],
    ['a list in a list for one value', 'title', [['s3cret']], 'title: '],
    ['an object with more than a value', 'title', { value: 's3cret', type: 'x' }, 'title: '],
    ['two objects for one', 'name', [{ givenName: 's3cret' }, { givenName: 's3cret' }], 'name: '],
    ['a string for a list of what has no value', 'addresses', 's3cret', 'addresses: '],
    ['a list of strings for a list of what has no value', 'addresses', ['s3cret'], 'addresses: '],
    ['a list of lists', 'emails', [['s3cret']], 'emails: '],
    ['a number for a list', 'emails', 90210, 'emails: '],
    [
      'two primaries',
      'emails',
      [
        { value: 'a', primary: true },
        { value: 'b', primary: true },
      ],
      'emails: ',
    ],
    ['a wrong sub-attribute', 'emails', [{ value: ['s3cret', 's3cret'] }], 'emails.value: '],
    ['a wrong sub-attribute by its path', 'name.givenName', ['s3cret', 's3cret'], 'name.givenName: '],
    ['a wrong sub-attribute of an element by its path', 'emails[type eq "work"].value', 90210, 'emails.value: '],
    ['a wrong sub-attribute of a new element', 'roles[type eq "x"].primary', 's3cret', 'roles.primary: '],
    ['a string for an element without a value', 'addresses[type eq "work"]', 's3cret', 'addresses: '],
    ['two strings for one element', 'emails[type eq "work"]', ['s3cret', 's3cret'], 'emails: '],
    ['two objects for one element', 'emails[type eq "work"]', [{ value: 'a' }, { value: 'b' }], 'emails: '],
    ['a wrong attribute of an extension', `${E}:department`, 90210, `${E}:department: `],
    ['a wrong attribute in an extension', E, { department: 90210 }, `${E}:department: `],
    ['a wrong manager', 'manager', 90210, `${E}:manager: `],
    ['a wrong password', 'password', { s3cret: 1 }, 'password: '],
    [
      'an attribute spelled twice in an object',
      'name',
      { givenName: 's3cret', GIVENNAME: 'b' },
      'name.givenName is given twice',
    ],
    ['an empty userName', 'userName', '', 'userName is required'],
    ['a userName of white space', 'userName', ' \t', 'userName is required'],
    ['null for userName', 'userName', null, 'userName is required'],
    ['NUL in a string', 'title', 's3cret\0', 'title: '],
    ['half a surrogate pair', 'title', 's3cret\ud83e', 'title: '],
    ['a string without a path', undefined, 's3cret', 'without a path'],
    ['two objects without a path', undefined, [{ title: 's3cret' }, { title: 's3cret' }], 'without a path'],
    ['null without a path', undefined, null, 'without a path'],
    ['a wrong value without a path', undefined, { title: 'x', active: 's3cret' }, 'active: '],
    ['a wrong value under a dotted key', undefined, { 'name.givenName': 90210 }, 'name.givenName: '],
    ['null for userName without a path', undefined, { userName: null }, 'userName is required'],
  ])('%s', (_, path, value, says) => {
    for (const op of ['add', 'replace']) {
      const refusal = refusalOf(() => patched(ada, [{ op, ...(path !== undefined && { path }), value }]));
      expect(refusal, op).toMatchObject({ status: 400 });
      expect(['invalidValue', 'invalidSyntax']).toContain(refusal.scimType);
      expect(refusal.detail).toContain(says);
      expect(refusal.detail).not.toMatch(/s3cret|90210/);
    }
  });

  it('in a remove', () => {
    for (const value of [[1], [null], [['a']], 5, true]) {
      expect(
        refusalOf(() => patched(ada, [{ op: 'remove', path: 'emails', value }])),
        JSON.stringify(value),
      ).toMatchObject({ status: 400, scimType: 'invalidValue' });
    }
  });
});

it('removing userName is refused as mutability: it is required (RFC 7644 §3.5.2.2)', () => {
  for (const path of ['userName', 'USERNAME', `${USER}:userName`]) {
    expect(refusalOf(() => patched(ada, [{ op: 'remove', path }]))).toMatchObject({
      status: 400,
      scimType: 'mutability',
    });
  }
});

it('a password is checked and dropped, by each of the ways to send it', () => {
  expect(patched(ada, [{ op: 'replace', path: 'password', value: 'pa55' }])).toEqual(ada);
  expect(patched(ada, [{ op: 'replace', value: { password: 'pa55' } }])).toEqual(ada);
  expect(patched(ada, [{ op: 'remove', path: 'password' }])).toEqual(ada);
});

describe('limits', () => {
  const emails = (count: number, prefix: string) =>
    Array.from({ length: count }, (_, i) => ({ value: `${prefix}${i}`, type: 'work' }));

  it(`a list does not grow beyond ${MAX_VALUES} values`, () => {
    const full = { userName: 'a', emails: emails(MAX_VALUES, 'a') };
    expect(patched(full, [{ op: 'add', path: 'emails', value: [full.emails[0]] }])).toEqual(full);
    expect(refusalOf(() => patched(full, [{ op: 'add', path: 'emails', value: [{ value: 'x' }] }])).detail).toContain(
      'at most 1000',
    );
    expect(
      refusalOf(() => patched(full, [{ op: 'add', path: 'emails[type eq "x"].value', value: 'x' }])).detail,
    ).toContain('at most 1000');
  });

  it('a resource that would become too long is refused with 413', () => {
    const operations = ['a', 'b', 'c'].map((type) => ({
      op: 'add',
      path: `photos[type eq "${type}"].value`,
      value: 'x'.repeat(200_000),
    }));
    expect(refusalOf(() => patched(ada, operations))).toMatchObject({ status: 413 });
  });

  // The body is a megabyte at most; these are what fits into it, and the bound is what a request may cost at worst.
  const kinds: [string, (i: number) => Record<string, unknown>][] = [
    ['add', (i) => ({ op: 'add', path: 'emails', value: [{ value: `a${i}`, type: 'work', display: `${i}` }] })],
    ['remove by a list', (i) => ({ op: 'remove', path: 'emails', value: [{ value: `x${i}` }] })],
    ['remove by a filter', (i) => ({ op: 'remove', path: `emails[value eq "x${i}"]` })],
    ['replace by a filter', (i) => ({ op: 'replace', path: `emails[value eq "a${i}"].display`, value: `${i}` })],
    ['replace of every element', (i) => ({ op: 'replace', path: 'emails.display', value: `${i}` })],
    ['path keys', (i) => ({ op: 'replace', value: { [`emails[value eq "a${i}"].display`]: `${i}` } })],
  ];
  it.each(kinds)('1,000 operations on 1,000 elements take less than five seconds: %s', (_, operation) => {
    const start = Date.now();
    patched(
      { userName: 'a', emails: emails(MAX_VALUES, 'a') },
      Array.from({ length: 1_000 }, (_, i) => operation(i)),
    );
    expect(Date.now() - start).toBeLessThan(5_000);
  });

  it('filters of more than 5,000 terms together are refused, wherever they stand, before they are tried on anything', () => {
    const filter = Array.from({ length: 60 }, (_, i) => `value eq "v${i}"`).join(' or ');
    const before = { userName: 'a', emails: emails(MAX_VALUES, 'a') };
    const paths = Array.from({ length: 90 }, () => ({ op: 'remove', path: `emails[${filter}]` }));
    const keys = Object.fromEntries(
      Array.from({ length: 90 }, (_, i) => [`emails[${filter} or value eq "a${i}"].display`, 'x']),
    );
    for (const operations of [paths, [{ op: 'replace', value: keys }]]) {
      expect(refusalOf(() => patched(before, operations))).toMatchObject({ status: 400, scimType: 'tooMany' });
    }
  });

  it('an attribute that a path-less value names twice, in two spellings, is refused', () => {
    const refusal = refusalOf(() => patched(ada, [{ op: 'replace', value: { userName: 'a', USERNAME: 'b' } }]));
    expect(refusal).toMatchObject({ status: 400, scimType: 'invalidSyntax' });
  });
});

it('an empty list unassigns whatever it is given for, also what has one value only', () => {
  const after = patched(ada, [{ op: 'replace', value: { title: [], name: [], emails: [] } }]);
  expect(Object.keys(after)).toEqual(['userName', 'active', E]);
});

describe('a $ref', () => {
  const manager = (value: unknown) => ({ ...ada, [E]: { department: 'd', ...(value ? { manager: { value } } : {}) } });

  it.each([
    ['under the base URL', `${baseUrl}/Users/m2`],
    ['under the base URL in other letters', `${baseUrl.toUpperCase()}/Users/m2`],
    ['relative to the resource', '../Users/m2'],
    ['relative to the base', 'Users/m2'],
    ['with a slash', '/Users/m2'],
    ['with the path of the base', '/scim/v2/Users/m2'],
    ['relative to here', './Users/m2'],
  ])('of ours alone is the manager with the id in it: %s', (_, $ref) => {
    const operations: Operations[] = [
      [{ op: 'replace', path: 'manager', value: { $ref } }],
      [{ op: 'replace', path: 'manager', value: { $ref, value: null } }],
      [{ op: 'add', path: 'manager', value: [{ $ref: [$ref] }] }],
      [{ op: 'replace', path: `${E}:manager.$ref`, value: $ref }],
      [{ op: 'add', value: { [E]: { manager: { $ref } } } }],
      [{ op: 'add', value: { [`${E}:manager.$ref`]: $ref } }],
      [{ op: 'replace', path: 'manager[value eq "m1"].$ref', value: $ref }],
    ];
    for (const one of operations) expect(patched(ada, one), JSON.stringify(one)).toEqual(manager('m2'));
  });

  it('beside a value says nothing', () => {
    for (const $ref of ['https://elsewhere.example/Users/m3', '../Users/m3', null, '']) {
      expect(patched(ada, [{ op: 'replace', path: 'manager', value: { $ref, value: 'm2' } }])).toEqual(manager('m2'));
    }
  });

  it.each([
    ['of another service', 'https://elsewhere.example/scim/v2/Users/m2'],
    ['of another organization', 'https://scim.example/orgs/other/scim/v2/Users/m2'],
    ['of a group', '../Groups/m2'],
    ['without an id', '../Users/'],
    ['with more behind the id', '../Users/m2/x'],
    ['with a query', '../Users/m2?x=y'],
    ['that is an id', 'm2'],
    ['of the host alone', 'https://scim.example/Users/m2'],
  ])('that is none of ours is refused and changes nothing: %s', (_, $ref) => {
    for (const operation of [
      { op: 'replace', path: 'manager', value: { $ref } },
      { op: 'replace', path: `${E}:manager.$ref`, value: $ref },
      { op: 'replace', value: { [E]: { manager: { $ref } } } },
    ]) {
      const refusal = refusalOf(() => patched(ada, [operation]));
      expect(refusal).toMatchObject({ status: 400, scimType: 'invalidValue' });
      expect(refusal.detail).toContain(`${E}:manager.$ref: `);
      expect(refusal.detail).not.toContain($ref);
    }
  });

  it('selects the manager in a value path', () => {
    expect(patched(ada, [{ op: 'remove', path: 'manager[$ref eq "../Users/m1"]' }])).toEqual(manager(undefined));
    expect(patched(ada, [{ op: 'remove', path: `manager[$ref eq "${baseUrl}/Users/m1"]` }])).toEqual(
      manager(undefined),
    );
    expect(patched(ada, [{ op: 'remove', path: 'manager[$ref ew "/m1"]' }])).toEqual(manager(undefined));
    expect(patched(ada, [{ op: 'remove', path: 'manager[$ref eq "../Users/m2"]' }])).toEqual(ada);
    expect(patched(ada, [{ op: 'remove', path: 'manager[$ref eq "https://elsewhere.example/Users/m1"]' }])).toEqual(
      ada,
    );
  });

  it('that is removed takes the manager with it, for both are one thing', () => {
    expect(patched(ada, [{ op: 'remove', path: `${E}:manager.$ref` }])).toEqual(manager(undefined));
    expect(patched(ada, [{ op: 'replace', path: `${E}:manager.$ref`, value: null }])).toEqual(manager(undefined));
  });
});

describe('an element without a value', () => {
  const phone = { type: 'work', primary: true };

  it.each<[string, Operations, Resource['emails'] | undefined]>([
    ['by null', [{ op: 'replace', path: 'emails[type eq "work"].value', value: null }], [home, bare]],
    ['by an empty text', [{ op: 'add', path: 'emails[type eq "work"].value', value: '' }], [home, bare]],
    ['by blanks', [{ op: 'replace', path: 'emails[type eq "work"].value', value: ' ' }], [home, bare]],
    ['by remove', [{ op: 'remove', path: 'emails[type eq "work"].value' }], [home, bare]],
    ['as a whole', [{ op: 'replace', path: 'emails[type eq "work"]', value: { value: '' } }], [home, bare]],
    ['as a whole, with its type', [{ op: 'add', path: 'emails[type eq "work"]', value: { value: '' } }], [home, bare]],
    ['all of them', [{ op: 'remove', path: 'emails.value' }], undefined],
    ['in a list', [{ op: 'replace', path: 'emails', value: [{ value: '', ...phone }, home] }], [home]],
    ['as an empty text', [{ op: 'replace', path: 'emails', value: '' }], undefined],
    ['one that is new', [{ op: 'add', path: 'emails[type eq "x"].value', value: '' }], [work, home, bare]],
  ])('is dropped: %s', (_, operations, emails) => {
    expect(patched(ada, operations)['emails']).toEqual(emails);
  });

  it('stays when a later operation of the message gives it another value', () => {
    const after = patched(ada, [
      { op: 'remove', path: 'emails[type eq "work"].value' },
      { op: 'add', path: 'emails[type eq "work"].value', value: 'b@work' },
    ]);
    expect(after['emails']).toEqual([{ ...work, value: 'b@work' }, home, bare]);
  });

  it('stays where it never had one, and where it has more than labels', () => {
    const roles = [{ type: 'x', display: 'd' }];
    expect(patched({ userName: 'a', roles }, [{ op: 'add', path: 'roles[type eq "x"].display', value: 'e' }])).toEqual({
      userName: 'a',
      roles: [{ type: 'x', display: 'e' }],
    });
    const addresses = [{ type: 'work', locality: 'L' }];
    expect(patched({ userName: 'a', addresses }, [{ op: 'remove', path: 'addresses.locality' }])).toEqual({
      userName: 'a',
      addresses: [{ type: 'work' }],
    });
  });
});

describe('what a PATCH costs', () => {
  const full = (count = MAX_VALUES) =>
    Object.fromEntries(
      ['emails', 'phoneNumbers', 'roles', 'ims', 'entitlements'].map((name) => [
        name,
        Array.from({ length: count }, (_, i) => ({ value: `a${i}`, type: 'work' })),
      ]),
    );
  const stepsOf = (before: Resource, operations: Operations): number => {
    const budget = new Budget();
    const quirks: Quirks = new Set();
    applyPatch(userType, { userName: 'a', ...before }, parsePatch({ Operations: operations }, quirks), quirks, {
      budget,
    });
    return budget.steps;
  };
  const times = (count: number, operation: (i: number) => Record<string, unknown>) =>
    Array.from({ length: count }, (_, i) => operation(i));

  it.each<[string, (i: number) => Record<string, unknown>, number]>([
    ['a value filter', (i) => ({ op: 'replace', path: `emails[value eq "a${i}"].display`, value: 'x' }), 100_000],
    ['a value filter and more', (i) => ({ op: 'remove', path: `emails[type pr and value eq "a${i}"].type` }), 100_000],
    [
      'adding what is there',
      (i) => ({ op: 'add', path: 'emails', value: [{ value: `a${i}`, type: 'work' }] }),
      150_000,
    ],
    ['removing by a list', (i) => ({ op: 'remove', path: 'emails', value: [{ value: `x${i}` }] }), 100_000],
    [
      'a new value each time',
      (i) => ({ op: 'replace', path: `emails[value eq "a${i}"].value`, value: `b${i}` }),
      100_000,
    ],
  ])('grows with the operations, not with the values: %s', (_, operation, most) => {
    expect(stepsOf(full(), times(1_000, operation))).toBeLessThan(most);
  });

  it('of a thousand changes of a thousand values is within the limit', () => {
    const steps = stepsOf(
      full(),
      times(1_000, (i) => ({ op: 'replace', path: 'emails.display', value: `${i}` })),
    );
    expect(steps).toBeLessThan(MAX_PATH_STEPS);
  });

  it.each<[string, Resource, Operations]>([
    [
      'terms that no index answers',
      full(),
      times(24, (i) => ({
        op: 'remove',
        path: `emails[${Array.from({ length: 200 }, (_, k) => `display eq "${i}-${k}"`).join(' or ')}]`,
      })),
    ],
    [
      'a filter by type, a thousand times',
      full(),
      times(1_000, () => ({ op: 'add', path: 'emails[type eq "work"].display', value: 'x' })),
    ],
    [
      'every element of every list, by names',
      full(),
      times(1_000, (i) => ({
        op: 'replace',
        value: Object.fromEntries(
          ['emails', 'phoneNumbers', 'roles', 'ims'].flatMap((name) => [
            [`${name}.display`, `${i}`],
            [`${name}.type`, `${i}`],
          ]),
        ),
      })),
    ],
    [
      'searching long texts for long texts',
      { emails: Array.from({ length: 20 }, (_, i) => ({ value: 'a'.repeat(16_000), type: `${i}` })) },
      [{ op: 'remove', path: `emails[value co "b${'a'.repeat(8_000)}"]` }],
    ],
    [
      'lists by parts of their elements',
      { addresses: Array.from({ length: MAX_VALUES }, (_, i) => ({ type: `${i}` })) },
      times(10, () => ({
        op: 'remove',
        path: 'addresses',
        value: Array.from({ length: 1_000 }, (_, i) => ({ type: `x${i}` })),
      })),
    ],
  ])('beyond the limit is refused with its number: %s', (_, before, operations) => {
    const refusal = refusalOf(() => stepsOf(before, operations));
    expect(refusal).toMatchObject({ status: 400, scimType: 'tooMany' });
    expect(refusal.detail).toContain(`${MAX_PATH_STEPS}`);
  });

  it('does not write out what would be far too long', () => {
    const photos = Array.from({ length: MAX_VALUES }, (_, i) => ({ type: `${i}` }));
    const operations = [{ op: 'replace', path: 'photos.value', value: 'x'.repeat(262_144) }];
    expect(refusalOf(() => stepsOf({ photos }, operations))).toMatchObject({ status: 413 });
  });
});
