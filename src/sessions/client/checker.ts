/** The ready-made check: which source is asked, for how long, and what holds when none answers. */
import {
  decide,
  decideWithoutOrg,
  expectIds,
  expectOrgId,
  type FlagReader,
  type OnMissingOrgFlag,
  parseSession,
  type Reason,
  type Session,
  type Verdict,
} from '../check.ts';
import { ageOf, type ClockOptions, clockOf, momentBefore, momentOf } from './clock.ts';
import { LastKnown } from './memory.ts';
import { expectOptions, type OptionNames } from './options.ts';
import {
  inTime,
  kvSource,
  NotFollowed,
  parseStrict,
  SourceRefused,
  type StateSource,
  type StrictSource,
} from './sources.ts';
import { messageOf, warner } from './warner.ts';

/**
 * How current a verdict is:
 *
 * - `fast`: one bulk KV read (or a look into a stream's memory). KV: at once where the flag was written, elsewhere
 *   usually within about a minute, and Cloudflare promises no upper bound. A stream: a network round trip after the
 *   commit while its connection lives (about a minute if the service failed just then), else its `maxSilence`.
 * - `strict`: the service is asked, which reads D1's primary: zero staleness after the commit.
 * - `auto`: `strict` for what the host marks sensitive, and where the fast source does not answer or knows no such org; else
 *   `fast`. A session that the fast source knows to be older than a `validAfter` is over, and the service is not asked.
 */
export type Mode = 'fast' | 'strict' | 'auto';

/**
 * Who is let in when no source answers. A user whom this process knows to be out is refused under each of them. If the service
 * refuses this application (a wrong token, see SourceRefused), that is no outage: `allow` then acts as `deny`.
 *
 * - `deny`: nobody.
 * - `allow`: everybody else, for as long as the outage lasts. Availability comes before safety.
 * - `last-known`: users who were good when this process last heard of them, at most `lastKnown.maxAge` ago.
 */
export type OnUnavailable = 'deny' | 'allow' | 'last-known';

export type CheckReason =
  | Reason
  /** No source answered, and `onUnavailable` decided; or the service refuses this application (SourceRefused). */
  | 'unavailable'
  /** The session is older than `sessionMaxAge`: flags that ended it may be gone. */
  | 'expired';

export interface CheckedVerdict extends Verdict<CheckReason> {
  /** Who said so. `policy`: no source was asked, or none answered. */
  readonly from: 'kv' | 'stream' | 'strict' | 'last-known' | 'policy';
  /** As of when; epoch milliseconds, by this machine's clock. What KV said may be older by its caches. null: `policy`. */
  readonly asOf: number | null;
}

export interface SessionCheckerOptions<R = unknown> extends ClockOptions {
  /** For `fast` and `auto`: the KV namespace that the service publishes to, or an open stream. */
  readonly flags?: FlagReader | StateSource;
  /** For `strict` and `auto`: the service binding to `Sessions`, or `httpSource`. */
  readonly strict?: StrictSource;
  /** What holds unless a check says otherwise. */
  readonly mode: Mode;
  /** In `auto`: which requests need zero staleness. Without it, those whose check says so. */
  readonly isSensitive?: (request: R) => boolean;
  /** There is no default: only the host knows whether an outage shall let people in. */
  readonly onUnavailable: OnUnavailable;
  /** Of an org that has no flag in KV; `deny` unless told, see CheckOptions. */
  readonly onMissingOrgFlag?: OnMissingOrgFlag;
  /** Milliseconds after which a source has not answered; 2,000 unless told. Each of two sources has it for itself. */
  readonly timeout?: number;
  readonly lastKnown?: {
    /** How many users and orgs are remembered (about 200 bytes each); 10,000 unless told. */
    readonly limit?: number;
    /** Milliseconds for which `last-known` lets in whom it last heard to be good; 300,000 (5 minutes) unless told. */
    readonly maxAge?: number;
  };
  /**
   * Milliseconds, the longest life of a session; 30 days unless told. Not above the service's SESSION_MAX_AGE (which is in
   * seconds): flags are not kept longer, so older sessions are refused as `expired`.
   */
  readonly sessionMaxAge?: number;
  /**
   * Milliseconds by which the clock that stamps sessions may be ahead of the service's; 0 unless told. A session is
   * taken to be that much older: one signed in too soon before a revocation cannot outlive it, and one signed in just
   * after it has to be made anew. Whatever it is, sessions from more than a minute ahead of it are refused as `future`.
   */
  readonly clockTolerance?: number;
  /**
   * Told of each question that was not answered, for the host's log. What it throws is not caught. A SourceRefused is a fault of
   * the configuration, which stays until somebody repairs it. Without `onError`, console.error says it, at most once a minute
   * for each source.
   */
  readonly onError?: (error: unknown, from: 'kv' | 'stream' | 'strict') => void;
}

