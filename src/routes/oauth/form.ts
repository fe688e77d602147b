/** Body -> the members of a form (RFC 6749 appendix B), each once. */
import type { Context } from 'hono';
import type * as z from 'zod/mini';
import { readBytes } from '../body';
import { invalidRequest, type Params } from './grant';

/** Bytes. The longest member is an assertion: a few thousand. */
const MAX_FORM = 65_536;
const FORM = 'application/x-www-form-urlencoded';

/** RFC 8707 §2: may stand several times. We have one resource, and Entra ID is said to name it. */
const REPEATABLE = 'resource';

/** @throws OAuthError invalid_request; ScimError 413. */
export async function readForm(c: Context): Promise<Params> {
  const type = c.req.header('Content-Type')?.split(';')[0]?.trim().toLowerCase();
  if (type !== FORM) throw invalidRequest(`Content-Type: ${FORM} was expected`, 415);
  const params = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(textOf(await readBytes(c.req.raw, MAX_FORM)))) {
    if (params.has(name) && name !== REPEATABLE) throw invalidRequest('Each parameter was expected once (section 3.2)');
    params.set(name, value);
  }
  // §3.2: without a value it counts as absent.
  return new Map([...params].filter(([, value]) => value !== ''));
}

/** The members that a request needs; others are ignored (§3.2). @throws OAuthError invalid_request: the schema's sentence. */
export function readParams<T extends z.ZodMiniType>(schema: T, params: Params): z.output<T> {
  const parsed = schema.safeParse(Object.fromEntries(params));
  if (parsed.success) return parsed.data;
  throw invalidRequest(parsed.error.issues[0]!.message);
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw invalidRequest('UTF-8 was expected');
  }
}
