/**
 * The copy of the directory in this Worker's own database. One Durable Object for each org follows it, so no two mirrors
 * write at the same time. The cron wakes it each minute, and so does a sign-in.
 */
import { DurableObject } from 'cloudflare:workers';
import { and, eq } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/d1';
import { bindingDirectory, catchUp, type MirroredUser } from 'scim-worker/mirror';
import { env } from './env';
import { d1Store } from './mirror-store';
import { people, TABLES } from './mirror-tables';

/** The slugs of the orgs that are followed. */
const ORGS = env.MIRROR_ORGS?.split(',').filter((org) => org !== '') ?? [];

export class OrgMirror extends DurableObject {
  #turn: Promise<unknown> = Promise.resolve();

  /** Applies what has changed since the last time, one call after the other. @throws whatever service and database throw. */
  follow(org: string): Promise<void> {
    const turn = this.#turn.then(async () => {
      await env.DATABASE.batch(TABLES.map((table) => env.DATABASE.prepare(table)));
      await catchUp({ source: bindingDirectory(env.SESSIONS, org), store: d1Store(env.DATABASE, org), onError: log });
    });
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

const log = (error: unknown) => console.error(`mirror: ${error}`);

/** Never fails: the next minute tries again. */
export async function followDirectory(orgs: readonly string[] = ORGS): Promise<void> {
  const followed = orgs.filter((org) => ORGS.includes(org));
  await Promise.all(followed.map((org) => env.MIRROR.getByName(org).follow(org).catch(log)));
}

/** Up to 200 active people of an org, from our own database; undefined: the org is not followed. */
export async function colleaguesIn(org: string): Promise<readonly MirroredUser[] | undefined> {
  if (!ORGS.includes(org)) return undefined;
  await env.DATABASE.batch(TABLES.map((table) => env.DATABASE.prepare(table)));
  const rows = await drizzle(env.DATABASE)
    .select({ user: people.user })
    .from(people)
    .where(and(eq(people.org, org), eq(people.active, true)))
    .orderBy(people.userName)
    .limit(200);
  return rows.map(({ user }) => user);
}
