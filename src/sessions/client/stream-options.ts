/** What the host tells its stream, and what the stream tells the host. */
import type { OnUnavailable } from './checker.ts';
import type { ClockOptions } from './clock.ts';
import type { WebSocketClass } from './connection.ts';
import type { SessionsEnded } from './ended.ts';
import type { HttpSourceOptions } from './http-source.ts';
import type { OptionNames } from './options.ts';
import type { Snapshot, StateChange } from './org-states.ts';

export interface StreamOptions extends ClockOptions {
  /** Where the service is, without `/sessions/v1`: `https://scim.example.com`. */
  readonly url: string;
  /** Of `hosts add`, with the scope `check`; or the service's HOST_TOKEN. */
  readonly token: string;
  /** Whom to hear of: ids or slugs. Each has a connection of its own; `follow` and `unfollow` change the list. */
  readonly orgs: readonly string[];
  /** What `check` says when the org is out of touch, see OnUnavailable. There is no default: only the host can choose. */
  readonly onUnavailable: OnUnavailable;
  /** Milliseconds without a sign of life after which an org is out of touch; 60,000 unless told, above a heartbeat. */
  readonly maxSilence?: number;
  /** Milliseconds for which `onUnavailable: 'last-known'` trusts what was known; 300,000 unless told. */
  readonly lastKnownMaxAge?: number;
  /**
   * Milliseconds, the longest life of a session; 30 days unless told. Who is active and was signed out before that is
   * forgotten, so `check` refuses older sessions as `expired`.
   */
  readonly sessionMaxAge?: number;
  /** Milliseconds, see SessionCheckerOptions; 0 unless told. */
  readonly clockTolerance?: number;
  /**
   * By org as in `orgs`: the `snapshot` that the host has kept, to hear only what came since. Without one, the states of
   * everyone who ever was out come at first. A bare sequence from `saveCursor` is for hosts that act in `onState` and keep
   * what it says themselves: `check` then has no ground to call anyone good.
   */
  readonly after?: Readonly<Record<string, Snapshot | number>>;
  /**
   * The raw state of a user or an org, for a host that keeps states itself: true when it was sent, in order within an org, one
   * at a time, at least once. Not a reason to end every session of the user: use `onEnded` for that. If it throws, the error
   * is a status, and the change comes again. `check` knows of the change before.
   */
  readonly onState?: (change: StateChange & { readonly org: string; readonly orgId: string }) => void | Promise<void>;
  /**
   * Called when sessions are over: delete those of `user` (null: of everyone in the org) that were issued at `validAfter` or
   * before. Newer sessions are good. `isEnded` applies this rule to one session. It is called in order within an org, one call
   * at a time, and at least once: also again after a restart, which ends no newer session. If it throws, it is called again.
   */
  readonly onEnded?: (ended: SessionsEnded) => void | Promise<void>;
  /** Everything up to `seq` was told to the handlers, and came back without an error: the place to go on from (`after`). */
  readonly saveCursor?: (org: string, seq: number) => void | Promise<void>;
  /**
   * For the host's log. What it throws is dropped. Without it, console.error says that the token is refused or an org is not
   * there, at most once a minute for each org.
   */
  readonly onStatus?: (status: StreamStatus) => void;
  /**
   * Instead of the global one: a class that takes `(url, { headers })`, for the token travels in a header. Node's does; a
   * browser's does not, and a browser is no place for such a token.
   */
  readonly WebSocket?: WebSocketClass;
  /** Instead of the global one: asked why an upgrade was refused. */
  readonly fetch?: NonNullable<HttpSourceOptions['fetch']>;
  /** Milliseconds between two pings; 20,000 unless told. Two without an answer, and the connection counts as dead. */
  readonly heartbeat?: number;
  /** Milliseconds: a reconnect waits for a random part of base × 2ⁿ, at most max; 500 and 30,000 unless told. */
  readonly backoff?: { readonly base: number; readonly max: number };
}

export const STREAM_OPTIONS: OptionNames<StreamOptions> = {
  ...{ url: true, token: true, orgs: true, onUnavailable: true, maxSilence: true, lastKnownMaxAge: true },
  ...{ sessionMaxAge: true, clockTolerance: true, after: true, onState: true, onEnded: true, saveCursor: true },
  ...{ onStatus: true, WebSocket: true, fetch: true, heartbeat: true, backoff: true, now: true, monotonic: true },
};

export interface StreamStatus {
  /** As in `orgs`. */
  readonly org: string;
  /** `synced`: caught up, and in touch. `gone`: deleted; its sessions are over, and it is not asked for again. */
  readonly is: 'connecting' | 'synced' | 'waiting' | 'gone' | 'closed';
  /** Why it waits, for the host's log. Holds no token. */
  readonly detail?: string;
  /** Milliseconds. */
  readonly retryIn?: number;
}
