import { describe, expect, it } from 'vitest';
import { attribute } from '../../src/scim/attribute';
import {
  compareStrings,
  foldCase,
  foldCaseAlone,
  foldCaseAndWidth,
  foldObject,
  foldString,
  isBlank,
} from '../../src/scim/fold';
import { userType } from '../../src/scim/schema/types';
import { ENTERPRISE_USER } from '../../src/scim/urns';
import { expectLinear } from '../support/growth';

describe('two spellings of one name are equal', () => {
  it.each([
    ['in letter case', 'Ada@Example.COM', 'ada@example.com'],
    ['in Latin letters outside ASCII', 'ÅSA ZOË ÑÚÑEZ', 'åsa zoë ñúñez'],
    ['as ß and SS', 'STRASSE', 'straße'],
    ['as the capital ẞ and ß', 'STRAẞE', 'straße'],
    ['as any sigma', 'ΟΔΥΣΣΕΥΣ', 'οδυσσευς'],
    ['as final and inner sigma', 'σς', 'ςσ'],
    ['in Cyrillic', 'ИВАН', 'иван'],
    ['in Armenian with a ligature', 'և', 'ԵՒ'],
    ['in Cherokee', 'Ꭰ', 'ꭰ'],
    ['in Deseret, outside the first plane', '𐐀𐐁', '𐐨𐐩'],
    ['as a ligature', 'ﬁne', 'FINE'],
    ['composed and decomposed', 'Zoe\u0308', 'Zoë'],
    ['with two marks combined in another order', 'q\u0307\u0323', 'q\u0323\u0307'],
    ['with an iota subscript combined in another order', 'α\u0345\u0301', 'α\u0301\u0345'],
    ['with a dotted capital I, composed and decomposed', 'İstanbul', 'I\u0307stanbul'],
    ['in full-width letters', 'ＡＤＡ＠ｅｘａｍｐｌｅ', 'ada@example'],
    ['with the Kelvin sign', '\u212a', 'k'],
    ['with the Ångström sign', '\u212b', 'å'],
  ])('%s', (_, a, b) => {
    expect(foldCase(a)).toBe(foldCase(b));
  });
});

describe('two names stay apart', () => {
  it.each([
    ['the dotless ı and i: one account must not pass for another', 'ısmaıl', 'ismail'],
    ['the dotted İ and I', 'İ', 'I'],
    ['letters with and without marks', 'Zoë', 'Zoe'],
    ['Cyrillic а and Latin a', 'аda', 'ada'],
    ['superscript and plain digits', 'x²', 'x2'],
    ['with and without a space', 'a b', 'ab'],
    ['with and without a zero-width joiner', 'a\u200db', 'ab'],
    ['with and without a right-to-left mark', 'a\u200f', 'a'],
  ])('%s', (_, a, b) => {
    expect(foldCase(a)).not.toBe(foldCase(b));
  });
});

describe('who somebody is, is decided by case and width alone', () => {
  it.each([
    ['in letter case', 'Ada@Example.COM', 'ada@example.com'],
    ['in Latin letters outside ASCII', 'ÅSA', 'åsa'],
    ['as the capital ẞ and ß', 'STRAẞE', 'straße'],
    ['as final and inner sigma', 'ΟΔΟΣ', 'οδος'],
    ['in Deseret, outside the first plane', '𐐀', '𐐨'],
    ['composed and decomposed', 'Zoe\u0308', 'ZOË'],
    ['in full-width letters', 'ＡＤＡ', 'ada'],
  ])('the same person: %s', (_, a, b) => {
    expect(foldCaseAndWidth(a)).toBe(foldCaseAndWidth(b));
  });

  it.each([
    ['ß and ss', 'straße', 'strasse'],
    ['a ligature and its letters', 'ﬁne', 'fine'],
    ['the long ſ and s', 'ſam', 'sam'],
    ['the dotless ı and i', 'ısmaıl', 'ismail'],
    ['the dotted İ and i', 'İ', 'i'],
    ['an apostrophe before n, and two letters', 'ŉ', 'ʼn'],
  ])('two people: %s', (_, a, b) => {
    expect(foldCaseAndWidth(a)).not.toBe(foldCaseAndWidth(b));
  });

  it('width does not count where case alone does', () => {
    expect(foldCaseAlone('ＡＤＡ')).not.toBe(foldCaseAlone('ada'));
    expect(foldCaseAlone('ＡＤＡ')).toBe(foldCaseAlone('ａｄａ'));
  });

  it('every code point that is the same person is the same userName, too', () => {
    const wrong: string[] = [];
    for (let point = 0; point < 0x20000; point++) {
      if (point >= 0xd800 && point < 0xe000) continue;
      const character = String.fromCodePoint(point);
      const forms = [foldCaseAlone(character), foldCaseAndWidth(character)];
      if (forms.some((form) => foldCase(form) !== foldCase(character))) wrong.push(`U+${point.toString(16)}`);
    }
    expect(wrong).toEqual([]);
  });
});

