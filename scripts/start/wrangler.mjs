/** Runs wrangler's own commands, and other processes of ours, quietly, offline, and so that nothing of them outlives us. */
import { spawn } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { cacheFolder, commandOf, root } from '../project.mjs';

const exitWithParent = fileURLToPath(new URL('./exit-with-parent.mjs', import.meta.url));

/**
 * Turns an environment into one for local work. Whatever is set up for deploying (an account, an environment's name, a
 * registry, a proxy) would change what runs here, and our secrets have their own way in.
 */
export function localEnvironment(env) {
  const foreign = /^(CLOUDFLARE|CF|WRANGLER|MINIFLARE|X_LOCAL)_|^(HTTPS?|ALL)_PROXY$|^(ADMIN|HOST)_TOKEN$/i;
  return {
    ...Object.fromEntries(Object.entries(env).filter(([name]) => !foreign.test(name))),
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    NODE_COMPILE_CACHE: cacheFolder,
    WRANGLER_HIDE_BANNER: 'true',
    WRANGLER_NO_SKILLS_UPDATE_PROMPTS: 'true',
    WRANGLER_SEND_METRICS: 'false',
    WRANGLER_WRITE_LOGS: 'false',
    ...CLOSED,
  };
}

/** Entrances that wrangler opens to every user of the machine unless it is told not to. */
export const CLOSED = {
  WRANGLER_REGISTRY_PATH: '', // empty: no registry, and so no debug port, which reaches every entrypoint
  X_LOCAL_EXPLORER: 'false',
  X_LOCAL_OBSERVABILITY: 'false',
};

/** Starts a wrangler command. */
export const wrangler = (args) => leashed([commandOf('wrangler', 'wrangler'), ...args], ['ignore', 'pipe', 'pipe']);

/**
 * Starts a Node program as the leader of its own process group: wrangler starts further processes and forgets them
 * when it dies, and the group is what can still be ended then. That module ends it if we die without a chance to.
 */
export function leashed(args, stdio, env = {}) {
  const child = spawn(process.execPath, ['--import', exitWithParent, ...args], {
    cwd: root,
    detached: true,
    env: { ...localEnvironment(process.env), ...env, LEASH_HOLDER: String(process.pid) },
    stdio,
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
