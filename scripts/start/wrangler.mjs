/** Runs wrangler's own commands quietly, offline, and so that nothing of them outlives us. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { commandOf, root } from '../project.mjs';

const leash = fileURLToPath(new URL('./leash.mjs', import.meta.url));

/** Where the services of one state folder announce themselves to each other. */
const registryOf = (stateDir) => join(stateDir, 'registry');

/**
 * Turns an environment into one for local work. Whatever is set up for deploying (an account, an environment's name, a
 * registry, a proxy) would change what runs here, and our secrets have their own way in.
 */
export function localEnvironment(env, stateDir) {
  const foreign = /^(CLOUDFLARE|CF|WRANGLER|MINIFLARE)_|^(HTTPS?|ALL)_PROXY$|^(ADMIN|HOST)_TOKEN$/i;
  return {
    ...Object.fromEntries(Object.entries(env).filter(([name]) => !foreign.test(name))),
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    WRANGLER_HIDE_BANNER: 'true',
    WRANGLER_NO_SKILLS_UPDATE_PROMPTS: 'true',
    WRANGLER_REGISTRY_PATH: registryOf(stateDir),
    WRANGLER_SEND_METRICS: 'false',
    WRANGLER_WRITE_LOGS: 'false',
  };
}

/**
 * Starts a wrangler command as the leader of its own process group: wrangler starts further processes and forgets them
 * when it dies, and the group is what can still be ended then. The leash ends it if we die without a chance to.
 */
export function wrangler(stateDir, args) {
  const child = spawn(process.execPath, ['--import', leash, commandOf('wrangler', 'wrangler'), ...args], {
    cwd: root,
    detached: true,
    env: { ...localEnvironment(process.env, stateDir), LEASH_HOLDER: String(process.pid) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      signalGroup(child, 'SIGKILL');
      resolve(code ?? signal);
    });
    child.once('error', resolve);
  });
  return { child, ended };
}

/** Ends a command and all it started: politely, and after two seconds in any case. */
export async function end({ child, ended }) {
  child.kill('SIGTERM');
  const impatience = setTimeout(() => signalGroup(child, 'SIGKILL'), 2000);
  await ended;
  clearTimeout(impatience);
}

function signalGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // Nobody left in the group: what we wanted.
  }
}
