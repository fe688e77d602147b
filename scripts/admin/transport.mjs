/**
 * The way to the administrator's API: over HTTP to the service on this machine or to any address (--url), each with its
 * token; or, with wrangler's own login, to the entrypoint `Admin` of the deployed Worker, which has no public address.
 * It does not know about orgs.
 */
import { userInfo } from 'node:os';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { openBindings } from '../bindings.mjs';
import { nameOf } from '../project.mjs';
import { holderOf } from '../start/lock.mjs';
import { adminTokenOf, readOwn } from '../start/state-dir.mjs';

const config = fileURLToPath(new URL('./wrangler.toml', import.meta.url));
const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/** A refusal, in the API's terms: `code` for programs, the message for people. */
export class AdminError extends Error {
  constructor(code, message, status) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/**
 * Opens the API. `callAdmin(path, { method, body })` answers the JSON of a 2xx and throws an AdminError otherwise.
 *
 * @param url of a service that runs elsewhere; its token is ADMIN_TOKEN of `env`.
 * @param open for tests: a substitute for wrangler.
 * @param onIncomplete gets the names of databases that an answer lacks.
 */
export async function openAdmin({
  stateDir,
  isRemote = false,
  environment,
  url,
  env = process.env,
  open = openBindings,
  onIncomplete = () => {},
}) {
  if (environment !== undefined && !isRemote)
    throw new AdminError('usage', '--env needs --remote. See: npm run admin -- --help');
  if (url !== undefined && isRemote)
    throw new AdminError('usage', '--url and --remote exclude each other. Use one of them.');
  const callable = (ask) => ({ callAdmin: askedBy(ask, onIncomplete) });
  if (isRemote) return callable(throughWrangler(() => openProxy(open, stateDir, environment)));
  if (url !== undefined) {
    const service = addressIn(url);
    const ask = overHttp(service, tokenIn(env));
    return callable(async (path, init) => checkAccepted(service, await ask(path, init)));
  }
  const holder = await localService(stateDir);
  const token = await readOwn(adminTokenOf(stateDir));
  if (holder.url === undefined || token === undefined) throw notReady(stateDir);
  return callable(overHttp(holder.url, token, () => notReady(stateDir)));
}

/** @param ask `(path, init) -> { answer, text }` */
function askedBy(ask, onIncomplete) {
  return async (path, { method = 'GET', body } = {}) => {
    const headers = { 'x-admin-by': userName() };
    if (body !== undefined) headers['content-type'] = 'application/json';
    const { answer, text } = await ask(path, {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const incomplete = answer.headers.get('Incomplete-Databases');
    if (incomplete) onIncomplete(incomplete.split(', '));
    return read(answer, text);
  };
}

/** The service's own words for a 401 are about its bearer token, which an operator has never met. */
function checkAccepted(url, result) {
  if (result.answer.status !== 401) return result;
  throw new AdminError('unauthorized', `${url} does not accept this ADMIN_TOKEN.`, 401);
}

/** A redirection is an error: the token is for this address alone. */
function overHttp(url, token, refused) {
  return async (path, init) => {
    const headers = { ...init.headers, authorization: `Bearer ${token}` };
    try {
      const answer = await fetch(`${url}/admin/v1${path}`, { ...init, headers, redirect: 'error' });
      return { answer, text: await answer.text() };
    } catch (error) {
      if (refused && error.cause?.code === 'ECONNREFUSED') throw refused();
      throw unreachable(`${url} could not be reached`, error);
    }
  };
}

/**
 * wrangler's way to a deployed Worker is a port of this machine that asks for no credential: every local user can use
 * it. So it is open during a call, and for no longer. Calls at the same time share it.
 */
function throughWrangler(openPort) {
  let users = 0;
  let opening;
  return async (path, init) => {
    users++;
    opening ??= openPort();
    const port = opening;
    try {
      const { env } = await port;
      try {
        const answer = await env.ADMIN.fetch(`https://admin${path}`, init);
        return { answer, text: await answer.text() };
      } catch (error) {
        throw unreachable('The Worker could not be reached', error);
      }
    } finally {
      if (--users === 0) {
        opening = undefined;
        await port.then(
          ({ dispose }) => dispose(),
          () => undefined,
        );
      }
    }
  };
}

async function openProxy(open, stateDir, environment) {
  try {
    return await open(config, { stateDir, isRemote: true, environment });
  } catch (error) {
    if (/CLOUDFLARE_API_TOKEN|log ?in|not authenticated/i.test(error.message)) {
      throw new AdminError(
        'not_logged_in',
        'Not logged in to Cloudflare. Run `npx wrangler login`, or set CLOUDFLARE_API_TOKEN.',
      );
    }
    throw unreachable('The deployed Worker could not be reached', error);
  }
}

/** @throws AdminError `usage` unless it is an https address, or one of this machine. */
function addressIn(given) {
  let url;
  try {
    url = new URL(given);
  } catch {
    throw new AdminError('usage', '--url: an address was expected, such as https://scim.example.com.');
  }
  const { protocol, hostname, username, password, search, hash } = url;
  if (username || password || search || hash) {
    throw new AdminError('usage', '--url: an address without credentials and without a query was expected.');
  }
  if (protocol !== 'https:' && !(protocol === 'http:' && LOOPBACK.includes(hostname))) {
    throw new AdminError('usage', '--url: https was expected. Over http, the network could read the token.');
  }
  return url.href.replace(/\/+$/, '');
}

function tokenIn({ ADMIN_TOKEN }) {
  if (ADMIN_TOKEN) return ADMIN_TOKEN;
  throw new AdminError('usage', '--url needs the environment variable ADMIN_TOKEN, with the secret of that service.');
}

async function localService(stateDir) {
  let holder;
  try {
    holder = await holderOf(stateDir);
  } catch (error) {
    throw new AdminError('unreachable', `${error.message}.`);
  }
  if (!holder) throw notRunning(stateDir);
  return holder;
}

const unreachable = (what, { message, cause }) =>
  new AdminError('unreachable', `${what}: ${cause?.message || message}`);

const notReady = (stateDir) =>
  new AdminError('not_ready', `The service with ${nameOf(stateDir)} is still starting. Try again in a moment.`);

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
  return new AdminError('not_running', `No service is running with ${folder}. Start it in another terminal: ${start}`);
}

/** The name that the journal records. A label, not a proof: only the credential proves something. */
function userName() {
  try {
    return userInfo().username.replace(/[^ -~]/g, '?');
  } catch {
    return 'unknown'; // a container may run as a user without a name
  }
}
