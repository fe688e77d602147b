import { describe, expect, it } from 'vitest';
import { MAX_BULK_OPERATIONS, parseBulk, referencesIn, resolveReferences } from '../../src/scim/bulk';
import { BULK_REQUEST, PATCH_OP, USER } from '../../src/scim/urns';
import { refusalOf } from '../support/refusal';

const parse = (operations: unknown, more: Record<string, unknown> = {}) =>
  parseBulk({ schemas: [BULK_REQUEST], Operations: operations, ...more });
const post = (bulkId: string, data: unknown = {}, path = '/Users') => ({ method: 'POST', path, bulkId, data });
const patch = (path: string, data: unknown = {}) => ({ method: 'PATCH', path, data });
const order = (operations: unknown[]) => {
  const parsed = parse(operations).operations;
  return parsed
    .map(({ turn }, i) => [turn, i])
    .sort(([a], [b]) => a! - b!)
    .map(([, i]) => i);
};

describe('the envelope of a bulk request', () => {
  it.each([
    ['no object', 'all', 'invalidSyntax'],
    ['a list', [], 'invalidSyntax'],
    ['null', null, 'invalidSyntax'],
    ['another message', { schemas: [PATCH_OP], Operations: [post('a')] }, 'invalidSyntax'],
    ['schemas that are no list', { schemas: BULK_REQUEST, Operations: [post('a')] }, 'invalidSyntax'],
    ['no operations', { schemas: [BULK_REQUEST] }, 'invalidSyntax'],
    ['an empty list of operations', { Operations: [] }, 'invalidSyntax'],
    ['operations that are no list', { Operations: { 0: post('a') } }, 'invalidSyntax'],
    ['failOnErrors below 0', { failOnErrors: -1, Operations: [post('a')] }, 'invalidValue'],
    ['failOnErrors with a fraction', { failOnErrors: 1.5, Operations: [post('a')] }, 'invalidValue'],
    ['failOnErrors as text', { failOnErrors: '1', Operations: [post('a')] }, 'invalidValue'],
    ['failOnErrors as true', { failOnErrors: true, Operations: [post('a')] }, 'invalidValue'],
    ['an operation that is text', { Operations: ['POST'] }, 'invalidSyntax'],
    ['an operation that is null', { Operations: [null] }, 'invalidSyntax'],
    ['an operation that is a list', { Operations: [[]] }, 'invalidSyntax'],
    ['two POSTs of one bulkId', { Operations: [post('a'), post('a')] }, 'invalidValue'],
  ])('is refused with %s', (_, body, scimType) => {
    expect(refusalOf(() => parseBulk(body))).toMatchObject({ status: 400, scimType });
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['has no method', { path: '/Users', bulkId: 'a' }, 'method: POST, PUT, PATCH or DELETE was expected'],
    ['is a GET', { method: 'GET', path: '/Users' }, 'method: POST, PUT, PATCH or DELETE was expected'],
    ['has a number as its method', { method: 1, path: '/Users' }, 'method: a string was expected'],
    ['has no path', { method: 'POST', bulkId: 'a' }, 'path: a path such as /Users was expected'],
    ['has a path without a slash', { ...post('a'), path: 'Users' }, 'path: a path such as /Users was expected'],
    [
      'has an absolute address',
      { method: 'DELETE', path: 'https://x/Users/1' },
      'path: a path such as /Users was expected',
    ],
    ['has an object as its path', { ...post('a'), path: {} }, 'path: a string was expected'],
    ['is a POST without a bulkId', { method: 'POST', path: '/Users', data: {} }, 'bulkId: POST needs one'],
    ['is a POST with an empty bulkId', post(''), 'bulkId: POST needs one'],
    ['has a number as its bulkId', { ...post('a'), bulkId: 1 }, 'bulkId: a string was expected'],
    [
      'has a number as its version',
      { method: 'DELETE', path: '/Users/1', version: 1 },
      'version: a string was expected',
    ],
  ])('refuses alone an operation that %s, and names it by its place', (_, wrong, detail) => {
    const { operations } = parse([post('x'), wrong, post('y')]);
    expect(operations.map(({ refusal }) => refusal && [refusal.status, refusal.scimType, refusal.detail])).toEqual([
      undefined,
      [400, 'invalidSyntax', `Operations[1].${detail}`],
      undefined,
    ]);
  });

  it('accepts no error at all with failOnErrors 0: the first one ends it', () => {
    expect(parse([post('a')], { failOnErrors: 0 }).failOnErrors).toBe(1);
    expect(parse([post('a')], { failOnErrors: 3 }).failOnErrors).toBe(3);
  });

  it('takes as many operations as it says, and 413 for one more', () => {
    const many = Array.from({ length: MAX_BULK_OPERATIONS }, (_, i) => post(`a${i}`));
    expect(parse(many).operations).toHaveLength(MAX_BULK_OPERATIONS);
    expect(refusalOf(() => parse([...many, post('z')]))).toMatchObject({
      status: 413,
      detail: expect.stringContaining(String(MAX_BULK_OPERATIONS)),
    });
  });

  it('may leave out schemas, and may have null where a member is left out', () => {
    const { failOnErrors, operations } = parseBulk({
      failOnErrors: null,
      operations: [{ Method: 'delete', PATH: '/Users/1', bulkId: null, version: null, data: null }],
    });
    expect(failOnErrors).toBeUndefined();
    expect(operations).toMatchObject([{ method: 'DELETE', path: '/Users/1' }]);
    expect(operations[0]).not.toHaveProperty('bulkId');
  });
});

