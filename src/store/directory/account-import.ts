/**
 * Accounts that the application had before there was an identity provider: what is there of them, and a chunk of them
 * written at once. Each statement is of all of the chunk, however large it is.
 */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor, Details, EventDraft } from '../../events';
import type { ResourceType } from '../../scim/attribute';
import { foldCase } from '../../scim/fold';
import { externalIdOf } from '../../scim/identifying';
import type { Resource } from '../../scim/resource';
import { expect, expectOneChange } from '../d1/expect';
import { jsonChunks } from '../d1/json-parameters';
import { orAbsent, type Row, selected } from '../d1/rows';
import { users } from '../d1/tables';
import { endSessions } from '../journal/end-sessions';
import { publishLater } from '../journal/outbox';
import { type Also, count, record, recordBefore } from '../journal/record';
import type { OrgStore } from '../org/open';
import { IS_UNLINKED } from './linking';
import { SEATS } from './policy';
import { columnValues, type UserDraft } from './user-changes';

/** A condition on `users`, as the index `users_unlinked` has it: live, and the identity provider has not written to it. */
export const IS_LIVE_AND_UNLINKED = sql`${IS_UNLINKED} AND users.deleted_at IS NULL`;

/** By what an account is looked for. */
export interface AccountLookup {
  readonly id: string | undefined;
  /** Folded. */
  readonly userNameKey: string;
  readonly externalId: string | undefined;
}

/** An account that is there, deleted or not. Instants are epoch milliseconds. */
export interface Account {
  readonly id: string;
  readonly version: number;
  readonly createdAt: number;
  readonly modifiedAt: number;
  readonly isActive: boolean;
  readonly isProtected: boolean;
  readonly deletedAt: number | undefined;
  readonly erasedAt: number | undefined;
  /** Of one that is unlinked; of others nothing is asked. */
  readonly resource: Resource | undefined;
}

/** A deleted account that the wanted user may be. */
export interface Buried {
  readonly id: string;
  readonly userName: string;
  readonly externalId: string | null;
  readonly at: number;
}

/** What is stored about the wanted user. */
export interface Found {
  /** With the id that was asked for, else with the userName. */
  readonly account: Account | undefined;
  /** The live account with the userName, which may be written in other letters. */
  readonly named: { readonly id: string; readonly userName: string } | undefined;
  /** Deleted accounts with the userName or the externalId, the latest of them. */
  readonly buried: readonly Buried[];
  /** Where the org wants externalIds to be unique: the id of another live account with this one. */
  readonly sameExternalId: string | undefined;
}

/** Deleted accounts that are read of one name, and of one externalId. */
const MAX_BURIED = 10;

const ACCOUNT = selected(
  users,
  ...(['id', 'version', 'createdAt', 'modifiedAt', 'active', 'protected', 'deletedAt', 'erasedAt'] as const),
);

type FoundRow = Row & {
  /** null: there is no such account; then so are all of its columns. */
  readonly id: string | null;
  readonly resource: string | null;
  readonly named: string | null;
  readonly named_as: string;
  readonly buried_by_name: string;
  readonly buried_by_external_id: string;
  readonly same_external_id: string | null;
};

