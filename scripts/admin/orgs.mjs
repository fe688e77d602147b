/** The commands of an org: created, shown, set, switched, signed out, deleted; and its SCIM API, on or off. */
import { columns, harmless, heading, paint } from '../terminal.mjs';
import { listAll, org, post } from './api.mjs';
import { showSecret } from './credentials.mjs';
import { GUIDES } from './guide.mjs';
import { by, confirm, reason } from './options.mjs';
import { changeSettings, listSettings, settingRows, settingsHelp, showSettings } from './settings.mjs';
import { instant, leaves, minute, onOff, pending } from './show.mjs';
import { AdminError } from './transport.mjs';

const IDPS = Object.keys(GUIDES).join(', ');
const TOKEN = { word: 'token' };

export const orgCommands = [
  {
    name: 'org create',
    about: 'Add an org.',
    more: 'SCIM stays off until it is enabled.',
    args: ['slug'],
    options: {
      name: { value: 'text', about: 'what people call the org (default: the slug)' },
      enable: { about: 'also switch its SCIM API on' },
      idp: { value: 'idp', about: `also set its identity provider: ${IDPS}` },
      token: { about: 'also generate its token, which is shown once' },
      shard: { value: 'database', about: 'where its data goes: DB_3 (default: the database with most room)' },
    },
    example: 'org create acme --enable --idp okta --token',
    run: createOrg,
    show: showCreated,
    quiet: ({ id, credential }) => credential?.token ?? id,
  },
  {
    name: 'org list',
    about: 'List all orgs.',
    example: 'org list',
    run: (callAdmin) => listAll(callAdmin, '/orgs', ({ slug }) => slug),
    show: (orgs) =>
      orgs.length === 0
        ? 'No orgs yet. Add one: npm run admin -- org create acme --enable --token'
        : columns([
            heading('SLUG', 'NAME', 'SCIM', 'ACTIVE', 'USERS', 'CREATED'),
            ...orgs.map((it) => [it.slug, it.name, scimOf(it), it.activeUsers, it.users, minute(it.createdAt)]),
          ]),
  },
  {
    name: 'org show',
    about: 'Show an org: its SCIM base URL, its counters and the settings that it has set.',
    args: ['slug'],
    example: 'org show acme',
    run: (callAdmin, { slug }) => callAdmin(org(slug)),
    show: showOrg,
  },
  {
    name: 'org settings',
    about: 'List every setting: its value, its default and what it means.',
    more: 'Without a slug, it lists the settings that there are.',
    args: ['[slug]'],
    example: ['org settings acme', 'org settings'],
    needsNoService: ({ slug }) => slug === undefined,
    run: async (callAdmin, { slug }) => listSettings(slug === undefined ? undefined : await callAdmin(org(slug))),
    show: showSettings,
  },
  {
    name: 'org set',
    about: 'Change settings of an org.',
    more: 'The value none sets one back to its default.',
    args: ['slug', 'key=value…'],
    details: settingsHelp,
    example: ['org set acme plan.seats=50 linking=userName', 'org set acme plan.seats=none'],
    run: changeSettings,
    show: showOrg,
  },
  {
    name: 'org disable',
    about: 'Switch an org off: all its sessions end, and its identity provider is refused.',
    more: 'Users, groups and tokens stay. org enable switches it on again.',
    args: ['slug'],
    options: { confirm: confirm('slug', 'all users of the org are signed out, and cannot sign in'), reason },
    example: 'org disable acme --confirm acme --reason "unpaid"',
    run: (callAdmin, { slug, reason }) => callAdmin(org(slug, '/disable'), post({ reason })),
    show: ({ published, ...it }) => `${showOrg(it)}\n\nAll users of ${it.slug} are signed out.${pending(published)}`,
  },
  {
    name: 'org enable',
    about: 'Switch an org on again. Sessions from before stay ended.',
    args: ['slug'],
    options: { reason },
    example: 'org enable acme',
    run: (callAdmin, { slug, reason }) => callAdmin(org(slug, '/enable'), post({ reason })),
    show: ({ published, ...it }) => `${showOrg(it)}${pending(published)}`,
  },
  {
    name: 'org sign-out',
    about: 'End all sessions of all users of an org. Active users can sign in again.',
    args: ['slug'],
    options: { confirm: confirm('slug', 'all users of the org are signed out'), by },
    example: 'org sign-out acme --confirm acme',
    run: (callAdmin, { slug, by }) => callAdmin(org(slug, '/sign-out'), post({ by })),
    show: ({ slug, validAfter, published }) =>
      `All sessions of ${slug} issued until ${instant(validAfter)} are over.${pending(published)}`,
  },
  {
    name: 'org delete',
    about: 'Delete an org with all its users, groups and tokens.',
    more: 'It is gone at once, its rows within minutes. This cannot be undone: run org export first.',
    args: ['slug'],
    options: { confirm: confirm('slug', 'the org and all its data are deleted for good') },
    example: 'org delete acme --confirm acme',
    run: (callAdmin, { slug, confirm }) =>
      callAdmin(org(slug, `?confirm=${encodeURIComponent(confirm)}`), { method: 'DELETE' }),
    show: ({ deleted, users }, { slug }) =>
      `Deleted ${typeof deleted === 'string' ? deleted : slug} and ${users} users.`,
  },
];

