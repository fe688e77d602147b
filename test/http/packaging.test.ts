// What a host gets when it installs the package: three paths that Node imports without a build, and TypeScript checks
// with the host's settings and types rather than ours.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type HostFolder, newHostFolder } from '../support/host-folder.mjs';

let host: HostFolder;
beforeAll(async () => {
  host = await newHostFolder();
});
afterAll(() => host.remove());

it('Node imports all three paths as they are', async () => {
  const { stdout, stderr } = await host.run(`
    import { checkSession, decide, flagKey, httpSource, instant, parseFlag, sessionChecker } from 'scim-worker/sessions';
    import { sessionGuard } from 'scim-worker/sessions/hono';
    import { openRevocationStream } from 'scim-worker/sessions/stream';
    const all = [checkSession, decide, flagKey, httpSource, instant, parseFlag, sessionChecker, sessionGuard, openRevocationStream];
    console.log(all.map((it) => typeof it).join());
  `);
  expect(stderr).toBe('');
  expect(stdout.trim()).toBe(Array(9).fill('function').join());
});

it('Node imports every path of the package without a build', async () => {
  const { stdout, stderr } = await host.run(`
    import { readFileSync } from 'node:fs';
    const { name, exports } = JSON.parse(readFileSync('node_modules/scim-worker/package.json', 'utf8'));
    for (const path of Object.keys(exports)) await import(name + path.slice(1));
    console.log(Object.keys(exports).length);
  `);
  expect(stderr).toBe('');
  expect(Number(stdout)).toBeGreaterThanOrEqual(7);
});

it('and loads nothing for them but their own few files', async () => {
  const { stdout } = await host.run(`
    import { registerHooks } from 'node:module';
    const loaded = [];
    registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
    for (const path of ['', '/hono', '/stream']) await import('scim-worker/sessions' + path);
    console.log(JSON.stringify(loaded));
  `);
  const loaded = JSON.parse(stdout) as string[];
  expect(loaded.length).toBeGreaterThan(8);
  expect(loaded.filter((url) => !/\/src\/sessions\/(?:client\/[\w-]+|check|flag)\.ts$/.test(url))).toEqual([]);
});

it('a host with the types of a browser, strict settings and no types of Workers checks them without a complaint', async () => {
  const { stdout } = await host.typeCheck(`
    import { type CheckedVerdict, httpSource, type Session, sessionChecker } from 'scim-worker/sessions';
    import { sessionGuard } from 'scim-worker/sessions/hono';
    import { openRevocationStream } from 'scim-worker/sessions/stream';
    const account = { url: 'https://scim.example.com', token: 'host-token' };
    const stream = openRevocationStream({ ...account, orgs: ['acme'], onUnavailable: 'last-known' });
    const strict = httpSource({ ...account, fetch });
    const checker = sessionChecker<Request>({ flags: stream, strict, mode: 'auto', onUnavailable: 'deny' });
    sessionGuard({ checker, sessionOf: () => undefined as Session | undefined });
    export const verdict: Promise<CheckedVerdict> = checker.check({ org: 'o', user: 'u', issuedAt: new Date() });
    // @ts-expect-error what holds in an outage has to be said
    sessionChecker({ strict, mode: 'strict' });
    // @ts-expect-error a browser's WebSocket takes no headers
    openRevocationStream({ ...account, orgs: [], onUnavailable: 'deny', WebSocket });
  `);
  expect(stdout).toBe('');
});

it('a stream that was closed leaves nothing behind that keeps a process alive', async () => {
  const { stdout } = await host.run(`
    import { openRevocationStream } from 'scim-worker/sessions/stream';
    const said = [];
    const stream = openRevocationStream({
      url: 'http://127.0.0.1:9', token: 'x', orgs: ['acme'], onUnavailable: 'deny', backoff: { base: 5, max: 5 },
      onStatus({ is }) {
        said.push(is);
        if (said.length === 6) stream.close().then(() => console.log(said.join()));
      },
    });
  `);
  expect(stdout.trim()).toBe('connecting,waiting,connecting,waiting,connecting,waiting,closed');
});
