/**
 * Who receives our signals, as operators see them: added, listed, switched, removed. A receiver is of no org. `DB` has it, and
 * checks its secret. Where there are several databases, the others have a copy (copies.ts), and say which of their orgs it is of.
 */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor, ReceiverEvent } from '../../events';
import { runBatch, Unmet } from '../d1/batch';
import { allDatabases, type Databases, eachDatabase, isSpread, mainDatabase } from '../d1/databases';
import { expect } from '../d1/expect';
import { list } from '../d1/incomplete';
import { orAbsent, type Row, rowOf } from '../d1/rows';
import { signalReceivers } from '../d1/tables';
import { recordInOrgs } from '../journal/record';
import { copyChanges } from './copies';

export const MAX_RECEIVERS = 50;
/** Access tokens of one receiver that are good at a time: the oldest make room. */
const MAX_TOKENS = 20;

export type Algorithm = 'RS256' | 'ES256';

/** How CAEP and RISC events name a user (RFC 9493, RFC 9967). SCIM events always have `scim`. */
export const SUBJECT_FORMATS = ['scim', 'email', 'iss_sub'] as const;
export type SubjectFormat = (typeof SUBJECT_FORMATS)[number];

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
  readonly subject: SubjectFormat;
  readonly mask: string;
  readonly previousUntil: number | undefined;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly disabledAt: number | undefined;
}

export type NewReceiver = Pick<SignalReceiver, 'id' | 'name' | 'audience' | 'algorithm' | 'subject' | 'createdBy'> &
  NewSecret;

interface NewSecret {
  readonly hash: string;
  readonly mask: string;
}

const rowOfReceiver = rowOf(signalReceivers);

function receiverOf(row: Row): SignalReceiver {
  const { allOrgs, hash: _, previousHash: __, ...receiver } = rowOfReceiver(row);
  return {
    ...receiver,
    orgs: allOrgs === 1 ? undefined : JSON.parse(row['slugs'] as string),
    previousUntil: orAbsent(receiver.previousUntil),
    disabledAt: orAbsent(receiver.disabledAt),
  };
}

const SELECT = sql`SELECT r.*, (SELECT json_group_array(slug) FROM (SELECT slug FROM orgs WHERE id IN
  (SELECT org_id FROM signal_receiver_orgs WHERE receiver_id = r.id) ORDER BY slug)) AS slugs FROM signal_receivers AS r`;

/** The orgs that it is limited to: a query for their `id`s. Of one of all orgs there are none. */
export const orgsOfReceiver = (id: string | SQL): SQL =>
  sql`SELECT org_id AS id FROM signal_receiver_orgs WHERE receiver_id = ${id}`;

/** Receivers, with the orgs of those databases that answer. */
interface ListedReceivers {
  readonly receivers: readonly SignalReceiver[];
  /** Databases whose orgs are not among them; empty where no receiver is limited to orgs. */
  readonly incomplete: readonly string[];
}

async function select(databases: Databases, which: SQL): Promise<ListedReceivers> {
  const query = sql`${SELECT} ${which}`;
  const { answers, incomplete } = await list(databases, async (db, isMain) => ({
    isMain,
    rows: (await runBatch(db, [query]))[0]!,
  }));
  const decided = answers.find(({ isMain }) => isMain)?.rows ?? (await runBatch(mainDatabase(databases), [query]))[0]!;
  const receivers = decided.map((row) => {
    const all = answers.flatMap(({ rows }) => rows.filter(({ id }) => id === row['id']).map(receiverOf));
    const receiver = receiverOf(row);
    return receiver.orgs === undefined
      ? receiver
      : { ...receiver, orgs: [...new Set(all.flatMap(({ orgs = [] }) => orgs))].sort() };
  });
  return { receivers, incomplete: receivers.some(({ orgs }) => orgs !== undefined) ? incomplete : [] };
}

/** By name. */
export const listReceivers = (databases: Databases): Promise<ListedReceivers> =>
  select(databases, sql`ORDER BY r.name LIMIT CAST(${MAX_RECEIVERS} AS INTEGER)`);

/** The one of this name, if there is one. */
export const findReceiver = (databases: Databases, name: string): Promise<ListedReceivers> =>
  select(databases, sql`WHERE r.name = ${name}`);

/**
 * @param orgs ids or slugs; undefined: every org, those to come as well.
 * @throws Taken: the name is another receiver's. Unmet `found`: there is no such org; `signal_receivers`: there are enough.
 */