/** Of each that is sought, in their order. One round trip, which finds the org as well. */
export async function findAccounts(store: OrgStore, sought: readonly AccountLookup[]): Promise<Found[]> {
  const buried = (condition: SQL) => sql`(SELECT json_group_array(json_object('id', id,
      'userName', json_extract(resource, '$.userName'), 'externalId', external_id, 'at', deleted_at))
    FROM (SELECT users.id, users.resource, users.external_id, users.deleted_at FROM users
      WHERE users.org_id = ${store.org} AND users.deleted_at IS NOT NULL AND users.erased_at IS NULL AND ${condition}
      ORDER BY users.deleted_at DESC LIMIT CAST(${MAX_BURIED} AS INTEGER)))`;
  const results = await store.read(
    ...jsonChunks(sought).map(
      ({ json }) => sql<FoundRow>`SELECT ${ACCOUNT.sql}, iif(${IS_LIVE_AND_UNLINKED}, users.resource, NULL) AS resource,
          named.id AS named, named.resource ->> '$.userName' AS named_as,
          ${buried(sql`users.user_name_key = sought.value ->> 'userNameKey'`)} AS buried_by_name,
          ${buried(sql`users.external_id = sought.value ->> 'externalId'`)} AS buried_by_external_id,
          iif((SELECT settings ->> '$.uniqueExternalId' IS 1 FROM orgs WHERE id = ${store.org}), (SELECT other.id FROM users AS other
            WHERE other.org_id = ${store.org} AND other.deleted_at IS NULL AND other.external_id = sought.value ->> 'externalId'
              AND other.seq IS NOT ifnull(own.seq, named.seq) LIMIT 1), NULL) AS same_external_id
        FROM json_each(${json}) AS sought
        LEFT JOIN users AS named ON named.org_id = ${store.org} AND named.deleted_at IS NULL
          AND named.user_name_key = sought.value ->> 'userNameKey'
        LEFT JOIN users AS own ON own.org_id = ${store.org} AND own.id = sought.value ->> 'id'
        LEFT JOIN users ON users.seq = ifnull(own.seq, named.seq)
        ORDER BY sought.key`,
    ),
  );
  return results.flat().map((row) => ({
    account: row.id === null ? undefined : accountOf(row),
    named: row.named === null ? undefined : { id: row.named, userName: row.named_as },
    buried: [row.buried_by_name, row.buried_by_external_id].flatMap((list): Buried[] => JSON.parse(list)),
    sameExternalId: orAbsent(row.same_external_id),
  }));
}

function accountOf(row: FoundRow) {
  const { id, version, createdAt, modifiedAt, active, deletedAt, erasedAt, ...rest } = ACCOUNT.rowOf(row);
  return {
    ...{ id, version, createdAt, modifiedAt, isActive: active === 1, isProtected: rest.protected === 1 },
    deletedAt: orAbsent(deletedAt),
    erasedAt: orAbsent(erasedAt),
    resource: row.resource === null ? undefined : JSON.parse(row.resource),
  };
}

/** What becomes of a chunk. */
export interface Chunk {
  readonly made: readonly { readonly draft: UserDraft; readonly isProtected: boolean }[];
  /** Deleted accounts that those who are made look like, and are not. */
  readonly passedOver: readonly string[];
  readonly changed: readonly { readonly before: UserDraft; readonly draft: UserDraft }[];
  /** Of accounts that are there. */
  readonly marked: readonly { readonly id: string; readonly isProtected: boolean }[];
  readonly happenings: readonly EventDraft[];
  /** Whose sessions end. */
  readonly ended: readonly string[];
  /** Who is published, though none of their sessions end. */
  readonly published: readonly string[];
  /** How many more are active once it is written, and how many more at most while it is gone through. */
  readonly activated: number;
  readonly peak: number;
}

const listed = (ids: readonly string[]): SQL => sql`SELECT value AS id FROM json_each(${JSON.stringify(ids)})`;

/**
 * A chunk of which something is left to be written, in one round trip.
 *
 * @throws Unmet `version`, `found`, `no_tombstone`, `unique_external_id`, `seats`, and Taken: what was found is not so any more, and nothing has
 *   been written.
 */
