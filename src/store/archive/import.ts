/**
 * The lines of an org's file -> its rows. While an org is imported, `orgs.importing` says what it will be and how far its
 * file has been read; nobody else writes to it (open.ts). Each chunk of lines moves that place in its own batch, so
 * that none is applied twice or out of turn, however often it is sent.
 */

import { type SQL, sql } from 'drizzle-orm';
import type { Actor } from '../../events';
import type { ResourceType } from '../../scim/attribute';
import { unassignBlank } from '../../scim/identifying';
import { runBatch } from '../d1/batch';
import type { Database } from '../d1/database';
import { expect, expectOneChange } from '../d1/expect';
import { chunksOf, jsonChunks } from '../d1/json-parameters';
import { columnValues as groupColumns } from '../directory/group-changes';
import { expectSso } from '../directory/policy';
import { isRemoving } from '../directory/removal';
import { columnValues as userColumns } from '../directory/user-changes';
import { only } from '../journal/end-sessions';
import { publishLater, WHOLE_ORG } from '../journal/outbox';
import { count, recordAs } from '../journal/record';
import type { OrgStore } from '../org/open';
import { type Tenant, tenantOf } from '../org/tenant';
import {
  type Counts,
  type EndLine,
  type EventLine,
  type GroupLine,
  JSON_COLUMNS,
  KINDS,
  type Kind,
  type Line,
  type MembersLine,
  OF_CREDENTIALS,
  type OrgLine,
  PLAIN,
  type PlainKind,
  type SchemaLine,
  type UserLine,
} from './format';

/** How far an import is. */
export interface Importing {
  readonly org: OrgLine;
  /** Lines that are there, the first one included. */
  readonly line: number;
  /** The place in KINDS of the last one's kind. */
  readonly kind: number;
  /** Of the last event. */
  readonly seq: number;
  readonly counts: Counts;
}

/** Ids that one element of a list of memberships holds. */
const MAX_IDS = 5_000;

/**
 * The org, switched off and empty. It has the id of its file where no org here has it, and another one beside the original.
 *
 * @param ids `otherId`: for the latter.
 * @throws Taken: the slug is an org's, or the id just now became one's. Unmet `removal`: rows of an org with this id that
 *   was deleted here are still being removed.
 */
export async function insertImport(
  db: Database,
  slug: string,
  line: OrgLine,
  { id, otherId }: { readonly id: string; readonly otherId: string },
  now: number,
  guards: readonly SQL[] = [],
): Promise<Tenant> {
  const importing = JSON.stringify({ org: line, line: 1, kind: 0, seq: 0, counts: {} } satisfies Importing);
  // Where it was deleted, every session until then was said to be dead.
  const died = sql`(SELECT deleted_at FROM deleted_orgs WHERE org_id = ${line.id})`;
  const results = await runBatch(db, [
    ...guards,
    expect('removal', sql`NOT ${isRemoving(line.id, 'org', '')}`),
    sql`INSERT INTO orgs (id, slug, name, created_at, disabled_at, not_before, importing)
      SELECT iif(EXISTS (SELECT 1 FROM orgs WHERE id = ${id}), ${otherId}, ${id}), ${slug}, ${line.name},
        ${line.createdAt}, ${now}, nullif(max(ifnull(${line.notBefore}, 0), ifnull(${died}, 0)), 0), ${importing}`,
    sql`INSERT INTO outbox (org_id, user_id, requested_at) SELECT id, ${WHOLE_ORG}, ${now} FROM orgs WHERE slug = ${slug}`,
    sql`SELECT * FROM orgs WHERE slug = ${slug}`,
  ]);
  return tenantOf(results.at(-1)![0]!);
}

/**
 * What stands in the way of an import, or is one that goes on.
 *
 * @param bySlug holds the org of this slug, if there is one. @param byId holds what there is, or was, of this id.
 */
export async function whatIsThere(bySlug: Database, slug: string, byId: Database, id: string) {
  const [[orgs], [taken, removing]] = await Promise.all([
    runBatch(bySlug, [
      sql<{ id: string; importing: string | null }>`SELECT id, importing FROM orgs WHERE slug = ${slug}`,
    ]),
    runBatch(byId, [sql`SELECT 1 FROM orgs WHERE id = ${id}`, sql`SELECT 1 WHERE ${isRemoving(id, 'org', '')}`]),
  ]);
  const [org] = orgs;
  const importing = org?.importing;
  return {
    isSlugTaken: org !== undefined,
    isIdTaken: taken.length > 0,
    isBeingRemoved: removing.length > 0,
    ...(org && { id: org.id }),
    ...(importing && { importing: JSON.parse(importing) as Importing }),
  };
}

