/** The names of the events we record, and what each carries. Types only. */
import type { Json } from './scim/resource';

export type EventType =
  | 'org.created'
  | 'org.changed'
  | 'scim.enabled'
  | 'scim.disabled'
  | CredentialEvent
  | 'user.created'
  | 'user.updated'
  | 'user.deactivated'
  | 'user.reactivated'
  | 'user.deleted'
  | 'user.restored'
  | 'group.created'
  | 'group.updated'
  | 'group.deleted'
  | 'group.permissions'
  | 'schema.added'
  | 'schema.changed'
  | 'schema.removed';

/** `cancelled`, `completed` and `retired` (by the use of the new one) are ends of a rotation's grace. */
export type CredentialEvent =
  `${'token' | 'basic' | 'client'}.${'issued' | 'rotated' | 'cancelled' | 'completed' | 'retired' | 'revoked' | 'expiring'}`;

/** What happened, as it goes into the journal beside the change itself. */
export interface Happening {
  readonly type: EventType;
  readonly targetId?: string;
  /** Whether someone may be signed in has changed: hosts are told. */
  readonly publishes?: boolean;
  readonly details: Details;
}

export interface Details {
  /** Attributes whose value changed; null stands for unassigned. */
  readonly changed?: Record<string, { readonly before: Json; readonly after: Json }>;
  /** Where the client's message had to be read against the RFC's letter (scim/quirks.ts). */
  readonly bends?: readonly string[];
  readonly [more: string]: unknown;
}

/** Who did it. The credential itself is noted by the store. */
export interface Actor {
  /** `idp`, or `admin:` and the label that the operator gave. */
  readonly name: string;
  readonly requestId: string;
  /** User-Agent, cut: tells one IdP's client from another's. */
  readonly client?: string;
}
