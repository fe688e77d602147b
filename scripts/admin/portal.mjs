/** The commands of portal links: for a customer's administrator, or for the vendor's own console. */
import { columns, harmless, heading } from '../terminal.mjs';
import { org, post } from './api.mjs';
import { by as BY } from './options.mjs';
import { minute } from './show.mjs';

export const portalCommands = [
  {
    name: 'portal link',
    about: "Make a link with which the customer's administrator opens the portal once.",
    more: 'It is shown once.',
    args: ['slug'],
    options: {
      scope: {
        value: 'setup|read',
        about: 'setup: change what portal.allow permits; read: only look (default: setup)',
      },
      contact: { value: 'it@acme.com', about: 'who the link is for; recorded in the journal' },
      expires: { value: '7d', about: 'how long the link works (default: 7d, at most 30d)' },
      'return-url': { value: 'https://…', about: 'the address to which the portal leads back' },
      by: BY,
    },
    example: 'portal link acme --contact it@acme.com --expires 2d',
    quiet: ({ url }) => url,
    run: (callAdmin, { slug, 'return-url': returnUrl, scope, contact, expires, by }) =>
      callAdmin(org(slug, '/portal-links'), post({ scope, contact, expires, returnUrl, by })),
    show: showLink,
  },
  {
    name: 'portal console',
    about: "Make a link to the vendor's own console for all orgs. It works for ten minutes.",
    example: 'portal console',
    quiet: ({ url }) => url,
    options: { contact: { value: 'name', about: 'who is recorded in the journal (default: your user name)' }, by: BY },
    run: (callAdmin, { contact, by }) => callAdmin('/portal-links', post({ contact, by })),
    show: showLink,
  },
  {
    name: 'portal list',
    about: 'List the portal links of an org: who they are for, and whether they were opened.',
    args: ['slug'],
    example: 'portal list acme',
    run: (callAdmin, { slug }) => callAdmin(org(slug, '/portal-links')),
    show: (links) =>
      links.length === 0
        ? 'No links.'
        : columns([
            heading('ID', 'SCOPE', 'CONTACT', 'STATE', 'CREATED', 'EXPIRES', 'OPENED'),
            ...links.map((it) => [
              it.id,
              it.scope,
              it.contact,
              it.state,
              `${minute(it.createdAt)} by ${it.createdBy}`,
              minute(it.expiresAt),
              minute(it.openedAt),
            ]),
          ]),
  },
  {
    name: 'portal revoke',
    about: 'Revoke a portal link. Its session ends with the next request.',
    args: ['slug', 'id'],
    example: 'portal revoke acme 9b2f6c1e-7d04-4a53-8e61-0c5d2f7a9b38',
    options: { by: BY },
    run: (callAdmin, { slug, id, by }) =>
      callAdmin(org(slug, `/portal-links/${encodeURIComponent(id)}${by ? `?${new URLSearchParams({ by })}` : ''}`), {
        method: 'DELETE',
      }),
    show: ({ revoked }) => `Revoked ${harmless(revoked)}.`,
  },
];

function showLink({ url, scope, contact, expiresAt }) {
  return `${url}\n\nIt opens once, until ${minute(expiresAt)}, for ${harmless(contact)} (scope ${scope}). It is not shown again.`;
}
