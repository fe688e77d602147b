// The guides of the identity providers: one text for docs/idp and `org guide`, and every command that a page names exists.

import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCommandLine } from '../../scripts/admin/command-line.mjs';
import { commands } from '../../scripts/admin/commands.mjs';
import { GUIDES } from '../../scripts/admin/guide.mjs';
import { startServer } from '../support/server.ts';

const at = (path) => new URL(`../../${path}`, import.meta.url);
const read = (path) => readFileSync(at(path), 'utf8');
const PAGES = readdirSync(at('docs/idp')).map((name) => `docs/idp/${name}`);
const DOCS = ['stream', 'people', 'leaving', 'archive'].map((name) => `docs/${name}.md`);
const guides = Object.keys(GUIDES);
const { run, show } = commands.find(({ name }) => name === 'org guide');

const ORG = { slug: 'globex', scimBaseUrl: 'https://scim.vendor.test/scim/v2', scimEnabled: true, disabledAt: null };

/** An admin API that holds this org, and what it has been asked. */
function api({ settings = {}, tokens = [], basic = [], clients = [], ...org } = {}) {
  const answers = {
    '/orgs/globex': { ...ORG, settings, ...org },
    '/orgs/globex/tokens': tokens,
    '/orgs/globex/basic': basic,
    '/orgs/globex/oauth/clients': clients,
  };
  return async (path) => answers[path] ?? Promise.reject(new Error(path));
}
const guideOf = (org, idp) => run(api(org), { slug: 'globex', ...(idp && { idp }) });