export interface CheckRequest<R = unknown> {
  readonly mode?: Mode;
  /** What `isSensitive` of the options is asked about. */
  readonly request?: R;
  /** In `auto`, instead of asking that. */
  readonly isSensitive?: boolean;
}

export interface SessionChecker<R = unknown> {
  /**
   * Never rejects because of a source. A later answer with a lower `validAfter` than one that this checker has heard (a
   * cache elsewhere, an answer that was overtaken) revives no session.
   *
   * @throws Error (rejects) when the session is not of its shape, see `Session`: a mistake in the host, not a dead session.
   * Where KV is asked, a slug for the org's id is one.
   * @throws TypeError (rejects) when the mode needs a source that the checker was not given.
   */
  check(session: Session, request?: CheckRequest<R>): Promise<CheckedVerdict>;
  /**
   * For what outlives sessions: API keys, personal access tokens, SSH keys, background jobs. May this user act now, whatever was
   * signed out before? The modes, sources and policies are those of `check`.
   *
   * @throws as `check` does.
   */
  mayAct(whom: Pick<Session, 'org' | 'user'>, request?: CheckRequest<R>): Promise<CheckedVerdict>;
}

const OPTIONS: OptionNames<SessionCheckerOptions> = {
  ...{ flags: true, strict: true, mode: true, isSensitive: true, onUnavailable: true, onMissingOrgFlag: true },
  ...{ timeout: true, lastKnown: true, sessionMaxAge: true, clockTolerance: true, onError: true },
  ...{ now: true, monotonic: true },
};
const LAST_KNOWN: OptionNames<NonNullable<SessionCheckerOptions['lastKnown']>> = { limit: true, maxAge: true };
const REQUEST: OptionNames<CheckRequest> = { mode: true, request: true, isSensitive: true };

/** Later than every sign-out: only whether somebody is active counts. */
const NEVER_REVOKED = Number.POSITIVE_INFINITY;
/** How far ahead of its own clock an application may have issued a session. Milliseconds. */
const FUTURE = 60_000;
const MODES: readonly Mode[] = ['fast', 'strict', 'auto'];
const POLICIES: readonly OnUnavailable[] = ['deny', 'allow', 'last-known'];
const ON_MISSING: readonly OnMissingOrgFlag[] = ['deny', 'allow'];

/**
 * Make one and keep it: what it remembers is what `last-known` and the monotone answers rest on. In a Worker that is one
 * per isolate, made at the top of the module with `import { env } from 'cloudflare:workers'`.
 *
 * @throws TypeError when an option is missing or not of its kind, or there is no such option.
 */
