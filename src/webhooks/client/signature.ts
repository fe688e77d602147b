/** The signature of Standard Webhooks (standardwebhooks.com): HMAC-SHA-256 over the id, the timestamp and the body. */

const PREFIX = 'whsec_';
const SCHEME = 'v1,';

/** @throws TypeError unless it is base64, with or without `whsec_`. */
export async function signingKey(secret: string): Promise<CryptoKey> {
  const text = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret;
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    throw new TypeError('the secret of a webhook was expected: whsec_ and base64');
  }
  if (bytes.length === 0) throw new TypeError('the secret of a webhook was expected, and it is empty');
  return crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify']);
}

export interface Signed {
  readonly id: string;
  /** Seconds since 1970. */
  readonly timestamp: number;
  readonly body: string;
}

const content = ({ id, timestamp, body }: Signed) => new TextEncoder().encode(`${id}.${timestamp}.${body}`);

/** `v1,…`. */
export async function sign(key: CryptoKey, message: Signed): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.sign('HMAC', key, content(message)));
  return SCHEME + btoa(String.fromCharCode(...bytes));
}

/** Whether one of the signatures is by one of the keys. The runtime compares in constant time. */
export async function isSigned(keys: readonly CryptoKey[], message: Signed, signatures: string): Promise<boolean> {
  const data = content(message);
  let isGood = false;
  for (const signature of signatures.split(' ').slice(0, MAX_SIGNATURES)) {
    const bytes = signature.startsWith(SCHEME) ? bytesOf(signature.slice(SCHEME.length)) : undefined;
    if (bytes === undefined) continue;
    for (const key of keys) if (await crypto.subtle.verify('HMAC', key, bytes, data)) isGood = true;
  }
  return isGood;
}

/** Two during a rotation. A header with more of them must not cost time. */
const MAX_SIGNATURES = 10;

function bytesOf(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}
