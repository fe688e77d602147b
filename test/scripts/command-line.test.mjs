// What the operator types: commands of one word to three, flags in any place, and a way out of every mistake.

import { describe, expect, it } from 'vitest';
import { readCommandLine } from '../../scripts/admin/command-line.mjs';
import { commands } from '../../scripts/admin/commands.mjs';

const table = [
  { name: 'org create', about: 'Add an org.', args: ['slug'], options: { name: { value: 'text', about: 'its name' } } },
  { name: 'org list', about: 'All orgs.' },
  { name: 'oauth approve', about: 'Approve a client.', args: ['slug'] },
  {
    name: 'oauth client create',
    about: 'Register a client.',
    args: ['slug', 'uri…'],
    options: {
      name: { value: 'text', about: 'its name', required: true },
      public: { about: 'it keeps no secret' },
    },
  },
  { name: 'oauth client delete', about: 'Remove a client.', args: ['slug', 'id'] },
  { name: 'refusals', about: 'What was refused.', args: ['slug'] },
  { name: 'refusals watch', about: 'As they come.', args: ['slug'] },
];

const read = (...words) => readCommandLine(table, words);
function refusal(...words) {
  try {
    read(...words);
  } catch (error) {
    expect(error.code).toBe('usage');
    return error.message;
  }
  throw new Error('a refusal was expected');
}

describe('a command', () => {
  it('is found by one word, two or three, with what follows them', () => {
    expect(read('refusals', 'acme')).toMatchObject({ command: { name: 'refusals' }, input: { slug: 'acme' } });
    expect(read('org', 'list')).toMatchObject({ command: { name: 'org list' }, input: {} });
    expect(read('oauth', 'approve', 'acme')).toMatchObject({
      command: { name: 'oauth approve' },
      input: { slug: 'acme' },
    });
    expect(read('oauth', 'client', 'create', 'acme', 'https://a', 'https://b', '--name', 'Okta')).toMatchObject({
      command: { name: 'oauth client create' },
      input: { slug: 'acme', uri: ['https://a', 'https://b'], name: 'Okta' },
    });
  });

  it('that begins as a longer one does is found unless the longer one is meant', () => {
    expect(read('refusals', 'acme').command.name).toBe('refusals');
    expect(read('refusals', 'watch', 'acme')).toMatchObject({
      command: { name: 'refusals watch' },
      input: { slug: 'acme' },
    });
    expect(refusal('refusals', 'watch')).toMatch(/^refusals watch needs <slug>/);
    expect(read('refusals', '--help').help).toContain('npm run admin -- refusals <slug>');
  });

  it('takes flags in any place, and switches without a value', () => {
    const { input } = read('--json', 'oauth', '--public', 'client', 'create', '--name=Okta', 'acme', 'https://a');
    expect(input).toEqual({ json: true, public: true, name: 'Okta', slug: 'acme', uri: ['https://a'] });
  });
});

describe('a mistake', () => {
  it.each([
    [['orgs', 'list'], 'There is no "orgs". Did you mean org? See: npm run admin -- --help'],
    [['nothing'], 'There is no "nothing". See: npm run admin -- --help'],
    [['refusals'], 'refusals needs <slug>. See: npm run admin -- refusals --help'],
    [['org'], 'What about "org"? It has: create, list.'],
    [['org', 'lst'], '"org" has no "lst". Did you mean list? It has: create, list.'],
    [['oauth'], 'What about "oauth"? It has: approve, client.'],
    [['oauth', 'clint', 'create'], '"oauth" has no "clint". Did you mean client? It has: approve, client.'],
    [['oauth', 'client'], 'What about "oauth client"? It has: create, delete.'],
    [['oauth', 'client', 'del', 'x'], '"oauth client" has no "del". Did you mean delete? It has: create, delete.'],
    [['oauth', 'client', 'acme'], '"oauth client" has no "acme". It has: create, delete.'],
    [
      ['oauth', 'client', 'delete'],
      'oauth client delete needs <slug>. See: npm run admin -- oauth client delete --help',
    ],
    [['org', 'list', 'acme'], 'org list does not take "acme". See: npm run admin -- org list --help'],
    [
      ['oauth', 'client', 'create', 'acme', 'https://a'],
      'oauth client create needs --name <text>. See: npm run admin -- oauth client create --help',
    ],
    [['org', 'create', 'acme', '--nam', 'x'], 'There is no --nam. Did you mean --name?'],
    [['org', 'create', 'acme', '--name'], '--name needs a value: --name=<text>'],
    [['org', 'list', '--public=yes'], '--public takes no value.'],
    [['org', 'list', '--public'], 'org list has no --public. See: npm run admin -- org list --help'],
    [['--json'], 'Say what to do. See: npm run admin -- --help'],
  ])('in %j is answered with what would have been right', (words, expected) => {
    expect(refusal(...words)).toBe(expected);
  });
});

