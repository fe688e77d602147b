/**
 * Outbox rows whose publication has reached KV. They are removed after the answer, many in one batch. If the object ends before
 * that, the cron finds the rows and publishes the same state again.
 */

/** Milliseconds from the first publication to the batch, so that those of a burst share it. */
const SETTLE_DELAY = 200;
/** Subjects in one batch. */
const MAX_SETTLED = 1_000;

export class Settlement {
  readonly #published = new Map<string, number>();
  #turn: Promise<void> = Promise.resolve();
  #isPlanned = false;

  /**
   * @param settle removes the rows of these subjects, up to the number given with each.
   * @param later keeps the object alive for this work, which never fails.
   * @param tryLater called when a batch has failed; `flush` is to be called again.
   */
  constructor(
    private readonly settle: (published: ReadonlyMap<string, number>) => Promise<void>,
    private readonly later: (work: Promise<void>) => void,
    private readonly tryLater: () => Promise<void>,
  ) {}

  /** Returns at once. @param through the latest outbox row that the flag includes. */
  add(userId: string, through: number): void {
    if (through === 0) return;
    this.#published.set(userId, Math.max(through, this.#published.get(userId) ?? 0));
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    this.later(this.#flushSoon());
  }

  /** @throws whatever D1 throws; the rows stay then, and are tried again with the next ones. */
  flush(): Promise<void> {
    this.#turn = this.#turn.catch(() => undefined).then(() => this.#flushAll());
    return this.#turn;
  }

  async #flushSoon(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, SETTLE_DELAY));
    this.#isPlanned = false;
    await this.flushNow();
  }

  /** The same, and never fails: it is tried again later. */
  async flushNow(): Promise<void> {
    try {
      await this.flush();
    } catch (error) {
      console.error(JSON.stringify({ message: 'outbox rows could not be settled yet', error: String(error) }));
      await this.tryLater();
    }
  }

  async #flushAll(): Promise<void> {
    while (this.#published.size > 0) {
      const chunk = new Map([...this.#published].slice(0, MAX_SETTLED));
      for (const userId of chunk.keys()) this.#published.delete(userId);
      try {
        await this.settle(chunk);
      } catch (error) {
        for (const [userId, through] of chunk)
          this.#published.set(userId, Math.max(through, this.#published.get(userId) ?? 0));
        throw error;
      }
    }
  }
}
