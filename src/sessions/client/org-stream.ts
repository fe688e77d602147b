/**
 * One org of a stream, across its connections: the states, where to go on from, the host's handlers in their order, and
 * coming back. Nothing here throws into the host's event loop: what goes wrong is a status, and a reconnect.
 */
import { type Clock, type Moment, momentBefore, NEVER } from './clock.ts';
import { Connection } from './connection.ts';
import { validAfterOf } from './ended.ts';
import type { Hello } from './frames.ts';
import { bearer, serviceUrl } from './http-source.ts';
import { OrgStates, type Snapshot, type StateChange } from './org-states.ts';
import { isRefusal } from './sources.ts';
import type { StreamOptions, StreamStatus } from './stream-options.ts';

export type OrgStreamOptions = Pick<
  StreamOptions,
  'url' | 'token' | 'onState' | 'onEnded' | 'clockTolerance' | 'onStatus' | 'saveCursor'
> &
  Required<Pick<StreamOptions, 'WebSocket' | 'fetch' | 'heartbeat' | 'backoff' | 'sessionMaxAge'>> & {
    readonly clock: Clock;
    /** Where it enters itself under its id. One whose id is another by now: that org was deleted, its slug taken. */
    readonly byId: Map<string, OrgStream>;
    /** Where the host has given no `onStatus`: what does not get better by itself. */
    readonly warn: (message: string, kind: string) => void;
  };

/** The detail of a 404 that is about the org, and not about the path. */
const NO_ORG = 'Org not found';
/** Nothing stands in the way of an upgrade, says the service. */
const UPGRADE_REQUIRED = 426;

export class OrgStream {
  /** As the host names it: its id or its slug. */
  readonly name: string;
  /** Its id, once it is known. */
  id: string | undefined;
  states = new OrgStates();
  /** Whether `states` began with the beginning. */
  isComplete: boolean;
  /** Connected, and everything there is has been heard. */
  isSynced = false;
  /** As of when `states` was whole for sure. */
  wholeAt: Moment = NEVER;
  isGone = false;
  /** There is no such org, says the service; it is asked again, now and then. */
  isUnknown = false;
  /** The status with which the service refuses this application. */
  refusal: number | undefined;
  readonly #options: OrgStreamOptions;
  /** Everything up to here is in `states`. */
  #seq: number;
  /** Up to here it was handed to the host's handlers, and up to here they are done. */
  #queued: number;
  #handled: number;
  #line: Promise<void> = Promise.resolve();
  /** With another number than its own, what waits in the line is dropped. */
  #lineNumber = 0;
  #connection: Connection | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** Counts each time that a connection, or the wait for one, is given up. */
  #turn = 0;
  #failures = 0;
  #syncedAt = 0;
  #isClosed = false;

