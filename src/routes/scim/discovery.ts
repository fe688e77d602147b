/** What the service says of itself (RFC 7644 §4). */
import { Hono } from 'hono';
import { resourceType, schemaResource, serviceProviderConfig } from '../../scim/discovery';
import { forbidden, notFound } from '../../scim/error';
import { listResponse } from '../../scim/list';
import { resourceTypes } from '../../scim/schema/types';
import type { App } from '../context';
import { allowOnly } from '../method';
import { scimJson } from '../respond';

export const discovery = new Hono<App>();

/** RFC 7644 §4: 403 for a filter; paging, sorting and projection are ignored. */
discovery.on('GET', ['/ServiceProviderConfig', '/ResourceTypes/:name?', '/Schemas/:urn?'], async (c, next) => {
  const isFiltered = Object.keys(c.req.query()).some((name) => name.toLowerCase() === 'filter'); // as in lists
  if (isFiltered) throw forbidden('This endpoint cannot be filtered');
  await next();
});

discovery.get('/ServiceProviderConfig', (c) => scimJson(c, serviceProviderConfig(c.var.org.baseUrl)));

discovery.get('/ResourceTypes', (c) => {
  const all = resourceTypes.map((type) => resourceType(type, c.var.org.baseUrl));
  return scimJson(c, listResponse(all, all.length, { startIndex: 1 }));
});
discovery.get('/ResourceTypes/:name', (c) => {
  const type = resourceTypes.find(({ name }) => name === c.req.param('name'));
  if (type === undefined) throw notFound('Resource type');
  return scimJson(c, resourceType(type, c.var.org.baseUrl));
});

const schemas = resourceTypes.flatMap(({ schema, extensions }) => [schema, ...extensions.map((e) => e.schema)]);

discovery.get('/Schemas', (c) => {
  const all = schemas.map((schema) => schemaResource(schema, c.var.org.baseUrl));
  return scimJson(c, listResponse(all, all.length, { startIndex: 1 }));
});
discovery.get('/Schemas/:urn', (c) => {
  const urn = c.req.param('urn').toLowerCase();
  const schema = schemas.find(({ id }) => id.toLowerCase() === urn);
  if (schema === undefined) throw notFound('Schema');
  return scimJson(c, schemaResource(schema, c.var.org.baseUrl));
});

for (const path of ['/ServiceProviderConfig', '/ResourceTypes', '/ResourceTypes/:name', '/Schemas', '/Schemas/:urn']) {
  discovery.all(path, allowOnly('GET'));
}
