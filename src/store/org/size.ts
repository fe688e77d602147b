/** Sizes as an operator writes them: `500MB`, `5GB`. Decimal, as Cloudflare counts. */
const UNITS = ['B', 'KB', 'MB', 'GB', 'TB'] as const;

/** @returns bytes; undefined: it is no size. */
export function parseSize(text: string): number | undefined {
  const [, digits, unit = 'B'] = /^(\d{1,15}(?:\.\d{1,3})?)\s?([kmgt]?b)?$/i.exec(text.trim()) ?? [];
  if (digits === undefined) return undefined;
  return Math.round(Number(digits) * 1_000 ** UNITS.indexOf(unit.toUpperCase() as 'B'));
}

/** In the largest unit of which there is one, to one decimal. */
export function sizeText(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), UNITS.length - 1);
  return `${Math.round((bytes / 1_000 ** power) * 10) / 10}${UNITS[power]}`;
}
