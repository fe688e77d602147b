/**
 * The signed tokens of signals: a request of Universal Logout (draft-parecki-oauth-global-token-revocation), a security
 * event token (RFC 8417). What a token says of itself is read without asking anybody; then its signature is checked.
 */
import {
  type CryptoKey,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import type { Once } from '../store/credentials/oauth-clients';
import { type Fault, faultOf } from './assertion';
import { KeysUnavailable, keysAt, secondsUntilRefetch } from './jwks';
import { isJwksAddress } from './public-host';
import { hashOf } from './secret';
import { ALGORITHMS } from './signer';

/** Seconds by which clocks may differ. */
export const TOLERANCE = 300;
/** Seconds that a request may be good for: its `jti` is remembered for so long. */
const LONGEST = 3_600;
/**
 * Seconds for which the `jti` of an event is remembered. An event that is older when it comes ends only the sessions from
 * before it, so that a repetition of it changes nothing.
 */
export const FRESH = 3_600;
/** Bits; the upper bound is for the time that a check may take. */
const MAX_MODULUS = 8_192;

/** What tells the two apart. */
export interface Kind {
  readonly typ: string;
  /** Characters. */
  readonly longest: number;
  /** An event has happened, and does not expire (RFC 8417 §2.2). */
  readonly expires: boolean;
}

export const REVOCATION: Kind = { typ: 'global-token-revocation+jwt', longest: 8_192, expires: true };
export const EVENT: Kind = { typ: 'secevent+jwt', longest: 32_768, expires: false };

/** Why one was refused: for the org's administrator. `key`: it is not known, or too weak. `issuer`: no source is.
 * `jwks`: the issuer's keys are where none are fetched from. */
export type SignalFault =
  | Exclude<Fault, 'address'>
  | 'jwks'
  | 'missing'
  | 'type'
  | 'algorithm'
  | 'jti'
  /** It is dated in the future: the sender's clock is ahead. */
  | 'clock'
  | 'replayed'
  | 'unavailable';

type Reading =
  | { readonly ok: true; readonly issuer: string; readonly jti: string; readonly issuedAt: number | undefined }
  /** `issuer`: the one that it names, which may be anybody's. */
  | { readonly ok: false; readonly fault: SignalFault; readonly issuer?: string };

const no = (fault: SignalFault) => ({ ok: false, fault }) as const;

/** What a token says of itself. It costs no fetch and no look-up. @param now epoch milliseconds. */
export function readSignal(text: string, kind: Kind, now: number): Reading {
  if (text.length > kind.longest) return no('malformed');
  let header: ReturnType<typeof decodeProtectedHeader>;
  let claims: JWTPayload;
  try {
    header = decodeProtectedHeader(text);
    claims = decodeJwt(text);
  } catch {
    return no('malformed');
  }
  const { iss, jti, iat, nbf, exp } = claims as Record<string, unknown>;
  const issuer = typeof iss === 'string' && iss !== '' && iss.length <= 2_000 ? iss : undefined;
  const refused = (fault: SignalFault) => ({ ok: false, fault, ...(issuer !== undefined && { issuer }) }) as const;
  if (!ALGORITHMS.includes(header.alg ?? '')) return refused('algorithm');
  if (typeof header.typ !== 'string' || header.typ.toLowerCase().replace(/^application\//, '') !== kind.typ) {
    return refused('type');
  }
  if (issuer === undefined) return refused('issuer');
  if (typeof jti !== 'string' || jti === '' || jti.length > 500) return refused('jti');
  if ([iat, nbf, exp].some((at) => at !== undefined && !Number.isFinite(at))) return refused('time');
  const seconds = now / 1_000;
  if (exp === undefined ? kind.expires : false) return refused('time');
  if (exp !== undefined && (exp as number) <= seconds - TOLERANCE) return refused('expired');
  if (kind.expires && (exp as number) > seconds + LONGEST + TOLERANCE) return refused('time');
  if (!kind.expires && iat === undefined) return refused('time');
  if ([iat, nbf].some((at) => at !== undefined && (at as number) > seconds + TOLERANCE)) return refused('clock');
  return { ok: true, issuer, jti, issuedAt: iat === undefined ? undefined : (iat as number) * 1_000 };
}

/** Whom it must be of and for. */
export interface Expected {
  readonly issuer: string;
  readonly jwksUrl: string;
  readonly audience: string;
  /** Epoch milliseconds. */
  readonly now: number;
  readonly allowsLoopback: boolean;
}

export type VerifiedSignal =
  | { readonly ok: true; readonly claims: JWTPayload; readonly once: Once }
  | {
      readonly ok: false;
      readonly fault: SignalFault /** Seconds, where it is known. */;
      readonly wait?: number | undefined;
    };

/** @param text what `readSignal` has found to be good so far. */
export async function verifySignal(text: string, kind: Kind, expected: Expected): Promise<VerifiedSignal> {
  const { issuer, jwksUrl, audience, now, allowsLoopback } = expected;
  // At registration, too; but an address may be older than the rule.
  if (!isJwksAddress(jwksUrl, allowsLoopback)) return no('jwks');
  try {
    const { payload } = await jwtVerify(text, keysOfFairSize(jwksUrl, kind === REVOCATION), {
      issuer,
      audience,
      typ: kind.typ,
      algorithms: ALGORITHMS,
      clockTolerance: TOLERANCE,
      currentDate: new Date(now),
    });
    // A request is for us alone. An event may be for several receivers (RFC 8417 §2.2).
    if (kind.expires && [payload.aud].flat().some((one) => one !== audience)) return no('audience');
    const seconds = kind.expires ? payload.exp! : now / 1_000 + FRESH;
    const hash = await hashOf(`signal ${issuer} ${payload.jti}`);
    return { ok: true, claims: payload, once: { hash, validUntil: Math.ceil((seconds + TOLERANCE) * 1_000) } };
  } catch (error) {
    if (error instanceof KeysUnavailable) return { ok: false, fault: 'unavailable', wait: error.wait };
    if (error instanceof errors.JWKSInvalid) return no('unavailable');
    // jose says so of an RSA key of less than 2048 bits.
    return no(error instanceof TypeError ? 'key' : (faultOf(error) as SignalFault));
  }
}

/**
 * @param mayBeNew a key that was not there a moment ago is KeysUnavailable. Conformance of SSF wants 400 of a pushed token with an
 *   unknown key, always.
 */
function keysOfFairSize(jwksUrl: string, mayBeNew: boolean): JWTVerifyGetKey {
  const keys = keysAt(jwksUrl);
  return async (header, token) => {
    const wait = mayBeNew ? secondsUntilRefetch(keys) : 0;
    const key = (await keys(header, token).catch((error) => {
      // A sender does not repeat what was refused for good: the first signal after a rotation of keys would be lost.
      if (error instanceof errors.JWKSNoMatchingKey && wait > 0)
        throw new KeysUnavailable('the key is not known yet', { wait });
      throw error;
    })) as CryptoKey;
    const { modulusLength = 0 } = key.algorithm as { modulusLength?: number };
    if (modulusLength > MAX_MODULUS) throw new TypeError('the key is too large');
    return key;
  };
}