/** @returns undefined: the org is no import, or a finished one. */
export async function readImport(store: OrgStore): Promise<Importing | undefined> {
  const [rows] = await store.read(
    sql<{ importing: string | null }>`SELECT importing FROM orgs WHERE id = ${store.org}`,
  );
  const text = rows[0]!.importing;
  return text === null ? undefined : (JSON.parse(text) as Importing);
}

/** Lines that follow one another, of a kind. */
export interface Run {
  readonly kind: Kind;
  readonly lines: readonly Line[];
}

/** The types that the lines of users and groups are read under. */
interface Types {
  readonly user: ResourceType;
  readonly group: ResourceType;
}

/**
 * Lines that follow line `after` of the file.
 *
 * @throws Unmet `import_place`: others are due, or they are there. Unmet `import_members`, `import_cycle`. Taken.
 */
export async function insertLines(store: OrgStore, types: Types, after: number, runs: readonly Run[]): Promise<void> {
  await store.write(...moveOn(store, after, runs), ...runs.flatMap((run) => insertRun(store, types, run)));
}

const integer = (value: number) => sql`CAST(${value} AS INTEGER)`;

/** Takes the turn of these lines, and counts what they bring. */
function moveOn(store: OrgStore, after: number, runs: readonly Run[]): SQL[] {
  const all = runs.flatMap(({ lines }) => lines);
  const live = all.filter((line): line is UserLine => line.kind === 'user' && line.deletedAt === null);
  const events = all.filter((line): line is EventLine => line.kind === 'event');
  const [first, last] = [runs[0]!, runs.at(-1)!].map(({ kind }) => KINDS.indexOf(kind)) as [number, number];
  const counts = runs.map(({ kind, lines }) => {
    const path = `$.counts.${kind}`;
    return sql`, ${path}, ifnull(importing ->> ${path}, 0) + ${integer(lines.length)}`;
  });
  const firstSeq = events.length > 0 ? sql` AND importing ->> '$.seq' < ${events[0]!.seq}` : sql``;
  const lastSeq = events.length > 0 ? sql`, '$.seq', ${integer(events.at(-1)!.seq)}` : sql``;
  return [
    sql`UPDATE orgs SET user_count = user_count + ${live.length},
        active_user_count = active_user_count + ${live.filter(({ active }) => active).length},
        group_count = group_count + ${all.filter(({ kind }) => kind === 'group').length},
        importing = json_set(importing, '$.line', ${integer(after + all.length)}, '$.kind', ${integer(last)}${lastSeq}${sql.join(counts)})
      WHERE id = ${store.org} AND importing ->> '$.line' = ${after} AND importing ->> '$.kind' <= ${first}${firstSeq}`,
    expectOneChange('import_place'),
  ];
}

function insertRun(store: OrgStore, types: Types, { kind, lines }: Run): SQL[] {
  switch (kind) {
    case 'schema':
      return each(lines.map(schemaRow), (rows) => [insertSchemas(store, rows)]);
    case 'user':
      return each(
        lines.map((line) => userRow(types.user, line as UserLine)),
        (rows) => insertUsers(store, rows),
      );
    case 'group':
      return each(
        lines.map((line) => groupRow(types.group, line as GroupLine)),
        (rows) => insertGroups(store, rows),
      );
    case 'members':
      return insertMembers(store, lines as readonly MembersLine[]);
    case 'event':
      return each(
        lines.map((line) => JSON.stringify(line)),
        (rows) => [insertEvents(store, rows)],
      );
    default:
      return each(
        lines.map((line) => JSON.stringify(line)),
        (rows) => [insertPlain(store, kind, rows)],
      );
  }
}

/** Rows as lists of JSON that a statement can take. */
const each = (rows: readonly string[], statements: (list: string) => SQL[]): SQL[] =>
  chunksOf(rows).flatMap(({ json }) => statements(json));

/** Documents stand in a row as JSON and not as text, which would be escaped a second time. */
const rowWith = (row: object, documents: Record<string, string>): string =>
  `${JSON.stringify(row).slice(0, -1)}${Object.entries(documents)
    .map(([name, document]) => `,"${name}":${document}`)
    .join('')}}`;

const bit = (is: boolean) => (is ? 1 : 0);
const member = (name: string) => sql.raw(`value ->> '$.${name}'`);
const members = (...names: string[]) => sql.join(names.map(member), sql`, `);
const document = (name: string) => sql.raw(`value -> '$.${name}'`);

