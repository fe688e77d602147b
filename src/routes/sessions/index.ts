/**
 * The host app's door: one Hono sub-app behind the entrypoint `Sessions`, which only a service binding reaches, and behind
 * /sessions/v1 when HOST_TOKEN is set. The same questions are RPC methods of the entrypoint.
 */
import { Hono } from 'hono';
import * as z from 'zod';
import { notFound } from '../../scim/error';
import { guardedBy, refuse, unguardedForBindings } from '../access/guard';
import { readJson } from '../body';
import type { App } from '../context';
import { allowOnly } from '../method';
import { query } from '../validator';
import { check, events, resolve } from './questions';
import { stream } from './stream';

/** A query becomes the question that RPC would ask; what the question may be, questions.ts says for both. */
const number = z.string().transform((text) => (/^\d{1,15}$/.test(text) ? Number(text) : text));
const eventsQuery = z.looseObject({
  after: number.optional(),
  limit: number.optional(),
  type: z.array(z.string()).optional(),
});
const streamQuery = z.looseObject({ after: number.optional() });

const routes = new Hono<App>();

routes.post('/check', async (c) => c.json(await check(c.env, await readJson(c))));
routes.post('/resolve', async (c) => c.json(await resolve(c.env, await readJson(c))));
routes.get('/events', query(eventsQuery, 'type'), async (c) => {
  const { type: types, ...question } = c.req.valid('query');
  return c.json(await events(c.env, { ...question, ...(types && { types }) }));
});
routes.get('/stream', query(streamQuery), (c) => stream(c, c.req.valid('query')));
routes.all('/check', allowOnly('POST'));
routes.all('/resolve', allowOnly('POST'));
routes.all('/events', allowOnly('GET'));
routes.all('/stream', allowOnly('GET'));
routes.all('*', () => {
  throw notFound('Endpoint');
});
routes.onError(refuse);

/** For /sessions/v1. */
export const sessions = guardedBy('host', routes);

/** For the entrypoint `Sessions`: a caller that may bind to it is of the same account. */
export const unguardedSessions = unguardedForBindings('/sessions/v1', routes);
