/** Body -> unknown JSON: media type, compression and size. */
import type { Context } from 'hono';
import { MAX_BODY } from '../scim/discovery';
import { invalidSyntax, payloadTooLarge, ScimError } from '../scim/error';
import { parseJson } from '../scim/json';
import { mediaTypesOf } from '../scim/quirks';

/** RFC 7644 §3.8: scim+json; json is what several clients send. A body without a media type is taken for JSON. */
export const JSON_TYPES = new Set(['application/scim+json', 'application/json']);

/** RFC 8259 §8.1: JSON is UTF-8. ASCII is a part of it. */
const CHARSETS = new Set(['utf-8', 'utf8', 'us-ascii', 'ascii']);

/** @throws ScimError 415 when the media type names another charset: the text would be read as what it is not. */
export function expectUtf8(contentType: string | undefined): void {
  if (!contentType?.includes(';')) return;
  for (const [, quoted, plain] of contentType.matchAll(/;\s*charset\s*=\s*(?:"([^"]*)"|([^;,\s]*))/gi)) {
    if (!CHARSETS.has((quoted ?? plain ?? '').toLowerCase())) {
      throw new ScimError(415, undefined, 'Content-Type: the charset utf-8 was expected, or none');
    }
  }
}

/**
 * @param whenEmpty what a body without a byte means; absent: it is refused.
 * @throws ScimError 413, 415, 400 invalidSyntax.
 */
export async function readJson(c: Context, whenEmpty?: unknown): Promise<unknown> {
  if (!mediaTypesOf(c.req.header('Content-Type')).every((type) => JSON_TYPES.has(type))) {
    throw new ScimError(415, undefined, 'Content-Type: application/scim+json or application/json was expected');
  }
  expectUtf8(c.req.header('Content-Type'));
  const bytes = await readBytes(c.req.raw);
  const json = bytes.length === 0 && whenEmpty !== undefined ? whenEmpty : parseJson(bytes);
  c.set('sent', json);
  return json;
}

/** Content codings (RFC 9110 §8.4.1) and what DecompressionStream calls them. HTTP's `deflate` is zlib's format. */
const CODINGS: Readonly<Record<string, 'gzip' | 'deflate'>> = { gzip: 'gzip', 'x-gzip': 'gzip', deflate: 'deflate' };

/** The body without its compression. @throws ScimError 415: another coding, or several. */
function decoded(request: Request): ReadableStream<Uint8Array> | null {
  const coding = request.headers.get('Content-Encoding')?.trim().toLowerCase();
  if (!coding || coding === 'identity') return request.body;
  const format = Object.hasOwn(CODINGS, coding) ? CODINGS[coding] : undefined;
  if (format === undefined) {
    const detail = 'Content-Encoding: gzip or deflate was expected, or none';
    throw new ScimError(415, undefined, detail, { 'Accept-Encoding': 'gzip, deflate' });
  }
  return request.body?.pipeThrough(new DecompressionStream(format) as ReadableWritablePair<Uint8Array>) ?? null;
}

/**
 * The body, decompressed. It stops at the limit: the length that a client states may be false, and a few compressed bytes
 * can stand for gigabytes.
 *
 * @throws ScimError 413, 415, 400 invalidSyntax.
 */
export async function readBytes(request: Request, limit = MAX_BODY): Promise<Uint8Array> {
  const tooLarge = () => payloadTooLarge(`The body is larger than ${limit} bytes`);
  const stated = request.headers.get('Content-Length');
  if (Number(stated ?? 0) > limit) throw tooLarge();
  const isCompressed = request.headers.has('Content-Encoding');
  // HTTP ends a body at the length that it states. Most bodies come so, and one call is faster than a loop.
  if (stated !== null && !isCompressed) {
    const bytes = new Uint8Array(await request.arrayBuffer());
    if (bytes.byteLength > limit) throw tooLarge();
    return bytes;
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of decoded(request) ?? []) {
      length += chunk.byteLength;
      if (length > limit) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    // The runtime throws a TypeError for damaged data.
    if (isCompressed && error instanceof TypeError) throw invalidSyntax('The body cannot be decompressed');
    throw error;
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}