function schemaRow(line: Line): string {
  const { resourceType, addedAt, schema } = line as SchemaLine;
  const urn = (schema['id'] as string).toLowerCase();
  return rowWith({ urn, resourceType, addedAt }, { schema: JSON.stringify(schema) });
}

const insertSchemas = (store: OrgStore, rows: string): SQL =>
  sql`INSERT INTO schemas (org_id, urn_key, resource_type, definition, added_at)
    SELECT ${store.org}, ${members('urn', 'resourceType')}, ${document('schema')}, ${member('addedAt')} FROM json_each(${rows})`;

/** What is derived is made anew, as the service's own writes make it. Of an erased user there is nothing. */
function derivedOf(type: ResourceType, line: UserLine) {
  if (line.erasedAt !== null)
    return { userNameKey: '', externalId: null, resource: '{}', folded: '{}', emails: [] as string[] };
  const resource = structuredClone(line.resource);
  unassignBlank(resource);
  return userColumns(type, { ...line, resource, isActive: line.active });
}

function userRow(type: ResourceType, line: UserLine): string {
  const { userNameKey, externalId, resource, folded, emails } = derivedOf(type, line);
  const { id, version, createdAt, modifiedAt, notBefore, deletedAt, erasedAt, origin, linkedAt } = line;
  const row = {
    ...{
      id,
      userNameKey,
      externalId,
      version,
      createdAt,
      modifiedAt,
      notBefore,
      deletedAt,
      erasedAt,
      origin,
      linkedAt,
    },
    active: bit(line.active),
    protected: bit(line.protected),
    emails: deletedAt === null ? emails : [],
  };
  return rowWith(row, { resource, folded });
}

/** What of a user is unique among the live ones. */
export const userNameKeyOf = (type: ResourceType, line: UserLine): string => derivedOf(type, line).userNameKey;
export const displayNameKeyOf = (type: ResourceType, line: GroupLine): string =>
  groupColumns(type, line).displayNameKey;

/** In their order, which becomes that of lists. Inactive users are published, for this KV does not have their flags. */
const insertUsers = (store: OrgStore, rows: string): SQL[] => [
  sql`INSERT INTO users (org_id, id, user_name_key, external_id, active, version, created_at, modified_at, not_before,
      deleted_at, erased_at, origin, linked_at, protected, resource, folded)
    SELECT ${store.org}, ${members('id', 'userNameKey', 'externalId', 'active', 'version', 'createdAt', 'modifiedAt', 'notBefore')},
      ${members('deletedAt', 'erasedAt', 'origin', 'linkedAt', 'protected')}, ${document('resource')}, ${document('folded')}
    FROM json_each(${rows}) ORDER BY key`,
  sql`INSERT INTO user_emails (org_id, value_key, user_seq)
    SELECT users.org_id, address.value, users.seq FROM json_each(${rows}) AS it
      CROSS JOIN json_each(it.value, '$.emails') AS address
      CROSS JOIN users ON users.org_id = ${store.org} AND users.id = it.value ->> '$.id'`,
  // Where the org was deleted, KV may hold anything of anybody.
  publishLater(
    store,
    sql`SELECT ${member('id')} AS id FROM json_each(${rows}) WHERE ${member('active')} = 0 OR ${member('notBefore')} IS NOT NULL
      OR EXISTS (SELECT 1 FROM deleted_orgs WHERE deleted_orgs.org_id = ${store.org})`,
  ),
];

function groupRow(type: ResourceType, line: GroupLine): string {
  const { displayNameKey, externalId, resource, folded } = groupColumns(type, line);
  const { id, version, createdAt, modifiedAt, permissions } = line;
  const row = { id, displayNameKey, externalId, version, createdAt, modifiedAt, permissions };
  return rowWith(row, { resource, folded });
}

const insertGroups = (store: OrgStore, rows: string): SQL[] => [
  sql`INSERT INTO groups (org_id, id, display_name_key, external_id, version, created_at, modified_at, resource, folded)
    SELECT ${store.org}, ${members('id', 'displayNameKey', 'externalId', 'version', 'createdAt', 'modifiedAt')},
      ${document('resource')}, ${document('folded')} FROM json_each(${rows}) ORDER BY key`,
  sql`INSERT INTO group_permissions (org_id, group_seq, permission)
    SELECT groups.org_id, groups.seq, word.value FROM json_each(${rows}) AS it
      CROSS JOIN json_each(it.value, '$.permissions') AS word
      CROSS JOIN groups ON groups.org_id = ${store.org} AND groups.id = it.value ->> '$.id'`,
];

