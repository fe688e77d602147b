// `npm start` as people run it: what answers on this machine, and to whom.

import { execFile, spawn } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../../scripts/project.mjs';
import { freePort } from '../../scripts/start/service.mjs';

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'scim-worker-local-'));
const hostToken = 'h'.repeat(32);
const modeOf = (path) => statSync(path).mode & 0o777;

/** Resolves when the service is ready or has given up. */
async function start(env, ...args) {
  const child = spawn(process.execPath, ['scripts/start.mjs', ...args], {
    cwd: root,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  const ended = new Promise((resolve) => child.once('close', resolve));
  const isReady = new Promise((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        said += text;
        if (/shows all commands/.test(said)) resolve(true);
      });
    }
    ended.then(() => resolve(false));
  });
  const ready = await isReady;
  return {
    pid: child.pid,
    ready,
    said: () => said,
    async stop() {
      child.kill('SIGTERM');
      return ended;
    },
  };
}

const admin = (stateDir, ...words) =>
  run(process.execPath, ['scripts/admin.mjs', ...words], { cwd: root, env: { ...process.env, STATE_DIR: stateDir } });

describe('the service of npm start', () => {
  const stateDir = join(folder, 'state');
  let port;
  let service;

  beforeAll(async () => {
    // As an earlier version left it.
    mkdirSync(join(stateDir, 'v3', 'kv'), { recursive: true, mode: 0o755 });
    writeFileSync(join(stateDir, 'v3', 'kv', 'old'), '', { mode: 0o644 });
    for (const path of [stateDir, join(stateDir, 'v3'), join(stateDir, 'v3', 'kv')]) chmodSync(path, 0o755);
    port = await freePort();
    const env = { PORT: String(port), STATE_DIR: stateDir, HOST_TOKEN: hostToken, SWEEP_INTERVAL: '1' };
    service = await start(env);
    expect(service.ready, service.said()).toBe(true);
  }, 120_000);
  afterAll(async () => {
    await service?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each([
    '/cdn-cgi/',
    '/cdn-cgi/explorer',
    '/cdn-cgi/explorer/api/d1/database',
    '/cdn-cgi/local/explorer',
    '/cdn-cgi/local/scheduled',
    '/cdn-cgi/local/email',
    '/cdn-cgi/local/platform-proxy',
    '/cdn-cgi/handler/scheduled',
    '/cdn-cgi/mf/scheduled',
    '/cdn-cgi/mf/reload',
    '/__cf_local/stream',
    '/json',
    '/json/list',
  ])('answers %s as any path that it does not have', async (path) => {
    const answers = [
      await fetch(`http://127.0.0.1:${port}${path}`),
      await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', headers: { 'MF-Op': 'GET' } }),
    ];
    for (const answer of answers) {
      expect(answer.status).toBe(404);
      expect(await answer.json()).toMatchObject({ status: '404', detail: 'Endpoint not found' });
    }
  });

  it('says what is under way, and ends with commands to go on', () => {
    const said = service.said();
    expect(said).toMatch(/Starting scim-worker …[\s\S]*Building the Worker …[\s\S]*is ready on/);
    expect(said.match(/^ {2}npm run admin -- /gm)).toHaveLength(4);
    expect(said).toContain(`  export STATE_DIR=${stateDir}\n`);
  });

  it('gives each command an exit code: 1 for nothing done, with the reason on standard error', async () => {
    const refused = await admin(stateDir, 'org', 'show', 'nowhere', '--json').catch((error) => error);
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(JSON.parse(refused.stderr)).toMatchObject({ error: 'not_found' });
    const file = join(folder, 'some.csv');
    writeFileSync(file, 'email,active\nada@acme.com,true\nbob@acme.com,maybe\n');
    const some = await admin(stateDir, 'user', 'import', 'demo', file, '--json').catch((error) => error);
    expect([some.code, JSON.parse(some.stdout)]).toMatchObject([2, { created: 1, problemCount: 1 }]);
  });

  it('makes an org ready in one command, and prints its bare token', async () => {
    const words = ['org', 'create', 'one-go', '--enable', '--idp', 'okta', '--token'];
    const { stdout } = await admin(stateDir, ...words, '--quiet');
    expect(stdout).toMatch(/^scim_\S+\n$/);
    const answer = await fetch(`http://127.0.0.1:${port}/scim/v2/Users`, {
      headers: { authorization: `Bearer ${stdout.trim()}` },
    });
    expect(answer.status).toBe(200);
    const again = await admin(stateDir, ...words).catch((error) => error);
    expect([again.code, again.stdout]).toEqual([1, '']);
    const { stdout: settings } = await admin(stateDir, 'org', 'settings', 'one-go', '--json');
    expect(JSON.parse(settings)).toContainEqual(expect.objectContaining({ name: 'idp', value: 'okta' }));
  });

  it('runs its cron all the same', async () => {
    for (let attempt = 1; ; attempt++) {
      const { kv } = await (await fetch(`http://127.0.0.1:${port}/health`)).json();
      if (kv) break;
      expect(attempt).toBeLessThan(100);
      await sleep(100);
    }
  });

  const onLinux = process.platform === 'linux';
  it.skipIf(!onLinux)(
    `opens no other port that gives anything without a credential${onLinux ? '' : ' (skipped: /proc is of Linux)'}`,
    async () => {
      const ports = portsOf(treeOf(service.pid));
      expect(ports).toContain(port);
      for (const other of ports.filter((one) => one !== port)) {
        for (const path of [
          '/',
          '/json',
          '/json/version',
          '/cdn-cgi/',
          '/cdn-cgi/local/scheduled',
          '/core/public-url',
        ]) {
          // A port that does not speak HTTP is the runtime's own, which leads to every entrypoint.
          const answer = await fetch(`http://127.0.0.1:${other}${path}`, { signal: AbortSignal.timeout(5_000) });
          expect([403, 404], `${other}${path}`).toContain(answer.status);
        }
        const proxy = `http://127.0.0.1:${other}/cdn-cgi/local/platform-proxy`;
        for (const headers of [
          {},
          { 'MF-Op': 'GET', 'MF-Op-Target': '[]' },
          { 'MF-Op': 'GET', 'MF-Op-Secret': '00' },
        ]) {
          expect([400, 401, 403]).toContain((await fetch(proxy, { method: 'POST', headers })).status);
        }
      }
    },
  );

  it.skipIf(process.platform === 'win32')(
    `keeps its state from other users of the machine, also what was there before${process.platform === 'win32' ? ' (skipped: Windows has no modes)' : ''}`,
    () => {
      expect(modeOf(stateDir)).toBe(0o700);
      expect(modeOf(join(stateDir, 'admin-token'))).toBe(0o600);
      const entries = readdirSync(stateDir, { recursive: true }).map((name) => join(stateDir, name));
      expect(entries.length).toBeGreaterThan(10);
      expect(entries.filter((path) => modeOf(path) & 0o077)).toEqual([]);
    },
  );

  it('is administered with the token that stands in its folder, and with no other', async () => {
    const token = readFileSync(join(stateDir, 'admin-token'), 'utf8');
    expect(token.length).toBeGreaterThanOrEqual(32);
    const ask = (given) =>
      fetch(`http://127.0.0.1:${port}/admin/v1/orgs`, { headers: { authorization: `Bearer ${given}` } });
    expect((await ask(token)).status).toBe(200);
    expect((await ask(hostToken)).status).toBe(401);
    const { stdout } = await admin(stateDir, 'org', 'list', '--json');
    expect(JSON.parse(stdout)).toContainEqual(expect.objectContaining({ slug: 'demo' }));
  });

  it('is reached by its address, with ADMIN_TOKEN in the environment', async () => {
    const url = `http://localhost:${port}`;
    const asked = (env) =>
      run(process.execPath, ['scripts/admin.mjs', 'org', 'list', '--json', '--url', url], {
        cwd: root,
        env: { ...process.env, STATE_DIR: join(folder, 'none'), ...env },
      });
    const { stdout } = await asked({ ADMIN_TOKEN: readFileSync(join(stateDir, 'admin-token'), 'utf8') });
    expect(JSON.parse(stdout)).toContainEqual(expect.objectContaining({ slug: 'demo' }));
    const refused = await asked({ ADMIN_TOKEN: 'w'.repeat(32) }).catch((error) => error);
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(JSON.parse(refused.stderr)).toMatchObject({ error: 'unauthorized' });
  });

  it('tells a second one of its folder that it is there', async () => {
    const second = await start({ STATE_DIR: stateDir, PORT: '0' });
    expect(second.ready).toBe(false);
    expect(second.said()).toContain(`already: http://localhost:${port}, process ${service.pid}`);
  });
});

describe('npm start with an argument', () => {
  it.each([
    [['--help'], 0, /^npm start -- \[--watch\][\s\S]*STATE_DIR[\s\S]*npm run admin -- --help\n$/],
    [['--hlep'], 1, /^npm start does not take "--hlep"\. See: npm start -- --help\n$/],
    [['watch'], 1, /^npm start does not take "watch"\./],
  ])('%j says what there is, and starts nothing', async (args, code, text) => {
    const service = await start({ STATE_DIR: join(folder, 'none') }, ...args);
    expect(service.ready).toBe(false);
    expect(service.said()).toMatch(text);
    expect(await service.stop()).toBe(code);
  });
});

describe('npm start refuses before it starts anything', () => {
  it.each([
    ['a short ADMIN_TOKEN', { ADMIN_TOKEN: 'x'.repeat(31) }, /ADMIN_TOKEN must have at least 32 characters/],
    ['a short HOST_TOKEN', { HOST_TOKEN: 'secret' }, /HOST_TOKEN must have at least 32 characters/],
    ['a token with blanks', { HOST_TOKEN: `a b${'x'.repeat(32)}` }, /HOST_TOKEN must consist of letters/],
    ['one token for both', { ADMIN_TOKEN: hostToken, HOST_TOKEN: hostToken }, /must not be equal/],
    ['the folder that all users share', { STATE_DIR: '/tmp' }, /must be a folder of your own/],
  ])('%s', async (_, env, why) => {
    const service = await start({ STATE_DIR: join(folder, 'refused'), PORT: '0', ...env });
    expect(service.ready).toBe(false);
    expect(service.said()).toMatch(why);
  });

  it('a lock that is a link to elsewhere is not asked', async () => {
    const stateDir = join(folder, 'linked');
    mkdirSync(stateDir, { recursive: true });
    symlinkSync('/nowhere', join(stateDir, 'lock.sock'));
    await expect(admin(stateDir, 'org', 'list')).rejects.toMatchObject({
      stderr: expect.stringContaining('No service is running'),
    });
    rmSync(folder, { recursive: true, force: true });
  });
});

/** A process and all that it started. */
function treeOf(pid) {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        return [[Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])]];
      } catch {
        return []; // gone meanwhile
      }
    });
  const tree = new Set([pid]);
  for (let size = 0; size !== tree.size; ) {
    size = tree.size;
    for (const [child, parent] of parents) if (tree.has(parent)) tree.add(child);
  }
  return [...tree];
}

/** The TCP ports on which processes listen. */
function portsOf(pids) {
  const listening = new Map();
  for (const table of ['tcp', 'tcp6']) {
    for (const line of readFileSync(`/proc/net/${table}`, 'utf8').split('\n').slice(1)) {
      const [, address, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state === '0A') listening.set(inode, Number.parseInt(address.split(':').at(-1), 16));
    }
  }
  const inodes = pids.flatMap((pid) =>
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    }),
  );
  return [...new Set(inodes.flatMap((inode) => listening.get(inode) ?? []))];
}
