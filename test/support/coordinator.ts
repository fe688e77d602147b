/** An org's coordinator with other bindings than its own, and what it leaves behind in D1 and KV. */
import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, onTestFinished, vi } from 'vitest';
import { KV_SECOND, keyWrites } from '../../src/coordinator';
import type { Env } from '../../src/env';
import type { Flag } from '../../src/sessions/flag';

export const coordinatorOf = (orgId: string) => env.ORG_COORDINATOR.getByName(orgId);

/** Until the object is evicted, or its own are given back: `rebind(orgId, {})`. */
export const rebind = (orgId: string, bindings: Partial<Env>): Promise<void> =>
  runInDurableObject(coordinatorOf(orgId), (instance) => {
    (instance as unknown as { env: Env }).env = { ...env, ...bindings };
  });

/** For one test, which runs alone, a key is written as often as in production. In all others the second is shorter. */
export function useWholeSecond(): void {
  const { interval } = keyWrites;
  keyWrites.interval = KV_SECOND;
  onTestFinished(() => {
    keyWrites.interval = interval;
  });
}

/** Ends the object in memory, as soon as nothing of an earlier request is under way in it. */
export const evict = (orgId: string, options?: Parameters<typeof evictDurableObject>[1]): Promise<void> =>
  vi.waitFor(() => evictDurableObject(coordinatorOf(orgId), options), { timeout: 60_000, interval: 50 });

export const brokenKv = { put: () => Promise.reject(new Error('KV PUT failed: 500')) } as unknown as KVNamespace;

/** A KV that notes what is written to it, and writes it. */
export class NotedKv {
  readonly puts: { readonly key: string; readonly flag: Flag; readonly at: number }[] = [];
  /** Before each write: to hold it, or to do something just then. */
  onPut: () => Promise<void> | void = () => undefined;

  get binding(): KVNamespace {
    return {
      put: async (key: string, value: string, options?: KVNamespacePutOptions) => {
        this.puts.push({ key, flag: JSON.parse(value), at: Date.now() });
        await this.onPut();
        await env.REVOCATIONS.put(key, value, options);
      },
      get: (key: string) => env.REVOCATIONS.get(key),
    } as unknown as KVNamespace;
  }
}

/** What is in KV, spelled as hosts read it. */
export const flagOf = (orgId: string, userId?: string) =>
  env.REVOCATIONS.get<Flag>(userId === undefined ? `rev:v1:${orgId}` : `rev:v1:${orgId}:${userId}`, 'json');

/** The flag that the service writes. */
export const writtenFlag = (active: boolean, validAfter: number | null): Flag =>
  ({ v: 1, active, validAfter, notBefore: validAfter }) as Flag;

/** How many publications wait. */
export const waiting = async (orgId: string): Promise<number> =>
  (await env.DB.prepare('SELECT count(*) AS n FROM outbox WHERE org_id = ?').bind(orgId).first<number>('n'))!;

/** Waits until nothing waits any more: the coordinator settles what it has published after the answer. */
export const settled = (orgId: string): Promise<void> =>
  vi.waitFor(async () => expect(await waiting(orgId)).toBe(0), { timeout: 20_000, interval: 20 });

export async function userRow(orgId: string, userId: string) {
  const row = await env.DB.prepare('SELECT active, not_before, deleted_at FROM users WHERE org_id = ? AND id = ?')
    .bind(orgId, userId)
    .first<{ active: number; not_before: number | null; deleted_at: number | null }>();
  return row!;
}
