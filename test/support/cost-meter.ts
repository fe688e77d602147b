/**
 * What one operation costs the platform: D1, Durable Objects and KV together, the coordinator's own calls included.
 * `Meter` sees what a request sends through its binding; this sees every invocation (platform.ts).
 */
import { type Answer, type Ask, type Idp, idpOf } from './client';
import { published } from './database';
import { NOTE } from './meter';
import { type Invocation, observers } from './platform';

/** The columns of the table. `after`: D1 round trips that follow the answer. All others count until the answer. */
export const COLUMNS = [
  'trips',
  'statements',
  'SQL bytes',
  'rows read',
  'rows written',
  'object calls',
  'KV reads',
  'KV writes',
  'after',
] as const;

export type Cost = Record<(typeof COLUMNS)[number], number>;

const encoder = new TextEncoder();
const NOTHING = Object.fromEntries(COLUMNS.map((name) => [name, 0])) as Cost;
/** They run when their time has come, whichever operation is measured then. */
const LATER = ['alarm', 'scheduled'];

/** Milliseconds without a call to D1, after which what followed from the operation before is over. */
const QUIET = 150;

/** Waits until nothing follows any more from what was done before: it would be counted with the next operation. */
async function quiet(): Promise<void> {
  let since = performance.now();
  const observer = {
    queried: () => {
      since = performance.now();
    },
    keptInKv: () => undefined,
    objectCalled: () => undefined,
  };
  observers.add(observer);
  // On a busy machine, the outbox may be settled later than that.
  await published();
  while (performance.now() - since < QUIET) await new Promise((resolve) => setTimeout(resolve, 20));
  observers.delete(observer);
}

/**
 * Runs an operation and counts its calls.
 *
 * @param run sends one request, with what it is given beside its own.
 */
export async function costOf(run: (metered: Ask) => Promise<Answer>): Promise<{ answer: Answer; cost: Cost }> {
  await quiet();
  const cost = { ...NOTHING };
  let isAnswered = false;
  const count = (name: keyof Cost, by = 1) => {
    if (!isAnswered) cost[name] += by;
  };
  const observer = {
    queried(statements: readonly string[], results: readonly D1Result[], { name }: Invocation) {
      if (LATER.includes(name) || statements.every((text) => NOTE.test(text))) return;
      if (isAnswered) cost.after++;
      count('trips');
      count('statements', statements.length);
      for (const text of statements) count('SQL bytes', encoder.encode(text).byteLength);
      for (const { meta } of results) {
        count('rows read', meta.rows_read);
        count('rows written', meta.rows_written);
      }
    },
    keptInKv: (method: string) => count(method === 'put' || method === 'delete' ? 'KV writes' : 'KV reads'),
    objectCalled: () => count('object calls'),
  };
  observers.add(observer);
  try {
    const answer = await run({
      onAnswer: () => {
        isAnswered = true;
      },
    });
    return { answer, cost };
  } finally {
    observers.delete(observer);
  }
}

/** The same IdP, whose requests carry what the meter needs. */
export function meteredIdp({ slug, orgId, token }: Idp, metered: Ask): Idp {
  const idp = idpOf(slug, orgId, token);
  return {
    ...idp,
    get: (path) => idp.get(path, metered),
    post: (path, body) => idp.post(path, body, metered),
    put: (path, body) => idp.put(path, body, metered),
    patch: (path, operations) => idp.patch(path, operations, metered),
    delete: (path) => idp.delete(path, metered),
  };
}

/** A table of bounds as text: a line of names, then a line for each operation; cells are separated by `|`. */
export function parseBounds(text: string): Map<string, Cost> {
  const [, ...lines] = text.trim().split('\n');
  return new Map(
    lines.map((line) => {
      const [operation, ...cells] = line.split('|').map((cell) => cell.trim());
      return [operation!, Object.fromEntries(COLUMNS.map((name, at) => [name, Number(cells[at])])) as Cost];
    }),
  );
}

/** The inverse of `parseBounds`: to be read, and to be put in the test. */
export function tableOf(costs: ReadonlyMap<string, Cost>): string {
  const rows = [['operation', ...COLUMNS], ...[...costs].map(([name, cost]) => [name, ...COLUMNS.map((c) => cost[c])])];
  const width = (at: number) => Math.max(...rows.map((row) => String(row[at]).length));
  const cell = (value: string | number, at: number) =>
    at === 0 ? String(value).padEnd(width(at)) : String(value).padStart(width(at));
  return rows.map((row) => row.map(cell).join(' | ')).join('\n');
}
