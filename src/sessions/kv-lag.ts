/**
 * A key that the cron writes every five minutes, so that its age tells how far behind KV is where it is read. No flag
 * depends on it.
 */
import { allDatabases, type Databases } from '../store/d1/databases';
import { countUnflagged } from '../store/journal/outbox';
import { countStates, type ShardState } from '../store/operations/shards';

const KEY = 'canary:v1';
/** Seconds between two writes. The cron runs each minute; a write each minute would cost 1,440 KV writes a day. */
const PROBE_INTERVAL = 300;
/** Seconds: the run of the cron that is nearest to the interval writes, whatever its second. */
const SLACK = 30;
/** As applications read their flags (check.ts), so that the probe is cached as they are. */
const CACHE_TTL = 30;

/** Whole seconds. */
export interface KvLag {
  /** ISO. When the newest probe that can be seen here was written. */
  readonly writtenAt: string;
  readonly age: number;
  /** How far KV is behind here at least: the age beyond one interval, in which no newer probe need exist. */
  readonly lag: number;
  /**
   * How many orgs had no flag in KV when it was written, at most COUNTED; null: this was not counted. At 0, hosts may refuse
   * sessions of an org without a flag (docs/sessions.md).
   */
  readonly orgsWithoutFlag: number | null;
}

/** What the cron has written, as this location sees it. */
export interface Probe {
  readonly kv: KvLag;
  /** How many databases were in each state (docs/shards.md); null: this was not counted. */
  readonly databases: States | null;
}

type States = Partial<Record<ShardState, number>>;

/** Nothing is wrong with any database. */
const areOpen = (databases: States | null): boolean => databases !== null && Object.keys(databases).join() === 'open';

/** More are not counted. */
const COUNTED = 100_000;

/**
 * D1 is asked here, and not by /health, which is open to anyone. KV is written when the probe is old, or the number of orgs or
 * the states of databases have changed, and even when D1 or the read of the probe fails.
 *
 * @param now epoch milliseconds. @throws whatever the write to KV throws.
 */
export async function writeKvProbe(env: Databases & { readonly REVOCATIONS: KVNamespace }, now: number): Promise<void> {
  const counted = Promise.all(allDatabases(env).map((db) => countUnflagged(db, COUNTED)));
  const orgsWithoutFlag = await counted.then((counts) => counts.reduce((sum, n) => sum + n, 0)).catch(() => null);
  const last = await readProbe(env.REVOCATIONS, now).catch(() => undefined);
  const isFresh = last !== undefined && last.kv.age < PROBE_INTERVAL - SLACK;
  // What is wrong is looked at each minute, so that its end is told soon.
  const databases = isFresh && areOpen(last.databases) ? last.databases : await countStates(env);
  const isSame = last?.kv.orgsWithoutFlag === orgsWithoutFlag && isEqual(last.databases, databases);
  if (isFresh && isSame) return;
  await env.REVOCATIONS.put(KEY, JSON.stringify({ v: 1, at: now, orgsWithoutFlag, databases }));
}

/**
 * The newest probe as this location sees it; undefined before the first one.
 *
 * @throws whatever KV throws.
 */
export async function readProbe(flags: KVNamespace, now: number): Promise<Probe | undefined> {
  const probe = await flags.get<{ at: number; orgsWithoutFlag?: number | null; databases?: States | null }>(KEY, {
    type: 'json',
    cacheTtl: CACHE_TTL,
  });
  if (typeof probe?.at !== 'number') return undefined;
  const age = Math.max(0, Math.round((now - probe.at) / 1_000));
  const kv = {
    ...{ writtenAt: new Date(probe.at).toISOString(), age, lag: Math.max(0, age - PROBE_INTERVAL) },
    orgsWithoutFlag: probe.orgsWithoutFlag ?? null,
  };
  return { kv, databases: probe.databases ?? null };
}

const isEqual = (a: States | null, b: States | null) => JSON.stringify(a) === JSON.stringify(b);
