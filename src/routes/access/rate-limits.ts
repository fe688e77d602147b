/**
 * Rate limits, by the Workers rate limiting binding (wrangler.toml): per Cloudflare location, and approximate; against
 * overload, not to meter. They never replace the check in D1, which every request passes. A binding that is missing or
 * fails limits nothing.
 *
 * A caller is *known* when this isolate has seen its credential to be good. A known caller is counted for its org before
 * D1 is asked. Any other caller is counted for its address before D1 is asked and before its body is read.
 */
import type { Context } from 'hono';
import type { Env } from '../../env';
import { weightOf } from '../../store/directory/filter-cost';
import { type Rate, SETTINGS } from '../../store/org/settings';
import { publicUrl } from '../addresses';
import { type App, addressOf, inBackground } from '../context';

/** Seconds: the periods of the bindings. Rounded up to one, for when it began is not known. */
const ORG_PERIOD = 10;
const FAILED_PERIOD = 60;
export const RATE_DEFAULT: Rate = SETTINGS.rateLimit.default;

interface Known {
  readonly orgId: string;
  readonly rate: Rate;
  /** Of its users or groups, whichever are more. */
  readonly size: number;
}

/** The latest that were put in, at most so many. */
export class Recent<T> {
  readonly #all = new Map<string, T>();

  constructor(private readonly most: number) {}

  get = (key: string): T | undefined => this.#all.get(key);

  keep(key: string, value: T): void {
    this.#all.delete(key);
    this.#all.set(key, value);
    if (this.#all.size > this.most) this.#all.delete(this.#all.keys().next().value!);
  }

  forget = (key: string): boolean => this.#all.delete(key);
}

/** Whose a credential turned out to be, as this isolate saw it last: which limit it counts on, not whether it is good. */
class Callers {
  readonly #known = new Recent<Known>(5_000);

  get = (hash: string): Known | undefined => this.#known.get(hash);

  keep(hash: string, { id: orgId, settings, userCount = 0, groupCount = 0 }: Org): void {
    const rate = settings.rateLimit ?? RATE_DEFAULT;
    this.#known.keep(hash, { orgId, rate, size: Math.max(userCount, groupCount) });
  }

