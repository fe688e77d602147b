import { type FlagReader, type Session, type StrictSource, sessionChecker } from 'scim-worker/sessions';

/** REVOCATIONS: the KV namespace of the service. SESSIONS: a service binding to its entrypoint `Sessions`. */
interface Env {
  REVOCATIONS: FlagReader;
  SESSIONS: StrictSource;
}

/** Call it once for each isolate: the checker remembers its last answers. */
export function openSessions(env: Env) {
  const checker = sessionChecker<Request>({
    flags: env.REVOCATIONS,
    strict: env.SESSIONS,
    mode: 'auto', // KV for most requests, the database for the sensitive ones
    isSensitive: (request) => request.method !== 'GET',
    onUnavailable: 'last-known', // or 'deny', or 'allow': there is no default
  });
  /** `session` is yours: the ids of org and user, and when you issued it. */
  return (session: Session, request: Request) => checker.check(session, { request });
}
