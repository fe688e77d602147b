/** Who may sign for a client instead of knowing a secret, as an administrator registers it. Read once, then trusted. */
import { importJWK, type JWK } from 'jose';
import { invalidValue, type ScimError } from '../scim/error';
import type { PublicKey, Signer } from '../store/credentials/oauth-clients';

/** Signatures that a public key can check. Never `none`, never HS*, whose key would be public here (RFC 8725 §3.1). */
export const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];

const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];
const MAX_KEYS = 10;
/** Bits (RFC 7518 §3.3); the upper bound is for the time that a check may take. */
const MODULUS = { least: 2_048, most: 8_192 };
const KINDS = 'an RSA key of 2048 to 8192 bits, an EC key (P-256, P-384, P-521) or an Ed25519 key was expected';

/** What makes up a key of a kind, and with which algorithms it can be used. */
const FORMS: Record<string, { readonly members: readonly string[]; readonly algorithms: readonly string[] }> = {
  RSA: { members: ['n', 'e'], algorithms: ALGORITHMS.slice(0, 6) },
  'EC P-256': { members: ['crv', 'x', 'y'], algorithms: ['ES256'] },
  'EC P-384': { members: ['crv', 'x', 'y'], algorithms: ['ES384'] },
  'EC P-521': { members: ['crv', 'x', 'y'], algorithms: ['ES512'] },
  'OKP Ed25519': { members: ['crv', 'x'], algorithms: ['EdDSA', 'Ed25519'] },
};

/** As the administrator's body has it. */
export interface SignerAsked {
  readonly jwk?: unknown;
  readonly jwks?: unknown;
  readonly issuer?: string | undefined;
  readonly jwksUrl?: string | undefined;
  readonly subject?: string | undefined;
  readonly audience?: string | undefined;
}

/** @throws ScimError 400 that names the member and what was expected. */
export async function readSigner({ jwk, jwks, ...issued }: SignerAsked): Promise<Signer> {
  const { issuer, jwksUrl, subject, audience } = issued;
  const isIssued = Object.values(issued).some((value) => value !== undefined);
  if ([jwk !== undefined, jwks !== undefined, isIssued].filter(Boolean).length !== 1) {
    throw refusal('', 'jwk, or jwks, or issuer with jwksUrl, subject and audience was expected');
  }
  if (jwk !== undefined) return { keys: [await publicKey(jwk, 'jwk')] };
  if (jwks !== undefined) return { keys: await publicKeys(jwks) };
  if (issuer === undefined || jwksUrl === undefined || subject === undefined || audience === undefined) {
    throw refusal('', 'issuer, jwksUrl, subject and audience belong together: all four were expected');
  }
  return { issuer, jwksUrl, subject, audience };
}

async function publicKeys(jwks: unknown): Promise<PublicKey[]> {
  const keys = (jwks as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > MAX_KEYS) {
    throw refusal('jwks', `an object whose keys are a list of 1 to ${MAX_KEYS} was expected (RFC 7517, section 5)`);
  }
  const all = await Promise.all(keys.map((key, i) => publicKey(key, `jwks.keys[${i}]`)));
  // By it an assertion says which of them it was signed with.
  if (all.length > 1 && new Set(all.map(({ kid }) => kid ?? '')).size < all.length) {
    throw refusal('jwks', 'of several keys each needs a kid of its own');
  }
  return all;
}

/** Without what is not needed, and certainly without what is private. */
async function publicKey(key: unknown, path: string): Promise<PublicKey> {
  if (typeof key !== 'object' || key === null) throw refusal(path, 'an object was expected (RFC 7517, section 4)');
  const given = key as Record<string, unknown>;
  if (PRIVATE.some((member) => given[member] !== undefined)) {
    throw refusal(
      path,
      'a public key was expected. This one is private, and was sent over the network: make a new pair',
    );
  }
  const form = FORMS[given['kty'] === 'RSA' ? 'RSA' : `${given['kty']} ${given['crv']}`];
  if (form === undefined) throw refusal(path, KINDS);
  if (given['use'] !== undefined && given['use'] !== 'sig') throw refusal(`${path}.use`, 'sig was expected');
  if (given['alg'] !== undefined && !form.algorithms.includes(given['alg'] as string)) {
    throw refusal(`${path}.alg`, `one of ${form.algorithms.join(', ')} was expected`);
  }
  const kept = ['kty', ...form.members, 'kid', 'alg'].filter((member) => given[member] !== undefined);
  const wrong = kept.find((member) => typeof given[member] !== 'string' || (given[member] as string).length > 2_000);
  if (wrong !== undefined) throw refusal(`${path}.${wrong}`, 'a string of at most 2000 characters was expected');
  const jwk = Object.fromEntries(kept.map((member) => [member, given[member]])) as PublicKey;
  if (!(await isUsable(jwk, form.algorithms[0]!))) throw refusal(path, KINDS);
  return jwk;
}

async function isUsable(jwk: PublicKey, algorithm: string): Promise<boolean> {
  try {
    const key = (await importJWK(jwk as JWK, jwk['alg'] ?? algorithm)) as CryptoKey;
    const { modulusLength: bits } = key.algorithm as { modulusLength?: number };
    return bits === undefined || (bits >= MODULUS.least && bits <= MODULUS.most);
  } catch {
    return false; // a point that is not on the curve, a member that is missing or no number
  }
}

const refusal = (path: string, expected: string): ScimError =>
  invalidValue(`${['assertion', path].filter(Boolean).join('.')}: ${expected}`);
