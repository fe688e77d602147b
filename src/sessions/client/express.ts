/**
 * `scim-worker/sessions/express`: the check as Express middleware, for Express 4 and 5. Its types are structural, so that the
 * host's own version of Express fits, and nothing is imported.
 */
import type { Session } from '../check.ts';
import type { CheckedVerdict, SessionChecker } from './checker.ts';
import { expectOptions, type OptionNames } from './options.ts';
import { refusedAnswer } from './refused.ts';

/** What is used of Express's Response. */
export interface GuardResponse {
  readonly locals: Record<string, unknown>;
  status(code: number): unknown;
  set(headers: Record<string, string>): unknown;
  json(body: object): unknown;
}

export interface SessionGuardOptions<Req, Res extends GuardResponse> {
  /** One for all requests: `sessionChecker(…)`. */
  readonly checker: Pick<SessionChecker<Req>, 'check'>;
  /** The session that the host found to be genuine (a signed cookie, a row); undefined: the request has none. */
  readonly sessionOf: (req: Req) => Session | undefined | Promise<Session | undefined>;
  /** In mode `auto`, instead of the checker's own `isSensitive`. */
  readonly isSensitive?: (req: Req) => boolean;
  /** Answers a request without a good session, instead of 401 or 503 with `{ error, detail }`. */
  readonly onDead?: (req: Req, res: Res, verdict: CheckedVerdict | undefined) => unknown;
  /** The challenge of that 401; `Bearer` unless told. */
  readonly challenge?: string;
}

const OPTIONS: OptionNames<SessionGuardOptions<unknown, GuardResponse>> = {
  ...{ checker: true, sessionOf: true, isSensitive: true, onDead: true, challenge: true },
};

/** Lets a request through when its session is good. The verdict is in `res.locals.sessionVerdict`. */
export function sessionGuard<Req, Res extends GuardResponse = GuardResponse>(
  options: SessionGuardOptions<Req, Res>,
): (req: Req, res: Res, next: (error?: unknown) => void) => Promise<void> {
  expectOptions('sessionGuard', options, OPTIONS as OptionNames<SessionGuardOptions<Req, Res>>);
  const { checker, sessionOf, isSensitive, onDead, challenge = 'Bearer' } = options;
  return async (req, res, next) => {
    try {
      const session = await sessionOf(req);
      const more = { request: req, ...(isSensitive && { isSensitive: isSensitive(req) }) };
      const verdict = session && (await checker.check(session, more));
      if (verdict) res.locals['sessionVerdict'] = verdict;
      if (verdict?.valid) return next();
      if (onDead) return void (await onDead(req, res, verdict));
      const { status, headers, body } = refusedAnswer(challenge, verdict);
      res.status(status);
      res.set({ ...headers });
      res.json(body);
    } catch (error) {
      next(error); // Express 4 does not wait for promises
    }
  };
}
