/** Where a checker asks: sources that know states (KV, a stream), and the strict one that knows the verdict. */
import { type FlagReader, type Heard, type OnMissingOrgFlag, type Reason, readFlags } from '../check.ts';
import type { Clock } from './clock.ts';
import { parseIso } from './instant.ts';

/** Knows what was published of users and orgs, and as of when. KV is one, and so is an open stream. */
export interface StateSource {
  /** What a verdict names as its origin. */
  readonly from: 'kv' | 'stream';
  /** @throws Error (or rejects) when it cannot say. */
  read(org: string, user: string): Promise<Reading> | Reading;
}

export interface Reading {
  readonly heard: Heard | 'unreadable';
  /** As of when this was whole; epoch milliseconds. */
  readonly asOf: number;
  /** Milliseconds since then, by a clock that is never set back; absent: by the wall clock. */
  readonly age?: number;
  /** It is too old to count as an answer, and is good for `last-known` only. */
  readonly isStale?: boolean;
  /** The service refuses this application, with that status: why nothing newer comes. */
  readonly refusal?: number | undefined;
  /** There is no such org, says the source: refused as `unknown`, unless a strict source knows better. */
  readonly isOrgUnknown?: boolean;
}

/** A source was asked about an org that it does not watch. That is no outage, so that no policy for outages lets anybody in. */
export class NotFollowed extends Error {}

/**
 * The service refuses this application: its token, the token's scopes, or the address. No outage, for it does not pass by
 * itself, so `onUnavailable: 'allow'` lets nobody in.
 */
export class SourceRefused extends Error {
  override readonly name = 'SourceRefused';

  /** 401, 403 or 404. */
  readonly status: number;

  constructor(asked: string, status: number) {
    super(`${asked} was answered with HTTP ${status}: ${REFUSALS[status] ?? 'the service refuses this application'}`);
    this.status = status;
  }
}

const REFUSALS: Readonly<Record<number, string>> = {
  401: 'the token is wrong, was removed or has expired',
  403: 'the token may not ask this question: it lacks a scope of hosts add',
  404: 'url is not the address of the service, or the service has no HOST_TOKEN and this token is none of hosts add',
};

/** Whether an answer means that it is refused for good. What else fails may pass: 429, 5xx, a redirect of a proxy. */
export const isRefusal = (status: number): boolean => status in REFUSALS;

/**
 * Knows the verdict, with zero staleness after the commit: the service binding to the entrypoint `Sessions`, or
 * `httpSource`.
 */
export interface StrictSource {
  /** `issuedAt` is epoch milliseconds. */
  check(session: { org: string; user: string; issuedAt: number }): PromiseLike<StrictAnswer>;
}

export interface StrictAnswer {
  readonly valid: boolean;
  /** good, inactive, revoked or unknown. */
  readonly reason: string;
  /** The later of the user's and the org's: ISO text or epoch milliseconds; null: sessions were never ended. */
  readonly validAfter?: string | number | null;
  /** Its first name: services of before 0.2 answer no other. Read where `validAfter` is absent. */
  readonly notBefore?: string | number | null;
}

/** Flags as KV holds them. `asOf` is when KV was asked: what it answered may be older, by its own caches. */
export function kvSource(flags: FlagReader, clock: Clock, onMissingOrgFlag: OnMissingOrgFlag): StateSource {
  return {
    from: 'kv',
    async read(org, user) {
      const [asOf, at] = [clock.now(), clock.monotonic()];
      const heard = await readFlags(flags, org, user);
      const isOrgUnknown = heard !== 'unreadable' && !heard.org && onMissingOrgFlag === 'deny';
      return { heard, asOf, age: clock.monotonic() - at, isOrgUnknown };
    },
  };
}

export interface StrictReading {
  readonly valid: boolean;
  readonly reason: Reason;
  /** Epoch milliseconds; undefined: the answer does not say. */
  readonly validAfter: number | undefined;
}

const REASONS: readonly string[] = ['good', 'inactive', 'revoked', 'future', 'unknown'] satisfies Reason[];

/**
 * A refusal in words that this version does not know stays a refusal.
 *
 * @throws Error when the answer is malformed: it then counts as none.
 */
export function parseStrict(answer: unknown): StrictReading {
  const {
    valid,
    reason,
    notBefore,
    validAfter = notBefore,
  } = (answer ?? {}) as Partial<Record<keyof StrictAnswer, unknown>>;
  if (typeof valid !== 'boolean' || typeof reason !== 'string') throw malformed;
  if (valid !== (reason === 'good')) throw malformed;
  return {
    ...{ valid, reason: REASONS.includes(reason) ? (reason as Reason) : 'unreadable' },
    validAfter: validAfter === undefined ? undefined : parseValidAfter(validAfter),
  };
}

function parseValidAfter(value: unknown): number {
  const at = value === null ? 0 : typeof value === 'string' ? parseIso(value) : value;
  if (typeof at !== 'number' || !Number.isFinite(at)) throw malformed;
  return at;
}

const malformed = new Error('the strict check answered in another shape than { valid, reason, validAfter }');

/** @throws Error when it takes longer than that; the late answer is dropped. */
export async function inTime<T>(work: PromiseLike<T>, milliseconds: number): Promise<T> {
  let timer!: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
