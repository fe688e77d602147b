/**
 * The host app's door: one Hono sub-app behind the entrypoint `Sessions`, which only a service binding reaches, and behind
 * /sessions/v1 when HOST_TOKEN is set. The same questions are RPC methods of the entrypoint.
 */
import { Hono } from 'hono';
import { notFound } from '../../scim/error';
import { readJson } from '../body';
import { type App, requestId } from '../context';
import { guard, refuse } from '../door';
import { allowOnly } from '../method';
import { check, events, resolve } from './questions';
import { stream } from './stream';

export const sessions = new Hono<App>();

sessions.use(async (c, next) => {
  c.header('Cache-Control', 'no-store');
  await next();
});
sessions.post('/check', async (c) => c.json(await check(c.env, await readJson(c))));
sessions.post('/resolve', async (c) => c.json(await resolve(c.env, await readJson(c))));
sessions.get('/events', async (c) => {
  const { type, ...one } = c.req.queries();
  return c.json(await events(c.env, { ...numbered(one), ...(type && { types: type }) }));
});
sessions.get('/stream', (c) => stream(c, numbered(c.req.queries())));
sessions.all('/check', allowOnly('POST'));
sessions.all('/resolve', allowOnly('POST'));
sessions.all('/events', allowOnly('GET'));
sessions.all('/stream', allowOnly('GET'));
sessions.all('*', () => {
  throw notFound('Endpoint');
});
sessions.onError(refuse);

/** Query parameters as the members of a question: numbers where they are whole ones, and all else as it came. */
function numbered(query: Record<string, string[]>): Record<string, unknown> {
  const read = (name: string, [value = '']: string[]) =>
    name !== 'org' && /^\d{1,15}$/.test(value) ? Number(value) : value;
  return Object.fromEntries(Object.entries(query).map(([name, values]) => [name, read(name, values)]));
}

/** Behind the entrypoint: whoever may bind to it is of the same account. */
export const sessionsEntrypoint = new Hono<App>({ strict: false })
  .use(requestId)
  .route('/sessions/v1', sessions)
  .notFound((c) => refuse(notFound('Endpoint'), c));

/** Before /sessions/v1. */
export const hosts = guard('host', ({ hostToken }) => hostToken);
