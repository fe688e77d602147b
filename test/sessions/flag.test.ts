/** The contract that host apps read, to the letter: a change here breaks every host. */
import { describe, expect, it } from 'vitest';
import { flagKey, parseFlag } from '../../src/sessions/flag';

describe('the key of a flag', () => {
  it('is rev:v1:<org id>:<user id> for a user', () => {
    expect(flagKey('Ab3dEf6hIj9k', '7f3c2a10-0000-4000-8000-000000000001')).toBe(
      'rev:v1:Ab3dEf6hIj9k:7f3c2a10-0000-4000-8000-000000000001',
    );
  });

  it('is rev:v1:<org id> for the whole org', () => {
    expect(flagKey('Ab3dEf6hIj9k')).toBe('rev:v1:Ab3dEf6hIj9k');
  });
});

describe('the value of a flag', () => {
  it('is JSON with v, active and notBefore', () => {
    expect(parseFlag('{"v":1,"active":false,"notBefore":1767225600000}')).toEqual({
      v: 1,
      active: false,
      notBefore: 1_767_225_600_000,
    });
  });

  it('may have members that this version does not know', () => {
    expect(parseFlag('{"v":1,"active":true,"notBefore":0,"why":"later"}')).toMatchObject({ active: true });
  });

  it.each([
    ['empty text', ''],
    ['no JSON', 'revoked'],
    ['cut JSON', '{"v":1,"active":fal'],
    ['null', 'null'],
    ['a number', '1'],
    ['a list', '[1]'],
    ['no version', '{"active":true,"notBefore":0}'],
    ['a later version', '{"v":2,"active":true,"notBefore":0}'],
    ['the version as text', '{"v":"1","active":true,"notBefore":0}'],
    ['no active', '{"v":1,"notBefore":0}'],
    ['active as text', '{"v":1,"active":"false","notBefore":0}'],
    ['active as a number', '{"v":1,"active":0,"notBefore":0}'],
    ['no notBefore', '{"v":1,"active":true}'],
    ['notBefore null', '{"v":1,"active":true,"notBefore":null}'],
    ['notBefore as text', '{"v":1,"active":true,"notBefore":"2026-01-01T00:00:00Z"}'],
  ])('is not taken for "no flag" when it is unreadable: %s', (_, text) => {
    expect(parseFlag(text)).toBeUndefined();
  });
});
