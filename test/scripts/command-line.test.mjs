// What the operator types: commands of one to three words, flags in any place, and errors that name the command that helps.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readCommandLine } from '../../scripts/admin/command-line.mjs';
import { commands } from '../../scripts/admin/commands.mjs';
import { confirm } from '../../scripts/admin/options.mjs';
import { STATES } from '../../scripts/admin/shards.mjs';

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

  it.each([
    ['brake show', 'held list'],
    ['brake release', 'held release'],
    ['org exit', 'org offboard'],
  ])('that was called %s is found by that name, too', (former, name) => {
    expect(readCommandLine(commands, [...former.split(' '), 'acme'])).toMatchObject({
      command: { name },
      input: { slug: 'acme' },
    });
  });

  it('takes flags in any place, and switches without a value', () => {
    const { input } = read('--json', 'oauth', '--public', 'client', 'create', '--name=Okta', 'acme', 'https://a');
    expect(input).toEqual({ json: true, public: true, name: 'Okta', slug: 'acme', uri: ['https://a'] });
  });
});

describe('a mistake', () => {
  it.each([
    [['orgs', 'list'], 'There is no command "orgs". Did you mean org? See: npm run admin -- --help'],
    [['nothing'], 'There is no command "nothing". See: npm run admin -- --help'],
    [['refusals'], 'refusals needs <slug>. See: npm run admin -- refusals --help'],
    [['org'], '"org" needs a verb. It has: create, list. See: npm run admin -- org --help'],
    [['org', 'lst'], '"org" has no verb "lst". Did you mean list? See: npm run admin -- org --help'],
    [['org', 'x'], '"org" has no verb "x". It has: create, list. See: npm run admin -- org --help'],
    [['oauth'], '"oauth" needs a verb. It has: approve, client. See: npm run admin -- oauth --help'],
    [
      ['oauth', 'clint', 'create'],
      '"oauth" has no verb "clint". Did you mean client? See: npm run admin -- oauth --help',
    ],
    [
      ['oauth', 'client'],
      '"oauth client" needs a verb. It has: create, delete. See: npm run admin -- oauth client --help',
    ],
    [
      ['oauth', 'client', 'del', 'x'],
      '"oauth client" has no verb "del". Did you mean delete? See: npm run admin -- oauth client --help',
    ],
    [
      ['oauth', 'client', 'delete', 'acme'],
      'oauth client delete needs <id>. See: npm run admin -- oauth client delete --help',
    ],
    [['org', 'list', 'acme'], 'org list does not take "acme". See: npm run admin -- org list --help'],
    [
      ['oauth', 'client', 'create', 'acme', 'https://a'],
      'oauth client create needs --name <text>. See: npm run admin -- oauth client create --help',
    ],
    [['org', 'create', 'acme', '--nam', 'x'], 'There is no option --nam. Did you mean --name?'],
    [['org', 'create', 'acme', '--name'], '--name needs a value: --name=<text>'],
    [['org', 'list', '--public=yes'], '--public takes no value.'],
    [['org', 'list', '--public'], 'org list has no --public. See: npm run admin -- org list --help'],
    [['--json'], 'A command is missing. See: npm run admin -- --help'],
  ])('in %j gets an error that names the command that helps', (words, expected) => {
    expect(refusal(...words)).toBe(expected);
  });
});

