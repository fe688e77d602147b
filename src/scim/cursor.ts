/**
 * The text of a cursor (RFC 9865 §2): where a page ended, signed with a key that only the service knows. It holds ids and
 * numbers of the client's own resources and nothing of their content, for it stands in URLs and so in logs.
 */
import { expiredCursor, invalidCount, invalidCursor } from './error';

/** Seconds that a cursor is good for; what ServiceProviderConfig calls pagination.cursorTimeout. */
export const CURSOR_TIMEOUT = 3600;

/** Where a page ended. */
export interface CursorPosition {
  /** The name of the resource type, in a search across several. */
  readonly type: string;
  readonly id: string;
  /** Of the value that the resource was sorted by. */
  readonly digest: string;
  /** Of the pages; it stays the same. */
  readonly count: number;
  /** Resources in all, where counting them again would read them all; null where it costs nothing. */
  readonly total: number | null;
  /** Epoch milliseconds. */
  readonly issuedAt: number;
}

/** A cursor as it was given. Its id may be looked for; nothing else of it is to be believed before `verify`. */
export interface Claim {
  readonly place: CursorPosition;
  readonly signature: Uint8Array<ArrayBuffer>;
  readonly payload: string;
}

const SIGNATURE_LENGTH = 32;
const encoder = new TextEncoder();

const importKey = (key: string) =>
  crypto.subtle.importKey('raw', encoder.encode(key), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify']);

/** A cursor is good for one query only, so the query is signed along. */
const signed = (payload: string, query: string) => encoder.encode(`cursor\n${payload}\n${query}`);

/** @param query the text of all that must stay the same from page to page. */
export async function sealCursor(key: string, query: string, place: CursorPosition): Promise<string> {
  const { type, id, digest, count, total, issuedAt } = place;
  const payload = JSON.stringify([type, id, digest, count, total, issuedAt]);
  const signature = await crypto.subtle.sign('HMAC', await importKey(key), signed(payload, query));
  return toBase64Url(new Uint8Array([...new Uint8Array(signature), ...encoder.encode(payload)]));
}

/** @throws ScimError 400 invalidCursor: the text cannot be a cursor of ours. */
export function readCursor(text: string): Claim {
  const bytes = fromBase64Url(text);
  if (bytes === undefined || bytes.length <= SIGNATURE_LENGTH) throw invalidCursor();
  const payload = new TextDecoder().decode(bytes.subarray(SIGNATURE_LENGTH));
  let parts: unknown;
  try {
    parts = JSON.parse(payload);
  } catch {
    throw invalidCursor();
  }
  // Any text: imported accounts have ids that the vendor chose. It is only compared, and believed after `verifyCursor`.
  if (!Array.isArray(parts) || typeof parts[1] !== 'string' || parts[1] === '') throw invalidCursor();
  const [type, id, digest, count, total, issuedAt] = parts;
  return {
    place: { type, id, digest, count, total, issuedAt },
    signature: bytes.slice(0, SIGNATURE_LENGTH),
    payload,
  };
}

/** @throws ScimError 400 invalidCursor: not ours, or of another org or query; expiredCursor; invalidCount. */
export async function verifyCursor(
  key: string,
  query: string,
  { place, signature, payload }: Claim,
  count: number,
  now: number,
): Promise<void> {
  const isOurs = await crypto.subtle.verify('HMAC', await importKey(key), signature, signed(payload, query));
  if (!isOurs) throw invalidCursor();
  if (now - place.issuedAt > CURSOR_TIMEOUT * 1000) {
    throw expiredCursor(`The cursor is older than ${CURSOR_TIMEOUT} seconds: start again with an empty one`);
  }
  if (count !== place.count) throw invalidCount('count: the same number as for the first page was expected');
}

/** Tells whether a value is still the same, and nothing else of it. */
export async function digestOf(key: string, value: unknown): Promise<string> {
  const text = encoder.encode(`value\n${JSON.stringify(value)}`);
  const digest = await crypto.subtle.sign('HMAC', await importKey(key), text);
  return toBase64Url(new Uint8Array(digest, 0, 12));
}

/** RFC 9865 §2 wants unreserved characters only (RFC 3986 §2.3). */
const toBase64Url = (bytes: Uint8Array) =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');

/** The one spelling only: bits that decoding drops would let a changed cursor pass. */
function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[\w-]{1,1000}$/.test(text) || text.length % 4 === 1) return undefined;
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  return toBase64Url(bytes) === text ? bytes : undefined;
}
