/**
 * Polls one org's streams (RFC 8936, docs/signals.md). An event is acknowledged after its commit. What a crash leaves
 * unacknowledged, the transmitter sends again, and it acts once.
 *
 * One request at a time: a transmitter that hangs delays the other streams of its org by ten seconds, and nothing else.
 */
import { Unreadable } from '../credentials/sealed-secret';
import { EVENT, readSignal, type SignalFault, verifySignal } from '../credentials/signal-token';
import type { Org } from '../provisioning/org';
import { noteFailedPoll, notePoll, type PolledSource, readPolledSources } from '../store/credentials/polled-sources';
import { countRefusals } from '../store/credentials/refusals';
import { SourceGone } from '../store/credentials/signal-sources';
import { type Databases, located } from '../store/d1/databases';
import type { Ordered } from './carry-out';
import type { Taken } from './inbox';
import { MAX_EVENTS, type Page, poll, type SetError, type Settled } from './poll';
import { Malformed, receiveEvents } from './receive-events';
import { type AccessToken, accessTokenOf, openCredentials } from './transmitter-credentials';

/** Milliseconds between two polls of a stream that has nothing. */
export const INTERVAL = 10_000;
/** Events in one go, of all streams; the alarm goes on. A page takes two queries, or a hundred where D1 counts statements. */
const EVENTS_PER_RUN = 100;
const FIRST_PAUSE = 5_000;
const LONGEST_PAUSE = 300_000;
const TRIES_OF_KEY = 5;
/** Milliseconds after which the cron reminds of a stream, and how long before that it is written down anew. */
const REMIND_AFTER = 300_000;
const RENEW_BEFORE = 120_000;

/** What polling needs of the object that does it. */
export interface Holder {
  readonly orgId: string;
  readonly databases: Databases;
  /** WEBHOOK_KEY, and the one before it. */
  readonly keys: readonly string[];
  readonly allowsLoopback: boolean;
  /** For one event of this issuer. */
  orgFor(issuer: string): Org;
  /** Carries it out, with others of the same page (inbox.ts). */
  take(signal: Ordered): Promise<Taken>;
  /** Keeps the object alive for this work, which never fails. */
  later(work: Promise<void>): void;
  /** To call `pump` again then; epoch milliseconds. */
  wakeAt(at: number): Promise<void>;
  /** Nothing is polled any more. */
  rest(): void;
}

/** What became of a stream's poll. */
interface Polled {
  readonly handled: number;
  /** Epoch milliseconds. */
  readonly nextAt: number;
}

export class Polls {
  #isRunning = false;
  #isAskedAgain = false;
  #isUrgent = false;
  /** When each stream is polled next, as far as this object remembers. */
  readonly #nextAt = new Map<string, number>();
  /** By what they were got with. */
  readonly #tokens = new Map<string, AccessToken>();
  /** Events of an unknown key. */
  readonly #tries = new Map<string, number>();
  /** Streams that are asked for one event at a time, for their answer was too large. */
  readonly #few = new Set<string>();

  constructor(private readonly holder: () => Holder) {}

  /** Polls what is due, and what waits for nothing but the pause between two polls. */
  pumpNow(): void {
    this.#nextAt.clear();
    this.#isUrgent = this.#isRunning; // the run under way may have begun with what is not so any more
    this.pump();
  }

