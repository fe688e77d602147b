/** One org for one request: its store, who acts, and the way to its sessions. */
import type { Actor } from '../events';
import type { Gathering } from '../store/gather';
import type { OrgStore } from '../store/open';

export interface Org {
  readonly store: OrgStore;
  /** Stores of the same org for operations that share their round trips (store/gather.ts). */
  gather(count: number, mayWrite: (turn: number) => boolean): Gathering;
  readonly actor: Actor;
  /** Of the SCIM door that the client used, without a slash at the end. */
  readonly baseUrl: string;
  /**
   * Publishes what is true of a user's sessions now. Never throws: the change is committed, and its intent to publish
   * with it, so the client must hear of the change and the retry is not its business.
   */
  publish(userId: string): Promise<void>;
}
