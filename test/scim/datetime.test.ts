import { describe, expect, it } from 'vitest';
import { dateTime } from '../../src/scim/datetime';
import { expectLinear } from '../support/growth';

describe('an instant has one text', () => {
  it.each([
    ['in UTC', '2026-01-31T10:00:00Z', '2026-01-31T10:00:00.000Z'],
    ['east of Greenwich', '2026-01-31T12:30:00+02:30', '2026-01-31T10:00:00.000Z'],
    ['west of Greenwich, over midnight', '2026-01-31T23:30:00-05:00', '2026-02-01T04:30:00.000Z'],
    ['with the widest offsets', '2026-01-31T00:00:00+14:00', '2026-01-30T10:00:00.000Z'],
    ['with milliseconds', '2026-01-31T10:00:00.123Z', '2026-01-31T10:00:00.123Z'],
    ['with tenths', '2026-01-31T10:00:00.5Z', '2026-01-31T10:00:00.500Z'],
    ['with more digits than milliseconds, which are cut', '2026-01-31T10:00:00.1239999Z', '2026-01-31T10:00:00.123Z'],
    ['with small letters', '2026-01-31t10:00:00z', '2026-01-31T10:00:00.000Z'],
    ['without a zone, as UTC', '2026-01-31T10:00:00', '2026-01-31T10:00:00.000Z'],
    ['at the end of a day', '2026-01-31T24:00:00Z', '2026-02-01T00:00:00.000Z'],
    ['on a leap day', '2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
    ['in the year 1', '0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
    ['in the year 9999', '9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ])('%s', (_, text, canonical) => {
    expect(dateTime(text)).toBe(canonical);
    expect(dateTime(canonical)).toBe(canonical);
  });

  it('is the text whose order is the order of time', () => {
    const earlier = dateTime('2026-01-31T23:00:00-05:00')!;
    const later = dateTime('2026-02-01T04:00:00.001Z')!;
    expect(earlier < later).toBe(true);
  });
});

describe('what is no instant', () => {
  it.each([
    ['nothing', ''],
    ['a word', 'yesterday'],
    ['a date alone', '2026-01-31'],
    ['a time alone', '10:00:00Z'],
    ['no seconds', '2026-01-31T10:00Z'],
    ['a space for the T', '2026-01-31 10:00:00Z'],
    ['white space around it', ' 2026-01-31T10:00:00Z'],
    ['a line break after it', '2026-01-31T10:00:00Z\n'],
    ['30 February', '2026-02-30T10:00:00Z'],
    ['29 February of a common year', '2025-02-29T10:00:00Z'],
    ['31 April', '2026-04-31T00:00:00Z'],
    ['the end of 31 April', '2026-04-31T24:00:00Z'],
    ['month 13', '2026-13-01T10:00:00Z'],
    ['month 0', '2026-00-01T10:00:00Z'],
    ['day 0', '2026-01-00T10:00:00Z'],
    ['hour 25', '2026-01-31T25:00:00Z'],
    ['after the end of a day', '2026-01-31T24:00:01Z'],
    ['minute 60', '2026-01-31T10:60:00Z'],
    ['second 60', '2026-01-31T10:00:60Z'],
    ['an offset of 25 hours', '2026-01-31T10:00:00+25:00'],
    ['an offset without a colon', '2026-01-31T10:00:00+0200'],
    ['the name of a zone', '2026-01-31T10:00:00 CET'],
    ['a fraction without digits', '2026-01-31T10:00:00.Z'],
    ['two digits of a year', '26-01-31T10:00:00Z'],
    ['five digits of a year', '12026-01-31T10:00:00Z'],
    ['the year 0', '0000-12-31T23:59:59Z'],
    ['the year 0 by its offset', '0001-01-01T00:00:00+01:00'],
    ['the year 10000 by its offset', '9999-12-31T23:59:59-01:00'],
    ['epoch seconds', '1769853600'],
    ['Arabic-Indic digits', '٢٠٢٦-01-31T10:00:00Z'],
  ])('%s', (_, text) => {
    expect(dateTime(text)).toBeUndefined();
  });

  it('a fraction of 100,000 digits is read, and 100,000 digits of a year are not, at once', () => {
    expectLinear(
      (n) => expect(dateTime(`2026-01-31T10:00:00.${'1'.repeat(n)}Z`)).toBe('2026-01-31T10:00:00.111Z'),
      100_000,
    );
    expectLinear((n) => expect(dateTime(`${'1'.repeat(n)}-01-31T10:00:00Z`)).toBeUndefined(), 100_000);
  });
});
