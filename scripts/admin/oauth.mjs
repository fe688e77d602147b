/** The commands of OAuth clients: created with what to enter in the identity provider, listed, rotated, deleted, approved. */
import { columns, harmless, heading, paint, wrap } from '../terminal.mjs';
import { listAll, org, post } from './api.mjs';
import * as secrets from './credentials.mjs';
import { jsonOf } from './files.mjs';
import { by, confirm } from './options.mjs';
import { instant } from './show.mjs';

const clients = (slug, client, rest = '') =>
  org(slug, `/oauth/clients${client === undefined ? '' : `/${encodeURIComponent(client)}`}${rest}`);

const { grace, expectGeneration, expected, named } = secrets;
const kind = { noun: 'oauth client', word: 'client secret' };
const ends = { args: ['slug', 'clientId'], options: { 'expect-generation': expectGeneration, by } };

export const oauthCommands = [
  {
    name: 'oauth client create',
    about: 'Add an OAuth client. Its secret is shown once.',
    more: 'A client with --public-key or --issuer signs its requests, and has no secret.',
    args: ['slug'],
    options: {
      name: { value: 'text', about: 'what people call the client (default: its id)' },
      'redirect-uri': { value: 'a,b,…', about: 'the redirect URIs, which Okta shows' },
      expires: { value: 'duration', about: 'when its secret expires, such as 12h or 90d (default: never)' },
      'public-key': { value: 'file.json', about: 'a JWK or JWKS with the public keys of the client (RFC 7523)' },
      issuer: { value: 'iss', about: 'the issuer that signs for the client, as Entra ID shows it' },
      'jwks-url': { value: 'URL', about: 'the address of the keys of the issuer' },
      subject: { value: 'sub', about: 'the subject in what the issuer signs' },
      audience: { value: 'aud', about: 'the audience in what the issuer signs' },
      by,
    },
    example: ['oauth client create acme --name Entra', 'oauth client create acme --public-key key.json'],
    async run(callAdmin, { slug, name, expires, by, ...input }) {
      const redirectUris = input['redirect-uri']?.split(',').flatMap((uri) => uri.trim() || []);
      return callAdmin(clients(slug), post({ name, redirectUris, expires, by, assertion: await signerOf(input) }));
    },
    show: showCreated,
    quiet: ({ clientId, clientSecret }) => clientSecret ?? clientId,
  },
  {
    name: 'oauth client list',
    about: 'List the OAuth clients of an org, with their secrets, masked.',
    args: ['slug'],
    example: 'oauth client list acme',
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
    about: 'Replace the secret of a client. The old one keeps working for a while.',
    args: ['slug', 'clientId'],
    example: 'oauth client rotate acme acme_7Hq2 --grace 12h',
    quiet: ({ clientSecret }) => clientSecret,
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
    about: 'Take a rotation back: the old secret stays, the new one is revoked.',
    example: 'oauth client cancel acme acme_7Hq2',
    ...ends,
    run: (callAdmin, { slug, clientId, by, ...input }) =>
      callAdmin(clients(slug, clientId, '/cancel'), post({ by, ...expected(input) })),
    show: ({ dead, ...current }) => `${named(current)} is the current one again. ${named(dead)} is revoked.`,
  },
  {
    name: 'oauth client complete',
    about: 'Complete a rotation: revoke the old secret now.',
    example: 'oauth client complete acme acme_7Hq2',
    ...ends,
    run: (callAdmin, { slug, clientId, by, ...input }) =>
      callAdmin(clients(slug, clientId, '/complete'), post({ by, ...expected(input) })),
    show: ({ dead, ...current }) => `${named(dead)} is revoked. ${named(current)} is the only one.`,
  },
  {
    name: 'oauth client delete',
    about: 'Delete a client with its secrets, tokens and approvals. Its next request is refused.',
    args: ['slug', 'clientId'],
    options: { confirm: confirm('clientId', 'the identity provider that uses the client is locked out') },
    example: 'oauth client delete acme acme_7Hq2 --confirm acme_7Hq2',
    run: (callAdmin, { slug, clientId, confirm }) =>
      callAdmin(`${clients(slug, clientId)}?${new URLSearchParams({ confirm })}`, { method: 'DELETE' }),
    show: ({ deleted, revoked }) => `Deleted ${harmless(deleted)}, and revoked ${revoked} secrets and tokens.`,
  },
  {
    name: 'oauth approve',
    about: 'Make a code with which an administrator of the org approves an OAuth client.',
    more: 'The code is entered on the page that the identity provider opens.',
    args: ['slug'],
    options: { by },
    example: 'oauth approve acme',
    run: (callAdmin, { slug, by }) => callAdmin(org(slug, '/oauth/approvals'), post({ by })),
    quiet: ({ approvalCode }) => approvalCode,
    show: ({ approvalCode, validUntil, authorizeUrl }, { slug }) =>
      [
        `Approval code ${paint('green', approvalCode)}`,
        '',
        ...wrap(`It works once, until ${instant(validUntil)}, for ${slug} alone. Earlier codes stop working.`, 80),
        'Enter it on the page that the identity provider opens when its administrator',
        `connects the application: ${harmless(authorizeUrl)}`,
      ].join('\n'),
  },
];

async function signerOf({ 'public-key': file, issuer, 'jwks-url': jwksUrl, subject, audience }) {
  const key = file === undefined ? undefined : await jsonOf(file);
  if ([key, issuer, jwksUrl, subject, audience].every((it) => it === undefined)) return undefined;
  return { ...(key && (Array.isArray(key.keys) ? { jwks: key } : { jwk: key })), issuer, jwksUrl, subject, audience };
}

/** What to enter where, in the words of the identity providers' own forms. */
function showCreated({ clientId, clientSecret, name, ...it }) {
  const id = ['Client ID', clientId];
  const secret = ['Client secret', ['green', clientSecret]];
  const isApproved = it.redirectUris.length > 0; // by an administrator, as Okta does it
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
    `Client ${harmless(name)}, made by ${harmless(it.createdBy)}.`,
    clientSecret
      ? 'Copy its secret now: it is not shown again, only its hash is stored.'
      : 'It has no secret: it signs its requests.',
    ...shown.map(([title, rows]) => `\n${paint('bold', title)}\n${columns(rows)}`),
  ].join('\n');
}

function showClient({ clientId, name, redirectUris, assertion, secrets: all, ...it }) {
  const signer = assertion?.issuer ?? assertion?.keys.map((key) => key.kid ?? key.kty).join(', ');
  return [
    columns([
      heading('CLIENT', 'NAME', 'CREATED', 'BY', 'LAST USED'),
      [clientId, name, instant(it.createdAt), it.createdBy, instant(it.lastUsedAt)],
    ]),
    ...redirectUris.map((uri) => `redirect URI ${harmless(uri)}`),
    signer === undefined ? secrets.showCredentials(all) : `signed by ${harmless(signer)}`,
  ].join('\n');
}
