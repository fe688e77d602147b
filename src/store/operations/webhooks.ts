/** Endpoints of webhooks, as operators see them: added, listed, switched, begun again, removed. */
import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { Actor, WebhookEvent } from '../../events';
import { runBatch } from '../d1/batch';
import type { Database } from '../d1/database';
import { type Databases, mainDatabase } from '../d1/databases';
import { expect } from '../d1/expect';
import { list } from '../d1/incomplete';
import { orAbsent, type Row, rowOf } from '../d1/rows';
import { webhookLines, webhooks } from '../d1/tables';
import { count, record } from '../journal/record';
import type { OrgStore } from '../org/open';
import { copyChanges } from './copies';

/** Endpoints of one org, and endpoints of all orgs. */
export const MAX_WEBHOOKS = 10;

/** Stands for all orgs where an org's id is expected. */
const ALL_ORGS = '';

/** What is kept of an endpoint. Instants are epoch milliseconds. */
export interface Webhook {
  readonly id: string;
  /** Absent: of all orgs. */
  readonly org: { readonly id: string; readonly slug: string } | undefined;
  readonly url: string;
  readonly types: readonly string[];
  /** Encrypted. */
  readonly secret: string;
  readonly mask: string;
  readonly previousSecret: string | undefined;
  readonly previousUntil: number | undefined;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly disabledAt: number | undefined;
}

/** How far it is in one org. */
export interface Line {
  readonly seq: number;
  readonly dueAt: number | undefined;
  readonly failures: number;
  readonly failingSince: number | undefined;
  readonly lastError: string | undefined;
  readonly deliveredAt: number | undefined;
  readonly disabledAt: number | undefined;
  readonly disabledWhy: 'operator' | 'failing' | 'gone' | undefined;
  readonly replays: number;
}

export interface ListedWebhook extends Webhook {
  /** Orgs whose events it is not sent any more, and orgs whose latest message failed. */
  readonly lines: { readonly disabled: number; readonly failing: number };
  /** In the org that was asked about, or in its own. */
  readonly line: (Line & { readonly current: number }) | undefined;
}

export interface NewWebhook {
  readonly id: string;
  readonly url: string;
  readonly types: readonly string[];
  readonly secret: string;
  readonly mask: string;
  readonly createdBy: string;
}

const rowOfWebhook = rowOf(webhooks);

/** @param row with the `slug` of its org. */
export function webhookOf(row: Row): Webhook {
  const { orgId, types, previousSecret, previousUntil, disabledAt, ...own } = rowOfWebhook(row);
  return {
    ...own,
    org: orgId === ALL_ORGS ? undefined : { id: orgId, slug: row['slug'] as string },
    types: JSON.parse(types) as string[],
    previousSecret: orAbsent(previousSecret),
    previousUntil: orAbsent(previousUntil),
    disabledAt: orAbsent(disabledAt),
  };
}

const rowOfLine = rowOf(webhookLines);
const LINE_COLUMNS = Object.values(getTableColumns(webhookLines)).map(({ name }) => name);

/** The columns of a line, under names that those of its webhook do not have. */
export const LINE = sql.raw(LINE_COLUMNS.map((name) => `l.${name} AS line_${name}`).join(', '));

export function lineOf(row: Row): Line {
  const line = rowOfLine(Object.fromEntries(LINE_COLUMNS.map((name) => [name, row[`line_${name}`]])));
  const { dueAt, failingSince, lastError, deliveredAt, disabledAt, disabledWhy } = line;
  return {
    ...{ seq: line.seq, failures: line.failures, replays: line.replays },
    dueAt: orAbsent(dueAt),
    failingSince: orAbsent(failingSince),
    lastError: orAbsent(lastError),
    deliveredAt: orAbsent(deliveredAt),
    disabledAt: orAbsent(disabledAt),
    disabledWhy: orAbsent(disabledWhy),
  };
}

const insert = (orgId: SQL, { id, url, types, secret, mask, createdBy }: NewWebhook, now: number) =>
  sql`INSERT INTO webhooks (org_id, id, url, types, secret, mask, created_at, created_by)
    SELECT ${orgId}, ${id}, ${url}, ${JSON.stringify(types)}, ${secret}, ${mask}, ${now}, ${createdBy}`;

const hasRoom = (orgId: SQL) =>
  expect('webhooks', sql`(SELECT count(*) FROM webhooks WHERE org_id = ${orgId}) < ${MAX_WEBHOOKS}`);