describe('--confirm', () => {
  const command = {
    name: 'org drop',
    about: 'Drop it.',
    args: ['slug'],
    options: { confirm: confirm('slug', 'it is gone') },
  };
  const read = (...words) => readCommandLine([command], ['org', 'drop', ...words]);

  it('must repeat the argument; without it the error says what would happen, and what to type', () => {
    expect(read('acme', '--confirm', 'acme').input).toMatchObject({ slug: 'acme', confirm: 'acme' });
    const message = 'org drop needs --confirm: it is gone. Run: npm run admin -- org drop acme --confirm acme';
    expect(() => read('acme')).toThrow(message);
    expect(() => read('acme', '--confirm', 'acne')).toThrow('org drop got another --confirm than acme: it is gone.');
  });

  it.each(['token revoke', 'basic revoke', 'org disable', 'org sign-out', 'org delete', 'user erase', 'schema remove'])(
    'is required by %s',
    (name) => {
      const { args } = commands.find((one) => one.name === name);
      expect(() => readCommandLine(commands, [...name.split(' '), ...args.map(() => 'x')])).toThrow('needs --confirm');
    },
  );
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

  it('is one screen of nouns for nothing at all, for --help and for help', () => {
    const { help } = readCommandLine(commands, []);
    expect(readCommandLine(commands, ['--help']).help).toBe(help);
    expect(readCommandLine(commands, ['help']).help).toBe(help);
    expect(help.split('\n').length).toBeLessThanOrEqual(25);
    for (const { name } of commands) expect(help).toMatch(new RegExp(`^  ${name.split(' ')[0]} `, 'm'));
    expect(help).not.toContain('Other');
  });

  it('lists a noun that has no group, so that none is forgotten', () => {
    expect(readCommandLine([...table, { name: 'new thing', about: 'It.' }], []).help).toMatch(/Other\n {2}new +thing/);
  });

  it('of a noun lists its verbs, of two words too', () => {
    expect(read('oauth', '--help').help).toContain('oauth approve');
    const { help } = read('oauth', 'client', '-h');
    expect(help).toMatch(/oauth client create <slug> <uri…> +Register a client\./);
    expect(help).not.toContain('oauth approve');
    expect(help).not.toContain('undefined');
    expect(read('help', 'oauth', 'client').help).toBe(help);
  });

  it('of one command says all that it takes', () => {
    const { help } = read('oauth', 'client', 'create', '--help');
    expect(help).toContain('npm run admin -- oauth client create <slug> <uri…> --name <text> [options]');
    expect(help).toMatch(/--public +it keeps no secret/);
    expect(read('help', 'oauth', 'client', 'create').help).toBe(help);
  });

  it('of a noun that is not there is an error', () => {
    expect(refusal('oath', '--help')).toContain('Did you mean oauth?');
  });

  it('has no line of more than 80 columns, and a sentence for each noun, verb, argument and option', () => {
    const nouns = [...new Set(commands.map(({ name }) => name.split(' ')[0]))];
    for (const words of [[], ...nouns.map((noun) => [noun]), ...commands.map(({ name }) => name.split(' '))]) {
      const { help } = readCommandLine(commands, [...words, '--help']);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: colours, where the test runs in a terminal
      const lines = help.replace(/\u001b\[\d+m/g, '').split('\n');
      expect(
        lines.filter((line) => line.length > 80),
        words.join(' '),
      ).toEqual([]);
      expect(help).not.toMatch(/undefined|see the example$/m);
    }
  });

  it('of each command has an example that can be typed', () => {
    for (const { name, example } of commands) {
      expect(example, name).toBeDefined();
      for (const text of [example].flat()) {
        const words = [...text.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c);
        expect(readCommandLine(commands, words).command.name, text).toBe(name);
      }
    }
  });

  it('is not needed for the version', () => {
    expect(read('--version')).toEqual({ version: true });
    expect(read('-v')).toEqual({ version: true });
  });
});

describe('the commands that there are', () => {
  it('are unambiguous: each is found by its name, the only one of that name, and an option has one form', () => {
    expect(new Set(commands.map(({ name }) => name)).size).toBe(commands.length);
    for (const { name, args = [], options = {} } of commands) {
      const required = Object.entries(options).flatMap(([option, { required }]) => (required ? [`--${option}=x`] : []));
      const given = args.map(() => 'x');
      const { command } = readCommandLine(commands, [...name.split(' '), ...given, ...required]);
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
    expect(await asked('token', 'revoke', 'acme', '--confirm', 'acme', '--by', 'a b&c')).toEqual({
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
    expect(text).toContain('The old one, scim_aaaa…0001 (generation 1), works until 2026-11-22T09:00:00Z.');
    expect(text).toContain('npm run admin -- token complete acme');
    expect(text).toContain('npm run admin -- token cancel acme');
    expect(text).not.toContain('still in its grace period');
    expect(show('token rotate', { ...rotated, killed: one(0) })).toContain(
      'scim_aaaa…0000 (generation 0) was still in its grace period, and is revoked too.',
    );
    expect(show('token rotate', { ...rotated, killed: null }, { 'retire-on-use': true })).toMatch(
      /works until 2026-11-22T09:00:00Z,\s+or\s+until soon after the first use of the new one\./,
    );
  });

  it('of a rotation tells an old one that expires within its grace, one that had expired, and one that is revoked', () => {
    const rotated = (predecessor) => ({ ...one(2), token: 'scim_new', predecessor: one(1, predecessor), killed: null });
    const early = { state: 'grace', graceUntil: at('20'), validUntil: at('09') };
    expect(show('token rotate', rotated(early))).toContain('works until 2026-11-22T09:00:00Z');
    expect(show('token rotate', rotated({ state: 'expired' }))).toMatch(/had expired\.$/);
    expect(show('token rotate', rotated({ state: 'replaced' }))).toMatch(/is revoked\.$/);
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
    expect(lines[0]).toMatch(/^MASK +GEN +STATE +CREATED +LAST USED$/);
    expect(lines.every((line) => line.length <= 80)).toBe(true);
    const row = text.replace(/\s+/g, ' ');
    expect(row).toContain('scim_aaaa…0002 2 current 2026-11-22T08:00Z never by ada');
    expect(row).toMatch(/scim_aaaa…0001 1 grace until 2026-11-22T08:00Z/);
    expect(row).toContain('192.0.2.7');
    expect(lines.slice(-3)).toEqual([
      '',
      '! scim_aaaa…0002 (generation 2) expires in 3 days: rotate it before',
      '! scim_aaaa…0001 (generation 1) used 7 s ago�',
    ]);
    expect(show('basic show', [])).toBe('No passwords.');
  });

  it('shard list: the words of docs/shards.md, one row for each database, and below what to do', () => {
    const docs = readFileSync(new URL('../../docs/shards.md', import.meta.url), 'utf8');
    const rows = docs.split('\n').filter((line) => line.startsWith('| `'));
    for (const [state, [, meaning, remedy]] of Object.entries(STATES))
      expect(rows).toContain(`| \`${state}\` | ${meaning} | ${remedy}${remedy && ' '}|`);
    const nothing = { orgs: 12, people: null, bytes: null, share: null, requestsToday: null, schema: null };
    const all = Object.keys(STATES).map((state, i) => ({ ...nothing, name: i ? `DB_${i}` : 'DB', state }));
    const lines = show('shard list', all).split('\n');
    for (const { name, state } of all)
      expect(lines.filter((line) => new RegExp(`^${name} +${state} +12`).test(line))).toHaveLength(1);
    expect(lines).toContain('DB_4 is missing: the catalogue names it, and it is not bound. To do: bind it again.');
    expect(lines.filter((line) => line.startsWith('DB is'))).toEqual([]);
  });

  it('of a credential that has ended says since when, and of one that works until when', () => {
    const state = (more) => show('token list', [one(1, more)]).replace(/\s+/g, ' ');
    expect(state({ state: 'current', validUntil: at('09') })).toContain('current until');
    expect(state({ state: 'revoked', revokedAt: at('09') })).toContain('revoked since');
  });

  it('with --quiet is the secret alone', () => {
    const quiet = (name, answer) => commands.find((command) => command.name === name).quiet(answer);
    expect(quiet('token generate', { token: 'scim_x' })).toBe('scim_x');
    expect(quiet('basic rotate', { password: 'scimpw_x' })).toBe('scimpw_x');
    expect(quiet('org create', { id: 'o1', credential: { token: 'scim_x' } })).toBe('scim_x');
    expect(quiet('org create', { id: 'o1' })).toBe('o1');
    expect(() => readCommandLine(commands, ['org', 'list', '--quiet'])).toThrow('org list has no --quiet');
  });

  it('of a revocation is what was revoked', () => {
    expect(show('token revoke', { revoked: 2, tokens: [one(2), one(1)] })).toBe(
      'Revoked scim_aaaa…0002 (generation 2) and scim_aaaa…0001 (generation 1).',
    );
    expect(show('basic revoke', { revoked: 0, passwords: [] })).toBe('There was no password to revoke.');
  });
});

describe('signals add', () => {
  it.each([{}, { type: 'ssf', issuer: 'https://a.okta.com' }, { type: 'global-token-revocation' }])(
    'of %j names the option that is missing, and asks nothing of the service',
    (input) => {
      const { run } = commands.find(({ name }) => name === 'signals add');
      const callAdmin = () => expect.fail('asked');
      expect(() => run(callAdmin, { slug: 'acme', ...input })).toThrow('needs --issuer <URL> for Universal Logout, or');
    },
  );
});
