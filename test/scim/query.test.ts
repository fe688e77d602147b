import { describe, expect, it } from 'vitest';
import { project } from '../../src/scim/projection';
import {
  DEFAULT_PAGE,
  MAX_PAGE,
  projectionFromUrl,
  queryOf,
  searchFromBody,
  searchFromUrl,
} from '../../src/scim/query';
import { userType } from '../../src/scim/schema/types';
import { ENTERPRISE_USER as E, SEARCH_REQUEST, USER } from '../../src/scim/urns';
import searchRequest from '../rfc/rfc7644-3.4.3-search-request.json';
import { refusalOf } from '../support/refusal';

const fromUrl = (text: string) => searchFromUrl(new URLSearchParams(text));
const defaults = { isDescending: false, startIndex: 1, count: DEFAULT_PAGE };

describe('a query string', () => {
  it.each<[string, string, object]>([
    ['nothing', '', {}],
    ['Okta’s first request', 'startIndex=1&count=2', { count: 2 }],
    [
      'OneLogin’s plus for a space, and its trailing &',
      'filter=userName+eq+%22ada%22&',
      { filter: 'userName eq "ada"' },
    ],
    [
      'names in any case',
      'STARTINDEX=2&Count=3&SortBy=userName&SORTORDER=Descending',
      { startIndex: 2, count: 3, sortBy: 'userName', isDescending: true },
    ],
    ['the first of two', 'count=1&count=2', { count: 1 }],
    ['startIndex 0, which counts as 1', 'startIndex=0', {}],
    ['a negative startIndex, which counts as 1', 'startIndex=-5', {}],
    ['a negative count, which counts as 0', 'count=-1', { count: 0 }],
    ['count 0', 'count=0', { count: 0 }],
    ['a count beyond a page', 'count=100000', { count: MAX_PAGE }],
    [
      'numbers beyond all numbers',
      `startIndex=${'9'.repeat(400)}&count=${'9'.repeat(400)}`,
      { startIndex: Number.MAX_SAFE_INTEGER, count: MAX_PAGE },
    ],
    ['empty numbers', 'startIndex=&count=', {}],
    ['an empty sortBy', 'sortBy=', {}],
    ['ascending', 'sortOrder=ascending', {}],
    ['ascending, which an empty order is', 'sortOrder=', {}],
    ['lists of names', 'attributes=a,b&excludedAttributes=c', { attributes: ['a', 'b'], excludedAttributes: ['c'] }],
    ['an empty filter, which is refused later and never means everyone', 'filter=', { filter: '' }],
    ['further parameters', 'foo=bar&constructor=1', {}],
  ])('with %s', (_, text, expected) => {
    expect(fromUrl(text)).toEqual({ ...defaults, ...expected });
  });

  it.each([
    ['startIndex', 'startIndex=one'],
    ['startIndex', 'startIndex=1.5'],
    ['startIndex', 'startIndex=0x10'],
    ['count', 'count=1e3'],
    ['count', 'count=1,2'],
    ['count', 'count=٣'],
    ['count', 'count=NaN'],
    ['sortOrder', 'sortOrder=up'],
  ])('is refused, naming %s: %s', (name, text) => {
    const refusal = refusalOf(() => fromUrl(text));
    expect(refusal).toMatchObject({ status: 400, scimType: 'invalidValue' });
    expect(refusal.detail.startsWith(`${name}: `)).toBe(true);
  });
});

describe('a SearchRequest', () => {
  it('of the RFC is read (RFC 7644 §3.4.3)', () => {
    expect(searchFromBody(searchRequest.body)).toEqual({
      ...defaults,
      attributes: ['displayName', 'userName'],
      filter: 'displayName sw "smith"',
      count: 10,
    });
  });

  it.each<[string, object, object]>([
    ['nothing', {}, {}],
    [
      'null for what is not asked',
      { filter: null, startIndex: null, count: null, attributes: null, sortOrder: null },
      {},
    ],
    ['names in any case', { Filter: 'a pr', STARTINDEX: 3 }, { filter: 'a pr', startIndex: 3 }],
    ['names in one string', { attributes: 'a,b' }, { attributes: ['a', 'b'] }],
    ['a negative count', { count: -1 }, { count: 0 }],
    ['a huge startIndex', { startIndex: 1e300 }, { startIndex: Number.MAX_SAFE_INTEGER }],
    ['descending', { sortBy: 'userName', sortOrder: 'descending' }, { sortBy: 'userName', isDescending: true }],
  ])('with %s', (_, body, expected) => {
    expect(searchFromBody({ schemas: [SEARCH_REQUEST], ...body })).toEqual({ ...defaults, ...expected });
  });

  it.each<[string, unknown, string]>([
    ['no object', [], 'invalidSyntax'],
    ['null', null, 'invalidSyntax'],
    ['the URN of a resource', { schemas: [USER] }, 'invalidSyntax'],
    ['a filter that is no string', { filter: { s3cret: 1 } }, 'invalidValue'],
    ['a startIndex that is a string', { startIndex: 's3cret' }, 'invalidValue'],
    ['a count with a fraction', { count: 1.5 }, 'invalidValue'],
    ['a count beyond all numbers', { count: Number.POSITIVE_INFINITY }, 'invalidValue'],
    ['a count that is true', { count: true }, 'invalidValue'],
    ['attributes that are an object', { attributes: { a: 's3cret' } }, 'invalidValue'],
    ['attributes with a number in them', { attributes: ['a', 1] }, 'invalidValue'],
    ['a sortBy that is a list', { sortBy: ['s3cret'] }, 'invalidValue'],
    ['an unknown order', { sortOrder: 's3cret' }, 'invalidValue'],
  ])('is refused: %s', (_, body, scimType) => {
    const refusal = refusalOf(() => searchFromBody(body));
    expect(refusal).toMatchObject({ status: 400, scimType });
    expect(refusal.detail).not.toContain('s3cret');
  });
});

describe('a query over users', () => {
  const query = (text: string) => queryOf(userType, fromUrl(text));

  it.each([
    ['userName', 'userName'],
    ['NAME.FAMILYNAME', 'name.familyName'],
    ['emails', 'emails.value'],
    ['emails.type', 'emails.type'],
    ['manager', `${E}.manager.value`],
    [`${E}:department`, `${E}.department`],
    ['meta.lastModified', 'meta.lastModified'],
    [' userName ', 'userName'],
  ])('sorts by %s', (sortBy, path) => {
    const { sort } = query(`sortBy=${encodeURIComponent(sortBy)}`);
    expect(sort!.path.map(({ name }) => name).join('.')).toBe(path);
  });

  it.each(['shoeSize', 'name', 'addresses', 'password', 'emails[type eq "work"]', 'name.shoeSize', E])(
    'does not sort by %s: invalidValue',
    (sortBy) => {
      expect(refusalOf(() => query(`sortBy=${encodeURIComponent(sortBy)}`))).toMatchObject({
        status: 400,
        scimType: 'invalidValue',
      });
    },
  );

  it('an empty filter is refused: it never means everyone', () => {
    expect(refusalOf(() => query('filter='))).toMatchObject({ status: 400, scimType: 'invalidFilter' });
    expect(query('').filter).toBeUndefined();
  });

  it('the names to show come from the query of a single resource too, in any case', () => {
    const shown = projectionFromUrl(
      userType,
      new URLSearchParams('ATTRIBUTES=userName,title&excludedattributes=title'),
    );
    expect(project(userType, { schemas: [USER], id: '1', userName: 'a', title: 't' }, shown)).toEqual({
      schemas: [USER],
      id: '1',
      userName: 'a',
    });
  });
});
