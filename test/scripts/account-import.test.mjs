// Files of accounts as the operator has them, and the commands that read them, to a real service.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accountsIn, formatOf } from '../../scripts/admin/accounts-file.mjs';
import { commands } from '../../scripts/admin/commands.mjs';
import { AdminError } from '../../scripts/admin/transport.mjs';
import { startServer } from '../support/server.ts';

const bytes = (text) => [new TextEncoder().encode(text)];
/** In chunks of any size, as a stream gives them. */
const inPieces = (text, size) => {
  const all = new TextEncoder().encode(text);
  return Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));
};
async function read(format, chunks) {
  const found = [];
  for await (const one of accountsIn(format, chunks)) found.push(one);
  return found;
}
const csv = (text) => read('csv', bytes(text));
const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
const work = (value) => [{ value, type: 'work', primary: true }];

describe('a CSV file of accounts', () => {
  it('is read by the names of its columns, in any order and case, SCIM’s paths too', async () => {
    expect(
      await csv(
        'Email,name.familyName,givenName,ACTIVE,protected,id,externalId,displayName,title,userName\n' +
          'ada@acme.com,Lovelace,Ada,yes,1,42,hr-1,"Ada, Countess",Chief,ada\n',
      ),
    ).toEqual([
      {
        line: 2,
        account: {
          schemas: [USER],
          userName: 'ada',
          emails: work('ada@acme.com'),
          name: { familyName: 'Lovelace', givenName: 'Ada' },
          active: true,
          protected: true,
          id: '42',
          externalId: 'hr-1',
          displayName: 'Ada, Countess',
          title: 'Chief',
        },
      },
    ]);
  });

  it('takes the address for the userName where there is no other, and an empty field for nothing said', async () => {
    const [one] = await csv('email,displayName,active\nada@acme.com,,\n');
    expect(one.account).toEqual({ schemas: [USER], userName: 'ada@acme.com', emails: work('ada@acme.com') });
  });

  it('may have a byte order mark, Windows’ ends of lines, semicolons, empty lines and fields of several lines', async () => {
    const text = '\ufeffuserName;displayName\r\nada;"Ada\r\nLovelace"\r\n\r\nbob;"Bob ""B"""\r\neve;Ève\r\n';
    const expected = [
      [2, 'ada', 'Ada\nLovelace'],
      [5, 'bob', 'Bob "B"'],
      [6, 'eve', 'Ève'],
    ];
    for (const size of [1, 3, 7, 1_000]) {
      const found = await read('csv', inPieces(text, size));
      expect(found.map(({ line, account }) => [line, account.userName, account.displayName])).toEqual(expected);
    }
  });

  it('tells of a row that is none by its line, and reads on', async () => {
    const found = await csv('userName,active\nada,maybe\nbob\neve,true,more\nzoe,0\n');
    expect(found.map(({ line, problem, account }) => [line, problem ?? account.active])).toEqual([
      [2, expect.stringContaining('active: true or false')],
      [3, expect.stringContaining('2 fields were expected, but there are 1')],
      [4, expect.stringContaining('2 fields were expected, but there are 3')],
      [5, false],
    ]);
  });

  it.each([
    ['userName,shoeSize\nada,40\n', /no column "shoeSize".*userName, email/],
    ['displayName\nAda\n', /userName or email/],
    ['userName,username\na,b\n', /userName stands twice/],
    ['', /empty/],
    ['userName\n"ada\nbob\n', /from line \d.*quote is opened and not closed/],
  ])('that cannot be read says why: %j', async (text, why) => {
    await expect(csv(text)).rejects.toThrow(why);
    await expect(csv(text)).rejects.toBeInstanceOf(AdminError);
  });

  it('that is not UTF-8 says so', async () => {
    await expect(read('csv', [new Uint8Array([0x75, 0xff, 0xfe])])).rejects.toThrow(/UTF-8/);
  });
});

describe('an NDJSON file of accounts', () => {
  it('is a SCIM User in each line; what is none is told by its line', async () => {
    const found = await read('ndjson', inPieces('{"userName":"ada"}\n\n[1]\n{"userName":\n{"userName":"bob"}', 5));
    expect(found).toEqual([
      { line: 1, account: { userName: 'ada' } },
      { line: 3, problem: 'a JSON object was expected' },
      { line: 4, problem: 'a JSON object in one line was expected' },
      { line: 5, account: { userName: 'bob' } },
    ]);
  });

  it('is known by its name’s ending, or as it is said', () => {
    expect([formatOf('a.csv'), formatOf('a.NDJSON'), formatOf('a.jsonl'), formatOf('a.txt', 'csv')]).toEqual([
      'csv',
      'ndjson',
      'ndjson',
      'csv',
    ]);
    expect(() => formatOf('people.xlsx')).toThrow(/--format csv or --format ndjson/);
    expect(() => formatOf('people.csv', 'xml')).toThrow(AdminError);
  });
});

