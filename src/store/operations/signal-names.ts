/** What users were called when something happened, as far as the journal tells, and what their identity provider calls them. */
import { type SQL, sql } from 'drizzle-orm';
import type { Changed } from '../../events';
import type { SignalSource } from '../credentials/signal-sources';
import type { Row } from '../d1/rows';
import type { OrgStore } from '../org/open';

/** An event that changed what a user is called. Absent: unchanged by it. */
export interface NameChange {
  readonly seq: number;
  readonly userName?: Changed;
  readonly emails?: Changed;
  readonly externalId?: Changed;
}

/** Events that are looked through. Beyond them, users are called as they are now. */
const MAX_LATER = 2_000;

/** @param since by the id of a user: from which event on. */
export const selectNameChanges = (store: OrgStore, since: ReadonlyMap<string, number>): SQL => sql`
  SELECT id, seq, user_name, emails, external_id FROM (
    SELECT id, seq, details -> '$.changed.userName' AS user_name, details -> '$.changed.emails' AS emails,
      details -> '$.changed.externalId' AS external_id
    FROM (SELECT e.target_id AS id, e.seq, e.details FROM json_each(${JSON.stringify(Object.fromEntries(since))}) AS it
      CROSS JOIN events AS e ON e.org_id = ${store.org} AND e.target_id = it.key AND e.seq >= it.value LIMIT ${MAX_LATER}))
  WHERE user_name IS NOT NULL OR emails IS NOT NULL OR external_id IS NOT NULL ORDER BY seq`;

/** By the id of the user, in the order of the events. @param rows what `selectNameChanges` has found. */
export function nameChangesIn(rows: readonly Row[]): ReadonlyMap<string, readonly NameChange[]> {
  const found = new Map<string, NameChange[]>();
  for (const row of rows) {
    const changed = (name: string, column: string) =>
      row[column] === null ? {} : { [name]: JSON.parse(row[column] as string) as Changed };
    const change: NameChange = {
      seq: row['seq'] as number,
      ...changed('userName', 'user_name'),
      ...changed('emails', 'emails'),
      ...changed('externalId', 'external_id'),
    };
    const id = row['id'] as string;
    found.set(id, [...(found.get(id) ?? []), change]);
  }
  return found;
}

/** The identity provider of an org, as far as a source of signals tells: its issuer, and which attribute its `sub` is. */
export type SubjectIssuer = Pick<SignalSource, 'issuer' | 'subject'>;

/** The source of Universal Logout, or else the oldest. @param org an expression for the id of the org. */
export const selectSubjectIssuer = (org: SQL): SQL => sql`SELECT issuer, subject FROM signal_sources
  WHERE org_id = ${org} ORDER BY type = 'ssf', created_at, id LIMIT 1`;

/** @param rows what `selectSubjectIssuer` has found. */
export const subjectIssuerIn = (rows: readonly Row[]): SubjectIssuer | undefined =>
  rows[0] as unknown as SubjectIssuer | undefined;
