/** The commands of schemas: the attributes that an org has beside the standard ones. */
import { columns, harmless, heading } from '../terminal.mjs';
import { org, post } from './api.mjs';
import { jsonOf } from './files.mjs';
import { confirm } from './options.mjs';
import { leaves, minute } from './show.mjs';

const schemaOf = (slug, urn) => org(slug, `/schemas/${encodeURIComponent(urn)}`);

export const schemaCommands = [
  {
    name: 'schema add',
    about: 'Add attributes to the users or groups of an org by a schema (RFC 7643, section 7).',
    more: 'A schema that is there already is replaced if the new one has all its attributes.',
    args: ['slug', 'file.json'],
    options: {
      type: { value: 'user|group', about: 'what it extends (default: resourceType in the file, else user)' },
    },
    example: 'schema add acme badge.json --type user',
    run: async (callAdmin, { slug, 'file.json': file, type }) =>
      callAdmin(org(slug, `/schemas${type ? `?${new URLSearchParams({ type })}` : ''}`), post(await jsonOf(file))),
    show: showSchema,
  },
  {
    name: 'schema list',
    about: 'List the schemas that an org has beside the standard ones.',
    args: ['slug'],
    example: 'schema list acme',
    run: (callAdmin, { slug }) => callAdmin(org(slug, '/schemas')),
    show: (schemas) =>
      schemas.length === 0
        ? 'No schemas beside the standard ones.'
        : columns([
            heading('URN', 'NAME', 'EXTENDS', 'ATTRIBUTES', 'ADDED'),
            ...schemas.map((it) => [it.id, it.name, it.resourceType, it.attributes.length, minute(it.addedAt)]),
          ]),
  },
  {
    name: 'schema show',
    about: 'Show a schema with its attributes.',
    args: ['slug', 'urn'],
    example: 'schema show acme urn:acme:badge',
    run: (callAdmin, { slug, urn }) => callAdmin(schemaOf(slug, urn)),
    show: showSchema,
  },
  {
    name: 'schema remove',
    about: 'Remove a schema of an org with all values of its attributes. This cannot be undone.',
    args: ['slug', 'urn'],
    options: { confirm: confirm('urn', 'all values of its attributes are deleted for good') },
    example: 'schema remove acme urn:acme:badge --confirm urn:acme:badge',
    run: (callAdmin, { slug, urn, confirm }) =>
      callAdmin(`${schemaOf(slug, urn)}?${new URLSearchParams({ confirm })}`, { method: 'DELETE' }),
    show: ({ removed, resourceType, changed, removing }) =>
      `Removed ${harmless(removed)}. ${changed} ${resourceType.toLowerCase()}s had values of it.${
        removing ? ' The rest is removed in the background; the event schema.cleared tells when it is done.' : ''
      }`,
  },
];

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
