/** Rows of CSV (RFC 4180 §2) that no spreadsheet takes for formulas, wherever it splits them: at commas, semicolons or tabs. */
import { escaped, jsonText } from '../terminal.mjs';

const CONTROL = /\p{Cc}|\p{Bidi_Control}|[\u2028\u2029]/gu;
/** What begins a formula, in wide letters too, at the beginning of a cell or of what a semicolon makes a cell. */
const FORMULA = /(^|;)([\s"']*)(?=[=+\-@＝＋－＠])/g;

/** Objects become JSON, and control characters become escapes as in JSON: a row is a line. */
export const csvRow = (values) => values.map(csvCell).join(',');

function csvCell(value) {
  // JSON has semicolons in its texts alone, so they can be escapes: the value stays the same.
  if (typeof value === 'object' && value !== null) return quoted(jsonText(value).replaceAll(';', '\\u003b'));
  if (typeof value !== 'string') return String(value ?? '');
  return quoted(value.replace(CONTROL, escaped).replace(FORMULA, "$1'$2"));
}

const quoted = (text) => (/[",;]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
