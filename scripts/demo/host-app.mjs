/** The application, as far as the demo needs it: users sign in, and each request checks the session. */
import { fileURLToPath } from 'node:url';
import { openBindings } from '../bindings.mjs';

const config = fileURLToPath(new URL('./host-app.toml', import.meta.url));

export async function openHostApp(stateDir) {
  // `scim-worker/sessions`, as it is: Node strips the types. An old Node, which cannot, must not come here.
  const { checkSession } = await import('../../src/sessions/client/index.ts');
  const { env, dispose } = await openBindings(config, { stateDir });
  return {
    /** The KV flag of a user: its key and parsed value, or undefined. */
    async flag(org, user) {
      const key = `rev:v1:${org}:${user}`;
      return { key, value: (await env.REVOCATIONS.get(key, 'json')) ?? undefined };
    },
    /** Whether a session is valid, by the code that applications import. */
    check: (session) => checkSession(env.REVOCATIONS, session),
    close: dispose,
  };
}
