/**
 * Is this session still good? The rule, and the plain question to KV. Host apps import it through
 * `scim-worker/sessions` (host/index.ts), beside the checker that also knows time limits, outages and strict answers.
 */

import { instant } from './client/instant.ts';
import { expectOptions, type OptionNames } from './client/options.ts';
import { flagKey, parseFlag } from './flag.ts';

export { instant } from './client/instant.ts';

/** What is used of a KV namespace; a binding of Workers is one. */
export interface FlagReader {
  get(keys: string[], options: { type: 'text'; cacheTtl?: number }): Promise<Map<string, string | null>>;
}

export interface Session {
  /** The org's id (not its slug: flags are filed under the id). */
  readonly org: string;
  /** The user's id, as SCIM knows it. */
  readonly user: string;
  /**
   * When the session was issued: a Date, epoch milliseconds, or ISO text with `Z` or an offset. A JWT's `iat` is in
   * seconds: multiply it by 1000.
   */
  readonly issuedAt: Date | number | string;
}

export type Reason =
  /** Valid. */
  | 'good'
  /** The user is deactivated or deleted, or the org is switched off or gone. */
  | 'inactive'
  /** The user's sessions were ended after this one was issued. */
  | 'revoked'
  /** A flag that this version cannot read: refused, to be safe. */
  | 'unreadable'
  /** It was issued in the future: until then, no revocation would end it. */
  | 'future'
  /** There is no such org, as far as the source can say. Strict checks only: or no such user. */
  | 'unknown';

/** How far ahead of the clock that checks a session may have been issued: a day, which no clock is wrong by. Milliseconds. */
const FUTURE = 24 * 3_600_000;

export interface Verdict<R = Reason> {
  readonly valid: boolean;
  readonly reason: R;
}

/** What a flag or a row says of a user or an org. */
export interface State {
  readonly active: boolean;
  readonly validAfter: number;
}

/** What is known of a user and of the whole org; undefined: nothing was said of them. */
export interface Heard {
  readonly user: State | undefined;
  readonly org: State | undefined;
}

export interface CheckOptions {
  /**
   * What a session gets whose org has no flag. `deny`, the default: it is refused as `unknown`, for the service keeps a flag
   * for each org. `allow` is for the time of an upgrade, until the service has published them all (docs/sessions.md).
   */
  readonly onMissingOrgFlag?: OnMissingOrgFlag;
}

export type OnMissingOrgFlag = 'deny' | 'allow';

const OPTIONS: OptionNames<CheckOptions> = { onMissingOrgFlag: true };

/**
 * Fast, and nothing else: one bulk KV read of the user's and the org's flag. The service keeps a flag for each org, so a
 * session of an org without one is refused. A user's flag may be missing: then nothing was ever revoked, or it was longer ago
 * than any session lives. That there is such a user, KV cannot say.
 *
 * How instant: at once where the flag was written, which is where the org's coordinator runs; elsewhere usually within about a minute and with no upper bound,
 * because KV caches a missing key too, just where the user is active. For the same reason the first sessions of a new org
 * may be `unknown` elsewhere for about a minute.
 *
 * @throws Error when the session is not of that shape (an org's slug is not its id), and whatever KV throws, however long it takes: what then to do
 * is the host's decision (`sessionChecker` takes it as a setting).
 */
export async function checkSession(flags: FlagReader, session: Session, options: CheckOptions = {}): Promise<Verdict> {
  expectOptions('checkSession', options, OPTIONS);
  const { onMissingOrgFlag = 'deny' } = options;
  const { org, user, issuedAt } = parseSession(session);
  expectOrgId(org);
  const heard = await readFlags(flags, org, user);
  if (heard === 'unreadable') return { valid: false, reason: 'unreadable' };
  return heard.org || onMissingOrgFlag === 'allow'
    ? decideNow(statesOf(heard), issuedAt, Date.now())
    : decideWithoutOrg(heard, issuedAt);
}

/** Absence is not permission: what is known of the user can only refuse. */
export function decideWithoutOrg({ user }: Heard, issuedAt: number): Verdict {
  const verdict = decide(user ? [user] : [], issuedAt);
  return verdict.valid ? { valid: false, reason: 'unknown' } : verdict;
}

