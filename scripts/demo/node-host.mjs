/** `examples/node-host` as a process of its own, and a browser as far as it needs one: a cookie, forms, an open page. */
import { spawn } from 'node:child_process';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const pathOf = (name) => fileURLToPath(new URL(name, import.meta.url));
const program = pathOf('../../examples/node-host/server.mjs');
const exitWithParent = pathOf('../start/exit-with-parent.mjs');

/** `settings` are its environment variables, SCIM_URL and HOST_TOKEN at least. */
export async function openNodeHost(settings) {
  // That module ends its whole group if we die without a chance to: so it has one of its own.
  const child = spawn(process.execPath, ['--import', exitWithParent, program], {
    detached: true,
    env: { PATH: process.env.PATH, LEASH_HOLDER: String(process.pid), PORT: '0', ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const errors = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    errors.push(line);
    process.stderr.write(`${line}\n`);
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const url = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => resolve(/ready on (\S+)/.exec(line)?.[1]));
    child.once('error', reject);
    ended.then((code) => reject(new Error(`the Node host ended (${code})`)));
  });
  return {
    url,
    errors,
    browser: () => openBrowser(url),
    /** Resolves with its exit code. */
    close() {
      child.kill('SIGTERM');
      return ended;
    },
  };
}

/** Each browser is another user's. */
export function openBrowser(url, send = fetch) {
  let cookie = '';
  async function ask(path, init = {}) {
    const headers = { ...(cookie && { cookie }), ...init.headers };
    const answer = await send(new URL(path, url).href, { ...init, headers, redirect: 'manual' });
    for (const set of answer.headers.getSetCookie()) cookie = /=;|Max-Age=0/.test(set) ? '' : set.split(';')[0];
    return answer;
  }
  async function page(answer) {
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  }
  return {
    get cookie() {
      return cookie;
    },
    set cookie(value) {
      cookie = value;
    },
    get: async (path) => page(await ask(path)),
    /** A form of the site's own, unless `origin` says otherwise. */
    post: async (path, form = {}, origin = new URL(url).origin) =>
      page(await ask(path, { method: 'POST', body: new URLSearchParams(form), headers: { origin } })),
    /** Opens the page's line to the server; `ended` resolves with the reason and its instant (performance.now). */
    async listen() {
      const answer = await ask('/live');
      if (answer.status !== 200) throw new Error(`/live was answered with HTTP ${answer.status}`);
      return { ended: hear(answer.body) };
    },
  };
}

async function hear(stream) {
  let said = '';
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    said += chunk;
    const reason = /^event: ended\ndata: (.*)$/m.exec(said)?.[1];
    if (reason) return { reason, at: performance.now() };
  }
  throw new Error('the line to the page broke off');
}
