/**
 * The keys that issuers publish (RFC 7517 §5), fetched when an assertion needs them and kept by address in this isolate.
 * Without keys every assertion is refused: a key set that cannot be fetched, is too large or not valid is an error.
 */
import { waitUntil } from 'cloudflare:workers';
import { createRemoteJWKSet, customFetch, type RemoteJWKSet } from 'jose';
import { boundedText } from './bounded-text';

/** The keys could not be had now; the same assertion may be good in a moment. */
export class KeysUnavailable extends Error {
  /** Seconds until they may be asked for again; undefined: PAUSE. */
  readonly wait: number | undefined;

  constructor(message: string, { wait, ...options }: ErrorOptions & { readonly wait?: number } = {}) {
    super(message, options);
    this.wait = wait;
  }
}

/** Milliseconds, from the request to the last byte. */
const PATIENCE = 5_000;
/** Milliseconds for which a failed fetch is not tried again: assertions that are not checked yet cause it. */
export const PAUSE = 5_000;
/** Milliseconds between two fetches for keys that the set does not have, for the same reason. */
const UNKNOWN_KEY_PAUSE = 30_000;
/** Milliseconds after which a key that the issuer has withdrawn is good no longer. */
const MAX_AGE = 600_000;
/** Microsoft's has about 20,000. */
const MAX_BYTES = 262_144;
/** Addresses whose keys are kept; the one that was not used for longest makes room. */
const MAX_SETS = 100;

const sets = new Map<string, RemoteJWKSet>();

/** @throws (when asked for a key) KeysUnavailable. */
export function keysAt(url: string): RemoteJWKSet {
  const keys = sets.get(url) ?? open(url);
  sets.delete(url);
  sets.set(url, keys); // the last to be dropped
  if (sets.size > MAX_SETS) sets.delete(sets.keys().next().value!);
  return keys;
}

/**
 * Seconds until an unknown key makes us fetch the set again; 0: the next one does. Until then nobody can say whether a key is made up,
 * or so new that the issuer published it after our last fetch.
 */
export function secondsUntilRefetch(keys: RemoteJWKSet): number {
  if (!keys.coolingDown) return 0;
  const end = (fetchedAt.get(keys) ?? Date.now()) + UNKNOWN_KEY_PAUSE;
  return Math.max(1, Math.ceil((end - Date.now()) / 1_000));
}

/** Epoch milliseconds. */
const fetchedAt = new WeakMap<RemoteJWKSet, number>();

function open(url: string): RemoteJWKSet {
  let pausedUntil = 0;
  let underWay: Promise<string> | undefined;
  /** One fetch for all who ask meanwhile, whichever request of this isolate began it. */
  const shared = (href: string, options: RequestInit): Promise<string> => {
    if (underWay !== undefined) return underWay;
    const begun = fetchBounded(href, options).finally(() => {
      if (underWay === begun) underWay = undefined;
    });
    underWay = begun;
    // The request that began it may be given up by its client: the others still wait.
    waitUntil(begun.catch(() => undefined));
    return begun;
  };
  const keys = createRemoteJWKSet(new URL(url), {
    timeoutDuration: PATIENCE,
    cooldownDuration: UNKNOWN_KEY_PAUSE,
    cacheMaxAge: MAX_AGE,
    headers: { 'User-Agent': 'scim-worker' },
    async [customFetch](href, options) {
      if (Date.now() < pausedUntil) throw new KeysUnavailable('the keys could not be fetched a moment ago');
      try {
        const text = await within(PATIENCE, shared(href, options));
        fetchedAt.set(keys, Date.now());
        return new Response(text);
      } catch (cause) {
        underWay = undefined;
        pausedUntil = Date.now() + PAUSE;
        throw new KeysUnavailable('the keys could not be fetched', { cause });
      }
    },
  });
  return keys;
}

/** What another request has begun may never end, if the runtime has given that request up. */
async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let timer: number | null = null;
  const patience = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), milliseconds);
  });
  try {
    return await Promise.race([work, patience]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * @param options say not to follow redirects: the address that was registered is the one that is trusted.
 * @returns the text of a key set.
 */
async function fetchBounded(url: string, options: RequestInit): Promise<string> {
  const response = await fetch(url, options);
  if (response.status !== 200) throw new Error(`status ${response.status}`);
  const text = await boundedText(response, MAX_BYTES);
  const set: unknown = JSON.parse(text);
  if (!Array.isArray((set as { keys?: unknown } | null)?.keys)) throw new Error('no key set');
  return text;
}
