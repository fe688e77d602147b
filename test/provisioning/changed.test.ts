/** What an event keeps of a change: as much as has changed, and never much. */
import { describe, expect, it } from 'vitest';
import { differenceOf, MAX_CHANGED } from '../../src/provisioning/changed';
import { ENTERPRISE_USER } from '../../src/scim/urns';

const addresses = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => ({ value: `person-${from + i}@example.com`, type: 'work' }));
const size = (value: unknown) => JSON.stringify(value).length;

describe('the event of a change keeps', () => {
  it('small values whole, as they were and as they are', () => {
    const before = { title: 'Head', emails: addresses(2), name: { givenName: 'Ada' } };
    const after = { title: 'Chief', emails: addresses(1), active: true, name: { givenName: 'Ada' } };
    expect(differenceOf(before, after)).toEqual({
      changed: {
        title: { before: 'Head', after: 'Chief' },
        emails: { before: addresses(2), after: addresses(1) },
        active: { before: null, after: true },
      },
    });
  });

  it('of a large list the elements that came and went', () => {
    const emails = addresses(5_000);
    const after = [...emails.slice(1), { type: 'home', value: 'new@example.com' }];
    expect(differenceOf({ emails }, { emails: after })).toEqual({
      changed: { emails: { added: [{ value: 'new@example.com', type: 'home' }], removed: [emails[0]] } },
    });
  });

  it('of an element that was changed what it was and what it is', () => {
    const emails = addresses(100);
    const after = emails.map((email, i) => (i === 7 ? { ...email, primary: true } : email));
    expect(differenceOf({ emails }, { emails: after }).changed).toEqual({
      emails: { added: [{ ...emails[7], primary: true }], removed: [emails[7]] },
    });
  });

  it('that equal elements of a large list have become fewer, or stand in another order', () => {
    const emails = [...addresses(100), ...addresses(1), ...addresses(1)];
    const fewer = differenceOf({ emails }, { emails: emails.slice(0, -1) });
    expect(fewer.changed).toEqual({ emails: { added: [], removed: addresses(1) } });
    const turned = differenceOf({ emails }, { emails: emails.toReversed() });
    expect(turned.changed).toEqual({ emails: { added: [], removed: [] } });
    const respelled = emails.map(({ value, type }) => ({ type, value }));
    expect(differenceOf({ emails }, { emails: respelled })).toEqual({ changed: {} });
  });

  it('of a large complex attribute the sub-attributes that differ, by their whole names', () => {
    const name = { formatted: 'x'.repeat(5_000), givenName: 'Ada', familyName: 'Lovelace' };
    const extension = { department: 'Sales', costCenter: 'y'.repeat(3_000), manager: { value: '1' } };
    const before = { name, [ENTERPRISE_USER]: extension };
    const after = {
      name: { ...name, givenName: 'Augusta' },
      [ENTERPRISE_USER]: { ...extension, department: null, manager: { value: '2' } },
    };
    expect(differenceOf(before, after)).toEqual({
      changed: {
        'name.givenName': { before: 'Ada', after: 'Augusta' },
        [`${ENTERPRISE_USER}:department`]: { before: 'Sales', after: null },
        [`${ENTERPRISE_USER}:manager`]: { before: { value: '1' }, after: { value: '2' } },
      },
    });
  });

  it('no more than so many bytes: of what is beyond, the name and the size', () => {
    const after = {
      x509Certificates: [{ value: 'A'.repeat(20_000) }],
      userName: 'ada',
      displayName: 'é'.repeat(8_500),
      emails: addresses(50),
      active: false,
    };
    const { changed, leftOut } = differenceOf({}, after);
    expect(Object.keys(changed).sort()).toEqual(['active', 'emails', 'userName']);
    expect(changed['active']).toEqual({ before: null, after: false });
    expect(Object.keys(leftOut!).sort()).toEqual(['displayName', 'x509Certificates']);
    expect(leftOut!['x509Certificates']).toBeGreaterThan(20_000);
    expect(leftOut!['displayName']).toBeGreaterThan(17_000);
    expect(size(changed)).toBeLessThan(MAX_CHANGED);
  });
});
