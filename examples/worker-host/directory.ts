/** The login gate of scim-worker: who is this, and may they sign in? */
import { env, type Person, type Resolved } from './env';

/** The service could not say. */
export class Unavailable extends Error {}

/**
 * By userName, else by e-mail address.
 *
 * @throws Unavailable.
 */
export async function find(org: string, name: string): Promise<Resolved> {
  const byName = await ask({ org, userName: name });
  return byName.found || !name.includes('@') ? byName : ask({ org, email: name });
}

/** @throws Unavailable. */
export async function personOf(session: { org: string; user: string }): Promise<Person | undefined> {
  const answer = await ask({ org: session.org, id: session.user });
  return answer.found ? answer : undefined;
}

async function ask(question: Parameters<typeof env.SESSIONS.resolve>[0]): Promise<Resolved> {
  try {
    return await env.SESSIONS.resolve(question);
  } catch (error) {
    throw new Unavailable('resolve', { cause: error });
  }
}
