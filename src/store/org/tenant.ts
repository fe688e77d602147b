/** The org and the credential that a batch has found: rows of D1 and what they become. */
import { sql } from 'drizzle-orm';
import { type EndCause, endCauseIn } from '../../end-cause';
import { orAbsent, type Row, rowOf, selected } from '../d1/rows';
import { orgs } from '../d1/tables';
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
  readonly validAfter: number | undefined;
  /** Why everybody's sessions until then are over; read with the whole row, as for `resolve`. */
  readonly endedBy?: EndCause | undefined;
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

const PRESENTED_COLUMNS = {
  credential_id: 'credentials.id',
  credential_kind: 'credentials.kind',
  credential_subject: 'credentials.subject',
  credential_used_at: 'credentials.last_used_at',
  credential_replaced_at: 'credentials.replaced_at',
  credential_retires: 'credentials.retire_on_use',
};

export const PRESENTED = sql.raw(
  Object.entries(PRESENTED_COLUMNS)
    .map(([name, column]) => `, ${column} AS ${name}`)
    .join(''),
);

/** Of a row with PRESENTED. */
export interface PresentedRow {
  readonly credential_id: string;
  readonly credential_kind: string;
  readonly credential_subject: string;
  readonly credential_used_at: number | null;
  readonly credential_replaced_at: number | null;
  readonly credential_retires: number;
}

/** What the first statement of a batch finds. */
export type FoundRow = Row & {
  readonly revision: number;
  /** Where it is another one than the assumed. */
  readonly profile?: string | null;
  readonly cursor_key: string;
  /** Of a host token: 1 if its scope allows the question. */
  readonly may_ask?: number;
  /** In a write, if somebody wants to know: 1 if the org's events are posted to an endpoint. */
  readonly is_followed?: number;
} & (PresentedRow | { readonly credential_id?: undefined });

export const presentedOf = (row: PresentedRow): Presented => ({
  id: row.credential_id,
  kind: row.credential_kind,
  subject: row.credential_subject,
  lastUsedAt: orAbsent(row.credential_used_at),
  replacedAt: orAbsent(row.credential_replaced_at),
  retiresPredecessor: row.credential_retires === 1,
});

const orgOf = rowOf(orgs);
const COUNTS = ['id', 'revision', 'userCount', 'activeUserCount', 'groupCount', 'storedBytes', 'validAfter'] as const;
const COUNTED = selected(orgs, ...COUNTS);

/** Of a whole row of `orgs`. */
export function tenantOf(row: Row): Tenant {
  const { slug, name, scimEnabled, disabledAt, settings, createdAt, endedBy } = orgOf(row);
  return {
    ...{ slug, name, createdAt, isScimEnabled: scimEnabled === 1, disabledAt: orAbsent(disabledAt) },
    settings: JSON.parse(settings),
    ...countsOf(row),
    endedBy: endCauseIn(endedBy),
  };
}

/** What moves without the profile. */
export const FOUND = sql`${COUNTED.sql}, orgs.importing IS NOT NULL AS importing`;

/** The same as one JSON object. @param isPresented whether with PRESENTED. */
export function foundAsJson(isPresented: boolean): string {
  const columns = {
    ...Object.fromEntries(COUNTS.map((key) => [orgs[key].name, `orgs.${orgs[key].name}`])),
    importing: 'orgs.importing IS NOT NULL',
    ...(isPresented && PRESENTED_COLUMNS),
  };
  return Object.entries(columns)
    .map(([name, column]) => `'${name}', ${column}`)
    .join(', ');
}

export function countsOf(row: Row) {
  const { revision: _, validAfter, ...counts } = COUNTED.rowOf(row);
  const { importing } = row;
  return {
    ...{ ...counts, validAfter: orAbsent(validAfter) },
    isImporting: importing !== null && importing !== 0,
  };
}
