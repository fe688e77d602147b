/** Links that open the portal for a customer's administrator, or the vendor's own console. */
import { columns, harmless, heading } from '../terminal.mjs';
import { org, post } from './api.mjs';

const BY = { value: 'who', about: 'for whom it is recorded (default: your user name)' };

export const portalCommands = [
  {
    name: 'portal link',
    about: "Make a link that opens the portal once, for the customer's administrator. It is shown once.",
    args: ['slug'],
    example: 'portal link acme --contact it@acme.com',
    options: {
      scope: { value: 'setup|read', about: 'change what portal.allow lets them, or look only (default: setup)' },
      contact: { value: 'it@acme.com', about: 'for the journal: who it is for' },
      expires: { value: '7d', about: 'for how long it can be opened (default: 7d, at most 30d)' },
      'return-url': { value: 'https://…', about: 'where the portal leads back to' },
      by: BY,
    },
    run: (callAdmin, { slug, 'return-url': returnUrl, scope, contact, expires, by }) =>
      callAdmin(org(slug, '/portal-links'), post({ scope, contact, expires, returnUrl, by })),
    show: showLink,
  },
  {
    name: 'portal console',
    about: "Make a link of ten minutes that opens the vendor's own console, for all orgs.",
    example: 'portal console',
    options: { contact: { value: 'who', about: 'for the journal (default: your user name)' }, by: BY },
    run: (callAdmin, { contact, by }) => callAdmin('/portal-links', post({ contact, by })),
    show: showLink,
  },
  {
    name: 'portal list',
    about: 'The links of an org: for whom, and whether they were opened.',
    args: ['slug'],
    example: 'portal list acme',
    run: (callAdmin, { slug }) => callAdmin(org(slug, '/portal-links')),
    show: (links) =>
      links.length === 0
        ? 'No links.'
        : columns([
            heading('ID', 'SCOPE', 'CONTACT', 'STATE', 'CREATED', 'BY', 'EXPIRES', 'OPENED'),
            ...links.map((it) => [
              it.id,
              it.scope,
              it.contact,
              it.state,
              it.createdAt,
              it.createdBy,
              it.expiresAt,
              it.openedAt,
            ]),
          ]),
  },
  {
    name: 'portal revoke',
    about: 'Revoke a link. Its session is over with its next request.',
    args: ['slug', 'id'],
    example: 'portal revoke acme 9mQ2x',
    options: { by: BY },
    run: (callAdmin, { slug, id, by }) =>
      callAdmin(org(slug, `/portal-links/${encodeURIComponent(id)}${by ? `?${new URLSearchParams({ by })}` : ''}`), {
        method: 'DELETE',
      }),
    show: ({ revoked }) => `Revoked ${harmless(revoked)}.`,
  },
];

function showLink({ url, scope, contact, expiresAt }) {
  return `${url}\n\nIt opens once, until ${expiresAt}, with the scope ${scope}, for ${harmless(contact)}. It is not shown again.`;
}
