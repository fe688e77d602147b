/** Keeps an application's database equal to the directory of one org. */

import { clockOf } from '../sessions/client/clock.ts';
import { expectOptions, type OptionNames } from '../sessions/client/options.ts';
import { messageOf, warner } from '../sessions/client/warner.ts';
import type { Changes, DirectorySource, MirroredGroup, MirroredUser, Removed } from './directory.ts';
import { Refused } from './directory.ts';
import { type Difference, differences } from './reconcile.ts';
import { type MirrorStore, parseState, type State, stateText } from './store.ts';

export interface MirrorOptions {
  readonly source: DirectorySource;
  readonly store: MirrorStore;
  /**
   * Told of each failure, for the application's log: the source, the store, or a second mirror. What it throws is dropped. Without
   * it, console.error says the failure, at most once a minute.
   */
  readonly onError?: (error: unknown) => void;
  /** Ends the mirror after the page that it is at. */
  readonly signal?: AbortSignal;
}

export interface FollowOptions extends MirrorOptions {
  /** Milliseconds between two looks without a poke; 10,000 unless told. */
  readonly interval?: number;
  /** Milliseconds: after a failure it waits for a random part of base × 2ⁿ, at most max; 1,000 and 60,000 unless told. */
  readonly backoff?: { readonly base: number; readonly max: number };
}

export interface Mirror {
  /** The database is equal to the directory for the first time. Rejects when the mirror is ended before. */
  readonly ready: Promise<void>;
  /** The signal has ended the mirror. Never rejects. */
  readonly done: Promise<void>;
  /** Something may have changed (a webhook has come): look now. */
  poke(): void;
  /**
   * Compares the whole database with the directory, between two pages of the mirror.
   *
   * @param options `repair`: and makes it equal. @throws whatever source and store throw.
   */
  reconcile(options?: { readonly repair?: boolean }): Promise<Difference[]>;
}

/** As Promise.withResolvers, which Node 20 does not have. */
function newReady() {
  let [resolve, reject]: [() => void, (reason: unknown) => void] = [() => undefined, () => undefined];
  const promise = new Promise<void>((resolved, rejected) => {
    [resolve, reject] = [resolved, rejected];
  });
  return { promise, resolve, reject };
}

/**
 * Fills the database and follows the directory until the signal ends it. It may be killed at any moment: the next one goes
 * on after what was saved last, so that each change is applied at least once, and in order for each user. Whatever fails is
 * tried again. Run one for each org and database.
 */
export function mirror(options: FollowOptions): Mirror {
  expectOptions('mirror', options, OPTIONS);
  const { source, signal, interval = 10_000, backoff = { base: 1_000, max: 60_000 } } = options;
  const tell = teller(options);
  const follower = new Follower(options, tell);
  const ready = newReady();
  ready.promise.catch(() => undefined); // nobody need ask
  let wake: () => void = () => undefined;
  let isPoked = false;
  const poke = () => {
    isPoked = true;
    wake();
  };
  /** @returns when poked, ended, or after so many milliseconds. */
  const pause = (milliseconds: number, isHasty: boolean) =>
    new Promise<void>((resolve) => {
      if (signal?.aborted || (isHasty && isPoked)) return resolve();
      const end = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, milliseconds);
      signal?.addEventListener('abort', end);
      wake = isHasty ? end : () => undefined;
    });
  const run = async () => {
    let failures = 0;
    let stop: (() => unknown) | undefined;
    while (!signal?.aborted) {
      isPoked = false;
      try {
        const seq = await follower.catchUp(signal);
        failures = 0;
        if (!signal?.aborted) {
          ready.resolve();
          stop ??= source.listen?.(poke, seq);
        }
        await pause(interval, true);
      } catch (error) {
        tell(error);
        await pause(Math.random() * Math.min(backoff.max, backoff.base * 2 ** failures++), false);
      }
    }
    await stop?.();
  };
  const done = run()
    .catch(tell)
    .then(() => ready.reject(signal?.reason ?? new Error('the mirror was ended')));
  return { ready: ready.promise, done, poke, reconcile: (more) => follower.reconcile(more?.repair === true) };
}

