// How many databases a local service has is said in one way, to npm start and to npm run migrate.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { root } from '../../scripts/project.mjs';
import { databaseCount, keepDatabaseCount, localDatabases } from '../../scripts/start/databases.mjs';

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'scim-worker-databases-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const migrate = async (DATABASES) => {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, STATE_DIR: folder, ...(DATABASES && { DATABASES }) };
  const { stdout } = await run(process.execPath, ['scripts/migrate.mjs'], { cwd: root, env });
  return stdout.trim().split('\n');
};

it('npm run migrate reaches all databases that a folder has, also when DATABASES is not said again', async () => {
  await expect(migrate('many')).rejects.toMatchObject({
    stderr: 'DATABASES must be a whole number up to 100, not "many".\n',
  });
  expect(await migrate('2')).toEqual([
    expect.stringContaining('DB: applying 0000_'),
    expect.stringContaining('DB_1: applying 0000_'),
  ]);
  expect(await migrate()).toEqual(['DB: nothing is pending', 'DB_1: nothing is pending']);
});

describe('the number of databases of a folder', () => {
  it('is that of DATABASES for one run, and the folder never forgets a database', async () => {
    const count = (DATABASES) => databaseCount({ DATABASES }, folder);
    await keepDatabaseCount(folder, 3);
    await keepDatabaseCount(folder, 2);
    expect(await count()).toEqual({ count: 3, kept: 3 });
    expect(await count('')).toEqual({ count: 3, kept: 3 });
    expect(await count('1')).toEqual({ count: 1, kept: 3 });
    expect(await count('4')).toEqual({ count: 4, kept: 4 });
    for (const wrong of ['101', '-1', '1.5', 'four'])
      await expect(count(wrong)).rejects.toThrow('a whole number up to');
  });

  it('is 1 where the file is damaged', async () => {
    const damaged = mkdtempSync(join(folder, 'damaged-'));
    writeFileSync(join(damaged, 'databases'), 'all of them');
    expect(await databaseCount({}, damaged)).toEqual({ count: 1, kept: 1 });
  });
});

it('a database that wrangler.toml binds keeps its id, and DATABASES adds only those that are not bound', () => {
  const configured = [
    { binding: 'DB_10', migrations_dir: 'migrations' },
    { binding: 'DB_1', database_id: 'mine', migrations_dir: 'migrations' },
    { binding: 'DB', migrations_dir: 'migrations' },
  ];
  expect(localDatabases(configured, 3).map(({ binding, id }) => [binding, id])).toEqual([
    ['DB', 'DB'],
    ['DB_1', 'mine'],
    ['DB_2', 'scim-worker-2'],
    ['DB_10', 'DB_10'],
  ]);
});
