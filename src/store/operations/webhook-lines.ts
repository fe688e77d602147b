/** What webhooks are still to be sent, org by org, and how that goes. The org's coordinator alone sends. */
import { type SQL, sql } from 'drizzle-orm';
import type { Actor } from '../../events';
import { runBatch, Unmet } from '../d1/batch';
import { askEach, type Databases, databaseOf, isSpread, mainDatabase } from '../d1/databases';
import { expectOneChange } from '../d1/expect';
import type { Row } from '../d1/rows';
import { type Person, type Role, rolesIn, selectPeople, selectRoles } from '../directory/people';
import { count, record } from '../journal/record';
import { openStore } from '../org/open';
import type { Tenant } from '../org/tenant';
import { LINE, type Line, lineOf, type Webhook, webhookOf } from './webhooks';

/** A line that may have something to deliver. */
export interface DueLine extends Line {
  readonly webhook: Webhook;
}

/** @param which of the org's lines. */
const selectLines = (orgId: string, which: SQL) => sql`SELECT w.*, orgs.slug, ${LINE}
  FROM webhook_lines AS l JOIN webhooks AS w ON w.id = l.webhook_id LEFT JOIN orgs ON orgs.id = w.org_id
  WHERE l.org_id = ${orgId} AND l.disabled_at IS NULL AND ${which}`;

const linesIn = (rows: readonly Row[]): DueLine[] => rows.map((row) => ({ ...lineOf(row), webhook: webhookOf(row) }));

/** All of the org, those whose time has not come included. One round trip. */
export async function readDueLines(databases: Databases, orgId: string): Promise<DueLine[]> {
  const [rows] = await runBatch(databaseOf(databases, orgId), [selectLines(orgId, sql`l.due_at IS NOT NULL`)]);
  return linesIn(rows!);
}

const selectPresent = (orgId: string, { webhook, replays }: DueLine) =>
  selectLines(orgId, sql`l.webhook_id = ${webhook.id} AND l.replays = ${replays}`);

/**
 * The endpoint as it is now, to be read before each delivery: its secret may be another one. One round trip, two rows.
 *
 * @returns undefined: the line is switched off, begun again or removed, and nothing more may be sent.
 */
export async function readPresentWebhook(
  databases: Databases,
  orgId: string,
  line: DueLine,
): Promise<Webhook | undefined> {
  const [[rows], original] = await Promise.all([
    runBatch(databaseOf(databases, orgId), [selectPresent(orgId, line)]),
    readOriginal(databases, line),
  ]);
  return presentOf(rows!, original);
}

/** Stands for an endpoint that each database has for itself. */
const OWN = 'own';

/**
 * An endpoint of all orgs as `DB` has it: where there are several databases, the org's may have an old copy.
 *
 * @returns undefined: it is removed or switched off.
 */
async function readOriginal(databases: Databases, { webhook }: DueLine): Promise<Webhook | undefined | typeof OWN> {
  if (webhook.org !== undefined || !isSpread(databases)) return OWN;
  const [rows] = await runBatch(mainDatabase(databases), [
    sql`SELECT w.*, NULL AS slug FROM webhooks AS w WHERE w.id = ${webhook.id} AND w.disabled_at IS NULL`,
  ]);
  return rows![0] && webhookOf(rows![0]);
}

/** @param rows of `selectPresent`. */
function presentOf(rows: readonly Row[], original: Webhook | undefined | typeof OWN): Webhook | undefined {
  const present = linesIn(rows)[0]?.webhook;
  return original === OWN || present === undefined ? present : original;
}

/** Orgs with something to deliver: messages of webhooks or tokens of signals. Those that have waited longest. */
export async function orgsWithDueLines(databases: Databases, now: number, limit: number): Promise<string[]> {
  const found = await askEach(databases, async (db) => {
    const [rows] = await runBatch(db, [
      sql`SELECT org_id FROM (SELECT org_id FROM webhook_lines WHERE due_at IS NOT NULL AND due_at <= ${now}
          ORDER BY due_at LIMIT ${limit})
        UNION SELECT org_id FROM (SELECT org_id FROM signal_lines WHERE due_at IS NOT NULL AND pushes = 1 AND due_at <= ${now}
          ORDER BY due_at LIMIT ${limit})`,
    ]);
    return rows!.map((row) => row['org_id'] as string);
  });
  return found.flat();
}

/** An event, with the present state of what it is about. */
export interface Told {
  readonly seq: number;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly type: string;
  readonly user?: { readonly id: string; readonly person: Person | undefined; readonly deletedAt: number | undefined };
  readonly group?: { readonly id: string; readonly role: Role | undefined };
}

export interface Chunk {
  readonly tenant: Tenant;
  /** As `readPresentWebhook` reads it. */
  readonly webhook: Webhook | undefined;
  readonly told: readonly Told[];
  /** Once all of it is delivered, everything up to here is. */
  readonly through: number;
  /** Events up to this one may be gone, and some of them were not delivered. */
  readonly lostThrough: number | undefined;
}

/** Events that are looked through at once for those of the right types, and those of them that are told. */
const SCANNED = 500;
const TOLD = 20;

/**
 * What comes next on a line. One round trip.
 *
 * @throws ScimError 404: the org is gone.
 */
