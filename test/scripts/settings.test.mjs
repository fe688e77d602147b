// What is made of the table of settings: the page, the help, and how `org show` looks.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readCommandLine } from '../../scripts/admin/command-line.mjs';
import { commands } from '../../scripts/admin/commands.mjs';
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
    for (const name of names) expect(help).toContain(`  ${name}=<`);
    expect(help).toContain('restore=<same-person, externalId or off>  default: same-person');
    expect(help).toContain('Which deleted account a POST restores.');
    expect(help).not.toContain('brake.');
  });

  it('are not in the help of all commands', () => {
    expect(readCommandLine(commands, ['--help']).help).not.toContain('restore=');
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
