/**
 * OrgCoordinator, one Durable Object per org, named by the org's id: the org's single line for issuing and revoking
 * tokens, one line per user for publishing revocations, the holder of its hosts' streams, the sender of its webhooks and signals,
 * and what polls its streams of signals. D1 stays the truth; the
 * object owns the order.
 */

import { DurableObject } from 'cloudflare:workers';
import {
  cancel,
  complete,
  type Issued,
  type IssueRequest,
  issue,
  type Outcome,
  OVERLAP,
  type RotationRequest,
  rotate,
  type Secret,
} from './credentials/rotation';
import { hashOf } from './credentials/secret';
import { signalActor } from './end-cause';
import { type Env, settings } from './env';
import type { Actor } from './events';
import { workOnMove } from './operator/move';
import type { Org } from './provisioning/org';
import { type FlagWrite, flagWriteOf } from './sessions/publish';
import { Streams } from './sessions/push';
import { Settlement } from './sessions/settlement';
import { WrittenStates } from './sessions/written-states';
import type { Done, Ordered } from './signals/carry-out';
import { Inbox, type Taken } from './signals/inbox';
import { Polls } from './signals/polls';
import type { Credential, Expected, Line } from './store/credentials/credentials';
import { tokensThatMayCheck } from './store/credentials/host-tokens';
import { type Ended, type Rotated, retirePredecessor, revokeCredentials } from './store/credentials/rotation';
import type { Database } from './store/d1/database';
import { databaseOf, isSpread } from './store/d1/databases';
import { type Publication, pendingPublications, readPublication, settle, WHOLE_ORG } from './store/journal/outbox';
import { OLD_COPY } from './store/operations/moves';
import { type OrgStore, openStore } from './store/org/open';
import { signalKind } from './transmitter/deliveries';
import { Deliveries, type Holder, Places, SENDING_AT_ONCE } from './webhooks/deliveries';
import { webhookKind } from './webhooks/lines';
import type { Sender } from './webhooks/send';

/** KV takes one write per second and key; a second one sooner may be refused (Cloudflare, «KV limits»). */
export const KV_SECOND = 1_000;
/** Milliseconds between two writes of one key. Only tests change it: the local KV takes writes at any time. */
export const keyWrites = { interval: KV_SECOND };
const RETRY_FIRST = 2_000;
const RETRY_LONGEST = 60_000;
/** Users who are read from the outbox at once. */
const CHUNK = 100;
/**
 * An invocation may make 1,000 operations of KV and 1,000 queries of D1 (Cloudflare, «KV limits», «D1 limits»); a
 * publication takes one of KV and, where D1 counts each statement of a batch, two of D1.
 */
const CHUNKS_PER_ALARM = 3;
/** Milliseconds after which an alarm begins no further chunk, and leaves the rest to the next one. */
const ALARM_TIME = 20_000;
/** Publications of a chunk under way at once. What is asked for by itself waits behind no more than these. */
const PARALLEL = 10;
/** In the object's storage: whether the org has streams that are polled. */
const POLLS = 'polls';

/** What a publication is to start from. */
interface Wanted {
  /** The state as the caller committed it; undefined: D1 is to be read. */
  readonly told: Publication | undefined;
  /** The flag is written even if KV holds it already. */
  readonly isForced: boolean;
}

/** A publication that waits until the one before it is over. What it starts from may still change. */
interface Turn {
  wanted: Wanted;
  done: Promise<void>;
}

/** What became of a signal. `isPublished`: KV has its flags, too; else the outbox goes on with it. */
export type SignalAnswer = Exclude<Taken, Done> | (Done & { readonly isPublished: boolean });

