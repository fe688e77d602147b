/** The tables as they are: for "nothing has changed", and for what no answer shows. */
import { env } from 'cloudflare:workers';
import { keyWrites } from '../../src/coordinator';

export type Row = Record<string, unknown>;

const TABLES = [
  'orgs',
  'credentials',
  'oauth_clients',
  'grants',
  'approvals',
  'users',
  'user_emails',
  'groups',
  'events',
  'outbox',
  'schemas',
  'deleted_orgs',
  'signal_sources',
] as const;
/** WITHOUT ROWID: their keys, which are all they have. */
const KEYED = {
  memberships: '1, 2, 3, 4',
  group_permissions: '1, 2, 3',
  assertions: '1, 2',
  brake_counts: '1, 2',
  brake_held: '1, 2',
  webhooks: '1, 2',
  signal_receivers: '1',
  signal_receiver_orgs: '1, 2',
  signal_streams: '1',
  signal_lines: '1, 2',
  signal_exclusions: '1, 2, 3',
  signing_keys: '1',
} as const;

export async function rows(statement: string, ...values: unknown[]): Promise<Row[]> {
  const { results } = await env.DB.prepare(statement)
    .bind(...values)
    .all<Row>();
  return results;
}

/**
 * Every row of every table as text: equal dumps mean that nothing was written in between. Without the refusals, for that
 * something was refused is counted.
 */
export async function dump(): Promise<string> {
  await published();
  return textOf([...TABLES.map((table) => [table, 'rowid']), ...Object.entries(KEYED)]);
}

/** The newest row that did not move when a dump waited for it. The next dump does not wait for it again. */
let stuck = '';

/** What was published is settled a moment after the answer. Where a fault keeps it waiting, the dump shows it. */
export async function published(): Promise<void> {
  let [left, since] = [-1, performance.now()];
  for (;;) {
    const [row] = await rows("SELECT count(*) AS n, max(seq) || ' ' || max(requested_at) AS newest FROM outbox");
    const [now, newest] = [row!['n'] as number, row!['newest'] as string];
    if (now === 0 || newest === stuck) return;
    if (now !== left) [left, since] = [now, performance.now()];
    // While it gets less, it is being published.
    else if (performance.now() - since > keyWrites.interval + 500) {
      stuck = newest;
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** With them, for what must stand nowhere. */
export const dumpAll = async (): Promise<string> =>
  (await dump()) + (await textOf([['refusals', '1, 2, 3, 4, 5, 6, 7']]));

async function textOf(ordered: string[][]): Promise<string> {
  const tables = await env.DB.batch<Row>(
    ordered.map(([table, by]) => env.DB.prepare(`SELECT * FROM ${table} ORDER BY ${by}`)),
  );
  return JSON.stringify(
    tables.map(({ results }, i) => [ordered[i]![0], results]),
    undefined,
    1,
  );
}

export interface Event {
  readonly seq: number;
  readonly type: string;
  readonly actor: string;
  readonly request_id: string;
  readonly target_id: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: looked into freely, as an answer's body is
  readonly details: any;
}

/** The org's journal, of one resource or of all, the oldest first. */
export async function journal(orgId: string, targetId?: string): Promise<Event[]> {
  const found = await rows(
    'SELECT * FROM events WHERE org_id = ?1 AND (?2 IS NULL OR target_id = ?2) ORDER BY seq',
    orgId,
    targetId ?? null,
  );
  return found.map((row) => ({ ...row, details: JSON.parse(row['details'] as string) }) as unknown as Event);
}

/** The org's counters beside what they should say, at one moment. */
export async function counters(orgId: string): Promise<{ kept: Row; real: Row }> {
  const [kept, real] = await env.DB.batch<Row>([
    env.DB.prepare('SELECT user_count AS users, active_user_count AS active FROM orgs WHERE id = ?').bind(orgId),
    env.DB.prepare(
      'SELECT count(*) AS users, ifnull(sum(active), 0) AS active FROM users WHERE org_id = ? AND deleted_at IS NULL',
    ).bind(orgId),
  ]);
  return { kept: kept!.results[0]!, real: real!.results[0]! };
}
