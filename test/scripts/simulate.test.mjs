// npm run simulate: what goes to which stream, and its exit codes.
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import { join } from 'node:path';
import process from 'node:process';
import { expect, it } from 'vitest';
import { root } from '../../scripts/project.mjs';

const run = (args, env = {}) =>
  new Promise((resolve) => {
    const options = { cwd: root, timeout: 120_000, env: { ...process.env, NO_COLOR: '1', ...env } };
    execFile(process.execPath, [join(root, 'scripts/simulate.mjs'), ...args], options, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, stdout, stderr }),
    );
  });

it.concurrent('without an address starts the service itself, and prints one JSON value', async () => {
  const { code, stdout, stderr } = await run(['--idp', 'keycloak', '--users', '3', '--groups', '1', '--json']);
  expect(code, stderr).toBe(0);
  const report = JSON.parse(stdout);
  expect(report.users).toHaveLength(3);
  expect(report.phases.map(({ phase }) => phase).at(-1)).toBe('remove');
  expect(stderr).toMatch(/^No --url: starting the service in memory, with an empty org.\nprobe /);
});

it.concurrent('a server that is wrong ends it with exit code 1, and the request and the answer on standard error', async () => {
  const server = createServer((_request, response) =>
    response.writeHead(200, { 'Content-Type': 'text/html' }).end('<\u001b[2J>'),
  );
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${server.address().port}/scim/v2`;
  const { code, stdout, stderr } = await run(['--idp', 'okta', '--url', url, '--json'], { SCIM_TOKEN: 'the-token' });
  server.close();
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toContain('Okta, probe: expected application/scim+json, got text/html');
  expect(stderr).toContain(`GET ${url}/Users?startIndex=1&count=2`);
  for (const unwanted of ['\u001b', 'the-token']) expect(stderr).not.toContain(unwanted);
});

it.concurrent.each([
  [['--idp', 'octa'], '--idp must be one of okta'],
  [['--idp', 'okta', '--user', '5'], "Unknown option '--user'"],
  [['--idp', 'okta', '--users', 'many'], '--users must be a whole number'],
  [['--idp', 'okta', '--phase', 'assign,asign'], 'There is no phase "asign"'],
  [['--idp', 'okta', '--url', 'scim.example.com', '--token', 'x'], '--url must be'],
  [['--idp', 'okta', '--url', 'https://scim.example.com/scim/v2'], '--url needs --token'],
])('%j is refused, and the help is named', async (args, message) => {
  const { code, stdout, stderr } = await run(args);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toContain(message);
  expect(stderr.trim()).toMatch(/See: npm run simulate -- --help$/);
});

it.concurrent('--help names every identity provider and every phase', async () => {
  const { code, stdout, stderr } = await run(['--help']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  for (const name of ['entra-flag', 'authentik', 'change-groups', 'remove']) expect(stdout).toContain(name);
  expect(stdout.split('\n').every((line) => line.length <= 80)).toBe(true);
});
