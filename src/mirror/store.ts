/** What a mirror needs of an application's database, for one org. */
import type { MirroredGroup, MirroredUser } from './directory.ts';

type Maybe<T> = T | PromiseLike<T>;

/**
 * Each method may be called again with what it was called with before, and may throw: the mirror then tries again. Groups
 * come before the users that are in them, and go after them.
 */
export interface MirrorStore {
  /** Inserts or replaces by `id`. Somebody who cannot sign in is there with `active` false. */
  upsertUser(user: MirroredUser): Maybe<unknown>;
  /** Deleted or erased in the directory. There may be no such user. */
  removeUser(id: string): Maybe<unknown>;
  upsertGroup(group: MirroredGroup): Maybe<unknown>;
  /** There may be no such group. */
  removeGroup(id: string): Maybe<unknown>;
  /** What was saved last; null or undefined: nothing yet. */
  loadCursor(): Maybe<string | null | undefined>;
  /**
   * @param cursor text of less than 3,000 characters.
   * @param before what `loadCursor` has said last. A store that writes a page as one transaction should refuse it when another
   *   cursor is there: then two mirrors on one database cannot undo each other's changes.
   */
  saveCursor(cursor: string, before: string | undefined): Maybe<unknown>;
  /**
   * All users that are there, as they were upserted; members that are not kept may be missing. Without these two lists, a
   * mirror cannot remove what was deleted while it could not follow, and there is no `reconcile`.
   */
  users?(): Iterable<MirroredRow<MirroredUser>> | AsyncIterable<MirroredRow<MirroredUser>>;
  groups?(): Iterable<MirroredRow<MirroredGroup>> | AsyncIterable<MirroredRow<MirroredGroup>>;
}

export type MirroredRow<T extends { readonly id: string }> = Partial<T> & Pick<T, 'id'>;

/** How far a mirror is, as the store keeps it. */
export type State =
  /** Reading the lists, page by page; then what has changed since `seq`. */
  | {
      readonly is: 'filling';
      readonly org: string;
      readonly seq: number;
      readonly list: 'groups' | 'users' | 'sweep';
      readonly cursor: string | null;
      /** Nothing had been saved before it began. */
      readonly isFirst: boolean;
    }
  /** Everything up to `after` is in the store. `seq`: at least up to this event. */
  | { readonly is: 'following'; readonly org: string; readonly seq: number; readonly after: string };

export const stateText = (state: State): string => JSON.stringify({ v: 1, ...state });

/** @returns undefined where nothing was saved, or nothing that a mirror of this version understands: it then begins anew. */
export function parseState(text: string | null | undefined): State | undefined {
  try {
    const state = JSON.parse(text ?? 'null') as (State & { v: number }) | null;
    const isKnown = state?.v === 1 && typeof state.org === 'string' && Number.isSafeInteger(state.seq);
    if (!isKnown) return undefined;
    const { v: _, ...rest } = state;
    return rest.is === 'filling' || (rest.is === 'following' && typeof rest.after === 'string') ? rest : undefined;
  } catch {
    return undefined;
  }
}