describe('the help', () => {
  it('keeps in its column what takes several lines', () => {
    const about = 'as a host\nstrict: now\nfast: soon';
    const { help } = readCommandLine(
      [...table, { name: 'sessions check', about: 'Is it?', options: { mode: { value: 'm', about } } }],
      ['sessions', 'check', '--help'],
    );
    const lines = help.split('\n').filter((line) => /as a host|strict|fast/.test(line));
    expect(new Set(lines.map((line) => line.search(/as a host|strict|fast/))).size).toBe(1);
    expect(lines).toHaveLength(3);
  });

  it('lists all commands for nothing at all, and for --help', () => {
    expect(read().help).toBe(read('--help').help);
    for (const { name, about } of table) {
      expect(read().help).toContain(name);
      expect(read().help).toContain(about);
    }
  });

  it('of a noun is that of its commands, of two words too', () => {
    expect(read('oauth', '--help').help).toContain('oauth approve');
    const { help } = read('oauth', 'client', '-h');
    expect(help).toMatch(/oauth client create <slug> <uri…> --name <text> \[options\]/);
    expect(help).toContain('--public');
    expect(help).not.toContain('oauth approve');
    expect(help).not.toContain('undefined');
  });

  it('of one command is all that it takes', () => {
    const { help } = read('oauth', 'client', 'create', '--help');
    expect(help).toContain('npm run admin -- oauth client create <slug> <uri…> --name <text> [--public]');
    expect(help).toMatch(/--public +it keeps no secret/);
  });

  it('of a noun that is not there is a refusal', () => {
    expect(refusal('oath', '--help')).toContain('Did you mean oauth?');
  });
});

describe('the commands that there are', () => {
  it('are unambiguous: each is found by its name, the only one of that name, and an option has one form', () => {
    expect(new Set(commands.map(({ name }) => name)).size).toBe(commands.length);
    for (const { name, args = [], options = {} } of commands) {
      const required = Object.entries(options).flatMap(([option, { required }]) => (required ? [`--${option}=x`] : []));
      const { command } = readCommandLine(commands, [...name.split(' '), ...args.map(() => 'x'), ...required]);
      expect(command.name).toBe(name);
    }
    const forms = new Map();
    for (const { options = {} } of commands) {
      for (const [option, { value }] of Object.entries(options)) {
        expect(forms.get(option) ?? value !== undefined, option).toBe(value !== undefined);
        forms.set(option, value !== undefined);
      }
    }
  });

  it('ask the API for a rotation as it was typed', async () => {
    const asked = async (...words) => {
      const { command, input } = readCommandLine(commands, words);
      let call;
      await command.run(async (path, { method, body }) => {
        call = { path, method, body: body && JSON.parse(JSON.stringify(body)) };
      }, input);
      return call;
    };
    const flags = ['--grace', '15m', '--expect-generation', '3', '--expires=90d', '--retire-on-use', '--by', 'ada'];
    expect(await asked('token', 'rotate', 'acme', ...flags)).toEqual({
      path: '/orgs/acme/tokens/rotate',
      method: 'POST',
      body: { grace: '15m', expectGeneration: 3, expires: '90d', retireOnUse: true, by: 'ada' },
    });
    expect(await asked('basic', 'rotate', 'acme')).toEqual({
      path: '/orgs/acme/basic/rotate',
      method: 'POST',
      body: {},
    });
    expect(await asked('basic', 'cancel', 'acme', '--expect-generation', 'two')).toMatchObject({
      path: '/orgs/acme/basic/cancel',
      body: { expectGeneration: 'two' }, // the API refuses it, and says what it expects
    });
    expect(await asked('token', 'revoke', 'acme', '--by', 'a b&c')).toEqual({
      path: '/orgs/acme/tokens?by=a+b%26c',
      method: 'DELETE',
      body: undefined,
    });
  });
});