describe('references to what the same request makes', () => {
  it.each([
    ['a whole value', 'bulkId:ada', ['ada']],
    ['a path', '/Users/bulkId:ada', ['ada']],
    ['a value path', 'members[value eq "bulkId:ada"]', ['ada']],
    ['two in a filter', 'members[value eq "bulkId:a" or (value eq "bulkId:b")]', ['a', 'b']],
    ['members', [{ value: 'bulkId:a' }, 'bulkId:b', { value: 'x' }], ['a', 'b']],
    ['deep inside', { Operations: [{ value: { manager: { value: 'bulkId:boss' } } }] }, ['boss']],
    ['a bulkId of any characters', ['bulkId:a b', '/Users/bulkId:x/y'], ['a b', 'a', 'x/y', 'x']],
    ['none', { value: 'bulk', more: ['bulkid:a', 'bulkId:', 7, null, true] }, []],
  ])('are found in %s', (_, value, expected) => {
    expect([...referencesIn(value)]).toEqual(expected);
  });

  it('become ids wherever they stand, and all else stays', () => {
    const data = {
      members: [{ value: 'bulkId:a', display: null }, 'bulkId:b'],
      Operations: [{ path: 'members[value eq "bulkId:a"]', value: 'bulkId:c' }],
      count: 1,
    };
    const idOf = (id: string) => ({ a: '1', b: '2' })[id];
    expect(resolveReferences(data, idOf)).toEqual({
      members: [{ value: '1', display: null }, '2'],
      Operations: [{ path: 'members[value eq "1"]', value: 'bulkId:c' }],
      count: 1,
    });
  });
});

