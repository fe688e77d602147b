/** The vendor's product, as far as the demo needs it: people sign in, and each request asks whether the session is good. */
import { fileURLToPath } from 'node:url';
// `scim-worker/sessions`, as it is: Node strips the types.
import { checkSession } from '../../src/sessions/client/index.ts';
import { openBindings } from '../bindings.mjs';

const config = fileURLToPath(new URL('./host-app.toml', import.meta.url));

export async function openHostApp(stateDir) {
  const { env, dispose } = await openBindings(config, { stateDir });
  return {
    /** What stands in KV for a user: the key and its parsed value, undefined when there is none. */
    async flag(org, user) {
      const key = `rev:v1:${org}:${user}`;
      return { key, value: (await env.REVOCATIONS.get(key, 'json')) ?? undefined };
    },
    /** Whether a session is good, decided by the very code that host apps import. */
    check: (session) => checkSession(env.REVOCATIONS, session),
    close: dispose,
  };
}