export async function writeAccounts(store: OrgStore, type: ResourceType, chunk: Chunk, actor: Actor): Promise<void> {
  const { made, changed, marked, ended, published, activated } = chunk;
  // In the journal and in the outbox they have the same order: first those whose sessions end.
  const place = ({ targetId = '', publishes }: EventDraft) => (!publishes ? 2 : ended.includes(targetId) ? 0 : 1);
  const happenings = chunk.happenings.toSorted((a, b) => place(a) - place(b));
  const isWarned = (before: SQL, after: SQL) =>
    sql`ifnull(${after} * 10 >= ${SEATS} * 9 AND ${before} * 10 < ${SEATS} * 9, 0)`;
  const active = sql.raw('active_user_count');
  const willBeWarned = isWarned(active, sql`(${active} + ${activated})`);
  const warning: Also = {
    type: 'seats.warning',
    details: sql`json_object('seats', ${SEATS}, 'activeUsers', ${active}, 'client', ${actor.client ?? null})`,
    condition: isWarned(sql`(${active} - ${activated})`, active),
  };
  await store.write(
    ...expectations(store, chunk),
    ...insertions(store, type, made),
    ...replacements(store, type, changed),
    ...jsonChunks(marked).flatMap(({ json, count }) => [
      sql`UPDATE users SET protected = marked.value ->> 'isProtected' FROM json_each(${json}) AS marked
        WHERE users.seq = (SELECT seq FROM users AS is_there WHERE is_there.org_id = ${store.org} AND is_there.id = marked.value ->> 'id')
          AND users.deleted_at IS NULL`,
      expect('found', sql`changes() = ${count}`),
    ]),
    count(store, {
      users: made.length,
      activeUsers: activated,
      moreEvents: sql`${happenings.length - 1} + ${willBeWarned}`,
    }),
    ...recordBefore(store, actor, happenings.slice(0, -1), warning.condition),
    record(store, actor, happenings.at(-1)!, warning),
    ...(ended.length > 0 ? endSessions(store, actor, listed(ended)) : []),
    ...(published.length > 0 ? [publishLater(store, listed(published))] : []),
  );
}

/** Values that must be unique. */
export const soughtFor = ({ resource }: Pick<UserDraft, 'resource'>): Omit<AccountLookup, 'id'> => ({
  userNameKey: foldCase(resource['userName'] as string),
  externalId: externalIdOf(resource),
});

/**
 * There is room for those who become active, nobody who is new is among the deleted, and where the org wants it the
 * externalIds are unique.
 */
function expectations(store: OrgStore, { made, changed, passedOver, peak }: Chunk): SQL[] {
  const isPassedOver = sql`users.id IN (SELECT value FROM json_each(${JSON.stringify(passedOver)}))`;
  const buried = (json: string, condition: SQL) => sql`EXISTS (SELECT 1 FROM json_each(${json}) AS sought
    CROSS JOIN users ON users.org_id = ${store.org} AND users.deleted_at IS NOT NULL AND ${condition} AND NOT ${isPassedOver})`;
  const isUnique = store.tenant.settings.uniqueExternalId === true;
  const written = [...made, ...changed].map(({ draft }) => ({ id: draft.id, ...soughtFor(draft) }));
  return [
    ...jsonChunks(made.map(({ draft }) => soughtFor(draft))).map(({ json }) =>
      expect(
        'no_tombstone',
        sql`NOT ${buried(
          json,
          sql`users.user_name_key = sought.value ->> 'userNameKey'
            AND (sought.value ->> 'externalId' IS NULL OR trim(ifnull(users.external_id, '')) = '')`,
        )} AND NOT ${buried(json, sql`users.external_id = sought.value ->> 'externalId'`)}`,
      ),
    ),
    ...(isUnique ? jsonChunks(written) : []).map(({ json }) =>
      expect(
        'unique_external_id',
        sql`NOT EXISTS (SELECT 1 FROM json_each(${json}) AS sought CROSS JOIN users ON users.org_id = ${store.org}
          AND users.deleted_at IS NULL AND users.external_id = sought.value ->> 'externalId' AND users.id <> sought.value ->> 'id')`,
      ),
    ),
    ...(peak > 0
      ? [
          expect(
            'seats',
            sql`(SELECT ifnull(active_user_count + ${peak} <= ${SEATS}, 1) FROM orgs WHERE id = ${store.org})`,
          ),
        ]
      : []),
  ];
}

