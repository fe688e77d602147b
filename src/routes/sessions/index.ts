/**
 * The sessions API: one Hono sub-app behind the entrypoint `Sessions`, which only a service binding reaches, and behind
 * /sessions/v1 when HOST_TOKEN is set. The same questions are RPC methods of the entrypoint.
 */
import { type Context, Hono } from 'hono';
import * as z from 'zod/mini';
import { notFound } from '../../scim/error';
import { guardedBy, refuse, unguardedForBindings } from '../access/guard';
import { readJson } from '../body';
import type { App } from '../context';
import { allowOnly } from '../method';
import { query } from '../validator';
import type { Host } from './host';
import { changes, groups, memberships, users } from './lists';
import { check, discover, events, mayAct, resolve } from './questions';
import { stream } from './stream';

/** A query becomes the question that RPC would ask; what the question may be, questions.ts says for both. */
const number = z.pipe(
  z.string(),
  z.transform((text) => (/^\d{1,15}$/.test(text) ? Number(text) : text)),
);
const eventsQuery = z.looseObject({
  after: z.optional(number),
  limit: z.optional(number),
  type: z.optional(z.array(z.string())),
});
const isTrue = z.pipe(
  z.string(),
  z.transform((text) => (text === 'true' || text === 'false' ? text === 'true' : text)),
);
const said = z.optional(z.string());
const listQuery = z.looseObject({ org: said, cursor: said, limit: z.optional(number) });
const usersQuery = z.looseObject({ org: said, active: z.optional(isTrue), cursor: said, limit: z.optional(number) });
const changesQuery = z.looseObject({ org: said, after: said, limit: z.optional(number) });
const streamQuery = z.looseObject({ after: z.optional(number) });

const routes = new Hono<App>();
const hostOf = (c: Context<App>): Host => ({ env: c.env, token: c.var.limitedToken });

routes.post('/check', async (c) => c.json(await check(hostOf(c), await readJson(c))));
routes.post('/may-act', async (c) => c.json(await mayAct(hostOf(c), await readJson(c))));
routes.post('/resolve', async (c) => c.json(await resolve(hostOf(c), await readJson(c))));
routes.post('/discover', async (c) => c.json(await discover(hostOf(c), await readJson(c))));
routes.get('/users', query(usersQuery), async (c) => c.json(await users(hostOf(c), c.req.valid('query'))));
routes.get('/groups', query(listQuery), async (c) => c.json(await groups(hostOf(c), c.req.valid('query'))));
routes.get('/memberships', query(listQuery), async (c) => c.json(await memberships(hostOf(c), c.req.valid('query'))));
routes.get('/changes', query(changesQuery), async (c) => c.json(await changes(hostOf(c), c.req.valid('query'))));
routes.get('/events', query(eventsQuery, 'type'), async (c) => {
  const { type: types, ...question } = c.req.valid('query');
  return c.json(await events(hostOf(c), { ...question, ...(types && { types }) }));
});
routes.get('/stream', query(streamQuery), (c) => stream(c, hostOf(c), c.req.valid('query')));
for (const path of ['/check', '/may-act', '/resolve', '/discover']) routes.all(path, allowOnly('POST'));
for (const path of ['/users', '/groups', '/memberships', '/changes', '/events', '/stream'])
  routes.all(path, allowOnly('GET'));
routes.all('*', () => {
  throw notFound('Endpoint');
});
routes.onError(refuse);

/** For /sessions/v1. */
export const sessions = guardedBy('host', routes);

/** For the entrypoint `Sessions`: a caller that may bind to it is of the same account. */
export const unguardedSessions = unguardedForBindings('/sessions/v1', routes);
