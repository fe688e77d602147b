/** Body -> unknown JSON: media type and size. */
import type { Context } from 'hono';
import { MAX_BODY } from '../scim/discovery';
import { payloadTooLarge, ScimError } from '../scim/error';
import { parseJson } from '../scim/json';

/** RFC 7644 §3.8: scim+json; json is what several clients send. A body without a media type is taken for JSON. */
const JSON_TYPES = new Set(['application/scim+json', 'application/json']);

/** @throws ScimError 413, 415, 400 invalidSyntax. */
export async function readJson(c: Context): Promise<unknown> {
  const type = c.req.header('Content-Type')?.split(';')[0]?.trim().toLowerCase();
  if (type && !JSON_TYPES.has(type)) {
    throw new ScimError(415, undefined, 'Content-Type: application/scim+json or application/json was expected');
  }
  return parseJson(await readBytes(c.req.raw));
}

/** Stops at the limit: what a client says of the length of its body need not be true. @throws ScimError 413. */
export async function readBytes(request: Request, limit = MAX_BODY): Promise<Uint8Array> {
  const tooLarge = () => payloadTooLarge(`The body is larger than ${limit} bytes`);
  if (Number(request.headers.get('Content-Length') ?? 0) > limit) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.byteLength;
    if (length > limit) throw tooLarge();
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}
