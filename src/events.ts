/** The names of the events we record, and what each carries. Types only. */
import type { Json } from './scim/resource';

export type EventType =
  | 'org.created'
  | 'org.changed'
  | 'org.disabled'
  | 'org.enabled'
  | 'org.signed_out'
  | 'org.exported'
  | 'org.imported'
  /** To another database (operator/move.ts). */
  | `org.${'move_started' | 'moved' | 'move_cancelled'}`
  | 'scim.enabled'
  | 'scim.disabled'
  | CredentialEvent
  | `signals.${'added' | 'paused' | 'resumed' | 'removed'}`
  | ReceiverEvent
  | GrantEvent
  | ClientEvent
  | 'user.created'
  | 'user.updated'
  | 'user.deactivated'
  | 'user.reactivated'
  | 'user.deleted'
  | 'user.restored'
  | 'user.signed_out'
  /** A signal named the user, and nothing follows from it here. */
  | 'user.signal_received'
  | PeopleEvent
  | PortalEvent
  | 'brake.held'
  | 'brake.rejected'
  | 'brake.withdrawn'
  | 'group.created'
  | 'group.updated'
  | 'group.deleted'
  | 'group.permissions'
  | 'schema.added'
  | 'schema.changed'
  | 'schema.removed'
  /** The last values of it are gone, where they were too many for one batch. */
  | 'schema.cleared'
  | WebhookEvent
  /** A change has taken the active users to nine tenths of the plan's seats. */
  | 'seats.warning';

/**
 * Of accounts that the application had already: brought in by an import, and taken over by the identity provider (`linked`).
 * Of those that the vendor protects, and what was refused for it. Of personal data that was removed.
 */
export type PeopleEvent =
  `user.${'imported' | 'linked' | 'erased' | 'protected' | 'unprotected' | 'deactivation_refused' | 'deletion_refused' | 'change_refused'}`;

/** Of the portal: links for the customer's administrator, and domains that were proved by a TXT record. */
export type PortalEvent =
  | `portal.${'link_created' | 'link_opened' | 'link_revoked'}`
  | `domain.${'added' | 'verified' | 'lost' | 'removed'}`;

/** `cancelled`, `completed` and `retired` (by the use of the new one) are ends of a rotation's grace. */
export type CredentialEvent =
  `${'token' | 'basic' | 'client'}.${'issued' | 'rotated' | 'cancelled' | 'completed' | 'retired' | 'revoked' | 'expiring'}`;

/** Of OAuth clients and what they are given: an access token, given back (RFC 7009) before its time. */
export type ClientEvent = `client.${'created' | 'deleted' | 'given' | 'returned'}`;

/** Of endpoints that the org's events are posted to; `failing` and `gone` are why the service itself disables one. */
export type WebhookEvent = `webhook.${'added' | 'removed' | 'rotated' | 'disabled' | 'enabled' | 'replayed'}`;

/** Of programs that receive signals of the org, and of what they are sent (docs/signals-out.md). */
export type ReceiverEvent =
  | `signals.receiver_${'added' | 'changed' | 'removed' | 'rotated' | 'disabled' | 'enabled'}`
  | `signals.stream_${'created' | 'changed' | 'deleted' | 'paused'}`;

/**
 * Of an authorization code grant: the operator made an approval code; a person approved the client with it; the client
 * redeemed its code, refreshed its tokens, or used again what is good once, which ended them all.
 */
export type GrantEvent = 'approval.issued' | `client.${'approved' | 'redeemed' | 'refreshed' | 'reused'}`;

/** What happened, as it goes into the journal beside the change itself. */
export interface EventDraft {
  readonly type: EventType;
  readonly targetId?: string;
  readonly details: Details;
  /** Whether the target (without one: anybody of the org) may be signed in has changed: hosts are to hear of it. */
  readonly publishes?: boolean;
}

export interface Details {
  /** Attributes whose value changed, by their names: `emails`, `name.givenName`. */
  readonly changed?: Record<string, Changed>;
  /** Attributes that changed, and whose values were too much for an event, with how many bytes they were. */
  readonly leftOut?: Record<string, number>;
  /** Where the client's message had to be read against the RFC's letter (scim/quirks.ts). */
  readonly quirks?: readonly string[];
  /** By a PUT. */
  readonly replaced?: boolean;
  readonly [more: string]: unknown;
}

/** The value before and after; null stands for unassigned. Of a large list what is there now that was not, and the reverse. */
export type Changed =
  | { readonly before: Json; readonly after: Json }
  | { readonly added: readonly Json[]; readonly removed: readonly Json[] };

/** Who did it. The credential itself is noted by the store. */
export interface Actor {
  /** `idp`, `client:` and the id of an OAuth client, `admin:` and the label that the operator gave, `signal:` and the
   * issuer of a signal, `receiver:` and the name of a receiver of signals, or `service`: the cron. */
  readonly name: string;
  readonly requestId: string;
  /** User-Agent, cut: tells one IdP's client from another's. */
  readonly client?: string;
  /** Quirks of the request around its body: its path, its headers (scim/quirks.ts). */
  readonly quirks?: readonly string[];
}
