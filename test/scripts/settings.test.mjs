// What is made of the table of settings: the page, the help, and how `org show` looks.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readCommandLine } from '../../scripts/admin/command-line.mjs';
import { commands } from '../../scripts/admin/commands.mjs';
import { AdminError } from '../../scripts/admin/transport.mjs';
import { root } from '../../scripts/project.mjs';
import { settingsDocs } from '../../scripts/settings-docs.mjs';
import * as table from '../../src/store/org/settings.ts';

const names = ['name', ...table.entries.map(([key]) => table.nameOf(key))];

describe('the settings', () => {
  it.each(Object.entries(settingsDocs(table)))(
    'are in %s as the table has them (npm run docs:settings)',
    (path, text) => {
      expect(readFileSync(join(root, path), 'utf8')).toBe(text);
    },
  );

  it('are all in the help of org set, each with what it takes, its default and a sentence', () => {
    const { help } = readCommandLine(commands, ['org', 'set', '--help']);
    for (const name of names) expect(help).toContain(`\n  ${name}\n`);
    expect(help).toContain('Takes same-person, externalId or off. Default: same-person.');
    expect(help).toContain('Which deleted account a POST restores.');
    expect(help).not.toContain('brake.');
  });

  it('are not in the help of all commands', () => {
    expect(readCommandLine(commands, ['--help']).help).not.toContain('restore=');
  });

  it('are listed with value, default and meaning, of an org or all that there are', async () => {
    const { run, show } = commands.find(({ name }) => name === 'org settings');
    const org = { name: 'Acme', settings: { 'plan.seats': 5, roles: ['Admin', 'Editor'] } };
    const listed = await run(async () => org, { slug: 'acme' });
    expect(listed.map(({ name }) => name)).toEqual(names);
    expect(listed.find(({ name }) => name === 'plan.seats')).toMatchObject({ value: 5, default: 'any number' });
    expect(listed.find(({ name }) => name === 'linking')).toMatchObject({ value: null, default: 'email' });
    const text = show(listed);
    expect(text).toMatch(/^KEY +VALUE +DEFAULT$/m);
    expect(text).toMatch(/^roles +Admin,Editor +any values$/m);
    expect(text).toMatch(/^linking +default +email\n {4}How SCIM adopts/m);
    expect(show(await run(undefined, {}))).toMatch(/^KEY +DEFAULT\n/);
  });

  it('that are mistyped get the one that was meant', async () => {
    const { run } = commands.find(({ name }) => name === 'org set');
    const refused = async () => {
      throw new AdminError('invalidValue', 'There is no setting plan.seat; there are name, idp', 400);
    };
    await expect(run(refused, { slug: 'acme', 'key=value': ['plan.seat=5'] })).rejects.toThrow(
      'There is no setting "plan.seat". Did you mean plan.seats? See: npm run admin -- org settings',
    );
  });

  it('have one sentence each', () => {
    for (const [, { about }] of table.entries) expect(about).toMatch(/^[A-Z][^.]*(?:\.\w[^.]*)*\.$/);
  });

  it('are shown as org set takes them', () => {
    const { show } = commands.find(({ name }) => name === 'org show');
    const settings = { roles: ['Admin', 'Editor'], 'plan.seats': 5, signOutOnRename: true };
    const shown = show({ slug: 'acme', name: 'Acme', scimEnabled: true, scimBaseUrl: 'https://x/scim/v2', settings });
    expect(shown).toMatch(/settings\.roles +Admin,Editor/);
    expect(shown).toMatch(/settings\.plan\.seats +5/);
    expect(shown).toMatch(/settings\.signOutOnRename +true/);
  });
});
