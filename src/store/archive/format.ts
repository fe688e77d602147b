/**
 * An org as lines of a file (docs/export-import.md): what kinds there are, in the order in which they stand, and what each
 * carries. Types only, but for that order. Instants are epoch milliseconds; null: there is none.
 */
import type { Json, JsonObject } from '../../scim/resource';
import type { OrgSettings } from '../org/settings';

/** Of the format. A reader refuses a version that it does not know. */
export const VERSION = 1;

/** Between the first line, which is of the org, and the last one, which counts the others. */
export const KINDS = [
  'schema',
  'user',
  'group',
  'members',
  'oauthClient',
  'grant',
  'credential',
  'assertion',
  'refusal',
  'held',
  'brakeCount',
  'event',
] as const;
export type Kind = (typeof KINDS)[number];

/** What its hash or its id ties to the org it was made for: a copy beside the original does without. */
export const OF_CREDENTIALS: ReadonlySet<Kind> = new Set(['oauthClient', 'grant', 'credential', 'assertion']);

export type Counts = Partial<Record<Kind, number>>;

export interface OrgLine {
  readonly kind: 'org';
  readonly v: typeof VERSION;
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly settings: OrgSettings;
  readonly scimEnabled: boolean;
  readonly disabledAt: number | null;
  readonly notBefore: number | null;
  readonly createdAt: number;
  readonly exportedAt: number;
  readonly withoutCredentials: boolean;
}

export interface EndLine {
  readonly kind: 'end';
  readonly counts: Counts;
  /** The number of the latest event. */
  readonly eventSeq: number;
  readonly prunedThrough: number;
  /** Something was changed between the first page and the last one: the lines are not of one moment. */
  readonly changedMeanwhile: boolean;
}

interface Kept {
  readonly id: string;
  readonly version: number;
  readonly createdAt: number;
  readonly modifiedAt: number;
  readonly resource: JsonObject;
}

export interface UserLine extends Kept {
  readonly kind: 'user';
  readonly active: boolean;
  readonly notBefore: number | null;
  readonly deletedAt: number | null;
  readonly erasedAt: number | null;
  readonly origin: 'idp' | 'host';
  readonly linkedAt: number | null;
  readonly protected: boolean;
}

export interface GroupLine extends Kept {
  readonly kind: 'group';
  readonly permissions: readonly string[];
}

/** Some of the direct members of one group, all of one type. */
export interface MembersLine {
  readonly kind: 'members';
  readonly group: string;
  readonly type: 'User' | 'Group';
  readonly ids: readonly string[];
}

export interface SchemaLine {
  readonly kind: 'schema';
  readonly resourceType: 'User' | 'Group';
  readonly addedAt: number;
  readonly schema: JsonObject;
}

export interface EventLine {
  readonly kind: 'event';
  readonly seq: number;
  readonly at: number;
  readonly type: string;
  readonly actor: string;
  readonly credential: string | null;
  readonly target: string | null;
  readonly requestId: string;
  readonly publishes: boolean;
  readonly details: JsonObject;
}

/** Rows as they are: columns of their table under the names of `PLAIN`. */
export interface PlainLine {
  readonly kind: PlainKind;
  readonly [member: string]: Json;
}

export type Line = SchemaLine | UserLine | GroupLine | MembersLine | EventLine | PlainLine;

/** Kinds whose lines are the rows of one table, column by column: nothing of them is made anew. */
export const PLAIN = {
  oauthClient: {
    table: 'oauth_clients',
    columns: {
      id: 'id',
      name: 'name',
      redirectUris: 'redirect_uris',
      assertion: 'assertion',
      createdAt: 'created_at',
      createdBy: 'created_by',
    },
  },
  grant: {
    table: 'grants',
    columns: {
      id: 'id',
      clientId: 'client_id',
      codeHash: 'code_hash',
      codeValidUntil: 'code_valid_until',
      redirectUri: 'redirect_uri',
      challenge: 'challenge',
      approvedAt: 'approved_at',
      approvedBy: 'approved_by',
      redeemedAt: 'redeemed_at',
      revokedAt: 'revoked_at',
      reviewAt: 'review_at',
    },
  },
  credential: {
    table: 'credentials',
    columns: {
      id: 'id',
      type: 'kind',
      subject: 'subject',
      hash: 'hash',
      mask: 'mask',
      generation: 'generation',
      createdAt: 'created_at',
      createdBy: 'created_by',
      validUntil: 'valid_until',
      currentSince: 'current_since',
      currentBy: 'current_by',
      replacedAt: 'replaced_at',
      replacedBy: 'replaced_by',
      graceUntil: 'grace_until',
      retireOnUse: 'retire_on_use',
      revokedAt: 'revoked_at',
      revokedBy: 'revoked_by',
      lastUsedAt: 'last_used_at',
      lastUsedClient: 'last_used_client',
      lastUsedAddress: 'last_used_address',
      warnedDays: 'warned_days',
      grantId: 'grant_id',
    },
  },
  assertion: { table: 'assertions', columns: { hash: 'hash', validUntil: 'valid_until' } },
  refusal: {
    table: 'refusals',
    columns: {
      day: 'day',
      reason: 'reason',
      hint: 'hint',
      credentialId: 'credential_id',
      client: 'client',
      address: 'address',
      count: 'count',
      firstAt: 'first_at',
      lastAt: 'last_at',
    },
  },
  held: {
    table: 'brake_held',
    columns: {
      user: 'user_id',
      operation: 'operation',
      since: 'since',
      lastAt: 'last_at',
      attempts: 'attempts',
      rejectedUntil: 'rejected_until',
      rejectedBy: 'rejected_by',
    },
  },
  brakeCount: { table: 'brake_counts', columns: { at: 'at', count: 'count' } },
} as const satisfies Partial<Record<Kind, { table: string; columns: Record<string, string> }>>;

export type PlainKind = keyof typeof PLAIN;

/** Columns that hold JSON, and stand in a line as what it is. */
export const JSON_COLUMNS: ReadonlySet<string> = new Set(['redirect_uris', 'assertion']);
