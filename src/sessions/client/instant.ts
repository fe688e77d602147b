/** An instant as a caller gives it: one rule for the library, the APIs and the command line. Imports nothing. */

/** The date and time of ISO 8601, extended format, with its zone. Seconds may be left out, as ISO 8601 allows. */
const ISO = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?([Zz]|[+-]\d{2}:\d{2})$/;

/** Before 1973 in milliseconds, today in seconds. */
const LEAST = 100_000_000_000;
/** After the year 5000 in milliseconds, today in microseconds. */
const MOST = 100_000_000_000_000;

/**
 * A Date, epoch milliseconds, or an ISO 8601 instant with `Z` or an offset. A text without a zone is refused: the host and
 * the service would read it in different zones, and a dead session would live for hours.
 *
 * @param name of the value, for the error.
 * @returns epoch milliseconds; a fraction beyond milliseconds is cut.
 * @throws Error that says what was expected.
 */
export function instant(value: Date | number | string, name = 'issuedAt'): number {
  const at = typeof value === 'string' ? parseIso(value) : value instanceof Date ? value.getTime() : value;
  if (typeof at !== 'number' || !Number.isFinite(at)) {
    // Something was meant by it: what is missing is said.
    const hint = typeof value === 'string' && /\d/.test(value) ? ', with Z or an offset: 2026-11-22T08:00:00Z' : '';
    throw new Error(`${name}: a Date, epoch milliseconds or ISO text was expected${hint}`);
  }
  // Taken as milliseconds, seconds would make every session look ancient. A text cannot be in seconds.
  if (at < LEAST && typeof value !== 'string') {
    throw new Error(`${name}: epoch milliseconds were expected, this looks like seconds`);
  }
  // No revocation would ever reach such a session.
  if (at > MOST) {
    throw new Error(
      typeof value === 'string'
        ? `${name}: an instant before the year 5000 was expected`
        : `${name}: epoch milliseconds were expected, this looks like microseconds`,
    );
  }
  return at;
}

/** @returns epoch milliseconds; undefined when the text is no such instant, or one that does not exist (30 February). */
export function parseIso(text: string): number | undefined {
  const parts = ISO.exec(text);
  if (parts === null) return undefined;
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map((digits) => Number(digits ?? 0)) as Six;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const milliseconds = Number((parts[7] ?? '').slice(0, 3).padEnd(3, '0'));
  const date = new Date(0);
  // Not Date.UTC, which takes the year 50 for 1950.
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCFullYear() !== year || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const offset = parseOffset(parts[8]!);
  return offset === undefined ? undefined : date.setUTCHours(hour, minute, second, milliseconds) - offset;
}

type Six = [number, number, number, number, number, number];

/** @returns milliseconds. */
function parseOffset(zone: string): number | undefined {
  if (zone.length === 1) return 0;
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(4))];
  if (hours > 23 || minutes > 59) return undefined;
  return (zone[0] === '-' ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}