describe('what is printed for people', () => {
  const show = (name, answer, input = {}) => {
    const { show } = commands.find((command) => command.name === name);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours, where the test runs in a terminal
    return show(answer, { slug: 'acme', ...input }).replace(/\u001b\[\d+m/g, '');
  };
  const at = (hour) => `2026-11-22T${hour}:00:00.000Z`;
  const one = (generation, more) => ({
    mask: `scim_aaaa…000${generation}`,
    generation,
    createdAt: at('08'),
    createdBy: 'ada',
    validUntil: null,
    graceUntil: null,
    revokedAt: null,
    warnings: [],
    ...more,
  });

  it('of a rotation is the new secret once, what becomes of the old one, and the ways out of it', () => {
    const rotated = { ...one(2), token: 'scim_new', predecessor: one(1, { state: 'grace', graceUntil: at('09') }) };
    const text = show('token rotate', { ...rotated, killed: null });
    expect(text.match(/scim_new/g)).toHaveLength(1);
    expect(text).toContain('The old one, scim_aaaa…0001 (generation 1), is good until 2026-11-22T09:00:00Z.');
    expect(text).toContain('npm run admin -- token complete acme');
    expect(text).toContain('npm run admin -- token cancel acme');
    expect(text).not.toContain('dead by this');
    expect(show('token rotate', { ...rotated, killed: one(0) })).toContain(
      'scim_aaaa…0000 (generation 0), whose grace',
    );
    expect(show('token rotate', { ...rotated, killed: null }, { 'retire-on-use': true })).toMatch(
      /good until 2026-11-22T09:00:00Z, or until shortly after the new one is used first\./,
    );
  });

  it('of a rotation tells an old one that expires within its grace, one that had expired, and one that is dead', () => {
    const rotated = (predecessor) => ({ ...one(2), token: 'scim_new', predecessor: one(1, predecessor), killed: null });
    const early = { state: 'grace', graceUntil: at('20'), validUntil: at('09') };
    expect(show('token rotate', rotated(early))).toContain('is good until 2026-11-22T09:00:00Z');
    expect(show('token rotate', rotated({ state: 'expired' }))).toMatch(/had expired\.$/);
    expect(show('token rotate', rotated({ state: 'replaced' }))).toMatch(/is dead\.$/);
  });

  it('of a password is the user name with it', () => {
    const text = show('basic generate', { ...one(1), userName: 'acme', password: 'scimpw_new' });
    expect(text).toMatch(/^User name acme\nPassword scimpw_new\n/);
  });

  it('of a list is a table, and then what to take care of', () => {
    const text = show('token list', [
      one(2, { state: 'current', warnings: ['expires in 3 days: rotate it before'] }),
      one(1, {
        state: 'grace',
        graceUntil: at('09'),
        lastUsedAt: at('08'),
        lastUsedClient: `Okta\u001b[31m ${'x'.repeat(100)}`,
        lastUsedAddress: '192.0.2.7',
        warnings: ['used 7 s ago\u0007'],
      }),
    ]);
    const lines = text.split('\n');
    expect(lines[0]).toMatch(/^MASK +GENERATION +STATE +CREATED +BY +LAST USED +FROM +GOOD UNTIL$/);
    expect(lines[2]).toMatch(/^scim_aaaa…0001 +1 +grace .* 192\.0\.2\.7 +2026-11-22T09:00:00Z$/);
    expect(lines.slice(3)).toEqual([
      '',
      '! scim_aaaa…0002 (generation 2) expires in 3 days: rotate it before',
      '! scim_aaaa…0001 (generation 1) used 7 s ago�',
    ]);
    expect(show('basic show', [])).toBe('No passwords.');
  });

  it('of a revocation is what died by it', () => {
    expect(show('token revoke', { revoked: 2, tokens: [one(2), one(1)] })).toBe(
      'Revoked scim_aaaa…0002 (generation 2) and scim_aaaa…0001 (generation 1).',
    );
    expect(show('basic revoke', { revoked: 0, passwords: [] })).toBe('There was no password to revoke.');
  });
});
