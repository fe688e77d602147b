/** The vendor's product, as far as the demo needs it: people sign in, and each request asks whether the session is good. */
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { openBindings } from '../bindings.mjs';

const config = fileURLToPath(new URL('./host-app.toml', import.meta.url));

export async function openHostApp(stateDir) {
  const checkSession = await loadCheck();
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

/** `scim-worker/sessions`, as it is: Node strips the types, and the hook finds `./flag` where a bundler would. */
async function loadCheck() {
  registerHooks({
    resolve(specifier, context, next) {
      try {
        return next(specifier, context);
      } catch (error) {
        if (error.code !== 'ERR_MODULE_NOT_FOUND' || !/^\.{1,2}\/[^.]*$/.test(specifier)) throw error;
        return next(`${specifier}.ts`, context);
      }
    },
  });
  return (await import('../../src/sessions/check.ts')).checkSession;
}
