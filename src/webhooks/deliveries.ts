/**
 * Delivers one org's events to endpoints, from the journal: messages of webhooks, and security event tokens. Each endpoint
 * has a line of its own: its messages go in order, one at a time, at least once, and wait for no other endpoint.
 *
 * All that is needed stands in the database: the object that holds this may be ended at any moment, and no message is lost.
 */
import { DAY } from '../duration';
import type { Attempt } from './send';

/**
 * Messages of one line in one go, and how long it takes no more of them. The rest is the alarm's: an invocation may make
 * 1,000 queries of D1 and 10,000 requests, and an org has at most 20 endpoints. Each message takes a query.
 */
const MESSAGES_PER_RUN = 30;
const RUN_TIME = 60_000;
/** Milliseconds after which states that were read are read again, rather than sent. */
const FRESH = 2_000;

/** Milliseconds between two looks for lines while one of them sends: that one sees by itself what is committed meanwhile. */
const LOOKS_APART = 50;

/**
 * Lines of one org that send at once. An invocation waits for six answers at most, those of KV included: what is left is for
 * the revocations, however slow all receivers are.
 */
export const SENDING_AT_ONCE = 4;

const FIRST_PAUSE = 2_000;
const LONGEST_PAUSE = 3_600_000;
/** Milliseconds of failures after which an endpoint is given up. */
const GIVEN_UP_AFTER = DAY;

/** What the deliveries need of the object that holds them. */
export interface Holder {
  /** Keeps the object alive for this work, which never fails. */
  later(work: Promise<void>): void;
  /** To call `pump` again then; epoch milliseconds. */
  wakeAt(at: number): Promise<void>;
}

/** How far one endpoint is. */
export interface Line {
  /** Of the endpoint. */
  readonly id: string;
  /** Everything up to here is delivered, or was not asked for. */
  readonly place: number;
  /** Epoch milliseconds. */
  readonly dueAt: number | undefined;
  readonly failures: number;
  readonly failingSince: number | undefined;
}

export interface Failure {
  /** What was delivered before it. */
  readonly through: number;
  /** A sentence of ours. */
  readonly error: string;
}

/** One kind of message: what is in line, how it is sent, and what is kept of that. */
export interface Kind<L extends Line, M extends { readonly place: number }> {
  /** For the log: `webhooks`. */
  readonly name: string;
  /** All lines that may have something to deliver, those whose time has not come included. */
  due(): Promise<L[]>;
  /** What comes next, and the line as `reread` reads it; once all of it is delivered, everything up to `through` is. */
  next(line: L): Promise<{ readonly line: L | undefined; readonly messages: readonly M[]; readonly through: number }>;
  /** The line as it is now, before a further message. undefined: nothing more may be sent on it. */
  reread(line: L): Promise<L | undefined>;
  /** Milliseconds for which a line that was read may be sent on, unless `changed` is called. */
  readonly goodFor: number;
  /** Never throws. */
  send(line: L, message: M): Promise<Attempt>;
  /** What an operator is told that a message is. */
  describe(message: M): string;
  /**
   * @param deliveredAt undefined: nothing was asked for.
   * @returns `more`: there is more; `done`: there is nothing more; `other`: it is not the line it was any more.
   */
  advance(line: L, through: number, deliveredAt: number | undefined): Promise<'more' | 'done' | 'other'>;
  pause(
    line: L,
    failed: Failure & { readonly failures: number; readonly since: number; readonly until: number },
  ): Promise<void>;
  /** It is given up. */
  disable(line: L, failed: Failure & { readonly why: 'failing' | 'gone' }): Promise<void>;
}

export class Deliveries<L extends Line, M extends { readonly place: number }> {
  #isAsked = false;
  #isLooking = false;
  /** Moves when an operator has changed a line: what was read before is read again. */
  #changes = 0;
  readonly #running = new Set<string>();
  /** Lines that were due while they ran. */
  readonly #again = new Set<string>();

  /** @param places shared with all other deliveries of the object. */
  constructor(
    private readonly holder: Holder,
    private readonly kind: Kind<L, M>,
    private readonly places: Places,
  ) {}