export class OrgCoordinator extends DurableObject<Env> {
  #tokens: Promise<unknown> = Promise.resolve();
  readonly #running = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, Turn>();
  readonly #writtenAt = new Map<string, number>();
  #failures = 0;
  #isMoving = false;
  readonly #written = new WrittenStates(this.ctx.storage.kv);
  readonly #settlement = new Settlement(
    (published) => settle(this.#db, this.#orgId, published),
    (work) => this.ctx.waitUntil(work),
    () => this.#retryLater(),
  );
  readonly #streams = new Streams(this.ctx, () => ({
    orgId: this.#orgId,
    db: this.#db,
    stillGood: async (tokens) => {
      const { hostToken } = settings(this.env);
      const right = hostToken && 'secret' in hostToken ? await hashOf(hostToken.secret) : undefined;
      const others = tokens.filter((hash) => hash !== right);
      // Only streams of applications with a token of their own cost a look.
      const good = others.length > 0 ? await tokensThatMayCheck(this.env, this.#orgId, others, Date.now()) : [];
      return new Set([...good, ...(right === undefined ? [] : [right])]);
    },
    tryLater: () => this.#retryLater(),
  }));

  /** All that sends shares them: what is left of the invocation's connections is for KV. */
  readonly #places = new Places(SENDING_AT_ONCE);
  readonly #holder: Holder = {
    later: (work) => this.ctx.waitUntil(work),
    wakeAt: (at) => this.#wakeAt(at),
  };
  readonly #sender = (): Sender => {
    const { encryptionKeys, allowsLoopbackWebhooks } = settings(this.env);
    const keys = encryptionKeys && 'keys' in encryptionKeys ? encryptionKeys.keys : [];
    return { keys, allowsLoopback: allowsLoopbackWebhooks };
  };
  readonly #webhooks = new Deliveries(
    this.#holder,
    webhookKind(this.env, () => this.#orgId, this.#sender),
    this.#places,
  );
  readonly #signals = new Deliveries(
    this.#holder,
    signalKind(this.env, () => this.#orgId, this.#sender),
    this.#places,
  );

  readonly #inbox = new Inbox({
    store: () => this.#store(),
    publish: (publication) => this.publish(publication),
    later: (work) => this.ctx.waitUntil(work),
  });

  readonly #polls = new Polls(() => {
    const { encryptionKeys, allowsLoopbackJwks } = settings(this.env);
    return {
      orgId: this.#orgId,
      databases: this.env,
      keys: encryptionKeys && 'keys' in encryptionKeys ? encryptionKeys.keys : [],
      allowsLoopback: allowsLoopbackJwks,
      orgFor: (issuer) => this.#orgOfSignal(issuer),
      take: (signal) => this.#inbox.take(signal),
      later: (work) => this.ctx.waitUntil(work),
      wakeAt: (at) => this.#wakeAt(at),
      rest: () => void this.ctx.storage.kv.delete(POLLS),
    };
  });

  get #orgId(): string {
    const { name } = this.ctx.id;
    if (name === undefined) throw new Error('the coordinator is reached by the id of its org');
    return name;
  }

  get #db(): Database {
    return databaseOf(this.env, this.#orgId);
  }

  /** @returns not ok when there is a good one already. */
  issue(line: Line, asked: IssueRequest, actor: Actor): Promise<Outcome<Issued>> {
    return this.#inLine(() => issue(this.#store(), this.#orgId, line, asked, actor));
  }

  /** @returns not ok when there is none to replace, or it is not the one that was expected. */
  rotate(line: Line, asked: RotationRequest, actor: Actor): Promise<Outcome<Rotated & Secret>> {
    return this.#inLine(() => rotate(this.#store(), this.#orgId, line, asked, actor));
  }

  /** The predecessor is the current one again. @returns not ok when no grace lasts, or another one is current. */
  cancel(line: Line, by: string, expected: Expected, actor: Actor): Promise<Outcome<Ended>> {
    return this.#inLine(() => cancel(this.#store(), line, by, expected, actor));
  }

  /** The grace is over now. @returns not ok when none lasts, or another one is current. */
  complete(line: Line, by: string, expected: Expected, actor: Actor): Promise<Outcome<Ended>> {
    return this.#inLine(() => complete(this.#store(), line, by, expected, actor));
  }

  /** A credential that was to end its predecessor's grace by its first use was used. */
  retire(line: Line, credentialId: string, actor: Actor): Promise<void> {
    return this.#inLine(() => retirePredecessor(this.#store(), line, credentialId, OVERLAP, actor));
  }

  /** All of the line, now. @returns those that died by it. */
  revoke(line: Line, by: string, actor: Actor): Promise<Credential[]> {
    return this.#inLine(() => revokeCredentials(this.#store(), line, by, actor));
  }

  /**
   * Publishes the state of a user or of the org. When it returns true, KV has acknowledged this state or a newer one.
   *
   * @param subject the state as it was committed, so that D1 need not be read; or an id, whose state is read from D1. States may
   *   arrive late, twice and in any order: an older one is never written after a newer one.
   * @returns false when KV or D1 failed: the outbox still holds the intent, and the alarm tries again.
   */
  async publish(subject: string | Publication): Promise<boolean> {
    this.#streams.pump(); // before KV, and whatever becomes of KV
    const isPublished =
      typeof subject === 'string'
        ? await this.#try(subject, { told: undefined, isForced: true })
        : await this.#try(subject.userId, { told: subject, isForced: false });
    if (!isPublished) await this.#retryLater();
    // An operator waits for this one, and asks next which orgs have a flag.
    else if (subject === WHOLE_ORG) await this.#settlement.flushNow();
    return isPublished;
  }

  /** Publishes a chunk of what waits in the outbox; the alarm goes on with the rest. @returns how many of it failed. */
  async drain(): Promise<number> {
    const { failed, last } = await this.#publishChunk(undefined);
    if (last !== undefined) await this.#wakeAt(Date.now());
    await this.#settlement.flushNow();
    return failed;
  }

  /** The alarm publishes what waits in the outbox, in chunks: a long one does not delay others. */
  publishSoon(): Promise<void> {
    this.#streams.pump();
    return this.#wakeAt(Date.now());
  }

  /** Something was committed to an org with webhooks or streams of signals. Returns at once: nobody waits for an endpoint. */
  deliverSoon(): void {
    this.#deliver();
  }

  /** A webhook of the org was switched off, begun again or got another secret: it holds from the next message on. */
  webhooksChanged(): void {
    this.#webhooks.changed();
  }

  #deliver(): void {
    this.#webhooks.pump();
    this.#signals.pump();
  }

  /** Goes on with the move of the org to another database. Returns at once. */
  moveSoon(): void {
    if (this.#isMoving) return;
    this.#isMoving = true;
    const work = async () => {
      try {
        const hasMore = await workOnMove(this.env, this.#orgId, Date.now() - OLD_COPY);
        if (hasMore) await this.#wakeAt(Date.now());
      } catch (error) {
        console.error(JSON.stringify({ message: 'a move could not go on yet', error: String(error) }));
      } finally {
        this.#isMoving = false;
      }
    };
    this.ctx.waitUntil(work());
  }

  /** The org has streams that are polled: one is new, or was not polled for long. Returns at once. */
  pollSoon(): void {
    this.ctx.storage.kv.put(POLLS, true); // an alarm of an org without them asks no database
    this.#polls.pumpNow();
  }

  /**
   * Carries out a signal that was pushed. Answers once it is committed, and KV has the flags, or does not answer.
   *
   * @throws what the database throws: the same signal may come again, and acts once.
   */
  async receive(signal: Ordered): Promise<SignalAnswer> {
    const taken = await this.#inbox.take(signal);
    if (!('published' in taken)) return taken;
    const { published, ...done } = taken;
    return { ...done, isPublished: await published };
  }

  /** Opens a stream for a host (routes/sessions/stream.ts, which has checked everything). */
  override fetch(request: Request): Response {
    const { searchParams: asked } = new URL(request.url);
    const [after, current] = [Number(asked.get('after')), Number(asked.get('current'))];
    return this.#streams.open({ after, current, openedBy: asked.get('openedBy') ?? '' });
  }

  override webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): void {
    this.#streams.hear(socket, frame);
  }

  /** The other half of the closing handshake (RFC 6455 §7.1.1). */
  override webSocketClose(socket: WebSocket): void {
    socket.close();
  }

  override async alarm(): Promise<void> {
    if (isSpread(this.env)) this.moveSoon();
    this.#deliver(); // beside the revocations, which wait for no endpoint
    if (this.ctx.storage.kv.get(POLLS)) this.#polls.pump();
    try {
      await this.#goOn();
      await this.#settlement.flushNow();
    } catch (error) {
      // The platform gives up an alarm that has failed six times; this one goes on for as long as something waits.
      console.error(JSON.stringify({ message: 'the outbox could not be read yet', error: String(error) }));
      await this.#retryLater();
    }
  }

  /** Chunk by chunk. What fails is passed over until the next alarm; when all of a chunk fails, KV is down. */
  async #goOn(): Promise<void> {
    const end = Date.now() + ALARM_TIME;
    let after: string | undefined;
    for (let chunk = 0; chunk < CHUNKS_PER_ALARM && Date.now() < end; chunk++) {
      const { last } = await this.#publishChunk(after);
      if (last === undefined) return;
      after = last;
    }
    await this.#wakeAt(Date.now());
  }

  /** @returns how many failed, and the last of the chunk where it is worth going on behind it. */
  async #publishChunk(after: string | undefined): Promise<{ failed: number; last: string | undefined }> {
    await this.#settlement.flush(); // what is published already must not be read again
    const pending = await pendingPublications(this.#db, this.#orgId, after, CHUNK);
    this.#streams.pump();
    let failed = 0;
    const queue = pending.values();
    const work = async () => {
      for (const userId of queue) if (!(await this.#try(userId, { told: undefined, isForced: false }))) failed++;
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
    if (failed > 0) await this.#retryLater();
    return { failed, last: failed < CHUNK && pending.length === CHUNK ? pending.at(-1) : undefined };
  }

  async #try(userId: string, wanted: Wanted): Promise<boolean> {
    try {
      await this.#publishInLine(userId, wanted);
      this.#failures = 0;
      return true;
    } catch (error) {
      console.error(JSON.stringify({ message: 'a revocation could not be published yet', error: String(error) }));
      return false;
    }
  }

  #store(): OrgStore {
    const written = () => this.#deliver();
    return openStore(this.env, { kind: 'id', id: this.#orgId }, Date.now(), { written });
  }

  /** For what a polled signal says of its stream. What it ends, the inbox publishes. */
  #orgOfSignal(issuer: string): Org {
    const begin = async (work: Promise<unknown>) => this.ctx.waitUntil(work.then(() => undefined));
    return {
      store: this.#store(),
      actor: { name: signalActor(issuer), requestId: crypto.randomUUID() },
      baseUrl: '',
      publish: async (subject) => {
        await begin(this.publish(subject));
        return true;
      },
      publishPending: () => begin(this.drain()),
      publishSoon: () => this.publishSoon(),
      noteRefusal: () => undefined,
    };
  }

  /** The object runs on one thread, yet lets the next call in while this one waits for D1: so a queue of promises. */
  #inLine<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#tokens.then(work);
    this.#tokens = turn.catch(() => undefined); // a failed turn must not block the queue
    return turn;
  }

  /**
   * One write at a time per user, and one that waits. Further requests share the one that waits, which writes the newest
   * state of them all. So fifty changes in ten seconds are ten writes, and the last state wins.
   */
  #publishInLine(userId: string, wanted: Wanted): Promise<void> {
    const waiting = this.#waiting.get(userId);
    if (waiting !== undefined) {
      waiting.wanted = both(waiting.wanted, wanted);
      return waiting.done;
    }
    const turn: Turn = { wanted, done: Promise.resolve() };
    this.#waiting.set(userId, turn);
    turn.done = this.#takeTurn(userId, turn);
    return turn.done;
  }

  async #takeTurn(userId: string, turn: Turn): Promise<void> {
    await this.#running.get(userId)?.catch(() => undefined); // its own caller is told of its failure
    const pause = (this.#writtenAt.get(userId) ?? Number.NEGATIVE_INFINITY) + keyWrites.interval - performance.now();
    if (pause > 0 && !this.#isWritten(turn.wanted)) await new Promise((resolve) => setTimeout(resolve, pause));
    this.#running.set(userId, turn.done);
    this.#waiting.delete(userId);
    try {
      await this.#publishNow(userId, turn.wanted);
    } finally {
      this.#running.delete(userId);
    }
  }

  async #publishNow(userId: string, { told, isForced }: Wanted): Promise<void> {
    const { highest } = this.#written;
    const isNews = told !== undefined && this.#written.isNews(told);
    const isKnown = isNews || this.#isWritten({ told, isForced });
    const publication = told && isKnown ? told : await readPublication(this.#db, this.#orgId, userId);
    if (isNews || isForced || !this.#holds(publication)) {
      // What D1 was asked includes everything up to the highest number, whichever rows are left.
      await this.#write(publication, isNews ? publication.through : Math.max(publication.through, highest));
    }
    this.#settlement.add(userId, publication.through);
  }

  async #write(publication: Publication, order: number): Promise<void> {
    const { userId } = publication;
    const { key, value, options } = this.#flagWriteOf(publication);
    this.#written.begin(userId, order);
    this.#remember(userId);
    try {
      // Acknowledged is written: to read it back would ask this place's cache.
      await this.env.REVOCATIONS.put(key, value, options);
      this.#written.end(userId, textOf({ value, options }));
    } finally {
      this.#remember(userId);
    }
  }

  #flagWriteOf = (publication: Publication) => flagWriteOf(this.#orgId, publication, settings(this.env).sessionMaxAge);

  /** Whether KV holds the flag of this state. */
  #holds(publication: Publication): boolean {
    return this.#written.holds(publication, textOf(this.#flagWriteOf(publication)));
  }

  /** Whether this was published already: it is a repetition. */
  #isWritten({ told, isForced }: Wanted): boolean {
    return told !== undefined && !isForced && this.#holds(told);
  }

  /**
   * When each key was written last, for a second: the map must not grow with the org. Writes that failed count, for KV may
   * have counted them; and the clock is one that is never set back, which would be waited for.
   */
  #remember(userId: string): void {
    const now = performance.now();
    this.#writtenAt.set(userId, now);
    if (this.#writtenAt.size > 1_000) {
      for (const [id, at] of this.#writtenAt) if (at + keyWrites.interval < now) this.#writtenAt.delete(id);
    }
  }

  async #retryLater(): Promise<void> {
    const delay = Math.min(RETRY_FIRST * 2 ** this.#failures++, RETRY_LONGEST);
    await this.#wakeAt(Date.now() + delay);
  }

  async #wakeAt(at: number): Promise<void> {
    const planned = await this.ctx.storage.getAlarm();
    if (planned === null || planned > at) await this.ctx.storage.setAlarm(at);
  }
}

/** The newest state that either was told; where one was told nothing, D1 is read. */
function both(a: Wanted, b: Wanted): Wanted {
  const isForced = a.isForced || b.isForced;
  if (a.told === undefined || b.told === undefined) return { told: undefined, isForced };
  return { told: a.told.through >= b.told.through ? a.told : b.told, isForced };
}

/** A flag with its end, to compare. */
const textOf = ({ value, options }: Pick<FlagWrite, 'value' | 'options'>) => `${value} ${options.expirationTtl ?? ''}`;
