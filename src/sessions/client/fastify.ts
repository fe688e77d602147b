/**
 * `scim-worker/sessions/fastify`: the check as a Fastify hook: `app.addHook('preHandler', sessionGuard(…))`. Its types are
 * structural, so that the host's own version of Fastify fits, and nothing is imported.
 */
import type { Session } from '../check.ts';
import type { CheckedVerdict, SessionChecker } from './checker.ts';
import { expectOptions, type OptionNames } from './options.ts';
import { refusedAnswer } from './refused.ts';

/** What is used of Fastify's Reply. */
export interface GuardReply {
  code(status: number): unknown;
  headers(values: Record<string, string>): unknown;
  send(body: object): unknown;
}

export interface SessionGuardOptions<Req extends object, Reply extends GuardReply> {
  /** One for all requests: `sessionChecker(…)`. */
  readonly checker: Pick<SessionChecker<Req>, 'check'>;
  /** The session that the host found to be genuine (a signed cookie, a row); undefined: the request has none. */
  readonly sessionOf: (request: Req) => Session | undefined | Promise<Session | undefined>;
  /** In mode `auto`, instead of the checker's own `isSensitive`. */
  readonly isSensitive?: (request: Req) => boolean;
  /** Sends the answer to a request without a good session, instead of 401 or 503 with `{ error, detail }`. */
  readonly onDead?: (request: Req, reply: Reply, verdict: CheckedVerdict | undefined) => unknown;
  /** The challenge of that 401; `Bearer` unless told. */
  readonly challenge?: string;
}

const OPTIONS: OptionNames<SessionGuardOptions<object, GuardReply>> = {
  ...{ checker: true, sessionOf: true, isSensitive: true, onDead: true, challenge: true },
};

/** Lets a request through when its session is good. The verdict is in `request.sessionVerdict`. */
export function sessionGuard<Req extends object, Reply extends GuardReply = GuardReply>(
  options: SessionGuardOptions<Req, Reply>,
): (request: Req, reply: Reply) => Promise<unknown> {
  expectOptions('sessionGuard', options, OPTIONS as OptionNames<SessionGuardOptions<Req, Reply>>);
  const { checker, sessionOf, isSensitive, onDead, challenge = 'Bearer' } = options;
  return async (request, reply) => {
    const session = await sessionOf(request);
    const more = { request, ...(isSensitive && { isSensitive: isSensitive(request) }) };
    const verdict = session && (await checker.check(session, more));
    if (verdict) Object.assign(request, { sessionVerdict: verdict });
    if (verdict?.valid) return undefined;
    // Fastify ends the request here: what is answered was sent.
    if (onDead) return (await onDead(request, reply, verdict)) ?? reply;
    const { status, headers, body } = refusedAnswer(challenge, verdict);
    reply.code(status);
    reply.headers({ ...headers });
    reply.send(body);
    return reply;
  };
}