export const scimCommands = [
  {
    name: 'scim enable',
    about: "Switch an org's SCIM API on, so that its identity provider can connect.",
    args: ['slug'],
    example: 'scim enable acme',
    run: (callAdmin, { slug }) => callAdmin(org(slug, '/scim'), post({ enabled: true })),
    show: (it) => `${showOrg(it)}\n\nNext: npm run admin -- token generate ${it.slug}`,
  },
  {
    name: 'scim disable',
    about: "Switch an org's SCIM API off: its identity provider is refused. Sessions and tokens stay.",
    args: ['slug'],
    example: 'scim disable acme',
    run: (callAdmin, { slug }) => callAdmin(org(slug, '/scim'), post({ enabled: false })),
    show: showOrg,
  },
];

/** The org, then what was asked for beside it. What fails after the org is there names the command that goes on. */
async function createOrg(callAdmin, { slug, name, idp, enable, token, shard }) {
  if (idp !== undefined && !Object.hasOwn(GUIDES, idp)) {
    throw new AdminError('usage', `--idp: one of ${IDPS} was expected.`);
  }
  let answer = await callAdmin('/orgs', post({ slug, name, shard }));
  const after = async (command, call) => {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof AdminError)) throw error;
      const message = `The org ${slug} was created, but ${command} failed: ${error.message}. Go on: npm run admin -- ${command}`;
      throw new AdminError(error.code, message, error.status);
    }
  };
  const patch = { method: 'PATCH', body: { settings: { idp } } };
  if (idp) answer = await after(`org set ${slug} idp=${idp}`, () => callAdmin(org(slug), patch));
  if (enable) {
    answer = await after(`scim enable ${slug}`, () => callAdmin(org(slug, '/scim'), post({ enabled: true })));
  }
  if (!token) return answer;
  const credential = await after(`token generate ${slug}`, () => callAdmin(org(slug, '/tokens'), post({})));
  return { ...answer, credential };
}

function showCreated({ credential, ...created }) {
  const { slug, scimEnabled, settings = {} } = created;
  const next = [
    ...(scimEnabled ? [] : [`scim enable ${slug}`]),
    ...(credential ? [] : [`token generate ${slug}`]),
    `org guide ${slug}${settings.idp ? '' : ' --idp okta'}`,
  ];
  return [
    showOrg(created),
    ...(credential ? ['', showSecret(credential, TOKEN)] : []),
    '',
    'Next:',
    ...next.map((command) => `  npm run admin -- ${command}`),
  ].join('\n');
}

const scimOf = ({ disabledAt, scimEnabled }) => (disabledAt ? ['red', 'org disabled'] : onOff(scimEnabled));

/** An org as rows, and below them what the service has to say about it. */
export function showOrg({
  slug,
  name,
  scimEnabled,
  scimBaseUrl,
  disabledAt,
  validAfter,
  storage,
  settings = {},
  notices = [],
  ...rest
}) {
  const table = columns([
    ...leaves({ slug, name }),
    ...(disabledAt
      ? [
          [
            ['dim', 'disabled since'],
            ['red', instant(disabledAt)],
          ],
        ]
      : []),
    [['dim', 'scim'], onOff(scimEnabled)],
    ...leaves({ scimBaseUrl }),
    ...settingRows(settings),
    ...leaves(rest),
    ...(storage ? [[['dim', 'storage'], `${megabytes(storage.used)} of ${megabytes(storage.limit)} MB`]] : []),
    ...(validAfter === undefined ? [] : leaves({ validAfter })),
  ]);
  return [table, ...notices.map((notice) => `\n${paint('yellow', `! ${harmless(notice)}`)}`)].join('\n');
}

const megabytes = (bytes) => (bytes / 1_000_000).toFixed(1);