describe('user import', () => {
  const folder = mkdtempSync(join(tmpdir(), 'people-'));
  const file = join(folder, 'people.csv');
  const run = (name, input) => commands.find((one) => one.name === name).run(callAdmin, { slug: 'acme', ...input });
  const imports = (input = {}) => run('user import', { file, ...input });
  let server;
  /** How many calls are left before the service is gone. */
  let left = Number.POSITIVE_INFINITY;

  async function callAdmin(path, { method = 'GET', body } = {}) {
    if (left-- <= 0) throw new AdminError('unreachable', 'The Worker could not be reached');
    const answer = await fetch(`${server.url}/admin/v1${path}`, {
      method,
      headers: { authorization: 'Bearer test-admin-token-0123456789abcdef', 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const json = await answer.json();
    if (!answer.ok) throw new AdminError(json.error, json.detail, answer.status);
    return json;
  }

  beforeAll(async () => {
    server = await startServer();
    await server.newOrg('acme');
    const row = (i) => `user-${i}@acme.com,Person ${i},${i % 10 !== 0}`;
    writeFileSync(
      file,
      `email,displayName,active\n${Array.from({ length: 600 }, (_, i) => row(i)).join('\n')}\nuser-7@acme.com,Twice,true\n`,
    );
  });
  afterAll(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true });
  });

  it('reports first what it would do, goes on where it was stopped, and is harmless when run again', async () => {
    const twice = { line: 602, userName: 'user-7@acme.com', detail: 'the same userName stands in line 9' };
    const dry = await imports({ 'dry-run': true });
    expect(dry).toMatchObject({ dryRun: true, created: 600, problems: [twice] });
    left = 2; // one asks whether the org is there
    const stopped = await imports().catch((error) => error);
    expect(stopped.message).toMatch(/could not be reached[\s\S]*Go on with --after 251,/);
    left = Number.POSITIVE_INFINITY;
    const rest = await imports({ after: '251' });
    expect(rest).toMatchObject({ created: 350, unchanged: 0, problemCount: 1 });
    const again = await imports();
    expect(again).toMatchObject({ created: 0, updated: 0, unchanged: 600, problems: [twice] });
    const shown = commands.find(({ name }) => name === 'user import').show(again);
    expect(shown).toMatch(/unchanged +600[\s\S]*602 +user-7@acme\.com +the same userName\s+stands in line 9/);
    expect(await server.admin('GET', '/orgs/acme')).toMatchObject({ users: 600, activeUsers: 540 });
  });

  it('is looked over by user link-preview, as a whole and beside the identity provider’s own list', async () => {
    await server.admin('PATCH', '/orgs/acme', { settings: { verifiedDomains: 'acme.com' } });
    const { summary, accounts } = await run('user link-preview', {});
    expect(accounts).toHaveLength(600);
    expect(summary).toMatchObject({ linking: 'email', unlinked: 600, byUserName: 600, byEmail: 600, protected: 0 });
    const list = join(folder, 'idp.csv');
    writeFileSync(list, 'userName,email\nada,user-1@acme.com\nUser-2@acme.com,\nnew@acme.com,new@acme.com\n');
    const preview = await run('user link-preview', { file: list });
    expect(preview.summary).toMatchObject({ people: 3, links: 2, new: 1, conflict: 0 });
    const { show } = commands.find(({ name }) => name === 'user link-preview');
    expect(show(preview)).toMatch(/would link an account +2[\s\S]*line 2 +ada +would link by email/);
    expect(show({ summary, accounts })).toMatch(/would link by userName +600/);
  });

  it('ends with exit code 0 if all lines were done, 2 if some were refused, 1 if none was done', async () => {
    const { exitCode } = commands.find(({ name }) => name === 'user import');
    const report = { created: 0, updated: 0, unchanged: 0, kept: 0, problemCount: 0 };
    expect(exitCode({ ...report, unchanged: 3 })).toBe(0);
    expect(exitCode({ ...report, created: 1, problemCount: 2 })).toBe(2);
    expect(exitCode({ ...report, problemCount: 2 })).toBe(1);
  });

  it('into an org that is not there says so, and reports nothing as done', async () => {
    const error = await imports({ slug: 'nowhere' }).catch((error) => error);
    expect(error).toMatchObject({ code: 'not_found' });
    expect(error.message).not.toContain('created');
  });

  it('warns of accounts with an externalId, which another externalId of the identity provider does not link', async () => {
    const own = join(folder, 'own.csv');
    writeFileSync(own, 'email,externalId\nown-1@acme.com,hr-1\nown-2@acme.com,\n');
    const report = await imports({ file: own });
    expect(report).toMatchObject({ created: 2, withExternalId: 1 });
    const text = commands.find(({ name }) => name === 'user import').show(report);
    expect(text).toContain('! Accounts with an externalId: 1.');
    expect(text.split('\n').every((line) => line.length <= 80)).toBe(true);
  });

  it.each([
    [{ file: '/nowhere/people.csv' }, /could not be read/],
    [{ file: tmpdir(), format: 'csv' }, /it is not a file/],
    [{ after: 'x' }, /--after/],
  ])('says what is wrong with %j', async (input, why) => {
    await expect(imports(input)).rejects.toThrow(why);
  });
});
