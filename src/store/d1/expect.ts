/** Conditions that abort the batch they stand in: D1's batch is atomic, and has no other "if" (migrations/0001). */
import { is, SQL, sql } from 'drizzle-orm';

/** What a batch can insist on. Every write insists on the caller: its credential, and the profile it works under (org/open.ts). */
export type Expectation =
  | 'caller'
  | 'version'
  | 'found'
  | 'no_tombstone'
  | 'same_external_id'
  | 'unique_external_id'
  | 'no_token'
  | 'token'
  | 'generation'
  | 'predecessor'
  | 'no_cycle'
  | 'known_members'
  | 'default_group'
  | 'sign_out_groups'
  | 'switched'
  | 'unprotected'
  | 'scim_off'
  | 'plan'
  | 'sso'
  | 'seats'
  | 'storage'
  | 'linkable'
  | 'linking'
  | 'protected'
  | 'protected_identity'
  | 'rejected'
  | 'brake'
  | 'allowed_roles'
  | 'approval'
  | 'grant'
  | 'import_place'
  | 'import_members'
  | 'import_cycle'
  | 'removal'
  | 'sign_outs'
  | 'portal_link'
  | 'domains'
  | 'signal_source'
  | 'signal_sources'
  | 'webhooks'
  | 'webhook_line'
  | 'receiver'
  | 'signal_stream'
  | 'signal_streams'
  | 'previous_key'
  | 'signal_receivers'
  | 'signing_key'
  // Of an org among several databases (homes.ts).
  | 'slug'
  | 'here'
  | 'unmoved'
  // Of a move (operations/moves.ts).
  | 'copy'
  | 'frozen';

/** A statement that aborts the batch, or does nothing. Where it comes first in a write, the guard carries it (org/open.ts). */
export class Expected extends SQL {
  /** @param insisted in this order: each a condition with its name, or an expression as `expectNone` takes it. */
  constructor(private readonly insisted: readonly (readonly [Expectation, SQL] | SQL)[]) {
    const each = insisted.map((one) => (is(one, SQL) ? none(one) : sql`SELECT ${one[1]}, ${one[0]}`));
    super(sql`INSERT INTO expect (is_met, name) ${sql.join(each, sql` UNION ALL `)}`.queryChunks);
  }

  /** An expression: the first expectation that is not met, or NULL. */
  get why(): SQL {
    const each = this.insisted.map((one) => (is(one, SQL) ? one : sql`iif(${one[1]}, NULL, ${one[0]})`));
    return each.length === 1 ? each[0]! : sql`coalesce(${sql.join(each, sql`, `)})`;
  }
}

/** @param condition an expression that is 1 when the batch may go on. */
export const expect = (expectation: Expectation, condition: SQL): SQL => new Expected([[expectation, condition]]);

/**
 * Several in one statement.
 *
 * @param why an expression: the expectation that is not met, or NULL.
 */
export const expectNone = (why: SQL): SQL => new Expected([why]);

const none = (why: SQL): SQL => sql`SELECT why IS NULL, ifnull(why, '') FROM (SELECT ${why} AS why)`;

/** Several in one statement, in this order: each a condition with its name, or what `expectNone` takes. */
export const expectEach = (...insisted: (readonly [Expectation, SQL] | SQL)[]): SQL => new Expected(insisted);

/** The statement before this one changed exactly one row. */
export const expectOneChange = (expectation: Expectation): SQL => expect(expectation, sql.raw('changes()'));

/** To follow a condition on a row: it is at one of these versions (If-Match), as their entity-tags spell them. */
export const atOneOf = (versions: readonly string[] | undefined, version: SQL): SQL =>
  versions ? sql` AND CAST(${version} AS TEXT) IN (SELECT value FROM json_each(${JSON.stringify(versions)}))` : sql``;
