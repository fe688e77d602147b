// docs/admin-cli.md is made of the commands; so it names all of them, and none that is not there.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commands } from '../../scripts/admin/commands.mjs';
import { NOUN_GROUPS } from '../../scripts/admin/help.mjs';
import { cliPage, PAGE } from '../../scripts/admin-docs.mjs';
import { root } from '../../scripts/project.mjs';

describe('docs/admin-cli.md', () => {
  it('is as the commands have it (npm run docs:cli)', () => {
    expect(readFileSync(join(root, PAGE), 'utf8')).toBe(cliPage());
  });

  it('has every command, once', () => {
    const named = [...cliPage().matchAll(/^### (.*)$/gm)].map(([, name]) => name);
    expect(named.toSorted()).toEqual(commands.map(({ name }) => name).toSorted());
  });

  it('says what each argument and option is', () => {
    expect(cliPage()).not.toContain('undefined');
  });

  it('has only groups of nouns that are there', () => {
    const nouns = new Set(commands.map(({ name }) => name.split(' ')[0]));
    for (const [, group] of NOUN_GROUPS) for (const noun of Object.keys(group)) expect(nouns).toContain(noun);
  });
});
