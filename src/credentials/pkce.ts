/** Proof Key for Code Exchange (RFC 7636), method S256: only the client that asked for a code can redeem it. */

/** §4.2: a SHA-256, base64url without padding. */
export const isChallenge = (text: string): boolean => /^[\w-]{43}$/.test(text);

/** §4.1: 43 to 128 unreserved characters. */
const isVerifier = (text: string): boolean => /^[\w.~-]{43,128}$/.test(text);

/** §4.6. @returns whether the verifier is that of the challenge. */
export async function isProof(verifier: string, challenge: string): Promise<boolean> {
  if (!isVerifier(verifier)) return false;
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier)));
  const text = btoa(String.fromCharCode(...digest));
  return text.replaceAll('+', '-').replaceAll('/', '_').replace('=', '') === challenge;
}