describe('the order of operations', () => {
  const group = (bulkId: string, ...members: string[]) =>
    post(bulkId, { members: members.map((value) => ({ value: `bulkId:${value}` })) }, '/Groups');

  it.each([
    ['is that of the request', [post('a'), patch('/Users/1'), post('b')], [0, 1, 2]],
    ['puts what is referred to first', [group('g', 'a', 'b'), post('a'), post('b')], [1, 2, 0]],
    ['puts a chain backwards', [group('a', 'b'), group('b', 'c'), group('c')], [2, 1, 0]],
    ['lets the path refer', [patch('/Users/bulkId:a'), post('x'), post('a')], [2, 0, 1]],
    ['is kept on one resource', [patch('/Users/1', 'bulkId:a'), patch('/Users/1'), post('a')], [2, 0, 1]],
    [
      'does not let a reference move another',
      [post('x'), patch('/Groups/1', 'bulkId:y'), post('y'), post('z')],
      [0, 2, 1, 3],
    ],
  ])('%s', (_, operations, expected) => {
    expect(order(operations)).toEqual(expected);
  });

  it('can be a chain as long as a request', () => {
    const chain = Array.from({ length: MAX_BULK_OPERATIONS }, (_, i) =>
      i + 1 < MAX_BULK_OPERATIONS ? group(`g${i}`, `g${i + 1}`) : group(`g${i}`),
    );
    expect(order(chain)).toEqual(chain.map((_, i) => chain.length - 1 - i));
  });

  it('is found in time in proportion to what was sent, however tangled the references are', () => {
    // Each refers to many that come after it: as many references as a request of a megabyte can have.
    const tangled = Array.from({ length: MAX_BULK_OPERATIONS }, (_, i) => {
      const others = Array.from({ length: Math.min(90, MAX_BULK_OPERATIONS - 1 - i) }, (_, n) => `g${i + 1 + n}`);
      return group(`g${i}`, ...others);
    });
    expect(JSON.stringify(tangled).length).toBeGreaterThan(1_000_000);
    const took = (operations: unknown[]) => {
      const begun = performance.now();
      for (let i = 0; i < 5; i++) parse(operations);
      return performance.now() - begun;
    };
    const plain = tangled.map((operation) => JSON.parse(JSON.stringify(operation).replaceAll('bulkId:g', 'usual-id')));
    took(plain);
    // Compared with the same bytes without references, whatever else the machine does.
    expect(took(tangled)).toBeLessThan(20 * took(plain) + 500);
  });

  const refused = (operations: unknown[]) =>
    parse(operations).operations.map(({ refusal }) => refusal && { status: refusal.status, detail: refusal.detail });
  const circular = { status: 409, detail: expect.stringMatching(/refers to itself/) };
  const unknown = { status: 409, detail: expect.stringMatching(/No operation has the bulkId/) };

  it.each([
    ['to itself', [group('a', 'a'), post('x')], [circular, undefined]],
    ['in a circle of two', [group('a', 'b'), group('b', 'a')], [circular, circular]],
    [
      'in a circle of three',
      [group('a', 'b'), group('b', 'c'), group('c', 'a'), post('x')],
      [circular, circular, circular, undefined],
    ],
    ['to a circle', [group('a', 'b'), group('b', 'a'), patch('/Groups/bulkId:a')], [circular, circular, circular]],
    ['to nobody', [group('a', 'nobody'), post('x')], [unknown, undefined]],
    ['to nobody in a value path', [patch('/Groups/1', { path: 'members[value eq "bulkId:nobody"]' })], [unknown]],
    ['to nobody by its path', [patch('/Users/bulkId:nobody')], [unknown]],
    ['to what is no POST', [{ ...patch('/Users/1'), bulkId: 'a' }, group('g', 'a')], [undefined, unknown]],
  ])('refuses alone an operation that refers %s', (_, operations, expected) => {
    expect(refused(operations)).toEqual(expected);
  });

  it('refuses nothing that only comes later on the same resource', () => {
    const operations = [group('a', 'b'), group('b', 'a'), patch('/Groups/1', 'bulkId:a'), patch('/Groups/1')];
    expect(refused(operations)).toEqual([circular, circular, circular, undefined]);
  });

  it('takes a bulkId of any characters as a whole value', () => {
    const operations = [
      group('g', 'cn=Ada L., "x"/y', 'a b'),
      post('cn=Ada L., "x"/y'),
      post('a b'),
      patch('/Users/bulkId:a b'),
    ];
    expect(refused(operations)).toEqual([undefined, undefined, undefined, undefined]);
    expect(order(operations)).toEqual([1, 2, 0, 3]);
    const idOf = (id: string) => ({ 'a b': '1', a: '2' })[id];
    expect(resolveReferences(['bulkId:a b', '/Users/bulkId:a b', 'x bulkId:a b'], idOf)).toEqual([
      '1',
      '/Users/1',
      'x 2 b',
    ]);
  });

  it('refuses nothing for text that only looks like a reference', () => {
    expect(refused([post('a', { schemas: [USER], title: 'see bulkId:nobody for more' })])).toEqual([undefined]);
  });
});
