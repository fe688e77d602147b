/**
 * An org, read page by page as the lines of its file. Each page is one round trip of bounded rows and characters, and
 * goes on where the one before ended: by key, so that a page costs the same wherever it is.
 */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor } from '../../events';
import { Unmet } from '../d1/batch';
import { expect } from '../d1/expect';
import type { Row } from '../d1/rows';
import { count, record } from '../journal/record';
import type { OrgStore } from '../org/open';
import { tenantOf } from '../org/tenant';
import {
  type Counts,
  type EndLine,
  JSON_COLUMNS,
  KINDS,
  type Kind,
  OF_CREDENTIALS,
  type OrgLine,
  PLAIN,
  type PlainKind,
  VERSION,
} from './format';

/** Lines of a page at most, and memberships. */
const MAX_LINES = 500;
const MAX_MEMBERS = 5_000;
/** Characters of a page, beyond which it ends with the line that passed them. */
const MAX_LENGTH = 1_000_000;

/** Where an export is, and what it has to keep in mind: all of it travels with the client. */
export interface ExportPosition {
  readonly step: Step;
  /** The key of the last row of the page before. */
  readonly key: readonly (string | number)[] | undefined;
  readonly counts: Counts;
  /** The latest ones when the export began. Who comes later is not part of it, so that nobody is named who is not. */
  readonly users: number;
  readonly groups: number;
  readonly seq: number;
  readonly withoutCredentials: boolean;
}

/** Credentials of a line are found by one index, what clients were given for a while by another. */
export const STEPS = KINDS.flatMap((kind) => (kind === 'credential' ? ([kind, 'given'] as const) : [kind]));
export type Step = Kind | 'given';
const kindOf = (step: Step): Kind => (step === 'given' ? 'credential' : step);

/** How the rows of a step are found, and what becomes of each. */
interface Source {
  readonly table: string;
  /** Of each row, beside its org. */
  readonly where?: readonly string[];
  /** Columns, in the order of an index that begins with the org. */
  readonly key: readonly string[];
  /** Bytes of a row beyond a few hundred. */
  readonly size?: string;
  /** An expression for the line, of the table's row. */
  readonly line: string;
}

/**
 * Records that the org is exported, and begins.
 *
 * @returns the first line, and the place where the others begin.
 * @throws Unmet `removal`: resources still have values of a schema that is gone, which no file may have.
 */
export async function beginExport(
  store: OrgStore,
  withoutCredentials: boolean,
  by: string,
  actor: Actor,
): Promise<{ readonly line: OrgLine; readonly place: ExportPosition }> {
  const latest = (table: string, where = '') =>
    sql`SELECT max(seq) AS seq FROM ${sql.raw(table)} WHERE org_id = ${store.org} ${sql.raw(where)}`;
  const [, , , orgs, live, buried, groups] = await store.write(
    expect('removal', sql`NOT ${isClearing(store)}`),
    count(store),
    record(store, actor, { type: 'org.exported', details: { by, ...(withoutCredentials && { withoutCredentials }) } }),
    sql`SELECT * FROM orgs WHERE id = ${store.org}`,
    latest('users', 'AND deleted_at IS NULL'),
    latest('users', 'AND deleted_at IS NOT NULL'),
    latest('groups'),
  );
  const row = orgs![0]!;
  const tenant = tenantOf(row);
  const seqOf = (rows: Row[] | undefined) => (rows![0]!['seq'] as number | null) ?? 0;
  return {
    line: {
      kind: 'org',
      v: VERSION,
      id: tenant.id,
      slug: tenant.slug,
      name: tenant.name,
      settings: tenant.settings,
      scimEnabled: tenant.isScimEnabled,
      disabledAt: tenant.disabledAt ?? null,
      notBefore: tenant.validAfter ?? null,
      createdAt: tenant.createdAt,
      exportedAt: store.now,
      withoutCredentials,
    },
    place: {
      step: STEPS[0]!,
      key: undefined,
      counts: {},
      users: Math.max(seqOf(live), seqOf(buried)),
      groups: seqOf(groups),
      seq: row['event_seq'] as number,
      withoutCredentials,
    },
  };
}

const isClearing = (store: OrgStore): SQL =>
  sql`EXISTS (SELECT 1 FROM removals WHERE org_id = ${store.org} AND kind = 'schema')`;

/**
 * @returns lines as JSON, and where to go on; undefined: that was all. One round trip.
 * @throws Unmet `removal`, as when it begins: of schemas that go later, the file has the lines.
 */
