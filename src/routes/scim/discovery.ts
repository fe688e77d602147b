/** What the service says of itself (RFC 7644 §4). */
import { Hono } from 'hono';
import { underTypes } from '../../provisioning/schemas';
import { resourceType, schemaResource, serviceProviderConfig } from '../../scim/discovery';
import { forbidden, notFound } from '../../scim/error';
import { listResponse } from '../../scim/list';
import { discoverySchemas } from '../../scim/schema/discovery';
import { allTypes, type Types } from '../../scim/schema/types';
import { authenticationSchemesOf } from '../../store/credentials/authentication-schemes';
import { SCIM_EVENTS } from '../../transmitter/events';
import type { App } from '../context';
import { documentationUrl } from '../help';
import { allowOnly } from '../method';
import { scimJson } from '../respond';

export const discovery = new Hono<App>();

/** RFC 7644 §4: 403 for a filter; paging, sorting and projection are ignored. */
discovery.on('GET', ['/ServiceProviderConfig', '/ResourceTypes/:name?', '/Schemas/:urn?'], async (c, next) => {
  const isFiltered = Object.keys(c.req.query()).some((name) => name.toLowerCase() === 'filter'); // as in lists
  if (isFiltered) throw forbidden('This endpoint cannot be filtered');
  await next();
});

discovery.get('/ServiceProviderConfig', (c) =>
  underTypes(c.var.org, async ({ store, baseUrl }) => {
    const schemes = await authenticationSchemesOf(store);
    const eventUris = store.profile.hasStream ? SCIM_EVENTS : [];
    return scimJson(c, serviceProviderConfig(baseUrl, schemes, documentationUrl(c), eventUris));
  }),
);

discovery.get('/ResourceTypes', (c) =>
  underTypes(c.var.org, ({ types, baseUrl }) => {
    const all = allTypes(types).map((type) => resourceType(type, baseUrl));
    return scimJson(c, listResponse(all, all.length, { startIndex: 1 }));
  }),
);
discovery.get('/ResourceTypes/:name', (c) =>
  underTypes(c.var.org, ({ types, baseUrl }) => {
    const type = allTypes(types).find(({ name }) => name === c.req.param('name'));
    if (type === undefined) throw notFound('Resource type');
    return scimJson(c, resourceType(type, baseUrl));
  }),
);

/** RFC 7643 §8.7.2: those of the discovery documents are among them. */
const schemasOf = (types: Types) => [
  ...allTypes(types).flatMap(({ schema, extensions }) => [schema, ...extensions.map((extension) => extension.schema)]),
  ...discoverySchemas,
];

discovery.get('/Schemas', (c) =>
  underTypes(c.var.org, ({ types, baseUrl }) => {
    const all = schemasOf(types).map((schema) => schemaResource(schema, baseUrl));
    return scimJson(c, listResponse(all, all.length, { startIndex: 1 }));
  }),
);
discovery.get('/Schemas/:urn', (c) =>
  underTypes(c.var.org, ({ types, baseUrl }) => {
    const urn = c.req.param('urn').toLowerCase();
    const schema = schemasOf(types).find(({ id }) => id.toLowerCase() === urn);
    if (schema === undefined) throw notFound('Schema');
    return scimJson(c, schemaResource(schema, baseUrl));
  }),
);

for (const path of ['/ServiceProviderConfig', '/ResourceTypes', '/ResourceTypes/:name', '/Schemas', '/Schemas/:urn']) {
  discovery.all(path, allowOnly('GET'));
}
