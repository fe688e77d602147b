/** Each quirk: what is sent, what it becomes, and the name that the journal keeps. A new quirk must be shown here. */
import { describe, expect, it } from 'vitest';
import { applyPatch } from '../../src/scim/patch/apply';
import { parsePatch } from '../../src/scim/patch/parse';
import { bareWord, booleanOf, type Quirk, type Quirks } from '../../src/scim/quirks';
import type { Resource } from '../../src/scim/resource';
import { userType } from '../../src/scim/schema/types';
import { ENTERPRISE_USER as E, PATCH_OP, USER } from '../../src/scim/urns';
import { readResource } from '../../src/scim/validate';

interface Sent {
  readonly by: string;
  readonly body: Record<string, unknown>;
  readonly becomes: Resource;
  readonly quirks: readonly Quirk[];
}

interface Patched {
  readonly by: string;
  readonly before?: Resource;
  readonly operation: Record<string, unknown>;
  readonly becomes: Resource;
  readonly quirks: readonly Quirk[];
}

const resources: readonly Sent[] = [
  {
    by: 'Entra ID’s validator: roles[].primary as "True"',
    body: { roles: [{ primary: 'True', display: 'd', value: 'v', type: 't' }] },
    becomes: { roles: [{ value: 'v', display: 'd', type: 't', primary: true }] },
    quirks: ['boolean-string'],
  },
  {
    by: 'OneLogin’s template: active as "{$user.active}"',
    body: { active: 'false' },
    becomes: { active: false },
    quirks: ['boolean-string'],
  },
  {
    by: 'OneLogin’s template: emails as one object',
    body: { emails: { value: 'a@x', type: 'work' } },
    becomes: { emails: [{ value: 'a@x', type: 'work' }] },
    quirks: ['single-value'],
  },
  {
    by: 'OneLogin: "id": null, and manager as {managerId, displayName}',
    body: { id: null, [E]: { department: 'd', manager: { managerId: '7', displayName: 'Bob' } } },
    becomes: { [E]: { department: 'd' } },
    quirks: [],
  },
  {
    by: 'OneLogin: the 2.0 URNs without ietf',
    body: {
      schemas: ['urn:scim:schemas:core:2.0', 'urn:scim:schemas:extension:enterprise:2.0'],
      'urn:scim:schemas:extension:enterprise:2.0': { department: 'd' },
    },
    becomes: { [E]: { department: 'd' } },
    quirks: ['legacy-schema'],
  },
  {
    by: 'Google: a 1.0 URN first, the right one beside it',
    body: { schemas: ['urn:scim:schemas:core:1.0', USER] },
    becomes: {},
    quirks: [],
  },
  {
    by: 'Google in its older form: the 1.0 URN alone',
    body: { schemas: ['urn:scim:schemas:core:1.0'] },
    becomes: {},
    quirks: ['legacy-schema'],
  },
  { by: 'sloppy clients: no schemas', body: { schemas: undefined }, becomes: {}, quirks: ['missing-schemas'] },
  { by: 'keycloak issue 51156: schemas null', body: { schemas: null }, becomes: {}, quirks: ['missing-schemas'] },
  { by: 'sloppy clients: schemas []', body: { schemas: [] }, becomes: {}, quirks: ['missing-schemas'] },
  {
    by: 'Entra ID’s documentation: a mistyped extension URN beside the right core URN',
    body: { schemas: [USER, 'urn:ietf:params:scim:schemas:extension:enterprise:2.0User'] },
    becomes: {},
    quirks: [],
  },
  {
    by: 'Entra ID: the manager as a bare id',
    body: { [E]: { manager: 'm1' } },
    becomes: { [E]: { manager: { value: 'm1' } } },
    quirks: ['bare-string'],
  },
  {
    by: 'Entra ID: the manager in a list of one, with $ref',
    body: { [E]: { manager: [{ $ref: '../Users/m1', value: 'm1' }] } },
    becomes: { [E]: { manager: { value: 'm1' } } },
    quirks: ['list-of-one'],
  },
  {
    by: 'scripts: the manager by $ref alone, relative as RFC 7643 prints it',
    body: { [E]: { manager: { $ref: '../Users/m1' } } },
    becomes: { [E]: { manager: { value: 'm1' } } },
    quirks: ['reference-alone'],
  },
  {
    by: 'Entra ID: a bare address for emails',
    body: { emails: 'a@x' },
    becomes: { emails: [{ value: 'a@x' }] },
    quirks: ['single-value', 'bare-string'],
  },
  {
    by: 'simple clients: lists of texts',
    body: {
      emails: ['a@x', 'b@x'],
      phoneNumbers: ['1'],
      ims: ['i'],
      photos: ['https://x/p'],
      roles: ['Admin', 'Auditor'],
      entitlements: ['e'],
      x509Certificates: ['QUJD'],
    },
    becomes: {
      emails: [{ value: 'a@x' }, { value: 'b@x' }],
      phoneNumbers: [{ value: '1' }],
      ims: [{ value: 'i' }],
      photos: [{ value: 'https://x/p' }],
      roles: [{ value: 'Admin' }, { value: 'Auditor' }],
      entitlements: [{ value: 'e' }],
      x509Certificates: [{ value: 'QUJD' }],
    },
    quirks: ['bare-string'],
  },
  {
    by: 'SCIM-SDK’s client: lists of one for single values',
    body: { displayName: ['Ada'], active: ['false'], name: [{ givenName: ['A'] }] },
    becomes: { displayName: 'Ada', active: false, name: { givenName: 'A' } },
    quirks: ['list-of-one', 'boolean-string'],
  },
  {
    by: 'Entra ID in its older form: {$ref: null, value} in a list for a single value',
    body: { displayName: [{ $ref: null, value: 'Ada' }], title: { value: 'Boss' } },
    becomes: { displayName: 'Ada', title: 'Boss' },
    quirks: ['list-of-one', 'wrapped-value'],
  },
  {
    by: 'Entra ID: an address cleared by an empty value',
    body: {
      emails: [
        { value: '', type: 'work', primary: true },
        { value: 'b@x', type: 'home' },
      ],
      phoneNumbers: [{ value: null, type: 'work', display: 'd' }],
    },
    becomes: { emails: [{ value: 'b@x', type: 'home' }] },
    quirks: ['empty-value'],
  },
  {
    by: 'the two together: the id in a list',
    body: { [E]: { manager: ['m1'] } },
    becomes: { [E]: { manager: { value: 'm1' } } },
    quirks: ['list-of-one', 'bare-string'],
  },
  {
    by: 'Entra ID’s validator: the manager cleared by {"value": ""}',
    body: { [E]: { manager: { value: '' } } },
    becomes: {},
    quirks: ['empty-reference'],
  },
  {
    by: 'Microsoft’s reference client: capital keys',
    body: {
      Title: 'Boss',
      [E]: { Department: 'd', Manager: { Value: 'm1' } },
      EMAILS: [{ Primary: true, VALUE: 'a' }],
    },
    becomes: {
      title: 'Boss',
      emails: [{ value: 'a', primary: true }],
      [E]: { department: 'd', manager: { value: 'm1' } },
    },
    quirks: [],
  },
  {
    by: 'SCIM Verify: core attributes nested under the core URN',
    body: { [USER]: { title: 'Boss' } },
    becomes: { title: 'Boss' },
    quirks: ['core-urn-object'],
  },
  {
    by: 'JumpCloud: [] and null for what is not there, the extension listed but absent',
    body: { schemas: [USER, E], addresses: [], emails: null, phoneNumbers: [{ value: 'tel:+1-555-0100' }] },
    becomes: { phoneNumbers: [{ value: 'tel:+1-555-0100' }] },
    quirks: [],
  },
  {
    by: 'Okta: groups [], a password and the service’s own id and meta come back',
    body: {
      id: 'x',
      meta: { version: 'W/"1"' },
      groups: [],
      password: '1mz050nq',
      locale: 'en-US',
      emails: [{ value: 'a', display: 'd' }],
    },
    becomes: { locale: 'en-US', emails: [{ value: 'a', display: 'd' }] },
    quirks: [],
  },
];

