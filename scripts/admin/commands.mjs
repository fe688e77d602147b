/**
 * Every admin command, one entry each: what it is called, what it takes, which call it makes and how the answer looks to
 * people. Parsing, help and errors are the same for all and live in command-line.mjs.
 *
 *   name      one word to three
 *   args      positional arguments, all required; a last one that ends in `…` takes one or more
 *   options   by name: `value` is what the help calls it, and without one it is a switch; `required` as it says
 *   run       (callAdmin, values) -> the API's answer
 *   show      (answer, values) -> text for people
 *   details   () -> text that the help of this command alone adds
 *   stream    (callAdmin, values) -> in the place of both: lines as they come, if `values` want that; else undefined
 */
import { columns, harmless, heading } from '../terminal.mjs';
import { peopleCommands } from './accounts.mjs';
import { listAll, org, post } from './api.mjs';
import { archiveCommands } from './archive.mjs';
import { brakeCommands } from './brake.mjs';
import { credentialCommands } from './credentials.mjs';
import { jsonOf } from './files.mjs';
import { guideCommand } from './guide.mjs';
import { healthCommands } from './health.mjs';
import { journalCommands } from './journal.mjs';
import { linkPreviewCommand } from './link-preview.mjs';
import { oauthCommands } from './oauth.mjs';
import { exitCommand } from './offboard.mjs';
import { settingRows, settingsHelp } from './settings.mjs';
import { AdminError } from './transport.mjs';

const schemaOf = (slug, urn) => org(slug, `/schemas/${encodeURIComponent(urn)}`);
const groupOf = (slug, group) => org(slug, `/groups/${encodeURIComponent(group)}`);
const BY = 'for whom it is recorded (default: your user name)';

