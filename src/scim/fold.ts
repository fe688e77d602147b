/**
 * The form in which strings are compared. Case-insensitive attributes are folded here and not in SQL, whose lower()
 * knows ASCII only; filters, uniqueness and sorting all compare this form (RFC 7644 §5, §7.8: prepare before comparing).
 */
import type { Attribute } from './attribute';
import type { Json, JsonObject } from './resource';

/**
 * A caseless form for every script: `ß` = `SS`, `Σ` = `ς` = `σ`, full-width = ASCII, composed = decomposed. The
 * dotless `ı` stays itself: as `i` it would let one account pass for another.
 */
export function foldCase(text: string): string {
  if (isAscii(text)) return text.toLowerCase();
  let folded = '';
  // Composed first: what is upper-cased apart, as in `ᾴ`, comes back in another order than it was combined in.
  const composed = narrow(text.normalize('NFC'));
  for (const character of composed) {
    // Down before up: the capital `ẞ` has no other upper case, and only its `ß` becomes `SS`.
    folded += character === 'ı' ? character : character.toLowerCase().toUpperCase().toLowerCase();
  }
  return folded.normalize('NFC');
}

const isAscii = (text: string) => /^[\0-\x7f]*$/.test(text);

/** The other case of a character only where that is one character too, and no other script's: `ß`, `ſ`, `ı` stay themselves. */
function foldCharacter(character: string): string {
  const lower = character.toLowerCase();
  const folded = lower.toUpperCase().toLowerCase();
  const isOne = [...lower.toUpperCase()].length === 1 && [...folded].length === 1;
  return isOne && isAscii(folded) === isAscii(lower) ? folded : lower;
}

/**
 * The form in which it is decided who somebody is: case alone. Unlike `foldCase` it never takes several letters for one,
 * so that `straße` and `strasse` are two people.
 */
export const foldCaseAlone = (text: string): string =>
  isAscii(text) ? text.toLowerCase() : [...text.normalize('NFC')].map(foldCharacter).join('').normalize('NFC');

/** The same for names, in which full-width letters are the ordinary ones. */
export const foldCaseAndWidth = (text: string): string => foldCaseAlone(narrow(text.normalize('NFC')));

const narrow = (text: string) => text.replace(/[\u3000\uff00-\uffef]+/g, (wide) => wide.normalize('NFKC'));

/** Nothing that a person could see: empty, white space, controls, characters that are never shown. */
export const isBlank = (text: string): boolean =>
  /^[\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cf}\u2800]*$/u.test(text);

/** A string of this attribute, ready to be compared with another one of it. */
export function foldString(attribute: Attribute, text: string): string {
  return attribute.type === 'string' && !attribute.caseExact ? foldCase(text) : text;
}

function foldValue(attribute: Attribute, value: Json): Json {
  if (Array.isArray(value)) return value.map((element) => foldValue(attribute, element));
  if (typeof value === 'string') return foldString(attribute, value);
  if (typeof value === 'object' && value !== null) return foldObject(attribute.subAttributes ?? [], value);
  return value;
}

/** The members that the attributes describe, folded: a resource, an extension, or one element of a list. */
export function foldObject(attributes: readonly Attribute[], value: JsonObject): JsonObject {
  const folded: JsonObject = {};
  for (const attribute of attributes) {
    const member = Object.hasOwn(value, attribute.name) ? value[attribute.name] : undefined;
    if (member !== undefined) folded[attribute.name] = foldValue(attribute, member);
  }
  return folded;
}

/** Order of strings by code point, which is also SQLite's order of UTF-8 bytes; JavaScript's own is by UTF-16 unit. */
export function compareStrings(a: string, b: string): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    let x = a.charCodeAt(i);
    let y = b.charCodeAt(i);
    if (x === y) continue;
    // A surrogate stands for a code point above every other unit.
    if (x >= 0xd800 && x < 0xe000) x += 0x10000;
    if (y >= 0xd800 && y < 0xe000) y += 0x10000;
    return x - y;
  }
  return a.length - b.length;
}
