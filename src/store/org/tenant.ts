/** The org and the credential that a batch has found: rows of D1 and what they become. */
import { sql } from 'drizzle-orm';
import { type EndCause, endCauseIn } from '../../end-cause';
import type { Row } from '../d1/batch';
import type { OrgSettings } from './settings';

/** The org that the caller turned out to be of. Instants are epoch milliseconds. */
export interface Tenant {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly isScimEnabled: boolean;
  /** Since when the vendor has it switched off. */
  readonly disabledAt: number | undefined;
  readonly settings: OrgSettings;
  readonly userCount: number;
  readonly activeUserCount: number;
  readonly groupCount: number;
  /** Bytes, about. */
  readonly storedBytes: number;
  /** Its import is not finished. */
  readonly isImporting: boolean;
  readonly notBefore: number | undefined;
  /** Why everybody's sessions until then are over. */
  readonly endedBy: EndCause | undefined;
  readonly createdAt: number;
}

/** What the IdP presented, when it turned out to be good. Instants are epoch milliseconds. */
export interface Presented {
  readonly id: string;
  readonly kind: string;
  /** The OAuth client that it is of, or empty. */
  readonly subject: string;
  readonly lastUsedAt: number | undefined;
  /** A successor took its place then: it is in its grace. */
  readonly replacedAt: number | undefined;
  /** Its use ends the grace of its predecessor. */
  readonly retiresPredecessor: boolean;
}

export const PRESENTED = sql.raw(`, credentials.id AS credential_id, credentials.kind AS credential_kind,
  credentials.subject AS credential_subject,
  credentials.last_used_at AS credential_used_at, credentials.replaced_at AS credential_replaced_at,
  credentials.retire_on_use AS credential_retires`);

export const presentedOf = (row: Row): Presented => ({
  id: row['credential_id'] as string,
  kind: row['credential_kind'] as string,
  subject: row['credential_subject'] as string,
  lastUsedAt: (row['credential_used_at'] as number | null) ?? undefined,
  replacedAt: (row['credential_replaced_at'] as number | null) ?? undefined,
  retiresPredecessor: row['credential_retires'] === 1,
});

/** Of a row of `orgs`. */
export const tenantOf = (row: Row): Tenant => ({
  slug: row['slug'] as string,
  name: row['name'] as string,
  isScimEnabled: row['scim_enabled'] === 1,
  disabledAt: (row['disabled_at'] as number | null) ?? undefined,
  settings: JSON.parse(row['settings'] as string) as OrgSettings,
  createdAt: row['created_at'] as number,
  ...countsOf(row),
});

/** What moves without the profile. */
export const FOUND =
  sql.raw(`orgs.id, orgs.revision, orgs.user_count, orgs.active_user_count, orgs.group_count, orgs.stored_bytes, orgs.not_before, orgs.ended_by,
  orgs.importing IS NOT NULL AS importing`);

export const countsOf = (row: Row) => ({
  id: row['id'] as string,
  userCount: row['user_count'] as number,
  activeUserCount: row['active_user_count'] as number,
  groupCount: row['group_count'] as number,
  storedBytes: row['stored_bytes'] as number,
  isImporting: row['importing'] !== null && row['importing'] !== 0,
  notBefore: (row['not_before'] as number | null) ?? undefined,
  endedBy: endCauseIn(row['ended_by']),
});