/** Members are there before they are in a group: a live user, or a group. */
function insertMembers(store: OrgStore, lines: readonly MembersLine[]): SQL[] {
  // One line may name as many as fit into a request, which is more than fit into a parameter.
  const pieces = lines.flatMap(({ group, type, ids }) =>
    Array.from({ length: Math.ceil(ids.length / MAX_IDS) }, (_, i) => ({
      group,
      type,
      ids: ids.slice(i * MAX_IDS, (i + 1) * MAX_IDS),
    })),
  );
  const holders = sql`CROSS JOIN groups AS g ON g.org_id = ${store.org} AND g.id = it.value ->> '$.group'
    CROSS JOIN json_each(it.value, '$.ids') AS named`;
  const nested = lines.filter(({ type }) => type === 'Group').map(({ group }) => group);
  return [
    ...jsonChunks(pieces).flatMap(({ json }) => {
      const total = (JSON.parse(json) as MembersLine[]).reduce((sum, { ids }) => sum + ids.length, 0);
      return [
        sql`INSERT INTO memberships (org_id, group_seq, is_group, member_seq)
      SELECT ${store.org}, g.seq, 0, users.seq FROM json_each(${json}) AS it ${holders}
        CROSS JOIN users ON users.org_id = ${store.org} AND users.id = named.value AND users.deleted_at IS NULL
        WHERE it.value ->> '$.type' = 'User'
      UNION ALL SELECT ${store.org}, g.seq, 1, other.seq FROM json_each(${json}) AS it ${holders}
        CROSS JOIN groups AS other ON other.org_id = ${store.org} AND other.id = named.value
        WHERE it.value ->> '$.type' = 'Group'`,
        expect('import_members', sql.raw(`changes() = ${total}`)),
        sql`UPDATE groups SET member_count = member_count + joined.n
      FROM (SELECT value ->> '$.group' AS id, sum(json_array_length(value, '$.ids')) AS n FROM json_each(${json}) GROUP BY 1) AS joined
      WHERE groups.org_id = ${store.org} AND groups.id = joined.id`,
      ];
    }),
    ...jsonChunks(nested).map(({ json }) =>
      expect(
        'import_cycle',
        sql`NOT EXISTS (WITH RECURSIVE up (start, seq) AS (
              SELECT seq, seq FROM groups WHERE org_id = ${store.org} AND id IN (SELECT value FROM json_each(${json}))
              UNION SELECT up.start, m.group_seq FROM up JOIN memberships AS m
                ON m.org_id = ${store.org} AND m.is_group = 1 AND m.member_seq = up.seq)
              SELECT 1 FROM up JOIN memberships AS m
                ON m.org_id = ${store.org} AND m.group_seq = up.start AND m.is_group = 1 AND m.member_seq = up.seq)`,
      ),
    ),
  ];
}

/** The first of these live users and groups that is not there. */
export async function missingMembers<T extends { readonly type: string; readonly id: string }>(
  store: OrgStore,
  needed: readonly T[],
): Promise<T[]> {
  const results = await store.read(
    ...jsonChunks(needed.map((one, i) => ({ ...one, i }))).map(
      ({ json }) => sql<{
        i: number;
      }>`SELECT value ->> '$.i' AS i FROM json_each(${json}) WHERE NOT iif(value ->> '$.type' = 'Group',
        EXISTS (SELECT 1 FROM groups WHERE org_id = ${store.org} AND groups.id = value ->> '$.id'),
        EXISTS (SELECT 1 FROM users WHERE org_id = ${store.org} AND users.id = value ->> '$.id' AND deleted_at IS NULL))
      ORDER BY key LIMIT 1`,
    ),
  );
  return results.flat().map(({ i }) => needed[i]!);
}

/** Which of these ids and names are there already: indexes. */
export async function present(
  store: OrgStore,
  kind: 'user' | 'group',
  named: readonly { readonly id: string; readonly key: string | undefined }[],
): Promise<number[]> {
  const [table, column, live] =
    kind === 'user' ? ['users', 'user_name_key', ' AND deleted_at IS NULL'] : ['groups', 'display_name_key', ''];
  const one = (name: string, member: string, also: string) =>
    sql`EXISTS (SELECT 1 FROM ${sql.raw(table!)} AS it WHERE org_id = ${store.org} AND it.${sql.raw(name)} = asked.value ->> ${member}${sql.raw(also)})`;
  const results = await store.read(
    ...jsonChunks(named.map((it, line) => ({ ...it, line }))).map(
      ({ json }) => sql<{ line: number }>`SELECT asked.value ->> '$.line' AS line FROM json_each(${json}) AS asked
      WHERE ${one('id', '$.id', '')} OR ${one(column!, '$.key', live!)} ORDER BY 1 LIMIT 1`,
    ),
  );
  return results.flat().map(({ line }) => line);
}

