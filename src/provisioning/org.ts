/** One org for one request: its store, who acts, and the way to its sessions. */
import type { Actor } from '../events';
import type { Types } from '../scim/schema/types';
import type { Reason } from '../store/credentials/refusals';
import { FEW } from '../store/journal/end-sessions';
import type { Publication } from '../store/journal/outbox';
import type { OrgStore } from '../store/org/open';
import type { Registered } from '../store/org/profile';

export interface Org {
  readonly store: OrgStore;
  readonly actor: Actor;
  /** The base address of SCIM that the client used, without a slash at the end. */
  readonly baseUrl: string;
  /**
   * Publishes what is true of a user's sessions now. Never throws: the change is committed, and its intent to publish
   * with it, so the client must hear of the change and the retry is not its business.
   *
   * @param subject the state as the batch of the change committed it; or an id, whose state the coordinator reads from D1.
   * @returns whether it has been published.
   */
  publish(subject: string | Publication): Promise<boolean>;
  /** The same of whoever waits for it: as many as a request can wait for, the others after it. */
  publishPending(): Promise<void>;
  /** The same, of however many: it is begun, and goes on after the answer. */
  publishSoon(): Promise<void>;
  /** The id of a resource that the request makes; absent: a random one. */
  readonly newId?: string;
  /** Counts a request that a policy of the org has refused, for its administrator. */
  noteRefusal(reason: Reason): void;
  /**
   * To be asked before a search. Absent: searches are not limited, as in the admin API.
   *
   * @param cost in units (store/directory/filter-cost.ts).
   * @throws ScimError 429 when there were too many.
   */
  limitSearches?(cost: number): Promise<void>;
}

/** @param subjects users whose sessions have been ended, or their states; more than FEW stand for many. */
export async function publishAll(org: Org, subjects: readonly (string | Publication)[]): Promise<void> {
  if (subjects.length > FEW) await org.publishPending();
  else await Promise.all(subjects.map((subject) => org.publish(subject)));
}

/** An org whose profile is known, to a store that makes sure of it (schemas.ts). */
export interface TypedOrg extends Org {
  readonly types: Types;
  /** Its own, in the order in which they were added. */
  readonly schemas: readonly Registered[];
}
