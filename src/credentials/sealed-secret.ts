/**
 * Secrets that the service has to read again: they are encrypted, not hashed. AES-256-GCM, under a key derived from the Worker
 * secret WEBHOOK_KEY. A copy of the database alone opens none of them.
 */

/** What a secret is for. Each purpose has a derived key of its own, so a text opens for no other purpose. */
export type Purpose =
  /** What signs the messages of a webhook. */
  | 'webhook secrets'
  /** What opens the API of a transmitter of signals. */
  | 'transmitter credentials'
  /** The private keys that sign what this service transmits. */
  | 'signing keys'
  /** What opens the endpoint of a receiver of signals. */
  | 'receiver credentials';

const VERSION = 'v1.';
const IV_BYTES = 12;

const base64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes));
const bytesOf = (text: string) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

/** None of the keys opens it. */
export class Unreadable extends Error {}

/**
 * @param keys WEBHOOK_KEY first, then the one before it (`Settings.encryptionKeys`).
 * @param id of the row that keeps the text: it opens for no other row.
 */
export async function seal(keys: readonly string[], purpose: Purpose, id: string, secret: string): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const sealed = await crypto.subtle.encrypt(
    algorithm(iv, id),
    await keyOf(keys[0]!, purpose),
    new TextEncoder().encode(secret),
  );
  return VERSION + base64(new Uint8Array([...iv, ...new Uint8Array(sealed)]));
}

/** @param keys, purpose, id as for `seal`. No keys: WEBHOOK_KEY is not set any more. @throws Unreadable. */
export async function open(keys: readonly string[], purpose: Purpose, id: string, sealed: string): Promise<string> {
  if (keys.length === 0) throw new Unreadable('WEBHOOK_KEY is not set');
  const bytes = bytesOf(sealed.slice(VERSION.length));
  const [iv, rest] = [bytes.subarray(0, IV_BYTES), bytes.subarray(IV_BYTES)];
  for (const key of keys) {
    try {
      return new TextDecoder().decode(await crypto.subtle.decrypt(algorithm(iv, id), await keyOf(key, purpose), rest));
    } catch {
      // Sealed under another key.
    }
  }
  throw new Unreadable('the secret was encrypted under another WEBHOOK_KEY');
}

const algorithm = (iv: Uint8Array, id: string) => ({
  name: 'AES-GCM',
  iv,
  additionalData: new TextEncoder().encode(id),
});

const known = new Map<string, Promise<CryptoKey>>();

/** Once for each isolate. */
function keyOf(secret: string, purpose: Purpose): Promise<CryptoKey> {
  const name = `${purpose} ${secret}`;
  const found = known.get(name) ?? derive(secret, purpose);
  known.set(name, found);
  return found;
}

async function derive(secret: string, purpose: Purpose): Promise<CryptoKey> {
  const encoder = new TextEncoder();
  const base = await crypto.subtle.importKey('raw', encoder.encode(secret), 'HKDF', false, ['deriveKey']);
  const how = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info: encoder.encode(`scim-worker ${purpose}`) };
  return crypto.subtle.deriveKey(how, base, { name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
}