const insertEvents = (store: OrgStore, rows: string): SQL =>
  sql`INSERT INTO events (org_id, seq, at, type, actor, credential_id, target_id, request_id, details, publishes)
    SELECT ${store.org}, ${members('seq', 'at', 'type', 'actor', 'credential', 'target', 'requestId')},
      ${document('details')}, ${member('publishes')} FROM json_each(${rows})`;

function insertPlain(store: OrgStore, kind: PlainKind, rows: string): SQL {
  const { table, columns } = PLAIN[kind];
  const names = sql.raw(Object.values(columns).join(', '));
  const values = Object.entries(columns).map(([name, column]) =>
    JSON_COLUMNS.has(column) ? sql`nullif(${document(name)}, 'null')` : member(name),
  );
  // Beside the original they are the original's.
  const isWanted = OF_CREDENTIALS.has(kind)
    ? sql`(SELECT importing ->> '$.org.id' = id FROM orgs WHERE id = ${store.org})`
    : sql`true`;
  // A request that is refused meanwhile is counted too.
  const sum =
    kind === 'refusal'
      ? sql` ON CONFLICT DO UPDATE SET count = count + excluded.count, first_at = min(first_at, excluded.first_at),
          last_at = max(last_at, excluded.last_at)`
      : sql``;
  return sql`INSERT INTO ${sql.raw(table)} (org_id, ${names})
    SELECT ${store.org}, ${sql.join(values, sql`, `)} FROM json_each(${rows}) WHERE ${isWanted}${sum}`;
}

/**
 * The import is done: the org is what its file says, and hosts are told of it.
 *
 * @throws Unmet `import_place`: it has gone on since it was read. Unmet `sso`.
 */
export async function finishImport(
  store: OrgStore,
  { org, line, counts }: Importing,
  end: EndLine,
  by: string,
  actor: Actor,
): Promise<Tenant> {
  const { settings, scimEnabled, disabledAt } = org;
  const isGroup = (id: SQL) => sql`EXISTS (SELECT 1 FROM groups WHERE org_id = ${store.org} AND groups.id = ${id})`;
  const details = {
    by,
    from: { id: org.id, slug: org.slug, exportedAt: new Date(org.exportedAt).toISOString(), eventSeq: end.eventSeq },
    counts,
    client: actor.client,
  };
  const results = await store.write(
    sql`UPDATE orgs SET settings = ${JSON.stringify(settings)}, scim_enabled = ${bit(scimEnabled)}, disabled_at = ${disabledAt},
        event_seq = ${end.eventSeq}, pruned_through = ${end.prunedThrough}, importing = NULL
      WHERE id = ${store.org} AND importing ->> '$.line' = ${line}`,
    expectOneChange('import_place'),
    // As when a group is deleted: here it was, while the file was written.
    sql`UPDATE orgs SET settings = json_remove(settings, '$.defaultGroup')
      WHERE id = ${store.org} AND NOT ${isGroup(sql`orgs.settings ->> '$.defaultGroup'`)}`,
    sql`UPDATE orgs SET settings = iif(left.groups = '[]', json_remove(settings, '$.signOutGroups'),
        json_set(settings, '$.signOutGroups', json(left.groups)))
      FROM (SELECT json_group_array(named.value) AS groups FROM orgs, json_each(orgs.settings, '$.signOutGroups') AS named
        WHERE orgs.id = ${store.org} AND ${isGroup(sql`named.value`)}) AS left
      WHERE id = ${store.org} AND json_type(settings, '$.signOutGroups') IS NOT NULL`,
    expectSso(store),
    count(store),
    recordAs(
      store,
      actor,
      { type: 'org.imported', publishes: true },
      sql`json_patch(${JSON.stringify(details)}, json_object('withCredentials',
        json(iif(${store.org} = ${org.id} AND ${bit(!org.withoutCredentials)}, 'true', 'false'))))`,
    ),
    publishLater(store, only(WHOLE_ORG)),
    sql`DELETE FROM deleted_orgs WHERE org_id = ${store.org}`,
    sql`SELECT * FROM orgs WHERE id = ${store.org}`,
  );
  return tenantOf(results.at(-1)![0]!);
}
