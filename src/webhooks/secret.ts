/**
 * The secret that signs what one endpoint is sent. It has to be read again for each message, so it is not hashed but
 * encrypted: AES-256-GCM, under a key derived from the Worker secret WEBHOOK_KEY. A dump of the database alone signs nothing.
 */

const PREFIX = 'whsec_';
/** Standard Webhooks wants 24 to 64 bytes. */
const BYTES = 32;
const VERSION = 'v1.';
const IV_BYTES = 12;

const base64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes));
const bytesOf = (text: string) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

/** As Standard Webhooks spells it: shown once. */
export const newWebhookSecret = (): string => PREFIX + base64(crypto.getRandomValues(new Uint8Array(BYTES)));

export const maskOfWebhookSecret = (secret: string): string =>
  `${secret.slice(0, PREFIX.length + 4)}…${secret.slice(-4)}`;

/** None of the keys opens it. */
export class Unreadable extends Error {}

/** @param keys WEBHOOK_KEY first. @param id of the endpoint: the text opens for no other one. */
export async function seal(keys: readonly string[], id: string, secret: string): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const sealed = await crypto.subtle.encrypt(
    algorithm(iv, id),
    await keyOf(keys[0]!),
    new TextEncoder().encode(secret),
  );
  return VERSION + base64(new Uint8Array([...iv, ...new Uint8Array(sealed)]));
}

/** @throws Unreadable. */
export async function open(keys: readonly string[], id: string, sealed: string): Promise<string> {
  const bytes = bytesOf(sealed.slice(VERSION.length));
  const [iv, rest] = [bytes.subarray(0, IV_BYTES), bytes.subarray(IV_BYTES)];
  for (const key of keys) {
    try {
      return new TextDecoder().decode(await crypto.subtle.decrypt(algorithm(iv, id), await keyOf(key), rest));
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
function keyOf(secret: string): Promise<CryptoKey> {
  const found = known.get(secret) ?? derive(secret);
  known.set(secret, found);
  return found;
}

async function derive(secret: string): Promise<CryptoKey> {
  const encoder = new TextEncoder();
  const base = await crypto.subtle.importKey('raw', encoder.encode(secret), 'HKDF', false, ['deriveKey']);
  const how = {
    name: 'HKDF',
    hash: 'SHA-256',
    salt: new Uint8Array(),
    info: encoder.encode('scim-worker webhook secrets'),
  };
  return crypto.subtle.deriveKey(how, base, { name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
}
