import { describe, expect, it } from 'vitest';
import { MAX_OPERATIONS, parsePatch } from '../../../src/scim/patch/parse';
import type { Quirks } from '../../../src/scim/quirks';
import { PATCH_OP, USER } from '../../../src/scim/urns';
import { refusalOf } from '../../support/refusal';

const parse = (body: unknown, quirks: Quirks = new Set()) => parsePatch(body, quirks);
const one = (operation: unknown) => parse({ schemas: [PATCH_OP], Operations: [operation] });

describe('an operation is read', () => {
  it.each([
    ['add with a path', { op: 'add', path: 'title', value: 'x' }, { op: 'add', path: { path: 'title' }, value: 'x' }],
    ['add without a path', { op: 'add', value: { a: 1 } }, { op: 'add', value: { a: 1 } }],
    ['remove', { op: 'remove', path: 'title' }, { op: 'remove', path: { path: 'title' }, value: undefined }],
    ['remove with a value', { op: 'remove', path: 'a', value: [1] }, { op: 'remove', path: { path: 'a' }, value: [1] }],
    [
      'a null value, which is one',
      { op: 'replace', path: 'a', value: null },
      { op: 'replace', path: { path: 'a' }, value: null },
    ],
    [
      'a false value, which is one',
      { op: 'replace', path: 'a', value: false },
      { op: 'replace', path: { path: 'a' }, value: false },
    ],
    ['a null path', { op: 'replace', path: null, value: {} }, { op: 'replace', value: {} }],
    ['an empty path', { op: 'replace', path: '', value: {} }, { op: 'replace', value: {} }],
    ['names in any case', { OP: 'add', Path: 'a', VALUE: 1 }, { op: 'add', path: { path: 'a' }, value: 1 }],
    ['further members', { op: 'add', path: 'a', value: 1, name: 'x' }, { op: 'add', path: { path: 'a' }, value: 1 }],
  ])('%s', (_, operation, expected) => {
    expect(one(operation)).toEqual([expected]);
  });

  it.each(['Add', 'REPLACE', 'rEmove'])('with %s for its name, which is a quirk', (op) => {
    const quirks: Quirks = new Set();
    const [operation] = parse({ schemas: [PATCH_OP], Operations: [{ op, path: 'a', value: 1 }] }, quirks);
    expect(operation!.op).toBe(op.toLowerCase());
    expect([...quirks]).toEqual(['capital-op']);
  });

  it('in the order of the list, whatever the letters of Operations', () => {
    const body = { operations: ['a', 'b', 'c'].map((path) => ({ op: 'remove', path })) };
    expect(parse(body).map(({ path }) => path?.path)).toEqual(['a', 'b', 'c']);
  });
});

describe('a message is refused', () => {
  it.each<[string, unknown, string, string]>([
    ['no object', [], 'invalidSyntax', 'PatchOp'],
    ['null', null, 'invalidSyntax', 'PatchOp'],
    [
      'the URN of a resource',
      { schemas: [USER], Operations: [{ op: 'remove', path: 'a' }] },
      'invalidSyntax',
      'schemas',
    ],
    ['a path of blanks', { Operations: [{ op: 'add', path: ' ', value: 'x' }] }, 'invalidPath', 'Operations[0].path'],
    ['no Operations', { schemas: [PATCH_OP] }, 'invalidSyntax', 'Operations'],
    ['Operations as an object', { Operations: { op: 'remove', path: 'a' } }, 'invalidSyntax', 'Operations'],
    ['Operations null', { Operations: null }, 'invalidSyntax', 'Operations'],
    [
      'an operation that is null',
      { Operations: [{ op: 'remove', path: 'a' }, null] },
      'invalidSyntax',
      'Operations[1]',
    ],
    ['an operation that is a string', { Operations: ['remove'] }, 'invalidSyntax', 'Operations[0]'],
    ['no op', { Operations: [{ path: 'a', value: 1 }] }, 'invalidSyntax', 'Operations[0].op'],
    ['op of JSON Patch', { Operations: [{ op: 'test', path: 'a', value: 1 }] }, 'invalidSyntax', 'not test'],
    ['op with space around it', { Operations: [{ op: ' add', path: 'a', value: 1 }] }, 'invalidSyntax', 'op'],
    ['op as a number', { Operations: [{ op: 1, path: 'a', value: 1 }] }, 'invalidSyntax', 'op'],
    ['op as a list', { Operations: [{ op: ['add'], path: 'a', value: 1 }] }, 'invalidSyntax', 'op'],
    [
      'a path that is a number',
      { Operations: [{ op: 'add', path: 1, value: 1 }] },
      'invalidSyntax',
      'Operations[0].path',
    ],
    ['a path that is a list', { Operations: [{ op: 'add', path: ['a'], value: 1 }] }, 'invalidSyntax', 'path'],
    ['a path that cannot be read', { Operations: [{ op: 'add', path: '/a', value: 1 }] }, 'invalidPath', 'position 1'],
    ['remove without a path', { Operations: [{ op: 'remove' }] }, 'noTarget', 'Operations[0]'],
    ['remove with an empty path', { Operations: [{ op: 'remove', path: '' }] }, 'noTarget', 'remove needs a path'],
    [
      'remove with its attributes in the value',
      { Operations: [{ op: 'remove', value: { title: 'x' } }] },
      'noTarget',
      'path',
    ],
    ['add without a value', { Operations: [{ op: 'add', path: 'a' }] }, 'invalidValue', 'add needs a value'],
    [
      'replace without a value',
      { Operations: [{ op: 'Replace', path: 'a' }] },
      'invalidValue',
      'replace needs a value',
    ],
    [
      'a bad operation after good ones',
      { Operations: [{ op: 'remove', path: 'a' }, { op: 'add' }] },
      'invalidValue',
      'Operations[1]',
    ],
  ])('%s', (_, body, scimType, says) => {
    const refusal = refusalOf(() => parse(body));
    expect(refusal).toMatchObject({ status: 400, scimType });
    expect(refusal.detail).toContain(says);
  });

  it(`for more than ${MAX_OPERATIONS} operations, as tooMany`, () => {
    const operations = (count: number) => Array(count).fill({ op: 'remove', path: 'title' });
    expect(parse({ Operations: operations(MAX_OPERATIONS) })).toHaveLength(MAX_OPERATIONS);
    expect(refusalOf(() => parse({ Operations: operations(MAX_OPERATIONS + 1) })).scimType).toBe('tooMany');
  });
});