export async function insertReceiver(
  databases: Databases,
  { id, name, audience, algorithm, subject, hash, mask, createdBy }: NewReceiver,
  orgs: readonly string[] | undefined,
  actor: Actor,
  now: number,
): Promise<void> {
  const all = orgs && isSpread(databases) ? await idsOf(databases, orgs) : orgs;
  const one = (column: string) => sql`(SELECT id FROM orgs WHERE ${sql.raw(column)} = it.value)`;
  const ids = sql`SELECT ifnull(${one('id')}, ${one('slug')}) AS id FROM json_each(${JSON.stringify(all ?? [])}) AS it`;
  const its = sql`INSERT OR IGNORE INTO signal_receiver_orgs (org_id, receiver_id) SELECT id, ${id} FROM (${ids}) WHERE id IS NOT NULL`;
  const noted = recordInOrgs(orgsOfReceiver(id), actor, now, {
    type: 'signals.receiver_added',
    targetId: id,
    details: { by: createdBy, name },
  });
  await runBatch(mainDatabase(databases), [
    ...(isSpread(databases) ? [] : [expect('found', sql`NOT EXISTS (SELECT 1 FROM (${ids}) WHERE id IS NULL)`)]),
    expect('signal_receivers', sql`(SELECT count(*) FROM signal_receivers) < CAST(${MAX_RECEIVERS} AS INTEGER)`),
    sql`INSERT INTO signal_receivers (id, name, all_orgs, audience, algorithm, subject, hash, mask, created_at, created_by)
      VALUES (${id}, ${name}, ${orgs ? 0 : 1}, ${audience}, ${algorithm}, ${subject}, ${hash}, ${mask}, ${now}, ${createdBy})`,
    its,
    ...noted,
  ]);
  if (!isSpread(databases)) return;
  try {
    await copyChanges(databases);
    if (orgs) await inOthers(databases, [its, ...noted]);
  } catch (error) {
    // Nobody knows its secret. The operator tries again.
    await runBatch(mainDatabase(databases), [sql`DELETE FROM signal_receivers WHERE id = ${id}`]);
    await copyChanges(databases);
    throw error;
  }
}

/** @returns the ids of these orgs, which are named by ids or slugs. @throws Unmet `found`: there is no such org. */
async function idsOf(databases: Databases, names: readonly string[]): Promise<string[]> {
  const found = await eachDatabase(databases, async (db) => {
    const [rows] = await runBatch(db, [
      sql<{ name: string; id: string; is_id: number }>`SELECT it.value AS name, orgs.id, orgs.id = it.value AS is_id
        FROM json_each(${JSON.stringify(names)}) AS it CROSS JOIN orgs ON orgs.id = it.value OR orgs.slug = it.value`,
    ]);
    return rows;
  });
  const all = found.flat();
  // An id before a slug, as in a single database.
  return names.map((name) => {
    const named = all.filter((row) => row.name === name).sort((a, b) => b.is_id - a.is_id)[0];
    if (named === undefined) throw new Unmet('found');
    return named.id;
  });
}

/** For the orgs of the other databases. */
async function inOthers(databases: Databases, statements: readonly SQL[]): Promise<void> {
  for (const db of allDatabases(databases).slice(1)) await runBatch(db, statements);
}

/**
 * After a change in `DB`: its event in the orgs of the other databases, and the change in their copies. A database that does
 * not answer lacks the event; its copy is repaired by the cron.
 */
export async function tellOthers(databases: Databases, events: readonly SQL[]): Promise<void> {
  if (!isSpread(databases)) return;
  const told = await Promise.allSettled(
    allDatabases(databases)
      .slice(1)
      .map((db) => runBatch(db, events)),
  );
  for (const one of told) {
    if (one.status === 'rejected')
      console.error(JSON.stringify({ message: 'an event is not in every database', error: String(one.reason) }));
  }
  await copyChanges(databases);
}

/** A change of one that is there, with its event in the orgs that it is limited to. */
async function change(
  databases: Databases,
  { id, name }: SignalReceiver,
  { type, ...details }: { readonly type: ReceiverEvent; readonly subject?: SubjectFormat },
  actor: Actor,
  by: string,
  now: number,
  ...statements: SQL[]
): Promise<void> {
  const event = { type, targetId: id, details: { by, name, ...details } };
  const noted = recordInOrgs(orgsOfReceiver(id), actor, now, event);
  await runBatch(mainDatabase(databases), [...noted, ...statements]);
  await tellOthers(databases, noted);
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
    { type: 'signals.receiver_rotated' },
    actor,
    by,
    now,
    sql`UPDATE signal_receivers SET previous_hash = hash, previous_until = ${until}, hash = ${hash}, mask = ${mask}
      WHERE id = ${receiver.id}`,
  );

/** All later tokens name users in this format, also tokens of earlier events. */
export const changeSubject = (
  databases: Databases,
  receiver: SignalReceiver,
  subject: SubjectFormat,
  actor: Actor,
  by: string,
  now: number,
): Promise<void> =>
  change(
    databases,
    receiver,
    { type: 'signals.receiver_changed', subject },
    actor,
    by,
    now,
    sql`UPDATE signal_receivers SET subject = ${subject} WHERE id = ${receiver.id}`,
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
    { type: isOn ? 'signals.receiver_enabled' : 'signals.receiver_disabled' },
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
    { type: 'signals.receiver_removed' },
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
  const [found] = await runBatch(mainDatabase(databases), [
    sql`SELECT id FROM signal_receivers WHERE ${isGood}`,
    sql`DELETE FROM signal_receiver_tokens WHERE receiver_id IN (SELECT id FROM signal_receivers WHERE ${isGood})
      AND (valid_until <= ${now} OR hash NOT IN (SELECT hash FROM signal_receiver_tokens WHERE receiver_id = ${client.id}
        ORDER BY valid_until DESC LIMIT CAST(${MAX_TOKENS - 1} AS INTEGER)))`,
    sql`INSERT INTO signal_receiver_tokens (hash, receiver_id, scopes, valid_until)
      SELECT ${token.hash}, id, ${JSON.stringify(token.scopes)}, ${token.validUntil} FROM signal_receivers WHERE ${isGood}`,
  ]);
  return found!.length > 0;
}