const before: Resource = {
  userName: 'ada',
  active: true,
  emails: [
    { value: 'a@work', type: 'work', primary: true },
    { value: 'a@home', type: 'home' },
  ],
  [E]: { department: 'd', manager: { value: 'm1' } },
};
const { emails: _, ...noEmails } = before;

const patches: readonly Patched[] = [
  {
    by: 'Entra ID, default mode: Replace and "False"',
    operation: { op: 'Replace', path: 'active', value: 'False' },
    becomes: { ...before, active: false },
    quirks: ['capital-op', 'boolean-string'],
  },
  {
    by: 'Keycloak: active "true"',
    before: { ...before, active: false },
    operation: { op: 'replace', path: 'active', value: 'true' },
    becomes: before,
    quirks: ['boolean-string'],
  },
  {
    by: 'Okta OIN: active without a path, which is no quirk',
    operation: { op: 'replace', value: { active: false } },
    becomes: { ...before, active: false },
    quirks: [],
  },
  {
    by: 'Entra ID: Add on a value filter without a match creates the element',
    operation: { op: 'Add', path: 'phoneNumbers[type eq "mobile"].value', value: '+1 5' },
    becomes: { ...before, phoneNumbers: [{ type: 'mobile', value: '+1 5' }] },
    quirks: ['capital-op', 'created-by-filter'],
  },
  {
    by: 'Entra ID: replace on a value filter without a match does too',
    before: noEmails,
    operation: { op: 'replace', path: 'emails[type eq "work"].value', value: 'a@x' },
    becomes: { ...noEmails, emails: [{ type: 'work', value: 'a@x' }] },
    quirks: ['created-by-filter'],
  },
  {
    by: 'Entra ID, SingleAppRoleAssignment: roles[primary eq "True"] matches primary true',
    before: { userName: 'ada', roles: [{ value: 'Old', primary: true }] },
    operation: { op: 'replace', path: 'roles[primary eq "True"].value', value: 'New' },
    becomes: { userName: 'ada', roles: [{ value: 'New', primary: true }] },
    quirks: [],
  },
  {
    by: 'the same when there is no role yet',
    before: { userName: 'ada' },
    operation: { op: 'Add', path: 'roles[primary eq "True"].value', value: 'New' },
    becomes: { userName: 'ada', roles: [{ primary: true, value: 'New' }] },
    quirks: ['capital-op', 'boolean-string', 'created-by-filter'],
  },
  {
    by: 'Entra ID, AppRoleAssignmentsComplex: JSON in a string is a string',
    before: { userName: 'ada' },
    operation: { op: 'Add', path: 'roles', value: [{ value: '{"id":"1","value":"Admin"}' }] },
    becomes: { userName: 'ada', roles: [{ value: '{"id":"1","value":"Admin"}' }] },
    quirks: ['capital-op'],
  },
  {
    by: 'Entra ID: Replace emails with a bare address',
    operation: { op: 'Replace', path: 'emails', value: 'new@x' },
    becomes: { ...before, emails: [{ value: 'new@x' }] },
    quirks: ['capital-op', 'single-value', 'bare-string'],
  },
  {
    by: 'Entra ID: a bare address under a value filter',
    operation: { op: 'Replace', path: 'emails[type eq "home"]', value: 'new@x' },
    becomes: {
      ...before,
      emails: [
        { value: 'a@work', type: 'work', primary: true },
        { value: 'new@x', type: 'home' },
      ],
    },
    quirks: ['capital-op', 'bare-string'],
  },
  {
    by: 'scripts: bare texts without a path',
    operation: { op: 'add', value: { roles: ['Admin'] } },
    becomes: { ...before, roles: [{ value: 'Admin' }] },
    quirks: ['bare-string'],
  },
  {
    by: 'SCIM-SDK’s client, so Keycloak plugins: active ["false"]',
    operation: { op: 'replace', path: 'active', value: ['false'] },
    becomes: { ...before, active: false },
    quirks: ['list-of-one', 'boolean-string'],
  },
  {
    by: 'SCIM-SDK’s client: a text in a list under a value filter',
    operation: { op: 'replace', path: 'emails[type eq "home"].value', value: ['b@home'] },
    becomes: {
      ...before,
      emails: [
        { value: 'a@work', type: 'work', primary: true },
        { value: 'b@home', type: 'home' },
      ],
    },
    quirks: ['list-of-one'],
  },
  {
    by: 'SCIM-SDK’s client: a path-less object in a list',
    operation: { op: 'replace', value: [{ active: false }] },
    becomes: { ...before, active: false },
    quirks: ['list-of-one'],
  },
  {
    by: 'Entra ID in its older form: [{$ref: null, value}] for active',
    operation: { op: 'Replace', path: 'active', value: [{ $ref: null, value: 'False' }] },
    becomes: { ...before, active: false },
    quirks: ['capital-op', 'list-of-one', 'wrapped-value', 'boolean-string'],
  },
  {
    by: 'Entra ID: an address cleared by an empty value',
    operation: { op: 'Replace', path: 'emails[type eq "home"].value', value: '' },
    becomes: { ...before, emails: [{ value: 'a@work', type: 'work', primary: true }] },
    quirks: ['capital-op', 'empty-value'],
  },
  {
    by: 'Entra ID: the value of an address removed',
    operation: { op: 'Remove', path: 'emails[type eq "work"].value' },
    becomes: { ...before, emails: [{ value: 'a@home', type: 'home' }] },
    quirks: ['capital-op', 'empty-value'],
  },
  {
    by: 'Entra ID: a mapping to an attribute that is not here',
    operation: { op: 'Add', path: 'urn:ietf:params:scim:schemas:extension:acme:2.0:User:badge', value: '7' },
    becomes: before,
    quirks: ['capital-op', 'unknown-path:urn:ietf:params:scim:schemas:extension:acme:2.0:User:badge'],
  },
  {
    by: 'Entra ID: a dot behind the URN',
    operation: { op: 'replace', path: `${E}.department`, value: 'e' },
    becomes: { ...before, [E]: { department: 'e', manager: { value: 'm1' } } },
    quirks: ['dotted-urn'],
  },
  {
    by: 'the same as a key',
    operation: { op: 'replace', value: { [`${E}.department`]: 'e', [`${USER}.title`]: 'Boss' } },
    becomes: { ...before, title: 'Boss', [E]: { department: 'e', manager: { value: 'm1' } } },
    quirks: ['dotted-urn', 'qualified-key'],
  },
  {
    by: 'hand-written mappings: blanks in a path',
    operation: { op: 'replace', path: ' emails [ type eq "home" ] . value ', value: 'b@home' },
    becomes: {
      ...before,
      emails: [
        { value: 'a@work', type: 'work', primary: true },
        { value: 'b@home', type: 'home' },
      ],
    },
    quirks: ['blank-in-path'],
  },
  {
    by: 'scripts: the manager by $ref alone',
    operation: { op: 'replace', path: 'manager', value: { $ref: '../Users/m2' } },
    becomes: { ...before, [E]: { department: 'd', manager: { value: 'm2' } } },
    quirks: ['reference-alone'],
  },
  {
    by: 'RFC 7643 §8.7.1: manager.$ref is readWrite',
    operation: { op: 'replace', path: `${E}:manager.$ref`, value: '/Users/m2' },
    becomes: { ...before, [E]: { department: 'd', manager: { value: 'm2' } } },
    quirks: ['reference-alone'],
  },
  {
    by: 'Entra ID: the manager as a bare id under its full name',
    operation: { op: 'Add', path: `${E}:manager`, value: 'm2' },
    becomes: { ...before, [E]: { department: 'd', manager: { value: 'm2' } } },
    quirks: ['capital-op', 'bare-string'],
  },
  {
    by: 'Entra ID: the manager without its URN, in a list of one',
    operation: { op: 'replace', path: 'manager', value: [{ $ref: null, value: 'm2' }] },
    becomes: { ...before, [E]: { department: 'd', manager: { value: 'm2' } } },
    quirks: ['list-of-one'],
  },
  {
    by: 'Entra ID: Remove with the path manager',
    operation: { op: 'Remove', path: 'manager' },
    becomes: { ...before, [E]: { department: 'd' } },
    quirks: ['capital-op'],
  },
  {
    by: 'Entra ID: remove with the path manager[value eq "id"]',
    operation: { op: 'remove', path: `${E}:manager[value eq "m1"]` },
    becomes: { ...before, [E]: { department: 'd' } },
    quirks: [],
  },
  {
    by: 'Entra ID’s validator: replace the manager by {"value": ""}',
    operation: { op: 'replace', path: `${E}:manager`, value: { value: '' } },
    becomes: { ...before, [E]: { department: 'd' } },
    quirks: ['empty-reference'],
  },
  {
    by: 'Entra ID: the manager cleared by an empty string',
    operation: { op: 'replace', path: 'manager', value: '' },
    becomes: { ...before, [E]: { department: 'd' } },
    quirks: ['bare-string', 'empty-reference'],
  },
  {
    by: 'Entra ID, aadOptscim062020: dotted and URN-qualified keys without a path',
    operation: {
      op: 'replace',
      value: { displayName: 'Ann', 'name.givenName': 'Ann', active: false, [`${E}:employeeNumber`]: '7' },
    },
    becomes: {
      ...before,
      displayName: 'Ann',
      name: { givenName: 'Ann' },
      active: false,
      [E]: { department: 'd', manager: { value: 'm1' }, employeeNumber: '7' },
    },
    quirks: ['dotted-key', 'qualified-key'],
  },
  {
    by: 'a custom attribute under the core URN',
    operation: { op: 'add', value: { [`${USER}:title`]: 'Boss' } },
    becomes: { ...before, title: 'Boss' },
    quirks: ['qualified-key'],
  },
  {
    by: 'Entra ID’s validator: a whole path as a key',
    operation: { op: 'replace', value: { 'emails[type eq "home"].value': 'b@home' } },
    becomes: {
      ...before,
      emails: [
        { value: 'a@work', type: 'work', primary: true },
        { value: 'b@home', type: 'home' },
      ],
    },
    quirks: ['path-key'],
  },
  {
    by: 'Entra ID, JumpCloud, authentik: remove with a list as the value means these only',
    operation: { op: 'Remove', path: 'emails', value: [{ $ref: null, value: 'A@HOME' }] },
    becomes: { ...before, emails: [{ value: 'a@work', type: 'work', primary: true }] },
    quirks: ['capital-op', 'remove-value-list'],
  },
  {
    by: 'one object where a list belongs',
    before: noEmails,
    operation: { op: 'add', path: 'emails', value: { value: 'a@x' } },
    becomes: { ...noEmails, emails: [{ value: 'a@x' }] },
    quirks: ['single-value'],
  },
  {
    by: 'a list of one where a value filter selects one element',
    operation: { op: 'replace', path: 'emails[type eq "home"]', value: [{ value: 'b@home' }] },
    becomes: {
      ...before,
      emails: [
        { value: 'a@work', type: 'work', primary: true },
        { type: 'home', value: 'b@home' },
      ],
    },
    quirks: ['list-of-one'],
  },
  {
    by: 'Entra ID’s reference client: a further member in the operation',
    operation: { op: 'replace', name: 'rename', path: 'displayName', value: 'Ann' },
    becomes: { ...before, displayName: 'Ann' },
    quirks: [],
  },
  {
    by: 'Okta: a path-less replace repeats id, schemas and meta',
    operation: { op: 'replace', value: { id: 'x', schemas: [USER], meta: {}, groups: [], displayName: 'Ann' } },
    becomes: { ...before, displayName: 'Ann' },
    quirks: [],
  },
  {
    by: 'OneLogin’s URN as a key of a path-less value',
    operation: { op: 'replace', value: { 'urn:scim:schemas:extension:enterprise:1.0': { department: 'e' } } },
    becomes: { ...before, [E]: { department: 'e', manager: { value: 'm1' } } },
    quirks: ['legacy-schema'],
  },
];

