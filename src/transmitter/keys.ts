/** Pairs of keys that sign security event tokens: made, encrypted, opened. */
import { calculateJwkThumbprint, exportJWK, exportPKCS8, generateKeyPair, importPKCS8 } from 'jose';
import { open, seal } from '../credentials/sealed-secret';
import type { Algorithm } from '../store/operations/signal-receivers';
import type { NewKey, SigningKey } from '../store/operations/signing-keys';

/** RFC 7518 §3.3 and the interoperability profile: at least 2048. */
const MODULUS = 2_048;

/** @param keys WEBHOOK_KEY first. */
export async function newSigningKey(keys: readonly string[], algorithm: Algorithm): Promise<NewKey> {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true, modulusLength: MODULUS });
  const jwk = (await exportJWK(publicKey)) as Record<string, string>;
  const kid = await calculateJwkThumbprint(jwk);
  return {
    kid,
    algorithm,
    jwk: { ...jwk, kid, alg: algorithm, use: 'sig' },
    privateKey: await seal(keys, 'signing keys', kid, await exportPKCS8(privateKey)),
  };
}

/** Those that this isolate has opened; there are a handful. */
const opened = new Map<string, Promise<CryptoKey>>();
const MAX_OPENED = 10;

/** @throws Unreadable. */
export function openSigningKey(keys: readonly string[], key: SigningKey): Promise<CryptoKey> {
  const found = opened.get(key.kid);
  if (found !== undefined) return found;
  const begun = open(keys, 'signing keys', key.kid, key.privateKey).then((text) => importPKCS8(text, key.algorithm));
  opened.set(key.kid, begun);
  begun.catch(() => opened.delete(key.kid));
  if (opened.size > MAX_OPENED) opened.delete(opened.keys().next().value!);
  return begun;
}
