/**
 * `npm run docs:settings`: docs/settings.md, and what `org set --help` lists, from the table in src/store/org/settings.ts.
 * A test checks that both are current.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { root } from './project.mjs';

const INTRODUCTION = `# Settings of an org

\`npm run admin -- org set <slug> key=value …\` changes settings; \`key=none\` sets one back to its default. An unknown key
or a wrong value is refused, and nothing changes. A change is in force with the next request.

\`PATCH /admin/v1/orgs/{slug}\` with \`{"settings": {"key": "value"}}\` does the same. Values are text there, too.

The names \`brake.deactivations\`, \`brake.percentage\` and \`brake.window\` are accepted for one more release. They are called
\`deactivationLimit.…\` now.

<!-- Written by npm run docs:settings from src/store/org/settings.ts. Do not edit. -->
`;

/** @param table the module src/store/org/settings.ts. @returns the text of each file that is made of it, by its path. */
export function settingsDocs({ NAME, entries, nameOf, textOf }) {
  const all = [['name', NAME], ...entries.map(([key, setting]) => [nameOf(key), setting])];
  const listed = all.map(([name, setting]) => ({
    name,
    about: setting.about,
    takes: setting.takes,
    default: setting.default === undefined ? setting.unset : textOf(setting.default),
  }));
  return {
    'docs/settings.md': [INTRODUCTION, ...all.map(sectionOf)].join('\n'),
    'scripts/admin/settings.json': `${JSON.stringify(listed, null, 2)}\n`,
  };

  function sectionOf([name, { about, takes, unset, notes = [], ...setting }]) {
    const otherwise = setting.default === undefined ? unset : `\`${textOf(setting.default)}\``;
    const facts = [`Value: ${takes}`, `Default: ${otherwise}`, ...notes];
    return `## \`${name}\`\n\n${about}\n\n${facts.map((fact) => `- ${fact}\n`).join('')}`;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { runnerImport } = await import('vite');
  const { module } = await runnerImport(join(root, 'src/store/org/settings.ts'), { root, configFile: false });
  for (const [path, text] of Object.entries(settingsDocs(module))) await writeFile(join(root, path), text);
}
