/** How scripts talk to people: colours where they are seen, columns that align. */
import process from 'node:process';
import { styleText } from 'node:util';

/** Colours a text if standard output is a terminal and NO_COLOR is not set. */
export const paint = (format, text) => styleText(format, String(text), { stream: process.stdout });

/** What an IdP or a caller chose must not move the cursor or recolour the terminal of the person who reads it. */
export const harmless = (text) => String(text).replace(/\p{Cc}|\p{Bidi_Control}/gu, '\u{fffd}');

/** An answer as a whole: lines, tabs and the colours of `paint` stay, whatever else a field has brought goes. */
export const harmlessText = (text) =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: looking for them is the point
  text.replace(/\u001b\[[\d;]*m|[\n\t]|\p{Cc}|\p{Bidi_Control}/gu, (found) =>
    found.length > 1 || found === '\n' || found === '\t' ? found : '\u{fffd}',
  );

/** Control characters beyond those that JSON escapes by itself, and those that turn the direction of writing. */
const UNSEEN = /[\u007f-\u009f\u2028\u2029]|\p{Bidi_Control}/gu;

/** JSON in one line that reads as the same value, and whose texts do nothing to a terminal. */
export const jsonText = (value) => JSON.stringify(value).replace(UNSEEN, escaped);

/** A character as JSON writes it. */
export const escaped = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

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