describe('a resource as sent by', () => {
  it.each(resources.map((row) => [row.by, row] as const))('%s', (_, { body, becomes, quirks }) => {
    const noted: Quirks = new Set();
    expect(readResource(userType, { schemas: [USER], userName: 'ada', ...body }, noted)).toEqual({
      userName: 'ada',
      ...becomes,
    });
    expect([...noted].sort()).toEqual([...quirks].sort());
  });
});

describe('a PATCH as sent by', () => {
  it.each(patches.map((row) => [row.by, row] as const))('%s', (_, { operation, becomes, quirks, ...row }) => {
    const noted: Quirks = new Set();
    const operations = parsePatch({ schemas: [PATCH_OP], Operations: [operation] }, noted);
    expect(applyPatch(userType, row.before ?? before, operations, noted)).toEqual(becomes);
    expect([...noted].sort()).toEqual([...quirks].sort());
  });
});

it('a message in the words of the RFC needs no quirk', () => {
  const noted: Quirks = new Set();
  const body = {
    schemas: [USER, E],
    userName: 'ada',
    active: false,
    emails: [{ value: 'a', primary: true }],
    [E]: { manager: { value: 'm' } },
  };
  const resource = readResource(userType, body, noted);
  const operations = [
    { op: 'add', path: 'emails', value: [{ value: 'b' }] },
    { op: 'replace', value: { name: { givenName: 'Ada' }, [E]: { department: 'd' } } },
    { op: 'replace', path: 'emails[value eq "a"].type', value: 'work' },
    { op: 'remove', path: 'emails[type eq "work"]' },
    { op: 'remove', path: 'name.givenName' },
  ];
  applyPatch(userType, resource, parsePatch({ schemas: [PATCH_OP], Operations: operations }, noted), noted);
  expect([...noted]).toEqual([]);
});

it('only the words true and false, in any case, stand for booleans', () => {
  expect(['true', 'True', 'TRUE', true].map(booleanOf)).toEqual([true, true, true, true]);
  expect(['false', 'False', 'fALSE', false].map(booleanOf)).toEqual([false, false, false, false]);
  for (const other of ['', ' true', 'yes', 'no', '1', '0', 1, 0, null, undefined, [], {}, ['true'], 'ｔｒｕｅ']) {
    expect(booleanOf(other)).toBeUndefined();
  }
});

it('an unquoted word is a value, a keyword of the grammar is not', () => {
  expect(bareWord('jyoung')).toEqual({ value: 'jyoung', text: 'jyoung' });
  expect(bareWord('NULL')).toEqual({ value: null, text: 'NULL' });
  expect(bareWord('TRUE')).toEqual({ value: true, text: 'TRUE' });
  for (const word of ['and', 'Or', 'NOT', 'a\0b', '\ud83e']) expect(bareWord(word)).toBeUndefined();
});
