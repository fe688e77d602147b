/**
 * `scim-worker/sessions/hono`: the check as Hono middleware. Its types are structural, so that the host's own version
 * of Hono fits, and nothing is imported.
 */
import type { Session } from '../check.ts';
import type { CheckedVerdict, SessionChecker } from './checker.ts';
import { expectOptions, type OptionNames } from './options.ts';
import { refusedAnswer } from './refused.ts';

/** What is used of Hono's Context. */
export interface GuardContext {
  readonly req: { readonly raw: Request };
  set(key: 'sessionVerdict', value: CheckedVerdict): void;
}

export interface SessionGuardOptions<C extends GuardContext> {
  /** One for all requests: `sessionChecker(…)`. */
  readonly checker: Pick<SessionChecker<Request>, 'check'>;
  /** The session that the host found to be genuine (a signed cookie, a row); undefined: the request has none. */
  readonly sessionOf: (c: C) => Session | undefined | Promise<Session | undefined>;
  /** In mode `auto`, instead of the checker's own `isSensitive`, which is asked about `c.req.raw`. */
  readonly isSensitive?: (c: C) => boolean;
  /**
   * Answers a request without a good session; `verdict` is undefined when there was none at all. Instead of:
   * 503 with Retry-After when nobody could say (`unavailable`), else 401, each with `{ error, detail }`.
   */
  readonly onDead?: (c: C, verdict: CheckedVerdict | undefined) => Response | Promise<Response>;
  /** The challenge of that 401 (RFC 9110 §11.6.1 asks for one); `Bearer` unless told. */
  readonly challenge?: string;
}

const OPTIONS: OptionNames<SessionGuardOptions<GuardContext>> = {
  ...{ checker: true, sessionOf: true, isSensitive: true, onDead: true, challenge: true },
};

/**
 * Lets a request through when its session is good, as current as the checker's mode says. The verdict stands on the
 * context as `sessionVerdict`, for `onDead` too. It clears no cookie and deletes no session: that is the host's, in
 * `onDead`.
 */
export function sessionGuard<C extends GuardContext>(
  options: SessionGuardOptions<C>,
): (c: C, next: () => Promise<void>) => Promise<Response | undefined> {
  expectOptions('sessionGuard', options, OPTIONS as OptionNames<SessionGuardOptions<C>>);
  const { checker, sessionOf, isSensitive, onDead, challenge = 'Bearer' } = options;
  return async (c, next) => {
    const session = await sessionOf(c);
    const verdict =
      session &&
      (await checker.check(session, { request: c.req.raw, ...(isSensitive && { isSensitive: isSensitive(c) }) }));
    if (verdict) c.set('sessionVerdict', verdict);
    if (!verdict?.valid) return onDead ? onDead(c, verdict) : refusal(challenge, verdict);
    await next();
    return undefined;
  };
}

function refusal(challenge: string, verdict: CheckedVerdict | undefined): Response {
  const { status, headers, body } = refusedAnswer(challenge, verdict);
  return Response.json(body, { status, headers });
}
