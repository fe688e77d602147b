/**
 * Which state of each subject this object has written to KV last, by the number of the outbox row (`Publication.through`). So a
 * late or repeated message never brings an older state back, and D1 need not be asked before each write.
 *
 * The numbers of single subjects are in memory. The highest one is in the object's storage before KV is written: when the
 * object has been restarted, all that it may have written before has no higher number.
 */
import type { Publication } from '../store/journal/outbox';

/** Subjects that are remembered. For more of them D1 is asked, where a message comes late. */
const MAX_SUBJECTS = 1_000;
/** The key in the object's storage. */
const HIGHEST = 'written';

interface Written {
  /** KV has no newer state of the subject than this. */
  readonly order: number;
  /** What KV holds for certain; undefined: a write is under way, or has failed and may have arrived. */
  readonly flag: string | undefined;
}

export class WrittenStates {
  readonly #subjects = new Map<string, Written>();
  /** No state of a subject that is not remembered was written with a higher number. */
  #floor: number;
  #highest: number;

  constructor(private readonly storage: Pick<SyncKvStorage, 'get' | 'put'>) {
    const stored = storage.get<number>(HIGHEST);
    // An object of an older version may have written anything.
    this.#floor = stored ?? Number.POSITIVE_INFINITY;
    this.#highest = stored ?? 0;
  }

  /** The highest number of any subject. What D1 says after this moment of a subject includes its rows up to this number. */
  get highest(): number {
    return this.#highest;
  }

  /** Whether the state is certainly newer than anything in KV. If not, D1 is to be asked. */
  isNews({ userId, through }: Publication): boolean {
    return through > (this.#subjects.get(userId)?.order ?? this.#floor);
  }

  /** Whether KV holds this flag for certain, written for this row or a later one. */
  holds({ userId, through }: Publication, flag: string): boolean {
    const written = this.#subjects.get(userId);
    return written?.flag === flag && written.order >= through;
  }

  /** To be called before the write: one that fails may have arrived. */
  begin(userId: string, order: number): void {
    if (this.#floor === Number.POSITIVE_INFINITY) this.#floor = order;
    if (order > this.#highest) {
      this.#highest = order;
      // Nothing leaves the object before its storage has this: the platform holds back the write to KV as well.
      this.storage.put(HIGHEST, order);
    }
    this.#remember(userId, { order: Math.max(order, this.#subjects.get(userId)?.order ?? 0), flag: undefined });
  }

  /** KV has acknowledged the write. */
  end(userId: string, flag: string): void {
    const written = this.#subjects.get(userId);
    if (written) this.#remember(userId, { ...written, flag });
  }

  /** Who was written longest ago is forgotten first. */
  #remember(userId: string, written: Written): void {
    this.#subjects.delete(userId);
    this.#subjects.set(userId, written);
    if (this.#subjects.size <= MAX_SUBJECTS) return;
    const [[oldest, { order }]] = this.#subjects as Iterable<[string, Written]> as [[string, Written]];
    this.#subjects.delete(oldest);
    this.#floor = Math.max(this.#floor, order);
  }
}
