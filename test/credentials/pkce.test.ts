import { describe, expect, it } from 'vitest';
import { isChallenge, isProof } from '../../src/credentials/pkce';

/** RFC 7636, Appendix B. */
const VERIFIER = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';
const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM';

describe('a code verifier', () => {
  it('proves the challenge that was made of it (RFC 7636, Appendix B)', async () => {
    expect(await isProof(VERIFIER, CHALLENGE)).toBe(true);
  });

  it.each([
    ['another', `${VERIFIER.slice(0, -1)}l`],
    ['the challenge itself', CHALLENGE],
    ['cut to 42 characters', VERIFIER.slice(0, 42)],
    ['of more than 128', VERIFIER.repeat(3)],
    ['of other characters', `${VERIFIER.slice(0, -1)}+`],
    ['empty', ''],
  ])('proves nothing when it is %s', async (_, verifier) => {
    expect(await isProof(verifier, CHALLENGE)).toBe(false);
  });

  it('may have every unreserved character, 43 to 128 of them', async () => {
    for (const verifier of ['.~_-'.padEnd(43, 'aZ0'), 'x'.repeat(128)]) {
      const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
      const challenge = btoa(String.fromCharCode(...new Uint8Array(digest)))
        .replace(/\+/g, '-')
        .replace(/\//g, '_')
        .replace(/=+$/, '');
      expect(isChallenge(challenge)).toBe(true);
      expect(await isProof(verifier, challenge)).toBe(true);
    }
  });
});

it.each(['', 'x', `${CHALLENGE}=`, CHALLENGE.slice(1), CHALLENGE.replace('-', '+'), `${CHALLENGE}\n`])(
  'no challenge is %j',
  (text) => {
    expect(isChallenge(text)).toBe(false);
  },
);
