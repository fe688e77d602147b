/** One socket of one org, from the hello to its end: what it heard, whether it is alive, whether everything is here. */
import { type Clock, type Moment, momentOf } from './clock.ts';
import { type Frame, type Hello, parseFrame } from './frames.ts';
import type { StateChange } from './org-states.ts';

/** What is used of a WebSocket. */
export interface WebSocketLike {
  send(text: string): void;
  close(code?: number): void;
  addEventListener(type: string, listener: (event: never) => void): void;
}

/** Node's global one (22 and later) and that of the package `ws` take headers so; a browser's does not. */
export type WebSocketClass = new (url: string, options: { headers: Record<string, string> }) => WebSocketLike;

export interface ConnectionEvents {
  hello(frame: Hello): void;
  /** `acknowledge` is there now and then, to be called when everything so far has been dealt with. */
  state(change: StateChange, acknowledge: (() => void) | undefined): void;
  synced(seq: number, acknowledge: (() => void) | undefined): void;
  /** Everything that there was at that moment has been heard. */
  whole(moment: Moment): void;
  /** The last event, unless `close` was called. `wasOpen` false: the upgrade was refused. */
  lost(why: string, wasOpen: boolean): void;
  /** The last event: the org was deleted. */
  gone(): void;
}

/** With so many states unacknowledged the service holds back the next ones, and goes on when no more than half are left. */
const WINDOW = 500;
const ACK_EVERY = 100;
const GONE = 4004;

export class Connection {
  readonly #socket: WebSocketLike;
  readonly #events: ConnectionEvents;
  readonly #heartbeat: number;
  readonly #clock: Clock;
  readonly #timer: ReturnType<typeof setInterval>;
  #isOver = false;
  #isOpen = false;
  /** The org's latest when it was made; undefined before the hello. */
  #target: number | undefined;
  #isSynced = false;
  /** States have come since the last `synced`. */
  #isMidway = false;
  /** States that no ack has gone out for; they were too many, so there may be more that wait. */
  #unacked = 0;
  #isHeldBack = false;
  #helloAt: Moment;
  #progressAt: Moment;
  /** How many pings have no answer, and when the first of them went out. */
  #missed = 0;
  #pingedAt: Moment;

  /** @param heartbeat milliseconds between two pings. */
  constructor(socket: WebSocketLike, events: ConnectionEvents, heartbeat: number, clock: Clock) {
    this.#socket = socket;
    this.#events = events;
    this.#heartbeat = heartbeat;
    this.#clock = clock;
    this.#helloAt = this.#progressAt = this.#pingedAt = momentOf(clock);
    this.#timer = setInterval(() => this.#beat(), heartbeat);
    // A socket that was given up has nothing to say any more.
    const on = <E>(type: string, act: (event: E) => void) =>
      socket.addEventListener(type, (event) => {
        if (!this.#isOver) act(event);
      });
    on('open', () => {
      this.#isOpen = true;
    });
    on<{ data: unknown }>('message', ({ data }) => this.#read(data));
    on<{ code?: number; reason?: string }>('close', ({ code, reason }) => {
      this.#lose(`closed with ${code ?? 'no code'}${reason ? `: ${reason}` : ''}`, code === GONE);
    });
    // `close` follows it and says more, but a listener has to be there.
    on('error', () => undefined);
  }

  /** No event comes after it. */
  close(code = 1000): void {
    this.#isOver = true;
    clearInterval(this.#timer);
    try {
      this.#socket.close(code);
    } catch {
      // It never opened: there is nothing to close.
    }
  }

  /** Of every hundred states, and of what is left at the end of a chunk: a slow host slows the service down. */
  #acknowledgement(seq: number): (() => void) | undefined {
    const open = this.#unacked % ACK_EVERY;
    const states = this.#isMidway ? (open === 0 ? ACK_EVERY : 0) : open;
    if (states === 0) return undefined;
    return () => {
      if (this.#isOver) return;
      this.#unacked -= states;
      if (this.#unacked <= WINDOW / 2) this.#isHeldBack = false;
      this.#send(JSON.stringify({ type: 'ack', seq }));
    };
  }

  #read(data: unknown) {
    const frame = data === 'pong' ? undefined : parseFrame(data);
    if (data === 'pong') this.#pong();
    else if (!frame) this.#lose('a frame that could not be read');
    else if (this.#target !== undefined) this.#hear(frame);
    else if (frame.type === 'hello') this.#begin(frame);
    else this.#lose(`${frame.type} came before hello`);
  }

  #begin(frame: Hello) {
    this.#target = frame.seq;
    this.#helloAt = momentOf(this.#clock);
    this.#events.hello(frame);
    // At once: workerd (November 2026) keeps its close to itself until the client has said something.
    if (!this.#isOver) this.#ping();
  }

  #hear(frame: Frame) {
    this.#progressAt = momentOf(this.#clock);
    if (frame.type === 'state') {
      this.#isMidway = true;
      this.#unacked++;
      if (this.#unacked >= WINDOW) this.#isHeldBack = true;
      this.#events.state(frame, this.#acknowledgement(frame.seq));
    } else if (frame.type === 'synced') {
      this.#isMidway = false;
      this.#events.synced(frame.seq, this.#acknowledgement(frame.seq));
      this.#caughtUp(frame.seq);
    }
  }

  #caughtUp(seq: number) {
    if (!this.#isSynced && seq >= this.#target! && !this.#isOver) {
      this.#isSynced = true;
      this.#events.whole(this.#helloAt);
    }
    this.#mayBeWhole(this.#progressAt);
  }

  #mayBeWhole(moment: Moment) {
    if (this.#isSynced && !this.#isMidway && !this.#isHeldBack && !this.#isOver) this.#events.whole(moment);
  }

  /** Whatever was sent before the answer is here: it is whole as of the question. */
  #pong() {
    if (this.#missed === 0) return;
    this.#missed = 0;
    this.#mayBeWhole(this.#pingedAt);
  }

  #beat() {
    // Alive, and yet it does not finish. Where it waits for acks, that is our own doing.
    const isUnfinished = (!this.#isSynced || this.#isMidway) && this.#unacked < ACK_EVERY;
    if (this.#target === undefined) this.#lose('no hello');
    else if (this.#missed >= 2) this.#lose('two pings without an answer');
    else if (isUnfinished && this.#clock.monotonic() - this.#progressAt.at > 3 * this.#heartbeat)
      this.#lose('it never says synced');
    else this.#ping();
  }

  #ping() {
    if (this.#missed++ === 0) this.#pingedAt = momentOf(this.#clock);
    this.#send('ping');
  }

  #send(text: string) {
    try {
      this.#socket.send(text);
    } catch {
      // Closed in this very moment: `close` is on its way.
    }
  }

  #lose(why: string, isGone = false) {
    this.close(4000);
    if (isGone) this.#events.gone();
    else this.#events.lost(why, this.#isOpen);
  }
}
