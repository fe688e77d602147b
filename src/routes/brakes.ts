/**
 * Brakes, by the Workers rate limiting binding (wrangler.toml): per Cloudflare location, and approximate; against
 * overload, not to meter. None is in the way of the check in D1, which every request passes, and a binding that is
 * missing or fails is no brake.
 */
import type { Context } from 'hono';
import type { Env } from '../env';
import { weightOf } from '../store/filter-cost';
import { RATES, type Rate } from '../store/open';
import type { App } from './context';
import { addressOf } from './context';

/** Seconds: the periods of the bindings. Rounded up to one, for when it began is not known. */
const ORG_PERIOD = 10;
const FAILED_PERIOD = 60;
export const RATE_DEFAULT: Rate = Math.max(...RATES) as Rate;

interface Known {
  readonly orgId: string;
  readonly rate: Rate;
  /** Of its users or groups, whichever are more. */
  readonly size: number;
}

/** Whose a credential turned out to be, as this isolate saw it last: which brake it counts on, not whether it is good. */
class Callers {
  static readonly #MAX = 5_000;
  readonly #known = new Map<string, Known>();

  get = (hash: string): Known | undefined => this.#known.get(hash);

  /** Those that were used last are kept. */
  keep(hash: string, orgId: string, rate: Rate = RATE_DEFAULT, size = 0): void {
    this.#known.delete(hash);
    this.#known.set(hash, { orgId, rate, size });
    if (this.#known.size > Callers.#MAX) this.#known.delete(this.#known.keys().next().value!);
  }

  forget(hash: string): void {
    this.#known.delete(hash);
  }
}

export const callers = new Callers();

/**
 * Whether the org sends more than its setting `rateLimit` allows. A credential that has not been seen good here counts by
 * itself: so what is no good never counts for the org, and a flood of it does not lock out the good client.
 *
 * @returns seconds to wait, if so.
 */
export async function orgTooFast({ env }: Context<App>, hash: string): Promise<number | undefined> {
  const { orgId, rate } = callers.get(hash) ?? { orgId: undefined, rate: RATE_DEFAULT };
  const key = orgId === undefined ? `credential:${hash}` : `org:${orgId}`;
  return (await isOver(env[`RATE_${rate}`], key)) ? ORG_PERIOD : undefined;
}

/**
 * Whether the org has searched too much without an index, whatever its `rateLimit`: all orgs wait for such searches. The
 * size of the org is that of its last request here; of a caller that has not been seen here nothing is counted.
 *
 * @param cost in units (store/filter-cost.ts).
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
 * To be asked when a caller could not be authenticated, and only then: a good one at the same address is not slowed.
 *
 * @returns seconds to wait, when too many have failed from there. Without an address there is no brake.
 */
export async function failedTooOften(c: Context<App>): Promise<number | undefined> {
  const address = addressOf(c);
  if (address === undefined) return undefined;
  return (await isOver(c.env.FAILED_AUTH, networkOf(address))) ? FAILED_PERIOD : undefined;
}

/** Of IPv6 the first 64 bits: whoever has one such address has all of them (RFC 6177 §2). */
function networkOf(address: string): string {
  if (!address.includes(':') || address.includes('.')) return address;
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
