/** Users that a stream leaves out, because its receiver has removed them (SSF 1.0 §8.1.3). */
import { type SQL, sql } from 'drizzle-orm';
import { addressKey, calledBy, storedForms } from '../../scim/address';
import { foldCase } from '../../scim/fold';
import type { Resource } from '../../scim/resource';
import { runBatch, Unmet } from '../d1/batch';
import { eachDatabase, isSpread } from '../d1/databases';
import { expect } from '../d1/expect';
import type { Row } from '../d1/rows';
import { hasAddress } from '../directory/sign-in';
import { selectSubjectIssuer } from './signal-names';
import type { ReceiverStore } from './signal-streams';

/** Users of one stream that it leaves out. */
export const MAX_EXCLUSIONS = 10_000;

/** How a user is found: by one of these. */
export interface Wanted {
  readonly id?: string;
  readonly externalId?: string;
  /** An address, or a userName that is one. */
  readonly email?: string;
  /** What the identity provider with this issuer calls the user. */
  readonly named?: { readonly issuer: string; readonly sub: string };
  /** Of the org, or its slug; absent: of any org of the receiver. */
  readonly org?: string | undefined;
}

/** If more than these share a name in the orgs of one receiver, it is not acted on. */
export const MAX_FOUND = 100;

/**
 * Leaves a user out of the stream, or takes them in again.
 *
 * @returns false: the receiver is of all orgs, and the org has to be said.
 * @throws Unmet `signal_stream`; `found`: there is nobody like that in its orgs; `few`: more than MAX_FOUND share the name;
 *   `signal_streams`: it leaves out as many as it may.
 */
export async function includeSubject(
  store: ReceiverStore,
  streamId: string,
  wanted: Wanted,
  isIncluded: boolean,
): Promise<boolean> {
  const isIts = sql`EXISTS (SELECT 1 FROM signal_streams WHERE id = ${streamId} AND receiver_id = ${store.receiver})`;
  const isAll = sql`(SELECT all_orgs FROM signal_receivers WHERE id = ${store.receiver})`;
  const isSplit = isSpread(store.databases);
  const [heads, here] = await store.read(
    sql`SELECT ${isIts} AS its, ${wanted.org === undefined ? isAll : sql`0`} AS is_all`,
    isSplit ? sql`SELECT 1 WHERE false` : selectWanted(store.receiver, streamId, wanted),
  );
  const { its, is_all } = heads![0] as { its: number; is_all: number };
  if (its === 1 && is_all === 1) return false;
  if (its !== 1) throw new Unmet('signal_stream');
  if (!isSplit) {
    if (here!.length > MAX_FOUND) throw new Unmet('few');
    const users = usersIn(here!, wanted);
    if (users.length === 0) throw new Unmet('found');
    await store.write(expect('signal_stream', isIts), ...change(streamId, users, isIncluded));
    return true;
  }
  // Where there are several databases, `DB` alone knows the token, and has just checked it.
  const found = await eachDatabase(store.databases, async (db) => {
    const [rows] = await runBatch(db, [selectWanted(sql`${store.caller.id}`, streamId, wanted)]);
    if (rows!.length > MAX_FOUND) return Number.POSITIVE_INFINITY;
    const users = usersIn(rows!, wanted);
    if (users.length > 0) await runBatch(db, change(streamId, users, isIncluded));
    return users.length;
  });
  if (found.includes(Number.POSITIVE_INFINITY)) throw new Unmet('few');
  if (!found.some((users) => users > 0)) throw new Unmet('found');
  return true;
}

/** An org, and the id of one of its users. */
type User = readonly [string, string];

function change(streamId: string, users: readonly User[], isIncluded: boolean): SQL[] {
  const listed = sql`SELECT value ->> 0 AS org_id, value ->> 1 AS user_id FROM json_each(${JSON.stringify(users)})`;
  if (isIncluded)
    return [sql`DELETE FROM signal_exclusions WHERE stream_id = ${streamId} AND (org_id, user_id) IN (${listed})`];
  const hasRoom = sql`(SELECT count(*) FROM signal_exclusions WHERE stream_id = ${streamId}) < CAST(${MAX_EXCLUSIONS} AS INTEGER)`;
  return [
    expect('signal_streams', hasRoom),
    // Only of lines that are there: with them the exclusions go.
    sql`INSERT OR IGNORE INTO signal_exclusions (org_id, stream_id, user_id) SELECT it.org_id, ${streamId}, it.user_id
      FROM (${listed}) AS it CROSS JOIN signal_lines AS l ON l.org_id = it.org_id AND l.stream_id = ${streamId}`,
  ];
}

