// The guides of the identity providers: docs/idp and `org guide` are one text, and the customer's has no command in it.

import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readCommandLine } from '../../scripts/admin/command-line.mjs';
import { commands } from '../../scripts/admin/commands.mjs';
import { GUIDES } from '../../scripts/admin/guide.mjs';
import { FILE, portalGuides } from '../../scripts/portal-guides.mjs';
import { startServer } from '../support/server.ts';

const at = (path) => new URL(`../../${path}`, import.meta.url);
const read = (path) => readFileSync(at(path), 'utf8');
const PAGES = readdirSync(at('docs/idp')).map((name) => `docs/idp/${name}`);
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
const guideOf = (org, idp, reader) =>
  run(api(org), { slug: 'globex', ...(idp && { idp }), ...(reader && { for: reader }) });
/** A page as `org guide` prints it: with the org's own names, and without links to pages that its reader does not have. */
const page = (name) =>
  read(`docs/idp/${name}.md`)
    .replace(/\[([^\]\n]+)\]\((?!https?:)[^)\n]+\)/g, '$1')
    .replaceAll('acme', 'globex')
    .replaceAll('https://scim.example.com', 'https://scim.vendor.test');

describe('the guide of an org', () => {
  it.each(guides)(
    'of %s has its own addresses in the place of the example, and nothing of the example',
    async (idp) => {
      const answer = await guideOf({}, idp);
      expect(answer.scimBaseUrl).toBe('https://scim.vendor.test/scim/v2');
      expect(answer.orgScimBaseUrl).toBe('https://scim.vendor.test/orgs/globex/scim/v2');
      expect(answer.guide).toContain('`https://scim.vendor.test/scim/v2`');
      expect(answer.guide).toContain('`https://scim.vendor.test/orgs/globex/scim/v2`');
      expect(answer.guide).not.toMatch(/acme|scim\.example\.com/i);
      expect(answer.guide).toBe(`${page(idp)}\n${page('faq')}`);
    },
  );

  it('keeps an address in which the name of the example stands', async () => {
    const { guide } = await guideOf({ scimBaseUrl: 'https://scim.acme.test/scim/v2' }, 'okta');
    expect(guide).toContain('`https://scim.acme.test/orgs/globex/scim/v2`');
  });

  it('is for the operator when that is asked for, with the commands', async () => {
    const { guide } = await guideOf({}, 'okta', 'operator');
    expect(guide).toBe(page('operator'));
    expect(guide).toContain('token generate globex');
    await expect(guideOf({}, 'okta', 'nobody')).rejects.toMatchObject({ code: 'usage' });
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
      message: `There is no guide for "toString"; there are: ${guides.join(', ')}.`,
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
      'There is no credential that Okta can use: token generate globex',
      'Identity providers cannot reach http://localhost:8787/scim/v2: set PUBLIC_URL to the public address, and deploy',
    ]);
    const password = { basic: [{ mask: 'scimpw_a…1', state: 'current' }] };
    expect((await guideOf(password, 'okta')).missing).toEqual([]);
    expect((await guideOf(password, 'entra')).missing).toEqual([
      'There is no credential that Microsoft Entra ID can use: token generate globex',
    ]);
    const underscored = { ...password, scimBaseUrl: 'https://scim_eu.vendor.test/scim/v2' };
    expect((await guideOf(underscored, 'okta')).missing).toEqual([
      'Okta takes no base URL with "_": https://scim_eu.vendor.test/scim/v2',
    ]);
    expect((await guideOf(underscored, 'ping')).missing).toEqual([]);
  });

  it('is printed for the customer as it is, and what is missing goes to standard error', async () => {
    const answer = await guideOf({ scimEnabled: false }, 'okta');
    const warned = vi.spyOn(console, 'error').mockImplementation(() => {});
    try {
      expect(plain(show(answer, {}))).toBe(answer.guide.trimEnd());
      expect(warned.mock.calls.flat().map(plain)).toEqual([
        '! SCIM is off: scim enable globex',
        '! There is no credential that Okta can use: token generate globex',
      ]);
    } finally {
      warned.mockRestore();
    }
  });

  it('is printed for the operator with the state of the org first', async () => {
    const answer = await guideOf({ tokens: [{ mask: 'scim_a…2', state: 'current' }] }, 'okta', 'operator');
    const text = plain(show(answer, {}));
    expect(text).toMatch(/^globex, with Okta\nbase URL +https:\/\/scim\.vendor\.test\/scim\/v2\n/);
    expect(text).toMatch(/^authentication +token: scim_a…2$/m);
    expect(text.endsWith(answer.guide.trimEnd())).toBe(true);
  });
});

