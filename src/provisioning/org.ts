/** One org for one request: its store, who acts, and the way to its sessions. */
import type { Actor } from '../events';
import type { Types } from '../scim/schema/types';
import type { OrgStore, Registered } from '../store/open';

export interface Org {
  readonly store: OrgStore;
  readonly actor: Actor;
  /** Of the SCIM door that the client used, without a slash at the end. */
  readonly baseUrl: string;
  /**
   * Publishes what is true of a user's sessions now. Never throws: the change is committed, and its intent to publish
   * with it, so the client must hear of the change and the retry is not its business.
   */
  publish(userId: string): Promise<void>;
}

/** An org whose schemas are known, to a store that makes sure of it (schemas.ts). */
export interface TypedOrg extends Org {
  readonly types: Types;
  /** Its own, in the order in which they were added. */
  readonly schemas: readonly Registered[];
}
