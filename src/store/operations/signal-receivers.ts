/**
 * Who receives our signals, as operators see them: added, listed, switched, removed. A receiver is of no org, so every database
 * has it, with what it says for the orgs there.
 */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor, ReceiverEvent } from '../../events';
import { runBatch } from '../d1/batch';
import { allDatabases, type Databases } from '../d1/databases';
import { expect } from '../d1/expect';
import { orAbsent, type Row } from '../d1/rows';
import { recordInOrgs } from '../journal/record';

export const MAX_RECEIVERS = 50;
/** Access tokens of one receiver that are good at a time: the oldest make room. */
const MAX_TOKENS = 20;

export type Algorithm = 'RS256' | 'ES256';

/** Instants are epoch milliseconds. */
export interface SignalReceiver {
  /** The client id. */
  readonly id: string;
  readonly name: string;
  /** The slugs of the orgs that it is limited to, as far as they are there; undefined: every org. */
  readonly orgs: readonly string[] | undefined;
  /** The `aud` of what it is sent. */
  readonly audience: string;
  readonly algorithm: Algorithm;
  readonly mask: string;
  readonly previousUntil: number | undefined;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly disabledAt: number | undefined;
}

export type NewReceiver = Pick<SignalReceiver, 'id' | 'name' | 'audience' | 'algorithm' | 'createdBy'> & NewSecret;

interface NewSecret {
  readonly hash: string;
  readonly mask: string;
}

const receiverOf = (row: Row): SignalReceiver => ({
  id: row['id'] as string,
  name: row['name'] as string,
  orgs: row['all_orgs'] === 1 ? undefined : (JSON.parse(row['slugs'] as string) as string[]),
  audience: row['audience'] as string,
  algorithm: row['algorithm'] as Algorithm,
  mask: row['mask'] as string,
  previousUntil: orAbsent(row['previous_until'] as number | null),
  createdAt: row['created_at'] as number,
  createdBy: row['created_by'] as string,
  disabledAt: orAbsent(row['disabled_at'] as number | null),
});

const SELECT = sql`SELECT r.*, (SELECT json_group_array(slug) FROM (SELECT slug FROM orgs WHERE id IN
  (SELECT org_id FROM signal_receiver_orgs WHERE receiver_id = r.id) ORDER BY slug)) AS slugs FROM signal_receivers AS r`;

/** The orgs that it is limited to: a query for their `id`s. Of one of all orgs there are none. */
export const orgsOfReceiver = (id: string | SQL): SQL =>
  sql`SELECT org_id AS id FROM signal_receiver_orgs WHERE receiver_id = ${id}`;

/** @returns the rows of the first database. */
async function everywhere(databases: Databases, statements: readonly SQL[]): Promise<Row[][]> {
  let first: Row[][] | undefined;
  for (const db of allDatabases(databases)) {
    const results = await runBatch(db, statements);
    first ??= results;
  }
  return first!;
}

/** By name. */
export async function listReceivers(databases: Databases): Promise<SignalReceiver[]> {
  const [rows] = await runBatch(allDatabases(databases)[0]!, [
    sql`${SELECT} ORDER BY r.name LIMIT CAST(${MAX_RECEIVERS} AS INTEGER)`,
  ]);
  return rows!.map(receiverOf);
}

export async function findReceiver(databases: Databases, name: string): Promise<SignalReceiver | undefined> {
  const [rows] = await runBatch(allDatabases(databases)[0]!, [sql`${SELECT} WHERE r.name = ${name}`]);
  return rows![0] && receiverOf(rows![0]);
}

/**
 * @param orgs ids or slugs; undefined: every org, those to come as well.
 * @throws Taken: the name is another receiver's. Unmet `found`: there is no such org; `signal_receivers`: there are enough.
 */