/**
 * Fills the database, or makes up for what has changed, and is done: for a Worker, whose isolates come and go.
 *
 * @throws whatever source and store throw; to call it again goes on after what was saved.
 */
export async function catchUp(options: MirrorOptions): Promise<void> {
  expectOptions('catchUp', options, OPTIONS);
  await new Follower(options, teller(options)).catchUp(options.signal);
}

/** The same comparison for an application that uses `catchUp`; no mirror may run on the database meanwhile. */
export async function reconcile(options: MirrorOptions & { readonly repair?: boolean }): Promise<Difference[]> {
  const { repair, ...more } = options;
  expectOptions('reconcile', more, OPTIONS);
  return new Follower(more, teller(more)).reconcile(repair === true);
}

/** `catchUp` and `reconcile` take those of `mirror`, too, so that an application may keep one object of options. */
const OPTIONS: OptionNames<FollowOptions> = {
  ...{ source: true, store: true, onError: true, signal: true, interval: true, backoff: true },
};

function teller({ onError }: MirrorOptions): (error: unknown) => void {
  const warn = warner('scim-worker/mirror', clockOf({}));
  return (error) => {
    try {
      if (onError) onError(error);
      else warn(messageOf(error), '');
    } catch {
      // A failing log must not end the mirror.
    }
  };
}

const isRemoved = (entry: object): entry is Removed => 'removed' in entry;

class Follower {
  readonly #source: DirectorySource;
  readonly #store: MirrorStore;
  readonly #tell: (error: unknown) => void;
  /** What this one saved last, as text. */
  #saved: string | undefined;
  /** The ids of the lists, if this one has read all of their pages. */
  #seen: { readonly groups: Set<string>; readonly users: Set<string> } | undefined;
  /** One at a time: a comparison must not fall into a page. */
  #last: Promise<unknown> = Promise.resolve();

  constructor({ source, store }: MirrorOptions, tell: (error: unknown) => void) {
    this.#source = source;
    this.#store = store;
    this.#tell = tell;
  }

  /** @returns the event up to which the database is equal to the directory. */
  async catchUp(signal: AbortSignal | undefined): Promise<number> {
    for (;;) {
      const { isDone, seq } = await this.#inTurn(() => this.#step());
      if (isDone || signal?.aborted) return seq;
    }
  }