  constructor(name: string, after: number | Snapshot, options: OrgStreamOptions) {
    this.name = name;
    this.#options = options;
    const isSnapshot = typeof after !== 'number';
    this.#seq = this.#queued = this.#handled = isSnapshot ? after.seq : after;
    this.isComplete = isSnapshot || after === 0;
    if (!isSnapshot) return;
    this.#identify(after.org);
    // From the future: the clock was set back meanwhile, and how old it is nobody knows.
    this.wholeAt = momentBefore(options.clock, after.asOf, options.clock.now() - after.asOf);
    for (const state of after.states) this.states.apply(state, this.#oldest());
  }

  get seq(): number {
    return this.#seq;
  }

  snapshot(): Snapshot | undefined {
    if (this.id === undefined || !this.isComplete || this.wholeAt === NEVER) return undefined;
    this.states.forget(this.#oldest());
    // From where the handlers are: what the states know beyond it comes again, which does them no harm.
    return { v: 1, org: this.id, seq: this.#handled, asOf: this.wholeAt.asOf, states: this.states.all() };
  }

  connect(): void {
    if (this.#isClosed || this.isGone) return;
    const { url, token, WebSocket, heartbeat, clock } = this.#options;
    const address = serviceUrl(url, '/sessions/v1/stream');
    address.protocol = address.protocol.replace('http', 'ws');
    address.search = this.#query();
    this.#say({ is: 'connecting' });
    try {
      const socket = new WebSocket(address.href, { headers: bearer(token) });
      this.#connection = new Connection(
        socket,
        {
          hello: (frame) => this.#hello(frame),
          state: (change, acknowledge) => this.#state(change, acknowledge),
          synced: (seq, acknowledge) => this.#synced(seq, acknowledge),
          whole: (moment) => this.#whole(moment),
          lost: (why, wasOpen) => this.#lost(why, wasOpen),
          gone: () => this.#end(),
        },
        heartbeat,
        clock,
      );
    } catch (error) {
      this.#wait(`no socket: ${String(error)}`);
    }
  }

  /** Ends it. Resolves when the handler that is at work just now has finished; the others are not called any more. */
  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#letGo();
      this.#lineNumber++;
      this.#say({ is: 'closed' });
    }
    await this.#line;
  }

  #hello({ org, seq }: Hello) {
    const former = this.id;
    this.isUnknown = false;
    this.refusal = undefined;
    this.#identify(org);
    if (former !== undefined && former !== org) {
      this.states = new OrgStates();
      this.wholeAt = NEVER;
      this.#startOver('another org has this name now');
    } else if (seq < this.#seq) {
      this.#startOver('the service is behind what it said before');
    }
  }

