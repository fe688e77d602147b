/** The contract that host apps read, to the letter: a change here breaks every host. */
import { describe, expect, it } from 'vitest';
import { flagKey, flagText, parseFlag } from '../../src/sessions/flag';

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
  const OUT = { active: false, validAfter: 1_767_225_600_000, notBefore: 1_767_225_600_000 };

  it('is written with both names of the instant, so that host apps of every version read it', () => {
    const text = flagText(false, 1_767_225_600_000);
    expect(text).toBe('{"v":1,"active":false,"validAfter":1767225600000,"notBefore":1767225600000}');
    expect(parseFlag(text)).toEqual({ v: 1, ...OUT });
  });

  it('is read as services before this version wrote it, with notBefore alone', () => {
    expect(parseFlag('{"v":1,"active":false,"notBefore":1767225600000}')).toEqual({ v: 1, ...OUT });
  });

  it('is read in format 2, with validAfter alone', () => {
    expect(parseFlag('{"v":2,"active":false,"validAfter":1767225600000}')).toEqual({ v: 2, ...OUT });
  });

  it.each([
    [5, 9],
    [9, 5],
  ])('lets nobody in by two instants that differ: the later one counts', (validAfter, notBefore) => {
    const text = JSON.stringify({ v: 1, active: true, validAfter, notBefore });
    expect(parseFlag(text)).toMatchObject({ validAfter: 9, notBefore: 9 });
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
    ['a later version', '{"v":3,"active":true,"validAfter":0,"notBefore":0}'],
    ['format 2 without validAfter', '{"v":2,"active":true,"notBefore":0}'],
    ['format 1 without notBefore, which an older host app could not read', '{"v":1,"active":true,"validAfter":0}'],
    ['validAfter as text', '{"v":1,"active":true,"validAfter":"0","notBefore":0}'],
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
