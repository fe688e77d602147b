/**
 * `scim-worker/sessions/stream`: a connection per org on which the service says, within a network round trip of the
 * commit, who is out. For a host that is one long-lived process, as a Node server (22.18 and later); not for a Worker, whose
 * isolates come and go. No dependencies.
 *
 * What is promised: no killed connection, restart of the service or lost frame loses a revocation, for a reconnect goes on
 * after the last thing that is known to be complete. How current: a network round trip after the commit while the
 * connection lives; about a minute when the service failed between the commit and the push; and what has had no sign of
 * life for longer than `maxSilence` is no answer. Who needs zero staleness asks the strict check.
 */
import type { Heard, Session } from '../check.ts';
import { type CheckedVerdict, sessionChecker } from './checker.ts';
import { ageOf, clockOf, NEVER } from './clock.ts';
import type { WebSocketClass } from './connection.ts';
import { bearer, type HttpAnswer, type HttpInit, serviceUrl } from './http-source.ts';
import { expectOptions } from './options.ts';
import { isSeq, parseSnapshot, type Snapshot } from './org-states.ts';
import { OrgStream, type OrgStreamOptions } from './org-stream.ts';
import { NotFollowed, SourceRefused, type StateSource } from './sources.ts';
import { STREAM_OPTIONS, type StreamOptions } from './stream-options.ts';
import { warner } from './warner.ts';

export type { WebSocketClass, WebSocketLike } from './connection.ts';
export { isEnded, type SessionsEnded } from './ended.ts';
export type { Snapshot, StateChange } from './org-states.ts';
export type { StreamOptions, StreamStatus } from './stream-options.ts';

export interface RevocationStream extends StateSource {
  readonly from: 'stream';
  /**
   * Answered from memory. `session.org` may be the id, or the name in `orgs`. Says nothing of whether there is such a
   * user: of someone who was never out nothing is published.
   *
   * @throws Error (rejects) when the session is not of its shape.
   */
  check(session: Session): Promise<CheckedVerdict>;
  /** The same of what outlives sessions: whether the user is active, whatever was signed out before. */
  mayAct(whom: Pick<Session, 'org' | 'user'>): Promise<CheckedVerdict>;
  /** In touch, and everything there is has been heard. */
  isSynced(org: string): boolean;
  /** Milliseconds since what is known was whole for sure; at most a heartbeat while in touch. Infinity: it never was. */
  silence(org: string): number;
  /** How many users' states of an org are kept: those who are out, and those signed out within `sessionMaxAge`. */
  size(org: string): number;
  /** What `after` takes, as JSON; undefined while there is nothing complete. Has no secrets and no names in it. */
  snapshot(org: string): Snapshot | undefined;
  /** One more org; one that is followed already stays as it is, unless it is gone. */
  follow(org: string, after?: Snapshot | number): void;
  unfollow(org: string): Promise<void>;
  /** Ends all connections and timers. Resolves when the handlers that are at work have finished. */
  close(): Promise<void>;
}

/**
 * @throws TypeError when an option is missing or not of its kind, or there is no such option; nothing else is ever thrown at the host: no service, a
 * wrong token and an unknown org are `onStatus`.
 */
export function openRevocationStream(options: StreamOptions): RevocationStream {
  expectOptions('openRevocationStream', options, STREAM_OPTIONS);
  const { heartbeat = 20_000, maxSilence = 60_000, sessionMaxAge = 2_592_000_000 } = options;
  const clock = clockOf(options);
  serviceUrl(options.url, '');
  bearer(options.token);
  for (const [name, value] of Object.entries({ heartbeat, maxSilence })) {
    if (!(value > 0)) throw new TypeError(`${name}: milliseconds were expected`);
  }
  if (maxSilence <= heartbeat) throw new TypeError('maxSilence: more than a heartbeat was expected');
  const WebSocket = options.WebSocket ?? (globalThis as unknown as { WebSocket?: WebSocketClass }).WebSocket;
  if (!WebSocket) throw new TypeError('WebSocket: there is no global one (Node has it from 22 on)');
  const byId = new Map<string, OrgStream>();
  const common: OrgStreamOptions = {
    ...options,
    WebSocket,
    fetch: options.fetch ?? ((url: string, init: HttpInit) => fetch(url, init) as Promise<HttpAnswer>),
    heartbeat,
    backoff: options.backoff ?? { base: 500, max: 30_000 },
    sessionMaxAge,
    clock,
    byId,
    warn: warner('scim-worker/sessions/stream', clock),
  };
  const orgs = new Map<string, OrgStream>();
  const streamOf = (org: string) => orgs.get(org) ?? byId.get(org);

  const stream: Omit<RevocationStream, 'check' | 'mayAct'> = {
    from: 'stream',
    read(org, user) {
      const it = streamOf(org);
      if (!it) {
        // One that was never in touch may be it, under a slug: then this is an outage, or a refusal.
        const unnamed = [...orgs.values()].filter(({ id }) => id === undefined);
        const refusal = unnamed.find((other) => other.refusal !== undefined)?.refusal;
        if (refusal !== undefined) throw new SourceRefused('the stream', refusal);
        throw unnamed.length === 0
          ? new NotFollowed(`the org ${org} is not followed`)
          : new Error(`the org ${org} is not followed, or it was never in touch`);
      }
      if (org !== it.name && org !== it.id) return { heard: DELETED, asOf: clock.now(), age: 0 };
      if (it.isUnknown) {
        const seen = { asOf: clock.now(), age: 0 };
        return it.id === undefined ? { heard: NOTHING, ...seen, isOrgUnknown: true } : { heard: DELETED, ...seen };
      }
      const wholeAt = it.isComplete ? it.wholeAt : NEVER;
      const age = ageOf(clock, wholeAt);
      const isStale = !it.isGone && age > maxSilence;
      return { heard: it.states.heard(user), asOf: wholeAt.asOf, age, isStale, refusal: it.refusal };
    },
    isSynced: (org) => streamOf(org)?.isSynced ?? false,
    silence: (org) => ageOf(clock, streamOf(org)?.wholeAt ?? NEVER),
    size: (org) => streamOf(org)?.states.size ?? 0,
    snapshot: (org) => streamOf(org)?.snapshot(),
    follow(org, after = 0) {
      if (orgs.has(org) && !orgs.get(org)!.isGone) return;
      // What comes from a disk may be anything; without it the stream only takes longer to begin.
      const from = isSeq(after) ? after : (parseSnapshot(after) ?? 0);
      const added = new OrgStream(org, from, common);
      orgs.set(org, added);
      added.connect();
    },
    async unfollow(org) {
      const it = orgs.get(org);
      orgs.delete(org);
      for (const [id, its] of byId) if (its === it) byId.delete(id);
      await it?.close();
    },
    async close() {
      await Promise.all([...orgs.values()].map((it) => it.close()));
    },
  };
  const checker = sessionChecker({
    flags: stream,
    mode: 'fast',
    onUnavailable: options.onUnavailable,
    lastKnown: { maxAge: options.lastKnownMaxAge ?? 300_000 },
    sessionMaxAge,
    clockTolerance: options.clockTolerance ?? 0,
    onError: () => undefined, // `onStatus` has said it, once and not for each question
    ...clock,
  });
  for (const org of options.orgs) stream.follow(org, options.after?.[org]);
  return { ...stream, check: (session) => checker.check(session), mayAct: (whom) => checker.mayAct(whom) };
}

/** Nobody's session of it is good any more. */
const DELETED: Heard = { user: undefined, org: { active: false, validAfter: 0 } };
const NOTHING: Heard = { user: undefined, org: undefined };
