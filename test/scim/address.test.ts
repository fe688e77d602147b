import { describe, expect, it } from 'vitest';
import { addressesOf, addressKey, domainKey, domainOf, linkingAddress, storedForms } from '../../src/scim/address';
import { foldCase } from '../../src/scim/fold';

describe('two spellings of one e-mail address are equal', () => {
  it.each([
    ['in letter case', 'Ada@ACME.com', 'ada@acme.COM'],
    ['in letter case outside ASCII', 'ÅSA@acme.com', 'åsa@acme.com'],
    ['in Unicode and as DNS knows the domain', 'ada@müller.example', 'ada@xn--mller-kva.example'],
    ['in Unicode and as DNS knows the domain, with ß', 'ceo@straße.example', 'ceo@XN--STRAE-OQA.example'],
    ['with a full-width domain', 'ada@ａｃｍｅ.com', 'ada@acme.com'],
    ['with an ideographic full stop', 'ada@acme。com', 'ada@acme.com'],
  ])('%s', (_, a, b) => {
    expect(addressKey(a)).toBe(addressKey(b));
    // The index finds each of them by the other.
    expect(storedForms(a)).toContain(foldCase(b));
    expect(storedForms(b).some((form) => storedForms(a).includes(form))).toBe(true);
  });
});

describe('two e-mail addresses stay apart', () => {
  it.each([
    ['ß and ss in the domain', 'ceo@straße.example', 'ceo@strasse.example'],
    ['ß and ss before it', 'straße@acme.com', 'strasse@acme.com'],
    ['a full-width at sign, which is none', 'ceo＠acme.com', 'ceo@acme.com'],
    ['full-width letters before the domain', 'ｃｅｏ@acme.com', 'ceo@acme.com'],
    ['the long ſ before the domain', 'ſam@acme.com', 'sam@acme.com'],
    ['Cyrillic and Latin', 'ada@аcme.com', 'ada@acme.com'],
    ['a domain and its subdomain', 'ada@acme.com', 'ada@mail.acme.com'],
    ['with and without a tag', 'ada+x@acme.com', 'ada@acme.com'],
  ])('%s', (_, a, b) => {
    expect(addressKey(a)).not.toBe(addressKey(b));
  });
});

it.each([
  '',
  'ceo＠acme.com',
  'ada@',
  'ada@acme.com/x',
  'ada@acme.com:80',
  'ada@acme.com?x',
  'ada@acme.com#x',
  'ada@acme%2ecom',
  'ada@acme.com／x',
  'ada@[::1]',
  'ada@127.1',
  'ada@0x7f.1',
  'ada@a b.com',
  `ada@${'a'.repeat(300)}.com`,
])('%s is at no domain', (address) => {
  expect(domainOf(address)).toBeUndefined();
});

it('what stands after the last at sign is the domain, and no name of a user of a URL', () => {
  expect(domainOf('ceo@acme.com@evil.test')).toBe('evil.test');
  expect(domainKey('ceo@acme.com')).toBeUndefined();
});

describe('an account links by', () => {
  const work = (value: unknown, more = {}) => ({ value, type: 'work', ...more }) as never;

  it.each([
    ['its only address', [work('a@x.test')], 'a@x.test'],
    ['its primary one', [work('a@x.test'), work('b@x.test', { primary: true })], 'b@x.test'],
    ['none of several', [work('a@x.test'), work('b@x.test')], undefined],
    ['the one that is there twice', [work('A@X.test'), work('a@x.test')], 'a@x.test'],
    ['none where the primary one is blank', [work('a@x.test'), work('', { primary: true })], undefined],
    ['the only one that is not blank', [work('a@x.test'), work(' ')], 'a@x.test'],
    ['nothing where there is none', [], undefined],
  ])('%s', (_, emails, address) => {
    expect(linkingAddress({ emails })).toBe(address);
  });

  it('no address that is blank', () => {
    expect(addressesOf({ emails: [work(''), work('\u200b'), work('a@x.test')] })).toEqual(['a@x.test']);
    expect(addressesOf({})).toEqual([]);
  });
});

it('punycode that is none does no harm', () => {
  for (const label of ['xn--', 'xn--!', 'xn--99999999999', `xn--${'9'.repeat(60)}`, 'xn--a-b-c', 'xn--zz'])
    expect(() => storedForms(`ada@${label}.example`)).not.toThrow();
});