  reconcile(repair: boolean): Promise<Difference[]> {
    return this.#inTurn(async () => {
      const state = parseState(await this.#store.loadCursor());
      const found = await differences(this.#source, this.#store, state?.is === 'following' ? state.after : undefined);
      if (repair) for (const { repair } of found) await repair();
      return found.map(({ repair: _, ...difference }) => difference);
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** One page, and what is saved after it. */
  async #step(): Promise<{ isDone: boolean; seq: number }> {
    const loaded = (await this.#store.loadCursor()) ?? undefined;
    if (this.#saved !== undefined && loaded !== this.#saved) {
      this.#seen = undefined;
      this.#tell(new Error('another mirror writes to this database: its changes are applied again'));
    }
    const state = lower(parseState(loaded), loaded === this.#saved ? undefined : parseState(this.#saved));
    const { next, isDone } =
      state?.is === 'following' ? await this.#follow(state) : await this.#fill(state ?? (await this.#begin(true)));
    // Who else has saved meanwhile may have written what was read before this page: it is read again.
    const now = (await this.#store.loadCursor()) ?? undefined;
    const saved = stateText((now === loaded ? undefined : lower(parseState(now), next)) ?? next);
    await this.#store.saveCursor(saved, now);
    this.#saved = saved;
    return { isDone: isDone && now === loaded, seq: next.seq };
  }

  /** The lists are read from the beginning, and then what has changed since. */
  async #begin(isFirst = false): Promise<Extract<State, { is: 'filling' }>> {
    const { org, asOfSeq } = await this.#source.groups(null);
    this.#seen = { groups: new Set(), users: new Set() };
    return { is: 'filling', org: org.id, seq: asOfSeq, list: 'groups', cursor: null, isFirst };
  }

  async #fill(state: Extract<State, { is: 'filling' }>): Promise<{ next: State; isDone: boolean }> {
    if (state.list === 'sweep') {
      await this.#sweep(state.isFirst);
      this.#seen = undefined;
      return { next: { is: 'following', org: state.org, seq: state.seq, after: String(state.seq) }, isDone: false };
    }
    let page: Awaited<ReturnType<DirectorySource['users']>> | Awaited<ReturnType<DirectorySource['groups']>>;
    try {
      page = state.list === 'groups' ? await this.#source.groups(state.cursor) : await this.#source.users(state.cursor);
    } catch (error) {
      if (state.cursor === null || !isOfCursor(error)) throw error;
      return { next: await this.#begin(), isDone: false };
    }
    // An org of the same name is another one: what was kept of the first is not there any more.
    if (page.org.id !== state.org) return { next: await this.#begin(), isDone: false };
    for (const entry of 'users' in page ? page.users : page.groups) {
      await ('users' in page
        ? this.#store.upsertUser(entry as MirroredUser)
        : this.#store.upsertGroup(entry as MirroredGroup));
      this.#seen?.[state.list].add(entry.id);
    }
    const list = page.cursor !== null ? state.list : state.list === 'groups' ? 'users' : 'sweep';
    return { next: { ...state, list, cursor: page.cursor }, isDone: false };
  }

  async #follow(state: Extract<State, { is: 'following' }>): Promise<{ next: State; isDone: boolean }> {
    let changes: Changes;
    try {
      changes = await this.#source.changes(state.after);
    } catch (error) {
      if (!isOfCursor(error)) throw error;
      return { next: await this.#begin(), isDone: false };
    }
    if (changes.resync || changes.org.id !== state.org) return { next: await this.#begin(), isDone: false };
    for (const group of changes.groups) if (!isRemoved(group)) await this.#store.upsertGroup(group);
    for (const user of changes.users) {
      if (isRemoved(user)) await this.#store.removeUser(user.id);
      else await this.#store.upsertUser(user);
    }
    for (const group of changes.groups) if (isRemoved(group)) await this.#store.removeGroup(group.id);
    const seq = changes.more ? state.seq : changes.asOfSeq;
    return { next: { ...state, seq, after: changes.next }, isDone: !changes.more };
  }

  /** What is in the database and not in the directory goes. Who came since is in no list yet, nor in the database. */
  async #sweep(isFirst: boolean): Promise<void> {
    const { users, groups } = this.#store;
    if (!users || !groups) {
      // A database that nothing was saved in was empty.
      if (!isFirst) this.#tell(new Error('the store cannot list what it has: what was deleted meanwhile stays'));
      return;
    }
    const seen = this.#seen ?? (await this.#idsOfLists());
    for (const id of await idsOf(users.call(this.#store))) if (!seen.users.has(id)) await this.#store.removeUser(id);
    for (const id of await idsOf(groups.call(this.#store))) if (!seen.groups.has(id)) await this.#store.removeGroup(id);
  }

  async #idsOfLists() {
    const seen = { groups: new Set<string>(), users: new Set<string>() };
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await this.#source.groups(cursor ?? null);
      for (const { id } of page.groups) seen.groups.add(id);
      cursor = page.cursor;
    }
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await this.#source.users(cursor ?? null);
      for (const { id } of page.users) seen.users.add(id);
      cursor = page.cursor;
    }
    return seen;
  }
}

/** The one that has less in the database: nothing is missed. */
function lower(a: State | undefined, b: State | undefined): State | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  if (a.org !== b.org || a.is !== b.is) return a.is === 'filling' ? a : b;
  return a.seq <= b.seq ? a : b;
}

/** The cursor is of another org, another database or another format. */
const isOfCursor = (error: unknown) => error instanceof Refused && /^invalid(?:Value|Cursor)$/.test(error.code);

async function idsOf(rows: Iterable<{ id: string }> | AsyncIterable<{ id: string }>): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of rows) ids.push(id);
  return ids;
}