  forget(hash: string): void {
    this.#known.forget(hash);
  }
}

export const callers = new Callers();

/** Orgs that were over their rate, and until when this isolate remembers it. Epoch milliseconds. */
const overRate = new Recent<number>(5_000);

/** Requests a second that the binding of the orgs allows a key. */
const UNIT: Rate = 25;

/** Requests of each org that this isolate has let pass and that no question to the binding stands for. */
const unasked = new Recent<number>(5_000);

/**
 * Counts a request of the org, whatever credential it was made with. To be called for proved callers only: what anyone
 * can send must not use up an org's rate.
 *
 * The binding is asked once for so many requests as the org's rate is times its unit: of 500 a second one in 20. So an
 * isolate may let 19 requests more pass. While the org is over its rate, each request asks.
 *
 * @returns seconds to wait, if the org sends more than its setting `rateLimit` allows.
 */
export async function orgTooFast(
  { env }: Context<App>,
  { orgId, rate }: Pick<Known, 'orgId' | 'rate'>,
): Promise<number | undefined> {
  const waiting = (unasked.get(orgId) ?? 0) + 1;
  if (waiting < rate / UNIT && !wasTooFast(orgId)) {
    unasked.keep(orgId, waiting);
    return undefined;
  }
  unasked.forget(orgId);
  if (!(await isOver(env.RATE_25, `org:${orgId}`))) {
    overRate.forget(orgId);
    return undefined;
  }
  overRate.keep(orgId, Date.now() + ORG_PERIOD * 1_000);
  return ORG_PERIOD;
}

/** Whether a session of the portal asks for more than its pages do. */
export const portalTooOften = ({ env }: Context<App>, linkId: string): Promise<boolean> =>
  isOver(env.RATE_25, `portal:${linkId}`);

/** What one search in the portal counts: it may look through all users of the org. */
const PORTAL_SEARCH = 10;

/** Whether the portal searches an org more often than a person would: all orgs wait for such searches. */
export async function portalSearchesTooOften({ env }: Context<App>, slug: string): Promise<boolean> {
  const all = await Promise.all(
    Array.from({ length: PORTAL_SEARCH }, () => isOver(env.RATE_25, `portal-search:${slug}`)),
  );
  return all.includes(true);
}

/** Whether the org was over its rate a moment ago: a caller that is not known is then checked before it is served. */
export const wasTooFast = (orgId: string): boolean => (overRate.get(orgId) ?? 0) > Date.now();

/**
 * What follows once a credential has been found good that was not known here. Its request counts for its org after the
 * fact, off the answer's path, unless it was counted.
 */
export function becomeKnown(c: Context<App>, hash: string, org: Org, isCounted: boolean): void {
  callers.keep(hash, org);
  if (!isCounted) inBackground(c, orgTooFast(c, { orgId: org.id, rate: org.settings.rateLimit ?? RATE_DEFAULT }));
  // Only an address limits strangers.
  if (addressOf(c) !== undefined) inBackground(c, location.keep(c, hash));
}

interface Org {
  readonly id: string;
  readonly settings: { readonly rateLimit?: Rate };
  readonly userCount?: number;
  readonly groupCount?: number;
}

/** A credential that was known turned out to be dead. */
export function becomeUnknown(c: Context<App>, hash: string): void {
  callers.forget(hash);
  inBackground(c, location.forget(c, hash));
}

/**
 * Counts a request of a caller that is not known, before it costs anything. A good client behind an address that others
 * abuse passes where this Cloudflare location has seen its credential to be good within a day.
 *
 * @param hash of what it presents; absent: nothing that could be known.
 * @returns seconds to wait, when too many have come from there. Without an address there is no limit.
 */
export async function strangerTooOften(c: Context<App>, hash?: string): Promise<number | undefined> {
  const seconds = await failedTooOften(c);
  if (seconds === undefined || hash === undefined) return seconds;
  return (await location.has(c, hash)) ? undefined : seconds;
}

/**
 * Whether the org has searched too much without an index, whatever its `rateLimit`: all orgs wait for such searches. The
 * size of the org is that of its last request here; of a caller that has not been seen here nothing is counted.
 *
 * @param cost in units (store/directory/filter-cost.ts).
 * @returns seconds to wait, if so.
 */
export async function searchesTooMuch({ env }: Context<App>, hash: string, cost: number): Promise<number | undefined> {
  const known = callers.get(hash);
  const weight = known === undefined ? 1 : weightOf(cost, known.size);
  if (known === undefined || weight === 1) return undefined;
  const key = `search:${known.orgId}`;
  const all = await Promise.all(Array.from({ length: weight }, () => isOver(env.RATE_25, key)));
  return all.includes(true) ? ORG_PERIOD : undefined;
}

/**
 * Counts a request that has failed to prove who its caller is, and was not counted before.
 *
 * @returns seconds to wait, when too many have failed from there. Without an address there is no limit.
 */
export async function failedTooOften(c: Context<App>): Promise<number | undefined> {
  const network = networkOf(addressOf(c));
  if (network === undefined) return undefined;
  return (await isOver(c.env.FAILED_AUTH, network)) ? FAILED_PERIOD : undefined;
}

/**
 * Credentials that were good in this Cloudflare location within a day, by their hashes, in the Cache API. A new isolate
 * there knows them while an address is limited. It says nothing of whether a credential is good now.
 */
const location = {
  async has(c: Context<App>, hash: string): Promise<boolean> {
    return (await quietly(caches.default.match(entryOf(c, hash)))) !== undefined;
  },
  async keep(c: Context<App>, hash: string): Promise<void> {
    const entry = new Response('good', { headers: { 'Cache-Control': 'max-age=86400' } });
    await quietly(caches.default.put(entryOf(c, hash), entry));
  },
  async forget(c: Context<App>, hash: string): Promise<void> {
    await quietly(caches.default.delete(entryOf(c, hash)));
  },
};

/** An address that no route serves. Requests from outside meet the Worker before the cache. */
const entryOf = (c: Context<App>, hash: string) => `${publicUrl(c)}/.seen/${hash}`;

/** A cache that fails knows nothing. */
const quietly = <T>(work: Promise<T>): Promise<T | undefined> => work.catch(() => undefined);

/** Of IPv6 the first 64 bits: one network has all addresses below them (RFC 6177 §2). */
export function networkOf(address: string | undefined): string | undefined {
  if (!address?.includes(':') || address.includes('.')) return address;
  const [head = [], tail = []] = address.split('::').map((part) => part.split(':').filter((group) => group !== ''));
  const zeros = Array<string>(Math.max(0, 8 - head.length - tail.length)).fill('0');
  return [...head, ...zeros, ...tail].slice(0, 4).join(':');
}

async function isOver(limiter: Env['FAILED_AUTH'], key: string): Promise<boolean> {
  try {
    return limiter !== undefined && !(await limiter.limit({ key })).success;
  } catch (error) {
    console.error(JSON.stringify({ message: 'a rate limit could not be asked', error: String(error) }));
    return false;
  }
}

/**
 * Counts a signal of the org (routes/signals). Not with the org's other requests: a day with a thousand sign-outs must not
 * wait for the directory, nor the directory for it.
 *
 * @returns seconds to wait, if so many come at once.
 */
export async function signalsTooFast({ env }: Context<App>, orgId: string): Promise<number | undefined> {
  return (await isOver(env.RATE_500, `signals:${orgId}`)) ? ORG_PERIOD : undefined;
}

/** What this Cloudflare location is to know of what was good and is no credential of an IdP: see `strangerTooOften`. */
export function becomeSeen(c: Context<App>, hash: string): void {
  if (addressOf(c) !== undefined) inBackground(c, location.keep(c, hash));
}

/** Counts a request of a receiver of signals (routes/ssf), by its token. @returns seconds to wait, if it asks too often. */
export async function receiverTooFast({ env }: Context<App>, hash: string): Promise<number | undefined> {
  return (await isOver(env.RATE_25, `receiver:${hash}`)) ? ORG_PERIOD : undefined;
}