export function sessionChecker<R = unknown>(options: SessionCheckerOptions<R>): SessionChecker<R> {
  expectOptions('sessionChecker', options as SessionCheckerOptions, OPTIONS);
  const { strict, isSensitive, onUnavailable, onMissingOrgFlag = 'deny', lastKnown = {} } = options;
  expectOptions('sessionChecker: lastKnown', lastKnown, LAST_KNOWN);
  const clock = clockOf(options);
  const warn = warner('scim-worker/sessions', clock);
  const onError = options.onError ?? ((error, from) => warn(`${from}: ${messageOf(error)}`, from));
  const timeout = positive('timeout', options.timeout ?? 2_000);
  const maxAge = positive('lastKnown.maxAge', lastKnown.maxAge ?? 300_000);
  const sessionMaxAge = positive('sessionMaxAge', options.sessionMaxAge ?? 2_592_000_000);
  const clockTolerance = options.clockTolerance ?? 0;
  if (!(clockTolerance >= 0)) throw new TypeError('clockTolerance: milliseconds were expected');
  if (!POLICIES.includes(onUnavailable))
    throw new TypeError(`onUnavailable: one of ${POLICIES.join(', ')} was expected`);
  if (!ON_MISSING.includes(onMissingOrgFlag))
    throw new TypeError(`onMissingOrgFlag: one of ${ON_MISSING.join(', ')} was expected`);
  const source =
    options.flags && ('read' in options.flags ? options.flags : kvSource(options.flags, clock, onMissingOrgFlag));
  const memory = new LastKnown(positive('lastKnown.limit', lastKnown.limit ?? 10_000), sessionMaxAge);
  needSources(options.mode);

  function needSources(mode: Mode) {
    if (!MODES.includes(mode)) throw new TypeError(`mode: one of ${MODES.join(', ')} was expected`);
    if (mode !== 'strict' && !source) throw new TypeError(`flags: mode ${mode} needs them`);
    if (mode !== 'fast' && !strict) throw new TypeError(`strict: mode ${mode} needs it`);
  }

  /** `isFinal`: no other source could say better. */
  async function askFast({
    org,
    user,
    issuedAt,
  }: SessionQuestion): Promise<(CheckedVerdict & { isFinal: boolean }) | NoAnswer> {
    const { from, read } = source!;
    try {
      const reading = read.call(source, org, user);
      const { heard, asOf, age, isStale, isOrgUnknown, refusal } =
        'then' in reading ? await inTime(reading, timeout) : reading;
      if (heard === 'unreadable') return { valid: false, reason: 'unreadable', from, asOf, isFinal: false };
      if (isOrgUnknown) {
        // It is not remembered: a flag that is missing just now says nothing that could hold in an outage.
        const isFinal = heard.user !== undefined && issuedAt <= heard.user.validAfter;
        return { ...decideWithoutOrg(heard, issuedAt), from, asOf, isFinal };
      }
      const known = memory.hear(org, user, heard, momentBefore(clock, asOf, age ?? clock.now() - asOf));
      if (isStale && refusal !== undefined) throw new SourceRefused('the stream', refusal);
      if (isStale) throw new Error('the stream has been out of touch for too long');
      const isFinal = known.some(({ validAfter }) => issuedAt <= validAfter);
      return { ...decide(known, issuedAt), from, asOf, isFinal };
    } catch (error) {
      onError(error, from);
      return error instanceof NotFollowed ? { ...refused('unavailable'), isFinal: false } : noAnswer(error);
    }
  }

  async function askStrict(asked: SessionQuestion): Promise<CheckedVerdict | NoAnswer> {
    const { org, user, issuedAt } = asked;
    const moment = momentOf(clock);
    const { asOf } = moment;
    const isKey = issuedAt === NEVER_REVOKED;
    try {
      // Of a session that begins now, the service says whether the user is active.
      const question = { org, user, issuedAt: isKey ? Math.round(asOf) : issuedAt };
      const { valid, reason, validAfter } = parseStrict(await inTime(strict!.check(question), timeout));
      if (reason === 'unreadable') return { valid, reason, from: 'strict', asOf };
      const isActive = valid || reason === 'revoked' || reason === 'future';
      const ended = reason === 'revoked' && !isKey ? Math.max(validAfter ?? 0, issuedAt) : validAfter;
      const known = memory.hearStrict(org, user, isActive, ended, moment);
      const isGood = isKey ? isActive : valid;
      return { ...(isGood ? decide(known, issuedAt) : { valid, reason }), from: 'strict', asOf };
    } catch (error) {
      onError(error, 'strict');
      return noAnswer(error);
    }
  }

  function fallBack({ org, user, issuedAt }: SessionQuestion, ...why: NoAnswer[]): CheckedVerdict {
    const known = memory.recall(org, user);
    for (const state of [known.user, known.org]) {
      const verdict = state && decide([state], issuedAt);
      if (verdict && !verdict.valid) return { ...verdict, from: 'last-known', asOf: state.asOf };
    }
    if (onUnavailable === 'last-known' && known.user && ageOf(clock, known.user) <= maxAge) {
      return { valid: true, reason: 'good', from: 'last-known', asOf: known.user.asOf };
    }
    // A refused application is no outage, which `allow` is for: it would let everybody in for as long as the fault lasts.
    const valid = onUnavailable === 'allow' && !why.includes('refused');
    return { valid, reason: 'unavailable', from: 'policy', asOf: null };
  }

  /** A stream and the service know slugs, too. */
  function needId(mode: Mode, org: string) {
    if (mode !== 'strict' && source?.from === 'kv') expectOrgId(org);
  }

  return {
    async check(session, asked = {}) {
      const { mode, ...request } = readRequest('check', asked);
      const { org, user, issuedAt } = parseSession(session);
      needId(mode, org);
      const at = clock.now();
      if (issuedAt > at + clockTolerance + FUTURE) return refused('future');
      if (issuedAt < at - sessionMaxAge) return refused('expired');
      return ask({ org, user, issuedAt: issuedAt - clockTolerance }, mode, request);
    },

    async mayAct(whom, asked = {}) {
      const { mode, ...request } = readRequest('mayAct', asked);
      const { org, user } = expectIds(whom);
      needId(mode, org);
      return ask({ org, user, issuedAt: NEVER_REVOKED }, mode, request);
    },
  };

  function readRequest(what: string, asked: CheckRequest<R>): CheckRequest<R> & { readonly mode: Mode } {
    expectOptions(what, asked as CheckRequest, REQUEST);
    const request = { ...asked, mode: asked.mode ?? options.mode };
    needSources(request.mode);
    return request;
  }

  async function ask(
    asked: SessionQuestion,
    mode: Mode,
    request: Omit<CheckRequest<R>, 'mode'>,
  ): Promise<CheckedVerdict> {
    const fast = mode === 'strict' ? 'none' : await askFast(asked);
    if (typeof fast !== 'string') {
      const { isFinal, ...verdict } = fast;
      if (mode === 'fast' || isFinal || !(isAbsence(verdict) || needsStrict(request))) return verdict;
      const strict = await askStrict(asked);
      if (typeof strict !== 'string') return strict;
      // The service is down: a refusal stands, and an approval counts for no more than what was last heard.
      return verdict.valid ? fallBack(asked, strict) : verdict;
    }
    const strict = mode === 'fast' ? 'none' : await askStrict(asked);
    return typeof strict === 'string' ? fallBack(asked, fast, strict) : strict;
  }

  function needsStrict({ isSensitive: told, request }: CheckRequest<R>): boolean {
    return told ?? (request !== undefined && isSensitive?.(request) === true);
  }
}

const refused = (reason: CheckReason): CheckedVerdict => ({ valid: false, reason, from: 'policy', asOf: null });

/** Why a source has not answered. `refused`: the service refuses this application. */
type NoAnswer = 'none' | 'refused';

const noAnswer = (error: unknown): NoAnswer => (error instanceof SourceRefused ? 'refused' : 'none');

/** The source knows nothing of the org, and another one may. */
const isAbsence = ({ reason }: CheckedVerdict) => reason === 'unknown' || reason === 'unavailable';

interface SessionQuestion {
  readonly org: string;
  readonly user: string;
  readonly issuedAt: number;
}

function positive(name: string, value: number): number {
  if (!(value > 0)) throw new TypeError(`${name}: a number above 0 was expected`);
  return value;
}
