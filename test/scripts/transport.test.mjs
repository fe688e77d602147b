// The ways to the administrator's API: what is open, for how long, and where a token goes.

import { createServer } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { openAdmin } from '../../scripts/admin/transport.mjs';

const stateDir = '/nowhere';
const token = 't'.repeat(32);

describe('--remote', () => {
  /** Stands for wrangler's port to the deployed Worker. */
  function port(fetch = async () => Response.json({ ok: true })) {
    const seen = { opened: 0, closed: 0, now: 0 };
    const open = async (_config, options) => {
      expect(options).toMatchObject({ isRemote: true, environment: 'eu' });
      seen.opened++;
      seen.now++;
      const dispose = async () => {
        seen.closed++;
        seen.now--;
      };
      return { env: { ADMIN: { fetch: (...asked) => fetch(seen, ...asked) } }, dispose };
    };
    return { seen, open };
  }
  const opened = (open) => openAdmin({ stateDir, isRemote: true, environment: 'eu', open });

  it('is open while a call runs, and closed between two', async () => {
    const { seen, open } = port(async ({ now }) => Response.json({ now }));
    const { callAdmin } = await opened(open);
    expect(seen).toEqual({ opened: 0, closed: 0, now: 0 });
    for (let calls = 1; calls <= 3; calls++) {
      expect(await callAdmin('/orgs')).toEqual({ now: 1 });
      expect(seen).toEqual({ opened: calls, closed: calls, now: 0 });
    }
  });

  it('is open once for calls at the same time', async () => {
    const { seen, open } = port(async ({ now }) => Response.json({ now }));
    const { callAdmin } = await opened(open);
    expect(await Promise.all([1, 2, 3].map(() => callAdmin('/orgs')))).toEqual(Array(3).fill({ now: 1 }));
    expect(seen).toEqual({ opened: 1, closed: 1, now: 0 });
  });

  it.each([
    ['refuses', async () => Response.json({ error: 'not_found', detail: 'No such org' }, { status: 404 }), 'not_found'],
    ['breaks off', () => Promise.reject(new Error('gone')), 'unreachable'],
    ['answers no JSON', async () => new Response('<html>'), 'unexpected'],
  ])('is closed after a call that %s', async (_, fetch, code) => {
    const { seen, open } = port(fetch);
    const { callAdmin } = await opened(open);
    await expect(callAdmin('/orgs/x')).rejects.toMatchObject({ code });
    expect(seen).toEqual({ opened: 1, closed: 1, now: 0 });
  });

  it('tells which databases an answer lacks', async () => {
    const headers = { 'Incomplete-Databases': 'DB_2, DB_3' };
    const { open } = port(async () => Response.json([], { headers }));
    const lacking = [];
    const onIncomplete = (databases) => lacking.push(databases);
    const { callAdmin } = await openAdmin({ stateDir, isRemote: true, environment: 'eu', open, onIncomplete });
    expect(await callAdmin('/orgs')).toEqual([]);
    expect(lacking).toEqual([['DB_2', 'DB_3']]);
  });

  it('that cannot be opened says why, each time', async () => {
    const { callAdmin } = await opened(() => Promise.reject(new Error('set a CLOUDFLARE_API_TOKEN')));
    for (let i = 0; i < 2; i++) await expect(callAdmin('/orgs')).rejects.toMatchObject({ code: 'not_logged_in' });
  });
});

describe('--url', () => {
  const servers = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });
  async function serve(answer) {
    const server = createServer(answer);
    servers.push(server);
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${server.address().port}`;
  }
  const opened = (url, env = { ADMIN_TOKEN: token }) => openAdmin({ stateDir, url, env });

  it('sends the token of the environment to /admin/v1 of that address', async () => {
    const seen = [];
    const url = await serve((request, response) => {
      seen.push([request.method, request.url, request.headers.authorization]);
      response.end('{"ok":true}');
    });
    const { callAdmin } = await opened(`${url}/behind/`);
    expect(await callAdmin('/orgs?x=1', { method: 'POST', body: {} })).toEqual({ ok: true });
    expect(seen).toEqual([['POST', '/behind/admin/v1/orgs?x=1', `Bearer ${token}`]]);
  });

  it('says that the service does not accept ADMIN_TOKEN', async () => {
    const url = await serve((_, response) => response.writeHead(401).end('{"error":"unauthorized","detail":"no"}'));
    const { callAdmin } = await opened(url);
    await expect(callAdmin('/orgs')).rejects.toMatchObject({
      code: 'unauthorized',
      message: `${url} does not accept this ADMIN_TOKEN.`,
    });
  });

  it('follows no redirection with it', async () => {
    let isAsked = false;
    const other = await serve((_, response) => {
      isAsked = true;
      response.end('{}');
    });
    const url = await serve((_, response) => response.writeHead(302, { location: other }).end());
    const { callAdmin } = await opened(url);
    await expect(callAdmin('/orgs')).rejects.toMatchObject({ code: 'unreachable' });
    expect(isAsked).toBe(false);
  });

  it.each([
    ['http://scim.example.com', /https was expected/],
    ['http://127.0.0.1.example.com', /https was expected/],
    ['ftp://localhost', /https was expected/],
    ['scim.example.com', /an address was expected/],
    ['https://admin:secret@scim.example.com', /without credentials/],
    ['https://scim.example.com?x=1', /without a query/],
  ])('%s is refused', async (url, why) => {
    await expect(opened(url)).rejects.toMatchObject({ code: 'usage', message: expect.stringMatching(why) });
  });

  it('needs ADMIN_TOKEN, and does not go with --remote', async () => {
    await expect(opened('https://scim.example.com', {})).rejects.toThrow('needs the environment variable ADMIN_TOKEN');
    await expect(openAdmin({ stateDir, url: 'https://scim.example.com', isRemote: true })).rejects.toThrow('exclude');
  });
});