export const commands = [
  {
    name: 'org create',
    about: 'Add an org. SCIM stays off until it is enabled.',
    args: ['slug'],
    options: { name: { value: 'text', about: 'what people call it (default: the slug)' } },
    run: (callAdmin, { slug, name }) => callAdmin('/orgs', post({ slug, name })),
    show: (created) => `${showOrg(created)}\n\nNext: npm run admin -- scim enable ${created.slug}`,
  },
  {
    name: 'org list',
    about: 'All orgs.',
    run: (callAdmin) => listAll(callAdmin, '/orgs', ({ slug }) => slug),
    show: (orgs) =>
      orgs.length === 0
        ? 'No orgs yet. Add one: npm run admin -- org create <slug>'
        : columns([
            heading('SLUG', 'NAME', 'SCIM', 'ACTIVE', 'USERS', 'CREATED'),
            ...orgs.map((it) => [it.slug, it.name, scimOf(it), it.activeUsers, it.users, it.createdAt]),
          ]),
  },
  {
    name: 'org show',
    about: 'One org: its SCIM base URL, settings and counters.',
    args: ['slug'],
    run: (callAdmin, { slug }) => callAdmin(org(slug)),
    show: showOrg,
  },
  guideCommand,
  {
    name: 'org set',
    about: 'Change settings of an org; key=none sets one back to its default.',
    args: ['slug', 'key=value…'],
    details: settingsHelp,
    run: (callAdmin, { slug, 'key=value': pairs }) =>
      callAdmin(org(slug), { method: 'PATCH', body: { settings: settingsOf(pairs) } }),
    show: showOrg,
  },
  {
    name: 'org disable',
    about: 'Switch an org off: every session of it ends, and its identity provider is refused. Tokens stay.',
    args: ['slug'],
    options: { reason: { value: 'text', about: 'for the journal' } },
    run: (callAdmin, { slug, reason }) => callAdmin(org(slug, '/disable'), post({ reason })),
    show: ({ published, ...it }) =>
      `${showOrg(it)}\n\nNobody of ${it.slug} is signed in any more.${pending(published)}`,
  },
  {
    name: 'org enable',
    about: 'Switch an org on again. Sessions from before stay dead.',
    args: ['slug'],
    options: { reason: { value: 'text', about: 'for the journal' } },
    run: (callAdmin, { slug, reason }) => callAdmin(org(slug, '/enable'), post({ reason })),
    show: ({ published, ...it }) => `${showOrg(it)}${pending(published)}`,
  },
  {
    name: 'org sign-out',
    about: 'End every session of everybody of an org. Who is active may sign in anew.',
    args: ['slug'],
    options: { by: { value: 'who', about: BY } },
    run: (callAdmin, { slug, by }) => callAdmin(org(slug, '/sign-out'), post({ by })),
    show: ({ slug, notBefore, published }) =>
      `Every session of ${slug} issued until ${notBefore} is dead.${pending(published)}`,
  },
  exitCommand,
  {
    name: 'org delete',
    about:
      'Remove an org with all its users, groups and tokens: it is gone at once, its rows within minutes. This cannot be undone.',
    args: ['slug'],
    options: { confirm: { value: 'slug', about: 'the slug once more, so that it is no accident', required: true } },
    run: (callAdmin, { slug, confirm }) =>
      callAdmin(org(slug, `?confirm=${encodeURIComponent(confirm)}`), { method: 'DELETE' }),
    show: ({ deleted, users }, { slug }) =>
      `Deleted ${typeof deleted === 'string' ? deleted : slug} and ${users} users.`,
  },
  ...archiveCommands,
  {
    name: 'scim enable',
    about: "Let the org's identity provider in.",
    args: ['slug'],
    run: (callAdmin, { slug }) => callAdmin(org(slug, '/scim'), post({ enabled: true })),
    show: showOrg,
  },
  {
    name: 'scim disable',
    about: "Refuse the org's identity provider. Users and groups stay as they are.",
    args: ['slug'],
    run: (callAdmin, { slug }) => callAdmin(org(slug, '/scim'), post({ enabled: false })),
    show: showOrg,
  },
  ...credentialCommands({ noun: 'token', word: 'token', path: '/tokens', list: 'list' }),
  ...credentialCommands({ noun: 'basic', word: 'password', path: '/basic', list: 'show' }),
  ...oauthCommands,
  {
    name: 'refusals',
    about: 'Why requests for an org were refused in the last 30 days, the latest first, and what to do about it.',
    args: ['slug'],
    options: { since: { value: 'ISO', about: 'only what has happened since, for example 2026-11-22T08:00Z' } },
    run: (callAdmin, { slug, since }) =>
      callAdmin(org(slug, `/refusals${since ? `?${new URLSearchParams({ since })}` : ''}`)),
    show: (refusals) =>
      refusals.length === 0
        ? 'Nothing was refused.'
        : columns([
            heading('LAST', 'COUNT', 'REASON', 'CLIENT', 'ADDRESS', 'WHAT TO DO'),
            ...refusals.map((it) => [it.lastAt, it.count, it.reason, it.client, it.address, it.detail]),
          ]),
  },
  ...healthCommands,
  ...brakeCommands,
  ...journalCommands,
  {
    name: 'user list',
    about: 'All users of an org, or those that a SCIM filter matches.',
    args: ['slug'],
    options: { filter: { value: 'filter', about: `for example 'userName sw "ada" and active eq true'` } },
    run: (callAdmin, { slug, filter }) => allPages(callAdmin, slug, 'users', filter),
    show: (users) =>
      users.length === 0
        ? 'No users.'
        : columns([
            heading('ID', 'USER NAME', 'DISPLAY NAME', 'ACTIVE', 'ORIGIN', 'LINKED', 'PROTECTED'),
            ...users.map((it) => [
              it.id,
              it.userName,
              nameOf(it),
              yesNo(it.active),
              it.origin,
              it.origin === 'host' ? (it.linked ?? ['yellow', 'no']) : null,
              it.protected ? ['green', 'yes'] : null,
            ]),
          ]),
  },
  {
    name: 'user show',
    about: 'One user, with the instant before which sessions are dead.',
    args: ['slug', 'id|userName'],
    run: (callAdmin, { slug, 'id|userName': user }) => callAdmin(org(slug, `/users/${encodeURIComponent(user)}`)),
    show: (user) => columns(leaves(user)),
  },
  {
    name: 'user sign-out',
    about: 'End every session of a user, who stays active and may sign in anew.',
    args: ['slug', 'id|userName'],
    options: { by: { value: 'who', about: BY } },
    run: (callAdmin, { slug, 'id|userName': user, by }) =>
      callAdmin(org(slug, `/users/${encodeURIComponent(user)}/sign-out`), post({ by })),
    show: ({ userName, notBefore, published }) =>
      `Every session of ${harmless(userName)} issued until ${notBefore} is dead.${pending(published)}`,
  },
  ...peopleCommands,
  linkPreviewCommand,
  {
    name: 'user restore',
    about: 'Bring back a user whom the identity provider has deleted, as the account was then. Old sessions stay dead.',
    args: ['slug', 'id'],
    options: { by: { value: 'who', about: BY }, reason: { value: 'text', about: 'for the journal' } },
    run: (callAdmin, { slug, id, by, reason }) =>
      callAdmin(org(slug, `/users/${encodeURIComponent(id)}/restore`), post({ by, reason })),
    show: ({ id, userName, active, published }) =>
      `${harmless(userName)} (${harmless(id)}) is back, and ${active ? 'may sign in anew' : 'inactive, as before the deletion'}.${pending(published)}`,
  },
  {
    name: 'user erase',
    about: 'Remove what is known of a person, live or deleted, everywhere but for ids. This cannot be undone.',
    args: ['slug', 'id|userName'],
    options: {
      confirm: { value: 'id|userName', about: 'the same once more, so that it is no accident', required: true },
      reason: { value: 'text', about: 'for the journal' },
      by: { value: 'who', about: BY },
    },
    run: (callAdmin, { slug, 'id|userName': user, confirm, reason, by }) =>
      callAdmin(
        org(slug, `/users/${encodeURIComponent(user)}/erase?${new URLSearchParams({ confirm })}`),
        post({ reason, by }),
      ),
    show: ({ id, published }) => `Nothing is left but the id ${id}.${pending(published)}`,
  },
  {
    name: 'group list',
    about: 'All groups of an org, or those that a SCIM filter matches, with their permissions.',
    args: ['slug'],
    options: { filter: { value: 'filter', about: `for example 'displayName sw "Sales"'` } },
    run: (callAdmin, { slug, filter }) => allPages(callAdmin, slug, 'groups', filter),
    show: (groups) =>
      groups.length === 0
        ? 'No groups.'
        : columns([
            heading('ID', 'DISPLAY NAME', 'MEMBERS', 'PERMISSIONS'),
            ...groups.map((it) => [it.id, it.displayName, it.memberCount, it.permissions.join(', ')]),
          ]),
  },
  {
    name: 'group show',
    about: 'One group: what it permits, and the first of its members.',
    args: ['slug', 'id|displayName'],
    run: (callAdmin, { slug, 'id|displayName': group }) => callAdmin(groupOf(slug, group)),
    show: showGroup,
  },
  {
    name: 'group permissions',
    about: 'What the members of a group may do. Pushes of the identity provider leave it as it is.',
    args: ['slug', 'id|displayName'],
    options: { set: { value: 'a,b,…', about: 'these and no others; --set "" for none' } },
    async run(callAdmin, { slug, 'id|displayName': group, set }) {
      const path = groupOf(slug, group);
      const permissions = set?.split(',').flatMap((word) => word.trim() || []);
      const { id, displayName, ...rest } = permissions
        ? await callAdmin(`${path}/permissions`, { method: 'PUT', body: { permissions } })
        : await callAdmin(path);
      return { id, displayName, permissions: rest.permissions };
    },
    show: ({ permissions }) => (permissions.length === 0 ? 'No permissions.' : permissions.map(harmless).join('\n')),
  },
  {
    name: 'schema add',
    about: 'Extend the users or groups of an org by a schema (RFC 7643, section 7), or replace one by a larger one.',
    args: ['slug', 'file.json'],
    options: { type: { value: 'user|group', about: 'what it extends (default: resourceType in the file, else user)' } },
    run: async (callAdmin, { slug, 'file.json': file, type }) =>
      callAdmin(org(slug, `/schemas${type ? `?${new URLSearchParams({ type })}` : ''}`), post(await jsonOf(file))),
    show: showSchema,
  },
  {
    name: 'schema list',
    about: 'The schemas that an org has beside the standard ones.',
    args: ['slug'],
    run: (callAdmin, { slug }) => callAdmin(org(slug, '/schemas')),
    show: (schemas) =>
      schemas.length === 0
        ? 'No schemas beside the standard ones.'
        : columns([
            heading('URN', 'NAME', 'EXTENDS', 'ATTRIBUTES', 'ADDED'),
            ...schemas.map((it) => [it.id, it.name, it.resourceType, it.attributes.length, it.addedAt]),
          ]),
  },
  {
    name: 'schema show',
    about: 'One of them, attribute by attribute.',
    args: ['slug', 'urn'],
    run: (callAdmin, { slug, urn }) => callAdmin(schemaOf(slug, urn)),
    show: showSchema,
  },
  {
    name: 'schema remove',
    about: 'Remove a schema of an org with every value of it. This cannot be undone.',
    args: ['slug', 'urn'],
    options: { confirm: { value: 'urn', about: 'the URN once more, so that it is no accident', required: true } },
    run: (callAdmin, { slug, urn, confirm }) =>
      callAdmin(`${schemaOf(slug, urn)}?${new URLSearchParams({ confirm })}`, { method: 'DELETE' }),
    show: ({ removed, resourceType, changed, removing }) =>
      `Removed ${harmless(removed)}; ${changed} ${resourceType.toLowerCase()}s had values of it.${removing ? ' More are looked through in the background: the event schema.cleared tells when that is done.' : ''}`,
  },
  {
    name: 'sessions check',
    about: 'Whether a session of a user is still good.',
    args: ['slug', 'userId'],
    options: {
      'issued-at': {
        value: 'ISO or epoch ms',
        about: 'when the session began; ISO with Z or an offset',
        required: true,
      },
      mode: {
        value: 'fast|strict|auto',
        about: [
          'as a host would ask (default: strict)',
          'strict: D1, nothing is stale once the change is committed; shows KV beside it',
          'fast: KV alone; at once where it was written, elsewhere usually within a minute, no upper bound promised',
          'auto: KV, then D1 unless KV has refused; whoever is let in, D1 says so',
        ].join('\n'),
      },
    },
    run: (callAdmin, { slug, userId, 'issued-at': issuedAt, mode }) =>
      callAdmin(org(slug, `/sessions/check?${new URLSearchParams({ user: userId, issuedAt, ...(mode && { mode }) })}`)),
    show: ({ valid, reason, ...rest }) =>
      columns([['session', valid ? ['green', 'good'] : ['red', 'dead']], ['reason', reason], ...leaves(rest)]),
  },
  {
    name: 'sessions pending',
    about: 'Whose revocation is committed and has not reached KV yet, and since when.',
    args: ['slug'],
    run: (callAdmin, { slug }) => callAdmin(org(slug, '/sessions/pending')),
    show: ({ total, pending }) =>
      total === 0
        ? 'Nothing waits: every revocation is published.'
        : [
            columns([
              heading('USER', 'SINCE', 'SECONDS', 'CHANGES'),
              ...pending.map((it) => [it.user ?? 'everybody', it.since, it.waiting, it.changes]),
            ]),
            ...(total > pending.length ? [`… and ${total - pending.length} more`] : []),
          ].join('\n'),
  },
];

