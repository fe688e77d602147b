/**
 * A client's proof by signature instead of a secret (RFC 7521 §4.2, RFC 7523 §3): a JWT that the client signed with its
 * registered key, or that an issuer which the org trusts signed for it. Signatures are jose's business, not ours.
 */
import {
  createLocalJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWK,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose';
import type { Once, Signer } from '../store/credentials/oauth-clients';
import { KeysUnavailable, keysAt } from './jwks';
import { isJwksAddress } from './public-host';
import { hashOf } from './secret';
import { ALGORITHMS } from './signer';

/** RFC 7523 §2.2. */
export const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** Seconds by which clocks may differ. */
const TOLERANCE = 60;
/** Seconds that a client's own assertion may live: what is remembered of it is remembered for so long. */
const LONGEST = 3_600;

/**
 * Why one was refused: for the org's eyes. `key`: it is signed with one that is not known. `address`: the issuer's keys are
 * where none are fetched from.
 */
export type Fault =
  | 'address'
  | 'malformed'
  | 'key'
  | 'signature'
  | 'issuer'
  | 'subject'
  | 'audience'
  | 'expired'
  | 'time';

export type Verification =
  /** `once`: it is good for one time. */
  | { readonly ok: true; readonly once?: Once }
  | { readonly ok: false; readonly fault: Fault }
  /** The issuer's keys could not be had, so nothing is known of it. */
  | { readonly ok: false; readonly fault: 'unavailable' };

/** What an assertion says of itself before anything is checked; undefined: it can never be a good one. */
export function readAssertion(text: string): { readonly clientId: string | undefined } | undefined {
  try {
    if (!ALGORITHMS.includes(decodeProtectedHeader(text).alg ?? '')) return undefined;
    const { iss, sub } = decodeJwt(text);
    return { clientId: iss === sub && typeof sub === 'string' ? sub : undefined };
  } catch {
    return undefined;
  }
}

/** What it was made for. */
export interface AssertionContext {
  readonly clientId: string;
  /** The names under which this service is meant: its issuer, its token endpoint. */
  readonly audiences: readonly string[];
  /** Epoch milliseconds. */
  readonly now: number;
  /** Whether keys may be fetched from this machine; absent: not. */
  readonly allowsLoopback?: boolean;
}

export async function verifyAssertion(text: string, signer: Signer, asked: AssertionContext): Promise<Verification> {
  if ('keys' in signer) return verifyOwn(text, signer.keys as readonly JWK[], asked);
  // At registration, too; but an address may be older than the rule, or than the variable that allowed it.
  if (!isJwksAddress(signer.jwksUrl, asked.allowsLoopback ?? false)) return { ok: false, fault: 'address' };
  return verifyIssued(text, signer, asked.now);
}

/** RFC 7523 §3: the client is issuer and subject, and says for whom the assertion is. */
async function verifyOwn(
  text: string,
  keys: readonly JWK[],
  { clientId, audiences, now }: AssertionContext,
): Promise<Verification> {
  const [only] = keys;
  // One key without a name is meant whatever the client calls it.
  const key = keys.length === 1 && only!.kid === undefined ? async () => only! : createLocalJWKSet({ keys: [...keys] });
  return verified(text, key, { issuer: clientId, subject: clientId }, audiences, now, async ({ jti, exp }) => {
    if (exp! * 1_000 > now + (LONGEST + TOLERANCE) * 1_000) return { ok: false, fault: 'time' };
    if (jti === undefined) return { ok: true };
    if (typeof jti !== 'string') return { ok: false, fault: 'malformed' };
    return { ok: true, once: { hash: await hashOf(`${clientId} ${jti}`), validUntil: (exp! + TOLERANCE) * 1_000 } };
  });
}

/**
 * Workload identity federation: the issuer's subject stands for the client, so `sub` is not the client's id (RFC 7523 §3
 * wants it to be). The issuer hands out the same assertion until it expires: it is good more than once.
 */
const verifyIssued = (
  text: string,
  { issuer, jwksUrl, subject, audience }: Exclude<Signer, { keys: unknown }>,
  now: number,
): Promise<Verification> =>
  verified(text, keysAt(jwksUrl), { issuer, subject }, spellings(audience), now, async () => ({ ok: true }));

/**
 * Entra ID shows its administrators `api://<application id>/.default`, documents `api://<application id>` as the `aud` of
 * the token, and has been seen to send the bare id. All name one application. Source: AzureAD/SCIMReferenceCode,
 * «Workload Identity Federation: A New Authentication Method for SCIM Provisioning», 2026-06.
 */
function spellings(audience: string): string[] {
  const application = audience.replace(/^api:\/\//, '').replace(/\/\.default$/, '');
  return [...new Set([audience, application, `api://${application}`, `api://${application}/.default`])];
}

async function verified(
  text: string,
  key: JWTVerifyGetKey | (() => Promise<JWK>),
  who: Pick<JWTVerifyOptions, 'issuer' | 'subject'>,
  audiences: readonly string[],
  now: number,
  more: (claims: JWTPayload) => Promise<Verification>,
): Promise<Verification> {
  try {
    const { payload } = await jwtVerify(text, key as JWTVerifyGetKey, {
      ...who,
      audience: [...audiences],
      algorithms: ALGORITHMS,
      requiredClaims: ['exp'],
      clockTolerance: TOLERANCE,
      currentDate: new Date(now),
    });
    // All of them are us: what is for another server, too, that server could present here.
    const isOurs = [payload.aud].flat().every((audience) => audiences.includes(audience!));
    if (!isOurs) return { ok: false, fault: 'audience' };
    return Number.isFinite(payload.exp) ? await more(payload) : { ok: false, fault: 'time' };
  } catch (error) {
    // A key set that is none is the issuer's failure, as one that cannot be fetched.
    if (error instanceof KeysUnavailable || error instanceof errors.JWKSInvalid)
      return { ok: false, fault: 'unavailable' };
    return { ok: false, fault: faultOf(error) };
  }
}

const CLAIMS: Record<string, Fault> = { iss: 'issuer', sub: 'subject', aud: 'audience' };

/** Whatever went wrong with it, it is not proved. */
export function faultOf(error: unknown): Fault {
  if (error instanceof errors.JWTExpired) return 'expired';
  if (error instanceof errors.JWTClaimValidationFailed) return CLAIMS[error.claim] ?? 'time';
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) return 'key';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'signature';
  return 'malformed';
}