/** @throws whatever KV throws, and Error when what it answers does not tell a missing flag from one not asked for. */
export async function readFlags(flags: FlagReader, org: string, user: string): Promise<Heard | 'unreadable'> {
  const keys = { user: flagKey(org, user), org: flagKey(org) };
  const found = await flags.get([keys.user, keys.org], { type: 'text', cacheTtl: 30 });
  const states: { user?: State; org?: State } = {};
  for (const whose of ['user', 'org'] as const) {
    const text = found.get(keys[whose]);
    if (text === undefined) throw new Error('KV did not answer for each key');
    if (text === null) continue;
    const flag = parseFlag(text);
    if (flag === undefined) return 'unreadable';
    states[whose] = flag;
  }
  return { user: states.user, org: states.org };
}

export const statesOf = ({ user, org }: Heard): State[] => [user, org].filter((state) => state !== undefined);

/**
 * The rule, the same for every kind of check. Of no states at all it says good: to ask for the org's comes first. A session issued in the very millisecond of the revocation is dead: of
 * two instants that cannot be told apart, the safe one counts.
 *
 * Two clocks are compared: `issuedAt` is the host's, `validAfter` the service's (the later of the Worker's at the request
 * and of D1's at the commit). The rule asks no third one, and takes `issuedAt` at its word:
 *
 * - A host whose clock is behind, or that keeps whole seconds (a JWT's `iat`), errs on the safe side: who signs in within
 *   that time after a revocation has to do so again.
 * - A session that was issued by a clock that is ahead by S outlives the revocations of the next S, unless its user (or org)
 *   is inactive. A host that may be ahead by S passes `issuedAt - S`. It takes the time from its own synchronised clock, never
 *   from a client. What is ahead by more than a day is refused: see `decideNow`.
 *
 * @param issuedAt epoch milliseconds.
 */
export function decide(states: readonly State[], issuedAt: number): Verdict {
  if (states.some((state) => !state.active)) return { valid: false, reason: 'inactive' };
  if (states.some((state) => issuedAt <= state.validAfter)) return { valid: false, reason: 'revoked' };
  return { valid: true, reason: 'good' };
}

/**
 * The same, with a third clock: a session that was issued more than a day from now is refused as `future`, for no sign-out
 * until then would end it. The checker compares with the application's own clock, and so allows it a minute only.
 *
 * @param issuedAt epoch milliseconds, as is `now`.
 */
export function decideNow(states: readonly State[], issuedAt: number, now: number): Verdict {
  const verdict = decide(states, issuedAt);
  return verdict.valid && issuedAt > now + FUTURE ? { valid: false, reason: 'future' } : verdict;
}

/**
 * Ids become part of a key: an empty one, or one with the separator in it, would ask for somebody else's flag.
 *
 * @throws Error that says which member is wrong. A session that cannot be read is never a good one.
 */
export function parseSession(session: Session): Session & { readonly issuedAt: number } {
  if (!isObject(session)) throw new TypeError('session: an object with org, user and issuedAt was expected');
  return { ...expectIds(session), issuedAt: instant(session.issuedAt) };
}

/** @throws Error that says which of them is no id. */
export function expectIds(ids: Pick<Session, 'org' | 'user'>): Pick<Session, 'org' | 'user'> {
  if (!isObject(ids)) throw new TypeError('an object with org and user was expected');
  const { org, user } = ids;
  for (const [name, id] of Object.entries({ org, user })) {
    if (typeof id !== 'string' || !/^[\w.-]{1,100}$/.test(id)) throw new Error(`${name}: an id was expected`);
  }
  return { org, user };
}

const isObject = (value: unknown) => typeof value === 'object' && value !== null;

/** As the service makes ids of orgs (credentials/secret.ts). A slug may look like one; then there is no flag of it. */
const ORG_ID = /^[0-9A-Za-z]{12}$/;

/** Where KV is asked. @throws Error when it cannot be the id of an org: flags are not filed under slugs. */
export function expectOrgId(org: string): void {
  if (!ORG_ID.test(org)) throw new Error("org: the org's id was expected, 12 letters and digits, and not its slug");
}