const noted = (store: OrgStore, actor: Actor, type: WebhookEvent, targetId: string, details: object) => [
  count(store),
  record(store, actor, { type, targetId, details: { ...details } }),
];

/** It is sent what happens from now on. @throws Unmet `webhooks`: there are enough. ScimError 404. */
export async function addWebhook(store: OrgStore, draft: NewWebhook, actor: Actor): Promise<void> {
  const { id, url, types } = draft;
  await store.write(
    hasRoom(store.org),
    ...noted(store, actor, 'webhook.added', id, { host: new URL(url).host, types }),
    insert(store.org, draft, store.now),
    sql`INSERT INTO webhook_lines (org_id, webhook_id, seq) SELECT id, ${id}, event_seq FROM orgs WHERE id = ${store.org}`,
  );
}

/** The same for all orgs, those to come as well. No journal has room for it: each is of one org. */
export async function addWebhookOfAll(databases: Databases, draft: NewWebhook, now: number): Promise<void> {
  await runBatch(mainDatabase(databases), [
    hasRoom(sql`${ALL_ORGS}`),
    insert(sql`${ALL_ORGS}`, draft, now),
    sql`INSERT INTO webhook_lines (org_id, webhook_id, seq) SELECT id, ${draft.id}, event_seq FROM orgs`,
  ]);
  await copyChanges(databases);
}

/** Of the endpoint, or of all lines of one. */
const listed = (where: SQL, orgId: SQL, limit: number) => sql`SELECT w.*, orgs.slug, ${LINE}, here.event_seq AS current,
    (SELECT count(*) FROM webhook_lines AS x WHERE x.webhook_id = w.id AND x.disabled_at IS NOT NULL) AS disabled_lines,
    (SELECT count(*) FROM webhook_lines AS x WHERE x.webhook_id = w.id AND x.disabled_at IS NULL AND x.failures > 0) AS failing_lines
  FROM webhooks AS w LEFT JOIN orgs ON orgs.id = w.org_id
    LEFT JOIN webhook_lines AS l ON l.org_id = ${orgId} AND l.webhook_id = w.id
    LEFT JOIN orgs AS here ON here.id = l.org_id
  WHERE ${where} ORDER BY w.id LIMIT CAST(${limit} AS INTEGER)`;

const listedOf = (row: Row): ListedWebhook => ({
  ...webhookOf(row),
  lines: { disabled: row['disabled_lines'] as number, failing: row['failing_lines'] as number },
  line: row['line_seq'] === null ? undefined : { ...lineOf(row), current: row['current'] as number },
});

/** Those that an org's events are sent to: its own, and those of all orgs. One round trip. */
export async function listWebhooksOf(store: OrgStore): Promise<ListedWebhook[]> {
  const [rows] = await store.read(listed(sql`w.org_id IN (${store.org}, ${ALL_ORGS})`, store.org, 2 * MAX_WEBHOOKS));
  return rows!.map(listedOf);
}

/** A page of them all, by id. @param after the last one of the page before, or ''. */
export async function listWebhooks(
  databases: Databases,
  after: string,
  limit: number,
): Promise<{ readonly webhooks: readonly ListedWebhook[]; readonly incomplete: readonly string[] }> {
  const query = listed(sql`w.id > ${after}`, sql`w.org_id`, limit);
  const { answers, incomplete } = await list(databases, (db, isMain) => listedIn(db, isMain, query));
  return { webhooks: together(answers).slice(0, limit), incomplete };
}

export interface FoundWebhook {
  readonly webhook: ListedWebhook | undefined;
  /** Databases that may have it, or orgs that it is of. */
  readonly incomplete: readonly string[];
}

export async function findWebhook(databases: Databases, id: string): Promise<FoundWebhook> {
  const query = listed(sql`w.id = ${id}`, sql`w.org_id`, 1);
  const { answers, incomplete } = await list(databases, (db, isMain) => listedIn(db, isMain, query));
  const [webhook] = together(answers);
  // One of a single org is where that org is.
  return { webhook, incomplete: webhook?.org ? [] : incomplete };
}

interface ListedIn {
  readonly isMain: boolean;
  readonly webhooks: readonly ListedWebhook[];
}

async function listedIn(db: Database, isMain: boolean, query: SQL): Promise<ListedIn> {
  const [rows] = await runBatch(db, [query]);
  return { isMain, webhooks: rows!.map(listedOf) };
}