const nameOf = ({ displayName, name }) =>
  displayName ?? name?.formatted ?? [name?.givenName, name?.familyName].filter(Boolean).join(' ');

/** Page by page until all are here; the API limits a page, not the directory. */
async function allPages(callAdmin, slug, noun, filter) {
  const all = [];
  for (;;) {
    const query = new URLSearchParams({ startIndex: all.length + 1, count: 200, ...(filter && { filter }) });
    const page = await callAdmin(org(slug, `/${noun}?${query}`));
    all.push(...page[noun]);
    if (page[noun].length === 0 || all.length >= page.totalResults) return all;
  }
}

function settingsOf(pairs) {
  const split = pairs.map((pair) => /^([^=]+)=(.*)$/s.exec(pair)?.slice(1) ?? pair);
  const wrong = split.find((pair) => typeof pair === 'string');
  if (wrong !== undefined) throw new AdminError('usage', `"${wrong}" is not of the form key=value.`);
  return Object.fromEntries(split);
}

/** What is to be said of a revocation that KV has not heard of. */
const pending = (published) =>
  published
    ? ''
    : '\nKV could not be written yet, which is tried again: hosts that ask it alone will hear of it later.';

const onOff = (is) => (is ? ['green', 'on'] : ['yellow', 'off']);
const scimOf = ({ disabledAt, scimEnabled }) => (disabledAt ? ['red', 'org disabled'] : onOff(scimEnabled));
const yesNo = (is) => (is ? ['green', 'yes'] : ['yellow', 'no']);

