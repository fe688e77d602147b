import { describe, expect, it } from 'vitest';
import { listResponse } from '../../src/scim/list';
import { represent, searchable } from '../../src/scim/representation';
import { isSame, type Json, type Stored } from '../../src/scim/resource';
import { userType } from '../../src/scim/schema/types';
import { ENTERPRISE_USER as E, LIST_RESPONSE, USER } from '../../src/scim/urns';

const stored: Stored = {
  id: '42',
  resource: { userName: 'Ada', [E]: { manager: { value: 'm1' } } },
  version: 3,
  createdAt: Date.parse('2026-01-31T10:00:00Z'),
  modifiedAt: Date.parse('2026-02-01T10:00:00.5Z'),
};

describe('a stored user is shown', () => {
  it('with schemas, id and meta (RFC 7643 §3.1)', () => {
    expect(represent(userType, stored, 'https://x/scim/v2')).toEqual({
      schemas: [USER, E],
      id: '42',
      userName: 'Ada',
      [E]: { manager: { value: 'm1' } },
      meta: {
        resourceType: 'User',
        created: '2026-01-31T10:00:00.000Z',
        lastModified: '2026-02-01T10:00:00.500Z',
        location: 'https://x/scim/v2/Users/42',
        version: 'W/"3"',
      },
    });
  });

  it('with the URN of an extension only when it has some of it', () => {
    expect(represent(userType, { ...stored, resource: { userName: 'a' } }, '')['schemas']).toEqual([USER]);
  });

  it('with the address and name of a manager who is known', () => {
    const known = { ...stored, manager: { id: 'm1', displayName: 'Bob' } };
    expect(represent(userType, known, 'https://x')[E]).toEqual({
      manager: { value: 'm1', $ref: 'https://x/Users/m1', displayName: 'Bob' },
    });
    expect(stored.resource[E]).toEqual({ manager: { value: 'm1' } });
  });

  it('without the name of a manager who has none', () => {
    const nameless = { ...stored, manager: { id: 'm1', displayName: null } };
    expect(represent(userType, nameless, 'https://x')[E]).toEqual({
      manager: { value: 'm1', $ref: 'https://x/Users/m1' },
    });
  });
});

it('what is searched is folded, and the same for whoever asks: no address, no name of a manager', () => {
  expect(searchable(userType, { ...stored, manager: { id: 'm1', displayName: 'Bob' } })).toEqual({
    schemas: [USER, E],
    id: '42',
    userName: 'ada',
    [E]: { manager: { value: 'm1' } },
    meta: {
      resourceType: 'User',
      created: '2026-01-31T10:00:00.000Z',
      lastModified: '2026-02-01T10:00:00.500Z',
      version: 'W/"3"',
    },
  });
});

it('a page is a ListResponse with integers, and Resources even when there are none', () => {
  expect(listResponse([], 0, { startIndex: 1 })).toEqual({
    schemas: [LIST_RESPONSE],
    totalResults: 0,
    startIndex: 1,
    itemsPerPage: 0,
    Resources: [],
  });
  expect(listResponse([{ id: '1' }], 7, { startIndex: 3 })).toMatchObject({
    totalResults: 7,
    startIndex: 3,
    itemsPerPage: 1,
  });
});

describe('two values are the same', () => {
  it.each<[string, Json | undefined, Json | undefined, boolean]>([
    ['objects with their members in another order', { a: 1, b: [{ c: null }] }, { b: [{ c: null }], a: 1 }, true],
    ['lists in another order', [1, 2], [2, 1], false],
    ['a list and its beginning', [1, 2], [1], false],
    ['an object and one with more', { a: 1 }, { a: 1, b: 2 }, false],
    ['objects with other names', { a: 1 }, { b: 1 }, false],
    ['a list and an object', [], {}, false],
    ['null and nothing', null, undefined, false],
    ['null and an object', null, {}, false],
    ['a number and its text', 1, '1', false],
    ['false and 0', false, 0, false],
    ['a member that every object has', { a: 1 }, { constructor: 1 }, false],
    ['strings that fold alike', 'a', 'A', false],
  ])('%s', (_, a, b, expected) => {
    expect(isSame(a, b)).toBe(expected);
    expect(isSame(b, a)).toBe(expected);
  });
});
