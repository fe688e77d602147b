/**
 * Bytes of a request body -> JSON value, strictly: UTF-8, bounded depth, no member twice, no `__proto__`.
 * JSON.parse alone takes the last of two equal names in silence, so a proxy and this service could read one body in
 * two ways (RFC 8259 §4 calls the outcome unpredictable).
 */
import { invalidSyntax, printable } from './error';

/** No SCIM message nests deeper than a dozen levels. */
export const MAX_JSON_DEPTH = 32;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });

/** @throws ScimError 400 invalidSyntax that says what is wrong with the text. */
export function parseJson(bytes: ArrayBuffer | Uint8Array): unknown {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw invalidSyntax('The body is not valid UTF-8');
  }
  if (text.trim() === '') throw invalidSyntax('The body is empty: a JSON object was expected');
  checkStructure(text);
  try {
    return JSON.parse(text);
  } catch {
    throw invalidSyntax('The body is not valid JSON');
  }
}

/** One pass over the text, before anything is built from it. What is not JSON at all is left to JSON.parse. */
function checkStructure(text: string): void {
  const open: (Set<string> | undefined)[] = []; // the member names of each open object; undefined for an array
  let expectsName = false;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x7b: // {
      case 0x5b: {
        const isObject = text.charCodeAt(i) === 0x7b;
        open.push(isObject ? new Set() : undefined);
        if (open.length > MAX_JSON_DEPTH) throw invalidSyntax(`The body nests deeper than ${MAX_JSON_DEPTH} levels`);
        expectsName = isObject;
        break;
      }
      case 0x7d: // }
      case 0x5d: // ]
        open.pop();
        expectsName = false;
        break;
      case 0x2c: // ,
        expectsName = open.at(-1) !== undefined;
        break;
      case 0x22: {
        const start = i;
        i = endOfString(text, i);
        if (expectsName) {
          checkName(text.slice(start, i + 1), open.at(-1));
          expectsName = false;
        }
      }
    }
  }
}

function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x5c) i++;
    else if (code === 0x22) return i;
  }
  return text.length;
}

function checkName(literal: string, names: Set<string> | undefined): void {
  let name = literal.slice(1, -1);
  if (name.includes('\\')) {
    try {
      name = JSON.parse(literal);
    } catch {
      return; // JSON.parse of the whole will say so
    }
  }
  if (name === '__proto__') throw invalidSyntax('The body has a member __proto__, which is not accepted');
  if (names?.has(name)) throw invalidSyntax(`The body has the member ${printable(name)} twice in one object`);
  names?.add(name);
}