export async function readPage(
  store: OrgStore,
  place: ExportPosition,
): Promise<{ readonly lines: readonly string[]; readonly next: ExportPosition | undefined }> {
  const { step } = place;
  const [heads, rows] = await store.read(
    sql<{
      event_seq: number;
      pruned_through: number;
      clearing: number;
    }>`SELECT event_seq, pruned_through, ${isClearing(store)} AS clearing FROM orgs WHERE id = ${store.org}`,
    step === 'members' ? membersPage(store, place) : page(store, sourceOf(step, place), place.key),
  );
  if (step === 'schema' && heads[0]!.clearing === 1) throw new Unmet('removal');
  const lines = rows!.map((row) => row['line'] as string);
  const kind = kindOf(step);
  const counts =
    lines.length === 0 ? place.counts : { ...place.counts, [kind]: (place.counts[kind] ?? 0) + lines.length };
  if (hasMore(step, rows!)) {
    const last = rows!.at(-1)!;
    const key = JSON.parse(last['key'] as string) as (string | number)[];
    return { lines, next: { ...place, key, counts } };
  }
  const following = STEPS.slice(STEPS.indexOf(step) + 1).find(
    (one) => !(place.withoutCredentials && OF_CREDENTIALS.has(kindOf(one))),
  );
  if (following) return { lines, next: { ...place, step: following, key: undefined, counts } };
  // Events come last: so the file tells of all that was changed while it was written.
  const { event_seq: eventSeq, pruned_through: prunedThrough } = heads[0]!;
  const end: EndLine = {
    kind: 'end',
    counts,
    eventSeq,
    prunedThrough,
    changedMeanwhile: eventSeq > place.seq,
  };
  return { lines: [...lines, JSON.stringify(end)], next: undefined };
}

/** A page of memberships is full by what it has read, of others there is one row more than it has room for. */
function hasMore(step: Step, rows: Row[]): boolean {
  const found = (rows[0]?.['found'] as number | undefined) ?? 0;
  return step === 'members' ? found === MAX_MEMBERS : found > rows.length;
}

/** Keys and sizes first; what is long is read of those rows alone that the page has room for. */
function page(
  store: OrgStore,
  { table, where = [], key, size = '0', line }: Source,
  after: ExportPosition['key'],
): SQL {
  const names = sql.raw(key.join(', '));
  const from = sql.raw(table);
  const beyond = after === undefined ? sql`` : sql` AND (${names}) > (${values(after)})`;
  // Each condition has an index of its own; together they have none.
  const candidates = (where.length > 0 ? where : ['true']).map(
    (condition) => sql`SELECT * FROM (SELECT ${names}, ${sql.raw(size)} AS size FROM ${from}
      WHERE org_id = ${store.org} AND ${sql.raw(condition)}${beyond} ORDER BY ${names} LIMIT ${MAX_LINES + 1})`,
  );
  const all = sql`${sql.join(candidates, sql` UNION ALL `)} ORDER BY ${names} LIMIT ${MAX_LINES + 1}`;
  return sql`SELECT ${sql.raw(line)} AS line, json_array(${sql.raw(key.map((name) => `it.${name}`).join(', '))}) AS key, found
    FROM (SELECT *, sum(size) OVER (ORDER BY ${names}) - size AS before, row_number() OVER (ORDER BY ${names}) AS place,
      count(*) OVER () AS found FROM (${all})) AS chosen
    CROSS JOIN ${from} AS it
      ON it.org_id = ${store.org} AND ${sql.raw(key.map((name) => `it.${name} = chosen.${name}`).join(' AND '))}
    WHERE place <= ${MAX_LINES} AND (place = 1 OR before < ${MAX_LENGTH}) ORDER BY place`;
}

const values = (key: readonly (string | number)[]) =>
  sql.join(
    key.map((value) => sql`${value}`),
    sql`, `,
  );

const flag = (condition: string) => `json(iif(${condition}, 'true', 'false'))`;
/** `json_object` of members by their expressions. */
const object = (kind: Kind, members: Record<string, string>) =>
  `json_object('kind', '${kind}', ${Object.entries(members)
    .map(([name, expression]) => `'${name}', ${expression}`)
    .join(', ')})`;

const RESOURCE = {
  id: 'it.id',
  version: 'it.version',
  createdAt: 'it.created_at',
  modifiedAt: 'it.modified_at',
};

