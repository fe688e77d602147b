/**
 * The way to the Worker's `Admin` entrypoint, which no HTTP address reaches: a service binding, to the service running
 * on this machine or, through wrangler's own login, to the deployed one. Knows nothing of orgs or tokens.
 */
import { userInfo } from 'node:os';
import { fileURLToPath } from 'node:url';
import { openBindings } from '../bindings.mjs';
import { nameOf } from '../project.mjs';
import { holderOf } from '../start/lock.mjs';

const config = fileURLToPath(new URL('./wrangler.toml', import.meta.url));

/** A refusal, in the API's terms: `code` for programs, the message for people. */
export class AdminError extends Error {
  constructor(code, message, status) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/**
 * Opens the door. `callAdmin(path, { method, body })` answers the JSON of a 2xx and throws an AdminError otherwise.
 * Always `close()` it: the binding is a process of its own.
 */
export async function openAdmin({ stateDir, isRemote = false, environment }) {
  if (environment !== undefined && !isRemote) throw new AdminError('usage', '--env goes with --remote.');
  // Asked first, for a good answer within a tenth of a second; wrangler needs a whole one to say less.
  if (!isRemote && !(await holderOf(stateDir))) throw notRunning(stateDir);
  const proxy = await openProxy(stateDir, isRemote, environment);

  async function callAdmin(path, { method = 'GET', body } = {}) {
    const headers = { 'x-admin-by': userName() };
    if (body !== undefined) headers['content-type'] = 'application/json';
    let answer;
    let text;
    try {
      answer = await proxy.env.ADMIN.fetch(`https://admin${path}`, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      text = await answer.text();
    } catch (error) {
      throw new AdminError('unreachable', `The Worker could not be reached: ${error.message}`);
    }
    if (answer.status === 503 && text.includes('Make sure it is running')) {
      throw new AdminError('not_ready', `The service in ${nameOf(stateDir)} is starting. Try again in a moment.`);
    }
    return read(answer, text);
  }

  return { callAdmin, close: () => proxy.dispose() };
}

async function openProxy(stateDir, isRemote, environment) {
  try {
    return await openBindings(config, { stateDir, isRemote, environment });
  } catch (error) {
    if (!isRemote) throw error;
    if (/CLOUDFLARE_API_TOKEN|log ?in|not authenticated/i.test(error.message)) {
      throw new AdminError(
        'not_logged_in',
        'Not logged in to Cloudflare. Run `npx wrangler login`, or set CLOUDFLARE_API_TOKEN.',
      );
    }
    throw new AdminError('unreachable', `The deployed Worker could not be reached. ${error.message}`);
  }
}

function read(answer, text) {
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    throw new AdminError('unexpected', `The Worker answered ${answer.status}: ${text.slice(0, 200)}`, answer.status);
  }
  if (answer.ok) return json;
  throw new AdminError(json.error ?? 'error', json.detail ?? `The Worker answered ${answer.status}.`, answer.status);
}

function notRunning(stateDir) {
  const folder = nameOf(stateDir);
  const start = folder === '.wrangler/state' ? 'npm start' : `STATE_DIR=${folder} npm start`;
  return new AdminError('not_running', `No service is running with ${folder}. Start it with \`${start}\`.`);
}

/** Who is recorded in the journal. A label, not a proof: the proof is being able to call at all. */
function userName() {
  try {
    return userInfo().username.replace(/[^ -~]/g, '?');
  } catch {
    return 'unknown'; // a container may run as a user without a name
  }
}
