/**
 * Where each table's rows are when orgs are in several databases. A table with rows of orgs has them where the org is. Each other
 * table is named here (test/store/places.test.ts finds one that is forgotten).
 */

/** `DB` alone has rows in these: they are asked there, so that nothing can diverge. */
export const ONLY_IN_MAIN = ['catalogue', 'moves', 'host_tokens', 'signal_receiver_tokens', 'signing_keys'] as const;

/** Of each database its own. */
export const OF_EACH_DATABASE = [
  ...['shards', 'frozen_orgs', 'moved_orgs', 'deleted_orgs', 'removals', 'outbox'],
] as readonly string[];

/** A table that belongs to no org and whose rows each database needs, for its triggers and joins. `DB` decides. */
export interface Copied {
  readonly table: string;
  /** Its primary key among the rows that are copied. */
  readonly key: string;
  /** Which rows are copied. */
  readonly where: string;
  /** Columns that each database keeps for itself, and what a copy begins with where the column has no default. */
  readonly own: Readonly<Record<string, string | undefined>>;
}

export const COPIED: readonly Copied[] = [
  { table: 'webhooks', key: 'id', where: "org_id = ''", own: {} },
  // Secrets are checked in `DB` alone.
  {
    table: 'signal_receivers',
    key: 'id',
    where: 'true',
    own: { hash: "''", previous_hash: undefined, previous_until: undefined },
  },
  {
    table: 'signal_streams',
    key: 'id',
    where: 'true',
    own: {
      ...{ control: undefined, control_due_at: undefined, verification_at: undefined, verified_at: undefined },
      ...{ refused: undefined, last_refusal: undefined },
    },
  },
];