function insertions(store: OrgStore, type: ResourceType, made: Chunk['made']): SQL[] {
  const rows = made.map(({ draft, isProtected }) => ({ ...rowOf(type, draft), protected: isProtected ? 1 : 0 }));
  return jsonChunks(rows).flatMap(({ json }) => [
    sql`INSERT INTO users (org_id, id, user_name_key, external_id, active, version, created_at, modified_at, origin, protected, resource, folded)
      SELECT ${store.org}, made.value ->> 'id', made.value ->> 'userNameKey', made.value ->> 'externalId', made.value ->> 'active',
        made.value ->> 'version', made.value ->> 'createdAt', made.value ->> 'modifiedAt', 'host', made.value ->> 'protected',
        made.value -> 'resource', made.value -> 'folded'
      FROM json_each(${json}) AS made`,
    insertEmails(store, json),
  ]);
}

function replacements(store: OrgStore, type: ResourceType, changed: Chunk['changed']): SQL[] {
  const rows = changed.map(({ before, draft }) => {
    const row = rowOf(type, draft);
    const hasOtherEmails = JSON.stringify(rowOf(type, before).emails) !== JSON.stringify(row.emails);
    return { ...row, emails: hasOtherEmails ? row.emails : null };
  });
  return jsonChunks(rows).flatMap(({ json, count }) => [
    sql`UPDATE users SET user_name_key = changed.value ->> 'userNameKey', external_id = changed.value ->> 'externalId',
        active = changed.value ->> 'active', version = changed.value ->> 'version', modified_at = changed.value ->> 'modifiedAt',
        resource = changed.value -> 'resource', folded = changed.value -> 'folded'
      FROM json_each(${json}) AS changed
      WHERE users.seq = (SELECT seq FROM users AS is_there WHERE is_there.org_id = ${store.org} AND is_there.id = changed.value ->> 'id')
        AND users.version = (changed.value ->> 'version') - 1 AND ${IS_LIVE_AND_UNLINKED}`,
    expect('version', sql`changes() = ${count}`),
    sql`DELETE FROM user_emails WHERE org_id = ${store.org} AND user_seq IN (
      SELECT users.seq FROM json_each(${json}) AS changed CROSS JOIN users
        ON users.org_id = ${store.org} AND users.id = changed.value ->> 'id'
      WHERE changed.value ->> 'emails' IS NOT NULL)`,
    insertEmails(store, json),
  ]);
}

/** @param json rows with `emails`. */
const insertEmails = (store: OrgStore, json: string): SQL =>
  sql`INSERT INTO user_emails (org_id, value_key, user_seq)
    SELECT users.org_id, email.value, users.seq FROM json_each(${json}) AS written
      CROSS JOIN users ON users.org_id = ${store.org} AND users.id = written.value ->> 'id'
      CROSS JOIN json_each(written.value, '$.emails') AS email
    WHERE email.value IS NOT NULL`;

/** A row whose documents are JSON in JSON. */
function rowOf(type: ResourceType, draft: UserDraft) {
  const { userNameKey, externalId, active, folded, emails } = columnValues(type, draft);
  const { id, version, createdAt, modifiedAt, resource } = draft;
  const documents = { resource, folded: JSON.parse(folded) as unknown };
  return { id, userNameKey, externalId, active, version, createdAt, modifiedAt, emails, ...documents };
}

/**
 * Whether the identity provider may deactivate and delete the user. No attribute of SCIM, so its version stays.
 *
 * @throws Unmet `switched`: it is no live user any more, or so already.
 */
export async function markUser(
  store: OrgStore,
  id: string,
  isProtected: boolean,
  actor: Actor,
  details: Details,
): Promise<void> {
  await store.write(
    sql`UPDATE users SET protected = ${isProtected ? 1 : 0}
      WHERE org_id = ${store.org} AND id = ${id} AND deleted_at IS NULL AND protected = ${isProtected ? 0 : 1}`,
    expectOneChange('switched'),
    count(store),
    record(store, actor, { type: isProtected ? 'user.protected' : 'user.unprotected', targetId: id, details }),
  );
}
