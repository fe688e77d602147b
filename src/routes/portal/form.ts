/** The forms of the portal: read within a bound, and only where they come from a page of this session. */
import { ScimError } from '../../scim/error';
import { readBytes } from '../body';
import { expectOwnOrigin, type PortalContext, PortalRefusal } from './visit';

/** Bytes. The longest field is a list of groups' names. */
const MAX_FORM = 16_384;

/** The fields of a form, each once. */
export type Form = (name: string) => string;

/** @throws PortalRefusal 403, 413, 415. */
export async function readForm(c: PortalContext): Promise<Form> {
  expectOwnOrigin(c);
  const type = c.req.header('Content-Type')?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/x-www-form-urlencoded') throw new PortalRefusal('bad_form', 400);
  const fields = new URLSearchParams(new TextDecoder().decode(await bytesOf(c)));
  if (!isSame(fields.get('csrf') ?? '', c.var.visit.csrf)) throw new PortalRefusal('foreign_form', 403);
  return (name) => (fields.get(name) ?? '').trim();
}

async function bytesOf(c: PortalContext): Promise<Uint8Array> {
  try {
    return await readBytes(c.req.raw, MAX_FORM);
  } catch (error) {
    if (error instanceof ScimError && error.status === 413) throw new PortalRefusal('too_large', 413);
    throw error;
  }
}

/** In constant time, for texts of one length. */
function isSame(given: string, right: string): boolean {
  const [a, b] = [given, right].map((text) => new TextEncoder().encode(text));
  return a!.byteLength === b!.byteLength && crypto.subtle.timingSafeEqual(a!, b!);
}
