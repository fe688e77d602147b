/** Instants as SCIM writes them: xsd:dateTime (RFC 7643 §2.3.5). */

const PATTERN = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:\d{2})?$/;

/**
 * One text for one instant, `2026-01-31T10:00:00.000Z`, so that equal instants are equal strings and order is string
 * order. More digits than milliseconds are cut; without a zone it is UTC (§2.3.5 wants one, Entra's code leaves it out).
 *
 * @returns undefined when the text is no instant between the years 0001 and 9999.
 */
export function dateTime(text: string): string | undefined {
  const parts = PATTERN.exec(text);
  if (parts === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction = '', zone = 'Z'] = parts;
  const date = `${year}-${month}-${day}`;
  const instant = Date.parse(
    `${date}T${hour}:${minute}:${second}.${fraction.slice(0, 3).padEnd(3, '0')}${zone.toUpperCase()}`,
  );
  if (Number.isNaN(instant)) return undefined;
  // Date.parse takes 31 February for 3 March.
  if (!new Date(`${date}T00:00:00Z`).toISOString().startsWith(date)) return undefined;
  const canonical = new Date(instant).toISOString();
  return canonical.length === 24 && canonical >= '0001' ? canonical : undefined;
}
