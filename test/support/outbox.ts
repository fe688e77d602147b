/** What an org has told of its sessions, and what it has asked to be published: one for one, in the same order. */
import { env } from 'cloudflare:workers';
import type { Env } from '../../src/env';
import { rows } from './database';

/** A coordinator that nobody reaches: what is asked for stays in the outbox. */
export const unreachable: Pick<Env, 'ORG_COORDINATOR'> = {
  ORG_COORDINATOR: {
    getByName: () => ({
      publish: () => Promise.reject(new Error('Durable Object is overloaded')),
      drain: () => Promise.reject(new Error('Durable Object is overloaded')),
    }),
  } as unknown as Env['ORG_COORDINATOR'],
};

/** By subject: ids of users, and '' for the org. */
export async function publications(orgId: string): Promise<{ asked: unknown[]; told: unknown[] }> {
  const asked = await rows('SELECT user_id AS id FROM outbox WHERE org_id = ? ORDER BY seq', orgId);
  const told = await rows(
    "SELECT ifnull(target_id, '') AS id FROM events WHERE org_id = ? AND publishes = 1 ORDER BY seq",
    orgId,
  );
  return { asked: asked.map(({ id }) => id), told: told.map(({ id }) => id) };
}

/** From here on a batch that would lower a not-before fails, whoever asks for it. */
export async function forbidLowering(): Promise<void> {
  await env.DB.batch(
    ['users', 'orgs'].map((table) =>
      env.DB.prepare(`CREATE TRIGGER ${table}_not_lowered BEFORE UPDATE ON ${table}
        WHEN ifnull(NEW.not_before, 0) < ifnull(OLD.not_before, 0) BEGIN SELECT RAISE(ABORT, 'lowered'); END`),
    ),
  );
}
