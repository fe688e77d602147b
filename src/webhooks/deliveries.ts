/**
 * Delivers one org's events to its endpoints, from the journal (docs/webhooks.md). Each endpoint has a line of its own: its
 * messages go in order, one at a time, at least once, and wait for no other endpoint.
 *
 * All that is needed stands in the database: the object that holds this may be ended at any moment, and no message is lost.
 */
import { DAY } from '../duration';
import type { Databases } from '../store/d1/databases';
import {
  advanceLine,
  type DueLine,
  disableLine,
  pauseLine,
  readChunk,
  readDueLines,
  readPresentWebhook,
} from '../store/operations/webhook-lines';
import { lost, type Outgoing, outgoing } from './message';
import { type Attempt, type Sender, send } from './send';

/**
 * Messages of one line in one go, and how long it takes no more of them. The rest is the alarm's: an invocation may make
 * 1,000 queries of D1 and 10,000 requests, and an org has at most 20 endpoints. Each message takes a query.
 */
const MESSAGES_PER_RUN = 30;
const RUN_TIME = 60_000;
/** Milliseconds after which states that were read are read again, rather than sent. */
const FRESH = 2_000;

/**
 * Lines of one org that send at once. An invocation waits for six answers at most, those of KV included: what is left is for
 * the revocations, however slow all receivers are.
 */
const SENDING_AT_ONCE = 4;

const FIRST_PAUSE = 2_000;
const LONGEST_PAUSE = 3_600_000;
/** Milliseconds of failures after which an endpoint is given up. */
export const GIVEN_UP_AFTER = DAY;

/** What the deliveries need of the object that holds them. */
export interface Holder {
  readonly orgId: string;
  readonly databases: Databases;
  sender(): Sender;
  /** Keeps the object alive for this work, which never fails. */
  later(work: Promise<void>): void;
  /** To call `pump` again then; epoch milliseconds. */
  wakeAt(at: number): Promise<void>;
}

export class Deliveries {
  #isAsked = false;
  #isLooking = false;
  readonly #running = new Set<string>();
  /** Lines that were due while they ran. */
  readonly #again = new Set<string>();
  readonly #places = new Places(SENDING_AT_ONCE);

  constructor(private readonly holder: () => Holder) {}

  /** Sends what waits. Neither waits for anything nor fails. */
  pump(): void {
    this.#isAsked = true;
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.holder().later(this.#lookAround());
  }

  async #lookAround(): Promise<void> {
    const { orgId, databases, later, wakeAt } = this.holder();
    try {
      while (this.#isAsked) {
        this.#isAsked = false; // what was committed until now, this look sees
        const now = Date.now();
        const lines = await readDueLines(databases, orgId);
        for (const line of lines.filter(({ dueAt }) => dueAt! <= now)) {
          const { id } = line.webhook;
          if (this.#running.has(id)) this.#again.add(id);
          else {
            this.#running.add(id);
            later(this.#run(line));
          }
        }
        const waiting = lines.map(({ dueAt }) => dueAt!).filter((at) => at > now);
        if (waiting.length > 0) await wakeAt(Math.min(...waiting));
      }
    } catch (error) {
      await this.#tryLater('webhooks could not be looked for', error);
    } finally {
      this.#isLooking = false;
    }
  }

  async #run(line: DueLine): Promise<void> {
    const { id } = line.webhook;
    try {
      await this.#deliver(line);
    } catch (error) {
      await this.#tryLater('webhooks could not be delivered', error);
    } finally {
      this.#running.delete(id);
      if (this.#again.delete(id)) this.pump();
    }
  }

  async #deliver(due: DueLine): Promise<void> {
    const { orgId, databases, wakeAt } = this.holder();
    const end = Date.now() + RUN_TIME;
    let room = MESSAGES_PER_RUN;
    for (let line = due; ; ) {
      const { sent, through, failed } = await this.#places.with(() => this.#sendSome(line, room));
      if (failed) {
        const before = sent > 0 ? { ...line, failures: 0, failingSince: undefined } : line;
        return this.#fail(before, through, failed.message, failed.attempt);
      }
      room -= sent;
      const next = await advanceLine(databases, orgId, line, through, sent > 0 ? Date.now() : undefined);
      if (next !== 'more') return;
      // Another one may have been committed just now, and nobody else is told.
      if (room === 0 || Date.now() > end) return wakeAt(Date.now());
      line = { ...line, seq: through, ...(sent > 0 && { failures: 0, failingSince: undefined }) };
    }
  }

  /** Sends what comes next on the line, as far as it is fresh. @param room messages at most. */
  async #sendSome(line: DueLine, room: number): Promise<Sent> {
    const { orgId, databases, sender } = this.holder();
    const readAt = Date.now();
    const chunk = await readChunk(databases, orgId, line);
    const { tenant, told, lostThrough } = chunk;
    const messages = [
      ...(lostThrough === undefined ? [] : [lost(tenant, lostThrough, line.replays, readAt)]),
      ...told.filter(({ seq }) => seq > (lostThrough ?? 0)).map((one) => outgoing(tenant, one, line.replays)),
    ];
    let through = line.seq;
    let sent = 0;
    let { webhook } = chunk;
    for (const message of messages) {
      if (sent === room || (sent > 0 && Date.now() - readAt > FRESH)) return { sent, through };
      if (sent > 0) webhook = await readPresentWebhook(databases, orgId, line);
      if (webhook === undefined) return { sent, through };
      const attempt = await send(sender(), webhook, message);
      if (!attempt.ok) return { sent, through, failed: { message, attempt } };
      through = message.seq;
      sent++;
    }
    return { sent, through: Math.max(chunk.through, lostThrough ?? 0) };
  }

  /** @param through what was delivered before it. */
  async #fail(
    line: DueLine,
    through: number,
    { message }: Outgoing,
    { error, isGone, pause }: Exclude<Attempt, { ok: true }>,
  ): Promise<void> {
    const { orgId, databases, wakeAt } = this.holder();
    const now = Date.now();
    const since = line.failingSince ?? now;
    const told = `${message.type} ${message.data.seq}: ${error}`;
    if (isGone || now - since >= GIVEN_UP_AFTER) {
      await disableLine(databases, orgId, line, { through, error: told, why: isGone ? 'gone' : 'failing' });
      this.pump(); // others are told of it
      return;
    }
    const until = now + pauseAfter(line.failures, pause);
    await pauseLine(databases, orgId, line, { through, failures: line.failures + 1, since, error: told, until });
    await wakeAt(until);
  }

  async #tryLater(message: string, error: unknown): Promise<void> {
    console.error(JSON.stringify({ message, error: String(error) }));
    await this.holder().wakeAt(Date.now() + FIRST_PAUSE);
  }
}

/** What came of a chunk of one line. */
interface Sent {
  readonly sent: number;
  /** Everything up to this event is delivered, or was not asked for. */
  readonly through: number;
  readonly failed?: { readonly message: Outgoing; readonly attempt: Exclude<Attempt, { ok: true }> };
}

/** So many may work at once; the others wait in their order. */
class Places {
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