// biome-ignore lint/suspicious/noControlCharactersInRegex: colours, where the test runs in a terminal
const plain = (text) => text.replace(/\u001b\[\d+m/g, '');

describe('each guide', () => {
  it.each(guides)('of %s has the base URLs, the attributes, how users sign in, and sources', (idp) => {
    const text = read(`docs/idp/${idp}.md`);
    for (const part of [/^## Attributes$/m, /^## Sources$/m, /^\| SCIM \| in .* \|$/m, /OpenID Connect/]) {
      expect(text).toMatch(part);
    }
    expect(text).toMatch(/unique identifier|`userName` is mapped from/i);
    expect(text).toContain('https://scim.example.com/scim/v2`');
    expect(text).toContain('https://scim.example.com/orgs/acme/scim/v2`');
    expect(text).toMatch(/November 2026|RFC 7644/); // dated
  });

  it.each([...guides, 'faq'])('of %s has no command in it, and nothing of our side', (idp) => {
    const text = read(`docs/idp/${idp}.md`);
    expect(text).not.toMatch(/npm |npx |```sh|\$ |curl /);
    expect(text).not.toMatch(/on our side$|D1\b|\bKV\b|`resolve`/im);
    for (const [, code] of text.matchAll(/`([^`\n]+)`/g)) {
      expect(commandOf(code), code).toBeUndefined();
    }
  });

  it('has a page, and each page is a guide', () => {
    expect(PAGES.map((path) => path.replace(/^.*\/|\.md$/g, '')).sort()).toEqual(
      [...guides, 'README', 'faq', 'operator'].sort(),
    );
  });

  it('says what administrators miss most', () => {
    for (const [idp, ...words] of [
      ['okta', 'Never put a `_` into the base URL', 'Single sign-on URL', 'SCIM 2.0 Test App'],
      [
        'entra',
        '40 minutes',
        '**Provision on demand**',
        '`?aadOptscim062020`',
        '**New configuration**',
        '**Prevent accidental deletions**',
      ],
      ['onelogin', 'Require admin approval', 'Tab **Access**'],
      ['jumpcloud', 'Press **Activate**'],
      ['ping', 'Switch the connection on with its toggle', 'Switch the rule on with its toggle'],
    ]) {
      for (const word of words) expect(read(`docs/idp/${idp}.md`), idp).toContain(word);
    }
  });

  it('leaves symptoms to the operator, each with a command that answers it', () => {
    const rows = read('docs/idp/operator.md')
      .split('## When something is wrong')[1]
      .split('\n')
      .filter((line) => line.startsWith('| ') && !line.startsWith('| symptom'));
    expect(rows.length).toBeGreaterThan(20);
    for (const row of rows) expect(commandOf(/`([^`]+)`/.exec(row.split('|')[2])?.[1] ?? ''), row).toBeDefined();
  });
});

describe('the service', () => {
  let server;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server?.stop());

  it("does what the operator's page asks for, and then lacks nothing but an address", async () => {
    const callAdmin = (path, { method = 'GET', body } = {}) => server.admin(method, path, body);
    const slug = 'guided';
    const [, block] = /^## Prepare\n\n```sh\n([\s\S]*?)^```/m.exec(read('docs/idp/operator.md'));
    for (const line of block.trim().split('\n')) {
      const words = wordsOf(line.replace('npm run -s admin -- ', '').replaceAll('acme', slug));
      const { command, input } = readCommandLine(commands, words);
      await command.run(callAdmin, input);
    }
    const guide = await run(callAdmin, { slug });
    expect(guide).toMatchObject({ idp: 'okta', scimEnabled: true, authentication: [{ way: expect.any(String) }] });
    expect(guide.missing).toEqual([expect.stringContaining('Identity providers cannot reach http://')]);
  });
});

/** As a shell would: blanks separate, quotes hold together. */
const wordsOf = (text) =>
  [...text.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, single, double, bare]) => single ?? double ?? bare);

/** The command that a text begins with, by name; of several the longest, as on the command line. */
const commandOf = (text) =>
  commands.filter(({ name }) => `${text} `.startsWith(`${name} `)).toSorted((a, b) => b.name.length - a.name.length)[0];

it('the portal has the guides as docs/idp has them (npm run docs:portal)', async () => {
  expect(read(FILE)).toBe(await portalGuides());
});