describe('the guide of an org', () => {
  it.each(guides)(
    'of %s has its own addresses in the place of the example, and nothing of the example',
    async (idp) => {
      const answer = await guideOf({}, idp);
      expect(answer.scimBaseUrl).toBe('https://scim.vendor.test/scim/v2');
      expect(answer.orgScimBaseUrl).toBe('https://scim.vendor.test/orgs/globex/scim/v2');
      expect(answer.guide).toContain('`https://scim.vendor.test/scim/v2`');
      expect(answer.guide).toContain('`https://scim.vendor.test/orgs/globex/scim/v2`');
      expect(answer.guide).toContain('token generate globex');
      expect(answer.guide).not.toMatch(/acme|scim\.example\.com/i);
      // The page as it is in docs/idp, but for the names, and then what to do when something is wrong.
      const page = (path) =>
        read(path).replaceAll('acme', 'globex').replaceAll('https://scim.example.com', 'https://scim.vendor.test');
      expect(answer.guide).toBe(`${page(`docs/idp/${idp}.md`)}\n${page('docs/idp/troubleshooting.md')}`);
    },
  );

  it('keeps an address in which the name of the example stands', async () => {
    const { guide } = await guideOf({ scimBaseUrl: 'https://scim.acme.test/scim/v2' }, 'okta');
    expect(guide).toContain('`https://scim.acme.test/orgs/globex/scim/v2`');
  });

  it('is that of its setting idp, unless another one is asked for', async () => {
    expect((await guideOf({ settings: { idp: 'entra' } })).guide).toMatch(/^# Microsoft Entra ID/);
    expect((await guideOf({ settings: { idp: 'entra' } }, 'ping')).guide).toMatch(/^# Ping/);
  });

  it('says what to add when nobody said which identity provider it is, or one that has none', async () => {
    await expect(guideOf({})).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('--idp <okta|'),
    });
    await expect(guideOf({}, 'toString')).rejects.toMatchObject({
      code: 'usage',
      message: 'There is no guide for "toString"; there are: okta, entra, onelogin, jumpcloud, google, ping, other.',
    });
  });

  it('tells by what the identity provider can prove itself now, and nothing that is dead', async () => {
    const { authentication, missing } = await guideOf(
      {
        tokens: [
          { mask: 'scim_a…2', state: 'current' },
          { mask: 'scim_a…1', state: 'grace' },
          { mask: 'scim_a…0', state: 'revoked' },
        ],
        basic: [{ mask: 'scimpw_a…1', state: 'expired' }],
        clients: [{ clientId: 'a_b', name: 'Okta' }],
      },
      'okta',
    );
    expect(authentication).toEqual([
      { way: 'token', what: 'scim_a…2' },
      { way: 'token', what: 'scim_a…1' },
      { way: 'oauth', what: 'client a_b (Okta)' },
    ]);
    expect(missing).toEqual([]);
  });

  it('tells what is still in the way of the first request', async () => {
    const off = { scimEnabled: false, disabledAt: '2026-11-22T08:00:00.000Z' };
    expect((await guideOf({ ...off, scimBaseUrl: 'http://localhost:8787/scim/v2' }, 'okta')).missing).toEqual([
      'The org is switched off: org enable globex',
      'SCIM is off: scim enable globex',
      'Nothing Okta could present: token generate globex',
      'No identity provider reaches http://localhost:8787/scim/v2: deploy the service, and set PUBLIC_URL to its address',
    ]);
    const password = { basic: [{ mask: 'scimpw_a…1', state: 'current' }] };
    expect((await guideOf(password, 'okta')).missing).toEqual([]);
    expect((await guideOf(password, 'entra')).missing).toEqual([
      'Nothing Microsoft Entra ID could present: token generate globex',
    ]);
    const underscored = { ...password, scimBaseUrl: 'https://scim_eu.vendor.test/scim/v2' };
    expect((await guideOf(underscored, 'okta')).missing).toEqual([
      'Okta takes no base URL with "_": https://scim_eu.vendor.test/scim/v2',
    ]);
    expect((await guideOf(underscored, 'ping')).missing).toEqual([]);
  });

  it('is printed with what is the case first, and the steps as they are', async () => {
    const answer = await guideOf({ tokens: [{ mask: 'scim_a…2', state: 'current' }] }, 'okta');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours, where the test runs in a terminal
    const text = show(answer, {}).replace(/\u001b\[\d+m/g, '');
    expect(text).toMatch(/^globex, with Okta\nbase URL +https:\/\/scim\.vendor\.test\/scim\/v2\n/);
    expect(text).toMatch(/^authentication +token: scim_a…2$/m);
    expect(text.endsWith(answer.guide.trimEnd())).toBe(true);
  });
});

describe('each guide', () => {
  it.each(guides)('of %s has our side, theirs, the attributes with what the product gets, and sources', (idp) => {
    const page = read(`docs/idp/${idp}.md`);
    for (const part of [
      /^## On our side$/m,
      /^## In /m,
      /^\| SCIM \| .* \| what the product gets \|$/m,
      /^## Sources$/m,
    ]) {
      expect(page).toMatch(part);
    }
    expect(page).toMatch(/unique (?:user )?identifier|matched by `userName`/i);
    expect(page).toContain(`org set acme idp=${idp}`);
    expect(page).toContain('OpenID Connect'); // whether signing in needs an application of its own
  });

  it('has a page, and each page is a guide', () => {
    expect(PAGES.map((path) => path.replace(/^.*\/|\.md$/g, '')).sort()).toEqual([...guides, 'troubleshooting'].sort());
  });

  it('of what is promised by name: no "_" for Okta, the 40 minutes, provision on demand and the flag of Entra ID', () => {
    expect(read('docs/idp/okta.md')).toContain('No `_` anywhere in it');
    for (const words of ['40 minutes', '«Provision on demand»', '`aadOptscim062020`']) {
      expect(read('docs/idp/entra.md')).toContain(words);
    }
  });

  it('has a table for troubleshooting in which every symptom is answered by a command', () => {
    const rows = read('docs/idp/troubleshooting.md')
      .split('\n')
      .filter((line) => line.startsWith('| ') && !line.startsWith('| symptom'));
    expect(rows.length).toBeGreaterThan(10);
    for (const row of rows) expect(commandOf(/`([^`]+)`/.exec(row.split('|')[2])?.[1] ?? ''), row).toBeDefined();
  });
});

describe('the service', () => {
  let server;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server?.stop());

  it.each(guides)('does what the guide of %s asks of our side, and then lacks nothing but an address', async (idp) => {
    const callAdmin = (path, { method = 'GET', body } = {}) => server.admin(method, path, body);
    const slug = `guide-${idp}`;
    await server.admin('POST', '/orgs', { slug });
    const [, block] = /^## On our side\n\n```sh\n([\s\S]*?)^```/m.exec(read(`docs/idp/${idp}.md`));
    for (const line of block.trim().split('\n')) {
      const words = wordsOf(line.replace('npm run -s admin -- ', '').replaceAll('acme', slug));
      const { command, input } = readCommandLine(commands, words);
      await command.run(callAdmin, input);
    }
    const guide = await run(callAdmin, { slug });
    expect(guide).toMatchObject({ idp, scimEnabled: true, authentication: [{ way: expect.any(String) }] });
    expect(guide.missing).toEqual([expect.stringContaining('No identity provider reaches http://')]);
  });
});

/** As a shell would: blanks separate, quotes hold together. */
const wordsOf = (text) =>
  [...text.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, single, double, bare]) => single ?? double ?? bare);

/** The command that a text begins with, by name; of several the longest, as on the command line. */
const commandOf = (text) =>
  commands.filter(({ name }) => `${text} `.startsWith(`${name} `)).toSorted((a, b) => b.name.length - a.name.length)[0];
const nouns = new Set(commands.map(({ name }) => name.split(' ')[0]));

/** What is typed behind `npm run admin --`, in blocks and in the text, up to a pipe. */
const typed = (page) =>
  [...page.matchAll(/npm run (?:-s )?admin -- ([^`\n]+?)(?= \| |\)? *(?:$|`|\n| #))/gm)]
    .map(([, text]) => text.replace(/\)$/, ''))
    .filter((text) => !text.startsWith('<') && !text.startsWith('--help') && !text.startsWith('…'));

/** Words in backticks that begin like a command: its noun, and something behind it. */
const named = (page) =>
  [...page.replace(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`\n]+)`/g)]
    .map(([, text]) => text)
    .filter((text) => nouns.has(text.split(' ')[0]) && text.includes(' '));

const optionsOf = (text) => [...text.matchAll(/(?<![\w-])--([a-z][a-z-]*)/g)].map(([, name]) => name);

describe('a command that is named', () => {
  it.each(PAGES)('in %s is one that can be typed as it stands', (path) => {
    const page = read(path);
    const texts = [...typed(page), ...named(page)];
    expect(texts.length).toBeGreaterThan(3);
    for (const text of texts) {
      if (commands.some(({ name }) => name === text)) continue; // only its name is meant
      expect(() => readCommandLine(commands, wordsOf(text)), text).not.toThrow();
    }
  });

  it.each(['README.md', ...DOCS, 'migrations/README.md', 'CHANGELOG.md'])('in %s exists, with its options', (path) => {
    const page = read(path);
    for (const text of [...typed(page), ...named(page)]) {
      // `rotate|cancel` stands for either.
      const [first, ...rest] = text.split(' ');
      const variants = rest[0]?.includes('|')
        ? rest[0].split('|').map((verb) => [first, verb, ...rest.slice(1)].join(' '))
        : [text];
      for (const variant of variants) {
        const command = commandOf(variant);
        expect(command, `${path}: ${variant}`).toBeDefined();
        for (const option of optionsOf(variant)) {
          expect({ ...command.options, json: {}, remote: {}, env: {}, help: {} }, `${path}: ${variant}`).toHaveProperty(
            [option],
          );
        }
      }
    }
  });

  it('in the list of the README is every one that there is, and no other', () => {
    const block = /^## Administration[\s\S]*?^```\n([\s\S]*?)^```/m.exec(read('README.md'))[1];
    const entries = block
      .split(/\n| {2,}/)
      .filter((text) => nouns.has(text.split(' ')[0]))
      .flatMap((text) => {
        const words = text.split(' ');
        const at = words.findIndex((word) => /^[a-z-]+(?:\|[a-z-]+)+$/.test(word));
        return at < 0
          ? [text]
          : words[at].split('|').map((verb) => [...words.slice(0, at), verb, ...words.slice(at + 1)].join(' '));
      });
    expect([...new Set(entries.map((text) => commandOf(text)?.name ?? `no such command: ${text}`))].sort()).toEqual(
      commands.map(({ name }) => name).sort(),
    );
  });
});
