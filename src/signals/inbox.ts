/**
 * Signals of one org that wait until they are carried out: one batch at a time, and what waits of one source together. So however
 * many come at once, other orgs find the database as free as beside one signal. Those of a source keep their order. The sources take
 * turns: one that floods the org delays the others by a batch.
 */
import { ScimError } from '../scim/error';
import { SourceGone } from '../store/credentials/signal-sources';
import { Busy, Unmet } from '../store/d1/batch';
import type { Publication } from '../store/journal/outbox';
import type { OrgStore } from '../store/org/open';
import { carryOut, type Done, isPlain, isUsed, type Ordered } from './carry-out';

/** Signals that wait: they take a few seconds. Further ones are to come again. */
export const MAX_WAITING = 1_000;
/** Of one source: there is always room for another one. */
export const MAX_OF_SOURCE = 900;
/** Seconds. */
const COME_AGAIN = 2;
/** Signals in one batch. It takes a few statements for all, and two small look-ups for most. */
const TOGETHER = 25;
/** Look-ups in one batch, unless one signal alone has more: one that names many people by many aliases has 200. */
const LOOKUPS = 100;
/** Milliseconds for which KV is waited for: what it has not acknowledged by then, the outbox goes on with. */
const PATIENCE = 10_000;

/** What became of a signal that was taken. */
export type Taken =
  | (Done & {
      /** Committed; KV has the flags, too, or, false, does not answer. */
      readonly published: Promise<boolean>;
    })
  /** The source, or its org, was removed or paused meanwhile. */
  | { readonly became: 'gone' }
  /** Not carried out. `wait`: seconds until it is to come again. `isFull`: too many wait. */
  | { readonly became: 'busy'; readonly isFull: boolean; readonly wait: number };

/** What it needs of the object that holds it. */
export interface Holder {
  store(): OrgStore;
  publish(publication: Publication): Promise<boolean>;
  /** Keeps the object alive for this work, which never fails. */
  later(work: Promise<void>): void;
}

interface Waiting {
  readonly signal: Ordered;
  resolve(taken: Taken): void;
  reject(error: unknown): void;
}

export class Inbox {
  /** By the id of their source. The first is the next one. */
  readonly #waiting = new Map<string, Waiting[]>();
  #count = 0;
  #isRunning = false;

  constructor(private readonly holder: Holder) {}

  /** @throws what the database throws, where it is not known whether the signal was carried out. It acts once if it is repeated. */
  take(signal: Ordered): Promise<Taken> {
    const { id } = signal.source;
    const queue = this.#waiting.get(id) ?? [];
    if (this.#count >= MAX_WAITING || queue.length >= MAX_OF_SOURCE) {
      return Promise.resolve({ became: 'busy', isFull: true, wait: COME_AGAIN });
    }
    return new Promise((resolve, reject) => {
      this.#count++;
      queue.push({ signal, resolve, reject });
      this.#waiting.set(id, queue);
      if (this.#isRunning) return;
      this.#isRunning = true;
      this.holder.later(this.#run());
    });
  }

  async #run(): Promise<void> {
    for (const [id, queue] of this.#waiting) {
      const together = nextOf(queue);
      this.#count -= together.length;
      this.#waiting.delete(id);
      if (queue.length > 0) this.#waiting.set(id, queue); // behind the others: this loop comes to it again
      await this.#carryOut(together);
    }
    this.#isRunning = false;
  }

  async #carryOut(together: readonly Waiting[]): Promise<void> {
    try {
      const { done, publications } = await carryOut(
        this.holder.store(),
        together.map(({ signal }) => signal),
      );
      const published = new Map(publications.map((one) => [one.userId, this.holder.publish(one).catch(() => false)]));
      for (const [i, { resolve }] of together.entries()) {
        const its = done[i]!.userIds.flatMap((id) => published.get(id) ?? []);
        resolve({ ...done[i]!, published: within(PATIENCE, Promise.all(its)) });
      }
    } catch (error) {
      // One of them was carried out by another way. Which one, each alone finds out.
      if (isUsed(error) && together.length > 1) for (const one of together) await this.#carryOut([one]);
      else for (const one of together) settle(one, error);
    }
  }
}

/** Takes the first one, with what may share its batch. */
function nextOf(queue: Waiting[]): Waiting[] {
  const first = queue.shift()!;
  const together = [first];
  let lookups = lookupsOf(first.signal);
  while (isPlain(first.signal) && together.length < TOGETHER) {
    const { signal } = queue[0] ?? {};
    if (!signal || !isPlain(signal) || signal.actor.client !== first.signal.actor.client) break;
    lookups += lookupsOf(signal);
    if (lookups > LOOKUPS) break;
    together.push(queue.shift()!);
  }
  return together;
}

const lookupsOf = ({ acts }: Ordered): number => acts.reduce((sum, { lookups }) => sum + lookups.length, 0);

function settle({ resolve, reject }: Waiting, error: unknown): void {
  if (isUsed(error)) {
    resolve({ became: 'used', hints: [], userIds: [], published: Promise.resolve(true) });
  } else if (isGone(error)) resolve({ became: 'gone' });
  else if (error instanceof Busy) resolve({ became: 'busy', isFull: false, wait: error.retryAfter });
  else reject(error);
}

/** The source, or its org, was removed meanwhile, or the source was paused. */
export const isGone = (error: unknown): boolean =>
  error instanceof SourceGone ||
  (error instanceof Unmet && error.expectation === 'signal_source') ||
  (error instanceof ScimError && error.status === 404);

/** Whether all of it was true in time. */
async function within(milliseconds: number, work: Promise<readonly boolean[]>): Promise<boolean> {
  let timer: number | null = null;
  const patience = new Promise<readonly boolean[]>((resolve) => {
    timer = setTimeout(() => resolve([false]), milliseconds);
  });
  try {
    return (await Promise.race([work, patience])).every((one) => one);
  } finally {
    clearTimeout(timer);
  }
}
