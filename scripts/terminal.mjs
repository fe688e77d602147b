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

/** Characters of a line: what every terminal has. */
const WIDTH = 80;
const widthNow = () => Math.max(WIDTH, process.stdout.columns ?? 0);

/**
 * Rows of cells as aligned columns; a cell is a value, or `[format, value]` for a coloured one. A table that is too wide
 * continues its texts on the next line. Words are never cut: an id, an address or a token can be copied.
 */
export function columns(rows, width = widthNow()) {
  const cells = rows.map((row) => row.map((cell) => (Array.isArray(cell) ? cell : [undefined, cell])));
  const natural = [];
  const least = [];
  for (const row of cells) {
    for (const [at, cell] of row.entries()) {
      cell[1] = harmless(cell[1] ?? '') || '-';
      natural[at] = Math.max(natural[at] ?? 0, cell[1].length);
      least[at] = Math.max(least[at] ?? 0, ...cell[1].split(' ').map((word) => word.length));
    }
  }
  const widths = narrowed(natural, least, width - GAP.length * (natural.length - 1));
  return cells.flatMap((row) => linesOf(row, widths)).join('\n');
}

const GAP = '  ';

/** The widest column gives first, and none gives more than its longest word needs. */
function narrowed(natural, least, room) {
  const widths = [...natural];
  for (let over = widths.reduce((sum, width) => sum + width, 0) - room; over > 0; over--) {
    let widest = -1;
    for (const [at, width] of widths.entries()) {
      if (width > least[at] && (widest < 0 || width > widths[widest])) widest = at;
    }
    if (widest < 0) break;
    widths[widest]--;
  }
  return widths;
}

/** A row as one line of the terminal, or several. */
function linesOf(row, widths) {
  const wrapped = row.map(([format, text], at) => ({ format, lines: wrap(text, widths[at]) }));
  const height = Math.max(...wrapped.map(({ lines }) => lines.length));
  return Array.from({ length: height }, (_, line) =>
    wrapped
      .map(({ format, lines }, at) => {
        const text = lines[line] ?? '';
        return (format && text ? paint(format, text) : text) + ' '.repeat(Math.max(0, widths[at] - text.length));
      })
      .join(GAP)
      .trimEnd(),
  );
}

/** A text as lines of at most so many characters; a longer word has a line of its own. */
export function wrap(text, width = widthNow()) {
  if (text.length <= width) return [text];
  const lines = [];
  let line;
  for (const word of text.split(' ')) {
    if (line !== undefined && line.length + 1 + word.length <= width) line += ` ${word}`;
    else {
      if (line !== undefined) lines.push(line);
      line = word;
    }
  }
  return [...lines, line];
}

const BAR = 20;
/** Milliseconds between two pictures, and until a rate means something. */
const PACE = 100;
const SETTLED = 500;

/**
 * How far a long command is: `show(done, …)` draws a bar with the rate and the time that is left, `clear()` takes it
 * away. It is on standard error, and only where a person looks on.
 *
 * @param whole all of it, in the unit of `done`; undefined if that is not known.
 * @param unit what is counted.
 */
export function progressBar(whole, unit, { stream = process.stderr, now = () => performance.now() } = {}) {
  if (!stream.isTTY) return { show() {}, clear() {} };
  let began;
  let drawnAt = Number.NEGATIVE_INFINITY;
  return {
    /** @param count how many units that is, if `done` is counted in something else. */
    show(done, count = done) {
      const at = now();
      began ??= { at, done, count };
      if (at - drawnAt < PACE) return;
      drawnAt = at;
      const line = progressLine({ whole, unit, done, count, began, milliseconds: at - began.at });
      stream.write(`\r\u001b[2K${line.slice(0, (stream.columns ?? WIDTH) - 1)}`);
    },
    clear: () => void stream.write('\r\u001b[2K'),
  };
}

function progressLine({ whole, unit, done, count, began, milliseconds }) {
  const isSettled = milliseconds >= SETTLED;
  const rate = isSettled ? `  ${Math.round(((count - began.count) * 1_000) / milliseconds)}/s` : '';
  if (whole === undefined) return `${count} ${unit}${rate}`;
  const share = whole === 0 ? 1 : Math.min(1, done / whole);
  const bar = '█'.repeat(Math.round(share * BAR)).padEnd(BAR, '░');
  const speed = (done - began.done) / milliseconds;
  const left = isSettled && speed > 0 ? `  ${durationText((whole - done) / speed)} left` : '';
  return `${bar} ${String(Math.floor(share * 100)).padStart(3)} %  ${count} ${unit}${rate}${left}`;
}

function durationText(milliseconds) {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1_000));
  if (seconds < 100) return `${seconds} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 100 ? `${minutes} min` : `${Math.ceil(minutes / 60)} h`;
}
