/** The org's own schemas: what its users and groups can hold beyond the standard. */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import { removeWaiting } from '../../provisioning/removal';
import { addSchema, removeSchema, schemaOf, underTypes } from '../../provisioning/schemas';
import { invalidValue } from '../../scim/error';
import { readExtension } from '../../scim/schema/extension';
import type { Registered } from '../../store/org/profile';
import { type App, inBackground } from '../context';
import { iso } from '../instants';
import { body, query } from '../validator';
import { confirmation, orgOf } from './respond';

export const schemas = new Hono<App>();

schemas.get('/', (c) => underTypes(orgOf(c), ({ schemas: all }) => c.json(all.map(shownSchema))));

schemas.post('/', query(z.strictObject({ type: z.optional(z.string()) })), body(z.unknown()), async (c) => {
  const extension = readExtension(c.req.valid('json'), c.req.valid('query').type);
  return c.json(shownSchema(await underTypes(orgOf(c), (org) => addSchema(org, extension))), 201);
});

schemas.get('/:urn', (c) => underTypes(orgOf(c), (org) => c.json(shownSchema(schemaOf(org, c.req.param('urn'))))));

schemas.delete('/:urn', query(confirmation), (c) =>
  underTypes(orgOf(c), async (org) => {
    const { schema } = schemaOf(org, c.req.param('urn'));
    if (c.req.valid('query').confirm?.toLowerCase() !== schema.id.toLowerCase()) {
      throw invalidValue('confirm: the URN of the schema was expected, because all its values are deleted too');
    }
    const { removed, changed, isRemoving } = await removeSchema(org, schema.id);
    if (isRemoving) inBackground(c, removeWaiting(c.env));
    /** `removing`: values of more resources follow, and none of them is shown meanwhile. */
    const said = { removed: schema.id, resourceType: removed.resourceType, changed };
    return c.json(isRemoving ? { ...said, removing: true } : said);
  }),
);

/** What `schema add` would take again, and since when the org has it. */
const shownSchema = ({ resourceType, schema, addedAt }: Registered) => ({
  resourceType,
  ...schema,
  addedAt: iso(addedAt),
});