function showOrg({ slug, name, scimEnabled, scimBaseUrl, disabledAt, settings = {}, notices = [], ...rest }) {
  const table = columns([
    ...leaves({ slug, name }),
    ...(disabledAt
      ? [
          [
            ['dim', 'disabled since'],
            ['red', disabledAt],
          ],
        ]
      : []),
    [['dim', 'scim'], onOff(scimEnabled)],
    ...leaves({ scimBaseUrl }),
    ...settingRows(settings),
    ...leaves(rest),
  ]);
  return [table, ...notices.map((notice) => `\n${harmless(notice)}`)].join('\n');
}

function showGroup({ members, permissions, ...group }) {
  const rest = group.memberCount - members.length;
  return [
    columns([...leaves(group), [['dim', 'permissions'], permissions.join(', ')]]),
    ...(members.length > 0 ? ['', columns([heading('MEMBER', 'TYPE', 'NAME'), ...members.map(rowOf)])] : []),
    ...(rest > 0 ? [`… and ${rest} more`] : []),
  ].join('\n');
}

function showSchema({ attributes, ...schema }) {
  const rows = attributes.flatMap(({ subAttributes = [], ...it }) => [
    it,
    ...subAttributes.map((sub) => ({ ...sub, name: `${it.name}.${sub.name}` })),
  ]);
  return [
    columns(leaves(schema)),
    '',
    columns([
      heading('ATTRIBUTE', 'TYPE', 'VALUES', 'RETURNED', 'DESCRIPTION'),
      ...rows.map((it) => [it.name, it.type, it.multiValued ? 'many' : 'one', it.returned, it.description]),
    ]),
  ].join('\n');
}

const rowOf = ({ id, type, display }) => [id, type, display];

/** An answer of any shape as `path, value` rows: a field added to the API is shown without a change here. */
function leaves(value) {
  const rows = [];
  const walk = (path, it) => {
    if (it === null || typeof it !== 'object') return rows.push([['dim', path], it]);
    for (const [key, inner] of Object.entries(it)) {
      walk(Array.isArray(it) ? `${path}[${key}]` : path ? `${path}.${key}` : key, inner);
    }
  };
  walk('', value);
  return rows;
}
