/** The commands of OAuth clients: made with what is to be pasted into the identity provider, listed, rotated, deleted, approved. */
import { columns, harmless, heading, paint } from '../terminal.mjs';
import { listAll, org, post } from './api.mjs';
import * as secrets from './credentials.mjs';
import { jsonOf } from './files.mjs';

const clients = (slug, client, rest = '') =>
  org(slug, `/oauth/clients${client === undefined ? '' : `/${encodeURIComponent(client)}`}${rest}`);

const { by, grace, expectGeneration, expected, named } = secrets;
const kind = { noun: 'oauth client', word: 'client secret' };
const ends = { args: ['slug', 'clientId'], options: { 'expect-generation': expectGeneration, by } };

export const oauthCommands = [
  {
    name: 'oauth client create',
    about: 'Add an OAuth client; its secret is shown this once. One that signs (--public-key or --issuer …) has none.',
    args: ['slug'],
    options: {
      name: { value: 'text', about: 'what people call it (default: its id)' },
      'redirect-uri': { value: 'a,b,…', about: 'where Okta sends people back to, after they approved it' },
      expires: { value: 'duration', about: 'after how long its secret expires: 12h, 90d (default: never)' },
      'public-key': { value: 'file.json', about: 'a JWK or JWKS: the client signs with the private half (RFC 7523)' },
      issuer: { value: 'iss', about: 'who signs for it, as Entra ID shows it for workload identity federation' },
      'jwks-url': { value: 'URL', about: 'where the keys of the issuer are' },
      subject: { value: 'sub', about: 'whom the issuer names' },
      audience: { value: 'aud', about: 'for what the issuer signs' },
      by,
    },
    async run(callAdmin, { slug, name, expires, by, ...input }) {
      const redirectUris = input['redirect-uri']?.split(',').flatMap((uri) => uri.trim() || []);
      return callAdmin(clients(slug), post({ name, redirectUris, expires, by, assertion: await signerOf(input) }));
    },
    show: showCreated,
  },
  {
    name: 'oauth client list',
    about: 'The OAuth clients of an org, with their secrets, masked.',
    args: ['slug'],
    async run(callAdmin, { slug }) {
      const all = await listAll(callAdmin, clients(slug), ({ clientId }) => clientId);
      return all.sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
    },
    show: (all, { slug }) =>
      all.length === 0
        ? `No OAuth clients. Add one: npm run admin -- oauth client create ${slug}`
        : all.map(showClient).join('\n\n'),
  },
  {
    name: 'oauth client rotate',
    about: 'Replace the secret of a client; the old one stays good for a while.',
    args: ['slug', 'clientId'],
    options: {
      grace,
      'expect-generation': expectGeneration,
      expires: secrets.expires,
      'retire-on-use': secrets.retireOnUse,
      by,
    },
    run: (callAdmin, { slug, clientId, grace, expires, by, ...input }) =>
      callAdmin(
        clients(slug, clientId, '/rotate'),
        post({ grace, expires, by, ...expected(input), retireOnUse: input['retire-on-use'] }),
      ),
    show: ({ clientSecret, ...rotated }, { slug, clientId, ...input }) =>
      secrets.showRotation({ ...rotated, [kind.word]: clientSecret }, kind, { ...input, slug: `${slug} ${clientId}` }),
  },
  {
    name: 'oauth client cancel',
    about: 'Go back to the old secret of a client while its grace lasts; the new one dies.',
    ...ends,
    run: (callAdmin, { slug, clientId, by, ...input }) =>
      callAdmin(clients(slug, clientId, '/cancel'), post({ by, ...expected(input) })),
    show: ({ dead, ...current }) => `${named(current)} is the current one again; ${named(dead)} is dead.`,
  },
  {
    name: 'oauth client complete',
    about: 'End the grace of the old secret of a client now.',
    ...ends,
    run: (callAdmin, { slug, clientId, by, ...input }) =>
      callAdmin(clients(slug, clientId, '/complete'), post({ by, ...expected(input) })),
    show: ({ dead, ...current }) => `${named(dead)} is dead; ${named(current)} is the only one.`,
  },
  {
    name: 'oauth client delete',
    about: 'Remove a client with its secrets, tokens and approvals; its next request is refused.',
    args: ['slug', 'clientId'],
    options: { confirm: { value: 'clientId', about: 'the id once more, so that it is no accident', required: true } },
    run: (callAdmin, { slug, clientId, confirm }) =>
      callAdmin(`${clients(slug, clientId)}?${new URLSearchParams({ confirm })}`, { method: 'DELETE' }),
    show: ({ deleted, revoked }) => `Deleted ${harmless(deleted)}; ${revoked} secrets and tokens are dead by it.`,
  },
  {
    name: 'oauth approve',
    about: 'Make the code by which a person of the org lets a client in, on the page that the identity provider opens.',
    args: ['slug'],
    options: { by },
    run: (callAdmin, { slug, by }) => callAdmin(org(slug, '/oauth/approvals'), post({ by })),
    show: ({ approvalCode, validUntil, authorizeUrl }, { slug }) =>
      [
        `Approval code ${paint('green', approvalCode)}`,
        '',
        `Good once, until ${validUntil}, for ${slug} alone; an earlier one is good no more.`,
        `It is entered at ${harmless(authorizeUrl)}, which the identity provider opens when its`,
        'administrator connects the application.',
      ].join('\n'),
  },
];