export async function insertReceiver(
  databases: Databases,
  { id, name, audience, algorithm, hash, mask, createdBy }: NewReceiver,
  orgs: readonly string[] | undefined,
  actor: Actor,
  now: number,
): Promise<void> {
  const one = (column: string) => sql`(SELECT id FROM orgs WHERE ${sql.raw(column)} = it.value)`;
  const ids = sql`SELECT ifnull(${one('id')}, ${one('slug')}) AS id FROM json_each(${JSON.stringify(orgs ?? [])}) AS it`;
  await everywhere(databases, [
    expect('found', sql`NOT EXISTS (SELECT 1 FROM (${ids}) WHERE id IS NULL)`),
    expect('signal_receivers', sql`(SELECT count(*) FROM signal_receivers) < CAST(${MAX_RECEIVERS} AS INTEGER)`),
    sql`INSERT INTO signal_receivers (id, name, all_orgs, audience, algorithm, hash, mask, created_at, created_by)
      VALUES (${id}, ${name}, ${orgs ? 0 : 1}, ${audience}, ${algorithm}, ${hash}, ${mask}, ${now}, ${createdBy})`,
    sql`INSERT OR IGNORE INTO signal_receiver_orgs (org_id, receiver_id) SELECT id, ${id} FROM (${ids})`,
    ...recordInOrgs(orgsOfReceiver(id), actor, now, {
      type: 'signals.receiver_added',
      targetId: id,
      details: { by: createdBy, name },
    }),
  ]);
}

/** A change of one that is there, with its event in the orgs that it is limited to. */
async function change(
  databases: Databases,
  { id, name }: SignalReceiver,
  type: ReceiverEvent,
  actor: Actor,
  by: string,
  now: number,
  ...statements: SQL[]
): Promise<void> {
  const event = { type, targetId: id, details: { by, name } };
  await everywhere(databases, [...recordInOrgs(orgsOfReceiver(id), actor, now, event), ...statements]);
}

/** The old secret stays good until then; one that was in its grace is dead. */
export const rotateReceiver = (
  databases: Databases,
  receiver: SignalReceiver,
  { hash, mask }: NewSecret,
  until: number,
  actor: Actor,
  by: string,
  now: number,
): Promise<void> =>
  change(
    databases,
    receiver,
    'signals.receiver_rotated',
    actor,
    by,
    now,
    sql`UPDATE signal_receivers SET previous_hash = hash, previous_until = ${until}, hash = ${hash}, mask = ${mask}
      WHERE id = ${receiver.id}`,
  );

/** Switched on again, its streams go on where they were: nothing is left out, unless it is gone from the journal. */
export const switchReceiver = (
  databases: Databases,
  receiver: SignalReceiver,
  isOn: boolean,
  actor: Actor,
  by: string,
  now: number,
): Promise<void> =>
  change(
    databases,
    receiver,
    isOn ? 'signals.receiver_enabled' : 'signals.receiver_disabled',
    actor,
    by,
    now,
    isOn
      ? sql`UPDATE signal_receivers SET disabled_at = NULL WHERE id = ${receiver.id}`
      : sql`UPDATE signal_receivers SET disabled_at = ifnull(disabled_at, ${now}) WHERE id = ${receiver.id}`,
    ...(isOn ? [] : [sql`DELETE FROM signal_receiver_tokens WHERE receiver_id = ${receiver.id}`]),
  );

/** With its streams and tokens (triggers of migration 0029). */
export const removeReceiver = (
  databases: Databases,
  receiver: SignalReceiver,
  actor: Actor,
  by: string,
  now: number,
): Promise<void> =>
  change(
    databases,
    receiver,
    'signals.receiver_removed',
    actor,
    by,
    now,
    sql`DELETE FROM signal_receivers WHERE id = ${receiver.id}`,
  );

/**
 * An access token for a client that knows its secret. One round trip.
 *
 * @returns whether it does.
 */
export async function giveToken(
  databases: Databases,
  client: { readonly id: string; readonly hash: string },
  token: { readonly hash: string; readonly scopes: readonly string[]; readonly validUntil: number },
  now: number,
): Promise<boolean> {
  const isGood = sql`id = ${client.id} AND disabled_at IS NULL
    AND (hash = ${client.hash} OR (previous_hash = ${client.hash} AND previous_until > ${now}))`;
  const [found] = await everywhere(databases, [
    sql`SELECT id FROM signal_receivers WHERE ${isGood}`,
    sql`DELETE FROM signal_receiver_tokens WHERE receiver_id IN (SELECT id FROM signal_receivers WHERE ${isGood})
      AND (valid_until <= ${now} OR hash NOT IN (SELECT hash FROM signal_receiver_tokens WHERE receiver_id = ${client.id}
        ORDER BY valid_until DESC LIMIT CAST(${MAX_TOKENS - 1} AS INTEGER)))`,
    sql`INSERT INTO signal_receiver_tokens (hash, receiver_id, scopes, valid_until)
      SELECT ${token.hash}, id, ${JSON.stringify(token.scopes)}, ${token.validUntil} FROM signal_receivers WHERE ${isGood}`,
  ]);
  return found!.length > 0;
}