export async function readChunk(databases: Databases, orgId: string, line: DueLine): Promise<Chunk> {
  const store = openStore(databases, { kind: 'id', id: orgId }, Date.now());
  const isAsked = sql.join(
    line.webhook.types.map((type) => sql`type GLOB ${type}`),
    sql` OR `,
  );
  const recent = sql`SELECT seq, at, type, target_id FROM events WHERE org_id = ${store.org} AND seq > ${line.seq}
    ORDER BY seq LIMIT ${SCANNED}`;
  // One more than is told says whether the rest of those that were looked through has more.
  const told = (most: number) => sql`SELECT * FROM (${recent}) WHERE ${isAsked} ORDER BY seq LIMIT ${most}`;
  const people = selectPeople(
    store,
    sql`SELECT seq FROM users WHERE org_id = ${store.org} AND id IN (SELECT target_id FROM (${told(TOLD)}))`,
  );
  const asked = readOriginal(databases, line);
  const reading = store.read(
    sql`SELECT pruned_through, event_seq FROM orgs WHERE id = ${store.org}`,
    selectPresent(orgId, line),
    sql`SELECT max(seq) AS through FROM (${recent})`,
    told(TOLD + 1),
    selectRoles(store, sql`SELECT DISTINCT target_id AS id FROM (${told(TOLD)}) WHERE type GLOB 'group.*'`),
    ...people.statements,
  );
  const [[heads, present, ends, events, roles, ...found], original] = await Promise.all([reading, asked]);
  const pruned = heads![0]!['pruned_through'] as number;
  const users = new Map(people.read(found).map((one) => [one.person.id, one]));
  const groups = new Map(rolesIn(roles).map(({ id, role }) => [id, role]));
  const page = events!.slice(0, TOLD).map((row): Told => {
    const [type, id] = [row['type'] as string, (row['target_id'] as string | null) ?? undefined];
    const event = { seq: row['seq'] as number, at: row['at'] as number, type };
    if (id === undefined) return event;
    if (type.startsWith('group.')) return { ...event, group: { id, role: groups.get(id) } };
    const user = users.get(id);
    if (user === undefined && !type.startsWith('user.')) return event;
    return { ...event, user: { id, person: user?.person, deletedAt: user?.deletedAt } };
  });
  const isCut = events!.length > TOLD;
  return {
    tenant: store.tenant,
    webhook: presentOf(present as Row[], original),
    told: page,
    // Where nothing is left, the journal ends: at a number whose event may be gone by its age.
    through: isCut
      ? page.at(-1)!.seq
      : ((ends![0]!['through'] as number | null) ?? (heads![0]!['event_seq'] as number)),
    lostThrough: line.seq < pruned ? pruned : undefined,
  };
}

/** The line as it was read: the operator has not begun it again. */
const isSame = (orgId: string, { webhook, replays }: DueLine) =>
  sql`org_id = ${orgId} AND webhook_id = ${webhook.id} AND replays = ${replays}`;
/** The same, and nobody has switched it off. */
const isOn = (orgId: string, line: DueLine) => sql`${isSame(orgId, line)} AND disabled_at IS NULL`;

/**
 * @param deliveredAt undefined: nothing was of the types that are asked for.
 * @returns `more`: there is more; `done`: there is nothing more; `other`: it is switched off, or not the line it was any more.
 */
export async function advanceLine(
  databases: Databases,
  orgId: string,
  line: DueLine,
  through: number,
  deliveredAt: number | undefined,
): Promise<'more' | 'done' | 'other'> {
  const good =
    deliveredAt === undefined
      ? sql``
      : sql`, delivered_at = ${deliveredAt}, failures = 0, failing_since = NULL, last_error = NULL`;
  const [rows] = await runBatch(databaseOf(databases, orgId), [
    // An event that is committed meanwhile is seen here, or finds the line not due, and makes it so.
    sql`UPDATE webhook_lines SET seq = ${through}${good},
        due_at = iif(disabled_at IS NULL AND (SELECT event_seq FROM orgs WHERE id = ${orgId}) > ${through}, 0, NULL)
      WHERE ${isSame(orgId, line)} RETURNING due_at, disabled_at`,
  ]);
  const [row] = rows!;
  if (row === undefined || row['disabled_at'] !== null) return 'other';
  return row['due_at'] === null ? 'done' : 'more';
}

/** A message was not delivered: the line waits. */
export async function pauseLine(
  databases: Databases,
  orgId: string,
  line: DueLine,
  failed: {
    readonly through: number;
    readonly failures: number;
    readonly since: number;
    readonly error: string;
    readonly until: number;
  },
): Promise<void> {
  const { through, failures, since, error, until } = failed;
  await runBatch(databaseOf(databases, orgId), [
    sql`UPDATE webhook_lines SET seq = ${through}, failures = ${failures}, failing_since = ${since}, last_error = ${error},
      due_at = ${until} WHERE ${isOn(orgId, line)}`,
  ]);
}

/**
 * The endpoint is given up in this org, until the operator says otherwise. The journal says so. If it was switched off or
 * removed meanwhile, nothing happens.
 */
export async function disableLine(
  databases: Databases,
  orgId: string,
  line: DueLine,
  { through, error, why }: { readonly through: number; readonly error: string; readonly why: 'failing' | 'gone' },
): Promise<void> {
  const store = openStore(databases, { kind: 'id', id: orgId }, Date.now());
  const { id, url } = line.webhook;
  const actor: Actor = { name: 'service', requestId: crypto.randomUUID() };
  const details = { host: new URL(url).host, why, error };
  try {
    await store.write(
      sql`UPDATE webhook_lines SET seq = ${through}, failures = failures + 1, last_error = ${error}, due_at = NULL,
        disabled_at = ${store.now}, disabled_why = ${why} WHERE ${isOn(orgId, line)}`,
      expectOneChange('webhook_line'),
      count(store),
      record(store, actor, { type: 'webhook.disabled', targetId: id, details }),
    );
  } catch (error) {
    if (!(error instanceof Unmet)) throw error;
  }
}
