import { describe, expect, it } from 'vitest';
import { etagOf, hasTag, parseTags } from '../../src/scim/etag';
import { expectLinear } from '../support/growth';

it('a version is a weak entity-tag', () => {
  expect(etagOf(7)).toBe('W/"7"');
});

describe('a condition names the version', () => {
  it.each([
    ['weakly', 'W/"7"'],
    ['strongly: tags are compared weakly', '"7"'],
    ['by a star', '*'],
    ['by a star with space around it', ' * '],
    ['as one of several', 'W/"5", W/"7"'],
    ['as one of several without spaces', '"5","7"'],
  ])('%s', (_, header) => {
    expect(hasTag(parseTags(header)!, 7)).toBe(true);
  });
});

describe('a condition does not name the version', () => {
  it.each([
    ['another version', 'W/"8"'],
    ['a longer number', 'W/"77"'],
    ['no quotes', '7'],
    ['an empty header', ''],
    ['an empty tag', '""'],
    ['another spelling of the number', '"07"'],
    ['a word', 'anything'],
    ['a star in quotes', '"*"'],
    ['an unclosed quote', 'W/"7'],
    ['a tag among words', 'nonsense W/"7" more'],
    ['a list that is no list', '"7" "8"'],
  ])('%s', (_, header) => {
    expect(hasTag(parseTags(header)!, 7)).toBe(false);
  });
});

it('without the header there is no condition', () => {
  expect(parseTags(undefined)).toBeUndefined();
});

it('a hostile header of 100,000 characters is read in linear time', () => {
  for (const part of ['"', 'W/"', 'W/', ' ', '*,'])
    expectLinear((n) => parseTags(part.repeat(n / part.length)), 100_000, part);
});