  /** Sends what waits. Neither waits for anything nor fails. */
  pump(): void {
    this.#isAsked = true;
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.holder.later(this.#lookAround());
  }

  /** An endpoint was switched off, or is another one now: it holds from the next message on. */
  changed(): void {
    this.#changes++;
  }

  async #lookAround(): Promise<void> {
    const { later, wakeAt } = this.holder;
    try {
      while (this.#isAsked) {
        this.#isAsked = false; // what was committed until now, this look sees
        const now = Date.now();
        const lines = await this.kind.due();
        for (const line of lines.filter(({ dueAt }) => dueAt! <= now)) {
          const { id } = line;
          if (this.#running.has(id)) this.#again.add(id);
          else {
            this.#running.add(id);
            later(this.#run(line));
          }
        }
        const waiting = lines.map(({ dueAt }) => dueAt!).filter((at) => at > now);
        if (waiting.length > 0) await wakeAt(Math.min(...waiting));
        if (this.#running.size > 0) await new Promise((resolve) => setTimeout(resolve, LOOKS_APART));
      }
    } catch (error) {
      await this.#tryLater(`${this.kind.name} could not be looked for`, error);
    } finally {
      this.#isLooking = false;
    }
  }

  async #run(line: L): Promise<void> {
    const { id } = line;
    try {
      await this.#deliver(line);
    } catch (error) {
      await this.#tryLater(`${this.kind.name} could not be delivered`, error);
    } finally {
      this.#running.delete(id);
      if (this.#again.delete(id)) this.pump();
    }
  }

  async #deliver(due: L): Promise<void> {
    const { wakeAt } = this.holder;
    const end = Date.now() + RUN_TIME;
    let room = MESSAGES_PER_RUN;
    for (let line = due; ; ) {
      const { sent, through, failed } = await this.places.with(() => this.#sendSome(line, room));
      if (failed) {
        const before = sent > 0 ? { ...line, failures: 0, failingSince: undefined } : line;
        return this.#fail(before, through, failed.message, failed.attempt);
      }
      room -= sent;
      const next = await this.kind.advance(line, through, sent > 0 ? Date.now() : undefined);
      if (next !== 'more') return;
      // Another one may have been committed just now, and nobody else is told.
      if (room === 0 || Date.now() > end) return wakeAt(Date.now());
      line = { ...line, place: through, ...(sent > 0 && { failures: 0, failingSince: undefined }) };
    }
  }

  /** Sends what comes next on the line, as far as it is fresh. @param room messages at most. */
  async #sendSome(line: L, room: number): Promise<Sent<M>> {
    const readAt = Date.now();
    let known = { at: readAt, changes: this.#changes };
    const next = await this.kind.next(line);
    let through = line.place;
    let sent = 0;
    let present = next.line;
    for (const message of next.messages) {
      if (sent === room || (sent > 0 && Date.now() - readAt > FRESH)) return { sent, through };
      if (known.changes !== this.#changes || (sent > 0 && Date.now() - known.at >= this.kind.goodFor)) {
        known = { at: Date.now(), changes: this.#changes };
        present = await this.kind.reread(line);
      }
      if (present === undefined) return { sent, through };
      const attempt = await this.kind.send(present, message);
      if (!attempt.ok) return { sent, through, failed: { message, attempt } };
      through = message.place;
      sent++;
    }
    return { sent, through: next.through };
  }

  /** @param through what was delivered before it. */
  async #fail(line: L, through: number, message: M, attempt: Exclude<Attempt, { ok: true }>): Promise<void> {
    const { isGone, pause } = attempt;
    const now = Date.now();
    const since = line.failingSince ?? now;
    const error = `${this.kind.describe(message)}: ${attempt.error}`;
    if (isGone || now - since >= GIVEN_UP_AFTER) {
      await this.kind.disable(line, { through, error, why: isGone ? 'gone' : 'failing' });
      this.pump(); // others are told of it
      return;
    }
    const until = now + pauseAfter(line.failures, pause);
    await this.kind.pause(line, { through, failures: line.failures + 1, since, error, until });
    await this.holder.wakeAt(until);
  }

  async #tryLater(message: string, error: unknown): Promise<void> {
    console.error(JSON.stringify({ message, error: String(error) }));
    await this.holder.wakeAt(Date.now() + FIRST_PAUSE);
  }
}

/** What came of a chunk of one line. */
interface Sent<M> {
  readonly sent: number;
  /** Everything up to here is delivered, or was not asked for. */
  readonly through: number;
  readonly failed?: { readonly message: M; readonly attempt: Exclude<Attempt, { ok: true }> };
}

/** So many may work at once; the others wait in their order. */
export class Places {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(places: number) {
    this.#free = places;
  }

  async with<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}

/** Growing, and random, so that what failed together does not come back together. @param asked by the receiver. */
export function pauseAfter(failures: number, asked: number, random = Math.random()): number {
  const longest = Math.min(FIRST_PAUSE * 2 ** failures, LONGEST_PAUSE);
  return Math.max(Math.min(asked, LONGEST_PAUSE), longest * (0.5 + random / 2));
}