it.each([
  ['nothing', '', true],
  ['blanks of every kind', ' \t\n\u00a0\u2003\u3000\ufeff', true],
  ['characters that are never shown', '\u200b\u200d\u2060\u00ad\u3164\uffa0\u202e\u0000', true],
  ['a blank of braille', '\u2800', true],
  ['a letter among them', '\u200ba ', false],
  ['a combining mark, which is seen', '\u0301', false],
])('%s says something or nothing', (_, text, blank) => {
  expect(isBlank(text)).toBe(blank);
});

it('every code point folds to the same text as its own upper, lower, composed and decomposed forms, and folding twice changes nothing', () => {
  const wrong: string[] = [];
  for (let point = 0; point < 0x20000; point++) {
    if (point >= 0xd800 && point < 0xe000) continue;
    const character = String.fromCodePoint(point);
    if (character === 'ı') continue; // stays itself, above
    const folded = foldCase(character);
    const forms = new Set([folded, character.toUpperCase(), character.toLowerCase(), character.normalize('NFD')]);
    forms.delete(character);
    for (const form of forms) if (foldCase(form) !== folded) wrong.push(`U+${point.toString(16)}`);
  }
  expect(wrong).toEqual([]);
});

it('100,000 characters are folded in linear time, whatever they are', () => {
  for (const text of ['a', 'é', 'ß', '\u0301', 'ｆ', '🦊', 'ﬃ'])
    expectLinear((n) => foldCase(text.repeat(n)), 14_000, text);
});

describe('an attribute decides whether case counts', () => {
  it.each([
    ['a string folds', attribute('a', 'string', ''), 'abc'],
    ['a caseExact string does not', attribute('a', 'string', '', { caseExact: true }), 'ABC'],
    ['a reference does not', attribute('a', 'reference', ''), 'ABC'],
    ['base64 does not', attribute('a', 'binary', ''), 'ABC'],
    ['a date does not', attribute('a', 'dateTime', ''), 'ABC'],
  ])('%s', (_, definition, expected) => {
    expect(foldString(definition, 'ABC')).toBe(expected);
  });
});

it('a resource is folded by its schema, at every depth; what the schema does not know is not there', () => {
  const folded = foldObject(userType.attributes, {
    schemas: ['URN:A'],
    id: 'AbC',
    externalId: 'ExT',
    userName: 'ADA',
    active: true,
    profileUrl: 'https://EXAMPLE.com/A',
    emails: [{ value: 'A@X', type: 'WORK', primary: true }, { type: 'Home' }],
    x509Certificates: [{ value: 'QUJD' }],
    [ENTERPRISE_USER]: { department: 'R&D', manager: { value: 'MixedCase', displayName: 'Bob' } },
    shoeSize: 'XL',
  });
  expect(folded).toEqual({
    schemas: ['URN:A'],
    id: 'AbC',
    externalId: 'ExT',
    userName: 'ada',
    active: true,
    profileUrl: 'https://EXAMPLE.com/A',
    emails: [{ value: 'a@x', type: 'work', primary: true }, { type: 'home' }],
    x509Certificates: [{ value: 'QUJD' }],
    [ENTERPRISE_USER]: { department: 'r&d', manager: { value: 'MixedCase', displayName: 'bob' } },
  });
});

describe('strings are in the order of their code points', () => {
  it.each<[string, string, string]>([
    ['a prefix comes first', 'a', 'ab'],
    ['the empty string comes first', '', '\u0001'],
    ['ASCII by code', 'Z', 'a'],
    ['an astral character after every other', '\uffff', '\u{10000}'],
    ['an astral character after the private use area', '\ue000', '🦊'],
    ['astral characters among themselves', '🦊', '🦋'],
    ['astral characters whose second half differs', 'x🦊a', 'x🦊b'],
  ])('%s', (_, first, second) => {
    expect(compareStrings(first, second)).toBeLessThan(0);
    expect(compareStrings(second, first)).toBeGreaterThan(0);
    expect(compareStrings(first, first)).toBe(0);
  });
});