/** By id. An endpoint of all orgs has lines in each database; what it is, `DB` says. */
function together(found: readonly ListedIn[]): ListedWebhook[] {
  const all = found.flatMap(({ isMain, webhooks }) => webhooks.map((webhook) => ({ isMain, webhook })));
  const decided = all.filter(({ isMain, webhook }) => isMain || webhook.org !== undefined);
  const sum = (id: string, kind: keyof ListedWebhook['lines']) =>
    all.reduce((n, { webhook }) => n + (webhook.id === id ? webhook.lines[kind] : 0), 0);
  return decided
    .map(({ webhook }) => ({
      ...webhook,
      lines: { disabled: sum(webhook.id, 'disabled'), failing: sum(webhook.id, 'failing') },
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Where endpoints are kept. */
export interface Reach {
  readonly databases: Databases;
  storeOf(orgId: string): OrgStore;
}

/** A change of one endpoint, with its event where it is of one org. */
async function change(
  { databases, storeOf }: Reach,
  { id, org }: Webhook,
  actor: Actor,
  type: WebhookEvent,
  details: object,
  ...statements: SQL[]
): Promise<void> {
  if (org) {
    const store = storeOf(org.id);
    await store.write(...statements, ...noted(store, actor, type, id, details));
    return;
  }
  await runBatch(mainDatabase(databases), statements);
  await copyChanges(databases);
}

/** @param secret encrypted. @param until the secret before it signs as well until then. */
export const rotateWebhook = (
  reach: Reach,
  webhook: Webhook,
  { secret, mask }: Pick<NewWebhook, 'secret' | 'mask'>,
  until: number,
  actor: Actor,
  by: string,
): Promise<void> =>
  change(
    reach,
    webhook,
    actor,
    'webhook.rotated',
    { by },
    sql`UPDATE webhooks SET previous_secret = secret, previous_until = ${until}, secret = ${secret}, mask = ${mask}
      WHERE id = ${webhook.id}`,
  );

/** Switched on again, it goes on where it was: nothing is left out, unless it is gone from the journal. */
export const switchWebhook = (
  reach: Reach,
  webhook: Webhook,
  isOn: boolean,
  actor: Actor,
  by: string,
  now: number,
): Promise<void> =>
  isOn
    ? change(
        reach,
        webhook,
        actor,
        'webhook.enabled',
        { by },
        sql`UPDATE webhooks SET disabled_at = NULL WHERE id = ${webhook.id}`,
        sql`UPDATE webhook_lines SET disabled_at = NULL, disabled_why = NULL, failures = 0, failing_since = NULL, due_at = 0
          WHERE webhook_id = ${webhook.id} AND (disabled_at IS NOT NULL OR failures > 0)`,
      )
    : change(
        reach,
        webhook,
        actor,
        'webhook.disabled',
        { by, why: 'operator' },
        sql`UPDATE webhooks SET disabled_at = ifnull(disabled_at, ${now}) WHERE id = ${webhook.id}`,
        sql`UPDATE webhook_lines SET disabled_at = ${now}, disabled_why = 'operator', due_at = NULL
          WHERE webhook_id = ${webhook.id} AND disabled_at IS NULL`,
      );

export const removeWebhook = (reach: Reach, webhook: Webhook, actor: Actor, by: string): Promise<void> =>
  change(
    reach,
    webhook,
    actor,
    'webhook.removed',
    { by },
    sql`DELETE FROM webhooks WHERE id = ${webhook.id}`,
    sql`DELETE FROM webhook_lines WHERE webhook_id = ${webhook.id}`,
  );

/** Which events of the org there are: later than `pruned`, up to `current`. One round trip. */
export async function readBounds(store: OrgStore): Promise<{ readonly current: number; readonly pruned: number }> {
  const [rows] = await store.read(sql`SELECT event_seq, pruned_through FROM orgs WHERE id = ${store.org}`);
  return { current: rows![0]!['event_seq'] as number, pruned: rows![0]!['pruned_through'] as number };
}

/** From this event on it is sent everything once more, with other ids. */
export async function replayWebhook(
  store: OrgStore,
  id: string,
  from: number,
  actor: Actor,
  by: string,
): Promise<void> {
  await store.write(
    ...noted(store, actor, 'webhook.replayed', id, { by, from }),
    sql`UPDATE webhook_lines SET seq = ${from - 1}, replays = replays + 1, failures = 0, failing_since = NULL,
        last_error = NULL, due_at = iif(disabled_at IS NULL, 0, NULL)
      WHERE org_id = ${store.org} AND webhook_id = ${id}`,
  );
}