/** Candidates: addresses are stored in a form that others share (`usersIn`). @param receiver its id. */
function selectWanted(receiver: SQL, streamId: string, { org, ...wanted }: Wanted): SQL {
  // Of a receiver of all orgs only one org is looked into: it costs no more where there are more orgs.
  const orgs =
    org === undefined
      ? sql`SELECT org_id AS id FROM signal_receiver_orgs WHERE receiver_id = ${receiver}`
      : sql`SELECT o.id FROM orgs AS o WHERE o.id = ifnull((SELECT id FROM orgs WHERE id = ${org}), (SELECT id FROM orgs WHERE slug = ${org}))
          AND EXISTS (SELECT 1 FROM signal_lines AS l WHERE l.org_id = o.id AND l.stream_id = ${streamId})`;
  const resource = wanted.email === undefined && wanted.named === undefined ? sql`NULL` : sql`u.resource`;
  return sql`SELECT u.org_id, u.id, ${attributeOf(wanted)} AS attribute, ${resource} AS resource FROM (${orgs}) AS o
    CROSS JOIN users AS u ON u.org_id = o.id AND ${isWanted(wanted)} LIMIT CAST(${MAX_FOUND + 1} AS INTEGER)`;
}

/** Which attribute is looked at, of the org `o`: NULL where the issuer is not known to it. */
const attributeOf = ({ named, email }: Wanted): SQL =>
  named === undefined
    ? sql`${email === undefined ? null : 'email'}`
    : sql`(SELECT subject FROM (${selectSubjectIssuer(sql`o.id`)}) WHERE rtrim(issuer, '/') = ${named.issuer.replace(/\/+$/, '')})`;

/** Of the user `u`. */
function isWanted({ id, externalId, email, named }: Wanted): SQL {
  if (id !== undefined) return sql`u.id = ${id}`;
  if (externalId !== undefined) return sql`u.external_id = ${externalId} AND u.deleted_at IS NULL`;
  const name = email ?? named?.sub ?? '';
  const forms = storedForms(name).map((form) => sql`${form}`);
  const live = sql`SELECT seq FROM users WHERE org_id = o.id AND deleted_at IS NULL`;
  const byName = sql`${live} AND user_name_key = ${foldCase(name)}`;
  const byAddress = sql`SELECT user_seq FROM user_emails WHERE org_id = o.id AND value_key IN (${sql.join(forms, sql`, `)})`;
  const seqs =
    named === undefined
      ? sql`${byAddress} UNION ALL ${byName}`
      : sql`${byAddress} UNION ALL ${byName} UNION ALL ${live} AND external_id = ${name}`;
  return sql`u.seq IN (${seqs})`;
}

/**
 * The users of one org that have this name. An address means the users that events name by it. If there are none, it means the users
 * that have it as a further address. So a receiver that removes one user keeps the events of another.
 */
function usersIn(rows: readonly Row[], { email, named }: Wanted): User[] {
  const users = rows.map((row) => ({
    user: [row['org_id'] as string, row['id'] as string] as const,
    attribute: row['attribute'],
    resource: row['resource'] === null ? undefined : (JSON.parse(row['resource'] as string) as Resource),
  }));
  const name = email ?? named?.sub;
  if (name === undefined) return users.map(({ user }) => user);
  const key = addressKey(name);
  const meant = users.filter(({ attribute, resource = {} }) => {
    const userName = resource['userName'] as string;
    if (attribute === 'externalId') return resource['externalId'] === name;
    if (attribute === 'userName') return foldCase(userName) === foldCase(name);
    return attribute === 'email' && (hasAddress(resource, name) || addressKey(userName) === key);
  });
  const isCalled = ({ attribute, resource }: (typeof meant)[number]) =>
    attribute === 'email' && addressKey(calledBy(resource!) ?? '') === key;
  const called = new Set(meant.filter(isCalled).map(({ user: [org] }) => org));
  return meant.filter((one) => isCalled(one) || !called.has(one.user[0])).map(({ user }) => user);
}