  #state({ seq, user, active, validAfter }: StateChange, acknowledge: (() => void) | undefined) {
    const change = { seq, user, active, validAfter };
    // At once, however long the handlers take.
    this.states.apply(change, this.#oldest());
    if (seq > this.#queued) {
      this.#queued = seq;
      const names = { org: this.name, orgId: this.id! };
      const ended = validAfterOf(change, this.#options.clock.now());
      this.#enqueue(() => this.#options.onState?.({ ...names, ...change }));
      if (ended !== undefined) {
        // As `check` counts: a session may bear an instant that is ahead by the tolerance.
        const { onEnded, clockTolerance = 0 } = this.#options;
        this.#enqueue(() => onEnded?.({ ...names, user, validAfter: ended + clockTolerance }));
      }
    }
    if (acknowledge) this.#enqueue(acknowledge);
  }

  #synced(seq: number, acknowledge: (() => void) | undefined) {
    // A repeated one may be of a moment before; it takes nothing back.
    this.#seq = Math.max(this.#seq, seq);
    this.#queued = Math.max(this.#queued, seq);
    this.#enqueue(async () => {
      this.#handled = Math.max(this.#handled, seq);
      await this.#options.saveCursor?.(this.name, this.#handled);
    });
    if (acknowledge) this.#enqueue(acknowledge);
  }

  #whole(moment: Moment) {
    if (moment.at > this.wholeAt.at) this.wholeAt = moment;
    // Whatever it began with, since then it has started over.
    if (this.#isFromTheBeginning) this.isComplete = true;
    if (this.isSynced) return;
    this.isSynced = true;
    this.#syncedAt = this.#options.clock.monotonic();
    this.#say({ is: 'synced' });
  }
  #isFromTheBeginning = false;

  #lost(why: string, wasOpen: boolean) {
    // Only a connection that held for a while shows that the service is well.
    if (this.isSynced && this.#options.clock.monotonic() - this.#syncedAt >= this.#options.heartbeat)
      this.#failures = 0;
    this.#letGo();
    if (wasOpen) this.#wait(why);
    else void this.#diagnose(why);
  }

  /** A WebSocket does not tell why its upgrade was refused; the same question without an upgrade does, or is a 426. */
  async #diagnose(why: string): Promise<void> {
    const turn = this.#turn;
    const { url, token, fetch, heartbeat } = this.#options;
    const address = serviceUrl(url, '/sessions/v1/stream');
    address.search = this.#query();
    let status = 0;
    let detail = why;
    let isUnknown = false;
    try {
      const signal = AbortSignal.timeout(heartbeat);
      const answer = await fetch(address.href, { method: 'GET', headers: bearer(token), signal, redirect: 'manual' });
      status = answer.status;
      const said = (await answer.json()) as { detail?: unknown } | null;
      if (status !== UPGRADE_REQUIRED)
        detail = `HTTP ${status}${typeof said?.detail === 'string' ? `: ${said.detail}` : ''}`;
      isUnknown = status === 404 && said?.detail === NO_ORG;
    } catch (error) {
      detail = status >= 400 ? `HTTP ${status}` : `${why} (${String(error)})`;
    }
    if (turn !== this.#turn) return;
    if (status !== 0) {
      this.isUnknown = isUnknown;
      if (isRefusal(status) && !isUnknown) this.refusal = status;
      // What else fails (429 after many wrong tokens, 503) does not say that the token is right.
      else if (isUnknown || status === 400 || status === UPGRADE_REQUIRED) this.refusal = undefined;
    }
    if (status === 400 && this.#seq > 0) return this.#startOver(detail);
    // A wrong token or an org that is not there does not get better by asking often.
    this.#wait(detail, [400, 401, 403, 404].includes(status));
  }

  /** The place to go on from is worth nothing: everything once more. Whoever is known to be out stays out. */
  #startOver(why: string) {
    this.#letGo();
    this.isComplete = false;
    this.#isFromTheBeginning = true;
    this.states.recount();
    this.#goBackTo(0);
    this.#wait(why);
  }

  #goBackTo(seq: number) {
    this.#seq = this.#queued = this.#handled = seq;
    this.#lineNumber++;
  }

  /** Exponential, with full jitter: hosts that lost the service together do not come back together. */
  #wait(detail: string, isLong = false) {
    if (this.#isClosed) return;
    const { base, max } = this.#options.backoff;
    const retryIn = isLong
      ? (max * (1 + Math.random())) / 2
      : Math.random() * Math.min(max, base * 2 ** Math.min(this.#failures++, 30));
    this.#say({ is: 'waiting', detail, retryIn: Math.round(retryIn) });
    if (isLong && !this.#options.onStatus) this.#options.warn(`${this.name}: ${detail}`, this.name);
    this.#retry = setTimeout(() => this.connect(), retryIn);
  }

  #identify(id: string) {
    this.id = id;
    this.#options.byId.set(id, this);
  }

  #end() {
    this.#letGo();
    this.isGone = true;
    const validAfter = this.#options.clock.now();
    this.states.apply({ seq: Number.MAX_SAFE_INTEGER, user: null, active: false, validAfter }, 0);
    this.#say({ is: 'gone', detail: 'the org was deleted' });
  }

  #letGo() {
    this.#turn++;
    this.isSynced = false;
    if (this.#retry !== undefined) clearTimeout(this.#retry);
    this.#connection?.close();
    this.#connection = undefined;
  }

  /** One after the other. After one that fails the stream goes back to where the host had got to, and it comes again. */
  #enqueue(act: () => unknown): void {
    const line = this.#lineNumber;
    this.#line = this.#line.then(async () => {
      if (line !== this.#lineNumber) return;
      try {
        await act();
      } catch (error) {
        if (line !== this.#lineNumber) return;
        this.#letGo();
        this.#goBackTo(this.#handled);
        this.#wait(`a handler failed: ${String(error)}`);
      }
    });
  }

  #say(status: Omit<StreamStatus, 'org'>) {
    try {
      this.#options.onStatus?.({ org: this.name, ...status });
    } catch {
      // It was only to be told, and there is nobody else to tell.
    }
  }

  #query(): string {
    return new URLSearchParams({ org: this.name, after: String(this.#seq) }).toString();
  }

  #oldest(): number {
    return this.#options.clock.now() - this.#options.sessionMaxAge;
  }
}
