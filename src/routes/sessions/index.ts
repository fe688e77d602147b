/**
 * The host app's door: one Hono sub-app behind the entrypoint `Sessions`, which only a service binding reaches, and behind
 * /sessions/v1 when HOST_TOKEN is set. The same questions are RPC methods of the entrypoint.
 */
import { Hono } from 'hono';
import { notFound } from '../../scim/error';
import { guardedBy, refuse, unguardedForBindings } from '../access/guard';
import { readJson } from '../body';
import type { App } from '../context';
import { allowOnly } from '../method';
import { check, events, resolve } from './questions';
import { stream } from './stream';

const routes = new Hono<App>();

routes.post('/check', async (c) => c.json(await check(c.env, await readJson(c))));
routes.post('/resolve', async (c) => c.json(await resolve(c.env, await readJson(c))));
routes.get('/events', async (c) => {
  const { type, ...one } = c.req.queries();
  return c.json(await events(c.env, { ...numbered(one), ...(type && { types: type }) }));
});
routes.get('/stream', (c) => stream(c, numbered(c.req.queries())));
routes.all('/check', allowOnly('POST'));
routes.all('/resolve', allowOnly('POST'));
routes.all('/events', allowOnly('GET'));
routes.all('/stream', allowOnly('GET'));
routes.all('*', () => {
  throw notFound('Endpoint');
});
routes.onError(refuse);

/** Query parameters as the members of a question: numbers where they are whole ones, and all else as it came. */
function numbered(query: Record<string, string[]>): Record<string, unknown> {
  const read = (name: string, [value = '']: string[]) =>
    name !== 'org' && /^\d{1,15}$/.test(value) ? Number(value) : value;
  return Object.fromEntries(Object.entries(query).map(([name, values]) => [name, read(name, values)]));
}

/** For /sessions/v1. */
export const sessions = guardedBy('host', routes);

/** For the entrypoint `Sessions`: a caller that may bind to it is of the same account. */
export const unguardedSessions = unguardedForBindings('/sessions/v1', routes);
