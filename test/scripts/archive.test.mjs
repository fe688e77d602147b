// `org export` and `org import` as the operator types them, to a real service and real files.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/admin/commands.mjs';
import { AdminError } from '../../scripts/admin/transport.mjs';
import { startServer } from '../support/server.ts';

const command = (name) => commands.find((one) => one.name === name);
const folder = mkdtempSync(join(tmpdir(), 'archive-'));
const file = join(folder, 'acme.ndjson');
let server;
let org;

/** As the command line asks: JSON, or a refusal in the API's words. */
async function callAdmin(path, { method = 'GET', body } = {}) {
  const answer = await fetch(`${server.url}/admin/v1${path}`, {
    method,
    headers: { authorization: 'Bearer test-admin-token-0123456789abcdef', 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const json = await answer.json();
  if (!answer.ok) throw new AdminError(json.error, json.detail, answer.status);
  return json;
}

const exports = (input) => command('org export').run(callAdmin, { slug: 'acme', ...input });
const imports = (slug, input = {}, call = callAdmin) => command('org import').run(call, { slug, file, ...input });
const textOf = (path) => readFileSync(path, 'utf8').trimEnd().split('\n');
const scim = (path, body) =>
  fetch(`${org.baseUrl}${path}`, {
    method: body ? 'POST' : 'GET',
    headers: { authorization: `Bearer ${org.token}`, 'content-type': 'application/scim+json' },
    ...(body && { body: JSON.stringify(body) }),
  });

beforeAll(async () => {
  server = await startServer();
  org = await server.newOrg('acme');
  const members = [];
  await scim('/Bulk', {
    schemas: ['urn:ietf:params:scim:api:messages:2.0:BulkRequest'],
    Operations: Array.from({ length: 300 }, (_, i) => ({
      method: 'POST',
      path: '/Users',
      bulkId: `b${i}`,
      data: { userName: `user-${i}@acme.test`, emails: [{ value: `user-${i}@acme.test` }] },
    })),
  })
    .then((answer) => answer.json())
    .then(({ Operations }) =>
      members.push(...Operations.map(({ location }) => ({ value: location.split('/').at(-1) }))),
    );
  await scim('/Groups', { displayName: 'Everybody', members });
  await server.admin('POST', '/orgs/acme/schemas', { id: 'urn:acme:x', attributes: [{ name: 'level' }] });
});
afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true });
});

describe('org export', () => {
  it('writes a file that nobody else may read, and never over another one', async () => {
    const answer = await exports({ file });
    expect(answer).toMatchObject({ counts: { user: 300, group: 1, members: 1, schema: 1 }, changedMeanwhile: false });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(textOf(file)).toHaveLength(answer.lines);
    expect(command('org export').show(answer)).toContain('personal data');
    await expect(exports({ file })).rejects.toThrow('it exists already. Choose another name');
    await expect(command('org export').run(callAdmin, { slug: 'nobody', file: join(folder, 'none') })).rejects.toThrow(
      'Org',
    );
    expect(() => statSync(join(folder, 'none'))).toThrow();
  });

  it('writes the same lines to standard output, where one JSON value could not be told from them', async () => {
    const lines = await Array.fromAsync(command('org export').stream(callAdmin, { slug: 'acme' }));
    const some = (all) => all.filter((line) => !/^\{"kind":"(?:org|event|end)"/.test(line));
    expect(some(lines)).toEqual(some(textOf(file)));
    expect(() => command('org export').stream(callAdmin, { slug: 'acme', json: true })).toThrow(
      '--json goes with --file',
    );
  });
});

describe('org import', () => {
  it('goes on where it broke off, and the identity provider does not notice', async () => {
    await server.deleteOrg('acme');
    let calls = 0;
    const breaking = (path, request) =>
      ++calls > 3 ? Promise.reject(new AdminError('unreachable', 'gone')) : callAdmin(path, request);
    await expect(imports('acme', {}, breaking)).rejects.toThrow('gone');
    expect((await scim('/Users')).status).toBe(401); // its token comes with a later line
    const answer = await imports('acme');
    expect(answer).toMatchObject({
      id: org.id,
      copy: false,
      credentials: true,
      dryRun: false,
      lines: textOf(file).length,
    });
    const { totalResults } = await (await scim('/Users?filter=emails.value eq "user-7@acme.test"')).json();
    expect(totalResults).toBe(1);
    await expect(imports('acme')).rejects.toThrow('The org acme exists already');
  });

  it('checks all of a file when it is asked to, and writes nothing', async () => {
    const answer = await imports('copy', { 'dry-run': true });
    expect(answer).toMatchObject({ copy: true, credentials: false, counts: { user: 300 }, dryRun: true });
    expect(command('org import').show(answer)).toMatch(/would be a copy[\s\S]*Nothing\s+was\s+written/);
    const lines = textOf(file);
    const spoilt = async (all) => {
      writeFileSync(join(folder, 'spoilt'), `${all.join('\n')}\n`);
      return imports('copy', { file: join(folder, 'spoilt'), 'dry-run': true }).then(
        () => 'fine',
        ({ message }) => message,
      );
    };
    const at = lines.findIndex((line) => line.startsWith('{"kind":"user"'));
    const renamed = lines[at].replace(/"id":"[^"]*"/, '"id":"other"');
    expect(await spoilt(lines.toSpliced(at + 250, 0, renamed))).toBe(
      `line ${at + 251}: userName user-0@acme.test stands twice in the file.`,
    );
    expect(await spoilt(lines.toSpliced(at, 1))).toMatch(/^line \d+: there is no live User /);
    expect(await spoilt(lines.toSpliced(at, 1, '{'))).toBe(`line ${at + 1}: JSON was expected.`);
    expect(await spoilt(lines.toSpliced(at, 1, '{}'))).toMatch(new RegExp(`^line ${at + 1}: kind: one of`));
    expect(await spoilt(lines.slice(0, -1))).toContain('does not end like a file of org export');
    expect(await spoilt([...lines, lines[at], lines.at(-1)])).toMatch(/^line \d+: nothing was expected after/);
    expect(await spoilt([...lines.slice(0, -2), lines.at(-1)])).toMatch(
      /the file counts \d+ lines of event, but it has/,
    );
    await expect(callAdmin('/orgs/copy')).rejects.toThrow('not found');
  });
});
