/** The vendor's applications: each with a token of its own for the sessions API, limited to orgs and questions. */
import { type Context, Hono } from 'hono';
import * as z from 'zod/mini';
import { hashOf, maskOf, newSecret, randomText } from '../../credentials/secret';
import { parseDuration } from '../../duration';
import { notFound, ScimError } from '../../scim/error';
import {
  type HostToken,
  insertHostToken,
  listHostTokens,
  type NewSecret,
  removeHostToken,
  rotateHostToken,
} from '../../store/credentials/host-tokens';
import { Taken, Unmet } from '../../store/d1/batch';
import { HOST_SCOPES } from '../../store/org/caller';
import { SETTINGS } from '../../store/org/settings';
import type { App } from '../context';
import { iso } from '../instants';
import { body } from '../validator';
import { by, noSuchOrg } from './respond';

const NAME = 'a name of small letters a-z, digits and single hyphens was expected, in at most 63 characters';
const name = z.string(NAME).check(z.maxLength(63, NAME), z.regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/, NAME));
const MAX_ORGS = 1_000;
const addBody = z.strictObject({
  name,
  /** Ids or slugs; absent: every org, also those to come. */
  orgs: z.optional(
    z
      .array(z.string().check(z.minLength(1), z.maxLength(100)), 'a list of orgs was expected')
      .check(z.minLength(1, 'at least one was expected'), z.maxLength(MAX_ORGS, `at most ${MAX_ORGS} are accepted`)),
  ),
  scopes: z._default(
    z
      .array(z.enum(HOST_SCOPES, `one of ${HOST_SCOPES.join(', ')} was expected`), 'a list of scopes was expected')
      .check(z.minLength(1, 'at least one was expected')),
    [...HOST_SCOPES],
  ),
  by,
});
const rotateBody = z.strictObject({ grace: z.optional(SETTINGS.graceDefault.schema), by });

export const hosts = new Hono<App>();

hosts.get('/', async (c) => c.json((await listHostTokens(c.env)).map(shown)));

hosts.post('/', body(addBody), async (c) => {
  const { name, orgs, scopes, by } = c.req.valid('json');
  const { token, secret } = await newToken(c, by);
  try {
    const limits = { orgs, scopes: HOST_SCOPES.filter((scope) => scopes.includes(scope)) };
    return c.json({ token, ...shown(await insertHostToken(c.env, name, limits, secret)) }, 201);
  } catch (error) {
    if (error instanceof Taken)
      throw new ScimError(409, undefined, `There is an application ${name} already: "hosts rotate" replaces its token`);
    if (error instanceof Unmet) throw await noSuchOrg(c, orgs);
    throw error;
  }
});

hosts.post('/:name/rotate', body(rotateBody), async (c) => {
  const { grace = SETTINGS.graceDefault.default, by } = c.req.valid('json');
  const { token, secret } = await newToken(c, by);
  try {
    const rotated = await rotateHostToken(c.env, c.req.param('name'), parseDuration(grace)!, secret);
    return c.json({ token, ...shown(rotated), predecessorGoodUntil: iso(secret.now + parseDuration(grace)!) }, 201);
  } catch (error) {
    throw error instanceof Unmet ? notFound('Application') : error;
  }
});

hosts.delete('/:name', async (c) => {
  const name = c.req.param('name');
  if (!(await removeHostToken(c.env, name))) throw notFound('Application');
  return c.json({ removed: name });
});

/** Shown once: only the hash is kept. */
async function newToken(c: Context<App>, by: string | undefined): Promise<{ token: string; secret: NewSecret }> {
  const token = await newSecret('host', randomText(12));
  return { token, secret: { hash: await hashOf(token), mask: maskOf(token), by: by ?? c.var.by, now: Date.now() } };
}

function shown({ name, mask, orgs, scopes, createdAt, createdBy, replacedAt, graceUntil }: HostToken) {
  const isInGrace = graceUntil !== undefined && graceUntil > Date.now();
  return {
    name,
    mask,
    /** null: every org. */
    orgs: orgs ?? null,
    scopes,
    state: replacedAt === undefined ? 'current' : isInGrace ? 'grace' : 'expired',
    ...{ createdAt: iso(createdAt), createdBy, graceUntil: iso(graceUntil) },
  };
}
