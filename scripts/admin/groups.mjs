/** The commands of groups: listed, shown, and what their members may do. */
import { columns, harmless, heading } from '../terminal.mjs';
import { allResources, org } from './api.mjs';
import { leaves } from './show.mjs';

const groupOf = (slug, group) => org(slug, `/groups/${encodeURIComponent(group)}`);

export const groupCommands = [
  {
    name: 'group list',
    about: 'List the groups of an org, or those that a SCIM filter matches.',
    args: ['slug'],
    options: { filter: { value: 'filter', about: `a SCIM filter, such as 'displayName sw "Sales"'` } },
    example: ['group list acme', `group list acme --filter 'displayName sw "Sales"'`],
    run: (callAdmin, { slug, filter }) => allResources(callAdmin, slug, 'groups', filter),
    show: (groups) =>
      groups.length === 0
        ? 'No groups.'
        : columns([
            heading('DISPLAY NAME', 'MEMBERS', 'PERMISSIONS', 'ID'),
            ...groups.map((it) => [it.displayName, it.memberCount, it.permissions.join(', '), it.id]),
          ]),
  },
  {
    name: 'group show',
    about: 'Show a group: its permissions and its first members.',
    args: ['slug', 'id|displayName'],
    example: 'group show acme Sales',
    run: (callAdmin, { slug, 'id|displayName': group }) => callAdmin(groupOf(slug, group)),
    show: showGroup,
  },
  {
    name: 'group permissions',
    about: 'Show or set what the members of a group may do in your application.',
    more: 'The identity provider does not change it.',
    args: ['slug', 'id|displayName'],
    options: { set: { value: 'a,b,…', about: 'exactly these permissions; --set "" for none' } },
    example: 'group permissions acme Sales --set orders.read,orders.write',
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
];

function showGroup({ members, permissions, ...group }) {
  const rest = group.memberCount - members.length;
  return [
    columns([...leaves(group), [['dim', 'permissions'], permissions.join(', ')]]),
    ...(members.length > 0
      ? ['', columns([heading('MEMBER', 'TYPE', 'ID'), ...members.map((it) => [it.display, it.type, it.id])])]
      : []),
    ...(rest > 0 ? [`… and ${rest} more`] : []),
  ].join('\n');
}