const SOURCES: Record<Exclude<Step, 'members' | PlainKind | 'given'>, Source> = {
  schema: {
    table: 'schemas',
    key: ['urn_key'],
    size: 'octet_length(definition)',
    line: object('schema', {
      resourceType: 'it.resource_type',
      addedAt: 'it.added_at',
      schema: 'json(it.definition)',
    }),
  },
  user: {
    table: 'users',
    where: ['deleted_at IS NULL', 'deleted_at IS NOT NULL'],
    key: ['seq'],
    size: 'octet_length(resource)',
    line: object('user', {
      ...RESOURCE,
      active: flag('it.active'),
      notBefore: 'it.not_before',
      deletedAt: 'it.deleted_at',
      erasedAt: 'it.erased_at',
      origin: 'it.origin',
      linkedAt: 'it.linked_at',
      protected: flag('it.protected'),
      resource: 'json(it.resource)',
    }),
  },
  group: {
    table: 'groups',
    key: ['seq'],
    size: 'octet_length(resource)',
    line: object('group', {
      ...RESOURCE,
      permissions: `json((SELECT json_group_array(permission) FROM (SELECT permission FROM group_permissions AS p
        WHERE p.org_id = it.org_id AND p.group_seq = it.seq ORDER BY permission)))`,
      resource: 'json(it.resource)',
    }),
  },
  event: {
    table: 'events',
    key: ['seq'],
    size: 'octet_length(details)',
    line: object('event', {
      seq: 'it.seq',
      at: 'it.at',
      type: 'it.type',
      actor: 'it.actor',
      credential: 'it.credential_id',
      target: 'it.target_id',
      requestId: 'it.request_id',
      publishes: flag('it.publishes'),
      details: 'json(it.details)',
    }),
  },
};

/** Where, and by which keys, the rows of one table are found that are lines as they are. */
const PLACES: Record<PlainKind | 'given', Pick<Source, 'where' | 'key' | 'size'>> = {
  oauthClient: { key: ['id'], size: 'octet_length(redirect_uris) + ifnull(octet_length(assertion), 0)' },
  grant: { key: ['id'] },
  credential: { key: ['kind', 'subject', 'generation'], where: ['generation > 0'] },
  given: { key: ['subject', 'rowid'], where: ["generation = 0 AND subject <> ''"] },
  assertion: { key: ['hash'] },
  refusal: { key: ['day', 'reason', 'hint', 'credential_id', 'client', 'address'] },
  held: { key: ['user_id'] },
  brakeCount: { key: ['at'] },
};

function sourceOf(step: Exclude<Step, 'members'>, { users, groups }: ExportPosition): Source {
  if (step === 'user') {
    const { where = [], ...source } = SOURCES.user;
    return { ...source, where: where.map((condition) => `${condition} AND seq <= ${users}`) };
  }
  if (step === 'group') return { ...SOURCES.group, where: [`seq <= ${groups}`] };
  if (step === 'schema' || step === 'event') return SOURCES[step];
  const kind = kindOf(step) as PlainKind;
  const { table, columns } = PLAIN[kind];
  const members = Object.entries(columns).map(([name, column]) => [
    name,
    JSON_COLUMNS.has(column) ? `json(it.${column})` : `it.${column}`,
  ]);
  return { table, ...PLACES[step as PlainKind | 'given'], line: object(kind, Object.fromEntries(members)) };
}

/** How many parts the key of a step's rows has. */
export const keyLength = (step: Step): number =>
  step === 'members'
    ? 3
    : step in SOURCES
      ? SOURCES[step as keyof typeof SOURCES].key.length
      : PLACES[step as 'given'].key.length;

/** A line for each group and type of member among the next memberships; those of a deleted group are nobody's. */
function membersPage(store: OrgStore, { key, users, groups }: ExportPosition): SQL {
  const beyond = key === undefined ? sql`` : sql` AND (group_seq, is_group, member_seq) > (${values(key)})`;
  return sql`SELECT json_object('kind', 'members', 'group', (SELECT id FROM groups WHERE seq = group_seq),
      'type', iif(is_group, 'Group', 'User'), 'ids', json_group_array(id)) AS line,
      json_array(group_seq, is_group, max(member_seq)) AS key, max(found) AS found
    FROM (SELECT m.*, count(*) OVER () AS found, ifnull(
        (SELECT id FROM users WHERE m.is_group = 0 AND users.seq = m.member_seq),
        (SELECT id FROM groups WHERE m.is_group = 1 AND groups.seq = m.member_seq)) AS id
      FROM (SELECT group_seq, is_group, member_seq FROM memberships WHERE org_id = ${store.org}${beyond}
        AND group_seq <= ${groups} AND member_seq <= iif(is_group, ${groups}, ${users})
        AND EXISTS (SELECT 1 FROM groups WHERE groups.seq = group_seq)
        ORDER BY group_seq, is_group, member_seq LIMIT ${MAX_MEMBERS}) AS m)
    GROUP BY group_seq, is_group ORDER BY group_seq, is_group`;
}
