/**
 * A host app on Node: `node server.mjs`. Settings are environment variables: SCIM_URL, HOST_TOKEN (of `hosts add` with the scopes
 * check and resolve, or the service's own; a mirror also needs lists), PORT (8080; 0 takes a free one), ORIGIN (the address that people use), ON_UNAVAILABLE (deny, allow, last-known), MAX_SILENCE (60 seconds),
 * MIRROR_DB (a file of SQLite that follows the directory; unset: none) and MIRROR_ORGS (`acme,globex`).
 */
import { createServer } from 'node:http';
import process from 'node:process';
import { startMirrors } from './mirror.mjs';
import { accountPage, exportPage, messagePage, POLICY, signedOutPage, signInPage } from './pages.mjs';
import { SESSION_LIFE, Sessions, Unavailable } from './sessions.ts';

const {
  SCIM_URL: scimUrl = 'http://localhost:8787',
  HOST_TOKEN: hostToken = '',
  PORT = '8080',
  ORIGIN,
  ON_UNAVAILABLE: onUnavailable = 'deny',
  MAX_SILENCE = '60',
  MIRROR_DB,
  MIRROR_ORGS = '',
} = process.env;

const sessions = new Sessions({
  ...{ scimUrl, hostToken, onUnavailable, maxSilence: Number(MAX_SILENCE) * 1000 },
  onStatus: ({ org, is, detail = '' }) => console.log(`stream of ${org}: ${is} ${detail}`.trim()),
});

const ender = new AbortController();
const mirrors = MIRROR_DB
  ? startMirrors({
      scimUrl,
      hostToken,
      path: MIRROR_DB,
      orgs: MIRROR_ORGS.split(',').filter(Boolean),
      signal: ender.signal,
    })
  : [];

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    if (error instanceof Unavailable) {
      const page = messagePage('This cannot be checked just now', 'Nothing has changed. Try again in a moment.');
      send(response, 503, page, { 'Retry-After': '5' });
    } else {
      console.error(error);
      if (response.headersSent) response.destroy();
      else send(response, 500, messagePage('This site has failed', 'Try again later.'));
    }
  });
});
let origin = ORIGIN;
server.listen(Number(PORT), '127.0.0.1', () => {
  origin ??= `http://localhost:${server.address().port}`;
  console.log(`node-host is ready on ${origin}`);
  void sessions.configurationFault().then((fault) => fault && console.error(`nobody can sign in: ${fault}`));
});
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, async () => {
    server.close();
    server.closeAllConnections();
    ender.abort();
    await Promise.all([sessions.close(), ...mirrors.map(({ done }) => done)]);
  });
}

async function answer(request, response) {
  const { pathname } = new URL(request.url, origin);
  const act = routes[`${request.method} ${pathname}`];
  if (!act) return send(response, 404, messagePage('There is no such page', 'Go back to where you came from.'));
  // Browsers name the origin of every form; the cookie's SameSite is the second lock.
  if (request.method === 'POST' && request.headers.origin !== origin) {
    return send(response, 403, messagePage('That was refused', 'The form was not sent from a page of this site.'));
  }
  return act(request, response);
}

const routes = {
  'GET /sign-in': (_, response) => send(response, 200, signInPage()),

  async 'POST /sign-in'(request, response) {
    const form = await readForm(request);
    if (!form) return send(response, 413, messagePage('That was refused', 'The form is too long.'));
    const [org, name] = ['org', 'name'].map((field) => form.get(field)?.trim() ?? '');
    const { id, refused } = await sessions.signIn(org, name);
    if (refused) return send(response, 403, signInPage({ org, name, refused }));
    go(response, '/', cookie(id, SESSION_LIFE / 1000));
  },

  'POST /sign-out'(request, response) {
    sessions.end(idOf(request), 'signed out');
    sessions.whyEnded(idOf(request));
    go(response, '/sign-in', cookie('', 0));
  },

  async 'GET /'(request, response) {
    const found = await sessions.check(idOf(request), { isSensitive: false });
    if (found) send(response, 200, accountPage(found));
    else sendAway(request, response);
  },

  async 'POST /export'(request, response) {
    const found = await sessions.check(idOf(request), { isSensitive: true });
    if (found) send(response, 200, exportPage(found));
    else sendAway(request, response);
  },

  /** Server-sent events, of which there is one: that the session is over. A page that comes again is told then. */
  'GET /live'(request, response) {
    if (!idOf(request)) return send(response, 401, messagePage('You are not signed in', ''), CHALLENGE);
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    response.write(': here\n\n');
    const alive = setInterval(() => response.write(': here\n\n'), 20_000);
    const leave = sessions.listen(idOf(request), (reason) => response.end(`event: ended\ndata: ${reason}\n\n`));
    response.on('close', () => {
      clearInterval(alive);
      leave();
    });
  },
};

/** RFC 9110 §11.6.1 asks for a challenge with a 401; browsers pass over a scheme that they do not know. */
const CHALLENGE = { 'WWW-Authenticate': 'Cookie cookie-name="session"' };

function sendAway(request, response) {
  const id = idOf(request);
  if (!id) return go(response, '/sign-in');
  const page = signedOutPage(sessions.whyEnded(id) ?? 'unknown');
  send(response, 401, page, { ...CHALLENGE, ...cookie('', 0) });
}

const idOf = ({ headers }) => /(?:^|;\s*)session=([0-9a-f]{64})(?:;|$)/.exec(headers.cookie ?? '')?.[1] ?? '';

function cookie(id, maxAge) {
  const secure = origin.startsWith('https:') ? '; Secure' : '';
  return { 'Set-Cookie': `session=${id}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${maxAge}${secure}` };
}

/** undefined: it is longer than any of ours. */
async function readForm(request) {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) {
    body += chunk;
    if (body.length > 10_000) return undefined;
  }
  return new URLSearchParams(body);
}

function go(response, to, headers = {}) {
  response.writeHead(303, { Location: to, 'Cache-Control': 'no-store', ...headers }).end();
}

function send(response, status, page, headers = {}) {
  response.writeHead(status, {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': POLICY,
    'Cache-Control': 'no-store',
    // With no-referrer, browsers would not name the origin of a form.
    'Referrer-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
    ...headers,
  });
  response.end(page);
}
