/**
 * `org guide`: what the customer's administrator does in the identity provider, or what the operator does before and after,
 * with the org's own addresses. The texts are the pages of docs/idp, whose example org and service stand for the real ones.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '../project.mjs';
import { columns, harmless, paint } from '../terminal.mjs';
import { org } from './api.mjs';
import { AdminError } from './transport.mjs';

/** By the values of the setting `idp`, which are the names of pages in docs/idp: how the identity provider can authenticate. */
export const GUIDES = {
  okta: { name: 'Okta', ways: ['token', 'basic', 'oauth'] },
  entra: { name: 'Microsoft Entra ID', ways: ['token', 'oauth'] },
  onelogin: { name: 'OneLogin', ways: ['token'] },
  jumpcloud: { name: 'JumpCloud', ways: ['token'] },
  google: { name: 'Google Workspace', ways: ['token'] },
  ping: { name: 'Ping', ways: ['token', 'basic', 'oauth'] },
  rippling: { name: 'Rippling', ways: ['token'] },
  sailpoint: { name: 'SailPoint', ways: ['token', 'basic', 'oauth'] },
  cyberark: { name: 'CyberArk Identity', ways: ['token'] },
  keycloak: { name: 'Keycloak', ways: ['token', 'basic'] },
  authentik: { name: 'authentik', ways: ['token'] },
  other: { name: 'another identity provider', ways: ['token', 'basic', 'oauth'] },
};
const NAMES = Object.keys(GUIDES);

/** The readers of the text. */
const READERS = ['customer', 'operator'];

/** What the pages call the service and the org. */
const EXAMPLES = /https:\/\/scim\.example\.com|\bacme\b/g;

export const guideCommand = {
  name: 'org guide',
  about: "Print how to connect the org's identity provider, step by step, with its own addresses.",
  args: ['slug'],
  options: {
    idp: { value: 'idp', about: `${NAMES.join(', ')} (default: the org's setting idp)` },
    for: {
      value: READERS.join('|'),
      about: 'the reader; the text for the customer has no commands in it (default: customer)',
    },
  },
  example: 'org guide acme --idp okta',
  run: guideOf,
  show: showGuide,
};

/** @throws AdminError `usage` if it is not known which identity provider is meant. */
async function guideOf(callAdmin, { slug, idp, for: reader = 'customer' }) {
  if (!READERS.includes(reader)) {
    throw new AdminError('usage', `There is no guide for "${reader}"; there are: ${READERS.join(', ')}.`);
  }
  if (idp !== undefined && !NAMES.includes(idp)) {
    throw new AdminError('usage', `There is no guide for "${idp}"; there are: ${NAMES.join(', ')}.`);
  }
  const it = await callAdmin(org(slug));
  const chosen = idp ?? it.settings.idp;
  if (chosen === undefined) {
    throw new AdminError(
      'usage',
      `Which identity provider? Add --idp <${NAMES.join('|')}>, or set it: npm run admin -- org set ${slug} idp=okta`,
    );
  }
  const [tokens, passwords, clients] = await Promise.all([
    callAdmin(org(slug, '/tokens')),
    callAdmin(org(slug, '/basic')),
    callAdmin(org(slug, '/oauth/clients')),
  ]);
  const service = it.scimBaseUrl.replace(/\/scim\/v2$/, '');
  const authentication = [
    ...tokens.filter(isGood).map(({ mask }) => ({ way: 'token', what: mask })),
    ...passwords.filter(isGood).map(({ mask }) => ({ way: 'basic', what: `user name ${slug}, password ${mask}` })),
    ...clients.map(({ clientId, name }) => ({ way: 'oauth', what: `client ${clientId} (${name})` })),
  ];
  const answer = {
    slug,
    for: reader,
    idp: chosen,
    scimBaseUrl: it.scimBaseUrl,
    orgScimBaseUrl: `${service}/orgs/${slug}/scim/v2`,
    uniqueIdentifier: 'userName',
    scimEnabled: it.scimEnabled && it.disabledAt === null,
    authentication,
  };
  return { ...answer, missing: missing(it, answer), guide: await filled(pagesFor(reader, chosen), { service, slug }) };
}

const isGood = ({ state }) => state === 'current' || state === 'grace';

/** What is still in the way of the first request, as sentences. */
function missing({ disabledAt, scimEnabled }, { slug, idp, scimBaseUrl, authentication }) {
  const { name, ways } = GUIDES[idp];
  const { protocol, hostname } = new URL(scimBaseUrl);
  const isPublic = protocol === 'https:' && hostname.includes('.') && !/^[\d.]+$|\.invalid$/.test(hostname);
  return [
    disabledAt !== null && `The org is switched off: org enable ${slug}`,
    !scimEnabled && `SCIM is off: scim enable ${slug}`,
    !authentication.some(({ way }) => ways.includes(way)) &&
      `There is no credential that ${name} can use: token generate ${slug}`,
    !isPublic && `Identity providers cannot reach ${scimBaseUrl}: set PUBLIC_URL to the public address, and deploy`,
    idp === 'okta' && scimBaseUrl.includes('_') && `Okta takes no base URL with "_": ${scimBaseUrl}`,
  ].filter(Boolean);
}

const pagesFor = (reader, idp) => (reader === 'operator' ? ['operator'] : [idp, 'faq']);

async function filled(names, { service, slug }) {
  const pages = await Promise.all(names.map((name) => readFile(pathOf(name), 'utf8')));
  return pages
    .map((page) => page.replace(RELATIVE_LINK, '$1'))
    .join('\n')
    .replace(EXAMPLES, (example) => (example === 'acme' ? slug : service));
}

/** A link to another page, which the reader of a printed text does not have: its words stay. */
const RELATIVE_LINK = /\[([^\]\n]+)\]\((?!https?:)[^)\n]+\)/g;

const pathOf = (page) => join(root, 'docs', 'idp', `${page}.md`);

const emphasised = (guide) => guide.trimEnd().replace(/^#+ .*$/gm, (heading) => paint('bold', heading));

/** The customer's text can be handed on as it is printed. What is missing goes to the operator, on standard error. */
function showGuide({ slug, idp, authentication, missing, guide, ...it }) {
  const warnings = missing.map((sentence) => paint('yellow', `! ${harmless(sentence)}`));
  if (it.for === 'customer') {
    for (const warning of warnings) console.error(warning);
    return emphasised(guide);
  }
  return [
    paint('bold', `${slug}, with ${GUIDES[idp].name}`),
    columns([
      [['dim', 'base URL'], it.scimBaseUrl],
      [['dim', 'or'], it.orgScimBaseUrl],
      [['dim', 'unique identifier'], it.uniqueIdentifier],
      [['dim', 'scim'], it.scimEnabled ? ['green', 'on'] : ['yellow', 'off']],
      ...authentication.map(({ way, what }) => [['dim', 'authentication'], `${way}: ${what}`]),
    ]),
    ...warnings,
    '',
    emphasised(guide),
  ].join('\n');
}
