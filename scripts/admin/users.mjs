/** The commands of users: looked up, signed out, restored, erased. */
import { columns, harmless, heading } from '../terminal.mjs';
import { allResources, org, post } from './api.mjs';
import { by, confirm, reason } from './options.mjs';
import { instant, leaves, pending, person, yesNo } from './show.mjs';

const userOf = (slug, user, rest = '') => org(slug, `/users/${encodeURIComponent(user)}${rest}`);

export const userCommands = [
  {
    name: 'user list',
    about: 'List the users of an org, or those that a SCIM filter matches.',
    args: ['slug'],
    options: { filter: { value: 'filter', about: `a SCIM filter, such as 'userName sw "ada"'` } },
    example: ['user list acme', `user list acme --filter 'userName sw "ada"'`],
    run: (callAdmin, { slug, filter }) => allResources(callAdmin, slug, 'users', filter),
    show: (users) =>
      users.length === 0
        ? 'No users.'
        : columns([
            heading('USER NAME', 'ACTIVE', 'ORIGIN', 'ID'),
            ...users.map((it) => [it.userName, yesNo(it.active), originOf(it), it.id]),
          ]),
  },
  {
    name: 'user show',
    about: 'Show a user, and which of the user’s sessions are over.',
    args: ['slug', 'id|userName'],
    example: 'user show acme ada@example.com',
    run: (callAdmin, { slug, 'id|userName': user }) => callAdmin(userOf(slug, user)),
    show: (user) => columns(leaves(user)),
  },
  {
    name: 'user sign-out',
    about: 'End all sessions of a user. The user stays active and can sign in again.',
    args: ['slug', 'id|userName'],
    options: { by },
    example: 'user sign-out acme ada@example.com',
    run: (callAdmin, { slug, 'id|userName': user, by }) => callAdmin(userOf(slug, user, '/sign-out'), post({ by })),
    show: ({ userName, validAfter, published }) =>
      `All sessions of ${harmless(userName)} issued until ${instant(validAfter)} are over.${pending(published)}`,
  },
  {
    name: 'user restore',
    about: 'Bring back a deleted user as the account was then. Old sessions stay ended.',
    more: 'If several deleted users have the userName, name the user by id.',
    args: ['slug', 'id|userName'],
    options: { by, reason },
    example: 'user restore acme ada@example.com --reason "by mistake"',
    run: (callAdmin, { slug, 'id|userName': user, by, reason }) =>
      callAdmin(userOf(slug, user, '/restore'), post({ by, reason })),
    show: ({ id, userName, active, published }) =>
      `${person(userName, id)} is back, and ${active ? 'can sign in again' : 'inactive, as before the deletion'}.${pending(published)}`,
  },
  {
    name: 'user erase',
    about: 'Delete all personal data of a user, live or deleted. Only ids remain. This cannot be undone.',
    args: ['slug', 'id|userName'],
    options: { confirm: confirm('id|userName', 'all personal data of the user is deleted for good'), reason, by },
    example: 'user erase acme ada@example.com --confirm ada@example.com',
    run: (callAdmin, { slug, 'id|userName': user, confirm, reason, by }) =>
      callAdmin(userOf(slug, user, `/erase?${new URLSearchParams({ confirm })}`), post({ reason, by })),
    show: ({ id, published }) => `Erased. Only the id ${id} remains.${pending(published)}`,
  },
];

/** Where an account comes from, and whether the identity provider has it. */
function originOf({ origin, linked, protected: isProtected }) {
  const text = origin === 'host' ? `imported, ${linked ? 'linked' : 'not linked'}` : 'SCIM';
  const isOpen = origin === 'host' && !linked;
  return [isOpen ? 'yellow' : undefined, isProtected ? `${text}, protected` : text];
}
