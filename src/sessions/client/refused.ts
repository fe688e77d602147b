/** What a request without a good session is answered, whichever framework answers it. */
import type { CheckedVerdict } from './checker.ts';

export interface RefusedAnswer {
  readonly status: 401 | 503;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: { readonly error: string; readonly detail: string };
}

/** @param verdict undefined: there was no session at all. */
export function refusedAnswer(challenge: string, verdict: CheckedVerdict | undefined): RefusedAnswer {
  // Nobody said that the session is over: a client that throws it away on a 401 should not.
  if (verdict?.reason === 'unavailable') {
    const body = { error: 'temporarily_unavailable', detail: 'The session could not be checked. Try again.' };
    return { status: 503, headers: { 'Retry-After': '5', 'Cache-Control': 'no-store' }, body };
  }
  const detail = verdict ? 'The session is over. Sign in again.' : 'A session is needed. Sign in.';
  // RFC 6750 §3.1: the error code only where something was presented.
  const scheme = challenge.toLowerCase() === 'bearer' && verdict ? `${challenge} error="invalid_token"` : challenge;
  const headers = { 'WWW-Authenticate': scheme, 'Cache-Control': 'no-store' };
  return { status: 401, headers, body: { error: 'unauthorized', detail } };
}
