/** How scripts talk to people: colours where they are seen, columns that align. */
import process from 'node:process';
import { styleText } from 'node:util';

/** Colours a text if standard output is a terminal and NO_COLOR is not set. */
export const paint = (format, text) => styleText(format, String(text), { stream: process.stdout });

/** What an IdP or a caller chose must not move the cursor or recolour the terminal of the person who reads it. */
export const harmless = (text) => String(text).replace(/\p{Cc}|\p{Bidi_Control}/gu, '\u{fffd}');

/** The first of the rows of `columns`. */
export const heading = (...names) => names.map((name) => ['dim', name]);

/** Rows of cells as aligned columns; a cell is a value, or `[format, value]` for a coloured one. */
export function columns(rows) {
  const cells = rows.map((row) => row.map((cell) => (Array.isArray(cell) ? cell : [undefined, cell])));
  const widths = [];
  for (const row of cells) {
    for (const [at, cell] of row.entries()) {
      cell[1] = harmless(cell[1] ?? '') || '-';
      widths[at] = Math.max(widths[at] ?? 0, cell[1].length);
    }
  }
  const line = (row) =>
    row.map(([format, text], at) => (format ? paint(format, text) : text) + ' '.repeat(widths[at] - text.length));
  return cells.map((row) => line(row).join('  ').trimEnd()).join('\n');
}
