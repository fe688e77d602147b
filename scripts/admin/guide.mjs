/**
 * `org guide`: what the customer's administrator does in their identity provider, with the org's own addresses. The steps are
 * those of docs/idp, whose example org and service stand for the real ones; there is no second text.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '../project.mjs';
import { columns, harmless, paint } from '../terminal.mjs';
import { org } from './api.mjs';
import { AdminError } from './transport.mjs';

/** Each with a page of docs/idp, the values of the setting `idp`, and by what an identity provider of it can prove itself. */
export const GUIDES = {
  okta: { name: 'Okta', ways: ['token', 'basic', 'oauth'] },
  entra: { name: 'Microsoft Entra ID', ways: ['token', 'oauth'] },
  onelogin: { name: 'OneLogin', ways: ['token'] },
  jumpcloud: { name: 'JumpCloud', ways: ['token'] },
  google: { name: 'Google Workspace', ways: ['token'] },
  ping: { name: 'Ping', ways: ['token', 'basic', 'oauth'] },
  other: { name: 'another identity provider', ways: ['token', 'basic', 'oauth'] },
};
const NAMES = Object.keys(GUIDES);

/** What the pages call the service and the org. */
const EXAMPLES = /https:\/\/scim\.example\.com|\bacme\b/g;

export const guideCommand = {
  name: 'org guide',
  about: "How to connect the org's identity provider, step by step, with the org's own addresses. Markdown.",
  args: ['slug'],
  options: { idp: { value: NAMES.join('|'), about: "whose steps (default: the org's setting idp)" } },
  run: guideOf,
  show: showGuide,
};

/** @throws AdminError `usage` if it is not known which identity provider is meant. */
async function guideOf(callAdmin, { slug, idp }) {
  if (idp !== undefined && !NAMES.includes(idp)) {
    throw new AdminError('usage', `There is no guide for "${idp}"; there are: ${NAMES.join(', ')}.`);
  }
  const it = await callAdmin(org(slug));
  const chosen = idp ?? it.settings.idp;
  if (chosen === undefined) {
    throw new AdminError('usage', `Say whose steps: --idp <${NAMES.join('|')}>, or set it: org set ${slug} idp=okta`);
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
    idp: chosen,
    scimBaseUrl: it.scimBaseUrl,
    orgScimBaseUrl: `${service}/orgs/${slug}/scim/v2`,
    uniqueIdentifier: 'userName',
    scimEnabled: it.scimEnabled && it.disabledAt === null,
    authentication,
  };
  return { ...answer, missing: missing(it, answer), guide: await filled(chosen, { service, slug }) };
}

const isGood = ({ state }) => state === 'current' || state === 'grace';

/** What is still in the way of the first request, as sentences. */
function missing({ disabledAt, scimEnabled }, { slug, idp, scimBaseUrl, authentication }) {
  const { name, ways } = GUIDES[idp];
  const { protocol, hostname } = new URL(scimBaseUrl);
  const isPublic = protocol === 'https:' && hostname.includes('.') && !/^[\d.]+$/.test(hostname);
  return [
    disabledAt !== null && `The org is switched off: org enable ${slug}`,
    !scimEnabled && `SCIM is off: scim enable ${slug}`,
    !authentication.some(({ way }) => ways.includes(way)) && `Nothing ${name} could present: token generate ${slug}`,
    !isPublic && `No identity provider reaches ${scimBaseUrl}: deploy the service, and set PUBLIC_URL to its address`,
    idp === 'okta' && scimBaseUrl.includes('_') && `Okta takes no base URL with "_": ${scimBaseUrl}`,
  ].filter(Boolean);
}

async function filled(idp, { service, slug }) {
  const pages = await Promise.all([idp, 'troubleshooting'].map((page) => readFile(pathOf(page), 'utf8')));
  return pages.join('\n').replace(EXAMPLES, (example) => (example === 'acme' ? slug : service));
}

const pathOf = (page) => join(root, 'docs', 'idp', `${page}.md`);

function showGuide({ slug, idp, authentication, missing, guide, ...it }) {
  return [
    paint('bold', `${slug}, with ${GUIDES[idp].name}`),
    columns([
      [['dim', 'base URL'], it.scimBaseUrl],
      [['dim', 'or'], it.orgScimBaseUrl],
      [['dim', 'unique identifier'], it.uniqueIdentifier],
      [['dim', 'scim'], it.scimEnabled ? ['green', 'on'] : ['yellow', 'off']],
      ...authentication.map(({ way, what }) => [['dim', 'authentication'], `${way}: ${what}`]),
    ]),
    ...missing.map((sentence) => paint('yellow', `! ${harmless(sentence)}`)),
    '',
    guide.trimEnd().replace(/^#+ .*$/gm, (heading) => paint('bold', heading)),
  ].join('\n');
}