  /** Polls what is due. Neither waits for anything nor fails. */
  pump(): void {
    if (this.#isRunning) {
      this.#isAskedAgain = true;
      return;
    }
    this.#isRunning = true;
    this.holder().later(this.#run());
  }

  async #run(): Promise<void> {
    const { orgId, databases, wakeAt, rest } = this.holder();
    let next: number | undefined;
    try {
      const sources = await readPolledSources(databases, orgId);
      if (sources.length === 0) {
        if (!this.#isAskedAgain) rest(); // a stream may have been added since they were read
        return;
      }
      await wakeAt(Date.now() + INTERVAL); // where a crash ends this run, the alarm begins the next one
      let room = EVENTS_PER_RUN;
      for (const source of sources.toSorted((a, b) => this.#dueAt(a) - this.#dueAt(b))) {
        if (this.#dueAt(source) > Date.now()) continue;
        if (room <= 0) break;
        const { handled, nextAt } = await this.#pollOne(source, room);
        this.#nextAt.set(source.id, nextAt);
        room -= handled;
      }
      next = Math.min(...sources.map((source) => this.#nextAt.get(source.id) ?? this.#dueAt(source)));
    } catch (error) {
      console.error(JSON.stringify({ message: 'streams of signals could not be polled', error: String(error) }));
      next = Date.now() + FIRST_PAUSE;
    } finally {
      this.#isRunning = false;
      // In a further invocation: one may make 1,000 queries.
      if (this.#isAskedAgain) next = Date.now();
      this.#isAskedAgain = false;
      if (this.#isUrgent) this.#nextAt.clear();
      this.#isUrgent = false;
      if (next !== undefined) await wakeAt(Math.max(next, Date.now()));
    }
  }

  #dueAt = ({ id, poll: { failures, dueAt } }: PolledSource): number =>
    Math.max(this.#nextAt.get(id) ?? 0, failures > 0 ? dueAt : 0);

  /** @param room events at most. */
  async #pollOne(source: PolledSource, room: number): Promise<Polled> {
    const notes = new Map<string, number>();
    const done = new Set<string>();
    let settled: Settled = { acks: [], errors: {} };
    let undone: string | undefined;
    try {
      for (;;) {
        const most = undone === undefined ? Math.min(room - done.size, this.#few.has(source.id) ? 1 : MAX_EVENTS) : 0;
        const page = await this.#ask(source, settled, most);
        if (!page.ok) {
          if (page.status === 200) this.#few.add(source.id);
          return await this.#failed(source, done.size, page.error, page.pause);
        }
        if (undone !== undefined) return await this.#failed(source, done.size, undone);
        if (most === 0) return await this.#answered(source, done.size, Date.now());
        if (page.sets.size === 0) {
          this.#few.delete(source.id);
          return await this.#answered(source, done.size, Date.now() + INTERVAL);
        }
        const fresh = [...page.sets].filter(([id]) => !done.has(id));
        if (fresh.length === 0) return await this.#failed(source, done.size, 'it sends what was acknowledged again');
        ({ settled, undone } = await this.#receiveAll(source, fresh, notes));
        for (const [id] of fresh) done.add(id);
      }
    } finally {
      await this.#tell(source, notes);
    }
  }

  /** With a new access token where the one that is remembered is not good any more. */
  async #ask(source: PolledSource, settled: Settled, most: number): Promise<Page> {
    const { keys, allowsLoopback } = this.holder();
    const { url, credentials: sealed } = source.poll;
    const name = `${source.id} ${sealed}`;
    for (let isSecond = false; ; isSecond = true) {
      let token = this.#tokens.get(name);
      const isRemembered = token !== undefined && (token.goodUntil ?? Number.POSITIVE_INFINITY) > Date.now();
      if (!isRemembered) {
        const got = await this.#tokenFor(keys, source, allowsLoopback);
        if ('fault' in got) return { ok: false, status: 0, error: got.fault, pause: 0 };
        token = got;
        this.#tokens.set(name, got);
      }
      const page = await poll(url, token!.token, settled, most, allowsLoopback);
      if (page.ok || page.status !== 401) return page;
      this.#tokens.delete(name);
      if (!isRemembered || isSecond) return page;
    }
  }

  async #tokenFor(keys: readonly string[], { id, poll: { credentials } }: PolledSource, allowsLoopback: boolean) {
    try {
      return await accessTokenOf(await openCredentials(keys, id, credentials), allowsLoopback);
    } catch (error) {
      if (error instanceof Unreadable) return { fault: error.message };
      throw error;
    }
  }

  /** @returns what the transmitter is told of them, and why some are left for the next time. */
  async #receiveAll(
    source: PolledSource,
    sets: readonly (readonly [string, string])[],
    notes: Map<string, number>,
  ): Promise<{ settled: Settled; undone: string | undefined }> {
    const acks: string[] = [];
    const errors: Record<string, SetError> = Object.create(null); // the ids are the transmitter's: one may be __proto__
    let undone: string | undefined;
    const work = async ([id, text]: readonly [string, string]) => {
      const became = await this.#receive(source, text, (hint) => notes.set(hint, (notes.get(hint) ?? 0) + 1));
      if (became === 'done') acks.push(id);
      else if (typeof became === 'object') errors[id] = became;
      else undone = became;
    };
    await Promise.all(sets.map(work));
    return { settled: { acks, errors }, undone };
  }

  /** @returns `done`: committed. A text: why it has to come again. */
  async #receive(
    source: PolledSource,
    text: string,
    note: (hint: string) => void,
  ): Promise<'done' | SetError | string> {
    const { allowsLoopback, orgFor, take } = this.holder();
    const now = Date.now();
    const refused = (fault: SignalFault) => {
      note(fault);
      if (fault === 'unavailable' || fault === 'jwks') return 'the keys of the issuer could not be fetched';
      return fault === 'key' && this.#mayTryAgain(source, text) ? 'the key of an event is not known' : errorOf(fault);
    };
    try {
      const read = readSignal(text, EVENT, now);
      if (!read.ok) return refused(read.fault);
      if (read.issuer !== source.issuer) return refused('issuer');
      const { issuer, jwksUrl, audience = '' } = source;
      const verified = await verifySignal(text, EVENT, { issuer, jwksUrl, audience, now, allowsLoopback });
      if (!verified.ok) return refused(verified.fault);
      const { claims, once } = verified;
      await receiveEvents({ source, org: orgFor(issuer), claims, once, issuedAt: read.issuedAt }, note, take);
      return 'done';
    } catch (error) {
      if (error instanceof Malformed) return { err: error.err, description: error.message };
      if (error instanceof SourceGone) return error.message;
      console.error(JSON.stringify({ message: 'a polled event could not be carried out yet', error: String(error) }));
      return 'an event could not be carried out yet';
    }
  }

  /** A new key may not be known here yet, for unknown keys are fetched every half a minute at most. */
  #mayTryAgain({ id }: PolledSource, text: string): boolean {
    const name = `${id} ${text.slice(-64)}`;
    const tries = (this.#tries.get(name) ?? 0) + 1;
    this.#tries.set(name, tries);
    if (this.#tries.size > 1_000) this.#tries.clear();
    return tries < TRIES_OF_KEY;
  }

  async #answered(source: PolledSource, handled: number, nextAt: number): Promise<Polled> {
    const { orgId, databases } = this.holder();
    const { failures, dueAt } = source.poll;
    const now = Date.now();
    if (failures > 0 || dueAt < now + RENEW_BEFORE) {
      await notePoll(databases, orgId, source, now, now + REMIND_AFTER);
    }
    return { handled, nextAt };
  }

  async #failed(source: PolledSource, handled: number, error: string, asked = 0): Promise<Polled> {
    const { orgId, databases } = this.holder();
    const now = Date.now();
    const { failures: before, failingSince } = source.poll;
    const failures = handled > 0 ? 1 : before + 1;
    const longest = Math.min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE);
    const until = now + Math.max(Math.min(asked, LONGEST_PAUSE), longest * (0.5 + Math.random() / 2));
    await noteFailedPoll(databases, orgId, source, {
      failures,
      since: failingSince ?? now,
      error,
      until: Math.ceil(until),
    });
    return { handled, nextAt: until };
  }

  /** Counts for the org's administrator what came to nothing. */
  async #tell({ id: credentialId }: PolledSource, notes: ReadonlyMap<string, number>): Promise<void> {
    if (notes.size === 0) return;
    const { orgId, databases } = this.holder();
    const now = Date.now();
    const where = { orgId, slug: '', reason: 'signal' as const, credentialId, client: '', address: '' };
    await countRefusals(
      await located(databases, orgId),
      [...notes].map(([hint, count]) => ({ ...where, hint, count, firstAt: now, lastAt: now })),
    );
  }
}

/** RFC 8935 §2.4. The transmitter has proved itself, so it is told what is wrong. */
function errorOf(fault: SignalFault): SetError {
  switch (fault) {
    case 'issuer':
      return { err: 'invalid_issuer', description: 'The token is of another issuer' };
    case 'audience':
      return { err: 'invalid_audience', description: 'The token is not for this receiver' };
    case 'key':
    case 'jwks':
      return { err: 'invalid_key', description: 'The key of the token is not published, or is too weak' };
    case 'signature':
      return { err: 'authentication_failed', description: 'The signature of the token is wrong' };
    default:
      return { err: 'invalid_request', description: `The token cannot be accepted: ${fault}` };
  }
}
