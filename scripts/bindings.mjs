/** The bindings of a wrangler configuration, in this process: how a script comes to what only Workers have. */
import module, { createRequire } from 'node:module'; // by its default: an old Node must come to the sentence of project.mjs
import process from 'node:process';
import { cacheFolder } from './project.mjs';
import { storageOf } from './start/state-dir.mjs';
import { CLOSED, localEnvironment } from './start/wrangler.mjs';

/**
 * Local bindings see what the service of that state folder stores and the Workers it runs; remote ones the deployed,
 * through wrangler's login. Always `dispose()` of them: they are a process of their own.
 */
export async function openBindings(configPath, { stateDir, isRemote = false, environment }) {
  prepareEnvironment(isRemote);
  module.enableCompileCache(cacheFolder);
  // `import` would first read all of wrangler once more, to find out which exports it has.
  const { getPlatformProxy } = createRequire(import.meta.url)('wrangler');
  return getPlatformProxy({
    configPath,
    ...(environment && { environment }),
    envFiles: [],
    persist: isRemote ? false : { path: storageOf(stateDir) },
    remoteBindings: isRemote,
  });
}

/** Must happen before wrangler is loaded, which looks at the environment while it loads. */
function prepareEnvironment(isRemote) {
  if (isRemote) {
    // A missing login is then an error to explain, not a browser that opens itself.
    Object.assign(process.env, { CI: '1', WRANGLER_HIDE_BANNER: 'true', WRANGLER_WRITE_LOGS: 'false', ...CLOSED });
  } else {
    const local = localEnvironment(process.env);
    for (const name of Object.keys(process.env)) if (!(name in local)) delete process.env[name];
    Object.assign(process.env, local);
  }
  process.env.WRANGLER_LOG = 'none'; // its errors are thrown as well, and standard output is for answers
}
