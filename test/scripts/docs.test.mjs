// The docs: every link, anchor, command and sample in them is there, and their curl lines work.

import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize, relative } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCommandLine } from '../../scripts/admin/command-line.mjs';
import { commands } from '../../scripts/admin/commands.mjs';
import { root } from '../../scripts/project.mjs';
import { freePort } from '../../scripts/start/service.mjs';

const read = (path) => readFileSync(join(root, path), 'utf8');
const markdownIn = (folder) =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));

const DOCS = ['README.md', ...markdownIn('docs')];
const GUIDES = DOCS.filter((path) => path.startsWith('docs/idp/'));
const PAGES = [
  ...DOCS,
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'migrations/README.md',
  'test/README.md',
  ...markdownIn('examples'),
];

const withoutBlocks = (page) => page.replace(/^ *```[\s\S]*?^ *```$/gm, '');

/** As GitHub makes them of headings. */
function anchorsOf(path) {
  const seen = new Map();
  return [...withoutBlocks(read(path)).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => {
    const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const anchor = text.replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-');
    const times = seen.get(anchor) ?? 0;
    seen.set(anchor, times + 1);
    return times === 0 ? anchor : `${anchor}-${times}`;
  });
}

it('docs/scim.md has a row for each quirk, and a test shows it', () => {
  const list = /export type Quirk =([\s\S]*?);\n/.exec(read('src/scim/quirks.ts'))[1];
  const quirks = [...list.matchAll(/\| ['`]([a-z-]+)/g)].map(([, name]) => name);
  const tests = `${read('test/scim/quirks.test.ts')}${read('test/routes/client-spellings.test.ts')}`;
  expect(quirks.length).toBeGreaterThan(20);
  expect(quirks.filter((name) => !read('docs/scim.md').includes(`\`${name}`))).toEqual([]);
  expect(quirks.filter((name) => !tests.includes(`'${name}`))).toEqual([]);
});

describe('a link', () => {
  it.each(PAGES)('in %s leads to a file and an anchor that are there', (path) => {
    const broken = [];
    for (const [, target] of withoutBlocks(read(path)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file, anchor] = target.split('#');
      const at = file === '' ? path : normalize(join(dirname(path), file));
      if (!existsSync(join(root, at))) broken.push(target);
      else if (anchor !== undefined && at.endsWith('.md') && !anchorsOf(at).includes(anchor)) broken.push(target);
    }
    expect(broken).toEqual([]);
  });

  it('to each page is in the index of the docs', () => {
    const index = read('docs/README.md');
    const missing = markdownIn('docs')
      .filter((path) => !path.startsWith('docs/idp/') && path !== 'docs/README.md')
      .filter((path) => !index.includes(`](${relative('docs', path)})`));
    expect(missing).toEqual([]);
  });
});

describe('README', () => {
  it('has at most 250 lines', () => {
    expect(read('README.md').split('\n').length - 1).toBeLessThanOrEqual(250);
  });
});

describe('a path of the code', () => {
  it.each(DOCS)('in %s is there', (path) => {
    const named = [
      ...withoutBlocks(read(path)).matchAll(/`((?:src|test|scripts|examples|migrations|bench)\/[\w./-]*)`/g),
    ];
    expect(named.map(([, file]) => file).filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });
});

describe('test/README.md', () => {
  it('has one row for each promise, and names tests that exist', () => {
    const rows = read('test/README.md')
      .split('\n')
      .filter((line) => line.startsWith('| '));
    const promises = rows.map((row) => row.split('|')[1].trim());
    expect(promises.filter((promise, i) => promises.indexOf(promise) !== i)).toEqual([]);
    const named = rows.flatMap((row) => [...row.matchAll(/`([\w./-]+\.(?:test\.ts|test\.mjs|json))`/g)]);
    // A name without a folder is in the folder that stands before it.
    const tests = readdirSync(join(root, 'test'), { recursive: true }).map((path) => `/${path}`);
    const isThere = (name) => tests.some((path) => path.endsWith(`/${name}`));
    expect(named.map(([, name]) => name).filter((name) => !isThere(name))).toEqual([]);
  });
});

describe('a sample', () => {
  const SAMPLE = /<!-- sample: (\S+) -->\n```ts\n([\s\S]*?)```/g;
  const samples = DOCS.flatMap((path) =>
    [...read(path).matchAll(SAMPLE)].map(([, file, code]) => ({ path, file, code })),
  );

  it.each(samples)('in $path is $file, which tests run', ({ file, code }) => {
    expect(code).toBe(read(file));
  });

  it('of each kind of application is in the docs', () => {
    expect(samples.map(({ file }) => file).sort()).toEqual(['examples/samples/node.ts', 'examples/samples/worker.ts']);
  });
});

/** As a shell would: blanks separate, quotes hold together. */
const wordsOf = (text) =>
  [...text.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, single, double, bare]) => single ?? double ?? bare);

/** The command that a text begins with, by name; of several the longest, as on the command line. */
const commandOf = (text) =>
  commands.filter(({ name }) => `${text} `.startsWith(`${name} `)).toSorted((a, b) => b.name.length - a.name.length)[0];
const nouns = new Set(commands.map(({ name }) => name.split(' ')[0]));

/** What is typed behind `npm run admin --`, in blocks and in the text, up to a pipe, a comment or a closing parenthesis. */
const typed = (page) =>
  [...page.matchAll(/npm run (?:-s )?admin -- ([^`\n]+?)(?= \| | *(?:$|`|\n| #))/gm)]
    .map(([, text]) => text.replace(/\)$/, ''))
    .filter((text) => !text.startsWith('<') && !text.startsWith('--') && !text.startsWith('…'));

/** Words in backticks that begin like a command: its noun, and something behind it. */
const named = (page) =>
  [...withoutBlocks(page).matchAll(/`([^`\n]+)`/g)]
    .map(([, text]) => text)
    .filter((text) => nouns.has(text.split(' ')[0]) && text.includes(' '));

const optionsOf = (text) => [...text.matchAll(/(?<![\w-])--([a-z][a-z-]*)/g)].map(([, name]) => name);
/** Options that each command has. */
const COMMON = ['json', 'remote', 'env', 'url', 'help', 'version', 'quiet'];

describe('a command', () => {
  it.each(PAGES)('in %s exists, with its options', (path) => {
    const page = read(path);
    const wrong = [];
    for (const text of [...typed(page), ...named(page)]) {
      const command = commandOf(text);
      if (command === undefined && /^[a-z]+ --help$/.test(text)) continue; // the help of a noun
      if (command === undefined) wrong.push(text);
      else if (optionsOf(text).some((name) => !COMMON.includes(name) && !Object.hasOwn(command.options ?? {}, name)))
        wrong.push(text);
    }
    expect(wrong).toEqual([]);
  });

  it.each(DOCS)('in a block of %s can be typed as it stands', (path) => {
    for (const text of typed(read(path))) {
      if (/[$…]/.test(text) || commands.some(({ name }) => name === text)) continue;
      expect(() => readCommandLine(commands, wordsOf(text)), text).not.toThrow();
    }
  });

  it('of package.json has no other one as its hook by the accident of a name', () => {
    const names = Object.keys(JSON.parse(read('package.json')).scripts);
    expect(names.filter((name) => names.includes(`pre${name}`) || names.includes(`post${name}`))).toEqual([]);
  });

  it.each(PAGES)('npm run … in %s exists', (path) => {
    const { scripts } = JSON.parse(read('package.json'));
    const run = [...read(path).matchAll(/npm run (?:-s )?([a-z][\w:-]*)/g)].map(([, name]) => name);
    expect(run.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
  });
});

/** Words of the old texts that make a sentence hard to read, or that are not the field's. */
const AVOIDED = [
  /\bwhoever\b/i,
  /\bwhom it\b/i,
  /\bof whom\b/i,
  /\bnobody's\b/i,
  /\bis no good\b/i,
  /\bhears? (?:\d{3}|of|one|a|no)\b/i,
  /\bas they stand\b/i,
  /\bhost apps?\b/i,
  /\bthe brake\b/i,
  /\bleniency\b/i,
  /\bbends\b(?!`)/i,
];

describe('the words', () => {
  it.each(DOCS)('of %s are those of the style', (path) => {
    const lines = withoutBlocks(read(path)).split('\n');
    const found = lines.flatMap((line, i) =>
      AVOIDED.filter((word) => word.test(line)).map((word) => `${i + 1}: ${word} in ${line.slice(0, 100)}`),
    );
    expect(found).toEqual([]);
  });

  it.each(DOCS.filter((path) => !GUIDES.includes(path)))('of %s make short sentences', (path) => {
    const sentences = withoutBlocks(read(path))
      .split('\n')
      .filter((line) => !/^(?:\||#| {4}|<!--|\[)/.test(line))
      .join('\n')
      .replace(/\n(?!\n|- |\d+\. )/g, ' ')
      .replace(/`[^`]*`|\[([^\]]*)\]\([^)]*\)/g, (_, text) => text ?? 'code')
      .split(/(?<=[.:;?])\s+|\n/);
    const long = sentences.filter((sentence) => sentence.split(/\s+/).length > 28);
    expect(long).toEqual([]);
  });
});

describe('what the docs tell to type', () => {
  const run = promisify(execFile);
  const folder = mkdtempSync(join(tmpdir(), 'scim-worker-docs-'));
  const HOST_TOKEN = 'local-host-token-0123456789abcdef';
  const ADMIN_TOKEN = 'local-admin-token-0123456789abcdef';
  let service;
  let port;

  beforeAll(async () => {
    port = await freePort();
    service = spawn(process.execPath, ['scripts/start.mjs'], {
      cwd: root,
      env: {
        ...process.env,
        npm_lifecycle_event: '',
        PORT: String(port),
        STATE_DIR: join(folder, 'state'),
        HOST_TOKEN,
        ADMIN_TOKEN,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve, reject) => {
      let text = '';
      service.stdout.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
        if (/is ready on/.test(text)) resolve();
      });
      service.once('close', () => reject(new Error(text)));
    });
  });
  afterAll(async () => {
    const ended = new Promise((resolve) => service.once('close', resolve));
    service.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  });

  /** The blocks of a section of a page, as one script whose first failure ends it. */
  async function typeAll(path, from) {
    const [part] = read(path).split(from)[1].split(/^## /m);
    const blocks = [...part.matchAll(/^( *)```sh\n([\s\S]*?)^ *```$/gm)].map(([, indent, text]) =>
      text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    );
    const script = blocks
      .join('\n')
      .replaceAll('localhost:8787', `localhost:${port}`)
      .replaceAll('https://scim.example.com', `http://localhost:${port}`)
      .replaceAll('curl -s ', 'curl -sSf ');
    expect(script).not.toMatch(/wrangler|--remote/); // nothing leaves this machine
    const env = { ...process.env, STATE_DIR: join(folder, 'state'), HOST_TOKEN, ADMIN_TOKEN, NO_COLOR: '1' };
    const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], { cwd: root, env });
    return stdout;
  }

  it('in README is the first round trip, and works', async () => {
    const said = await typeAll('README.md', '## First round trip').catch((error) => expect.fail(error.stderr));
    expect(said).toContain('"userName":"ada@example.com"');
    expect(said).toContain('"totalResults":1');
    expect(said).toContain(`http://localhost:${port}/orgs/acme/scim/v2`);
  });

  it('in getting started ends a session, in the sessions page signs in, and in the admin API works', async () => {
    await run(process.execPath, ['scripts/admin.mjs', 'org', 'delete', 'acme', '--confirm', 'acme'], {
      cwd: root,
      env: { ...process.env, STATE_DIR: join(folder, 'state') },
    });
    const said = await typeAll('docs/getting-started.md', 'In a second terminal:').catch((error) =>
      expect.fail(error.stderr),
    );
    expect(said).toContain('"found":true');
    expect(said).toMatch(/"active":false/);
    const signIn = await typeAll('docs/sessions.md', '## Sign a user in').catch((error) => expect.fail(error.stderr));
    expect(signIn).toContain('"active":false');
    const api = await typeAll('docs/admin-api.md', '## Access').catch((error) => expect.fail(error.stderr));
    expect(api).toContain('"slug":"acme"');
  });
});