async function signerOf({ 'public-key': file, issuer, 'jwks-url': jwksUrl, subject, audience }) {
  const key = file === undefined ? undefined : await jsonOf(file);
  if ([key, issuer, jwksUrl, subject, audience].every((it) => it === undefined)) return undefined;
  return { ...(key && (Array.isArray(key.keys) ? { jwks: key } : { jwk: key })), issuer, jwksUrl, subject, audience };
}

/** What to enter where: the words are those of the identity providers' own forms. */
function showCreated({ clientId, clientSecret, name, ...it }) {
  const id = ['Client ID', clientId];
  const secret = ['Client secret', ['green', clientSecret]];
  const isApproved = it.redirectUris.length > 0; // by a person, as Okta wants it
  const forms = {
    'Okta, authentication mode OAuth 2': isApproved && [
      ['SCIM connector base URL', it.scimBaseUrl],
      ['Access token endpoint URI', it.tokenUrl],
      ['Authorization endpoint URI', it.authorizeUrl],
      id,
      ...(clientSecret ? [secret] : []),
    ],
    'Entra ID, OAuth 2 client credentials': clientSecret &&
      !isApproved && [
        ['Tenant URL', it.scimBaseUrl],
        ['Token endpoint', it.tokenUrl],
        ['Client identifier', clientId],
        secret,
      ],
    'Ping, OAuth 2 client credentials': clientSecret &&
      !isApproved && [['SCIM URL', it.scimBaseUrl], ['OAuth token request', it.tokenUrl], id, secret],
    'Entra ID, workload identity federation': it.assertion?.issuer && [
      id,
      ['Token URL', it.tokenUrl],
      ['SCIM URL', it.scimBaseUrl],
    ],
    'A client that signs (private_key_jwt)': it.assertion?.keys && [
      ['iss and sub of its assertions', clientId],
      ['aud of its assertions', it.issuer],
      ['Token endpoint', it.tokenUrl],
      ['SCIM base URL', it.scimBaseUrl],
    ],
  };
  const shown = Object.entries(forms).filter(([, rows]) => rows);
  return [
    `Client ${harmless(name)}, by ${harmless(it.createdBy)}.${clientSecret ? ' Copy its secret now: only its hash is kept.' : ' It has no secret: it signs.'}`,
    ...shown.map(([title, rows]) => `\n${paint('bold', title)}\n${columns(rows)}`),
  ].join('\n');
}

function showClient({ clientId, name, redirectUris, assertion, secrets: all, ...it }) {
  const signer = assertion?.issuer ?? assertion?.keys.map((key) => key.kid ?? key.kty).join(', ');
  return [
    columns([
      heading('CLIENT', 'NAME', 'CREATED', 'BY', 'LAST USED'),
      [clientId, name, secrets.instant(it.createdAt), it.createdBy, secrets.instant(it.lastUsedAt)],
    ]),
    ...redirectUris.map((uri) => `redirect URI ${harmless(uri)}`),
    signer === undefined ? secrets.showCredentials(all) : `signed by ${harmless(signer)}`,
  ].join('\n');
}
